//! A round of the self-check under way: the child, and what its records say.

use std::io;
use std::time::{Duration, Instant};

use monitor_common::Kind;

use super::acts::Act;
use super::check::{Check, Delivery, Lost, Reading, Used};
use super::child;
use super::claim::Claim;
use super::proof;
use super::starter::{Started, Starter};
use crate::clock;
use crate::record::Record;

/// Time for the child to end; it needs milliseconds, on a busy machine more.
const CHILD_TIME: Duration = Duration::from_secs(10);

/// The child and what is waited for. Nothing here blocks.
#[derive(Debug)]
pub struct Round {
    child: Option<Started>,
    claim: Claim,
    started: Instant,
    /// When its end was seen, `CLOCK_BOOTTIME` ns.
    ended: Option<u64>,
    check: Check,
}

impl Round {
    /// Has a child started, to judge `kinds` and what is `used` for them by `acts`; `lost` is what was
    /// lost before.
    pub fn start(
        starter: &Starter,
        kinds: Vec<Kind>,
        used: Vec<Used>,
        acts: Vec<&'static Act>,
        lost: Lost,
    ) -> io::Result<Self> {
        let asked = clock::boot_ns();
        let child = starter.start(acts.iter().copied())?;
        Ok(Self {
            claim: Claim::new(child.id(), asked),
            child: Some(child),
            started: Instant::now(),
            ended: None,
            check: Check::new(kinds, used, acts, lost),
        })
    }

    /// Takes note of a record; whether it is one of the child's, so no user's event.
    pub fn saw(&mut self, record: &Record<'_>) -> bool {
        let own = self.claim.is_of(record.task());
        if own {
            if proof::counts(record) {
                self.check.saw(record.kind());
            }
            for program in proof::shown(record) {
                self.check.proved(program);
            }
        }
        own
    }

    /// As [`Check::shows`].
    pub fn shows(&self, program: &str) -> Option<bool> {
        self.check.shows(program)
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
        let Some(child) = &mut self.child else {
            return;
        };
        let now = clock::boot_ns();
        if self.started.elapsed() >= CHILD_TIME {
            // It is killed by that.
            self.child = None;
        } else {
            match child.outcome() {
                Ok(None) => return,
                Ok(Some(text)) => self.check.done(child::outcomes(&text)),
                Err(error) => tracing::warn!(%error, "cannot read the self-check's outcome"),
            }
        }
        self.claim.ended(now);
        self.ended = Some(clock::boot_ns());
    }
}
