//! Sets of values: what a field has to be for a test to hold, or more than that.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::event::Value;
use crate::matching::PathSet;

/// Most comparisons of keys to find out whether a set is part of another.
const COMPARISONS: usize = 1024;
/// What makes order of signed numbers that of unsigned ones.
const SIGN: u128 = 1 << 127;

/// Something that a text can have.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TextKey {
    /// It is this.
    Exact(Box<[u8]>),
    /// It begins with it.
    Prefix(Box<[u8]>),
    /// It ends with it.
    Suffix(Box<[u8]>),
    /// It has it inside.
    Inside(Box<[u8]>),
    /// It is this path or one below.
    Below(Box<[u8]>),
}

/// A set of values.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ValueSet {
    /// Texts that have one of these.
    Having(BTreeSet<TextKey>),
    /// Texts that have none of these.
    Lacking(BTreeSet<TextKey>),
    /// Whole numbers and flags: ranges with both ends, sorted, apart from each other.
    Numbers(Ranges),
    /// Addresses: ranges likewise, of their [places](place).
    Addresses(Ranges),
}

/// Ranges of numbers, with both ends, sorted, apart from each other.
pub type Ranges = Vec<(i128, i128)>;

/// The place of an address in the order of all: that of IPv6, with IPv4 in IPv6 form. A value of an
/// event is never an IPv4 address in IPv6 form.
pub fn place(address: IpAddr) -> i128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    (u128::from(address) ^ SIGN) as i128
}

/// The address at a place.
fn address_at(place: i128) -> IpAddr {
    Ipv6Addr::from(place as u128 ^ SIGN).to_canonical()
}

impl TextKey {
    fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(key) => text == key.as_ref(),
            Self::Prefix(key) => text.starts_with(key),
            Self::Suffix(key) => text.ends_with(key),
            Self::Inside(key) => memchr::memmem::find(text, key).is_some(),
            Self::Below(key) => is_below(text, key),
        }
    }

    /// Whether every text that has this has `other` too.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(text), other) => other.fits(text),
            (Self::Below(one), Self::Below(_))
            | (Self::Prefix(one), Self::Prefix(_) | Self::Inside(_))
            | (Self::Suffix(one), Self::Suffix(_) | Self::Inside(_))
            | (Self::Inside(one), Self::Inside(_)) => other.fits(one),
            _ => false,
        }
    }

    /// Whether it is known that no text has both.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(text), key) | (key, Self::Exact(text)) => !key.fits(text),
            (Self::Prefix(one), Self::Prefix(two)) => {
                !one.starts_with(two) && !two.starts_with(one)
            }
            (Self::Suffix(one), Self::Suffix(two)) => !one.ends_with(two) && !two.ends_with(one),
            _ => false,
        }
    }
}

fn is_below(path: &[u8], top: &[u8]) -> bool {
    PathSet::new(std::iter::once(top)).matches(path)
}

impl ValueSet {
    /// The numbers that fulfil a condition that changes its mind only beside `edges`.
    pub(super) fn numbers(edges: impl Iterator<Item = i128>, holds: impl Fn(i128) -> bool) -> Self {
        Self::Numbers(ranges_of(edges, holds))
    }

