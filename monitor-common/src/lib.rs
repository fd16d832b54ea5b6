//! What the eBPF programs and the daemon must agree on.
//!
//! A *record* is what a kernel program writes into a ring: a [`Header`] with the facts of the
//! acting task, one fixed body chosen by [`Kind`], then the bytes of up to [`SLOTS`] strings in
//! slot order. Nothing here does I/O or allocates; all types are plain integers, so every bit
//! pattern is valid and no hidden padding can leak kernel memory.
//!
//! Numbers are never reused. A change of layout raises [`ABI_VERSION`] and renames
//! [`ABI_SYMBOL`], so a daemon refuses an object that was built for another layout.
#![no_std]

pub mod again;
pub mod call;
pub mod cgroup;
pub mod file;
pub mod filter;
pub mod guard;
pub mod layout;
pub mod loss;
pub mod network;
pub mod numbers;
pub mod process;
mod record;
pub mod syscall;

pub use record::{Flags, Header, Kind, SLOTS, Slot, Task};

/// Layout version of everything in this crate.
pub const ABI_VERSION: u32 = 8;
/// Name of the global that an object built for this layout defines.
pub const ABI_SYMBOL: &str = "MONITOR_ABI_8";
/// Longest path the kernel accepts, and the most a record carries of one.
pub const PATH_MAX: usize = 4096;
/// Most bytes of an argument vector in a record: longer ones keep this much in two halves, head
/// and tail, and set [`Flags::ARGS_TRUNCATED`].
pub const ARGS_MAX: usize = 32 * 1024;
/// Most bytes of an environment in a record.
pub const ENV_MAX: usize = 32 * 1024;
/// No record is longer, bytes: the vectors of an exec and more paths than any has.
pub const RECORD_MAX: usize = ARGS_MAX + ENV_MAX + 8 * PATH_MAX;
/// Most bytes of a message in a record: its head, as much as Falco keeps by default.
pub const MESSAGE_MAX: usize = 80;
/// Slots of scratch memory for each CPU, where records are built: programs can preempt one another.
pub const SCRATCH_SLOTS: u32 = 4;
