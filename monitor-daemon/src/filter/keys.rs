//! Which keys of a quantity the fields of a clause allow.

use std::borrow::Cow;
use std::collections::BTreeSet;

use monitor_common::Kind;
use monitor_common::numbers::{
    LARGEST, MISSING, Quantity, UNKNOWN, ipv4, ipv6, number, protocol, result,
};
use monitor_policy::{
    Allowed, Clause, EventType, Field, FieldArg, FieldRef, TextKey, Value, ValueSet, place, text,
};

use super::is_of_container;
use crate::event::{NumberArgument, event_types, l4proto, of_family};

const EINPROGRESS: i64 = -115;
const AF_INET: u16 = 2;
/// More than there are errors with names.
const NAMED_ERRORS: i64 = 150;
/// More than there are address families, and a number that is none.
const FAMILIES: u16 = 64;
/// More than there are calls.
const CALLS: u32 = 1024;
/// Protocols of which something is said, and types of sockets.
const PROTOCOLS: [u32; 7] = [0, 1, 6, 17, 58, 132, 262];
const TYPES: u32 = 6;

/// By what the kernel can tell a field.
pub(super) enum Told {
    /// By a number of the event.
    By(Quantity),
    /// It is the same for all events of the kind.
    Always(Value<'static>),
    /// By whose it is.
    Scope,
}

/// By what the kernel can tell a field of events of a kind, which are of one of these types; `None`
/// where it cannot.
pub(super) fn told(kind: Kind, types: &[EventType], field: &FieldRef) -> Option<Told> {
    if let (Field::EvtArg, Some(FieldArg::Key(name))) = (field.field, &field.arg) {
        return argument(kind, types, name).map(Told::By);
    }
    if field.arg.is_some() {
        return None;
    }
    match field.field {
        Field::EvtRes | Field::EvtRawres | Field::EvtFailed => Some(Told::By(Quantity::Result)),
        // Of links by `io_uring`, and of some clones, the call is not known.
        Field::EvtType | Field::UserUid if is_link(kind) => None,
        Field::EvtType if kind == Kind::Clone => None,
        Field::EvtType => Some(Told::By(Quantity::Call)),
        Field::UserUid => Some(Told::By(Quantity::User)),
        one if is_of_container(one) => Some(Told::Scope),
        _ if kind == Kind::Ptrace || is_link(kind) || is_registers(kind) => None,
        Field::FdTypechar | Field::FdType | Field::FdSockfamily => Some(Told::By(Quantity::Family)),
        Field::FdL4proto => Some(Told::By(Quantity::Protocol)),
        _ if kind == Kind::Socket => None,
        one => constant(kind, one)
            .map(|flag| Told::Always(Value::Bool(flag)))
            .or_else(|| end(kind, one).map(Told::By)),
    }
}

fn argument(kind: Kind, types: &[EventType], name: &str) -> Option<Quantity> {
    match (kind, name) {
        (Kind::Socket, "domain") | (Kind::Ptrace, "request") => Some(Quantity::First),
        (Kind::Socket, "type") => Some(Quantity::Second),
        (Kind::Socket, "proto") => Some(Quantity::Third),
        _ if is_registers(kind) => {
            let argument = argument_of(types, name)?;
            Quantity::ARGUMENTS.get(argument.index).copied()
        }
        _ => None,
    }
}

/// The argument that a parameter is, if it is the same for all these types.
pub(super) fn argument_of(types: &[EventType], name: &str) -> Option<NumberArgument> {
    let mut each = types.iter().map(|event| NumberArgument::of(*event, name));
    let first = each.next()??;
    each.all(|other| other == Some(first)).then_some(first)
}

/// Kinds of calls that their registers tell.
const fn is_registers(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Module
            | Kind::Identity
            | Kind::Namespace
            | Kind::Memfd
            | Kind::Remove
            | Kind::Rename
            | Kind::Mode
            | Kind::Mkdir
            | Kind::Clone
            | Kind::Call
            | Kind::Control
            | Kind::Memory
    )
}

const fn is_link(kind: Kind) -> bool {
    matches!(kind, Kind::Symlink | Kind::Link)
}

