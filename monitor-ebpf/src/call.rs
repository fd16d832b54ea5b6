//! Calls that their registers tell: values, and paths to be read.

use monitor_common::call::Registers;
use monitor_common::{Kind, Slot};

use crate::emit::Outcome;
use crate::file::{self, AT_FDCWD};
use crate::read::Pointer;
use crate::record::{Origin, Record};
use crate::scratch::COMMON;
use crate::syscall::Call;

const SYS_FINIT_MODULE: u32 = 313;

/// An `init_module` or `finit_module`, at its exit.
#[inline(always)]
pub fn module(record: &Record<COMMON>, call: &Call, parameters: u64) -> Outcome {
    registers(record, call);
    if call.number == SYS_FINIT_MODULE {
        file::base(record, Slot::Resolved, 0, call.args[0] as i32);
    }
    record.string(Slot::Args, Origin::User, parameters as Pointer);
    record.emit(Kind::Module)
}

/// A call that has values only, at its exit.
#[inline(always)]
pub fn plain(record: &Record<COMMON>, call: &Call, kind: Kind) -> Outcome {
    registers(record, call);
    record.emit(kind)
}

/// A call that gives a name, at its exit.
#[inline(always)]
pub fn named(record: &Record<COMMON>, call: &Call, kind: Kind, name: u64) -> Outcome {
    registers(record, call);
    record.string(Slot::Passed, Origin::User, name as Pointer);
    record.emit(kind)
}

/// A call on a descriptor, at its exit.
#[inline(always)]
pub fn on_descriptor(record: &Record<COMMON>, call: &Call, kind: Kind) -> Outcome {
    registers(record, call);
    file::base(record, Slot::Resolved, 0, call.args[0] as i32);
    record.emit(kind)
}

/// A call on a path, at its exit; `at` says whether a descriptor that it starts from is before it.
#[inline(always)]
pub fn on_path(record: &Record<COMMON>, call: &Call, kind: Kind, at: bool) -> Outcome {
    registers(record, call);
    let (dirfd, path) = if at {
        (call.args[0] as i32, call.args[1])
    } else {
        (AT_FDCWD, call.args[0])
    };
    file::passed(record, Origin::User, path as Pointer, dirfd);
    record.emit(kind)
}

/// A rename, at its exit.
#[inline(always)]
pub fn rename(record: &Record<COMMON>, call: &Call, at: bool) -> Outcome {
    registers(record, call);
    let [a, b, c, d, ..] = call.args;
    let (old_dirfd, old, new_dirfd, new) = if at {
        (a as i32, b, c as i32, d)
    } else {
        (AT_FDCWD, a, AT_FDCWD, b)
    };
    file::passed(record, Origin::User, new as Pointer, new_dirfd);
    let first = record.string(Slot::Target, Origin::User, old as Pointer);
    file::base(record, Slot::TargetBase, first, old_dirfd);
    record.emit(Kind::Rename)
}

/// Sets the body.
#[inline(always)]
fn registers(record: &Record<COMMON>, call: &Call) {
    let body = record.body::<Registers>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).args = call.args;
        (*body).syscall = call.number;
        (*body).reserved = 0;
    }
}
