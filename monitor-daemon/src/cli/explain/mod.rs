//! `explain`: what a rule looks at, and for an event what made it fire or stay silent.

mod clause;
mod event;
mod json;
mod kernel;
mod text;

use std::path::PathBuf;

use clap::Args;
use monitor_policy::{
    Event as _, Explanation, FieldRef, FlatEvent, Options, Part, Priority, Rule, RulesFile,
    Selected, Shape, Switch, View, all_near,
};

use super::error::Error;
use super::print::print;
use super::{Format, policies};
use crate::config::Config;

const HELP: &str = "\
The condition is shown with its exceptions, its lists and its macros put in; what stands behind `#`
says where a macro or list comes from. With an event each test is shown with the value that it saw,
and `*` marks the tests that decided: those that would have to turn out otherwise.

Examples:
  monitor-daemon explain 'Shell in a container' --policy my_rules.yaml
  monitor-daemon explain --kernel
  monitor-daemon explain 'Shell in a container' --policy my_rules.yaml \\
    --event '{\"evt.type\":\"execve\",\"proc.name\":\"sh\"}'";

/// Show a rule's condition opened up, and for an event what decided.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Name of the rule.
    #[arg(required_unless_present = "kernel")]
    rule: Option<String>,
    /// What the kernel decides for all rules together, by kind of event.
    #[arg(long, conflicts_with_all = ["rule", "event"])]
    kernel: bool,
    /// Configuration file, for its policies and how they are loaded; see `run`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rules file, or folder of *.yaml and *.yml, instead of the configured ones; may be repeated.
    #[arg(long, value_name = "PATH")]
    policy: Vec<PathBuf>,
    /// The event: a JSON object as for `eval`, a file with such objects, or `-` for standard input.
    #[arg(long, value_name = "FILE|JSON|-")]
    event: Option<String>,
    /// How the result is printed; json: one object.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::load(arguments.config.as_deref())?;
    let paths = if arguments.policy.is_empty() {
        &config.policies
    } else {
        &arguments.policy
    };
    let texts = policies::texts(paths, config.rules.limits.file_bytes)?;
    let files: Vec<RulesFile<'_>> = texts
        .iter()
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    // A rule that is dropped for its priority can be explained too.
    let options = Options {
        minimum_priority: Priority::Debug,
        ..config.rules
    };
    let policy = policies::finish(monitor_policy::load(&files, &options))?;
    let Some(name) = &arguments.rule else {
        return match arguments.format {
            Format::Text => print(&kernel::text(&policy)),
            Format::Json => {
                let told = serde_json::to_string_pretty(&kernel::json(&policy))?;
                print(&format!("{told}\n"))
            }
        };
    };
    let mut rules = policy.rules().iter().enumerate();
    let found = rules.find(|(_, rule)| rule.name == *name);
    let explanation = Explanation::within(&files, name, options.limits);
    let (Some((number, rule)), Some(explanation)) = (found, explanation) else {
        let names = policy.rules().iter().map(|rule| rule.name.as_str());
        return Err(unknown(name, names));
    };
    let events = event::read(arguments.event.as_deref())?;
    let mut subject = Subject {
        rule,
        explanation: &explanation,
        events: &events,
        kernel: String::new(),
    };
    let alone = policies::finish(monitor_policy::load(&files, &only(name, &options)))?;
    subject.kernel = kernel::of_rule(&policy, &alone, number, &subject.fields());
    match arguments.format {
        Format::Text => print(&text::text(&subject)),
        Format::Json => {
            let object = json::json(&subject);
            print(&format!("{}\n", serde_json::to_string_pretty(&object)?))
        }
    }
}

/// The same, with this rule alone.
fn only(name: &str, options: &Options) -> Options {
    let switch = |enabled, name: &str| Switch {
        enabled,
        rules: Selected::Named(name.to_owned()),
    };
    Options {
        switches: vec![switch(false, "*"), switch(true, name)],
        ..options.clone()
    }
}

/// What is explained.
struct Subject<'a> {
    rule: &'a Rule,
    explanation: &'a Explanation,
    events: &'a [FlatEvent],
    /// What the kernel decides, in words.
    kernel: String,
}

