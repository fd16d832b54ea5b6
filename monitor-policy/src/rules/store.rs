//! Definitions, as the items of all files so far have made them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::exceptions::{self, Exception};
use super::finding::{Finding, ItemRef};
use super::item::{Item, ListItem, MacroItem, Mode, Operation, RuleItem};
use crate::diagnostic::Code;
use crate::nearest;
use crate::priority::Priority;
use crate::source::Sourced;

/// The event source of a rule that names none: the only one there is.
pub(crate) const SYSCALL: &str = "syscall";

/// A list.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// Its name and where it was last changed.
    pub(crate) item: ItemRef,
    /// Its items as written.
    pub(crate) items: Vec<Sourced>,
    /// Order of its first definition.
    pub(crate) index: usize,
    /// Order of its last change.
    pub(crate) visibility: usize,
}

/// A macro.
#[derive(Clone, Debug)]
pub(crate) struct Macro {
    /// Its name and where it was last changed.
    pub(crate) item: ItemRef,
    /// Its condition.
    pub(crate) condition: Sourced,
    /// Order of its first definition.
    pub(crate) index: usize,
    /// Order of its last change.
    pub(crate) visibility: usize,
}

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Its name and where it was defined.
    pub(crate) item: ItemRef,
    /// Its condition, without exceptions.
    pub(crate) condition: Sourced,
    /// Its output.
    pub(crate) output: Sourced,
    /// What it detects.
    pub(crate) desc: String,
    /// How severe it is.
    pub(crate) priority: Priority,
    /// Its event source.
    pub(crate) source: String,
    /// Whether it starts enabled.
    pub(crate) enabled: bool,
    /// Its tags.
    pub(crate) tags: BTreeSet<String>,
    /// Its exceptions.
    pub(crate) exceptions: Vec<Exception>,
    /// Whether a condition without event types deserves a warning.
    pub(crate) warn_evttypes: bool,
    /// Whether an unknown name drops the rule instead of failing the load.
    pub(crate) skip_if_unknown_filter: bool,
    /// Whether a match starts a capture, and for how long.
    pub(crate) capture: Capture,
}

/// What a rule says of captures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Capture {
    /// Whether a match starts one.
    pub(crate) wanted: bool,
    /// For how long, in ms; 0 for the default.
    pub(crate) duration: u32,
}

/// All definitions.
#[derive(Debug, Default)]
pub(crate) struct Store {
    lists: Named<List>,
    macros: Named<Macro>,
    rules: Named<Rule>,
    clock: usize,
    /// Kinds and names of items that are there but could not be read.
    broken: HashSet<(&'static str, String)>,
    /// A file could not be read, so that anything may be in it.
    broken_file: bool,
}

/// Definitions by name, in the order of their first definition.
#[derive(Debug)]
struct Named<T> {
    values: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl<T> Named<T> {
    fn get(&self, name: &str) -> Option<&T> {
        self.by_name
            .get(name)
            .and_then(|index| self.values.get(*index))
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.by_name
            .get(name)
            .and_then(|index| self.values.get_mut(*index))
    }

    fn set(&mut self, name: &str, value: T) {
        if let Some(known) = self.get_mut(name) {
            *known = value;
        } else {
            self.by_name.insert(name.to_owned(), self.values.len());
            self.values.push(value);
        }
    }

    /// The error for a change of something that is not there.
    fn missing(&self, item: &ItemRef, what: &str) -> Finding {
        let ItemRef { kind, name, place } = item;
        let message = format!("{kind} '{name}' {what}, but no {kind} by that name exists before");
        let names = self.by_name.keys().map(String::as_str);
        Finding::new(Code::Validate, message, *place).with_hint(nearest::hint(name, names))
    }
}

impl Store {
    /// Applies an item.
    pub(crate) fn apply(&mut self, item: Item, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
        self.clock += 1;
        warnings.extend(self.redefinition(&item));
        match item {
            Item::List(list) => self.apply_list(list),
            Item::Macro(item) => self.apply_macro(item),
            Item::Rule(rule) => {
                let item = rule.item.clone();
                let start = warnings.len();
                let result = self.apply_rule(*rule, warnings);
                for warning in warnings.iter_mut().skip(start) {
                    *warning = warning.clone().within(&item);
                }
                result.map_err(|finding| {
                    self.add_broken("rule", item.name.clone());
                    finding.within(&item)
                })
            }
        }
    }

