//! `eval --cases`: one answer for each line, for tools and test suites.
//!
//! Answers come in the order of the lines, each as soon as its line is there; a line that cannot be
//! answered says why and stops nothing. Reading and writing are streams: memory does not grow with
//! the number of lines.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use monitor_policy::{Condition, Diagnostic, EventSet, EventType, EventTypes, FlatEvent, Format};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::error::Error;

/// How much is read ahead, in bytes.
const BUFFER: usize = 1 << 16;

/// Longest line, in bytes.
const MAX_LINE: usize = 16 << 20;

type Object = Map<String, Value>;

/// A case: a condition or a format, and an event.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Case {
    condition: Option<String>,
    format: Option<String>,
    event: Option<Object>,
    only: Option<Only>,
    r#as: Option<As>,
}

/// How far a condition is taken.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Only {
    /// To its syntax.
    Parse,
    /// To its fields, types and operators.
    Compile,
    /// To the event types for which it can hold.
    EvtTypes,
}

/// How a format is printed.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum As {
    #[default]
    Text,
    Json,
}

/// What is printed for a case.
#[derive(Debug, Serialize)]
struct Answer {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none", rename = "match")]
    holds: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evttypes: Option<Types>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Types {
    mode: &'static str,
    names: Vec<&'static str>,
}

/// Why a case has no answer.
#[derive(Debug, Serialize)]
struct Failure {
    message: String,
    code: &'static str,
}

impl Answer {
    const OK: Self = Self {
        ok: true,
        holds: None,
        evttypes: None,
        text: None,
        error: None,
    };
}

/// The line is no case.
const BAD_CASE: &str = "INVALID_CASE";
/// The event is none.
const BAD_EVENT: &str = "INVALID_EVENT";

/// Answers every line of `input`, which is called `name` in errors. An empty line is a case that is
/// wrong, so that answers can be counted off against lines; those at the end are none.
pub(super) fn run(name: &str, input: impl Read, mut output: impl Write) -> Result<(), Error> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut line = Vec::new();
    let mut empty = 0;
    loop {
        let read = next_line(&mut input, &mut line).map_err(|source| Error::ReadEvents {
            name: name.to_owned(),
            source,
        })?;
        let answer = match read {
            Line::End => return output.flush().map_err(Error::Print),
            Line::Whole if line.trim_ascii().is_empty() => {
                empty += 1;
                continue;
            }
            Line::Whole => answer(&line),
            Line::TooLong => failed(BAD_CASE, format!("longer than {MAX_LINE} bytes")),
        };
        for _ in 0..std::mem::take(&mut empty) {
            let message = "not a case: the line is empty".to_owned();
            write_line(&mut output, &failed(BAD_CASE, message))?;
        }
        write_line(&mut output, &answer)?;
        // Whoever asks line by line waits for this answer before the next line comes.
        if !input.buffer().contains(&b'\n') {
            output.flush().map_err(Error::Print)?;
        }
    }
}

/// What was read.
enum Line {
    /// A line, or what stands behind the last one.
    Whole,
    /// More than is read of one; the rest was skipped.
    TooLong,
    /// Nothing: the input ends.
    End,
}

/// Reads a line, without its end if that is all that is too much.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let most = MAX_LINE as u64 + 1;
    if input.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.len() <= MAX_LINE || line.ends_with(b"\n") {
        return Ok(Line::Whole);
    }
    line.clear();
    input.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

fn write_line(output: &mut impl Write, answer: &Answer) -> Result<(), Error> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    output.write_all(&text).map_err(Error::Print)
}

