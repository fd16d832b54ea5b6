//! What came of the tests, for people and for programs.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use monitor_policy::{
    Case, Color, Explanation, LoadLimits, Mismatch, Part, RulesFile, Shape, Trace, View,
};
use serde_json::{Map, Value, json};

use crate::output::visible;

/// Most tests of a condition that are shown for one mismatch.
const MOST_TESTS: usize = 12;

/// Most characters of a test that are shown: lists may be long.
const LONGEST_TEST: usize = 76;

const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const BOLD: Style = Style::new().bold();

/// A file of tests and what came of each.
pub(super) struct FileOutcome<'c> {
    pub(super) name: &'c str,
    pub(super) outcomes: Vec<Outcome<'c>>,
}

/// What came of a case.
pub(super) struct Outcome<'c> {
    pub(super) case: &'c Case,
    /// What is not as expected.
    pub(super) mismatches: Vec<Mismatch>,
}

impl FileOutcome<'_> {
    /// How many cases are not as expected.
    pub(super) fn failed(&self) -> usize {
        let failed = |outcome: &&Outcome<'_>| !outcome.mismatches.is_empty();
        self.outcomes.iter().filter(failed).count()
    }
}

/// What came of all files, and the rules that they are for.
pub(super) struct Report<'a> {
    pub(super) files: &'a [FileOutcome<'a>],
    pub(super) rules: &'a [RulesFile<'a>],
    /// Those that the rules were loaded within.
    pub(super) limits: LoadLimits,
}

impl Report<'_> {
    /// The failures, and a line for each file.
    pub(super) fn text(&self, color: Color) -> String {
        let mut text = String::new();
        for file in self.files {
            for outcome in &file.outcomes {
                self.failure(&mut text, file.name, outcome, color);
            }
            let failed = file.failed();
            let passed = file.outcomes.len() - failed;
            let verdict = match failed {
                0 => paint(color, GREEN, "ok"),
                failed => paint(color, RED, &format!("{failed} failed")),
            };
            let _ = writeln!(text, "{}: {verdict}, {passed} passed", file.name);
        }
        text
    }

    fn failure(&self, text: &mut String, file: &str, outcome: &Outcome<'_>, color: Color) {
        let Outcome { case, mismatches } = outcome;
        if mismatches.is_empty() {
            return;
        }
        let head = paint(color, BOLD, "FAIL");
        let name = visible(&case.name);
        let _ = writeln!(text, "{head} {file}:{}: {name}", case.line);
        for mismatch in mismatches {
            differ(text, mismatch, color);
            because(text, &self.reason(mismatch, case));
        }
    }

    /// All outcomes.
    pub(super) fn to_json(&self) -> Value {
        let file = |file: &FileOutcome<'_>| {
            let cases = file.outcomes.iter().map(|outcome| {
                let mismatches = outcome.mismatches.iter();
                let mismatches = mismatches.map(|one| self.mismatch(one, outcome.case));
                json!({
                    "name": outcome.case.name,
                    "line": outcome.case.line,
                    "ok": outcome.mismatches.is_empty(),
                    "mismatches": mismatches.collect::<Vec<_>>(),
                })
            });
            json!({
                "file": file.name,
                "passed": file.outcomes.len() - file.failed(),
                "failed": file.failed(),
                "cases": cases.collect::<Vec<_>>(),
            })
        };
        self.files.iter().map(file).collect()
    }

    fn mismatch(&self, mismatch: &Mismatch, case: &Case) -> Value {
        let because = match self.reason(mismatch, case) {
            Reason::Plain => json!([]),
            Reason::Disabled => json!("disabled"),
            Reason::Tests { decided, .. } => decided.iter().map(Decided::to_json).collect(),
        };
        match mismatch {
            Mismatch::Silent { rule, .. } => {
                json!({"expected": "fires", "rule": rule, "because": because})
            }
            Mismatch::Fired { rule } => {
                json!({"expected": "silent", "rule": rule, "because": because})
            }
            Mismatch::Output {
                rule,
                expected,
                printed,
            } => {
                json!({"expected": "output", "rule": rule, "wanted": expected, "printed": printed})
            }
        }
    }

    fn reason(&self, mismatch: &Mismatch, case: &Case) -> Reason {
        let rule = match mismatch {
            Mismatch::Output { .. } => return Reason::Plain,
            Mismatch::Silent { disabled: true, .. } => return Reason::Disabled,
            Mismatch::Silent { rule, .. } | Mismatch::Fired { rule } => rule,
        };
        match Explanation::within(self.rules, rule, self.limits) {
            Some(explanation) => Reason::of(&explanation, case),
            None => Reason::Plain,
        }
    }
}

