//! The daemon as a library: everything but argument parsing. Start at [`cli`].

pub mod alert_log;
pub mod cli;
mod clock;
pub mod config;
mod confine;
pub mod container;
pub mod default_policies;
pub mod event;
pub mod filter;
mod life;
mod locked;
pub mod metrics;
pub mod names;
pub mod output;
pub mod probe;
pub mod process;
pub mod record;
pub mod reload;
pub mod rollup;
pub mod selfcheck;
pub mod users;
pub mod watch;
