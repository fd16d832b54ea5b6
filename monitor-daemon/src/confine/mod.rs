//! What the daemon gives up, so that who gets hold of it gets little more.
//!
//! At its start all capabilities that it does not need ([`capabilities`]); once the programs are
//! loaded, the system calls that nothing it does needs ([`calls`]), for all its threads. A call that
//! is refused fails with `EPERM`. The one process that may still start a program is the helper of
//! the self-check, and only this one ([`helper`]). Reasons are in ADR 22.

mod calls;
mod capabilities;
mod files;
mod helper;

pub(crate) use calls::{calls, markdown};
pub(crate) use capabilities::capabilities;
pub(crate) use files::without_files;
pub(crate) use helper::helper;
