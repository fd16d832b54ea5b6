//! Questions to servers of names over TCP that lie in more than one segment, put together.
//!
//! Each segment is a record. Most are whole messages and pass as they are; of a message that is not
//! complete what is there is held, by connection and direction, until the rest comes. What is held is
//! bounded, and what has to be dropped counts as lost, by cgroup. Segments that are sent again are
//! known by their numbers. Pure.

use std::collections::HashMap;

use monitor_common::loss::LossReason;
use monitor_common::network::Dns;
use monitor_common::{Header, Kind, Slot};
use zerocopy::IntoBytes as _;

use crate::event::asks;
use crate::probe::{CgroupLoss, Loss};
use crate::record::{Body, Record};

#[cfg(test)]
mod tests;

const TCP: u16 = 6;
/// Bytes held of a message: a question takes 300, the rest is what servers let follow.
const MESSAGE_MAX: usize = 2048;
/// Messages in pieces at a time.
const STREAMS_MAX: usize = 256;
/// Cgroups whose losses are told apart; others count as one that is not known.
const CGROUPS_MAX: usize = 256;

/// What is to be made of a record.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Piece {
    /// It stands for itself.
    Whole,
    /// A record of the messages that are complete now is told instead.
    Completed(Vec<u8>),
    /// Nothing is told yet, or it was told before.
    Held,
}

/// Connections in the middle of a message.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<Key, Stream>,
    /// Messages dropped, by cgroup.
    lost: HashMap<u64, u64>,
}

/// A direction of a connection.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Key {
    net_ns: u32,
    received: u32,
    ports: (u16, u16),
    ends: ([u8; 16], [u8; 16]),
}

#[derive(Debug)]
struct Stream {
    /// Number of the byte that comes next.
    next: u32,
    /// Bytes of a message that was told already.
    skipped: usize,
    held: Vec<u8>,
    cgroup: u64,
    /// Time of the latest record.
    time: u64,
}

impl Streams {
    /// Takes in a record.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Piece {
        let Body::Dns(body) = record.body() else {
            return Piece::Whole;
        };
        let bytes = record.string(Slot::Args);
        let socket = &body.socket;
        if socket.protocol != TCP {
            return Piece::Whole;
        }
        let key = Key {
            net_ns: record.task().net_ns,
            received: body.received,
            ports: (socket.local_port, socket.remote_port),
            ends: (socket.local, socket.remote),
        };
        let known = self.streams.remove(&key);
        if bytes.len() < body.length as usize {
            return Piece::Whole;
        }
        let known = known.map(|stream| (body.sequence.wrapping_sub(stream.next), stream));
        let (mut stream, bytes) = match known {
            Some((0, stream)) => (stream, bytes),
            // Sent again, maybe with more.
            Some((distance, stream)) if distance.cast_signed() < 0 => {
                let new = bytes.get(distance.wrapping_neg() as usize..);
                let Some(new) = new.filter(|new| !new.is_empty()) else {
                    self.streams.insert(key, stream);
                    return Piece::Held;
                };
                (stream, new)
            }
            // Another connection between the same ends, or a piece is missing.
            _ => (Stream::new(record), bytes),
        };
        let was_whole = stream.held.is_empty() && stream.skipped == 0;
        stream.next = body.sequence.wrapping_add(body.length);
        stream.time = record.header().time;
        let skipped = stream.skipped.min(bytes.len());
        stream.skipped -= skipped;
        stream.held.extend(bytes.get(skipped..).unwrap_or_default());
        let told = complete(&stream.held, body.received != 0);
        if told == 0 && !stream.held.is_empty() && was_whole && asks(&stream.held) {
            // The length was sent before.
            return Piece::Whole;
        }
        if told >= stream.held.len() && was_whole {
            stream.skipped = told - stream.held.len();
            stream.held.clear();
            self.keep(key, stream);
            return Piece::Whole;
        }
        let rest = stream.held.split_off(told.min(stream.held.len()));
        let messages = std::mem::replace(&mut stream.held, rest);
        stream.skipped += told - messages.len();
        if stream.held.len() > MESSAGE_MAX {
            self.lose(stream.cgroup);
        } else {
            self.keep(key, stream);
        }
        if messages.is_empty() {
            Piece::Held
        } else {
            Piece::Completed(with_messages(record.header(), body, &messages))
        }
    }

    /// Adds what was dropped to what the kernel lost.
    pub(super) fn add_lost(&self, all: &mut Vec<Loss>) {
        let count = self.lost.values().sum();
        if count > 0 {
            all.push(Loss {
                kind: Kind::Dns,
                reason: LossReason::StateEvicted,
                cpu: 0,
                count,
            });
        }
    }

    /// The same by cgroup.
    pub(super) fn add_lost_by_cgroup(&self, all: &mut Vec<CgroupLoss>) {
        for (&cgroup, &count) in &self.lost {
            let same = |loss: &&mut CgroupLoss| loss.cgroup == cgroup && loss.kind == Kind::Dns;
            match all.iter_mut().find(same) {
                Some(loss) => loss.count += count,
                None => all.push(CgroupLoss {
                    cgroup,
                    kind: Kind::Dns,
                    count,
                }),
            }
        }
    }

    /// Keeps a stream that is in the middle of a message.
    fn keep(&mut self, key: Key, stream: Stream) {
        if stream.held.is_empty() && stream.skipped == 0 {
            return;
        }
        if self.streams.len() >= STREAMS_MAX {
            let oldest = self.streams.values().map(|stream| stream.time).min();
            let is_oldest = |_: &Key, stream: &mut Stream| Some(stream.time) == oldest;
            let gone: Vec<Stream> = self
                .streams
                .extract_if(is_oldest)
                .map(|(_, stream)| stream)
                .collect();
            for stream in gone.iter().filter(|stream| !stream.held.is_empty()) {
                self.lose(stream.cgroup);
            }
        }
        self.streams.insert(key, stream);
    }

    fn lose(&mut self, cgroup: u64) {
        let known = self.lost.len() < CGROUPS_MAX || self.lost.contains_key(&cgroup);
        *self.lost.entry(if known { cgroup } else { 0 }).or_default() += 1;
    }
}

impl Stream {
    fn new(record: &Record<'_>) -> Self {
        Self {
            next: 0,
            skipped: 0,
            held: Vec::new(),
            cgroup: record.task().cgroup,
            time: 0,
        }
    }
}

/// Bytes of the messages, each behind its length, that can be told: complete ones, and a last one
/// whose question is there, of which the rest may be to come.
fn complete(bytes: &[u8], received: bool) -> usize {
    let mut told = 0;
    while let Some((length, message)) = bytes
        .get(told..)
        .and_then(|rest| rest.split_first_chunk::<2>())
    {
        let length = usize::from(u16::from_be_bytes(*length));
        let is_long = !received || length > MESSAGE_MAX;
        if message.len() < length && !(is_long && asks(message)) {
            break;
        }
        told += length + 2;
    }
    told
}

/// A record like another, of other messages.
fn with_messages(header: &Header, body: &Dns, messages: &[u8]) -> Vec<u8> {
    let mut body = *body;
    body.length = messages.len() as u32;
    body.socket.ret = messages.len() as i64;
    let mut header = *header;
    if let Some(length) = header.strings.get_mut(Slot::Args as usize) {
        *length = messages.len() as u32;
    }
    header.len = (size_of::<Header>() + size_of::<Dns>() + messages.len()) as u32;
    [header.as_bytes(), body.as_bytes(), messages].concat()
}