/// Expected and found, as a diff has them.
fn differ(text: &mut String, mismatch: &Mismatch, color: Color) {
    let (expected, found) = match mismatch {
        Mismatch::Silent { rule, .. } => (format!("fires: {rule}"), format!("silent: {rule}")),
        Mismatch::Fired { rule } => (format!("silent: {rule}"), format!("fires: {rule}")),
        Mismatch::Output {
            expected, printed, ..
        } => (expected.clone(), printed.clone()),
    };
    let minus = paint(color, RED, &format!("- {}", visible(&expected)));
    let plus = paint(color, GREEN, &format!("+ {}", visible(&found)));
    let _ = writeln!(text, "    {minus}\n    {plus}");
}

fn because(text: &mut String, reason: &Reason) {
    match reason {
        Reason::Plain => {}
        Reason::Disabled => text.push_str("      the rule is disabled\n"),
        Reason::Tests { decided, more } => {
            for Decided {
                test,
                macro_name,
                holds,
                values,
                location,
            } in decided
            {
                let within = macro_name
                    .as_ref()
                    .map(|name| format!(" in macro `{name}`"));
                let within = within.unwrap_or_default();
                let values: Vec<String> = values
                    .iter()
                    .map(|(field, value)| match value {
                        Value::Null => format!("no {field}"),
                        value => format!("{field}={value}"),
                    })
                    .collect();
                let _ = writeln!(
                    text,
                    "      {holds:<5} {}\n            with {}{within}, {location}",
                    visible(&shortened(test)),
                    visible(&values.join(" ")),
                );
            }
            if *more > 0 {
                let _ = writeln!(text, "      … and {more} more");
            }
        }
    }
}

/// Why a mismatch came about.
enum Reason {
    /// It says so itself.
    Plain,
    Disabled,
    /// These tests decided, in the order of the condition, and `more`.
    Tests {
        decided: Vec<Decided>,
        more: usize,
    },
}

/// A test that decided.
struct Decided {
    test: String,
    /// The outermost macro that it is in.
    macro_name: Option<String>,
    holds: bool,
    values: Vec<(String, Value)>,
    location: String,
}

impl Reason {
    fn of(explanation: &Explanation, case: &Case) -> Self {
        let trace = explanation.trace(&case.event, View::Passed);
        let root = explanation.root();
        let parts: Vec<&Part> = match &root.shape {
            Shape::All(parts) => parts.iter().map(AsRef::as_ref).collect(),
            _ => vec![root],
        };
        let outcome = trace.holds(root);
        let deciding = parts
            .into_iter()
            .filter(|part| trace.holds(part) == outcome);
        let mut decided: Vec<Decided> = deciding
            .flat_map(|part| {
                let tests = trace.deciders(part).into_iter();
                tests.filter_map(|test| Decided::of(test, part, &trace))
            })
            .collect();
        let more = decided.len().saturating_sub(MOST_TESTS);
        decided.truncate(MOST_TESTS);
        Self::Tests { decided, more }
    }
}

impl Decided {
    fn of(test: &Part, part: &Part, trace: &Trace<'_>) -> Option<Self> {
        let Shape::Test {
            text,
            fields,
            location,
        } = &test.shape
        else {
            return None;
        };
        let values = fields
            .iter()
            .map(|field| (field.to_string(), trace.value(field)));
        Some(Self {
            test: text.clone(),
            macro_name: macro_name(part),
            holds: trace.holds(test),
            values: values.collect(),
            location: location.to_string(),
        })
    }

    fn to_json(&self) -> Value {
        let values: Map<String, Value> = self.values.iter().cloned().collect();
        json!({
            "test": self.test,
            "macro": self.macro_name,
            "holds": self.holds,
            "values": values,
            "location": self.location,
        })
    }
}

fn macro_name(part: &Part) -> Option<String> {
    match &part.shape {
        Shape::Macro { name, .. } => Some(name.clone()),
        Shape::Not(inner) => macro_name(inner),
        Shape::All(_) | Shape::Any(_) | Shape::Test { .. } => None,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn paint(color: Color, style: Style, text: &str) -> String {
    match color {
        Color::Always => format!("{style}{text}{style:#}"),
        Color::Never => text.to_owned(),
    }
}
