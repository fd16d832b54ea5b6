//! A round of the self-check under way: the child, and what its records say.

use std::io::{self, Read as _};
use std::process::Child;
use std::time::{Duration, Instant};

use monitor_common::Kind;

use super::acts::Act;
use super::check::{Check, Delivery, Lost, Reading};
use super::child;
use crate::clock;
use crate::record::Record;

/// Time for the child to end; it needs milliseconds, on a busy machine more.
const CHILD_TIME: Duration = Duration::from_secs(10);

/// The child and what is waited for. Nothing here blocks.
#[derive(Debug)]
pub struct Round {
    child: Child,
    pid: u32,
    started: Instant,
    /// When its end was seen, `CLOCK_BOOTTIME` ns.
    ended: Option<u64>,
    check: Check,
}

impl Round {
    /// Starts `program`, the daemon's, as the child, to judge `kinds` by `acts`; `lost` is what
    /// was lost before.
    pub fn start(
        program: &str,
        kinds: Vec<Kind>,
        acts: Vec<&'static Act>,
        lost: Lost,
    ) -> io::Result<Self> {
        let child = child::start(program, acts.iter().copied())?;
        Ok(Self {
            pid: child.id(),
            child,
            started: Instant::now(),
            ended: None,
            check: Check::new(kinds, acts, lost),
        })
    }

    /// Takes note of a record; whether it is one of the child's, so no user's event.
    pub fn saw(&mut self, record: &Record<'_>) -> bool {
        let own = record.task().pid == self.pid;
        if own {
            self.check.saw(record.kind());
        }
        own
    }

    /// The verdicts, once all records have come or the time for them is over, for a caller that
    /// has read all records up to `reached` (`CLOCK_BOOTTIME` ns); `lost` tells what is lost by now.
    pub fn verdicts(
        &mut self,
        reached: u64,
        lost: impl FnOnce() -> Lost,
    ) -> Option<Vec<(Kind, Delivery)>> {
        if self.ended.is_none() {
            self.reap();
        }
        let ended = self.ended?;
        if self.check.complete() {
            return Some(self.check.verdicts().collect());
        }
        let reading = Reading::of(ended, reached, clock::boot_ns());
        (reading != Reading::Under).then(|| self.check.conclude(reading, &lost()))
    }

    fn reap(&mut self) {
        let overdue = self.started.elapsed() >= CHILD_TIME;
        if overdue {
            // It fails only for a child that has ended, which is what is wanted.
            let _ended = self.child.kill();
        }
        match self.child.try_wait() {
            Ok(None) => return,
            Ok(Some(_)) if !overdue => self.read(),
            Ok(Some(_)) => {}
            Err(error) => tracing::warn!(%error, "cannot wait for the self-check's child"),
        }
        self.ended = Some(clock::boot_ns());
    }

    /// What the child said: less than a pipe holds, and nobody writes to it any more.
    fn read(&mut self) {
        let mut text = String::new();
        let told = self.child.stdout.take();
        match told.map(|mut pipe| pipe.read_to_string(&mut text)) {
            Some(Ok(_)) => self.check.done(child::outcomes(&text)),
            Some(Err(error)) => tracing::warn!(%error, "cannot read the self-check's outcome"),
            None => {}
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ended = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}