    /// Remembers an item that is there but could not be read.
    pub(crate) fn add_broken(&mut self, kind: &'static str, name: String) {
        self.broken.insert((kind, name));
    }

    /// Remembers that a file could not be read at all.
    pub(crate) fn add_broken_file(&mut self) {
        self.broken_file = true;
    }

    /// Whether an item is there, or may be, but could not be read: then the error of that says all.
    pub(crate) fn is_broken(&self, kind: &'static str, name: &str) -> bool {
        self.broken_file || self.names_broken(kind, name)
    }

    /// Whether an item of this name is there but could not be read.
    pub(crate) fn names_broken(&self, kind: &'static str, name: &str) -> bool {
        !self.broken.is_empty() && self.broken.contains(&(kind, name.to_owned()))
    }

    /// How many definitions there are.
    pub(crate) fn len(&self) -> usize {
        self.lists.values.len() + self.macros.values.len() + self.rules.values.len()
    }

    /// All lists.
    pub(crate) fn lists(&self) -> &[List] {
        &self.lists.values
    }

    /// The list of a name.
    pub(crate) fn list(&self, name: &str) -> Option<&List> {
        self.lists.get(name)
    }

    /// All macros.
    pub(crate) fn macros(&self) -> &[Macro] {
        &self.macros.values
    }

    /// The macro of a name.
    pub(crate) fn macro_named(&self, name: &str) -> Option<&Macro> {
        self.macros.get(name)
    }

    /// All rules in the order in which they are tested.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules.values
    }

    /// The warning for a macro or list that takes the place of another file's, unless it says so
    /// by `override` or says the same.
    fn redefinition(&self, item: &Item) -> Option<Finding> {
        let squeeze = |text: &Sourced| text.text().split_whitespace().collect::<Vec<_>>().join(" ");
        let (new, known, same, key) = match item {
            Item::Macro(new) if matches!(new.mode, Mode::Define) => {
                let known = self.macros.get(&new.item.name)?;
                let same = squeeze(&known.condition) == squeeze(&new.condition);
                (&new.item, &known.item, same, "condition")
            }
            Item::List(new) if matches!(new.mode, Mode::Define) => {
                let known = self.lists.get(&new.item.name)?;
                let texts = |items: &[Sourced]| items.iter().map(squeeze).collect::<Vec<_>>();
                let same = texts(&known.items) == texts(&new.items);
                (&new.item, &known.item, same, "items")
            }
            _ => return None,
        };
        if same || known.place.file() == new.place.file() {
            return None;
        }
        let ItemRef { kind, name, place } = new;
        let message = format!("{kind} `{name}` replaces the one of another file");
        let help = format!(
            "if that is meant, say so by `override: {{{key}: replace}}`; to add to it, write \
             `override: {{{key}: append}}`"
        );
        let finding = Finding::new(Code::LintRedefined, message, *place).with_help(help);
        Some(
            finding
                .with_related("it is defined here", known.place)
                .within(new),
        )
    }

    fn apply_list(&mut self, list: ListItem) -> Result<(), Finding> {
        let ListItem { item, mode, items } = list;
        let now = self.clock;
        let known = self.lists.get_mut(&item.name);
        if is_append(&mode, "items") {
            let Some(known) = known else {
                return self.missing_list(&item);
            };
            known.items.extend(items);
            known.visibility = now;
            known.item = item;
            return Ok(());
        }
        let index = known.map_or(now, |known| known.index);
        let name = item.name.clone();
        self.lists.set(
            &name,
            List {
                item,
                items,
                index,
                visibility: now,
            },
        );
        Ok(())
    }

