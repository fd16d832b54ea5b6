//! What the loader tells the programs: offsets of kernel members and settings, in `.rodata`, which
//! the verifier sees as constants.

use aya_ebpf::Global;
use monitor_common::syscall::OPERATIONS;

/// Offset of a kernel struct member.
pub type Member = Global<u32>;

macro_rules! members {
    ($($need:ident $name:ident $structure:literal [$($member:literal),+];)*) => {
        $(#[unsafe(no_mangle)]
        pub static $name: Member = Member::new(monitor_common::layout::ABSENT);)*
    };
}
monitor_common::kernel_members!(members);

/// Process whose own opens and connects are left out: the daemon, which would feed itself.
#[unsafe(no_mangle)]
pub static SELF_PID: Global<u32> = Global::new(0);
/// 1 if `sched_process_exit` tells in its second argument whether the whole group is gone (6.16).
#[unsafe(no_mangle)]
pub static EXIT_SAYS_GROUP_DEAD: Global<u32> = Global::new(0);

/// Where a `css_set` has the state of the controller whose hierarchy of cgroup v1 tells containers
/// apart; absent where the unified hierarchy does.
#[unsafe(no_mangle)]
pub static CGROUP_STATE: Member = Member::new(monitor_common::layout::ABSENT);
/// Number of the hierarchy that tells containers apart; 0 is the unified one.
#[unsafe(no_mangle)]
pub static CGROUP_HIERARCHY: Global<u32> = Global::new(0);

/// 1 if the kernel has `bpf_get_current_task_btf` (5.11) and `bpf_task_pt_regs` (5.15): the current
/// task and its registers are typed then.
#[unsafe(no_mangle)]
pub static HAVE_TASK_BTF: Global<u32> = Global::new(0);

/// 1 if the kernel lets any pointer be read from by plain loads: see [`crate::read::readable`].
#[unsafe(no_mangle)]
pub static HAVE_CAST: Global<u32> = Global::new(0);

/// 1 if programs can be preempted, so that others have to make up for those that are left out: see
/// `crate::again`.
#[unsafe(no_mangle)]
pub static AGAIN: Global<u32> = Global::new(0);

/// 1 if the programs at the ends and starts of calls were made the older kind of tracepoint programs,
/// which come without the registers.
#[unsafe(no_mangle)]
pub static BARE_CALLS: Global<u32> = Global::new(0);

/// Bits of [`TASK_STATUS`] that say that the call in progress is of the ABI for 32-bit programs.
#[unsafe(no_mangle)]
pub static COMPAT_BITS: Global<u32> = Global::new(0);
/// 1 if calls of 32-bit programs may be in the same functions as others, as on aarch64.
#[unsafe(no_mangle)]
pub static COMPAT_SHARES_FUNCTIONS: Global<u32> = Global::new(0);
/// Numbers of the calls with an [`Operation`](monitor_common::syscall::Operation) of their own, in
/// its order, in the machine's own ABI and in that of 32-bit programs; absent where there are none.
#[unsafe(no_mangle)]
pub static OWN_NUMBERS: [Global<u32>; OPERATIONS] =
    [const { Global::new(monitor_common::layout::ABSENT) }; OPERATIONS];
#[unsafe(no_mangle)]
pub static COMPAT_NUMBERS: [Global<u32>; OPERATIONS] =
    [const { Global::new(monitor_common::layout::ABSENT) }; OPERATIONS];
/// `O_LARGEFILE`, which the kernel adds to what 64-bit programs ask for.
#[unsafe(no_mangle)]
pub static O_LARGEFILE: Global<u32> = Global::new(0);
/// Which bit `O_DIRECTORY` is.
#[unsafe(no_mangle)]
pub static O_DIRECTORY_BIT: Global<u32> = Global::new(0);

/// Which parameter of `vfs_symlink` is the new name's dentry, and which the text of the target;
/// `vfs_*` functions got a first parameter more in 5.12.
#[unsafe(no_mangle)]
pub static VFS_SYMLINK_DENTRY: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static VFS_SYMLINK_TARGET: Global<u32> = Global::new(0);
/// How many parameters they have: behind the last one is the result.
#[unsafe(no_mangle)]
pub static VFS_SYMLINK_RESULT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static VFS_LINK_RESULT: Global<u32> = Global::new(0);
/// Which parameters of `vfs_link` are the old and the new name's dentries.
#[unsafe(no_mangle)]
pub static VFS_LINK_OLD: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static VFS_LINK_NEW: Global<u32> = Global::new(0);

/// Position of the result among the parameters of the tracepoint `io_uring_complete`, from 0 on;
/// absent where the whole completion is passed (6.14).
#[unsafe(no_mangle)]
pub static URING_RESULT: Global<u32> = Global::new(0);
/// Which bits of a request's flags say that its file is one of the ring's own, that it asks for no
/// completion, and that the kernel keeps state for it.
#[unsafe(no_mangle)]
pub static URING_FIXED_FILE: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static URING_SKIP: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static URING_STATE: Global<u32> = Global::new(0);

/// Whether this kernel has the member.
#[inline(always)]
pub fn present(member: &Member) -> bool {
    member.load() != monitor_common::layout::ABSENT
}