    /// The addresses that fulfil a condition that changes its mind only at the ends of networks.
    pub(super) fn addresses(networks: &[IpNet], holds: impl Fn(IpAddr) -> bool) -> Self {
        let own = networks
            .iter()
            .flat_map(|network| [network.network(), network.broadcast()]);
        let mapped = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST].map(IpAddr::V4);
        let edges = own.chain(mapped).map(place);
        Self::Addresses(ranges_of(edges, |at| holds(address_at(at))))
    }

    /// Whether it is known that nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Having(keys) => keys.is_empty(),
            Self::Lacking(_) => false,
            Self::Numbers(ranges) | Self::Addresses(ranges) => ranges.is_empty(),
        }
    }

    /// Whether it is known that everything is in it.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Having(_) => false,
            Self::Lacking(keys) => keys.is_empty(),
            Self::Numbers(ranges) | Self::Addresses(ranges) => ranges == &[(i128::MIN, i128::MAX)],
        }
    }

    /// Whether a value is in it.
    pub fn contains(&self, value: &Value<'_>) -> bool {
        let text = |keys: &BTreeSet<TextKey>, wanted: bool| match value {
            Value::Text(text) => keys.iter().any(|key| key.fits(text)) == wanted,
            _ => true,
        };
        match self {
            Self::Having(keys) => text(keys, true),
            Self::Lacking(keys) => text(keys, false),
            Self::Numbers(ranges) => {
                let number = match value {
                    Value::Unsigned(number) => i128::from(*number),
                    Value::Signed(number) => i128::from(*number),
                    Value::Bool(flag) => i128::from(*flag),
                    _ => return true,
                };
                are_in(ranges, number)
            }
            Self::Addresses(ranges) => match value {
                Value::Address(address) => are_in(ranges, place(*address)),
                _ => true,
            },
        }
    }

    /// Whether all of it is known to be in `other`.
    pub(super) fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Having(own) | Self::Lacking(own),
                Self::Having(others) | Self::Lacking(others),
            ) if own.len() * others.len() > COMPARISONS => false,
            (Self::Having(own), Self::Having(others)) => own
                .iter()
                .all(|key| others.iter().any(|other| key.implies(other))),
            (Self::Lacking(own), Self::Lacking(others)) => others
                .iter()
                .all(|key| own.iter().any(|own| key.implies(own))),
            (Self::Numbers(_), Self::Numbers(_)) | (Self::Addresses(_), Self::Addresses(_)) => {
                self.intersection(other) == *self
            }
            _ => false,
        }
    }

    /// Whether [`Self::union`] with `other` has nothing more than either.
    pub(super) const fn joins(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Having(_), Self::Having(_))
                | (Self::Numbers(_), Self::Numbers(_))
                | (Self::Addresses(_), Self::Addresses(_))
        )
    }

    /// What is in either, or more.
    pub(super) fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Having(one), Self::Having(two)) => {
                let all: BTreeSet<_> = one.union(two).cloned().collect();
                let needed =
                    |key: &&TextKey| !all.iter().any(|other| other != *key && key.implies(other));
                Self::Having(all.iter().filter(needed).cloned().collect())
            }
            (Self::Lacking(one), Self::Lacking(two)) => {
                Self::Lacking(one.intersection(two).cloned().collect())
            }
            (Self::Having(having), Self::Lacking(lacking))
            | (Self::Lacking(lacking), Self::Having(having)) => {
                // What is left out must be left out by both.
                let apart = |key: &&TextKey| having.iter().all(|other| key.excludes(other));
                Self::Lacking(lacking.iter().filter(apart).cloned().collect())
            }
            (Self::Numbers(one), Self::Numbers(two)) => Self::Numbers(either(one, two)),
            (Self::Addresses(one), Self::Addresses(two)) => Self::Addresses(either(one, two)),
            _ => Self::Lacking(BTreeSet::new()),
        }
    }

    /// What is in both, or more.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Having(one), Self::Having(two)) => {
                let implied = |keys: &BTreeSet<TextKey>, others: &BTreeSet<TextKey>| {
                    let known = |key: &&TextKey| others.iter().any(|other| key.implies(other));
                    keys.iter().filter(known).cloned().collect::<BTreeSet<_>>()
                };
                let exact = |keys: &BTreeSet<TextKey>| {
                    keys.iter().all(|key| matches!(key, TextKey::Exact(_)))
                };
                if exact(one) {
                    Self::Having(implied(one, two))
                } else if exact(two) {
                    Self::Having(implied(two, one))
                } else {
                    Self::Having(if one.len() <= two.len() { one } else { two }.clone())
                }
            }
            (Self::Having(having), Self::Lacking(lacking))
            | (Self::Lacking(lacking), Self::Having(having)) => {
                let left = |key: &&TextKey| !lacking.iter().any(|other| key.implies(other));
                Self::Having(having.iter().filter(left).cloned().collect())
            }
            (Self::Lacking(one), Self::Lacking(two)) => {
                Self::Lacking(one.union(two).cloned().collect())
            }
            (Self::Numbers(one), Self::Numbers(two)) => Self::Numbers(both(one, two)),
            (Self::Addresses(one), Self::Addresses(two)) => Self::Addresses(both(one, two)),
            (one, _) => one.clone(),
        }
    }
}

