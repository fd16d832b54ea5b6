//! Explanations for people.

use std::fmt::Write as _;
use std::sync::Arc;

use monitor_policy::{EventType, FieldFlags, FlatEvent, Part, Rule, Shape, Trace, View};

use super::Subject;
use crate::event::filled;
use crate::output::visible;

/// Longest piece of a test or value that is shown, in characters.
const MAX_SHOWN: usize = 100;

/// Most names of event types that are shown.
const MAX_EVENTS: usize = 24;

/// Most lines of a condition.
const MAX_LINES: usize = 5000;

/// The explanation, for each event in turn.
pub(super) fn text(subject: &Subject<'_>) -> String {
    let mut text = head(subject);
    if subject.events.is_empty() {
        text.push_str("condition:\n");
        text.push_str(&Condition::of(subject, None).text());
    }
    for event in subject.events {
        text.push_str(&verdict(subject, event));
        let trace = subject.explanation.trace(event, subject.view(event));
        text.push_str(&Condition::of(subject, Some(&trace)).text());
    }
    text
}

fn head(subject: &Subject<'_>) -> String {
    let Rule {
        name,
        description,
        priority,
        enabled,
        ..
    } = subject.rule;
    let state = if *enabled { "enabled" } else { "disabled" };
    let mut text = format!(
        "{}\n    {priority}, {state}, defined at {}\n    {}\nevents: {}\nfields:\n",
        visible(name),
        subject.explanation.location(),
        visible(description.trim()),
        events(subject.rule),
    );
    for field in subject.fields() {
        let note = if filled(field.field) {
            ""
        } else if field.field.is(FieldFlags::DEPRECATED) {
            "    never has a value: it is out of use"
        } else {
            "    never has a value in this build"
        };
        let _ = writeln!(text, "    {}{note}", visible(&field.to_string()));
    }
    text.push_str(&subject.kernel);
    text
}

/// The event types on which a rule is tried.
fn events(rule: &Rule) -> String {
    let types = &rule.event_types;
    let (names, before): (Vec<&str>, &str) = if types.len() * 2 > EventType::count() {
        let rest = types.complement();
        (rest.iter().map(EventType::name).collect(), "all but ")
    } else {
        (types.iter().map(EventType::name).collect(), "")
    };
    match (names.as_slice(), before) {
        ([], "") => "none: no event type fulfils the condition".to_owned(),
        ([], _) => "all".to_owned(),
        (names, _) => {
            let shown: Vec<&str> = names.iter().take(MAX_EVENTS).copied().collect();
            let more = names.len() - shown.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{before}{}{more}", shown.join(", "))
        }
    }
}

fn verdict(subject: &Subject<'_>, event: &FlatEvent) -> String {
    use monitor_policy::Event as _;
    let kind = event.event_type();
    let view = subject.view(event);
    let trace = subject.explanation.trace(event, view);
    let holds = trace.holds(subject.explanation.root());
    let outcome = match (holds, subject.rule.enabled) {
        (true, true) => "it matches",
        (true, false) => "it matches, but the rule is disabled",
        (false, _) => "it does not match",
    };
    let tried = if subject.rule.event_types.contains(kind) {
        ""
    } else {
        "; the rule is never tried on this event type"
    };
    let view = match view {
        View::Resolved => ", with its paths behind links",
        View::Original => ", with its paths behind mounts",
        View::Passed => "",
    };
    format!("\nevent {kind}{view}: {outcome}{tried}\n")
}

/// A line of the condition.
struct Line {
    depth: usize,
    text: String,
    /// Whether what it shows holds.
    holds: Option<bool>,
    /// Whether it decided.
    decided: bool,
    note: String,
}

/// The condition as lines.
struct Condition<'p, 't> {
    lines: Vec<Line>,
    trace: Option<&'t Trace<'t>>,
    deciders: Vec<&'p Part>,
    opened: Vec<&'p str>,
}

/// What stands before a part on its line.
struct Lead<'p> {
    /// What connects it to the part before, and `not`s.
    before: String,
    /// The part with those `not`s.
    whole: &'p Part,
    /// The macro that it is the body of.
    note: String,
    depth: usize,
}

impl<'p> Lead<'p> {
    fn new(before: &str, whole: &'p Part, depth: usize) -> Self {
        Self {
            before: before.to_owned(),
            whole,
            note: String::new(),
            depth,
        }
    }
}

impl<'p, 't> Condition<'p, 't> {
    fn of(subject: &Subject<'p>, trace: Option<&'t Trace<'t>>) -> Self {
        let root = subject.explanation.root();
        let mut condition = Self {
            lines: Vec::new(),
            trace,
            deciders: trace.map_or_else(Vec::new, |trace| trace.deciders(root)),
            opened: Vec::new(),
        };
        match &root.shape {
            Shape::All(parts) => condition.parts(parts, "and ", 0),
            Shape::Any(parts) => condition.parts(parts, "or ", 0),
            _ => condition.part(root, Lead::new("", root, 0)),
        }
        condition
    }

    fn parts(&mut self, parts: &'p [Arc<Part>], joint: &str, depth: usize) {
        for (index, part) in parts.iter().enumerate() {
            let before = if index > 0 { joint } else { "" };
            self.part(part, Lead::new(before, part, depth));
        }
    }

