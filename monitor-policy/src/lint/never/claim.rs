//! What a test says of the value that it looks at, as far as two such claims can be compared.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use memchr::memmem::find;

use super::super::literals;
use super::single_field;
use crate::condition::ast::{Check, Literal, Modifier, Operand, Operator, Right};
use crate::field::{Field, FieldKind as K};
use crate::services;

/// What has to be so for a test to turn out as it has to.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim {
    /// Whether there is a value.
    pub(super) exists: Option<bool>,
    /// One of these holds of the value, if there is one.
    pub(super) any: Option<Vec<Atom>>,
    /// None of these holds of it.
    pub(super) none: Vec<Atom>,
}

/// Something that holds of a value or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Atom {
    /// It is this text.
    Text(Vec<u8>),
    /// It begins so.
    Begins(Vec<u8>),
    /// It ends so.
    Ends(Vec<u8>),
    /// It has this in it.
    Has(Vec<u8>),
    /// The same in small letters.
    HasFolded(Vec<u8>),
    /// It is among these numbers.
    Number(RangeInclusive<i128>),
    /// It is this address.
    Address(IpAddr),
}

/// The claims of a test that has to hold, or must not; nothing if they cannot be told.
pub(super) fn claims(check: &Check, holds: bool) -> Vec<Claim> {
    let Some(kind) = kind(check) else {
        return Vec::new();
    };
    if check.operator == Operator::Exists {
        return vec![Claim {
            exists: Some(holds),
            ..Claim::default()
        }];
    }
    let exists = holds.then_some(true);
    let alone = Claim {
        exists,
        ..Claim::default()
    };
    let atoms: Option<Vec<Atom>> = literals(check)
        .iter()
        .map(|literal| atom(check.operator, kind, literal, holds))
        .collect();
    let Some(atoms) = atoms.filter(|atoms| !atoms.is_empty()) else {
        return vec![alone];
    };
    let differs = check.operator == Operator::NotEqual;
    match (&check.right, holds) {
        (Right::Literal(_), _) if differs == holds => vec![Claim {
            none: atoms,
            ..alone
        }],
        (Right::Modified(..), _) if differs => vec![alone],
        (Right::Modified(Modifier::All, _), true) => {
            let each = |atom| Claim {
                any: Some(vec![atom]),
                ..alone.clone()
            };
            atoms.into_iter().map(each).collect()
        }
        (Right::Modified(Modifier::Any, _) | Right::List(_), false) => vec![Claim {
            none: atoms,
            ..alone
        }],
        (Right::Literal(_), _) | (Right::Modified(..) | Right::List(_), true) => vec![Claim {
            any: Some(atoms),
            ..alone
        }],
        _ => vec![alone],
    }
}

/// The type of the one value that a test looks at. Nothing is said of a value that changes as it
/// is asked for, nor of `evt.num`.
fn kind(check: &Check) -> Option<K> {
    if let Operand::Call(call) = &check.left {
        let texts = ["tolower", "toupper", "basename"];
        let inner = call
            .arguments
            .first()
            .filter(|_| texts.contains(&call.name.as_str()));
        let mut alone = check.clone();
        alone.left = inner?.clone();
        return kind(&alone);
    }
    let field = single_field(check)?.field;
    let told = !matches!(field, Field::UtilCnt | Field::EvtNum);
    told.then(|| field.definition().kind)
}

/// What a value has to be to pass a test with one literal. For a test that has to hold it may be
/// less than all.
fn atom(operator: Operator, kind: K, literal: &Literal, holds: bool) -> Option<Atom> {
    use Operator as O;
    let bytes = &literal.bytes;
    let equal = matches!(
        operator,
        O::Equal | O::Same | O::NotEqual | O::In | O::Intersects
    );
    match kind {
        K::Text | K::Bytes => Some(match operator {
            _ if equal => Atom::Text(bytes.clone()),
            O::StartsWith => Atom::Begins(bytes.clone()),
            O::EndsWith => Atom::Ends(bytes.clone()),
            O::Contains => Atom::Has(bytes.clone()),
            O::IContains => Atom::HasFolded(bytes.to_ascii_lowercase()),
            O::Glob if holds => Atom::Begins(before_pattern(bytes)),
            _ => return None,
        }),
        K::Address => {
            let text = std::str::from_utf8(bytes).ok()?;
            equal.then(|| text.parse().ok().map(Atom::Address))?
        }
        K::Float | K::Dynamic | K::Network => None,
        _ => range(operator, kind, literal).map(Atom::Number),
    }
}

