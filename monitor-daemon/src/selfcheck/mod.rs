//! The self-check: each kind of event is done by ourselves, and its record has to come.
//!
//! A kernel may take a program that never runs, or whose records go nowhere. So a child of the
//! daemon does something harmless of each kind ([`acts`]), and a kind whose record does not come
//! is blind, whatever was loaded. Where other programs add something to it, that has to be there too
//! (`proof`).

pub mod acts;
mod check;
pub mod child;
mod claim;
mod proof;
mod round;
pub mod starter;

pub use check::{Check, Delivery, Lost, Used, hooks, plan};
pub use claim::Claim;
pub use round::Round;
pub use starter::{Started, Starter};
