//! The object tier: programs on the kernel's own functions, by fentry and fexit.
//!
//! What they see is what the kernel acts on, so there is nothing to race; 32-bit callers and
//! `io_uring` come through the same functions. The programs can be preempted.

mod calls;
mod file;
pub mod link;
mod name;
mod network;
mod passed;
