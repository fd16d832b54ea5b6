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

/// Says that rules are loaded anew; alerts go on coming out by the old ones.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_all(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager is not told of a reload"),
    }
}

/// Says that this is done.
pub(super) fn reloaded() {
    tell(NotifyState::Ready);
}

/// Says that the end has come; what is queued is still delivered.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    tell_all(&[state]);
}

fn tell_all(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
