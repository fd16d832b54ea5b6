//! Alerts to a topic of Kafka, by an idempotent producer: in batches, one under way at a time, each
//! until all replicas in sync have it.
//!
//! Alerts of one call may go to several partitions. What is kept is acknowledged only when all
//! before it is kept too; until then it is remembered, so that it is not sent twice. A batch that
//! fails is sent again as it is: the broker knows it by its numbers.

mod cluster;
mod connection;
mod errors;
mod records;
mod sasl;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use self::cluster::{Cluster, ClusterError, Producer};
use self::errors::{Code, Verdict};
use self::records::{Origin, Record};
use super::{Bus, Sent, Trouble};
use crate::alert_log::Entry;
use crate::config::{self, KafkaKey};
use crate::output::format::Encoder;

const NS_PER_MS: u64 = 1_000_000;
const CONTAINER: &str = "container.id";

/// Sends alerts.
#[derive(Debug)]
pub(in crate::output) struct Kafka {
    settings: config::Kafka,
    encoder: Encoder,
    cluster: Cluster,
    producer: Option<Producer>,
    /// By partition, the number of the next record there.
    next: BTreeMap<i32, i32>,
    /// What is to be sent first.
    pending: VecDeque<Batch>,
    /// By number of the alert, what became of those behind one that is not kept yet.
    done: BTreeMap<u64, Result<(), String>>,
}

/// Alerts for one partition.
#[derive(Debug)]
struct Batch {
    partition: i32,
    alerts: Vec<Arc<Entry>>,
    records: Vec<Record>,
    /// Number of the first record, once it was sent.
    sequence: Option<i32>,
}

impl Kafka {
    pub(in crate::output) fn new(settings: config::Kafka, encoder: Encoder) -> Self {
        Self {
            cluster: Cluster::new(settings.clone()),
            settings,
            encoder,
            producer: None,
            next: BTreeMap::new(),
            pending: VecDeque::new(),
            done: BTreeMap::new(),
        }
    }

    /// Sorts the first of `alerts` into batches.
    fn collect(&mut self, alerts: &[Arc<Entry>]) -> Result<(), ClusterError> {
        let count = self.cluster.partitions()?;
        let mut bytes = 0;
        for entry in alerts {
            if self.done.contains_key(&entry.sequence) {
                continue;
            }
            let record = self.record(entry);
            bytes += record.size();
            if !self.pending.is_empty() && bytes > self.settings.batch_bytes {
                break;
            }
            let partition = records::partition(&record.key, count);
            let same = |batch: &&mut Batch| batch.partition == partition;
            match self.pending.iter_mut().find(same) {
                Some(batch) => {
                    batch.alerts.push(Arc::clone(entry));
                    batch.records.push(record);
                }
                None => self.pending.push_back(Batch {
                    partition,
                    alerts: vec![Arc::clone(entry)],
                    records: vec![record],
                    sequence: None,
                }),
            }
        }
        Ok(())
    }

    fn record(&self, entry: &Entry) -> Record {
        let mut value = Vec::new();
        self.encoder.line(entry, &mut value);
        if value.last() == Some(&b'\n') {
            value.pop();
        }
        let container = match self.settings.key {
            KafkaKey::Host => None,
            KafkaKey::Container => entry.alert.field(CONTAINER).and_then(Value::as_str),
        };
        // The host is no container, nor is what is not known.
        let container = container.filter(|id| !id.is_empty() && *id != "host");
        Record {
            key: container.unwrap_or(&entry.alert.hostname).to_owned(),
            value,
            uuid: entry.uuid().to_string(),
            time: (entry.alert.time / NS_PER_MS) as i64,
        }
    }

    /// Sends the first batch; why it has to be sent again.
    fn send_first(&mut self) -> Result<(), String> {
        let producer = if let Some(producer) = self.producer {
            producer
        } else {
            let introduced = self.cluster.introduce();
            let producer = introduced.map_err(|error| self.lost_sight(&error))?;
            self.next.clear();
            *self.producer.insert(producer)
        };
        let Some(batch) = self.pending.front_mut() else {
            return Ok(());
        };
        let next = self.next.entry(batch.partition).or_default();
        let origin = Origin {
            producer: producer.id,
            epoch: producer.epoch,
            sequence: *batch.sequence.get_or_insert(*next),
        };
        let partition = batch.partition;
        let bytes = records::batch(&batch.records, origin);
        match self.cluster.produce(partition, &bytes) {
            Ok(code) => self.judge(code),
            Err(error) => Err(self.lost_sight(&error)),
        }
    }

    fn lost_sight(&mut self, error: &ClusterError) -> String {
        self.cluster.forget();
        error.to_string()
    }

    /// Deals with what the broker says of the first batch.
    fn judge(&mut self, code: Code) -> Result<(), String> {
        let topic = &self.settings.topic;
        let why = format!("topic `{topic}`: {code}");
        match code.verdict() {
            Verdict::Kept => {
                self.settle(&Ok(()));
                Ok(())
            }
            Verdict::Refused if self.split() => Ok(()),
            Verdict::Refused => {
                self.settle(&Err(why));
                Ok(())
            }
            Verdict::Introduce => {
                self.producer = None;
                for batch in &mut self.pending {
                    batch.sequence = None;
                }
                Err(why)
            }
            Verdict::Later => {
                self.cluster.forget();
                Err(why)
            }
        }
    }

    /// The first batch is done with.
    fn settle(&mut self, outcome: &Result<(), String>) {
        let Some(batch) = self.pending.pop_front() else {
            return;
        };
        if let (Ok(()), Some(first)) = (outcome, batch.sequence) {
            let count = batch.records.len() as i32;
            self.next.insert(batch.partition, later(first, count));
        }
        for entry in batch.alerts {
            self.done.insert(entry.sequence, outcome.clone());
        }
    }

    /// Makes two batches of the first; `false` when it is of one alert.
    fn split(&mut self) -> bool {
        let Some(mut batch) = self.pending.pop_front() else {
            return false;
        };
        // Its numbers were not used.
        batch.sequence = None;
        let half = batch.records.len() / 2;
        if half == 0 {
            self.pending.push_front(batch);
            return false;
        }
        let second = Batch {
            partition: batch.partition,
            alerts: batch.alerts.split_off(half),
            records: batch.records.split_off(half),
            sequence: None,
        };
        self.pending.push_front(second);
        self.pending.push_front(batch);
        true
    }
}

impl Bus for Kafka {
    fn send(&mut self, alerts: &[Arc<Entry>]) -> Sent {
        let mut result = Ok(());
        if self.pending.is_empty() {
            let collected = self.collect(alerts);
            result = collected.map_err(|error| self.lost_sight(&error));
        }
        while result.is_ok() && !self.pending.is_empty() {
            result = self.send_first();
        }
        let mut taken = 0;
        let mut trouble = result.err().map(Trouble::Later);
        for entry in alerts {
            match self.done.remove(&entry.sequence) {
                Some(Ok(())) => taken += 1,
                Some(Err(why)) => {
                    trouble = Some(Trouble::Refused(why));
                    break;
                }
                None => break,
            }
        }
        Sent { taken, trouble }
    }

    /// Brokers ask nothing.
    fn tend(&mut self) {}
}

/// Numbers of records begin anew with 0.
fn later(sequence: i32, count: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(count);
    (sum % (i64::from(i32::MAX) + 1)) as i32
}
