//! Moderate load of all kinds, each on a thread of its own: about a third of one CPU together.

use std::fmt;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::docker::Dockerd;

pub(crate) const IMAGE: &str = "registry.example/soak/box:v1";
/// Of the container that `docker exec` acts in.
const BOX: &str = "soak-box";

/// How often each kind of load was done. What the daemon must have told of is counted apart.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) needles: AtomicU64,
    pub(crate) boxed: AtomicU64,
    pub(crate) executed: AtomicU64,
    processes: AtomicU64,
    opens: AtomicU64,
    connects: AtomicU64,
    scrapes: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What a thread of load gets.
struct Work {
    done: Arc<Done>,
    stop: Arc<Stop>,
    docker: Client,
    port: u16,
}

/// How to call `docker`, owned.
#[derive(Clone)]
struct Client(Vec<String>);

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// The load; it goes on until it is stopped.
pub(crate) struct Load {
    stop: Arc<Stop>,
    done: Arc<Done>,
    threads: Vec<JoinHandle<()>>,
}

/// A kind of load: its name, one round of it, and the pause between rounds.
type Kind = (&'static str, fn(&Work) -> Result<()>, Duration);

const KINDS: &[Kind] = &[
    ("needle", needle, Duration::from_millis(250)),
    ("processes", processes, Duration::from_millis(500)),
    ("opens", opens, Duration::from_millis(40)),
    ("connects", connects, Duration::from_millis(50)),
    ("containers", container, Duration::from_secs(20)),
    ("execs", exec, Duration::from_secs(10)),
    ("slow scrape", slow_scrape, Duration::from_secs(20)),
];

impl Load {
    /// Starts all kinds, with containers of `docker` and scrapes of the loopback `port`.
    pub(crate) fn start(docker: &Dockerd, port: u16) -> Result<Self> {
        let rest = ["run", "-d", "--network", "none", "--name", BOX];
        docker.text(&[&rest[..], &[IMAGE, "sleep", "100000"]].concat())?;
        let (stop, done) = (Arc::<Stop>::default(), Arc::<Done>::default());
        let client = Client::of(docker)?;
        let threads = KINDS.iter().map(|kind| {
            let work = Work {
                done: Arc::clone(&done),
                stop: Arc::clone(&stop),
                docker: client.clone(),
                port,
            };
            thread::spawn(move || rounds(kind, &work))
        });
        Ok(Self {
            threads: threads.collect(),
            stop,
            done,
        })
    }

    /// Ends it; what was done.
    pub(crate) fn stop(self) -> Arc<Done> {
        *self.stop.lock() = true;
        self.stop.changed.notify_all();
        for thread in self.threads {
            if thread.join().is_err() {
                self.done.fail("a thread of load panicked".to_owned());
            }
        }
        self.done
    }
}

fn rounds((name, round, pause): &Kind, work: &Work) {
    while !work.stop.pause(*pause) {
        if let Err(error) = round(work) {
            work.done.fail(format!("{name}: {error:#}"));
        }
    }
}

fn needle(work: &Work) -> Result<()> {
    let number = work.done.needles.load(Ordering::Relaxed);
    succeed(Command::new("/bin/echo").arg(format!("soak-needle-{number}")))?;
    work.done.needles.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn processes(work: &Work) -> Result<()> {
    let loops = "for n in 1 2 3 4 5 6 7 8 9; do /bin/true; done; cat /etc/shadow";
    succeed(Command::new("sh").args(["-c", loops]))?;
    work.done.processes.fetch_add(11, Ordering::Relaxed);
    Ok(())
}

fn opens(work: &Work) -> Result<()> {
    for _ in 0..10 {
        File::open("/etc/passwd")?;
        // Missing on purpose: failed calls are events too.
        let _missing = File::open("/etc/no-such-file");
        work.done.opens.fetch_add(2, Ordering::Relaxed);
    }
    Ok(())
}

fn connects(work: &Work) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut peer, _) = listener.accept()?;
    stream.write_all(b"x")?;
    peer.read_exact(&mut [0])?;
    work.done.connects.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn container(work: &Work) -> Result<()> {
    let number = work.done.boxed.load(Ordering::Relaxed);
    let needle = format!("soak-boxed-{number}");
    let mut run = work
        .docker
        .command(&["run", "--rm", "--network", "none", "--name"]);
    succeed(run.args([&needle, IMAGE, "/bin/echo", &needle]))?;
    work.done.boxed.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn exec(work: &Work) -> Result<()> {
    let number = work.done.executed.load(Ordering::Relaxed);
    let mut exec = work.docker.command(&["exec", BOX, "/bin/echo"]);
    succeed(exec.arg(format!("soak-executed-{number}")))?;
    work.done.executed.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// A scrape that takes its time, until the server has enough of it.
fn slow_scrape(work: &Work) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, work.port))?;
    for byte in b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" {
        if stream.write_all(&[*byte]).is_err() || work.stop.pause(Duration::from_millis(50)) {
            return Ok(());
        }
    }
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    while matches!(stream.read(&mut [0; 64]), Ok(1..)) {
        if work.stop.pause(Duration::from_millis(50)) {
            return Ok(());
        }
    }
    work.done.scrapes.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {complaint}");
    Ok(())
}

impl Client {
    fn of(docker: &Dockerd) -> Result<Self> {
        let config = docker.socket().with_file_name("config");
        fs::create_dir_all(&config)?;
        let config = config.to_str().context("a path is no text")?.to_owned();
        let host = format!("unix://{}", docker.socket().display());
        Ok(Self(vec![
            "--config".to_owned(),
            config,
            "--host".to_owned(),
            host,
        ]))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env_remove("DOCKER_CONTEXT");
        command.args(&self.0).args(arguments);
        command
    }
}

impl Stop {
    /// Waits; says whether it is time to end.
    fn pause(&self, time: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Done {
    fn fail(&self, what: String) {
        let failures = self.failures.lock();
        failures.unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What of the load itself went wrong.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failures = self.failures.lock();
        failures.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("needles", &self.needles),
            ("containers", &self.boxed),
            ("docker execs", &self.executed),
            ("other processes", &self.processes),
            ("opens", &self.opens),
            ("connections", &self.connects),
            ("slow scrapes", &self.scrapes),
        ];
        for (name, count) in counts {
            write!(f, "{} {name}, ", count.load(Ordering::Relaxed))?;
        }
        write!(f, "{} failures", self.failures().len())
    }
}
