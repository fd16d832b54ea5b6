//! Literals: read by the type of what they are compared with.

use std::net::IpAddr;

use ipnet::IpNet;

use super::types::Type;
use crate::condition::Fault;
use crate::condition::ast::Literal;
use crate::event_type::EventType;
use crate::field::FieldKind;
use crate::nearest;
use crate::services;

/// Longest literal, in bytes.
const MAX_LENGTH: usize = 255;

/// A text.
pub(crate) fn text(literal: &Literal, kind: Type) -> Result<Box<[u8]>, Fault> {
    if literal.bytes.len() > MAX_LENGTH {
        let message = format!("values are at most {MAX_LENGTH} bytes long");
        return Err(Fault::syntax(message, literal.span.clone()));
    }
    if literal.bytes.contains(&0) && kind.kind != FieldKind::Bytes {
        return Err(Fault::syntax(
            "a text cannot have a zero byte",
            literal.span.clone(),
        ));
    }
    Ok(literal.bytes.as_slice().into())
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(literal: &Literal) -> Result<Box<[u8]>, Fault> {
    let refuse = || {
        let message = "expected an even number of hexadecimal digits";
        Fault::syntax(message, literal.span.clone())
    };
    if literal.bytes.is_empty() || !literal.bytes.len().is_multiple_of(2) {
        return Err(refuse());
    }
    let pair = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).ok()?;
        let valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    literal
        .bytes
        .chunks(2)
        .map(pair)
        .collect::<Option<_>>()
        .ok_or_else(refuse)
}

/// A whole number, a port or a boolean.
pub(crate) fn number(literal: &Literal, kind: Type) -> Result<i128, Fault> {
    let written = String::from_utf8_lossy(&literal.bytes);
    let refuse = |message: String| Fault::syntax(message, literal.span.clone());
    if kind.kind == FieldKind::Bool {
        return match written.as_ref() {
            "true" => Ok(1),
            "false" => Ok(0),
            _ => Err(refuse(format!("`{written}` is neither true nor false"))
                .with_help("a boolean is written `true` or `false`, in lower case")),
        };
    }
    if kind.kind == FieldKind::Port
        && let Some(port) = services::port(&written)
    {
        return Ok(i128::from(port));
    }
    let digits = written.strip_prefix(['-', '+']).unwrap_or(&written);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<i128> = if is_number {
        written.parse().ok()
    } else {
        None
    };
    let Some(number) = number else {
        let what = if kind.kind == FieldKind::Port {
            "port or service"
        } else {
            "whole number"
        };
        let fault = refuse(format!("`{written}` is no {what}")).with_value(written.as_ref());
        return Err(fault.with_hint(hexadecimal(&written).or_else(|| fraction(&written))));
    };
    fit(number, kind.kind).ok_or_else(|| {
        refuse(format!(
            "`{written}` is out of the range of {}",
            kind.describe()
        ))
    })
}

fn hexadecimal(written: &str) -> Option<String> {
    let digits = written.strip_prefix("0x")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    Some(format!("numbers are decimal here: write `{number}`"))
}

fn fraction(written: &str) -> Option<String> {
    let number: f64 = written.parse().ok()?;
    number
        .is_finite()
        .then(|| "numbers to compare with have no fraction".to_owned())
}

/// The number as the type has it: a negative wraps in an unsigned one.
fn fit(number: i128, kind: FieldKind) -> Option<i128> {
    use FieldKind as K;
    let within = |low: i128, high: i128| (low..=high).contains(&number).then_some(number);
    let unsigned = |low: i64, high: u64| {
        let number = within(i128::from(low), i128::from(high))?;
        Some(if number < 0 {
            number + i128::from(high) + 1
        } else {
            number
        })
    };
    match kind {
        K::Unsigned64 | K::Duration | K::Time => unsigned(i64::MIN, u64::MAX),
        K::Unsigned32 => unsigned(i64::from(i32::MIN), u64::from(u32::MAX)),
        K::Signed64 => within(i64::MIN.into(), i64::MAX.into()),
        K::Signed32 => within(i32::MIN.into(), i32::MAX.into()),
        K::Signed16 => within(i16::MIN.into(), i16::MAX.into()),
        K::Port => within(0, u16::MAX.into()),
        _ => Some(number),
    }
}

/// What a ratio is compared with: a whole number, as all values are.
pub(crate) fn float(literal: &Literal) -> Result<f64, Fault> {
    let number = number(literal, Type::single(FieldKind::Float))?;
    Ok(number as f64)
}

/// A network, or a single address as one.
pub(crate) fn network(literal: &Literal, kind: Type) -> Result<IpNet, Fault> {
    let written = String::from_utf8_lossy(&literal.bytes);
    if let Ok(address) = written.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network = written
        .parse()
        .ok()
        .filter(|_| kind.kind == FieldKind::Network);
    network.ok_or_else(|| {
        let what = if kind.kind == FieldKind::Network {
            "neither address nor network in CIDR form"
        } else {
            "no address"
        };
        Fault::syntax(format!("`{written}` is {what}"), literal.span.clone())
            .with_value(written.as_ref())
    })
}

/// An event type. `evt.type` refuses names that no event has.
pub(crate) fn event_type(literal: &Literal) -> Result<EventType, Fault> {
    let written = String::from_utf8_lossy(&literal.bytes);
    EventType::from_name(&written).ok_or_else(|| {
        let hint = nearest::hint(&written, EventType::all().map(EventType::name));
        let message = format!("unknown event type `{written}`");
        Fault::unknown(message, literal.span.clone())
            .with_hint(hint)
            .with_value(written.as_ref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Literal {
        Literal {
            bytes: text.as_bytes().to_vec(),
            span: 0..text.len(),
        }
    }

    #[test]
    fn numbers_by_type() {
        let check = |text: &str, kind: FieldKind, expected: Option<i128>| {
            let number = number(&literal(text), Type::single(kind));
            assert_eq!(number.ok(), expected, "{text} {kind:?}");
        };
        check("5", FieldKind::Signed64, Some(5));
        check("-1", FieldKind::Signed32, Some(-1));
        check("-1", FieldKind::Unsigned32, Some(i128::from(u32::MAX)));
        check("-1", FieldKind::Unsigned64, Some(i128::from(u64::MAX)));
        check("4294967296", FieldKind::Unsigned32, None);
        check("32768", FieldKind::Signed16, None);
        check("0x10", FieldKind::Signed64, None);
        check("1.5", FieldKind::Signed64, None);
        check("", FieldKind::Signed64, None);
        check("ssh", FieldKind::Port, Some(22));
        check("65536", FieldKind::Port, None);
        check("true", FieldKind::Bool, Some(1));
        check("1", FieldKind::Bool, None);
    }

    #[test]
    fn networks_and_bytes() {
        let check = |text: &str, kind: FieldKind, valid: bool| {
            let found = network(&literal(text), Type::single(kind));
            assert_eq!(found.is_ok(), valid, "{text}");
        };
        check("10.0.0.0/8", FieldKind::Network, true);
        check("10.0.0.1", FieldKind::Network, true);
        check("fe80::/10", FieldKind::Network, true);
        check("10.0.0.0/8", FieldKind::Address, false);
        check("::1", FieldKind::Address, true);
        check("localhost", FieldKind::Network, false);
        assert_eq!(
            hex(&literal("cafeBABE")).unwrap().as_ref(),
            b"\xca\xfe\xba\xbe"
        );
        assert!(hex(&literal("caf")).is_err());
        assert!(hex(&literal("+1")).is_err());
    }
}
