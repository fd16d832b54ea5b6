//! `reference`, hidden: what docs/reference and the packages hold, made from the definitions.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use monitor_policy::{EXPLAINED_CODES, ExplainedCode, Field, FieldFlags, LintGroup, Severity};

use super::error::{EXIT_CODES, Error};
use super::fields;
use super::print::print;
use crate::config::reference as configuration;
use crate::event::filled;

/// Print a generated part of the documentation.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[arg(value_enum)]
    topic: Topic,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Topic {
    /// docs/reference/configuration.md.
    Configuration,
    /// docs/reference/confinement.md.
    Confinement,
    /// A configuration file with every key commented out.
    DefaultConfiguration,
    /// docs/reference/diagnostics.md.
    Diagnostics,
    /// docs/reference/exit-codes.md.
    ExitCodes,
    /// docs/reference/fields.md.
    Fields,
    /// docs/reference/formats.md.
    Formats,
    /// docs/reference/metrics.md.
    Metrics,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    print(&text(arguments.topic))
}

fn text(topic: Topic) -> String {
    match topic {
        Topic::Configuration => configuration::markdown(),
        Topic::Confinement => crate::confine::markdown(),
        Topic::DefaultConfiguration => configuration::commented(),
        Topic::Diagnostics => diagnostics(),
        Topic::ExitCodes => exit_codes(),
        Topic::Fields => all_fields(),
        Topic::Formats => crate::output::formats(),
        Topic::Metrics => crate::metrics::markdown(),
    }
}

fn exit_codes() -> String {
    let mut text = String::from(
        "# Exit codes\n\n\
         <!-- Made by `monitor-daemon reference exit-codes`; do not edit. -->\n\n\
         Every command of `monitor-daemon` ends with one of these; a failure is said in one line \
         on standard error.\n\n| Code | Meaning |\n|---|---|\n",
    );
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text
}

const ABOUT_DIAGNOSTICS: &str = "\
# Diagnostics

<!-- Made by `monitor-daemon reference diagnostics`; do not edit. -->

What `monitor-daemon check` says of rules files, by code. `LOAD_` codes are Falco's; an error keeps \
the file from loading. `LINT_` codes are warnings of ours, given by `check` alone:

- `--lint likely`, the default: what is hardly ever meant. Rules that are switched off are left \
out.
- `--lint all`: also what well-kept rules have now and then. In a file that has \
`required_engine_version`, and so is made for others, that includes the codes marked *local*.
- `--lint none`: Falco's warnings alone.

Every warning can be silenced: everywhere by `check --allow CODE`, for one item by a comment \
directly above it or indented within it, which Falco does not mind:

```yaml
# monitor: allow LINT_REDEFINED, LOAD_UNUSED_LIST
- list: shells
  items: [zsh]
```
";

fn diagnostics() -> String {
    let mut text = String::from(ABOUT_DIAGNOSTICS);
    for ExplainedCode {
        code,
        meaning,
        example,
    } in EXPLAINED_CODES
    {
        let kind = match (code.severity(), code.lint_group()) {
            (Severity::Error, _) => "Error",
            (Severity::Warning, None) => "Warning",
            (Severity::Warning, Some(LintGroup::All)) => "Lint, `all`",
            (Severity::Warning, Some(_)) if code.lints_local_files() => "Lint, `likely`, *local*",
            (Severity::Warning, Some(_)) => "Lint, `likely`",
        };
        let _ = writeln!(
            text,
            "\n## {code}\n\n{kind}: {}.\n\n{meaning}",
            code.description()
        );
        if let Some(example) = example.shown() {
            let _ = writeln!(text, "\n```yaml\n{example}\n```");
        }
    }
    text
}

fn all_fields() -> String {
    let (known, never): (Vec<Field>, Vec<Field>) =
        Field::all().partition(|field| !field.is(FieldFlags::NEVER));
    let (ours, known): (Vec<Field>, Vec<Field>) = known
        .into_iter()
        .partition(|field| field.is(FieldFlags::EXTENSION));
    let count = known.iter().filter(|field| filled(**field)).count();
    let mut text = format!(
        "# Fields\n\n\
         <!-- Made by `monitor-daemon reference fields`; do not edit. -->\n\n\
         All fields of the rule language; names, types and meanings are Falco's, but for those of \
         the second table. {count} of Falco's are filled by this build; a field that is \
         not filled may be used, and comparisons on it are never true. `[N]` may follow, `[ARG]` and `.NAME` must.\n\n\
         {HEADING}"
    );
    for field in known {
        row(&mut text, field);
    }
    let _ = write!(text, "\nOurs, which Falco does not know:\n\n{HEADING}");
    for field in ours {
        row(&mut text, field);
    }
    text.push_str("\nAccepted so that old rules load, never with a value: ");
    let names: Vec<String> = never
        .iter()
        .map(|field| format!("`{}`", field.name()))
        .collect();
    let _ = writeln!(text, "{}.", names.join(", "));
    text
}

const HEADING: &str = "| Field | Type | Filled | Meaning |\n|---|---|---|---|\n";

fn row(text: &mut String, field: Field) {
    let filled = if filled(field) { "yes" } else { "no" };
    let (name, kind) = (fields::written(field), fields::type_name(field));
    // A bar would end the cell.
    let meaning = field
        .definition()
        .meaning
        .replace('|', "\\|")
        .replace('<', "\\<");
    let _ = writeln!(text, "| `{name}` | {kind} | {filled} | {meaning} |");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_files_in_docs_are_fresh() {
        let files = [
            (Topic::Configuration, "configuration"),
            (Topic::Confinement, "confinement"),
            (Topic::Diagnostics, "diagnostics"),
            (Topic::ExitCodes, "exit-codes"),
            (Topic::Fields, "fields"),
            (Topic::Formats, "formats"),
            (Topic::Metrics, "metrics"),
        ];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
        for (topic, name) in files {
            let written = fs::read_to_string(folder.join(format!("{name}.md"))).unwrap_or_default();
            assert!(
                written == text(topic),
                "run `monitor-daemon reference {name} > docs/reference/{name}.md`"
            );
        }
    }
}
