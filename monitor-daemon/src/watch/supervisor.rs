//! What systemd is told: that alerts can come out, that the loop turns, that the end has come.
//!
//! Nothing, when nobody asked (`NOTIFY_SOCKET` and `WATCHDOG_USEC` on the environment are
//! systemd's way of asking).

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The service manager, told from the loop itself: a loop that is stuck does not feed its watchdog.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// Time between signs of life.
    every: Option<Duration>,
    last: Instant,
}

impl Supervisor {
    /// Says that alerts can come out.
    pub(super) fn ready() -> Self {
        tell(NotifyState::Ready);
        Self {
            // Twice as often as asked for, so that one late turn is no reason to be killed.
            every: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            last: Instant::now(),
        }
    }

    /// The loop has turned.
    pub(super) fn alive(&mut self) {
        if self.every.is_some_and(|every| self.last.elapsed() >= every) {
            self.last = Instant::now();
            tell(NotifyState::Watchdog);
        }
    }
}

/// Says that the end has come; what is queued is still delivered.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
