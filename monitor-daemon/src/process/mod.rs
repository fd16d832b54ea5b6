//! Processes: those that already ran ([`snapshot`]) and those that the records tell of.

pub mod snapshot;