/// The numbers that fulfil a condition that changes its mind only beside `edges`.
fn ranges_of(edges: impl Iterator<Item = i128>, holds: impl Fn(i128) -> bool) -> Ranges {
    let mut points: BTreeSet<i128> = edges
        .flat_map(|edge| [edge.saturating_sub(1), edge, edge.saturating_add(1)])
        .collect();
    points.extend([i128::MIN, i128::MAX]);
    let mut ranges: Vec<(i128, i128)> = Vec::new();
    let mut next = points.iter().skip(1);
    for point in &points {
        // Between two points all is as at the first of them.
        let end = next.next().map_or(*point, |next| next - 1);
        if !holds(*point) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.1 + 1 == *point => last.1 = end,
            _ => ranges.push((*point, end)),
        }
    }
    ranges
}

fn either(one: &[(i128, i128)], two: &[(i128, i128)]) -> Ranges {
    let edges = one.iter().chain(two).flat_map(|(low, high)| [*low, *high]);
    ranges_of(edges, |number| are_in(one, number) || are_in(two, number))
}

fn both(one: &[(i128, i128)], two: &[(i128, i128)]) -> Ranges {
    let pairs = one.iter().flat_map(|a| two.iter().map(move |b| (a, b)));
    let both = pairs.filter_map(|(a, b)| {
        let (low, high) = (a.0.max(b.0), a.1.min(b.1));
        (low <= high).then_some((low, high))
    });
    both.collect()
}

fn are_in(ranges: &[(i128, i128)], number: i128) -> bool {
    ranges
        .iter()
        .any(|(low, high)| (*low..=*high).contains(&number))
}

impl fmt::Display for TextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, text, after) = match self {
            Self::Exact(text) => ("", text, ""),
            Self::Prefix(text) => ("", text, "*"),
            Self::Suffix(text) => ("*", text, ""),
            Self::Inside(text) => ("*", text, "*"),
            Self::Below(text) => ("", text, "/**"),
        };
        write!(f, "{before}{}{after}", text.escape_ascii())
    }
}

impl fmt::Display for ValueSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negation, parts): (_, Vec<String>) = match self {
            Self::Having(keys) => ("", keys.iter().map(ToString::to_string).collect()),
            Self::Lacking(keys) => ("not ", keys.iter().map(ToString::to_string).collect()),
            Self::Numbers(ranges) => ("", ranges.iter().map(range).collect()),
            Self::Addresses(ranges) => ("", ranges.iter().map(addresses).collect()),
        };
        write!(f, "{negation}{}", parts.join(" | "))
    }
}

fn range((low, high): &(i128, i128)) -> String {
    match (*low == i128::MIN, *high == i128::MAX) {
        (true, true) => "any".to_owned(),
        (true, false) => format!("<= {high}"),
        (false, true) => format!(">= {low}"),
        (false, false) if low == high => low.to_string(),
        (false, false) => format!("{low}..{high}"),
    }
}

fn addresses((low, high): &(i128, i128)) -> String {
    let (low, high) = (address_at(*low), address_at(*high));
    if low == high {
        low.to_string()
    } else {
        format!("{low}-{high}")
    }
}
