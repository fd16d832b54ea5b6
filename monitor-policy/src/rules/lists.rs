//! Lists: nested ones expanded, and their names replaced in condition texts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::finding::Finding;
use super::store::Store;
use crate::diagnostic::Code;
use crate::index::{Affixes, End};
use crate::limits::LoadLimits;
use crate::source::{Place, Sourced};

/// All lists together have so many times the items that one may have.
const LISTS: usize = 10;

/// All lists, fully expanded, ready to be substituted.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    texts: HashMap<Arc<str>, Sourced>,
    /// Names with delimiters in them, each with its place among the lists and its length.
    irregular: Option<Affixes<(usize, usize)>>,
    /// Names that are used: in a condition that was substituted, or in another list.
    used: HashSet<String>,
    findings: Vec<Finding>,
    limits: LoadLimits,
    /// Bytes of conditions so far.
    substituted: usize,
    /// The limit that the last condition went over.
    overflow: Option<String>,
}

impl Lists {
    /// Expands the lists of a store, within limits.
    pub(crate) fn within(store: &Store, limits: LoadLimits) -> Self {
        let mut lists = Self {
            limits,
            ..Self::default()
        };
        let max_items = limits.list_items;
        let mut total = 0;
        let mut irregular = Vec::new();
        for (index, list) in store.lists().iter().enumerate() {
            let mut items = Vec::new();
            let mut path = Vec::new();
            if total <= max_items.saturating_mul(LISTS) {
                lists.expand(store, &list.item.name, &mut path, &mut items);
            }
            total += items.len();
            if items.len() > max_items || total > max_items.saturating_mul(LISTS) {
                let whose = if items.len() > max_items {
                    "List has more than"
                } else {
                    "All lists together have ten times more than"
                };
                let message = format!("{whose} {max_items} items with those of its lists");
                let finding = Finding::new(Code::Validate, message, list.item.place);
                lists.findings.push(finding.within(&list.item));
                items.clear();
            }
            let mut text = Sourced::default();
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                push_item(&mut text, item);
            }
            if list.item.name.contains(is_delimiter) {
                let name = list.item.name.as_bytes();
                irregular.push((Box::from(name), (index, name.len())));
            }
            lists.texts.insert(list.item.name.as_str().into(), text);
        }
        if !irregular.is_empty() {
            lists.irregular = Some(Affixes::new(End::Start, irregular.into_iter()));
        }
        lists
    }

    /// Adds the items of a list and of the lists among them. A list in a list counts if it was
    /// first defined before the referring one was last changed.
    fn expand(
        &mut self,
        store: &Store,
        name: &str,
        path: &mut Vec<String>,
        items: &mut Vec<Sourced>,
    ) {
        let Some(list) = store.list(name) else { return };
        path.push(name.to_owned());
        for item in &list.items {
            if items.len() > self.limits.list_items {
                break;
            }
            let inner = store.list(item.text()).filter(|inner| {
                inner.index < list.visibility && !path.iter().any(|outer| outer == item.text())
            });
            match inner {
                Some(inner) => {
                    self.used.insert(inner.item.name.clone());
                    self.expand(store, &inner.item.name, path, items);
                }
                None => items.push(item.clone()),
            }
        }
        path.pop();
    }

    /// The limits.
    pub(crate) fn limits(&self) -> &LoadLimits {
        &self.limits
    }

    /// What is wrong with the lists.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// The limit that the condition went over which was substituted last.
    pub(crate) fn take_overflow(&mut self) -> Option<String> {
        self.overflow.take()
    }

    /// Whether a list was used.
    pub(crate) fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// The length of a list's name that has blanks or the like in it, if the text begins with one.
    fn irregular(&self, text: &str) -> Option<usize> {
        let mut first: Option<(usize, usize)> = None;
        self.irregular.as_ref()?.find(text.as_bytes(), |found| {
            let rest = text.get(found.1..).unwrap_or_default();
            if rest.is_empty() || rest.starts_with(is_delimiter) {
                first = Some(first.map_or(*found, |known| known.min(*found)));
            }
        });
        first.map(|(_, length)| length)
    }

    /// The text with the names of lists replaced by their items, wherever they stand between
    /// blanks, parentheses, commas and equal signs: in quotes too.
    ///
    /// What goes over a limit is cut off, and [`Lists::take_overflow`] says so.
    pub(crate) fn substitute(&mut self, text: &Sourced) -> Sourced {
        let mut result = Sourced::default();
        let bytes = text.text();
        let mut position = 0;
        let all = self.limits.total_condition_bytes;
        let most = self
            .limits
            .condition_bytes
            .min(all.saturating_sub(self.substituted));
        while position < bytes.len() {
            if result.text().len() > most {
                self.overflow = Some(overflow(&self.limits, result.text().len()));
                break;
            }
            let rest = bytes.get(position..).unwrap_or_default();
            let length = self
                .irregular(rest)
                .unwrap_or_else(|| rest.find(is_delimiter).unwrap_or(rest.len()));
            let word = rest.get(..length).unwrap_or_default();
            let end = position + length;
            match self.texts.get_key_value(word) {
                Some((name, list)) if !word.is_empty() => {
                    self.used.insert(word.to_owned());
                    let used = text.place(&(position..end));
                    let swallowed = substitute_one(&mut result, (name, used), list, bytes, end);
                    position = end + swallowed;
                }
                _ => {
                    let delimiter = rest.get(length..).and_then(|rest| rest.chars().next());
                    let next = end + delimiter.map_or(0, char::len_utf8);
                    result.push(&text.slice(position..next));
                    position = next;
                }
            }
        }
        self.substituted += result.text().len();
        result
    }
}

fn overflow(limits: &LoadLimits, length: usize) -> String {
    if length > limits.condition_bytes {
        let most = limits.condition_bytes;
        format!("the condition is longer than {most} bytes with its lists and exceptions put in")
    } else {
        let most = limits.total_condition_bytes;
        format!("all conditions together are longer than {most} bytes with their lists put in")
    }
}

/// Adds the text of a list. An empty one takes a comma away: the one before it, or else the one
/// that follows at `end`, whose length with the blanks before it is returned.
fn substitute_one(
    result: &mut Sourced,
    (name, used): (&Arc<str>, Place),
    list: &Sourced,
    text: &str,
    end: usize,
) -> usize {
    if !list.text().is_empty() {
        result.push_list(name, list, used);
        return 0;
    }
    let before = result.text().trim_end();
    if let Some(before) = before.strip_suffix(',') {
        result.truncate(before.len());
        return 0;
    }
    let rest = text.get(end..).unwrap_or_default();
    let trimmed = rest.trim_start();
    if trimmed.starts_with(',') {
        rest.len() - trimmed.len() + 1
    } else {
        0
    }
}

/// Adds an item. One with a blank gets quotes, unless it brings its own.
fn push_item(text: &mut Sourced, item: &Sourced) {
    let at = item.place(&(0..1)).at;
    let quote = item.text().contains(' ') && !item.text().starts_with(['"', '\'']);
    if quote {
        text.push_str_at("\"", at);
    }
    text.push(item);
    if quote {
        text.push_str("\"");
    }
}

fn is_delimiter(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '(' | ')' | ',' | '=')
}