fn answer(line: &[u8]) -> Answer {
    let line = line.trim_ascii();
    // An array would do for serde: its elements in the order of the keys.
    if line.starts_with(b"[") {
        return failed(BAD_CASE, "not a case: expected an object".to_owned());
    }
    let case = match serde_json::from_slice::<Case>(line) {
        Ok(case) => case,
        Err(error) => {
            let text = error.to_string();
            let text = text.replace(" at line 1 column ", " at column ");
            return failed(BAD_CASE, format!("not a case: {text}"));
        }
    };
    let Case {
        condition,
        format,
        event,
        only,
        r#as,
    } = case;
    let answer = match (condition, format) {
        (Some(condition), None) => answer_condition(&condition, only, event.as_ref()),
        (None, Some(format)) => answer_format(&format, only, event.as_ref(), r#as),
        _ => Err(failed(
            BAD_CASE,
            "a case has either a `condition` or a `format`".to_owned(),
        )),
    };
    answer.unwrap_or_else(|failure| failure)
}

type Answered = Result<Answer, Answer>;

fn answer_condition(text: &str, only: Option<Only>, event: Option<&Object>) -> Answered {
    if matches!(only, Some(Only::Parse)) {
        Condition::check_syntax(text).map_err(|found| refused(&found))?;
        return Ok(Answer::OK);
    }
    let condition = Condition::parse(text).map_err(|found| refused(&found))?;
    match only {
        Some(Only::EvtTypes) => Ok(Answer {
            evttypes: Some(types(condition.event_types())),
            ..Answer::OK
        }),
        Some(_) => Ok(Answer::OK),
        None => Ok(Answer {
            holds: Some(condition.matches(&flat(event)?)),
            ..Answer::OK
        }),
    }
}

fn answer_format(
    text: &str,
    only: Option<Only>,
    event: Option<&Object>,
    form: Option<As>,
) -> Answered {
    let format = Format::parse(text).map_err(|found| refused(&found))?;
    match only {
        None => {}
        Some(Only::EvtTypes) => {
            let message = "a format has no event types".to_owned();
            return Err(failed(BAD_CASE, message));
        }
        Some(_) => return Ok(Answer::OK),
    }
    let event = flat(event)?;
    let text = match form.unwrap_or_default() {
        As::Text => format.text(&event),
        As::Json => {
            // Keys in alphabetical order, as alerts have them.
            let sorted: BTreeMap<_, _> = format.values(&event).into_iter().collect();
            serde_json::json!(sorted).to_string()
        }
    };
    Ok(Answer {
        text: Some(text),
        ..Answer::OK
    })
}

fn flat(event: Option<&Object>) -> Result<FlatEvent, Answer> {
    let event = event.ok_or_else(|| failed(BAD_CASE, "the case has no `event`".to_owned()))?;
    FlatEvent::partial(event).map_err(|error| failed(BAD_EVENT, error.to_string()))
}

fn types(found: &EventTypes) -> Types {
    let (mode, set) = match found {
        EventTypes::Only(set) => ("only", set),
        EventTypes::Except(set) => ("except", set),
    };
    Types {
        mode,
        names: sorted(set),
    }
}

fn sorted(set: &EventSet) -> Vec<&'static str> {
    let mut names: Vec<_> = set.iter().map(EventType::name).collect();
    names.sort_unstable();
    names
}

