//! `fields`: the fields of the rule language, and which of them this build fills.

use std::fmt::Write as _;

use clap::Args;
use monitor_policy::{Field, FieldFlags, FieldKind};
use serde_json::{Value, json};

use super::Format;
use super::error::Error;
use super::print::print;
use crate::event::filled;

const HELP: &str = "\
A field in brackets `proc.aname[N]` takes an argument if wanted, one written `evt.arg.NAME` needs
it. Rules that use a field which is not filled load, but comparisons on it are never true.

Examples:
  monitor-daemon fields | grep ^container
  monitor-daemon fields --format json | jq -r '.[] | select(.filled) | .name'";

/// List the fields that rules can use: type, argument, meaning, and whether this build fills them.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// How the result is printed; json: an array with one object a field.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    match arguments.format {
        Format::Text => print(&text(Field::all())),
        Format::Json => {
            let all: Vec<Value> = Field::all().map(to_json).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&all)?))
        }
    }
}

fn text(fields: impl Iterator<Item = Field>) -> String {
    let mut text = format!(
        "{:<46} {:<14} {:<6} {}\n",
        "FIELD", "TYPE", "FILLED", "MEANING"
    );
    for field in fields {
        let filled = if filled(field) { "yes" } else { "no" };
        let (name, kind) = (written(field), type_name(field));
        let _ = writeln!(
            text,
            "{name:<46} {kind:<14} {filled:<6} {}",
            field.definition().meaning
        );
    }
    text
}

/// The name with the place of its argument.
pub(super) fn written(field: Field) -> String {
    let name = field.name();
    match argument(field) {
        "none" => name.to_owned(),
        "optional" => format!("{name}[N]"),
        _ if matches!(field, Field::EvtArg | Field::EvtRawarg) => format!("{name}.NAME"),
        _ => format!("{name}[ARG]"),
    }
}

/// The type of a field's values: `list of text`.
pub(super) fn type_name(field: Field) -> String {
    let kind = kind_name(field.definition().kind);
    if field.is(FieldFlags::LIST) {
        format!("list of {kind}")
    } else {
        kind.to_owned()
    }
}

fn argument(field: Field) -> &'static str {
    if field.is(FieldFlags::ARGUMENT_REQUIRED) {
        "required"
    } else if field.is(FieldFlags::ARGUMENT) {
        "optional"
    } else {
        "none"
    }
}

const fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Unsigned64 => "unsigned 64",
        FieldKind::Unsigned32 => "unsigned 32",
        FieldKind::Signed64 => "signed 64",
        FieldKind::Signed32 => "signed 32",
        FieldKind::Signed16 => "signed 16",
        FieldKind::Bool => "bool",
        FieldKind::Float => "float",
        FieldKind::Address => "address",
        FieldKind::Network => "network",
        FieldKind::Port => "port",
        FieldKind::Bytes => "bytes",
        FieldKind::Duration => "duration (ns)",
        FieldKind::Time => "time (ns)",
        FieldKind::Dynamic => "any",
    }
}

fn to_json(field: Field) -> Value {
    json!({
        "name": field.name(),
        "type": kind_name(field.definition().kind),
        "list": field.is(FieldFlags::LIST),
        "argument": argument(field),
        "filled": filled(field),
        "filter_only": field.is(FieldFlags::FILTER_ONLY),
        "deprecated": field.is(FieldFlags::DEPRECATED),
        "meaning": field.definition().meaning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_type_argument_and_whether_it_is_filled() {
        let fields = [
            Field::ProcName,
            Field::ProcAname,
            Field::EvtArg,
            Field::FdTypes,
            Field::ContainerLabel,
        ];
        assert_eq!(
            text(fields.into_iter()),
            "\
FIELD                                          TYPE           FILLED MEANING
proc.name                                      text           yes    Name that the kernel gave the process at its last exec or fork, at most 15 bytes
proc.aname[N]                                  text           yes    Ancestor's comm
evt.arg.NAME                                   text           yes    A parameter by name, or by position as `evt.arg[N]`, as text
fd.types[N]                                    list of text   no     Types of all open fds, or of fd [n]
container.label[ARG]                           text           yes    One label, its name in brackets
"
        );
    }

    #[test]
    fn json_has_the_same() {
        assert_eq!(
            to_json(Field::FdTypes),
            json!({
                "name": "fd.types",
                "type": "text",
                "list": true,
                "argument": "optional",
                "filled": false,
                "filter_only": false,
                "deprecated": false,
                "meaning": "Types of all open fds, or of fd [n]",
            })
        );
    }
}
