//! Finds the few rules that an event can match, without trying the others.
//!
//! Two layers on top of the graph of conditions, neither of which changes what a rule means:
//!
//! - [`Matchers`]: all tests of a field against literals are answered together, by one look at the
//!   value for each kind: equal or in a list (hashed), begins, ends (binary search), contains (an
//!   automaton).
//! - [`Classes`]: one per set of event types with the same rules. For each rule a few of those
//!   tests are known of which at least one has to hold; only rules for which one does are tried.
//!   Most values are refused by a sieve for what these tests look for, before any matcher is
//!   asked.

mod affixes;
mod byte_set;
mod class;
mod filter;
mod keys;
mod look;
mod matcher;
mod matchers;
mod needs;
mod rule_set;
mod sieve;
mod substrings;
mod weight;

pub(crate) use affixes::{Affixes, End};
pub(crate) use class::{Candidate, Class, Classes};
pub(crate) use look::Look;
pub(crate) use matchers::{MatcherId, Matchers};
pub(crate) use rule_set::RuleSet;
