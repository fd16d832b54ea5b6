//! Single system calls, at the end of their functions: for what has only register arguments, and
//! for failures that never reach an object.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::Flags;
use monitor_common::syscall::Operation;

use crate::again;
use crate::layout::{COMPAT_SHARES_FUNCTIONS, HAVE_TASK_BTF};
use crate::part::dispatch;
use crate::read::{Probed, current};
use crate::syscall::{is_compat, read_call, registers_of};

/// Which results a program reports.
#[derive(Clone, Copy)]
enum Results {
    All,
    Failures,
}

/// `long __x64_sys_NAME(const struct pt_regs *regs)`, and `__ia32_…` with registers of the i386
/// convention; the loader knows what they are called on other machines.
#[inline(always)]
fn finished(ctx: &FExitContext, operation: Operation, compat: bool, results: Results) -> i32 {
    let ret: i64 = ctx.arg(1);
    if matches!(results, Results::Failures) && ret >= 0 {
        return 0;
    }
    again::tells_call();
    let row = operation.call();
    let regs = if HAVE_TASK_BTF.load() == 0 {
        // Kernels of that age do not know what some of these functions' arguments point to.
        registers_of(current())
    } else {
        ctx.arg(0)
    };
    // SAFETY: arguments of the hook are typed, and so are the task's registers.
    let mut call = unsafe { read_call(regs, row.number, ret, compat) };
    if !compat && COMPAT_SHARES_FUNCTIONS.load() != 0 && is_compat(current()) {
        call.flags |= Flags::COMPAT;
        for argument in &mut call.args {
            *argument &= 0xffff_ffff;
        }
    }
    call.flags |= Flags::OBJECT_TIER;
    dispatch::<Probed>(|| row.entry(), &call)
}

macro_rules! calls {
    ($($program:ident $function:literal $operation:ident $compat:literal $results:ident;)*) => {
        $(#[fexit(function = $function)]
        pub fn $program(ctx: FExitContext) -> i32 {
            finished(&ctx, Operation::$operation, $compat, Results::$results)
        })*
    };
}

calls! {
    execve_exit "__x64_sys_execve" Execve false Failures;
    execveat_exit "__x64_sys_execveat" ExecveAt false Failures;
    execve_exit32 "__ia32_compat_sys_execve" Execve true Failures;
    execveat_exit32 "__ia32_compat_sys_execveat" ExecveAt true Failures;
    ptrace_exit "__x64_sys_ptrace" Ptrace false All;
    ptrace_exit32 "__ia32_compat_sys_ptrace" Ptrace true All;
    dup_exit "__x64_sys_dup" Dup false All;
    dup2_exit "__x64_sys_dup2" Dup2 false All;
    dup3_exit "__x64_sys_dup3" Dup3 false All;
    dup_exit32 "__ia32_sys_dup" Dup true All;
    dup2_exit32 "__ia32_sys_dup2" Dup2 true All;
    dup3_exit32 "__ia32_sys_dup3" Dup3 true All;
    fcntl_exit "__x64_sys_fcntl" Fcntl false All;
    fcntl_exit32 "__ia32_compat_sys_fcntl64" Fcntl true All;
    init_module_exit "__x64_sys_init_module" InitModule false All;
    finit_module_exit "__x64_sys_finit_module" FinitModule false All;
    init_module_exit32 "__ia32_sys_init_module" InitModule true All;
    finit_module_exit32 "__ia32_sys_finit_module" FinitModule true All;
    symlink_exit "__x64_sys_symlink" Symlink false Failures;
    symlinkat_exit "__x64_sys_symlinkat" SymlinkAt false Failures;
    symlink_exit32 "__ia32_sys_symlink" Symlink true Failures;
    symlinkat_exit32 "__ia32_sys_symlinkat" SymlinkAt true Failures;
    link_exit "__x64_sys_link" Link false Failures;
    linkat_exit "__x64_sys_linkat" LinkAt false Failures;
    link_exit32 "__ia32_sys_link" Link true Failures;
    linkat_exit32 "__ia32_sys_linkat" LinkAt true Failures;
}