/// A flag that all events of a kind have or have not.
const fn constant(kind: Kind, field: Field) -> Option<bool> {
    match (field, kind) {
        (Field::FdIsServer | Field::FdNameChanged, Kind::Receive) => None,
        (Field::FdIsServer, kind) => Some(is_server(kind)),
        (Field::FdNameChanged, Kind::Send) => Some(true),
        (Field::FdConnected, Kind::Send | Kind::Listen | Kind::Bind)
        | (Field::FdNameChanged, _) => Some(false),
        _ => None,
    }
}

const fn is_server(kind: Kind) -> bool {
    matches!(kind, Kind::Accept | Kind::Listen | Kind::Bind)
}

/// The quantity that tells of an end of a connection.
const fn end(kind: Kind, field: Field) -> Option<Quantity> {
    let server = is_server(kind);
    Some(match field {
        Field::FdConnected if matches!(kind, Kind::Connect | Kind::Accept) => Quantity::Result,
        Field::FdRip | Field::FdRnet => Quantity::RemoteAddress,
        Field::FdLip | Field::FdLnet => Quantity::LocalAddress,
        Field::FdRport => Quantity::RemotePort,
        Field::FdLport => Quantity::LocalPort,
        // It is the client or the server, by the message.
        _ if matches!(kind, Kind::Receive) => return None,
        Field::FdSip | Field::FdSnet if server => Quantity::LocalAddress,
        Field::FdSip | Field::FdSnet => Quantity::RemoteAddress,
        Field::FdCip | Field::FdCnet if server => Quantity::RemoteAddress,
        Field::FdCip | Field::FdCnet => Quantity::LocalAddress,
        Field::FdSport if server => Quantity::LocalPort,
        Field::FdSport => Quantity::RemotePort,
        Field::FdCport if server => Quantity::RemotePort,
        Field::FdCport => Quantity::LocalPort,
        _ => return None,
    })
}

/// What clauses ask of a quantity.
pub(super) struct Keys {
    /// Clauses that ask for it, a bit each.
    pub(super) asked: u64,
    /// For each field that asks, the clause and the keys that it allows.
    each: Vec<(u64, Vec<Span>)>,
}

/// Keys, with both ends.
type Span = (u64, u64);

impl Keys {
    pub(super) fn new(kind: Kind, quantity: Quantity, clauses: &[Clause]) -> Self {
        let mut keys = Self {
            asked: 0,
            each: Vec::new(),
        };
        for (at, clause) in clauses.iter().enumerate() {
            let types = types_of(kind, clause);
            for (field, allowed) in &clause.fields {
                if matches!(told(kind, &types, field), Some(Told::By(own)) if own == quantity) {
                    keys.asked |= 1 << at;
                    let spans = spans(kind, &types, field, allowed);
                    keys.each.push((1 << at, spans));
                }
            }
        }
        keys
    }

    /// Where the clauses that are left may change.
    pub(super) fn edges(&self) -> impl Iterator<Item = u64> {
        let spans = self.each.iter().flat_map(|(_, spans)| spans);
        spans.flat_map(|(first, last)| [*first, last + 1])
    }

    /// The clauses that a key leaves.
    pub(super) fn left(&self, key: u64) -> u64 {
        let refuses = |(_, spans): &&(u64, Vec<Span>)| {
            !spans
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&key))
        };
        let refused = self.each.iter().filter(refuses);
        refused.fold(u64::MAX, |left, (clause, _)| left & !clause)
    }
}

/// The types of the events that a clause is about.
pub(super) fn types_of(kind: Kind, clause: &Clause) -> Vec<EventType> {
    let names = event_types(kind).iter();
    let is_meant = |event: &EventType| {
        let types = clause.of(Field::EvtType);
        types.is_none_or(|types| types.set.contains(&text_of(event.name().into())))
    };
    let types = names.filter_map(|name| EventType::from_name(name));
    types.filter(is_meant).collect()
}