impl Subject<'_> {
    /// The view of an event that decides: another than that of the paths as passed only if the rule
    /// does not fire in that.
    fn view(&self, event: &FlatEvent) -> View {
        let holds = |view: &View| {
            let trace = self.explanation.trace(event, *view);
            trace.holds(self.explanation.root())
        };
        let has = |view: &View| *view == View::Passed || event.has_view(*view);
        let mut views = View::ALL.into_iter().filter(has);
        views.find(holds).unwrap_or(View::Passed)
    }

    /// The fields that the condition looks at, in the order of the condition, each once.
    fn fields(&self) -> Vec<&FieldRef> {
        let mut fields = Vec::new();
        let mut opened = Vec::new();
        collect(self.explanation.root(), &mut opened, &mut fields);
        fields
    }
}

fn collect<'p>(part: &'p Part, opened: &mut Vec<&'p str>, fields: &mut Vec<&'p FieldRef>) {
    match &part.shape {
        Shape::All(parts) | Shape::Any(parts) => {
            for part in parts {
                collect(part, opened, fields);
            }
        }
        Shape::Not(inner) => collect(inner, opened, fields),
        Shape::Macro { name, body } => {
            // A macro may be used any number of times.
            if !opened.contains(&name.as_str()) {
                opened.push(name);
                collect(body, opened, fields);
            }
        }
        Shape::Test { fields: tested, .. } => {
            for field in tested {
                if !fields.contains(&field) {
                    fields.push(field);
                }
            }
        }
    }
}

fn unknown<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Error {
    let names: Vec<&str> = names.collect();
    let lower = name.to_lowercase();
    let near = all_near(name, names.iter().copied());
    let has_it =
        |known: &&&str| !near.contains(known) && known.to_lowercase().contains(lower.as_str());
    let parts = names.iter().filter(has_it);
    let near = near.iter().chain(parts).take(3);
    let near = near.map(|known| format!("`{known}`"));
    Error::UnknownRule {
        name: name.to_owned(),
        near: near.collect(),
    }
}

#[cfg(test)]
mod tests {
    use monitor_policy::Policy;

    use super::*;

    pub(super) const RULES: &str = "\
- list: shells
  items: [sh, bash]
- macro: spawned
  condition: evt.type in (execve, execveat)
- macro: quiet
  condition: >
    proc.pname = cron or
    proc.aname in (shells)
- rule: Shell
  desc: A shell.
  condition: >
    spawned and proc.name in (shells)
    and not quiet and not (fd.types intersects (unix) and not quiet)
  output: x
  priority: NOTICE
";

    pub(super) const FILE: RulesFile<'static> = RulesFile {
        name: "r.yaml",
        text: RULES,
    };

    pub(super) fn policy() -> Policy {
        monitor_policy::load(&[FILE], &Options::default())
            .policy
            .unwrap()
    }

    #[test]
    fn unknown_rules_are_refused_with_the_nearest() {
        let names = ["Shell in container", "Read shadow", "Shell outside"];
        let message = |name| unknown(name, names.into_iter()).to_string();
        assert_eq!(
            message("shell in contaner"),
            "no rule has the name `shell in contaner`; did you mean `Shell in container`?"
        );
        assert_eq!(
            message("shell"),
            "no rule has the name `shell`; did you mean `Shell in container`, `Shell outside`?"
        );
        assert_eq!(
            message("xyz"),
            "no rule has the name `xyz`; `rules` lists those that are loaded"
        );
    }

    #[test]
    fn fields_are_told_once() {
        let policy = policy();
        let explanation = Explanation::new(&[FILE], "Shell").unwrap();
        let subject = Subject {
            rule: &policy.rules()[0],
            explanation: &explanation,
            events: &[],
            kernel: String::new(),
        };
        let fields: Vec<_> = subject.fields().iter().map(ToString::to_string).collect();
        assert_eq!(
            fields,
            [
                "evt.type",
                "proc.name",
                "proc.pname",
                "proc.aname",
                "fd.types"
            ]
        );
    }
}
