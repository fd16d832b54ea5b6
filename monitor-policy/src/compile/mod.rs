//! Compiles definitions: macros and lists are put in, types are checked, one graph comes out.
//!
//! Everything is compiled again with each file, as the language prescribes: a later file may
//! change what earlier ones mean.

mod algebra;
mod events;
mod expression;
mod field;
mod leaf;
mod literal;
mod macros;
mod names;
mod operand;
mod plugin;
mod types;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

pub use algebra::EventTypes;
pub(crate) use algebra::{Sense, event_types};
pub(crate) use expression::Expressions;
pub(crate) use field::{is_field, nearest_field, resolve};
pub(crate) use leaf::compile as compile_test;
pub(crate) use macros::Macros;
pub(crate) use operand::{Operands, Side, deprecated};
pub(crate) use plugin::owner;

use crate::append::AppendOutput;
use crate::condition::ast::Expr;
use crate::condition::{Fault, Parsed, parse_all};
use crate::diagnostic::{Code, Severity};
use crate::event_type::EventSet;
use crate::lint::{self, LintGroup, RuleFacts, Subject};
use crate::load::{Options, SuggestedOutput};
use crate::output::Template;
use crate::program::{Builder, Graph, NodeId};
use crate::rules::{Finding, Lists, Rule as Definition, Store, with_exceptions};
use crate::source::Sourced;
use crate::switch::is_enabled;
use macros::references;

/// A rule that matches more types than this does not restrict them in earnest.
const MANY_EVENT_TYPES: usize = 100;

/// Among so many of the last findings one is not repeated.
const RECENT: usize = 32;

/// The result of a compilation.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// All conditions.
    pub(crate) graph: Graph,
    /// The rules that compiled, in order.
    pub(crate) rules: Vec<CompiledRule>,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// A rule that compiled.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    /// Its definition.
    pub(crate) definition: Definition,
    /// Its condition in the graph.
    pub(crate) condition: NodeId,
    /// The event types that it can match.
    pub(crate) event_types: EventSet,
    /// Its output.
    pub(crate) output: Template,
    /// The fields of its condition.
    pub(crate) fields: HashSet<usize>,
    /// Of all that makes it what it is.
    pub(crate) digest: u64,
}

/// Compiles all definitions.
pub(crate) fn compile(store: &Store, options: &Options) -> Compiled {
    let mut lists = Lists::within(store, options.limits);
    let findings = lists.take_findings();
    let macros = Macros::new(store, &mut lists);
    let mut compiler = Compiler {
        options,
        lists,
        expressions: Expressions::new(store, macros, Builder::default()).within(options.limits),
        findings,
        rules: Vec::new(),
        linted: HashSet::new(),
    };
    // Beyond what is told nothing needs to be found.
    let most = options.limits.diagnostics.saturating_mul(2);
    for rule in store.rules() {
        let is_error = |found: &&Finding| found.code.severity() == Severity::Error;
        if compiler.findings.len() > most
            && compiler.findings.iter().filter(is_error).count() > most
        {
            break;
        }
        compiler.rule(rule);
    }
    compiler.finish(store)
}

struct Compiler<'a> {
    options: &'a Options,
    lists: Lists,
    expressions: Expressions<'a>,
    findings: Vec<Finding>,
    rules: Vec<CompiledRule>,
    /// Macros that were looked at.
    linted: HashSet<String>,
}

