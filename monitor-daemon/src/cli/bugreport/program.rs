//! What a program prints, for no longer than a time: a report must come also where things hang.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;

const PAUSE: Duration = Duration::from_millis(20);

/// Runs a program and gives what it printed on both of its outputs, at most `bytes` from the end.
/// One that takes longer than `time` is ended, which the text then says.
///
/// # Errors
///
/// It cannot be started.
pub(super) fn output(command: &mut Command, time: Duration, bytes: u64) -> io::Result<String> {
    let mut printed = File::from(rustix::fs::memfd_create("bugreport", MemfdFlags::CLOEXEC)?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(printed.try_clone()?)
        .stderr(printed.try_clone()?)
        .spawn()?;
    let end = Instant::now() + time;
    let mut note = String::new();
    while child.try_wait()?.is_none() {
        if Instant::now() >= end {
            child.kill()?;
            note = format!("\n(ended after {} s)\n", time.as_secs());
            break;
        }
        thread::sleep(PAUSE);
    }
    let all = printed.metadata()?.len();
    printed.seek(io::SeekFrom::Start(all.saturating_sub(bytes)))?;
    let mut text = Vec::new();
    printed.take(bytes).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned() + &note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended_and_what_it_said_is_kept() {
        let run = |script: &str, ms, bytes| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]);
            output(&mut shell, Duration::from_millis(ms), bytes).unwrap()
        };
        assert_eq!(run("echo a; echo b >&2", 10_000, 100), "a\nb\n");
        assert_eq!(run("echo abcdef", 10_000, 4), "def\n");
        assert_eq!(
            run("echo a; exec sleep 1000", 1500, 100),
            "a\n\n(ended after 1 s)\n"
        );
        let absent = output(&mut Command::new("/nonexistent/x"), PAUSE, 1);
        assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
