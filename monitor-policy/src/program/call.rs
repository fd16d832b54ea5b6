//! Transformers.

use std::borrow::Cow;

use super::frame::Frame;
use super::value::as_text;
use super::{Operand, base64, getopt};
use crate::event::Value;

/// A transformer with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// What it does.
    pub(crate) function: Function,
    /// With what.
    pub(crate) arguments: Box<[Operand]>,
}

/// What a transformer does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    /// ASCII letters in lower case.
    ToLower,
    /// ASCII letters in upper case.
    ToUpper,
    /// What a base64 text stands for.
    Base64,
    /// What follows the last slash.
    Basename,
    /// Bytes of a text, elements of a list.
    Length,
    /// The argument itself.
    Value,
    /// Elements of the second argument with the first between them.
    Join,
    /// All arguments behind each other.
    Concat,
    /// Options of an argument list.
    GetOpt {
        /// The option string.
        options: Box<[u8]>,
        /// The option whose arguments are asked for.
        letter: Option<u8>,
    },
}

impl Call {
    /// The value in an event; missing when an argument is.
    pub(crate) fn value<'e>(&self, frame: &mut Frame<'_, 'e>) -> Option<Value<'e>> {
        // Stands on the right of comparisons that every event may come to: no list is made for it.
        if let (Function::Value, [argument]) = (&self.function, &*self.arguments) {
            return frame.value(argument);
        }
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(frame.value(argument)?);
        }
        self.function.apply(arguments)
    }
}

impl Function {
    fn apply<'e>(&self, arguments: Vec<Value<'e>>) -> Option<Value<'e>> {
        match self {
            Self::Join => join(&arguments),
            Self::Concat => concat(&arguments),
            Self::GetOpt { options, letter } => get_options(arguments.first()?, options, *letter),
            Self::Length => length(arguments.first()?),
            Self::Value => arguments.into_iter().next(),
            Self::ToLower => map_text(arguments.into_iter().next()?, &|mut text| {
                text.to_mut().make_ascii_lowercase();
                Some(text)
            }),
            Self::ToUpper => map_text(arguments.into_iter().next()?, &|mut text| {
                text.to_mut().make_ascii_uppercase();
                Some(text)
            }),
            Self::Base64 => map_text(arguments.into_iter().next()?, &|text| {
                base64::decode(&text).map(Cow::Owned)
            }),
            Self::Basename => map_text(arguments.into_iter().next()?, &|text| {
                let start = text
                    .iter()
                    .rposition(|byte| *byte == b'/')
                    .map_or(0, |at| at + 1);
                Some(Cow::Owned(text.get(start..)?.to_vec()))
            }),
        }
    }
}

type Text<'e> = Cow<'e, [u8]>;

/// Applies a function to a text, or to each element of a list.
fn map_text<'e>(
    value: Value<'e>,
    function: &impl Fn(Text<'e>) -> Option<Text<'e>>,
) -> Option<Value<'e>> {
    match value {
        Value::Text(text) => function(text).map(Value::Text),
        Value::List(values) => {
            let mapped = values.into_iter().map(|value| map_text(value, function));
            mapped.collect::<Option<_>>().map(Value::List)
        }
        _ => None,
    }
}

fn length<'e>(value: &Value<'_>) -> Option<Value<'e>> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(values) => values.len(),
        _ => return None,
    };
    Some(Value::Unsigned(length as u64))
}

/// The texts of a value: its elements, if it is a list.
fn texts<'v>(value: &'v Value<'_>) -> Option<Vec<Cow<'v, [u8]>>> {
    match value {
        Value::List(values) => values.iter().map(as_text).collect(),
        single => Some(vec![as_text(single)?]),
    }
}

fn join<'e>(arguments: &[Value<'_>]) -> Option<Value<'e>> {
    let [separator, parts] = arguments else {
        return None;
    };
    let separator = as_text(separator)?;
    let joined = texts(parts)?.join(separator.as_ref());
    Some(Value::Text(joined.into()))
}

fn concat<'e>(arguments: &[Value<'_>]) -> Option<Value<'e>> {
    let mut whole = Vec::new();
    for argument in arguments {
        whole.extend_from_slice(&as_text(argument)?);
    }
    Some(Value::Text(whole.into()))
}

fn get_options<'e>(words: &Value<'_>, options: &[u8], letter: Option<u8>) -> Option<Value<'e>> {
    let words = texts(words)?;
    let words: Vec<&[u8]> = words.iter().map(Cow::as_ref).collect();
    let found = getopt::getopt(&words, options);
    let text = |bytes: &[u8]| Value::Text(bytes.to_vec().into());
    let mut values = Vec::new();
    for option in &found {
        if letter.is_none() {
            values.push(text(&[option.letter]));
        }
        if letter.is_none_or(|letter| letter == option.letter) {
            values.extend(option.argument.map(text));
        }
    }
    Some(Value::List(values))
}