impl Compiler<'_> {
    /// The text of a rule's condition and what it says; `None` when there is nothing to compile.
    fn parsed(&mut self, rule: &Definition) -> Option<(Sourced, Parsed)> {
        let text = self
            .lists
            .substitute(&with_exceptions(&rule.condition, &rule.exceptions));
        let overflow = self.lists.take_overflow();
        let skipped = if rule.source == "syscall" {
            overflow.map(|message| (Code::Validate, message))
        } else {
            let message = format!("Unknown source {}, skipping", rule.source);
            Some((Code::UnknownSource, message))
        };
        if let Some((code, message)) = skipped {
            let finding = Finding::new(code, message, rule.item.place);
            self.findings.push(finding.within(&rule.item));
            return None;
        }
        let parsed = parse_all(text.text(), self.options.limits.of_conditions());
        for fault in &parsed.faults {
            self.tell_once(Finding::from_syntax(fault.clone(), &text).within(&rule.item));
        }
        Some((text, parsed))
    }

    fn rule(&mut self, rule: &Definition) {
        let Some((text, parsed)) = self.parsed(rule) else {
            return;
        };
        let Some(expr) = parsed.expr else { return };
        if rule.priority > self.options.minimum_priority {
            self.expressions.mark_used(&expr);
            return;
        }
        let lowered = self.expressions.lower(&expr, &text);
        let output = self.output(rule);
        let (output, faults) = match output {
            Ok(output) => (Some(output), Vec::new()),
            Err(faults) => (None, faults),
        };
        let mut problems = lowered.problems;
        problems.extend(faults);
        let drop = !parsed.faults.is_empty()
            || problems
                .iter()
                .any(|problem| problem.finding.code.severity() == Severity::Error);
        self.report(rule, problems);
        let (Some(condition), Some(output), false) = (lowered.node, output, drop) else {
            return;
        };
        let event_types = self.expressions.builder().truth(condition).when_true;
        self.warn_event_types(rule, &event_types);
        let subject = Subject {
            item: &rule.item,
            text: &text,
            expr: &expr,
            mixed: &parsed.mixed,
        };
        let facts = RuleFacts {
            event_types: &event_types,
            output: &rule.output,
            template: &output,
        };
        let definition = self.switched(rule);
        if definition.enabled && self.options.lint.group != LintGroup::None {
            self.lint(subject, facts);
        }
        let digest = digest(
            &definition,
            self.expressions.builder().digest(condition),
            &output,
        );
        self.rules.push(CompiledRule {
            digest,
            definition,
            condition,
            event_types,
            output,
            fields: lowered.fields,
        });
    }

    /// The definition, on or off as the options say.
    fn switched(&self, rule: &Definition) -> Definition {
        let switches = &self.options.switches;
        let mut definition = rule.clone();
        definition.enabled = is_enabled(rule.enabled, &rule.item.name, &rule.tags, switches);
        definition
    }

    /// The output with what is appended, or what is wrong with it.
    fn output(&mut self, rule: &Definition) -> Result<Template, Vec<Problem>> {
        let mut warnings = Vec::new();
        let parsed = Template::parse(
            rule.output.text(),
            &self.options.static_fields,
            &mut warnings,
        );
        let problem = |fault| Problem::new(fault, &rule.output);
        let warnings: Vec<_> = warnings.into_iter().map(problem).collect();
        let appended = match parsed {
            Ok(template) => self.append(rule, template),
            Err(faults) => Err(faults.into_iter().map(problem).collect()),
        };
        match appended {
            Ok(template) => {
                self.report(rule, warnings);
                Ok(template)
            }
            Err(problems) => Err(warnings.into_iter().chain(problems).collect()),
        }
    }

    /// Appends what the options say to the output of a rule.
    fn append(&self, rule: &Definition, mut template: Template) -> Result<Template, Vec<Problem>> {
        if self.options.suggested_output == SuggestedOutput::Append {
            template.append_suggested();
        }
        let concerned =
            |entry: &&AppendOutput| entry.concerns(&rule.item.name, &rule.source, &rule.tags);
        let problem = |fault: Fault| {
            let message = format!("what is appended to the output: {}", fault.message);
            let finding = Finding::new(Code::CompileOutput, message, rule.item.place);
            Problem {
                finding: finding.with_hint(fault.help),
                unknown_name: false,
            }
        };
        for entry in self.options.append_output.iter().filter(concerned) {
            let appended = template.append(entry, &self.options.static_fields);
            appended.map_err(|faults| faults.into_iter().map(problem).collect::<Vec<_>>())?;
        }
        Ok(template)
    }

    fn report(&mut self, rule: &Definition, problems: Vec<Problem>) {
        for Problem {
            mut finding,
            unknown_name,
        } in problems
        {
            if unknown_name && rule.skip_if_unknown_filter {
                finding.code = Code::UnknownFilter;
            }
            // Something that another file redefines: say who needs it.
            let elsewhere = finding.place.file() != rule.item.place.file();
            if elsewhere && finding.code.severity() == Severity::Error {
                let message = format!("rule `{}` needs it", rule.item.name);
                finding = finding.with_related(message, rule.item.place);
            }
            self.tell_once(finding.within(&rule.item));
        }
    }

    /// One mistake may be come by several times.
    fn tell_once(&mut self, finding: Finding) {
        let same =
            |known: &Finding| known.place == finding.place && known.message == finding.message;
        let recent = self.findings.iter().rev().take(RECENT);
        if !recent.into_iter().any(same) {
            self.findings.push(finding);
        }
    }

    fn lint(&mut self, subject: Subject<'_>, facts: RuleFacts<'_>) {
        let macros = self.expressions.macros();
        let findings = lint::rule(subject, facts, macros, self.options.lint);
        self.findings.extend(findings);
        self.findings
            .extend(lint::expression(subject, self.options.lint));
        let mut names = Vec::new();
        references(subject.expr, &mut names);
        let new = names
            .iter()
            .filter(|name| !self.linted.contains(&name.text));
        if new.count() > 0 {
            self.lint_macros(subject.expr);
        }
    }

    /// Looks at the macros of a rule, each once.
    fn lint_macros(&mut self, expr: &Expr) {
        let options = self.options.lint;
        let macros = self.expressions.macros();
        for used in macros.used_by(expr, &mut self.linted) {
            if let Some(expr) = &used.expr {
                let subject = Subject {
                    item: &used.item,
                    text: &used.text,
                    expr,
                    mixed: &used.mixed,
                };
                self.findings.extend(lint::expression(subject, options));
            }
        }
    }

    fn warn_event_types(&mut self, rule: &Definition, event_types: &EventSet) {
        if !rule.warn_evttypes || event_types.len() <= MANY_EVENT_TYPES {
            return;
        }
        let message = "Rule matches too many evt.type values. This has a significant performance \
                       penalty.";
        let finding = Finding::new(Code::NoEventType, message, rule.item.place);
        let help = "add a test such as `evt.type in (open, openat, openat2)` that holds for the \
                    whole condition";
        self.findings
            .push(finding.with_help(help).within(&rule.item));
    }

    fn finish(mut self, store: &Store) -> Compiled {
        let (macros, builder, more) = self.expressions.finish();
        self.findings.extend(more);
        for unused in macros.unused() {
            let message = "Macro not referred to by any other rule/macro";
            let finding = Finding::new(Code::UnusedMacro, message, unused.place);
            self.findings.push(finding.within(unused));
        }
        for list in store
            .lists()
            .iter()
            .filter(|list| !self.lists.is_used(&list.item.name))
        {
            let message = "List not referred to by any other rule/macro/list";
            let finding = Finding::new(Code::UnusedList, message, list.item.place);
            self.findings.push(finding.within(&list.item));
        }
        Compiled {
            graph: builder.finish(),
            rules: self.rules,
            findings: self.findings,
        }
    }
}

/// A finding, and whether it is of the kind that `skip-if-unknown-filter` forgives.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// What is wrong.
    pub(crate) finding: Finding,
    /// Whether it is an unknown name.
    pub(crate) unknown_name: bool,
}

impl Problem {
    /// A fault in a text.
    pub(crate) fn new(fault: Fault, text: &Sourced) -> Self {
        let unknown_name = fault.unknown_name;
        Self {
            finding: Finding::from_fault(fault, text),
            unknown_name,
        }
    }
}

/// Of a rule with a condition of this digest.
fn digest(rule: &Definition, condition: u64, output: &Template) -> u64 {
    let mut hasher = DefaultHasher::new();
    condition.hash(&mut hasher);
    rule.desc.hash(&mut hasher);
    rule.tags.hash(&mut hasher);
    rule.source.hash(&mut hasher);
    let rest = (rule.priority, rule.enabled, &rule.capture, output);
    format!("{rest:?}").hash(&mut hasher);
    hasher.finish()
}
