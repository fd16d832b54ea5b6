//! Reads keys and values of flat events by the types of their fields.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::FlatEventError;
use crate::compile::resolve;
use crate::condition::Cursor;
use crate::condition::ast::FieldName;
use crate::event::Value;
use crate::field::{FieldFlags, FieldKind, FieldRef};
use crate::services;

/// A key with its value; `None` for null.
pub(super) fn entry(
    key: &str,
    value: &Json,
) -> Result<Option<(FieldRef, Value<'static>)>, FlatEventError> {
    let field = field(key)?;
    if value.is_null() {
        return Ok(None);
    }
    let bad = |reason: String| FlatEventError::BadValue {
        field: key.to_owned(),
        reason,
    };
    let kind = field.field.definition().kind;
    let value = match value {
        Json::Array(_) if !takes_list(&field) => {
            return Err(bad("the field is no list".to_owned()));
        }
        Json::Array(values) => {
            let values = values.iter().filter(|value| !value.is_null());
            Value::List(
                values
                    .map(|value| single(kind, value))
                    .collect::<Result<_, _>>()
                    .map_err(bad)?,
            )
        }
        one => single(kind, one).map_err(bad)?,
    };
    // A single value of a list field stands for a list of one.
    let is_list = field.field.is(FieldFlags::LIST) && field.arg.is_none();
    let is_list = is_list || (field.field.is_ancestor() && field.is_any());
    let value = match value {
        list @ Value::List(_) => list,
        one if is_list => Value::List(vec![one]),
        one => one,
    };
    Ok(Some((field, value)))
}

fn takes_list(field: &FieldRef) -> bool {
    field.is_any() || field.field.is(FieldFlags::LIST) || field.field.is_host_name()
}

fn field(key: &str) -> Result<FieldRef, FlatEventError> {
    let unknown = |reason: String| FlatEventError::UnknownField {
        field: key.to_owned(),
        reason,
    };
    let mut cursor = Cursor::new(key);
    let name = cursor
        .identifier()
        .ok_or_else(|| unknown(format!("`{key}` is no field")))?;
    let arg = cursor.bracketed().map_err(|fault| unknown(fault.message))?;
    if !cursor.rest().is_empty() {
        return Err(unknown(format!("`{key}` is no field")));
    }
    let name = FieldName {
        name: name.text,
        arg,
        span: 0..key.len(),
    };
    resolve(&name).map_err(|fault| {
        let hint = fault
            .help
            .map(|help| format!("; {help}"))
            .unwrap_or_default();
        unknown(format!("{}{hint}", fault.message))
    })
}

/// A single value; the error says what is wrong with it.
fn single(kind: FieldKind, value: &Json) -> Result<Value<'static>, String> {
    match kind {
        FieldKind::Text | FieldKind::Bytes => text(value).map(|text| Value::Text(text.into())),
        FieldKind::Bool => match value {
            Json::Bool(flag) => Ok(Value::Bool(*flag)),
            Json::String(text) if text == "true" => Ok(Value::Bool(true)),
            Json::String(text) if text == "false" => Ok(Value::Bool(false)),
            other => Err(format!("{other} is no boolean")),
        },
        FieldKind::Address | FieldKind::Network => address(value).map(Value::Address),
        FieldKind::Dynamic => match value {
            Json::Bool(flag) => Ok(Value::Bool(*flag)),
            Json::Number(_) => number(value),
            other => text(other).map(|text| Value::Text(text.into())),
        },
        FieldKind::Port => match value.as_str().and_then(services::port) {
            Some(port) => Ok(Value::Unsigned(u64::from(port))),
            None => number(value),
        },
        FieldKind::Float => {
            let written = value
                .as_f64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            written
                .map(Value::Float)
                .ok_or_else(|| format!("{value} is no number"))
        }
        _ => number(value).map(|number| wrapped(kind, number)),
    }
}

/// A negative number as an unsigned field has it.
fn wrapped(kind: FieldKind, number: Value<'static>) -> Value<'static> {
    match (kind, number) {
        (FieldKind::Unsigned32, Value::Signed(number)) => Value::Unsigned((number as u32).into()),
        (FieldKind::Unsigned64 | FieldKind::Duration | FieldKind::Time, Value::Signed(number)) => {
            Value::Unsigned(number as u64)
        }
        (_, number) => number,
    }
}

fn text(value: &Json) -> Result<Vec<u8>, String> {
    match value {
        Json::String(text) => Ok(text.as_bytes().to_vec()),
        Json::Number(number) => Ok(number.to_string().into_bytes()),
        Json::Bool(flag) => Ok(flag.to_string().into_bytes()),
        Json::Object(object) => match object.get("$hex").and_then(Json::as_str) {
            Some(digits) if object.len() == 1 => hex(digits),
            _ => Err("an object can only be {\"$hex\": \"…\"}".to_owned()),
        },
        other => Err(format!("{other} is no text")),
    }
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair)
            .ok()
            .filter(|text| !text.starts_with('+'))?;
        u8::from_str_radix(text, 16)
            .ok()
            .filter(|_| pair.len() == 2)
    };
    let bytes: Option<_> = digits.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| format!("`{digits}` is not an even number of hexadecimal digits"))
}

fn number(value: &Json) -> Result<Value<'static>, String> {
    let refuse = || format!("{value} is no whole number");
    if let Some(number) = value.as_u64() {
        return Ok(Value::Unsigned(number));
    }
    if let Some(number) = value.as_i64() {
        return Ok(Value::Signed(number));
    }
    let text = value.as_str().ok_or_else(refuse)?;
    let unsigned = text.parse().map(Value::Unsigned);
    unsigned
        .or_else(|_| text.parse().map(Value::Signed))
        .map_err(|_| refuse())
}

fn address(value: &Json) -> Result<IpAddr, String> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{value} is no address"))?;
    let address = text.split('/').next().unwrap_or_default();
    address
        .parse()
        .map_err(|_| format!("`{text}` is no address"))
}
