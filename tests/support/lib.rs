//! What the tests from outside share: a private dockerd, a registry, the daemon under test, a
//! Prometheus, virtual machines, and honest skipping.
//!
//! Every helper waits for a condition with a deadline, never for a guessed time, and takes down
//! on drop what it started.

pub mod c;
pub mod cgroup;
pub mod daemon;
pub mod disk;
pub mod docker;
pub mod http;
pub mod paths;
pub mod prometheus;
pub mod registry;
pub mod skip;
pub mod suite;
pub mod systemd;
pub mod tied;
pub mod tree;
mod unrun;
pub mod vm;
pub mod wait;
