//! From files to a tree of parts.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Definition, Explanation, Location, Part, Shape};
use crate::compile::{Macros, compile_test};
use crate::condition::ast::{Check, Expr};
use crate::condition::parse;
use crate::limits::LoadLimits;
use crate::load::{RulesFile, store};
use crate::program::Builder;
use crate::rules::{Lists, Store, with_exceptions};
use crate::source::{Place, Sourced, line_and_column};

/// Deepest nesting with macros; what loads is not deeper.
const MAX_DEPTH: usize = 1000;

/// The tree of a rule's condition.
pub(super) fn build(
    files: &[RulesFile<'_>],
    rule: &str,
    limits: LoadLimits,
) -> Option<Explanation> {
    let store = store(files, &limits);
    let rule = store.rules().iter().find(|known| known.item.name == rule)?;
    let mut lists = Lists::within(&store, limits);
    let text = lists.substitute(&with_exceptions(&rule.condition, &rule.exceptions));
    let expr = parse(text.text()).ok()?;
    let mut parts = Parts {
        files,
        store: &store,
        macros: Macros::new(&store, &mut lists),
        builder: Builder::default(),
        bodies: HashMap::new(),
    };
    let root = parts.part(&expr, &text, 0)?;
    let location = parts.location(rule.item.place);
    Some(Explanation {
        graph: parts.builder.finish(),
        root,
        location,
    })
}

struct Parts<'a> {
    files: &'a [RulesFile<'a>],
    store: &'a Store,
    macros: Macros,
    builder: Builder,
    /// Macros that are built: one that is used often could make a tree of any size.
    bodies: HashMap<String, Arc<Part>>,
}

impl Parts<'_> {
    fn part(&mut self, expr: &Expr, text: &Sourced, depth: usize) -> Option<Arc<Part>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let part = match expr {
            Expr::And(all) => {
                let all = self.parts(all, text, depth)?;
                let node = self.builder.and(all.iter().map(|part| part.node).collect());
                Part::new(Shape::All(all), node)
            }
            Expr::Or(any) => {
                let any = self.parts(any, text, depth)?;
                let node = self.builder.or(any.iter().map(|part| part.node).collect());
                Part::new(Shape::Any(any), node)
            }
            Expr::Not(inner) => {
                let inner = self.part(inner, text, depth + 1)?;
                let node = self.builder.not(inner.node);
                Part::new(Shape::Not(inner), node)
            }
            Expr::Macro(name) => {
                let name = name.text.clone();
                let body = self.body(&name, depth)?;
                let node = body.node;
                let place = self.macros.get(&name)?.item.place;
                let definition = Definition {
                    name: name.clone(),
                    location: self.location(place),
                };
                Part {
                    definitions: vec![definition],
                    ..Part::new(Shape::Macro { name, body }, node)
                }
            }
            Expr::Check(check) => self.test(check, text)?,
        };
        Some(Arc::new(part))
    }

    fn parts(&mut self, parts: &[Expr], text: &Sourced, depth: usize) -> Option<Vec<Arc<Part>>> {
        let parts = parts.iter().map(|part| self.part(part, text, depth + 1));
        parts.collect()
    }

    fn body(&mut self, name: &str, depth: usize) -> Option<Arc<Part>> {
        if let Some(known) = self.bodies.get(name) {
            return Some(Arc::clone(known));
        }
        let parsed = self.macros.get(name)?;
        let (expr, text) = (parsed.expr.clone()?, parsed.text.clone());
        let body = self.part(&expr, &text, depth + 1)?;
        self.bodies.insert(name.to_owned(), Arc::clone(&body));
        Some(body)
    }

    fn test(&mut self, check: &Check, text: &Sourced) -> Option<Part> {
        let node = compile_test(check, &mut self.builder, &mut Vec::new()).ok()?;
        let indices = self.builder.fields_of(node);
        let fields = indices
            .iter()
            .filter_map(|index| self.builder.field(*index));
        let shape = Shape::Test {
            text: check.to_string(),
            fields: fields.cloned().collect(),
            location: self.location(text.place(&check.span)),
        };
        let lists = text.lists_in(&check.span).filter_map(|name| {
            let list = self.store.list(name)?;
            Some(Definition {
                name: name.to_string(),
                location: self.location(list.item.place),
            })
        });
        Some(Part {
            definitions: lists.collect(),
            ..Part::new(shape, node)
        })
    }

    fn location(&self, place: Place) -> Location {
        let file = self.files.get(place.file());
        let (name, source) = file.map_or(("", ""), |file| (file.name, file.text));
        let (line, column) = line_and_column(source, place.at.offset as usize);
        Location {
            file: name.to_owned(),
            line,
            column,
        }
    }
}
