//! When the loop looks at what no record tells of: rarely while nothing waits, so that an idle host
//! is left alone.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::state::State;
use crate::probe::Probes;

/// How often, while events wait for metadata.
const TICK: Duration = Duration::from_millis(100);
/// How often while none does.
const REST: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Ticks {
    interval: Interval,
    last: Instant,
    resting: bool,
}

impl Ticks {
    /// The first tick is due at once.
    pub(super) fn new() -> Self {
        let mut interval = interval(TICK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            interval,
            last: Instant::now(),
            resting: false,
        }
    }

    /// Waits for the next tick.
    pub(super) async fn due(&mut self) {
        self.interval.tick().await;
    }

    /// Whether a tick is due while records keep the loop from waiting for it.
    pub(super) fn are_due(&self) -> bool {
        self.last.elapsed() >= TICK
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, state: &mut State, probes: &Mutex<Probes>) {
        self.last = Instant::now();
        state.tick(probes);
        self.resting = !state.waits();
        self.interval
            .reset_after(if self.resting { REST } else { TICK });
    }

    /// Comes earlier if an event began to wait.
    pub(super) fn keep_pace_with(&mut self, state: &State) {
        if self.resting && state.waits() {
            self.resting = false;
            self.interval.reset_after(TICK);
        }
    }
}
