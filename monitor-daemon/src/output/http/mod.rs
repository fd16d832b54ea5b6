//! Alerts by HTTP: requests of one or several alerts to a server, until it has them.
//!
//! What is sent again and what is given up is told in docs/reference/configuration.md
//! (`config/reference.rs`); [`answer::verdict`] is the table.

mod answer;
mod body;
mod client;
mod grpc;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::answer::Verdict;
use self::body::BodyFormat;
pub use self::client::HttpError;
pub(super) use self::client::{Answer, Client};
use super::backoff::{Backoff, LONGEST};
use super::feed::Feed;
use super::format::Encoder;
use super::queue::Item;
use crate::alert_log::Entry;
use crate::config::Http;

/// Sends batches from a queue until the queue is closed and drained.
#[derive(Debug)]
pub(super) struct HttpWriter {
    name: String,
    client: Client,
    body: BodyFormat,
    /// How long the same alerts may be refused for the time being.
    retry: Duration,
    feed: Feed,
    /// Of a request that was overtaken: the next begins with it.
    backoff: Option<Backoff>,
}

/// An alert, and why it was not taken.
type Refused<'a> = (&'a [Arc<Entry>], String);

/// What became of alerts.
#[derive(Debug, Eq, PartialEq)]
enum Outcome {
    Taken,
    Refused(String),
    /// Something else for each alert.
    Each(Vec<Verdict>),
    /// All but so many, and nobody knows which.
    Partly(u64, String),
    /// For too long the server said that it would take them later.
    Expired(String),
    /// There are others that go before them.
    Overtaken,
    /// The end of the daemon came before.
    Ended,
}

impl HttpWriter {
    pub(super) fn new(
        name: &str,
        settings: &Http,
        client: Client,
        encoder: Encoder,
        feed: Feed,
    ) -> Self {
        Self {
            name: name.to_owned(),
            client,
            body: BodyFormat {
                settings: settings.clone(),
                encoder,
            },
            retry: settings.retry,
            feed,
            backoff: None,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let batch = self.feed.next();
            let closed = batch.closed;
            let alerts: Vec<Arc<Entry>> = batch.items.into_iter().filter_map(Item::alert).collect();
            let left = self.deliver(&alerts);
            if left > 0 {
                return self.feed.give_up(left as u64);
            }
            self.feed.done();
            if closed {
                return;
            }
        }
    }

    /// Sends `alerts` in order, in as many requests as it takes, unless others overtake them; how many
    /// are left at the end of the daemon.
    fn deliver(&mut self, alerts: &[Arc<Entry>]) -> usize {
        // The next part is the last.
        let mut parts = vec![alerts];
        while let Some(part) = parts.pop() {
            let Some((request, count)) = self.body.request(part) else {
                continue;
            };
            let (now, later) = part.split_at(count);
            match self.send(&request) {
                Outcome::Taken => {
                    self.taken(now);
                    parts.push(later);
                }
                Outcome::Partly(refused, why) => {
                    self.partly(now, refused, &why);
                    parts.push(later);
                }
                Outcome::Each(verdicts) => {
                    parts.push(later);
                    self.sort(now, &verdicts, &mut parts);
                }
                Outcome::Refused(_) if now.len() > 1 => {
                    let (first, second) = now.split_at(now.len() / 2);
                    parts.extend([later, second, first]);
                }
                Outcome::Expired(_) if part.len() > 1 => {
                    if !self.one_by_one(part) {
                        parts.push(part);
                    }
                }
                Outcome::Expired(why) => {
                    let others: Vec<_> = parts.drain(..).rev().flatten().cloned().collect();
                    return self.alone(part, others, &why);
                }
                Outcome::Refused(why) => {
                    self.lose(now, &why);
                    parts.push(later);
                }
                Outcome::Overtaken => {
                    let left = [part].into_iter().chain(parts.into_iter().rev());
                    self.feed.put_back(left.flatten().cloned().collect());
                    return 0;
                }
                Outcome::Ended => {
                    return part.len() + parts.iter().map(|part| part.len()).sum::<usize>();
                }
            }
        }
        0
    }

    /// Deals with one alert that was refused for too long for the time being. Whether it is the alert
    /// or the server is told by others that wait.
    fn alone(&mut self, alert: &[Arc<Entry>], mut others: Vec<Arc<Entry>>, why: &str) -> usize {
        if others.is_empty() {
            others = self.feed.more();
        }
        if others.is_empty() {
            self.lose(alert, why);
            return 0;
        }
        let all: Vec<_> = alert.iter().cloned().chain(others).collect();
        if self.one_by_one(&all) {
            return 0;
        }
        self.deliver(&all)
    }

