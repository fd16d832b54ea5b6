//! Rules files: from YAML items to definitions whose conditions are ready to be parsed.
//!
//! `read` turns one file into items, `store` applies items in order (redefinition, `override`,
//! `append`), `exceptions` and `lists` rewrite condition texts as the language prescribes.

mod entries;
mod exceptions;
mod finding;
mod item;
mod lists;
mod overrides;
mod read;
mod requirement;
mod rule_item;
mod store;

pub(crate) use entries::{Entries, Read};
pub(crate) use exceptions::with_exceptions;
pub(crate) use finding::{Finding, ItemRef};
pub(crate) use lists::Lists;
pub(crate) use overrides::Overridable;
pub(crate) use read::{FileItems, read};
pub(crate) use read::{
    KINDS as ITEM_KINDS, LIST_KEYS, LIST_OVERRIDABLE, MACRO_KEYS, MACRO_OVERRIDABLE,
};
pub(crate) use rule_item::{
    KEYS as RULE_KEYS, OVERRIDABLE as RULE_OVERRIDABLE, REQUIRED as RULE_REQUIRED,
};
pub(crate) use store::{Macro, Rule, Store};
