//! The Falco rule language.
//!
//! Pure: no I/O, no clock, no threads. Text goes in ([`load`]), a compiled [`Policy`] comes out;
//! an [`Event`] goes in ([`Policy::evaluate`]), the rules that match come out
//! ([`Policy::format`] says what they print).

mod append;
mod cases;
mod compile;
mod condition;
mod diagnostic;
mod event;
mod event_type;
mod explain;
mod field;
mod flat;
mod index;
mod limits;
mod lint;
mod load;
mod matching;
mod nearest;
mod necessary;
mod output;
mod policy;
mod priority;
mod program;
mod report;
mod rules;
mod schema;
mod services;
mod single;
mod source;
mod switch;
pub mod text;
mod yaml;

pub use append::{AppendOutput, ExtraField};
pub use cases::{Case, Mismatch, Silent, read_cases};
pub use compile::EventTypes;
pub use diagnostic::{Code, Diagnostic, Item, Related, Severity};
pub use event::{Event, Value, View};
pub use event_type::{EventSet, EventType};
pub use explain::{Definition, Explanation, Location, Part, Shape, Trace};
pub use field::{Field, FieldArg, FieldDefinition, FieldFlags, FieldKind, FieldRef};
pub use flat::{FlatEvent, FlatEventError};
pub use limits::LoadLimits;
pub use lint::{EXPLAINED_CODES, Example, ExplainedCode, LintGroup, LintOptions, Told};
pub use load::{Loaded, Matching, Options, RulesFile, SuggestedOutput, load};
pub use nearest::{all_near, nearest};
pub use necessary::{Allowed, Clause, Ranges, TextKey, ValueSet, place};
pub use policy::{EnvironmentNames, Match, Output, Policy, Rule, Scratch};
pub use priority::Priority;
pub use report::{Color, FileReport};
pub use schema::schema;
pub use single::{Condition, Format};
pub use switch::{Selected, Switch, is_named};
