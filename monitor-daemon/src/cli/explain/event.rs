//! Reads the events that a rule is explained for.

use std::fs;
use std::io::{self, Read as _};

use monitor_policy::FlatEvent;
use serde_json::{Map, Value};

use crate::cli::error::Error;

/// Most bytes that are read: events are small.
const MAX_BYTES: u64 = 16 << 20;

/// The events of the option's value: JSON objects, one after another.
pub(super) fn read(value: Option<&str>) -> Result<Vec<FlatEvent>, Error> {
    let (name, text) = match value {
        None => return Ok(Vec::new()),
        Some(json) if json.trim_start().starts_with('{') => ("--event", Ok(json.to_owned())),
        Some("-") => ("<stdin>", limited(io::stdin())),
        Some(path) => (path, fs::File::open(path).and_then(limited)),
    };
    let text = text.map_err(|source| Error::ReadEvents {
        name: name.to_owned(),
        source,
    })?;
    events(&text).map_err(|(line, reason)| Error::Event {
        name: name.to_owned(),
        line,
        reason,
    })
}

fn limited(source: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn events(text: &str) -> Result<Vec<FlatEvent>, (usize, String)> {
    let mut objects = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    let mut events = Vec::new();
    while let Some(object) = objects.next() {
        let object = object.map_err(|error| (error.line(), format!("not an event: {error}")))?;
        let before = text.get(..objects.byte_offset()).unwrap_or_default();
        let line = before.trim_end().lines().count();
        let event = FlatEvent::from_json(&object).map_err(|error| (line, error.to_string()))?;
        events.push(event);
    }
    if events.is_empty() {
        return Err((1, "there is no event".to_owned()));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_objects() {
        let check = |text: &str, expected: Result<usize, (usize, &str)>| {
            let found = events(text).map(|events| events.len());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err((line, reason)), Err((expected, part))) => {
                    assert_eq!(line, expected, "{text}");
                    assert!(reason.contains(part), "{reason}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        };
        check("{\"evt.type\":\"open\"}", Ok(1));
        check(
            "{\"evt.type\":\"open\"}\n{\n\"evt.type\":\"open\"}\n",
            Ok(2),
        );
        check("", Err((1, "no event")));
        check("{\"evt.type\":\"open\"}\n[]", Err((2, "not an event")));
        check(
            "{\"evt.type\":\"open\"}\n{\"evt.type\":\"opn\"}",
            Err((2, "opn")),
        );
    }
}
