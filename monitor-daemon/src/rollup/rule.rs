//! The windows of one rule, and its budget.

use std::collections::{HashMap, VecDeque};

use super::{Reason, Settings};
use crate::alert_log::Uuid;
use crate::output::{Alert, Room};

/// Alerts of a container in a window's time before the next are a flood.
const FEW: u64 = 64;

/// What a window takes besides its sample: itself, and its places in the map and in the order.
pub(super) const WINDOW_BYTES: usize = size_of::<Window>() + 6 * size_of::<u64>();

/// The time in which alerts are counted that are like one that went out.
#[derive(Debug)]
pub(super) struct Window {
    /// Name of the alert that went out.
    pub(super) of: Uuid,
    pub(super) reason: Reason,
    /// By the clock that never goes back, ns.
    opened: u64,
    /// When the first and the last event happened, ns since the epoch.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Alerts after the first.
    pub(super) count: u64,
    /// The first of these: what the summary is made of.
    pub(super) sample: Option<Box<Alert>>,
}

impl Window {
    pub(super) fn new(of: Uuid, reason: Reason, opened: u64, time: u64) -> Self {
        Self {
            of,
            reason,
            opened,
            first: time,
            last: time,
            count: 0,
            sample: None,
        }
    }

    /// Counts an alert; how many bytes more that takes.
    fn count(&mut self, alert: Alert) -> usize {
        self.count += 1;
        self.first = self.first.min(alert.time);
        self.last = self.last.max(alert.time);
        if self.sample.is_some() {
            return 0;
        }
        let bytes = alert.size();
        self.sample = Some(Box::new(alert));
        bytes
    }

    fn bytes(&self) -> usize {
        WINDOW_BYTES + self.sample.as_ref().map_or(0, |alert| alert.size())
    }
}

/// What becomes of an alert.
pub(super) enum Offered {
    /// It is counted, which takes more bytes than before.
    Counted { bytes: usize },
    /// It goes out, and opens a window with this key.
    New(Box<(u64, Reason, Alert)>),
}

/// A rule's windows.
#[derive(Debug, Default)]
pub(super) struct Rule {
    windows: HashMap<u64, Window>,
    /// Their keys, the oldest first.
    order: VecDeque<u64>,
    bytes: usize,
    /// Alerts that went out since then, of which there is a budget; and of each container how many.
    since: u64,
    sent: u64,
    sent_by: HashMap<u64, u64>,
    /// Counted and not yet published: the same, and over the budget.
    counts: [u64; Reason::ALL.len()],
}

impl Rule {
    /// Counts an alert, or gives it back. `container` is the key of its container, and of what is
    /// over the budget there.
    pub(super) fn offer(
        &mut self,
        alert: Alert,
        key: u64,
        container: u64,
        now: u64,
        settings: &Settings,
    ) -> Offered {
        let known = self.windows.contains_key(&key);
        if now.saturating_sub(self.since) >= settings.window_ns {
            self.since = now;
            self.sent = 0;
            self.sent_by.clear();
        }
        let (key, reason) = if known || self.has_budget(container, settings.rule_alerts) {
            (key, Reason::Same)
        } else {
            (container, Reason::Budget)
        };
        let Some(window) = self.windows.get_mut(&key) else {
            return Offered::New(Box::new((key, reason, alert)));
        };
        let [same, budget] = &mut self.counts;
        *match reason {
            Reason::Same => same,
            Reason::Budget => budget,
        } += 1;
        let bytes = window.count(alert);
        self.bytes += bytes;
        Offered::Counted { bytes }
    }

    /// A container may raise as many as are left of twice the budget: one alone the budget, those
    /// after it half of the rest each. So however many one raises, what others do is told.
    fn has_budget(&self, container: u64, budget: u64) -> bool {
        let sent = self.sent_by.get(&container).copied().unwrap_or_default();
        sent < budget.saturating_mul(2).saturating_sub(self.sent)
    }

    /// How much of a queue the next alert of a container may take. A flood would else fill it
    /// faster than it is emptied, and the one alert of another container would be lost.
    pub(super) fn room(&self, container: u64) -> Room {
        match self.sent_by.get(&container) {
            Some(sent) if *sent >= FEW => Room::Half,
            _ => Room::All,
        }
    }

    /// Opens a window for an alert of `container`; how many bytes that takes.
    pub(super) fn open(&mut self, key: u64, container: u64, window: Window) -> usize {
        if window.reason == Reason::Same {
            self.sent += 1;
            *self.sent_by.entry(container).or_default() += 1;
        }
        let bytes = window.bytes();
        self.bytes += bytes;
        self.windows.insert(key, window);
        self.order.push_back(key);
        bytes
    }

    /// Takes out the oldest window if it is over, with its bytes.
    pub(super) fn expired(&mut self, now: u64, length: u64) -> Option<(Window, usize)> {
        let oldest = self.windows.get(self.order.front()?)?;
        if now.saturating_sub(oldest.opened) < length {
            return None;
        }
        self.oldest()
    }

    /// Takes out the oldest window, with its bytes.
    pub(super) fn oldest(&mut self) -> Option<(Window, usize)> {
        let key = self.order.pop_front()?;
        let window = self.windows.remove(&key)?;
        let bytes = window.bytes();
        self.bytes = self.bytes.saturating_sub(bytes);
        Some((window, bytes))
    }

    /// Whether nothing is known of it that matters.
    pub(super) fn is_idle(&self, now: u64, length: u64) -> bool {
        let spent = now.saturating_sub(self.since) < length;
        self.windows.is_empty() && !spent && self.counts == [0, 0]
    }

    /// How many were counted since the last call, by why.
    pub(super) fn take_counts(&mut self) -> Vec<(Reason, u64)> {
        let counts = std::mem::take(&mut self.counts);
        let counts = Reason::ALL.into_iter().zip(counts);
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn windows(&self) -> usize {
        self.windows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
