//! Values in the forms that tests and outputs need.

use std::borrow::Cow;

use crate::event::Value;
use crate::field::{Field, FieldKind};
use crate::text;

/// A single value as text; `None` for a list.
pub(crate) fn as_text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, [u8]>> {
    let text = match value {
        Value::Text(text) => return Some(Cow::Borrowed(text)),
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Address(address) => address.to_string(),
        Value::List(_) => return None,
    };
    Some(Cow::Owned(text.into_bytes()))
}

/// A value as an output prints it.
pub(crate) fn to_text(field: Field, value: &Value<'_>) -> String {
    match value {
        Value::List(values) => {
            let texts: Vec<_> = values.iter().map(|value| to_text(field, value)).collect();
            if field.is_ancestor() || field.is_either_end() {
                texts.join(" ")
            } else {
                format!("({})", texts.join(","))
            }
        }
        Value::Text(bytes) if field.definition().kind == FieldKind::Bytes => text::printable(bytes),
        single => String::from_utf8_lossy(&as_text(single).unwrap_or_default()).into_owned(),
    }
}

/// A value with its type, as JSON has it.
pub(crate) fn to_json(field: Field, value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Unsigned(number) => (*number).into(),
        Value::Signed(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::List(values) if !field.is_ancestor() && !field.is_either_end() => {
            values.iter().map(|value| to_json(field, value)).collect()
        }
        other => to_text(field, other).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.as_bytes().into())
    }

    #[test]
    fn prints() {
        let check = |field: Field, value: Value<'_>, printed: &str, json: serde_json::Value| {
            assert_eq!(to_text(field, &value), printed);
            assert_eq!(to_json(field, &value), json);
        };
        check(Field::ProcName, text("cat"), "cat", "cat".into());
        check(Field::FdNum, Value::Signed(-1), "-1", (-1).into());
        check(Field::EvtIsIo, Value::Bool(true), "true", true.into());
        check(
            Field::FdSip,
            Value::Address([10, 0, 0, 1].into()),
            "10.0.0.1",
            "10.0.0.1".into(),
        );
        check(
            Field::EvtBuffer,
            Value::Text(b"a\0b"[..].into()),
            "a.b",
            "a.b".into(),
        );
        check(
            Field::ProcName,
            Value::Text(b"a\xff"[..].into()),
            "a\u{fffd}",
            "a\u{fffd}".into(),
        );
        let list = || Value::List(vec![text("a"), text("b")]);
        check(Field::ProcAname, list(), "a b", "a b".into());
        check(
            Field::FdTypes,
            list(),
            "(a,b)",
            serde_json::json!(["a", "b"]),
        );
    }
}
