//! Who starts the child: this process, or a helper that does nothing else.
//!
//! A daemon that is confined may start no program, not even itself ([`crate::confine`]). So before
//! that it starts a helper, which is told by a socket which acts to have done, and answers with the
//! number of the child that does them. The acts are a closed list, so this is no way to start
//! anything else. The helper ends with the daemon.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;

use super::acts::{Act, named};
use super::child::{self, COMMAND, DONE, SELF};

/// The argument by which the program becomes the helper.
pub const SERVE: &str = "--serve";
/// Time for the helper to answer: about what starting a program takes, on a busy machine more.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// Starts the child.
#[derive(Clone, Debug)]
pub struct Starter(Way);

#[derive(Clone, Debug)]
enum Way {
    /// This process starts the daemon's program.
    Us(&'static str),
    Helper(Arc<Helper>),
}

impl Default for Starter {
    /// One for a process that is the daemon's.
    fn default() -> Self {
        Self::of(SELF)
    }
}

impl Starter {
    /// One that starts `program`, the daemon's, as a child of this process.
    pub fn of(program: &'static str) -> Self {
        Self(Way::Us(program))
    }

    /// One that starts children by a helper, which it starts now.
    pub fn helper() -> io::Result<Self> {
        let (ours, its) = UnixStream::pair()?;
        ours.set_read_timeout(Some(ANSWER_TIME))?;
        ours.set_write_timeout(Some(ANSWER_TIME))?;
        let mut process = Command::new(SELF)
            .args([COMMAND, SERVE])
            .env_clear()
            .stdin(OwnedFd::from(its))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let told = process.stdout.take();
        let told = told.ok_or_else(|| io::Error::other("the helper has no output"))?;
        // The loop that reads it waits for nobody.
        rustix::fs::fcntl_setfl(&told, OFlags::NONBLOCK)?;
        Ok(Self(Way::Helper(Arc::new(Helper {
            answers: Mutex::new(Answers {
                socket: BufReader::new(ours),
                asked: 0,
            }),
            told: Mutex::new(told),
            _process: process,
        }))))
    }

    /// Starts a child that does `acts`. It ends by itself within milliseconds.
    pub fn start<'a>(&self, acts: impl IntoIterator<Item = &'a Act>) -> io::Result<Started> {
        let by = match &self.0 {
            Way::Us(program) => By::Us(child::start(program, acts)?),
            Way::Helper(helper) => {
                let names: Vec<&str> = acts.into_iter().map(|act| act.name).collect();
                // The canary says nothing, and one round is under way at a time: what there is to
                // read is what a child before said too late.
                if !names.is_empty() {
                    let _late = helper.read();
                }
                By::Helper(Arc::clone(helper), helper.start(&names)?, String::new())
            }
        };
        Ok(Started(by))
    }
}

/// The helper, as the daemon has it.
#[derive(Debug)]
struct Helper {
    answers: Mutex<Answers>,
    /// What its children say; the helper itself says nothing here.
    told: Mutex<ChildStdout>,
    /// It ends when the socket is closed; the daemon may send it no signal.
    _process: Child,
}

#[derive(Debug)]
struct Answers {
    socket: BufReader<UnixStream>,
    /// Number of the last request, so that a late answer is not taken for the next one's.
    asked: u64,
}

impl Helper {
    fn start(&self, names: &[&str]) -> io::Result<u32> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.asked += 1;
        let asked = answers.asked.to_string();
        let request = format!("start {asked} {}\n", names.join(" "));
        answers.socket.get_mut().write_all(request.as_bytes())?;
        loop {
            let mut line = String::new();
            if answers.socket.read_line(&mut line)? == 0 {
                return Err(io::Error::other("the self-check's helper has ended"));
            }
            let (number, said) = line.trim_end().split_once(' ').unwrap_or_default();
            let pid = said.parse::<u32>();
            if number == asked {
                return pid.map_err(|_| io::Error::other(said.to_owned()));
            }
            if let Ok(late) = pid {
                let request = format!("end {late}\n");
                answers.socket.get_mut().write_all(request.as_bytes())?;
            }
        }
    }

    fn end(&self, pid: u32) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // A helper that is gone has taken its children along.
        let request = format!("end {pid}\n");
        let _gone = answers.socket.get_mut().write_all(request.as_bytes());
    }

    /// What has been said since.
    fn read(&self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A child that was started. Until this is dropped nobody else can have its number.
#[derive(Debug)]
pub struct Started(By);

#[derive(Debug)]
enum By {
    Us(Child),
    /// Its number, and what it has said so far.
    Helper(Arc<Helper>, u32, String),
}

impl Started {
    /// Its process number.
    pub fn id(&self) -> u32 {
        match &self.0 {
            By::Us(child) => child.id(),
            By::Helper(_, pid, _) => *pid,
        }
    }

    /// What it said, once it has said all.
    pub fn outcome(&mut self) -> io::Result<Option<String>> {
        let text = match &mut self.0 {
            By::Us(child) => {
                if child.try_wait()?.is_none() {
                    return Ok(None);
                }
                let mut text = String::new();
                // Less than a pipe holds, and nobody writes to it any more.
                if let Some(mut pipe) = child.stdout.take() {
                    pipe.read_to_string(&mut text)?;
                }
                return Ok(Some(text));
            }
            By::Helper(helper, _, text) => {
                text.push_str(&helper.read()?);
                text
            }
        };
        let whole = text.lines().any(|line| line == DONE);
        Ok(whole.then(|| std::mem::take(text)))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        match &mut self.0 {
            By::Us(child) => end(child),
            By::Helper(helper, pid, _) => helper.end(*pid),
        }
    }
}

/// What the helper does until the daemon is gone. The kernel's programs do not know it for ours, so it
/// does nothing itself that is an event: it opens nothing, and reads and writes its socket as a file.
///
/// # Errors
/// Nobody is there to be answered.
pub fn serve() -> io::Result<()> {
    let mut answers = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    let mut children: Vec<Child> = Vec::new();
    for line in io::stdin().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("start"), Some(asked)) => match spawn(words, &nothing) {
                Ok(child) => {
                    writeln!(answers, "{asked} {}", child.id())?;
                    children.push(child);
                }
                Err(error) => writeln!(answers, "{asked} {error}")?,
            },
            (Some("end"), Some(pid)) => {
                let these = |child: &mut Child| child.id().to_string() == pid;
                children
                    .extract_if(.., these)
                    .for_each(|mut child| end(&mut child));
            }
            _ => {}
        }
    }
    children.iter_mut().for_each(end);
    Ok(())
}

/// A child that does the acts among these names; what it says goes to the daemon.
fn spawn<'a>(names: impl Iterator<Item = &'a str>, nothing: &File) -> io::Result<Child> {
    Command::new(SELF)
        .arg(COMMAND)
        .args(names.filter(|name| named(name).is_some()))
        .env_clear()
        .stdin(nothing.try_clone()?)
        .stderr(nothing.try_clone()?)
        .spawn()
}

/// A signal that is not needed would be an event of its own.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        // It fails only for a child that has ended, which is what is wanted.
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}
