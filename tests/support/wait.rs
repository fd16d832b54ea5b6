//! Waiting for a condition, with a deadline and a name for the complaint.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const PAUSE: Duration = Duration::from_millis(10);

/// Names the factor, a whole number, by which everything takes longer than on a real machine: a
/// guest's programs are emulated.
pub const SLOWER: &str = "MONITOR_TESTS_SLOWER";

/// How often to do what is done `count` times on a real machine, for it to take about as long.
pub fn fewer(count: usize) -> usize {
    count.div_ceil(slower().max(1) as usize)
}

/// How long here takes what takes `time` on a real machine.
pub fn longer(time: Duration) -> Duration {
    time * slower()
}

fn slower() -> u32 {
    let slower = std::env::var(SLOWER).ok();
    slower.and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// Asks `condition` until it gives a value.
///
/// # Errors
///
/// When `within` is over first, saying `what` was waited for; and any error of `condition`.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let within = longer(within);
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if start.elapsed() >= within {
            bail!("waited {within:?} in vain for {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// Asks `child` to end with SIGTERM and collects its status; after `within` it is killed.
///
/// # Errors
///
/// When the child had to be killed, or cannot be waited for.
pub fn terminate(child: &mut Child, within: Duration) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    // Not collected yet, so the number still belongs to this child; ESRCH cannot happen.
    kill_process(Pid::from_child(child), Signal::TERM)?;
    let ended = until("the end of a process after SIGTERM", within, || {
        Ok(child.try_wait()?)
    });
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_names_what_was_waited_for() {
        let error = until::<()>("godot", Duration::from_millis(1), || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("godot"));
    }

    #[test]
    fn terminates_a_process() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let status = terminate(&mut child, Duration::from_secs(10)).unwrap();
        assert!(!status.success());
    }
}
