//! `eval`: tries rules, or one condition, on events written down as JSON lines.

mod cases;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use monitor_policy::{Condition, FlatEvent, Matching, Options, Policy, Scratch};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::print::print;
use super::{Format, policies};
use crate::output::visible;

const HELP: &str = "\
An event is a JSON object a line, from Falco field to value:
  {\"evt.type\":\"openat\",\"proc.name\":\"cat\",\"fd.name\":\"/etc/shadow\",\"evt.failed\":false}
Values are strings, numbers, booleans, {\"$hex\":\"2f62\"} for bytes that are no text, and lists for
list fields and for the ancestors behind an unindexed ancestor field.

Examples:
  monitor-daemon eval --policy rules.yaml --events events.jsonl
  echo '{\"evt.type\":\"openat\",\"fd.name\":\"/etc/shadow\"}' |
    monitor-daemon eval --condition 'fd.name startswith /etc' --events -

With --cases each line brings its own condition or format, and gets one line as its answer; a line
that is wrong is answered with the reason and stops nothing:
  {\"condition\":\"proc.name = cat\",\"event\":{\"proc.name\":\"cat\"}}  {\"ok\":true,\"match\":true}
  {\"condition\":\"no.field = x\",\"only\":\"parse\"}                 {\"ok\":true}
  {\"condition\":\"no.field = x\",\"only\":\"compile\"}               {\"ok\":false,\"error\":{...}}
  {\"condition\":\"evt.type != open\",\"only\":\"evttypes\"}
      {\"ok\":true,\"evttypes\":{\"mode\":\"except\",\"names\":[\"open\"]}}
  {\"format\":\"%proc.name\",\"event\":{...},\"as\":\"text\"|\"json\"}    {\"ok\":true,\"text\":\"cat\"}";

/// Say which rules match which events, without watching anything.
#[derive(Args, Debug)]
#[command(after_help = HELP, group = ArgGroup::new("what").required(true))]
pub(super) struct Arguments {
    /// Rules files, or folders of them, loaded together in this order.
    #[arg(long, value_name = "PATH", num_args = 1.., group = "what")]
    policy: Vec<PathBuf>,
    /// A condition on its own: prints true or false for each event.
    #[arg(long, value_name = "EXPR", group = "what")]
    condition: Option<String>,
    /// Where the events are, one JSON object a line; `-` is standard input.
    #[arg(long, value_name = "FILE|-", required_unless_present = "cases")]
    events: Option<PathBuf>,
    /// Conditions and formats to try, each with its event, one JSON object a line; `-` is standard
    /// input. See below.
    #[arg(long, value_name = "FILE|-", group = "what", conflicts_with_all = ["events", "all", "format"])]
    cases: Option<PathBuf>,
    /// Configuration file, for its limits and what it appends to outputs; see `run`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["condition", "cases"])]
    config: Option<PathBuf>,
    /// Report every rule that matches, not only the first.
    #[arg(long, conflicts_with = "condition")]
    all: bool,
    /// How results are printed; json: one object for each event.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    if let Some(path) = &arguments.cases {
        let cases = open(path)?;
        let output = BufWriter::new(io::stdout().lock());
        return cases::run(&cases.name, cases.lines, output);
    }
    let events = open(arguments.events.as_deref().unwrap_or(Path::new("-")))?;
    if let Some(text) = &arguments.condition {
        let condition = Condition::parse(text).map_err(Error::Condition)?;
        return each(events, |number, event| {
            print(&answer(number, condition.matches(event), arguments.format))
        });
    }
    let matching = if arguments.all {
        Matching::All
    } else {
        Matching::First
    };
    let options = Options {
        matching,
        ..policies::options(arguments.config.as_deref())?
    };
    let policy = policies::load(&arguments.policy, &options)?;
    let mut scratch = Scratch::default();
    each(events, |number, event| {
        let matches = matches(&policy, event, &mut scratch);
        print(&match arguments.format {
            Format::Text => text(number, &matches),
            Format::Json => format!("{}\n", json!({"event": number, "matches": matches})),
        })
    })
}

/// A stream of events and its name in errors.
struct Events {
    name: String,
    lines: Box<dyn BufRead>,
}

fn open(path: &Path) -> Result<Events, Error> {
    if path == Path::new("-") {
        let lines = Box::new(BufReader::new(io::stdin()));
        return Ok(Events {
            name: "<stdin>".to_owned(),
            lines,
        });
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok(Events {
            name,
            lines: Box::new(BufReader::new(file)),
        }),
        Err(source) => Err(Error::ReadEvents { name, source }),
    }
}

/// Calls `act` with each event and its number, from 1; empty lines are skipped.
fn each(
    events: Events,
    mut act: impl FnMut(usize, &FlatEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    let Events { name, lines } = events;
    let mut number = 0;
    for (index, line) in lines.lines().enumerate() {
        let line = line.map_err(|source| Error::ReadEvents {
            name: name.clone(),
            source,
        })?;
        if line.trim().is_empty() {
            continue;
        }
        number += 1;
        let event = parse(&line).map_err(|reason| Error::Event {
            name: name.clone(),
            line: index + 1,
            reason,
        })?;
        act(number, &event)?;
    }
    Ok(())
}

fn parse(line: &str) -> Result<FlatEvent, String> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
        // The parser counts lines too, and always ends at the first.
        let error = error
            .to_string()
            .replace(" at line 1 column ", " at column ");
        format!("not an event, which is one JSON object a line: {error}")
    })?;
    FlatEvent::from_json(&object).map_err(|error| error.to_string())
}

fn matches(policy: &Policy, event: &FlatEvent, scratch: &mut Scratch) -> Vec<Value> {
    let found = policy.evaluate(event, scratch).iter();
    let shown = found.filter_map(|found| {
        let rule = policy.rules().get(found.rule)?;
        let output = policy.format(found.rule, event, found.view);
        Some(json!({
            "rule": rule.name,
            "priority": rule.priority.to_string(),
            "output": output.text,
            "output_fields": output.fields.into_iter().collect::<Map<_, _>>(),
        }))
    });
    shown.collect()
}

fn text(number: usize, matches: &[Value]) -> String {
    if matches.is_empty() {
        return format!("event {number}: no rule matches\n");
    }
    let part = |found: &Value, key: &str| {
        visible(found.get(key).and_then(Value::as_str).unwrap_or_default())
    };
    let lines = matches.iter().map(|found| {
        let (priority, rule) = (part(found, "priority"), part(found, "rule"));
        format!(
            "event {number}: {priority} \"{rule}\"\n    {}\n",
            part(found, "output")
        )
    });
    lines.collect::<Vec<_>>().concat()
}

fn answer(number: usize, result: bool, format: Format) -> String {
    match format {
        Format::Text => format!("{result}\n"),
        Format::Json => format!("{}\n", json!({"event": number, "result": result})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(lines: &str) -> Result<Vec<usize>, String> {
        let lines = Box::new(io::Cursor::new(lines.to_owned()));
        let mut numbers = Vec::new();
        let result = each(
            Events {
                name: "e.jsonl".into(),
                lines,
            },
            |number, _| {
                numbers.push(number);
                Ok(())
            },
        );
        result.map(|()| numbers).map_err(|error| error.to_string())
    }

    #[test]
    fn events_are_numbered_and_bad_lines_named() {
        let good = "{\"evt.type\":\"openat\"}";
        assert_eq!(numbers(&format!("{good}\n\n  \n{good}")), Ok(vec![1, 2]));
        let cases = [
            (
                "{\"evt.type\"",
                "e.jsonl:2: not an event, which is one JSON object a line: EOF while parsing an \
                 object at column 11",
            ),
            (
                "[1]",
                "e.jsonl:2: not an event, which is one JSON object a line: invalid type: \
                 sequence, expected a map at column 0",
            ),
            (
                "{\"proc.name\":\"cat\"}",
                "e.jsonl:2: the event has no `evt.type`",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(numbers(&format!("{good}\n{line}\n")).unwrap_err(), expected);
        }
    }

    #[test]
    fn text_names_rules_and_escapes_outputs() {
        let found = json!({"rule": "R", "priority": "Notice", "output": "a\u{1b}b"});
        assert_eq!(text(1, &[]), "event 1: no rule matches\n");
        assert_eq!(text(2, &[found]), "event 2: Notice \"R\"\n    a\\u001bb\n");
        assert_eq!(answer(1, true, Format::Text), "true\n");
        assert_eq!(
            answer(3, false, Format::Json),
            "{\"event\":3,\"result\":false}\n"
        );
    }
}
