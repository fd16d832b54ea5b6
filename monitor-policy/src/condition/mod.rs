//! Conditions: text to syntax tree and back.

pub(crate) mod ast;
mod check;
mod cursor;
mod fault;
mod parser;
mod print;

pub(crate) use cursor::Cursor;
pub(crate) use fault::Fault;
pub(crate) use parser::{Nesting, Parsed, parse, parse_all, parse_call};
pub(crate) use print::is_bare;

#[cfg(test)]
mod tests;