    fn missing_list(&self, item: &ItemRef) -> Result<(), Finding> {
        if self.is_broken("list", &item.name) {
            return Ok(());
        }
        Err(self.lists.missing(item, "appends items").within(item))
    }

    fn missing_macro(&self, item: &ItemRef) -> Result<(), Finding> {
        if self.is_broken("macro", &item.name) {
            return Ok(());
        }
        let finding = self.macros.missing(item, "appends a condition");
        Err(finding.within(item))
    }

    fn apply_macro(&mut self, item: MacroItem) -> Result<(), Finding> {
        let MacroItem {
            item,
            mode,
            condition,
        } = item;
        let now = self.clock;
        let known = self.macros.get_mut(&item.name);
        if is_append(&mode, "condition") {
            let Some(known) = known else {
                return self.missing_macro(&item);
            };
            append_text(&mut known.condition, &condition);
            known.visibility = now;
            known.item = item;
            return Ok(());
        }
        let index = known.map_or(now, |known| known.index);
        let name = item.name.clone();
        self.macros.set(
            &name,
            Macro {
                item,
                condition,
                index,
                visibility: now,
            },
        );
        Ok(())
    }

    fn apply_rule(&mut self, rule: RuleItem, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
        let name = &rule.item.name;
        let defines = matches!(rule.mode, Mode::Define) && rule.condition.is_some();
        if !defines && self.rules.get(name).is_none() && self.is_broken("rule", name) {
            return Ok(());
        }
        match rule.mode.clone() {
            Mode::Define if rule.condition.is_some() => self.define_rule(rule),
            Mode::Define => {
                let enabled = rule.enabled.unwrap_or(true);
                self.known_rule(&rule.item, "is switched by 'enabled'")?
                    .enabled = enabled;
                Ok(())
            }
            Mode::Append => {
                let known = self.known_rule(&rule.item, "has 'append'")?;
                if rule.condition.is_none() && rule.exceptions.is_none() {
                    let message = "Appended rule must have exceptions or condition property";
                    return Err(Finding::new(Code::Validate, message, rule.item.place));
                }
                check_source(known, &rule)?;
                if let Some(condition) = &rule.condition {
                    append_text(&mut known.condition, condition);
                }
                append_exceptions(known, &rule, warnings)
            }
            Mode::Override(operations) => {
                let known = self.known_rule(&rule.item, "has an 'override'")?;
                check_source(known, &rule)?;
                let is_append = |key: &str| operations.get::<str>(key) == Some(&Operation::Append);
                override_texts(known, &rule, &is_append);
                override_values(known, &rule, &is_append);
                if is_append("exceptions") {
                    return append_exceptions(known, &rule, warnings);
                }
                if let Some(exceptions) = rule.exceptions {
                    known.exceptions = exceptions::define(exceptions)?;
                }
                known.check_exceptions()
            }
        }
    }

    fn known_rule(&mut self, item: &ItemRef, what: &str) -> Result<&mut Rule, Finding> {
        if self.rules.get(&item.name).is_none() {
            return Err(self.rules.missing(item, what));
        }
        self.rules
            .get_mut(&item.name)
            .ok_or_else(|| Finding::new(Code::Validate, "no such rule", item.place))
    }