/// What stands before the first character of a pattern that does not stand for itself.
fn before_pattern(pattern: &[u8]) -> Vec<u8> {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    pattern
        .iter()
        .copied()
        .take_while(|byte| !special(byte))
        .collect()
}

/// The whole numbers that pass a comparison.
fn range(operator: Operator, kind: K, literal: &Literal) -> Option<RangeInclusive<i128>> {
    let text = std::str::from_utf8(&literal.bytes).ok()?;
    let number = match (kind, text) {
        (K::Bool, "true") => 1,
        (K::Bool, "false") => 0,
        (K::Bool, _) => return None,
        (K::Port, _) => {
            services::port(text).map_or_else(|| text.parse().ok(), |port| Some(port.into()))?
        }
        _ => text.parse::<i128>().ok()?,
    };
    let signed = matches!(kind, K::Signed64 | K::Signed32 | K::Signed16);
    // Of unsigned fields a negative number wraps.
    if !signed && number < 0 {
        return None;
    }
    Some(match operator {
        Operator::Less => i128::MIN..=number.checked_sub(1)?,
        Operator::LessEqual => i128::MIN..=number,
        Operator::Greater => number.checked_add(1)?..=i128::MAX,
        Operator::GreaterEqual => number..=i128::MAX,
        _ => number..=number,
    })
}

impl Claim {
    /// How many literals it has.
    pub(super) fn size(&self) -> usize {
        self.any.as_ref().map_or(0, Vec::len) + self.none.len()
    }
}

impl Atom {
    /// Whether no value fulfils both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), other) | (other, Self::Text(text)) => !other.holds_of(text),
            (Self::Begins(one), Self::Begins(other)) => {
                !one.starts_with(other) && !other.starts_with(one)
            }
            (Self::Ends(one), Self::Ends(other)) => !one.ends_with(other) && !other.ends_with(one),
            (Self::Number(one), Self::Number(other)) => {
                one.end() < other.start() || other.end() < one.start()
            }
            (Self::Address(one), Self::Address(other)) => one != other,
            _ => false,
        }
    }

    /// Whether every value that fulfils this fulfils the other.
    pub(super) fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), other) => other.holds_of(text),
            (Self::Begins(one), Self::Begins(other)) => one.starts_with(other),
            (Self::Ends(one), Self::Ends(other)) => one.ends_with(other),
            (Self::Begins(one) | Self::Ends(one) | Self::Has(one), Self::Has(other)) => {
                find(one, other).is_some()
            }
            (
                Self::Begins(one) | Self::Ends(one) | Self::Has(one) | Self::HasFolded(one),
                Self::HasFolded(other),
            ) => find(&one.to_ascii_lowercase(), other).is_some(),
            (Self::Number(one), Self::Number(other)) => {
                one.start() >= other.start() && one.end() <= other.end()
            }
            (Self::Address(one), Self::Address(other)) => one == other,
            _ => false,
        }
    }

    fn holds_of(&self, text: &[u8]) -> bool {
        match self {
            Self::Text(other) => text == other.as_slice(),
            Self::Begins(start) => text.starts_with(start),
            Self::Ends(end) => text.ends_with(end),
            Self::Has(part) => find(text, part).is_some(),
            Self::HasFolded(part) => find(&text.to_ascii_lowercase(), part).is_some(),
            Self::Number(_) | Self::Address(_) => true,
        }
    }
}
