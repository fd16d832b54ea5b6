//! Lint: rules that load and are probably not what their author meant.
//!
//! Each finding has a code of its own that begins with `LINT_`. A comment
//! `# monitor: allow CODE` above an item silences a code there (`allow`).

mod allow;
mod explained;
mod leaf;
mod never;
mod output;
mod rule;

use crate::compile::Macros;
use crate::condition::ast::{Check, Expr, Literal, Right, Span};
use crate::diagnostic::Code;
use crate::event_type::{EventSet, EventType};
use crate::field::Field;
use crate::output::Template;
use crate::rules::{Finding, ItemRef};
use crate::source::Sourced;

pub(crate) use allow::Allowed;
pub use explained::{EXPLAINED_CODES, Example, ExplainedCode};

/// What is looked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LintOptions {
    /// Which lints.
    pub group: LintGroup,
    /// The fields to which the caller's events never give a value.
    pub unfilled: &'static [Field],
    /// Which parameters the caller's events have; `None` when that is not known.
    pub told: Option<Told>,
}

/// Whether the events of a type give a value to the parameter of a name.
#[derive(Clone, Copy, Debug)]
pub struct Told(pub fn(EventType, &str) -> bool);

impl Eq for Told {}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

/// Which lints are on.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum LintGroup {
    /// None: the warnings are Falco's.
    #[default]
    None,
    /// Those that are hardly ever wrong: well-kept rules have none.
    Likely,
    /// Also those that well-kept rules have now and then.
    All,
}

impl Code {
    /// The lints that a code belongs to; nothing for errors and for Falco's own warnings.
    pub fn lint_group(self) -> Option<LintGroup> {
        match self {
            Self::LintEmptyList => Some(LintGroup::All),
            lint if lint.name().starts_with("LINT_") => Some(LintGroup::Likely),
            _ => None,
        }
    }

    /// Whether it is of group [`LintGroup::All`] in a file that says by `required_engine_version`
    /// that it is made for others. Such files repeat each other's macros, and what one value of
    /// theirs is good for is not for their users to mend.
    pub fn lints_local_files(self) -> bool {
        matches!(
            self,
            Self::LintRedefined | Self::LintLongName | Self::LintMixed | Self::LintPatternInList
        )
    }

    /// The lints that a code belongs to in a file.
    pub(crate) fn lint_group_in(self, kind: FileKind) -> Option<LintGroup> {
        if kind == FileKind::Published && self.lints_local_files() {
            Some(LintGroup::All)
        } else {
            self.lint_group()
        }
    }
}

/// Whom a file is made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FileKind {
    /// For this installation.
    Local,
    /// For others: it has `required_engine_version`.
    Published,
}

/// A condition, or a macro's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Whose it is.
    pub(crate) item: &'a ItemRef,
    /// Its text, lists put in.
    pub(crate) text: &'a Sourced,
    /// What the text says.
    pub(crate) expr: &'a Expr,
    /// The `or`s that have an `and` beside them without parentheses.
    pub(crate) mixed: &'a [Span],
}

/// What a rule has besides its condition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleFacts<'a> {
    /// The event types that it can match.
    pub(crate) event_types: &'a EventSet,
    /// The text of its output.
    pub(crate) output: &'a Sourced,
    /// Its output.
    pub(crate) template: &'a Template,
}

/// What is to say of the tests of a condition.
pub(crate) fn expression(subject: Subject<'_>, options: LintOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut checks = Vec::new();
    collect(subject.expr, &mut checks);
    for check in checks {
        leaf::lint(check, subject.text, options.unfilled, &mut findings);
    }
    findings.extend(subject.mixed.iter().map(|span| mixed(subject.text, span)));
    let within = |finding: Finding| finding.within(subject.item);
    findings.into_iter().map(within).collect()
}

/// What is to say of a rule as a whole.
pub(crate) fn rule(
    subject: Subject<'_>,
    facts: RuleFacts<'_>,
    macros: &Macros,
    options: LintOptions,
) -> Vec<Finding> {
    let mut findings = output::lint(facts.output, facts.template);
    findings.extend(rule::lint(subject, facts.event_types, macros));
    if let Some(told) = options.told {
        findings.extend(rule::untold(subject, facts.event_types, macros, told));
    }
    findings.extend(never::lint(subject, facts.event_types, macros));
    let within = |finding: Finding| finding.within(subject.item);
    findings.into_iter().map(within).collect()
}

fn mixed(text: &Sourced, span: &Span) -> Finding {
    let message = "`and` and `or` stand side by side without parentheses";
    Finding::new(Code::LintMixed, message, text.place(span))
        .with_help("`and` binds before `or`: put the part that belongs together in parentheses")
}

/// The tests of an expression, those of its macros left out.
fn collect<'e>(expr: &'e Expr, checks: &mut Vec<&'e Check>) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                collect(part, checks);
            }
        }
        Expr::Not(inner) => collect(inner, checks),
        Expr::Macro(_) => {}
        Expr::Check(check) => checks.push(check),
    }
}

/// The literals on the right side of a test.
fn literals(check: &Check) -> &[Literal] {
    match &check.right {
        Right::Literal(one) => std::slice::from_ref(one),
        Right::List(list) | Right::Modified(_, list) => list,
        Right::None | Right::Operand(_) => &[],
    }
}