    fn part(&mut self, part: &'p Part, mut lead: Lead<'p>) {
        if self.lines.len() >= MAX_LINES {
            return;
        }
        match &part.shape {
            Shape::Not(inner) => {
                lead.before.push_str("not ");
                self.part(inner, lead);
            }
            Shape::Test { text, location, .. } => {
                let lists = part.definitions().iter();
                let lists = lists.map(|list| format!("list {} of {}, ", list.name, list.location));
                let lists = lists.collect::<String>();
                lead.note = format!("{}{}{lists}{location}", self.values(part), lead.note);
                self.push(part, &lead, text);
            }
            Shape::All(parts) => self.group(part, parts, &lead, "and "),
            Shape::Any(parts) => self.group(part, parts, &lead, "or "),
            Shape::Macro { name, body } => self.expanded(part, (name, body), lead),
        }
    }

    fn group(&mut self, part: &'p Part, parts: &'p [Arc<Part>], lead: &Lead<'p>, joint: &str) {
        self.push(part, lead, "(");
        self.parts(parts, joint, lead.depth + 1);
        self.lines.push(Line {
            depth: lead.depth,
            text: ")".to_owned(),
            holds: None,
            decided: false,
            note: String::new(),
        });
    }

    /// A macro: its body, where it comes up for the first time.
    fn expanded(&mut self, part: &'p Part, (name, body): (&'p str, &'p Part), mut lead: Lead<'p>) {
        if self.opened.contains(&name) {
            lead.note.push_str("macro, opened above, ");
            return self.push(part, &lead, name);
        }
        self.opened.push(name);
        let from = part.definitions().first();
        let from = from.map_or_else(String::new, |from| format!(" of {}", from.location));
        lead.note = format!("{}macro {name}{from}, ", lead.note);
        self.part(body, lead);
    }

    fn values(&self, part: &Part) -> String {
        let (Shape::Test { fields, .. }, Some(trace)) = (&part.shape, self.trace) else {
            return String::new();
        };
        let values = fields.iter().map(|field| match trace.value(field) {
            serde_json::Value::Null => format!("{field} has no value; "),
            value => format!("{field} is {}; ", cut(&value.to_string())),
        });
        values.collect()
    }

    fn push(&mut self, part: &'p Part, lead: &Lead<'p>, text: &str) {
        self.lines.push(Line {
            depth: lead.depth,
            text: format!("{}{}", lead.before, cut(text)),
            holds: self.trace.map(|trace| trace.holds(lead.whole)),
            decided: self.deciders.iter().any(|one| std::ptr::eq(*one, part)),
            note: lead.note.trim_end_matches(", ").to_owned(),
        });
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Line {
            depth,
            text: shown,
            holds,
            decided,
            note,
        } in &self.lines
        {
            let mark = if *decided { '*' } else { ' ' };
            let outcome = match (self.trace, holds) {
                (None, _) => String::new(),
                (Some(_), Some(holds)) => format!("{holds:<6}{mark} "),
                (Some(_), None) => " ".repeat(8),
            };
            let indent = "    ".repeat(depth + 1);
            let note = if note.is_empty() {
                String::new()
            } else {
                format!("    # {}", visible(note))
            };
            let _ = writeln!(text, "{outcome}{indent}{}{note}", visible(shown));
        }
        if self.lines.len() >= MAX_LINES {
            text.push_str("    …\n");
        }
        text
    }
}

/// The begin of a text that may be long.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use monitor_policy::Explanation;

    use super::super::tests::{FILE, policy};
    use super::*;

    const HEAD: &str = "\
Shell
    Notice, enabled, defined at r.yaml:9:9
    A shell.
events: execve, execveat
fields:
    evt.type
    proc.name
    proc.pname
    proc.aname
    fd.types    never has a value in this build
";

    fn explain(events: &[FlatEvent]) -> String {
        let policy = policy();
        let explanation = Explanation::new(&[FILE], "Shell").unwrap();
        text(&Subject {
            rule: &policy.rules()[0],
            explanation: &explanation,
            events,
            kernel: String::new(),
        })
    }

    #[test]
    fn the_condition_is_opened_up() {
        let condition = "\
condition:
    evt.type in (execve, execveat)    # macro spawned of r.yaml:3:10, r.yaml:4:14
    and proc.name in (sh, bash)    # list shells of r.yaml:1:9, r.yaml:12:17
    and not (    # macro quiet of r.yaml:5:10
        proc.pname = cron    # r.yaml:7:5
        or proc.aname in (sh, bash)    # list shells of r.yaml:1:9, r.yaml:8:5
    )
    and not (
        fd.types intersects (unix)    # r.yaml:13:28
        and not quiet    # macro, opened above
    )
";
        assert_eq!(explain(&[]), format!("{HEAD}{condition}"));
    }

    #[test]
    fn an_event_shows_what_decided() {
        let event = serde_json::json!({
            "evt.type": "execve", "proc.name": "sh", "proc.pname": "cron", "proc.aname": ["cron"],
        });
        let event = FlatEvent::from_json(event.as_object().unwrap()).unwrap();
        let shown = "
event execve: it does not match
true        evt.type in (execve, execveat)    # evt.type is \"execve\"; macro spawned of r.yaml:3:10, r.yaml:4:14
true        and proc.name in (sh, bash)    # proc.name is \"sh\"; list shells of r.yaml:1:9, r.yaml:12:17
false       and not (    # macro quiet of r.yaml:5:10
true  *         proc.pname = cron    # proc.pname is \"cron\"; r.yaml:7:5
false           or proc.aname in (sh, bash)    # proc.aname is \"cron\"; list shells of r.yaml:1:9, r.yaml:8:5
            )
true        and not (
false           fd.types intersects (unix)    # fd.types has no value; r.yaml:13:28
false           and not quiet    # macro, opened above
            )
";
        assert_eq!(explain(&[event]), format!("{HEAD}{shown}"));
    }
}
