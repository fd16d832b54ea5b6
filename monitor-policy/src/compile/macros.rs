//! Macros: parsed, and checked for references that are undefined or go in circles.

use std::collections::{HashMap, HashSet};

use crate::condition::ast::{Expr, Name, Span};
use crate::condition::{Fault, parse_all};
use crate::diagnostic::Code;
use crate::nearest;
use crate::rules::{Finding, ItemRef, Lists, Macro, Store};
use crate::source::Sourced;

/// Most macros of which each uses the next.
const MAX_CHAIN: usize = 1000;

/// All macros of a store.
#[derive(Debug, Default)]
pub(crate) struct Macros {
    by_name: HashMap<String, Parsed>,
    /// Names in the order of their first definition.
    order: Vec<String>,
    used: HashSet<String>,
    findings: Vec<Finding>,
    max_chain: usize,
}

/// A macro.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Its name and place.
    pub(crate) item: ItemRef,
    /// Its condition, lists put in.
    pub(crate) text: Sourced,
    /// Its condition, if it is one and all macros in it are there.
    pub(crate) expr: Option<Expr>,
    /// Its `or`s that have an `and` beside them without parentheses.
    pub(crate) mixed: Vec<Span>,
}

impl Macros {
    /// Parses and checks the macros of a store.
    pub(crate) fn new(store: &Store, lists: &mut Lists) -> Self {
        let limits = lists.limits();
        let nesting = limits.of_conditions();
        let mut macros = Self {
            max_chain: limits.macro_chain.min(MAX_CHAIN),
            ..Self::default()
        };
        for item in store.macros() {
            let text = lists.substitute(&item.condition);
            if let Some(message) = lists.take_overflow() {
                let finding = Finding::new(Code::Validate, message, item.item.place);
                macros.findings.push(finding.within(&item.item));
            }
            let parsed = parse_all(text.text(), nesting);
            let mixed = parsed.mixed;
            let expr = parsed.expr.filter(|_| parsed.faults.is_empty());
            let faults = parsed.faults.into_iter();
            let faults = faults.map(|fault| Finding::from_syntax(fault, &text).within(&item.item));
            macros.findings.extend(faults);
            let name = item.item.name.clone();
            macros.order.push(name.clone());
            macros.by_name.insert(
                name,
                Parsed {
                    item: item.item.clone(),
                    text,
                    expr,
                    mixed,
                },
            );
        }
        for item in store.macros() {
            macros.check_references(store, item);
        }
        macros.check_loops();
        macros
    }

    /// The macro of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Parsed> {
        self.by_name.get(name)
    }

    /// The macros that an expression uses, itself and through others, without those that are
    /// `seen` already; they are added.
    pub(crate) fn used_by(&self, expr: &Expr, seen: &mut HashSet<String>) -> Vec<&Parsed> {
        let mut found = Vec::new();
        let mut waiting = Vec::new();
        references(expr, &mut waiting);
        while let Some(name) = waiting.pop() {
            if !seen.insert(name.text.clone()) {
                continue;
            }
            let Some(parsed) = self.by_name.get(&name.text) else {
                continue;
            };
            found.push(parsed);
            if let Some(expr) = &parsed.expr {
                references(expr, &mut waiting);
            }
        }
        found
    }

    /// Marks a macro as used.
    pub(crate) fn mark_used(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// The macros that nothing uses.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &ItemRef> {
        let unused = self.order.iter().filter(|name| !self.used.contains(*name));
        unused
            .filter_map(|name| self.by_name.get(name))
            .map(|parsed| &parsed.item)
    }

    /// What is wrong with the macros themselves.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// The error for a name that no macro has.
    pub(crate) fn undefined(&self, name: &Name) -> Fault {
        let message = format!("Undefined macro '{}' used in filter.", name.text);
        let names = self.order.iter().map(String::as_str);
        Fault::new(Code::Validate, message, name.span.clone())
            .with_hint(nearest::hint(&name.text, names))
    }

    /// A macro sees those that were first defined before it was last changed.
    fn check_references(&mut self, store: &Store, item: &Macro) {
        let Some(Parsed {
            expr: Some(expr),
            text,
            ..
        }) = self.by_name.get(&item.item.name)
        else {
            return;
        };
        let mut names = Vec::new();
        references(expr, &mut names);
        let mut findings = Vec::new();
        let mut used = Vec::new();
        let mut broken = false;
        for name in names {
            let found = store.macro_named(&name.text);
            match found {
                Some(other) if other.index < item.visibility => used.push(name.text.clone()),
                Some(_) => {
                    used.push(name.text.clone());
                    let fault = self.undefined(name).with_help(
                        "a macro sees only macros that are defined before it: move it up",
                    );
                    findings.push(Finding::from_fault(fault, text).within(&item.item));
                }
                None if store.is_broken("macro", &name.text) => broken = true,
                None => {
                    let finding = Finding::from_syntax(self.undefined(name), text);
                    findings.push(finding.within(&item.item));
                }
            }
        }
        broken |= !findings.is_empty();
        self.used.extend(used);
        self.findings.extend(findings);
        if broken && let Some(parsed) = self.by_name.get_mut(&item.item.name) {
            parsed.expr = None;
        }
    }

    /// Breaks loops, and chains that are too long, at the macro where they are found.
    fn check_loops(&mut self) {
        let mut done = HashMap::new();
        for name in self.order.clone() {
            if let Err((broken, finding)) = self.chain(&name, &mut Vec::new(), &mut done) {
                self.findings.push(*finding);
                if let Some(parsed) = self.by_name.get_mut(&broken) {
                    parsed.expr = None;
                }
            }
        }
    }

    /// How many macros, of which each uses the next, begin with this one; `path` leads to it, and
    /// `done` has those that are known.
    fn chain(
        &self,
        name: &str,
        path: &mut Vec<String>,
        done: &mut HashMap<String, usize>,
    ) -> Result<usize, (String, Box<Finding>)> {
        if let Some(length) = done.get(name) {
            return Ok(*length);
        }
        let Some(parsed) = self.by_name.get(name) else {
            return Ok(0);
        };
        path.push(name.to_owned());
        let mut names = Vec::new();
        if let Some(expr) = &parsed.expr {
            references(expr, &mut names);
        }
        let mut longest = 0;
        for inner in names {
            if path.contains(&inner.text) {
                let message = format!("reference loop in macro '{}'", inner.text);
                let fault = Fault::new(Code::Validate, message, inner.span.clone());
                let finding = Finding::from_fault(fault, &parsed.text).within(&parsed.item);
                return Err((name.to_owned(), finding.into()));
            }
            // What is not known yet is looked at from here, so deep and no deeper.
            let length = if path.len() < self.max_chain {
                self.chain(&inner.text, path, done)?
            } else {
                self.max_chain
            };
            longest = longest.max(length);
        }
        if longest >= self.max_chain {
            let message = format!(
                "more than {} macros use each other in a chain",
                self.max_chain
            );
            let finding = Finding::new(Code::Validate, message, parsed.item.place);
            return Err((name.to_owned(), finding.within(&parsed.item).into()));
        }
        path.pop();
        done.insert(name.to_owned(), longest + 1);
        Ok(longest + 1)
    }
}

/// The macros that an expression names.
pub(crate) fn references<'e>(expr: &'e Expr, names: &mut Vec<&'e Name>) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                references(part, names);
            }
        }
        Expr::Not(inner) => references(inner, names),
        Expr::Macro(name) => names.push(name),
        Expr::Check(_) => {}
    }
}
