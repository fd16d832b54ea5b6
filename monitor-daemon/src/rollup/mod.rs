//! Alerts that say the same, told once and then counted.
//!
//! The first alert of a rule, a container and what it says ([`key`]) goes out at once and opens a
//! window. Those like it are counted until the window closes, and one more alert then tells how
//! many they were ([`summary`]). A rule that raises more different alerts in a container than its
//! budget has the rest counted by container alone, so that it cannot fill the queues that others
//! need. Nothing is left out without being told and counted.
//!
//! Memory is bounded: without room, the oldest window of the rule that takes most is closed early,
//! and told. Pure: times are passed in.

mod key;
mod rule;
mod summary;

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

use crate::alert_log::Uuid;
use crate::output::{Alert, Room};
use rule::{Offered, Rule, Window};

/// How alerts are rolled up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long alerts like the first are counted, ns; 0: every alert goes out.
    pub window_ns: u64,
    /// Alerts that a rule may raise in such a time in a container before the rest is only counted;
    /// in all together twice as many.
    pub rule_alerts: u64,
    /// Bytes of memory for open windows.
    pub bytes: usize,
    /// Fields by which alerts do not differ, and with them those below: `evt.time` is also
    /// `evt.time.s`.
    pub ignored_fields: Vec<String>,
}

/// Why an alert did not go out by itself.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// Another had said the same.
    Same,
    /// Its rule was over its budget.
    Budget,
}

impl Reason {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Same, Self::Budget];

    /// As metrics say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Budget => "budget",
        }
    }
}

/// What there is now, and what was since start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// Windows open now.
    pub windows: u64,
    /// Approximate bytes of them.
    pub bytes: u64,
    /// Windows closed early for lack of room, since start.
    pub closed_early: u64,
    /// Alerts that told of others, since start.
    pub summaries: u64,
}

/// All windows.
#[derive(Debug)]
pub struct Rollup {
    settings: Settings,
    rules: HashMap<Arc<str>, Rule>,
    /// Nobody may find two alerts with one key: that would hide the second.
    hasher: RandomState,
    bytes: usize,
    closed_early: u64,
    summaries: u64,
}

impl Rollup {
    /// No window is open.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            rules: HashMap::new(),
            hasher: RandomState::new(),
            bytes: 0,
            closed_early: 0,
            summaries: 0,
        }
    }

    /// Takes an alert, of a container if its event was in one, and hands what has to go out to
    /// `push`: the alert, unless it is only counted, and what tells of others; with how much room
    /// each may take. `push` gives the alert's name, or nothing if it was lost, in which case the next like it is tried again.
    /// `now` is ns by a clock that never goes back.
    pub fn offer(
        &mut self,
        alert: Alert,
        container: Option<&str>,
        now: u64,
        mut push: impl FnMut(Alert, Room) -> Option<Uuid>,
    ) {
        if self.settings.window_ns == 0 {
            push(alert, Room::All);
            return;
        }
        self.expire_rule(&alert.rule, now, &mut push);
        let keys = key::Keys {
            hasher: &self.hasher,
            ignored: &self.settings.ignored_fields,
        };
        let key = keys.of(&alert, container);
        let container = keys.of_container(container);
        let rule = self.rules.entry(Arc::clone(&alert.rule)).or_default();
        let offered = rule.offer(alert, key, container, now, &self.settings);
        match offered {
            Offered::Counted { bytes } => self.bytes += bytes,
            Offered::New(opening) => {
                let (key, reason, alert) = *opening;
                let time = alert.time;
                let room = rule.room(container);
                if let Some(uuid) = push(alert, room) {
                    let window = Window::new(uuid, reason, now, time);
                    self.bytes += rule.open(key, container, window);
                }
            }
        }
        self.make_room(&mut push);
    }

    /// Closes the windows that are over at `now`; what tells of them goes to `push`.
    pub fn tick(&mut self, now: u64, mut push: impl FnMut(Alert, Room) -> Option<Uuid>) {
        let names: Vec<Arc<str>> = self.rules.keys().cloned().collect();
        for name in names {
            self.expire_rule(&name, now, &mut push);
        }
        let window = self.settings.window_ns;
        self.rules.retain(|_, rule| !rule.is_idle(now, window));
    }

    /// Closes all windows.
    pub fn finish(&mut self, push: impl FnMut(Alert, Room) -> Option<Uuid>) {
        self.tick(u64::MAX, push);
    }

    /// Alerts that did not go out since the last call: of each rule how many, and why.
    pub fn take_counts(&mut self) -> Vec<(Arc<str>, Reason, u64)> {
        let mut counts = Vec::new();
        for (name, rule) in &mut self.rules {
            let told = rule.take_counts().into_iter();
            counts.extend(told.map(|(reason, count)| (Arc::clone(name), reason, count)));
        }
        counts
    }

    /// The figures.
    pub fn figures(&self) -> Figures {
        Figures {
            windows: self.rules.values().map(|rule| rule.windows() as u64).sum(),
            bytes: self.bytes as u64,
            closed_early: self.closed_early,
            summaries: self.summaries,
        }
    }

    fn expire_rule(
        &mut self,
        name: &str,
        now: u64,
        push: &mut impl FnMut(Alert, Room) -> Option<Uuid>,
    ) {
        let Some(rule) = self.rules.get_mut(name) else {
            return;
        };
        while let Some((window, bytes)) = rule.expired(now, self.settings.window_ns) {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.summaries += tell(window, push);
        }
    }

    /// Whoever takes most gives first, so that no rule can take the room of others.
    fn make_room(&mut self, push: &mut impl FnMut(Alert, Room) -> Option<Uuid>) {
        while self.bytes > self.settings.bytes {
            let most = self.rules.values_mut().max_by_key(|rule| rule.bytes());
            let Some((window, bytes)) = most.and_then(Rule::oldest) else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(bytes);
            self.closed_early += 1;
            self.summaries += tell(window, push);
        }
    }
}

/// Tells of what a window counted, if anything; how many alerts that took.
fn tell(window: Window, push: &mut impl FnMut(Alert, Room) -> Option<Uuid>) -> u64 {
    let room = match window.reason {
        // There may be one for each alert of a flood.
        Reason::Same => Room::Half,
        Reason::Budget => Room::All,
    };
    let Some(alert) = summary::of(window) else {
        return 0;
    };
    // A full queue has counted the loss.
    let _name = push(alert, room);
    1
}

#[cfg(test)]
mod tests;
