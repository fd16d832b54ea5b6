//! Calls that their registers tell: values, and the strings that some of them lead to.

use monitor_common::call::{ENDS, Registers};
use monitor_common::syscall::{Role, argument};
use monitor_common::{Kind, Slot};

use crate::emit::Outcome;
use crate::file::{self, AT_FDCWD};
use crate::held::{self, Naming};
use crate::message;
use crate::name::{self, Which};
use crate::numbers;
use crate::read::Pointer;
use crate::record::Record;
use crate::scratch::COMMON;
use crate::syscall::Call;
use crate::walk;

/// A call, at its exit; `strings` says which arguments lead to strings. It is asked anew each
/// time, so that the verifier does not follow the program once for each of its values. `owner` is
/// whom names were noted for.
#[inline(always)]
pub fn report(
    record: &Record<COMMON>,
    call: &Call,
    kind: u32,
    strings: impl Fn() -> u32,
    owner: u64,
) -> Outcome {
    report_on(record, call, kind, strings, owner, core::ptr::null())
}

/// [`report`] of a call that was about an open file; where it is null, the call's descriptor says.
#[inline(always)]
pub fn report_on(
    record: &Record<COMMON>,
    call: &Call,
    kind: u32,
    strings: impl Fn() -> u32,
    owner: u64,
    mut file: Pointer,
) -> Outcome {
    let body = record.body::<Registers>();
    // SAFETY: memory of the record.
    let held = unsafe { &raw mut (*body).held };
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).args = call.args;
        if call.is_uring() {
            (*body).args[5] = 0;
        }
        (*body).syscall = call.number;
        (*body).reserved = 0;
    }
    if numbers::leaves_out_registers(record, kind, call) {
        return Ok(());
    }
    // SAFETY: memory of the record.
    unsafe { held::none(held) };
    let value = |role| {
        let index = argument(strings(), role)?;
        // SAFETY: the mask leaves at most 8 bytes behind the body, which the record has. From map
        // memory, since old verifiers know no variable place on the stack.
        unsafe {
            let argument = (&raw mut (*body).args)
                .cast::<u64>()
                .add((index & 7) as usize);
            let value = argument.read_volatile();
            // Where the kernel keeps its copies is nobody's business.
            if call.is_uring() && !matches!(role, Role::PathBase | Role::TargetBase | Role::File) {
                argument.write_volatile(0);
            }
            Some(value)
        }
    };
    let directory = |role| value(role).map_or(AT_FDCWD, |descriptor| descriptor as i32);
    // What a descriptor stands for may have changed meanwhile.
    let naming = if name::fill(record, Slot::Resolved, owner, Which::Main) {
        Naming::Done
    } else {
        Naming::Wanted
    };
    let mut descriptor = -1;
    if let Some(argument) = value(Role::File) {
        descriptor = argument as i32;
        if call.is_uring() {
            file = call.file();
        } else if file.is_null() {
            file = file::of_descriptor(descriptor);
        }
    }
    // SAFETY: memory of the record.
    unsafe { held::held(record, held, descriptor, file, naming) };
    if let Some(path) = value(Role::Path) {
        let directory = directory(Role::PathBase);
        file::passed(record, call.origin(), path as Pointer, directory);
    } else if kind != Kind::Memory as u32 {
        // Programs map code by the dozen when they start.
        record.place(Slot::Cwd, walk::cwd());
    }
    if let Some(text) = value(Role::Text) {
        record.string(Slot::Args, call.origin(), text as Pointer);
    }
    if let Some(target) = value(Role::Target) {
        let first = record.string(Slot::Target, call.origin(), target as Pointer);
        file::base(record, Slot::TargetBase, first, directory(Role::TargetBase));
        name::fill(record, Slot::TargetResolved, owner, Which::Target);
    }
    if kind == Kind::Call as u32 && !call.is_uring() {
        // SAFETY: memory of the record.
        let argument = unsafe { (&raw mut (*body).args).cast::<u64>().add(ENDS) };
        message::ends(call, argument);
        message::moved(record, call);
    }
    record.emit_number(kind)
}
