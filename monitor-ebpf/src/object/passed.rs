//! Open files that come from another process: the function by which the kernel gives a descriptor
//! to each, whatever way it came.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::{Flags, Kind};

use crate::emit::settle;
use crate::passed::passed;
use crate::read::{Pointer, Typed};
use crate::record;
use crate::syscall::own;

/// `__receive_fd(int fd, struct file *file, int *ufd, unsigned int o_flags)`, 5.10.
#[fexit(function = "__receive_fd")]
pub fn passed_done_at(ctx: FExitContext) -> i32 {
    report(ctx.arg(1), ctx.arg::<u64>(4) as i32)
}

/// `__receive_fd(struct file *file, int *ufd, unsigned int o_flags)`, and `receive_fd` from 6.8 on.
#[fexit(function = "receive_fd")]
pub fn passed_done(ctx: FExitContext) -> i32 {
    report(ctx.arg(0), ctx.arg::<u64>(3) as i32)
}

/// The same of `__receive_fd` beside [`passed_alone`], whose function gives no place for the
/// descriptor's number: it may call this one, or have it within itself.
#[fexit(function = "__receive_fd")]
pub fn passed_to(ctx: FExitContext) -> i32 {
    if ctx.arg::<u64>(1) == 0 {
        return 0;
    }
    report(ctx.arg(0), ctx.arg::<u64>(3) as i32)
}

/// `receive_fd(struct file *file, unsigned int o_flags)`, 5.15 to 6.7.
#[fexit(function = "receive_fd")]
pub fn passed_alone(ctx: FExitContext) -> i32 {
    report(ctx.arg(0), ctx.arg::<u64>(2) as i32)
}

/// `receive_fd_replace(int new_fd, struct file *file, unsigned int o_flags)`, 5.12 and later.
#[fexit(function = "receive_fd_replace")]
pub fn passed_instead(ctx: FExitContext) -> i32 {
    report(ctx.arg(1), ctx.arg::<u64>(3) as i32)
}

/// `file` is an argument of the hook.
#[inline(always)]
fn report(file: Pointer, ret: i32) -> i32 {
    if own() {
        return 0;
    }
    let outcome = record::with::<Typed>(Kind::Passed as u32, Flags::OBJECT_TIER, |record| {
        passed::<Typed>(record, i64::from(ret), file)
    });
    settle(Kind::Passed, outcome)
}