fn refused(diagnostic: &Diagnostic) -> Answer {
    let message = match &diagnostic.help {
        Some(help) => format!("{}; {help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    failed(diagnostic.code.name(), message)
}

fn failed(code: &'static str, message: String) -> Answer {
    Answer {
        ok: false,
        error: Some(Failure { message, code }),
        ..Answer::OK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(lines: &str) -> Vec<String> {
        let mut output = Vec::new();
        run("cases", lines.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_line_has_its_answer() {
        let cases = [
            (
                r#"{"condition":"proc.name = cat","event":{"evt.type":"open","proc.name":"cat"}}"#,
                r#"{"ok":true,"match":true}"#,
            ),
            (
                r#"{"condition":"proc.name = cat","event":{}}"#,
                r#"{"ok":true,"match":false}"#,
            ),
            (
                r#"{"condition":"evt.type != open","event":{"proc.name":"cat"}}"#,
                r#"{"ok":true,"match":false}"#,
            ),
            (
                r#"{"condition":"no.field = x and m","only":"parse"}"#,
                r#"{"ok":true}"#,
            ),
            (
                r#"{"condition":"proc.name = x","only":"compile"}"#,
                r#"{"ok":true}"#,
            ),
            (
                r#"{"condition":"evt.type in (openat, open)","only":"evttypes"}"#,
                r#"{"ok":true,"evttypes":{"mode":"only","names":["open","openat"]}}"#,
            ),
            (
                r#"{"condition":"not evt.type = open","only":"evttypes"}"#,
                r#"{"ok":true,"evttypes":{"mode":"except","names":["open"]}}"#,
            ),
            (
                r#"{"format":"%proc.name: %fd.num!","event":{"proc.name":"cat","fd.num":3}}"#,
                r#"{"ok":true,"text":"cat: 3!"}"#,
            ),
            (
                r#"{"format":"*%proc.name %fd.num","as":"json","event":{"fd.num":3}}"#,
                r#"{"ok":true,"text":"{\"fd.num\":3,\"proc.name\":null}"}"#,
            ),
        ];
        let lines: Vec<_> = cases.iter().map(|case| case.0).collect();
        let expected: Vec<_> = cases.iter().map(|case| case.1).collect();
        assert_eq!(answers(&lines.join("\n")), expected);
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let cases = [
            ("nonsense", "INVALID_CASE"),
            ("[]", "INVALID_CASE"),
            ("{}", "INVALID_CASE"),
            (r#"["proc.name = x",null,{},null,null]"#, "INVALID_CASE"),
            (r#"{"condition":"proc.name = x"}"#, "INVALID_CASE"),
            (
                r#"{"condition":"proc.name = x","only":"all"}"#,
                "INVALID_CASE",
            ),
            (
                r#"{"condition":"proc.name = x","event":{"a":1}}"#,
                "INVALID_EVENT",
            ),
            (
                r#"{"condition":"proc.name ="}"#,
                "LOAD_ERR_COMPILE_CONDITION",
            ),
            (r#"{"condition":"m","only":"compile"}"#, "LOAD_ERR_VALIDATE"),
            (
                r#"{"format":"%nothing","event":{}}"#,
                "LOAD_ERR_COMPILE_OUTPUT",
            ),
        ];
        for (line, code) in cases {
            let answer: Value = serde_json::from_str(&answers(line)[0]).unwrap();
            assert_eq!(answer["ok"], false, "{line}");
            assert_eq!(answer["error"]["code"], code, "{line}");
        }
        assert_eq!(answers("x\n\u{7f}\n{}").len(), 3);
    }

    #[test]
    fn empty_lines_are_answered_but_for_the_last() {
        let good = r#"{"condition":"proc.name = x","only":"parse"}"#;
        let found = answers(&format!("\n{good}\n \t\n\r\n{good}\n\n  \n"));
        let ok: Vec<_> = found.iter().map(|line| line == r#"{"ok":true}"#).collect();
        assert_eq!(ok, [false, true, false, false, true], "{found:?}");
        assert_eq!(answers("\n\n"), [""; 0]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let good = r#"{"condition":"proc.name = x","only":"parse"}"#;
        let long = "x".repeat(MAX_LINE + 1);
        let found = answers(&format!("{good}\n{long}{long}\n{good}\n{long}"));
        assert_eq!(found.len(), 4);
        assert_eq!((&found[0], &found[2]), (&found[2], &found[0]));
        assert!(
            found[1].contains("longer than 16777216 bytes"),
            "{}",
            found[1]
        );
        assert_eq!(found[1], found[3]);
    }

    proptest::proptest! {
        /// As many answers as lines, whatever they say.
        #[test]
        fn every_line_is_answered(lines in proptest::collection::vec("[ -~é]{0,20}", 0..8)) {
            let last = lines.iter().rposition(|line| !line.trim().is_empty());
            let asked = last.map_or(0, |last| last + 1);
            proptest::prop_assert_eq!(answers(&lines.join("\n")).len(), asked);
        }
    }
}
