//! The kernel programs, on the kernel this runs on: what a process does comes out as records, all
//! of whose fields are held to what `/proc` and the kernel say by other ways.
//!
//! Needs root; skips with a reason otherwise. One file a family of events. Each case has probes of
//! its own and looks at its own thread and children only, so that cases can run side by side.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod credentials;
mod exec;
mod files;
mod flood;
mod memory;
mod namespaces;
mod paths;
mod proc;
mod ptrace;
mod selfcheck;
mod sockets;
mod support;
