//! Tests of single values against literals, prepared once at load.

mod glob;
mod network;
mod number;
mod path_set;
mod pattern;
mod posix;
mod text;

pub(crate) use glob::{Case, Glob};
pub(crate) use network::NetworkTest;
pub(crate) use number::{NumberTest, Order};
pub(crate) use path_set::PathSet;
pub(crate) use pattern::Pattern;
pub(crate) use text::{TextTest, contains_ignoring_case};
