//! The brokers of a cluster: who leads which partition, and a connection to each that is needed.

use std::collections::BTreeMap;

use super::connection::{Api, BrokerError, Connection, INIT_PRODUCER_ID, METADATA, PRODUCE};
use super::errors::Code;
use super::wire::{self, NotKafka, Reader};
use crate::config::{Broker, Kafka};
use crate::output::in_turn::in_turn;

/// All replicas in sync have to have what is sent.
const ALL: i16 = -1;
/// The leader of a partition that has none.
const NOBODY: i32 = -1;

/// A way to the leaders of a topic's partitions.
#[derive(Debug)]
pub(super) struct Cluster {
    settings: Kafka,
    known: Option<Known>,
    open: BTreeMap<i32, Connection>,
}

/// What brokers said about the cluster.
#[derive(Debug)]
struct Known {
    brokers: BTreeMap<i32, Broker>,
    /// By number of the partition.
    leaders: BTreeMap<i32, i32>,
}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Producer {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// Something cannot be had of the cluster.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClusterError {
    #[error("{0}: {1}")]
    Broker(Broker, #[source] BrokerError),
    #[error("{0}")]
    Protocol(#[from] NotKafka),
    #[error("topic `{0}`: {1}")]
    Topic(String, Code),
    #[error("the broker says: {0}")]
    Producer(Code),
    #[error("partition {1} of topic `{0}` has no leader")]
    NoLeader(String, i32),
}

impl Cluster {
    pub(super) fn new(settings: Kafka) -> Self {
        Self {
            settings,
            known: None,
            open: BTreeMap::new(),
        }
    }

    /// How many partitions the topic has; it has one at least.
    pub(super) fn partitions(&mut self) -> Result<i32, ClusterError> {
        let leaders = &self.known()?.leaders;
        Ok(leaders.len() as i32)
    }

    /// Who leads has to be asked again.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// A number for a producer, which any broker may give.
    pub(super) fn introduce(&mut self) -> Result<Producer, ClusterError> {
        let mut nodes: Vec<i32> = self.known()?.brokers.keys().copied().collect();
        // One that was there just now, if there is such.
        nodes.sort_by_key(|node| !self.open.contains_key(node));
        let introduced = in_turn(nodes, |node| self.introduce_to(node));
        introduced.unwrap_or_else(|| Err(NotKafka.into()))
    }

    fn introduce_to(&mut self, node: i32) -> Result<Producer, ClusterError> {
        let mut body = Vec::new();
        // No transactions, and no time for them.
        body.extend_from_slice(&(-1_i16).to_be_bytes());
        body.extend_from_slice(&i32::MAX.to_be_bytes());
        let answer = self.ask(node, 0, INIT_PRODUCER_ID, &body)?;
        let mut answer = Reader(&answer);
        // How long the broker holds back, which it does by itself.
        answer.skip(4)?;
        let code = Code(answer.i16()?);
        let producer = Producer {
            id: answer.i64()?,
            epoch: answer.i16()?,
        };
        if code != Code(0) {
            return Err(ClusterError::Producer(code));
        }
        Ok(producer)
    }

    /// Sends a batch to the leader of `partition`; what it says of it.
    pub(super) fn produce(&mut self, partition: i32, batch: &[u8]) -> Result<Code, ClusterError> {
        let leader = self.known()?.leaders.get(&partition).copied();
        let mut body = Vec::new();
        body.extend_from_slice(&(-1_i16).to_be_bytes());
        body.extend_from_slice(&ALL.to_be_bytes());
        let time = self.settings.timeout.as_millis() as i32;
        body.extend_from_slice(&time.to_be_bytes());
        body.extend_from_slice(&1_i32.to_be_bytes());
        wire::text(&self.settings.topic, &mut body);
        body.extend_from_slice(&1_i32.to_be_bytes());
        body.extend_from_slice(&partition.to_be_bytes());
        wire::bytes(batch, &mut body);
        let leader = leader.unwrap_or(NOBODY);
        let answer = self.ask(leader, partition, PRODUCE, &body)?;
        let codes = Reader(&answer).several(|topic| {
            topic.text()?;
            topic.several(|partition| {
                partition.i32()?;
                let code = Code(partition.i16()?);
                // Where in the partition, and when.
                partition.skip(16)?;
                Ok(code)
            })
        })?;
        let code = codes.into_iter().flatten().next();
        Ok(code.ok_or(NotKafka)?)
    }

    /// Asks the broker `node`, which leads `partition`.
    fn ask(
        &mut self,
        node: i32,
        partition: i32,
        api: Api,
        body: &[u8],
    ) -> Result<Vec<u8>, ClusterError> {
        let topic = &self.settings.topic;
        let known = self.known.as_ref();
        let broker = known.and_then(|known| known.brokers.get(&node)).cloned();
        let broker = broker.ok_or_else(|| ClusterError::NoLeader(topic.clone(), partition))?;
        let wrong = |error| ClusterError::Broker(broker.clone(), error);
        if let Some(mut connection) = self.open.remove(&node) {
            match connection.ask(api, body) {
                Ok(answer) => {
                    self.open.insert(node, connection);
                    return Ok(answer);
                }
                // A broker closes what was idle, which is no trouble; sent twice is there once.
                Err(BrokerError::Exchange(_)) => {}
                Err(error) => return Err(wrong(error)),
            }
        }
        let mut connection = Connection::open(&broker, &self.settings).map_err(wrong)?;
        let answer = connection.ask(api, body).map_err(wrong)?;
        self.open.insert(node, connection);
        Ok(answer)
    }

    fn known(&mut self) -> Result<&Known, ClusterError> {
        let known = match self.known.take() {
            Some(known) => known,
            None => self.look()?,
        };
        Ok(self.known.insert(known))
    }

    /// Asks the first broker that answers.
    fn look(&mut self) -> Result<Known, ClusterError> {
        let answer = in_turn(&self.settings.brokers, |broker| {
            let wrong = |error| ClusterError::Broker(broker.clone(), error);
            ask_about(broker, &self.settings).map_err(wrong)
        });
        let topic = || self.settings.topic.clone();
        match answer {
            Some(Ok((known, Code(0)))) => Ok(known),
            Some(Ok((_, code))) => Err(ClusterError::Topic(topic(), code)),
            Some(Err(error)) => Err(error),
            None => Err(ClusterError::NoLeader(topic(), 0)),
        }
    }
}

/// What `broker` knows of the topic, and what is wrong with that.
fn ask_about(broker: &Broker, settings: &Kafka) -> Result<(Known, Code), BrokerError> {
    let mut connection = Connection::open(broker, settings)?;
    let mut body = Vec::new();
    body.extend_from_slice(&1_i32.to_be_bytes());
    wire::text(&settings.topic, &mut body);
    let answer = connection.ask(METADATA, &body)?;
    let mut answer = Reader(&answer);
    let brokers = answer.several(|broker| {
        let node = broker.i32()?;
        let host = broker.text()?;
        let port = broker.i32()? as u16;
        // The rack.
        broker.text()?;
        Ok((node, Broker { host, port }))
    })?;
    // Who controls.
    answer.skip(4)?;
    let topics = answer.several(|topic| {
        let code = Code(topic.i16()?);
        topic.text()?;
        // Whether it is Kafka's own.
        topic.skip(1)?;
        let partitions = topic.several(|partition| {
            // What is wrong shows when something is sent there.
            partition.i16()?;
            let number = partition.i32()?;
            let leader = partition.i32()?;
            partition.several(Reader::i32)?;
            partition.several(Reader::i32)?;
            Ok((number, leader))
        })?;
        Ok((code, partitions))
    })?;
    let (code, partitions) = topics.into_iter().next().ok_or(NotKafka)?;
    let known = Known {
        brokers: brokers.into_iter().collect(),
        leaders: partitions.into_iter().collect(),
    };
    let code = match code {
        // Just made, and nobody has it yet.
        Code(0) if known.leaders.is_empty() => Code(5),
        code => code,
    };
    Ok((known, code))
}