/// The keys at which a field may be as allowed.
fn spans(kind: Kind, types: &[EventType], field: &FieldRef, allowed: &Allowed) -> Vec<Span> {
    let is = |value: Option<Value<'_>>| match value {
        Some(value) => allowed.set.contains(&value),
        None => allowed.or_missing,
    };
    let set = &*allowed.set;
    let mut spans = match field.field {
        Field::EvtRawres => numbers(set, |number| result(clamped(number))),
        Field::EvtRes => results(|ret| is(Some(text_of(text::result(ret))))),
        Field::EvtFailed => results(|ret| is(Some(Value::Bool(ret < 0)))),
        Field::FdConnected => results(|ret| {
            let begun = ret == EINPROGRESS && kind == Kind::Connect;
            is(Some(Value::Bool(ret >= 0 || begun)))
        }),
        Field::EvtType => listed((0..CALLS).map(|call| {
            let name = EventType::from_syscall(call).map(|event| text_of(event.name().into()));
            (u64::from(call), name.is_none() || is(name))
        })),
        Field::FdTypechar | Field::FdType | Field::FdSockfamily => listed(
            (0..=FAMILIES).map(|family| (u64::from(family), is(of_family(field.field, family)))),
        ),
        Field::FdL4proto => protocols(|name| is(Some(text_of(name.into())))),
        Field::EvtArg => arguments(kind, types, field, set),
        _ => match set {
            ValueSet::Numbers(_) => numbers(set, |at| {
                number(u64::try_from(at.max(0)).unwrap_or(u64::MAX))
            }),
            ValueSet::Addresses(ranges) => ranges.iter().flat_map(addresses).collect(),
            _ => vec![(0, LARGEST)],
        },
    };
    let missing = match field.field {
        Field::FdL4proto => is(Some(text_of(l4proto(0, 0, 0).into()))),
        _ => allowed.or_missing,
    };
    if missing {
        spans.push((MISSING, MISSING));
    }
    spans
}

