//! Items of rules files as written, decoded but not yet applied.

use std::collections::BTreeMap;

use super::finding::ItemRef;
use crate::priority::Priority;
use crate::source::{Place, Sourced};

/// An item of a rules file.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A list.
    List(ListItem),
    /// A macro.
    Macro(MacroItem),
    /// A rule.
    Rule(Box<RuleItem>),
}

impl Item {
    /// Where its name stands.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::List(list) => list.item.place,
            Self::Macro(item) => item.item.place,
            Self::Rule(rule) => rule.item.place,
        }
    }
}

/// How an item relates to an earlier one of its name.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// Defines it, anew if need be.
    Define,
    /// `append: true`.
    Append,
    /// `override`: what happens to each key.
    Override(BTreeMap<&'static str, Operation>),
}

/// What `override` does with a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    /// Adds to the earlier value.
    Append,
    /// Takes its place.
    Replace,
}

/// A list.
#[derive(Clone, Debug)]
pub(crate) struct ListItem {
    /// Its name and place.
    pub(crate) item: ItemRef,
    /// How it relates to an earlier list.
    pub(crate) mode: Mode,
    /// Its items.
    pub(crate) items: Vec<Sourced>,
}

/// A macro.
#[derive(Clone, Debug)]
pub(crate) struct MacroItem {
    /// Its name and place.
    pub(crate) item: ItemRef,
    /// How it relates to an earlier macro.
    pub(crate) mode: Mode,
    /// Its condition.
    pub(crate) condition: Sourced,
}

/// A rule: what the item gives.
#[derive(Clone, Debug)]
pub(crate) struct RuleItem {
    /// Its name and place.
    pub(crate) item: ItemRef,
    /// How it relates to an earlier rule.
    pub(crate) mode: Mode,
    /// `condition`.
    pub(crate) condition: Option<Sourced>,
    /// `output`.
    pub(crate) output: Option<Sourced>,
    /// `desc`.
    pub(crate) desc: Option<String>,
    /// `priority`.
    pub(crate) priority: Option<Priority>,
    /// `source`, and where it stands.
    pub(crate) source: Option<(String, Place)>,
    /// `enabled`.
    pub(crate) enabled: Option<bool>,
    /// `tags`.
    pub(crate) tags: Option<Vec<String>>,
    /// `exceptions`.
    pub(crate) exceptions: Option<Vec<ExceptionItem>>,
    /// `warn_evttypes`.
    pub(crate) warn_evttypes: Option<bool>,
    /// `skip-if-unknown-filter`.
    pub(crate) skip_if_unknown_filter: Option<bool>,
    /// `capture`.
    pub(crate) capture: Option<bool>,
    /// `capture_duration`, in ms.
    pub(crate) capture_duration: Option<u32>,
}

/// An exception of a rule.
#[derive(Clone, Debug)]
pub(crate) struct ExceptionItem {
    /// Its name.
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) place: Place,
    /// `fields`.
    pub(crate) fields: Option<Entry>,
    /// `comps`.
    pub(crate) comps: Option<Entry>,
    /// `values`.
    pub(crate) values: Option<Vec<Entry>>,
}

/// A text or several.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A scalar.
    One(Sourced),
    /// A sequence.
    Many(Vec<Entry>, Place),
}

impl Entry {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::One(text) => text.place(&(0..text.text().len())),
            Self::Many(_, place) => *place,
        }
    }
}
