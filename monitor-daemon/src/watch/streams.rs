//! Questions to servers of names over TCP that lie in more than one segment, put together.
//!
//! Each segment is a record. Most are whole messages and pass as they are; of a message that is not
//! complete what is there is held, by connection and direction, until the rest comes. What is held is
//! bounded, and what has to be dropped counts as lost, by cgroup; so does what a record has no room for,
//! and what comes in another order than it was sent. Segments that are sent again are known by their
//! numbers. Pure.

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
    /// Messages dropped, by cgroup and why.
    lost: HashMap<(u64, Why), u64>,
}

/// Why something was dropped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Why {
    /// No room to hold it, or it did not come in order.
    Evicted,
    /// More than a record has room for.
    TooLong,
}

impl Why {
    const ALL: [Self; 2] = [Self::Evicted, Self::TooLong];

    const fn reason(self) -> LossReason {
        match self {
            Self::Evicted => LossReason::StateEvicted,
            Self::TooLong => LossReason::TooLong,
        }
    }
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
    /// Number of the first byte of all that was seen.
    first: u32,
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
        if body.socket.protocol != TCP {
            return Piece::Whole;
        }
        let key = Key::of(record, body);
        // What the record had no room for.
        let unseen = (body.length as usize).saturating_sub(bytes.len());
        let (mut stream, again) = self.stream_of(&key, record, body, unseen);
        if again > 0 && again >= bytes.len() {
            self.streams.insert(key, stream);
            return Piece::Held;
        }
        let bytes = bytes.get(again..).unwrap_or_default();
        let was_whole = stream.held.is_empty() && stream.skipped == 0;
        stream.next = body.sequence.wrapping_add(body.length);
        stream.time = record.header().time;
        let skipped = stream.skipped.min(bytes.len());
        stream.skipped -= skipped;
        stream.held.extend(bytes.get(skipped..).unwrap_or_default());
        let told = complete(&stream.held, body.received != 0);
        if told == 0 && !stream.held.is_empty() && was_whole && asks(&stream.held) {
            // The length was sent before.
            if unseen > 0 {
                self.lose(stream.cgroup, Why::TooLong);
            }
            return Piece::Whole;
        }
        let rest = stream.held.split_off(told.min(stream.held.len()));
        let messages = std::mem::replace(&mut stream.held, rest);
        stream.skipped += told - messages.len();
        let is_whole = was_whole && stream.held.is_empty();
        if stream.held.len() > MESSAGE_MAX {
            self.lose(stream.cgroup, Why::Evicted);
        } else if stream.skipped < unseen {
            self.lose(stream.cgroup, Why::TooLong);
        } else {
            stream.skipped -= unseen;
            self.keep(key, stream);
        }
        if is_whole {
            Piece::Whole
        } else if messages.is_empty() {
            Piece::Held
        } else {
            Piece::Completed(with_messages(record.header(), body, &messages))
        }
    }

    /// What a segment goes on with, or begins, and how many of its bytes were seen before.
    fn stream_of(
        &mut self,
        key: &Key,
        record: &Record<'_>,
        body: &Dns,
        unseen: usize,
    ) -> (Stream, usize) {
        let after = |number: u32| body.sequence.wrapping_sub(number).cast_signed();
        match self.streams.remove(key) {
            Some(stream) if after(stream.next) == 0 => (stream, 0),
            // Sent again, maybe with more.
            Some(stream) if after(stream.next) < 0 && after(stream.first) >= 0 && unseen == 0 => {
                let again = after(stream.next).unsigned_abs() as usize;
                (stream, again)
            }
            // A piece is missing or comes late, or it is another connection between the same ends.
            other => {
                let loses = |stream: &Stream| !stream.held.is_empty() || after(stream.first) < 0;
                if let Some(stream) = other.filter(loses) {
                    self.lose(stream.cgroup, Why::Evicted);
                }
                (Stream::new(record, body.sequence), 0)
            }
        }
    }

    /// Adds what was dropped to what the kernel lost.
    pub(super) fn add_lost(&self, all: &mut Vec<Loss>) {
        for why in Why::ALL {
            let lost = self.lost.iter().filter(|((_, reason), _)| *reason == why);
            let count: u64 = lost.map(|(_, count)| count).sum();
            let same = |loss: &&mut Loss| {
                (loss.kind, loss.reason, loss.cpu) == (Kind::Dns, why.reason(), 0)
            };
            match all.iter_mut().find(same) {
                Some(loss) => loss.count += count,
                None if count > 0 => all.push(Loss {
                    kind: Kind::Dns,
                    reason: why.reason(),
                    cpu: 0,
                    count,
                }),
                None => {}
            }
        }
    }

    /// The same by cgroup.
    pub(super) fn add_lost_by_cgroup(&self, all: &mut Vec<CgroupLoss>) {
        for (&(cgroup, _), &count) in &self.lost {
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
                self.lose(stream.cgroup, Why::Evicted);
            }
        }
        self.streams.insert(key, stream);
    }

    fn lose(&mut self, cgroup: u64, why: Why) {
        let known = self.lost.len() < CGROUPS_MAX || self.lost.contains_key(&(cgroup, why));
        let cgroup = if known { cgroup } else { 0 };
        *self.lost.entry((cgroup, why)).or_default() += 1;
    }
}

impl Key {
    fn of(record: &Record<'_>, body: &Dns) -> Self {
        let socket = &body.socket;
        Self {
            net_ns: record.task().net_ns,
            received: body.received,
            ports: (socket.local_port, socket.remote_port),
            ends: (socket.local, socket.remote),
        }
    }
}

impl Stream {
    fn new(record: &Record<'_>, first: u32) -> Self {
        Self {
            first,
            next: first,
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