    /// Tries until something is decided.
    fn send(&mut self, request: &body::Request) -> Outcome {
        let mut backoff = self
            .backoff
            .take()
            .unwrap_or_else(|| Backoff::up_to(LONGEST));
        let mut refused_since = None;
        let mut last = false;
        loop {
            let (why, asked) = match self.attempt(request) {
                Verdict::Taken => return Outcome::Taken,
                Verdict::Refused(why) => return Outcome::Refused(why),
                Verdict::Each(verdicts) => return Outcome::Each(verdicts),
                Verdict::Partly(refused, why) => return Outcome::Partly(refused, why),
                Verdict::Later {
                    why,
                    asked,
                    perhaps_never,
                } => {
                    if perhaps_never {
                        let since = *refused_since.get_or_insert_with(Instant::now);
                        if since.elapsed() >= self.retry {
                            return Outcome::Expired(why);
                        }
                    }
                    (why, asked)
                }
            };
            if last {
                return Outcome::Ended;
            }
            self.feed.troubled(&self.name, &why);
            // When the end has come there is one more try: what was wrong may be over.
            last = self.feed.pause(backoff.pause(asked));
            // What may be refused for ever has its time.
            if !last && refused_since.is_none() && self.feed.is_overtaken() {
                self.backoff = Some(backoff);
                return Outcome::Overtaken;
            }
        }
    }

    fn attempt(&mut self, request: &body::Request) -> Verdict {
        let answer = self.client.post(&request.body, request.content_type);
        let verdict = match answer {
            Ok(answer) => answer::verdict(&answer, self.body.settings.api, request.count),
            Err(error) => Verdict::Later {
                why: error.to_string(),
                asked: None,
                perhaps_never: false,
            },
        };
        if verdict == Verdict::Taken {
            self.feed.well(&self.name);
        } else {
            self.feed.metrics().write_errors.inc();
        }
        verdict
    }

    /// Sends each alert alone. Where some are taken, those that are not, also when they are sent
    /// once more, are lost, and it is `true`. Where none is, nothing has been decided.
    fn one_by_one(&mut self, alerts: &[Arc<Entry>]) -> bool {
        let Some(refused) = self.each(alerts.chunks(1)) else {
            return false;
        };
        if refused.len() == alerts.len() {
            return false;
        }
        // The server may have come back between two of them.
        let again = refused.iter().map(|(alert, _)| *alert);
        let Some(refused) = self.each(again) else {
            return false;
        };
        for (alert, why) in refused {
            self.lose(alert, &why);
        }
        if let Some(last) = alerts.last() {
            self.feed.reached(last.sequence);
        }
        true
    }

    /// Sends each of `alerts`, which are one each; those that are not taken, or nothing when the
    /// server is away or busy.
    fn each<'a>(
        &mut self,
        alerts: impl Iterator<Item = &'a [Arc<Entry>]>,
    ) -> Option<Vec<Refused<'a>>> {
        let mut refused = Vec::new();
        for alert in alerts {
            let (request, _) = self.body.request(alert)?;
            match self.attempt(&request) {
                Verdict::Taken => self.feed.taken(alert),
                // Of one alert there is but one verdict.
                Verdict::Each(_)
                | Verdict::Partly(..)
                | Verdict::Later {
                    perhaps_never: false,
                    ..
                } => return None,
                Verdict::Refused(why) | Verdict::Later { why, .. } => refused.push((alert, why)),
            }
        }
        Some(refused)
    }

    /// Deals with alerts of which each has its own verdict; those for later become `parts` again.
    fn sort<'a>(
        &self,
        alerts: &'a [Arc<Entry>],
        verdicts: &[Verdict],
        parts: &mut Vec<&'a [Arc<Entry>]>,
    ) {
        let is_for_later = |verdict: &&Verdict| matches!(verdict, Verdict::Later { .. });
        let mut again = Vec::new();
        for (alert, verdict) in alerts.chunks(1).zip(verdicts) {
            match verdict {
                Verdict::Refused(why) if again.is_empty() => self.lose(alert, why),
                Verdict::Refused(why) => self.tell_lost(alert, why),
                Verdict::Later { .. } => again.push(alert),
                Verdict::Taken | Verdict::Each(_) | Verdict::Partly(..) if again.is_empty() => {
                    self.taken(alert);
                }
                Verdict::Taken | Verdict::Each(_) | Verdict::Partly(..) => self.feed.taken(alert),
            }
        }
        if verdicts.iter().any(|verdict| is_for_later(&verdict)) {
            // It took some: it is not away, but it has enough for now.
            self.feed.pause(Backoff::up_to(LONGEST).pause(None));
        }
        parts.extend(again.into_iter().rev());
    }

    fn taken(&self, alerts: &[Arc<Entry>]) {
        self.feed.taken(alerts);
        if let Some(last) = alerts.last() {
            self.feed.reached(last.sequence);
        }
    }

    /// The server has all of `alerts` but `refused`, does not say which, and is not to be sent them
    /// again.
    fn partly(&self, alerts: &[Arc<Entry>], refused: u64, why: &str) {
        let (Some(first), Some(last)) = (alerts.first(), alerts.last()) else {
            return;
        };
        let (output, first, last) = (&self.name, first.sequence, last.sequence);
        self.feed.refused_some(refused, alerts);
        let taken = alerts.len() as u64 - refused;
        self.feed.metrics().written.inc_by(taken);
        tracing::error!(output, refused, first, last, why, "alerts are refused");
        self.feed.reached(last);
    }

    fn lose(&self, alerts: &[Arc<Entry>], why: &str) {
        self.tell_lost(alerts, why);
        if let Some(last) = alerts.last() {
            self.feed.reached(last.sequence);
        }
    }

    fn tell_lost(&self, alerts: &[Arc<Entry>], why: &str) {
        for entry in alerts {
            self.feed.refused(&self.name, entry, why);
        }
    }
}
