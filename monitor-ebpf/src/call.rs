//! Calls that their registers tell.

use monitor_common::call::Registers;
use monitor_common::{Kind, Slot};

use crate::emit::Outcome;
use crate::file;
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
