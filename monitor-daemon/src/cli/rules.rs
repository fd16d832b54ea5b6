//! `rules`: what the loaded policies look for, and whether anything here would tell.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use monitor_common::Kind;
use monitor_policy::{EventType, Rule};
use serde_json::{Value, json};

use super::error::Error;
use super::print::print;
use super::{Format, doctor, policies};
use crate::config::Config;
use crate::event::{event_types, recorded_for};
use crate::output::visible;
use crate::probe::Coverage;

const HELP: &str = "\
Kinds are what this build records in the kernel; `doctor` shows what serves each. With --kernel
each kind is tried on this machine too, as `run` would do (needs root).

Examples:
  monitor-daemon rules
  monitor-daemon rules --policy falco_rules.yaml --policy my_rules.yaml
  sudo monitor-daemon rules --kernel --format json | jq -r '.[] | select(.blind != []) | .name'";

/// List the loaded rules: priority, source, tags, events, and whether those are recorded.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Configuration file, for its policies; see `run`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rules file, or folder of *.yaml and *.yml, instead of the configured ones; may be repeated.
    #[arg(long, value_name = "PATH")]
    policy: Vec<PathBuf>,
    /// Also try which kinds of event this kernel serves.
    #[arg(long)]
    kernel: bool,
    /// How the result is printed; json: an array with one object a rule.
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
    let policy = policies::load(paths, &config.rules)?;
    let served = if arguments.kernel {
        served(&doctor::coverage()?)
    } else {
        Kind::ALL.to_vec()
    };
    let views: Vec<View<'_>> = policy
        .rules()
        .iter()
        .map(|rule| View::of(rule, &served))
        .collect();
    match arguments.format {
        Format::Text => print(&views.iter().map(View::text).collect::<String>()),
        Format::Json => {
            let all: Vec<Value> = views.iter().map(View::to_json).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&all)?))
        }
    }
}

fn served(coverage: &[Coverage]) -> Vec<Kind> {
    let served = coverage.iter().filter(|kind| kind.provider.is_some());
    served.map(|coverage| coverage.kind).collect()
}

/// A rule, and what becomes of the events it can match.
struct View<'r> {
    rule: &'r Rule,
    /// Recorded kinds that bring such events.
    kinds: Vec<Kind>,
    /// Kinds that this build could record, but not this kernel.
    blind: Vec<Kind>,
    /// Names of event types that nothing records; `None` for a rule on any event.
    unrecorded: Option<Vec<&'static str>>,
}

impl<'r> View<'r> {
    fn of(rule: &'r Rule, served: &[Kind]) -> Self {
        let wanted = recorded_for(&rule.event_types);
        let needed = |kind: &Kind| {
            let mut types = event_types(*kind).iter();
            types.any(|name| EventType::from_name(name).is_some_and(|event| wanted.contains(event)))
        };
        let (kinds, blind) = Kind::ALL
            .into_iter()
            .filter(needed)
            .partition(|kind| served.contains(kind));
        let recorded: Vec<&str> = Kind::ALL
            .into_iter()
            .flat_map(event_types)
            .copied()
            .collect();
        let unrecorded = rule
            .event_types
            .iter()
            .map(EventType::name)
            .filter(|name| !recorded.contains(name));
        let any = rule.event_types.len() == EventType::count();
        Self {
            rule,
            kinds,
            blind,
            unrecorded: (!any).then(|| unrecorded.collect()),
        }
    }

    fn text(&self) -> String {
        let Rule {
            name,
            priority,
            source,
            tags,
            enabled,
            ..
        } = self.rule;
        let state = if *enabled { "enabled" } else { "disabled" };
        let tags: Vec<String> = tags.iter().map(|tag| visible(tag)).collect();
        let mut text = format!(
            "{:<13} {}\n    {state}, source {}, tags: {}\n    kinds: {}\n",
            priority.to_string(),
            visible(name),
            visible(source),
            or_none(&tags),
            or_none(&kind_names(&self.kinds)),
        );
        if !self.blind.is_empty() {
            let kinds = kind_names(&self.blind).join(", ");
            let _ = writeln!(text, "    not served by this kernel: {kinds}");
        }
        match self.unrecorded.as_deref() {
            Some([]) => {}
            Some(names) => _ = writeln!(text, "    not recorded: {}", names.join(", ")),
            None => text.push_str("    names no event type, so it is tried on all of them\n"),
        }
        text
    }

    fn to_json(&self) -> Value {
        let Rule {
            name,
            description,
            priority,
            tags,
            source,
            enabled,
            ..
        } = self.rule;
        json!({
            "name": name,
            "description": description,
            "priority": priority.to_string(),
            "source": source,
            "tags": tags,
            "enabled": enabled,
            "kinds": kind_names(&self.kinds),
            "blind": kind_names(&self.blind),
            "unrecorded": self.unrecorded,
            "any_event": self.unrecorded.is_none(),
        })
    }
}

fn kind_names(kinds: &[Kind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.name()).collect()
}

fn or_none<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use monitor_policy::{Options, Policy, RulesFile};

    use super::*;

    const RULES: &str = "\
- rule: Shell
  desc: A shell.
  condition: evt.type in (execve, switch) and proc.name=sh
  output: x
  priority: WARNING
  tags: [b, a]
- rule: Off
  desc: Never.
  condition: evt.type=open and proc.name=x
  output: x
  priority: NOTICE
  enabled: false
";

    fn policy() -> Policy {
        let file = RulesFile {
            name: "r.yaml",
            text: RULES,
        };
        monitor_policy::load(&[file], &Options::default())
            .policy
            .unwrap()
    }

    #[test]
    fn text_says_what_would_be_seen() {
        let policy = policy();
        let shown = |served: &[Kind]| -> String {
            let views = policy.rules().iter().map(|rule| View::of(rule, served));
            views.map(|view| view.text()).collect()
        };
        assert_eq!(
            shown(&Kind::ALL),
            "\
Warning       Shell
    enabled, source syscall, tags: a, b
    kinds: exec
    not recorded: switch
Notice        Off
    disabled, source syscall, tags: none
    kinds: open
"
        );
        let blind = shown(&[Kind::Exec]);
        assert!(
            blind.ends_with("kinds: none\n    not served by this kernel: open\n"),
            "{blind}"
        );
    }

    #[test]
    fn json_has_the_same() {
        let policy = policy();
        assert_eq!(
            View::of(&policy.rules()[0], &Kind::ALL).to_json(),
            json!({
                "name": "Shell",
                "description": "A shell.",
                "priority": "Warning",
                "source": "syscall",
                "tags": ["a", "b"],
                "enabled": true,
                "kinds": ["exec"],
                "blind": [],
                "unrecorded": ["switch"],
                "any_event": false,
            })
        );
    }
}