fn text_of(text: Cow<'_, str>) -> Value<'static> {
    Value::Text(text.into_owned().into_bytes().into())
}

fn clamped(number: i128) -> i64 {
    let most = i128::from(i64::MAX);
    i64::try_from(number.clamp(-most, most)).unwrap_or_default()
}

/// Ranges of numbers as keys, of which the order is the same.
fn numbers(set: &ValueSet, key: impl Fn(i128) -> u64) -> Vec<Span> {
    match set {
        ValueSet::Numbers(ranges) => {
            let span = |(low, high): &(i128, i128)| (key(*low), key(*high));
            ranges.iter().map(span).collect()
        }
        _ => vec![(0, LARGEST)],
    }
}

/// The results for which something holds, which is the same for all that are no errors.
fn results(holds: impl Fn(i64) -> bool) -> Vec<Span> {
    let errors = (-NAMED_ERRORS..0).filter(|error| holds(*error));
    let mut spans: Vec<Span> = errors.map(|error| (result(error), result(error))).collect();
    // There are hardly any.
    spans.push((0, result(-NAMED_ERRORS - 1)));
    if holds(0) {
        spans.push((result(0), LARGEST));
    }
    spans
}

/// Keys from 0 on, each with whether it is allowed; the last stands for all above it.
fn listed(each: impl Iterator<Item = (u64, bool)>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut last = (0, true);
    for (key, allowed) in each {
        last = (key, allowed);
        if allowed {
            spans.push((key, key));
        }
    }
    if last.1 {
        spans.push((last.0, LARGEST));
    }
    spans
}

/// Types and protocols of sockets of IP for which something holds.
fn protocols(holds: impl Fn(&'static str) -> bool) -> Vec<Span> {
    let key = |kind, of| protocol(AF_INET.into(), kind, of);
    let mut spans = Vec::new();
    for kind in 0..TYPES {
        let mut next = 0;
        for known in PROTOCOLS {
            // Those between two are all alike.
            if next < known && holds(l4proto(AF_INET, kind, next)) {
                spans.push((key(kind, next), key(kind, known - 1)));
            }
            if holds(l4proto(AF_INET, kind, known)) {
                spans.push((key(kind, known), key(kind, known)));
            }
            next = known + 1;
        }
        if holds(l4proto(AF_INET, kind, next)) {
            spans.push((key(kind, next), key(kind, u32::MAX)));
        }
    }
    // There are few of these; by their protocol they are one or the other.
    let others = [0, 1].map(|known| holds(l4proto(AF_INET, TYPES, known)));
    if others.contains(&true) {
        spans.push((key(TYPES, 0), LARGEST));
    }
    spans
}

/// The arguments of which the text is in a set.
fn arguments(kind: Kind, types: &[EventType], field: &FieldRef, set: &ValueSet) -> Vec<Span> {
    let Some(FieldArg::Key(name)) = &field.arg else {
        return vec![(0, LARGEST)];
    };
    match (kind, &**name) {
        (Kind::Ptrace, _) => values((0..=64).chain(0x4200..=0x4220), set, text::ptrace_request),
        (Kind::Socket, "domain") => {
            values(0..=64, set, |domain| text::socket_domain(domain as u32))
        }
        (Kind::Socket, _) => values(0..0, set, |number| number.to_string().into()),
        _ => match argument_of(types, name) {
            Some(argument) if argument.has_bits() => bits(argument, set),
            Some(argument) => {
                let text = |value| String::from_utf8_lossy(&argument.text(value)).into_owned();
                let mut spans = values(argument.named().into_iter(), set, |value| {
                    text(value).into()
                });
                // Most are words of 32 bits: others are read by their lower half, and some have a sign.
                spans.push((1 << 31, LARGEST));
                spans
            }
            None => vec![(0, LARGEST)],
        },
    }
}

/// Arguments that read as the names of the bits that they have: those that are large enough for one
/// that has to be there.
fn bits(argument: NumberArgument, set: &ValueSet) -> Vec<Span> {
    let ValueSet::Having(keys) = set else {
        return vec![(0, LARGEST)];
    };
    let names: Vec<(u64, Vec<u8>)> = argument
        .named()
        .into_iter()
        .map(|bit| (bit, argument.text(bit)))
        .collect();
    let least = |key: &TextKey| {
        let (TextKey::Exact(text)
        | TextKey::Prefix(text)
        | TextKey::Suffix(text)
        | TextKey::Inside(text)) = key
        else {
            return 0;
        };
        // What has no bit with a name reads as a number.
        if may_be_number(key) || text.iter().all(u8::is_ascii_digit) {
            return 0;
        }
        let of_part = |part: &[u8]| {
            let has =
                |name: &[u8]| part.is_empty() || name.windows(part.len()).any(|at| at == part);
            let bits = names.iter().filter(|(_, name)| has(name));
            bits.map(|(bit, _)| *bit).min().unwrap_or(LARGEST)
        };
        text.split(|byte| *byte == b'|')
            .map(of_part)
            .max()
            .unwrap_or(0)
    };
    vec![(keys.iter().map(least).min().unwrap_or(LARGEST), LARGEST)]
}

/// The arguments of which the text is in a set, where all but some with names read as their number.
fn values(
    named: impl Iterator<Item = u64>,
    set: &ValueSet,
    text: impl Fn(u64) -> Cow<'static, str>,
) -> Vec<Span> {
    let (ValueSet::Having(keys) | ValueSet::Lacking(keys)) = set else {
        return vec![(0, LARGEST)];
    };
    let written = keys.iter().filter_map(|key| match key {
        TextKey::Exact(text) => std::str::from_utf8(text).ok()?.parse::<u64>().ok(),
        _ => None,
    });
    let points: BTreeSet<u64> = named.chain(written).map(number).collect();
    let others = match set {
        ValueSet::Lacking(_) => true,
        _ => keys.iter().any(may_be_number),
    };
    let mut spans = Vec::new();
    let mut next = 0;
    for point in points {
        if others && next < point {
            spans.push((next, point - 1));
        }
        if point == LARGEST || set.contains(&text_of(text(point))) {
            spans.push((point, point));
        }
        next = point + 1;
    }
    if others && next <= LARGEST {
        spans.push((next, LARGEST));
    }
    spans
}

/// Whether a number that is not named anywhere, written out, may have this.
fn may_be_number(key: &TextKey) -> bool {
    match key {
        TextKey::Exact(_) => false,
        TextKey::Below(_) => true,
        TextKey::Prefix(text) | TextKey::Suffix(text) | TextKey::Inside(text) => {
            text.iter().all(u8::is_ascii_digit)
        }
    }
}

/// A range of addresses: what it has of IPv4, and of IPv6 by the first 64 bits.
fn addresses(range: &(i128, i128)) -> Vec<Span> {
    let bounds = ["0.0.0.0", "255.255.255.255"];
    let bounds = bounds.map(|text| text.parse().map_or(0, place));
    let [first, last] = bounds;
    let (low, high) = (range.0.max(first), range.1.min(last));
    let mut spans = Vec::new();
    if low <= high {
        spans.push((ipv4((low - first) as u32), ipv4((high - first) as u32)));
    }
    if range.0 < first || range.1 > last {
        // The order of places begins in the middle of the addresses.
        let network = |place: i128| ((place >> 64) as u64) ^ (1 << 63);
        spans.push((ipv6(network(range.0)), ipv6(network(range.1))));
    }
    spans
}

const _: () = assert!(UNKNOWN == MISSING + 1);