    fn define_rule(&mut self, rule: RuleItem) -> Result<(), Finding> {
        if let Some(known) = self.rules.get(&rule.item.name) {
            check_redefined_source(known, &rule)?;
        }
        let name = rule.item.name.clone();
        let exceptions = exceptions::define(rule.exceptions.unwrap_or_default())?;
        let source = rule.source.as_ref().map_or(SYSCALL, |source| &source.0);
        if source == SYSCALL {
            exceptions::check_fields(&exceptions)?;
        }
        let rule = Rule {
            item: rule.item,
            condition: rule.condition.unwrap_or_default(),
            output: rule.output.unwrap_or_default(),
            desc: rule.desc.unwrap_or_default(),
            priority: rule.priority.unwrap_or(Priority::Debug),
            source: rule
                .source
                .map_or_else(|| SYSCALL.to_owned(), |source| source.0),
            enabled: rule.enabled.unwrap_or(true),
            tags: rule.tags.unwrap_or_default().into_iter().collect(),
            exceptions,
            warn_evttypes: rule.warn_evttypes.unwrap_or(true),
            skip_if_unknown_filter: rule.skip_if_unknown_filter.unwrap_or(false),
            capture: Capture {
                wanted: rule.capture.unwrap_or(false),
                duration: rule.capture_duration.unwrap_or(0),
            },
        };
        self.rules.set(&name, rule);
        Ok(())
    }
}

fn is_append(mode: &Mode, key: &str) -> bool {
    match mode {
        Mode::Define => false,
        Mode::Append => true,
        Mode::Override(operations) => operations.get(key) == Some(&Operation::Append),
    }
}

fn append_text(text: &mut Sourced, more: &Sourced) {
    text.push_str(" ");
    text.push(more);
}

fn append_exceptions(
    known: &mut Rule,
    rule: &RuleItem,
    warnings: &mut Vec<Finding>,
) -> Result<(), Finding> {
    let items = rule.exceptions.clone().unwrap_or_default();
    exceptions::append(&mut known.exceptions, items, warnings)?;
    known.check_exceptions()
}

impl Rule {
    /// Refuses exceptions on unknown fields; of another source no field is known.
    fn check_exceptions(&self) -> Result<(), Finding> {
        if self.source == SYSCALL {
            exceptions::check_fields(&self.exceptions)
        } else {
            Ok(())
        }
    }
}

fn override_texts(known: &mut Rule, rule: &RuleItem, is_append: &impl Fn(&str) -> bool) {
    let texts = [
        ("condition", &rule.condition, &mut known.condition),
        ("output", &rule.output, &mut known.output),
    ];
    for (key, given, text) in texts {
        match given {
            Some(more) if is_append(key) => append_text(text, more),
            Some(new) => *text = new.clone(),
            None => {}
        }
    }
    match &rule.desc {
        Some(more) if is_append("desc") => known.desc = format!("{} {more}", known.desc),
        Some(new) => known.desc.clone_from(new),
        None => {}
    }
}

fn override_values(known: &mut Rule, rule: &RuleItem, is_append: &impl Fn(&str) -> bool) {
    if let Some(tags) = &rule.tags {
        if !is_append("tags") {
            known.tags.clear();
        }
        known.tags.extend(tags.iter().cloned());
    }
    known.priority = rule.priority.unwrap_or(known.priority);
    known.enabled = rule.enabled.unwrap_or(known.enabled);
    known.warn_evttypes = rule.warn_evttypes.unwrap_or(known.warn_evttypes);
    known.skip_if_unknown_filter = rule
        .skip_if_unknown_filter
        .unwrap_or(known.skip_if_unknown_filter);
    known.capture.wanted = rule.capture.unwrap_or(known.capture.wanted);
    known.capture.duration = rule.capture_duration.unwrap_or(known.capture.duration);
}

fn check_redefined_source(known: &Rule, rule: &RuleItem) -> Result<(), Finding> {
    let source = rule.source.as_ref().map_or(SYSCALL, |source| &source.0);
    if source == known.source {
        return Ok(());
    }
    let place = rule
        .source
        .as_ref()
        .map_or(rule.item.place, |source| source.1);
    let message = format!(
        "Rule has been re-defined with a different source: it was '{}'",
        known.source
    );
    Err(Finding::new(Code::Validate, message, place))
}

fn check_source(known: &Rule, rule: &RuleItem) -> Result<(), Finding> {
    if rule.source.is_some() {
        check_redefined_source(known, rule)
    } else {
        Ok(())
    }
}
