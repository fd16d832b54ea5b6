//! Opens: `security_file_open` knows the file, and what it was asked for by; `fd_install` knows
//! the descriptor. What fails or only names a file (`O_PATH`) reaches neither and is taken from
//! the end of `do_sys_openat2`.

use aya_ebpf::macros::{fentry, fexit, map};
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::{FEntryContext, FExitContext};
use monitor_common::syscall::Operation;
use monitor_common::{Flags, Kind};

use crate::again;
use crate::emit::settle;
use crate::file::{self, O_PATH, OpenArguments};
use crate::filter;
use crate::layout::*;
use crate::network::is_socket;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::record::{self, Origin};
use crate::syscall::{Call, current_call, is_in, open_arguments, own, thread};
use crate::uring;

/// `__FMODE_EXEC` of `include/linux/fs.h`: an open by exec.
const FMODE_EXEC: u32 = 0x20;
/// `MAX_ERRNO` of `include/linux/err.h`: pointers above are errors.
const ERROR_POINTERS: u64 = -4095i64 as u64;

/// In these calls, what is installed is what was opened.
const OPENS: [Operation; 5] = [
    Operation::OpenAt,
    Operation::Open,
    Operation::OpenAt2,
    Operation::Creat,
    Operation::OpenByHandle,
];

/// What is known of an open between its two hooks.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Opening {
    /// Who opens, `tgid << 32 | tid`.
    task: u64,
    dentry: u64,
    /// The kernel's copy of the passed path, which outlives `fd_install`; 0 if it is not known.
    name: u64,
    flags: u32,
    dirfd: i32,
    /// [`again::ended`] when it began.
    ended: u64,
}

/// Opens under way, by `struct file *`: more than block at once in devices, pipes and file systems of
/// programs. Those that fail later, or that the kernel does for itself, stay until they are evicted;
/// a file that is used again by then differs in task or dentry. So a program can have an open
/// forgotten that waits (for a lease, say): it is told all the same, with the name in the program's
/// memory, or by the note of its request of `io_uring`.
#[map]
static OPENINGS: LruHashMap<u64, Opening> = LruHashMap::with_max_entries(4096, 0);

/// `security_file_open(struct file *file)`, 5.10 to 7.2.
#[fentry(function = "security_file_open")]
pub fn open_begin(ctx: FEntryContext) -> i32 {
    // SAFETY: the argument of the hook is typed.
    unsafe { begin(ctx.arg(0)) };
    0
}

/// # Safety
/// `file` is typed.
#[inline(always)]
unsafe fn begin(file: Pointer) {
    // SAFETY: the caller's; the current task is typed.
    unsafe {
        let flags: u32 = Typed::get(file, &FILE_FLAGS);
        let lookup: Pointer = Typed::get(current(), &TASK_NAMEIDATA);
        if flags & FMODE_EXEC != 0 || lookup.is_null() || own() || inner(file) {
            return;
        }
        let name: Pointer = Typed::get(lookup, &NAMEIDATA_NAME);
        let opening = Opening {
            task: thread(),
            dentry: Typed::at(file, FILE_PATH.load() + PATH_DENTRY.load()),
            name: Typed::get(name, &FILENAME_NAME),
            flags,
            dirfd: Typed::get(lookup, &NAMEIDATA_DFD),
            ended: again::ended(),
        };
        // Full never: an LRU map makes room.
        let _ = OPENINGS.insert(file as u64, opening, 0);
    }
}

/// Whether an overlay opens a file of its layers for itself, within an open of its own: up to 6.7
/// the inode is not the path's, later the mount is an internal one.
///
/// # Safety
/// `file` is typed.
#[inline(always)]
unsafe fn inner(file: Pointer) -> bool {
    // SAFETY: the caller's.
    unsafe {
        let dentry: Pointer = Typed::at(file, FILE_PATH.load() + PATH_DENTRY.load());
        let inode: Pointer = Typed::get(file, &FILE_INODE);
        if inode != Typed::get(dentry, &DENTRY_INODE) {
            return true;
        }
        let mnt: Pointer = Typed::at(file, FILE_PATH.load() + PATH_MNT.load());
        let mount = mnt.wrapping_sub(MOUNT_MNT.load() as usize);
        // Files without a directory, such as memfds, have internal mounts too.
        Probed::get::<u64>(mount, &MOUNT_NS) >= ERROR_POINTERS
            && Typed::get::<Pointer>(dentry, &DENTRY_PARENT) != dentry
    }
}

/// `fd_install(unsigned int fd, struct file *file)`, 5.10 to 7.2.
#[fentry(function = "fd_install")]
pub fn open_done(ctx: FEntryContext) -> i32 {
    let file: Pointer = ctx.arg(1);
    let key = file as u64;
    // SAFETY: the entry is copied at once; one that is replaced meanwhile is checked below.
    let known = unsafe { OPENINGS.get(key) }.copied();
    // SAFETY: the argument of the hook is typed.
    let (dentry, flags): (u64, u32) = unsafe {
        (
            Typed::at(file, FILE_PATH.load() + PATH_DENTRY.load()),
            Typed::get(file, &FILE_FLAGS),
        )
    };
    let opening = match known {
        Some(opening) => {
            let _ = OPENINGS.remove(key);
            if opening.task != thread()
                || opening.dentry != dentry
                || opening.ended != again::ended()
            {
                return 0;
            }
            opening
        }
        None if flags & O_PATH == 0 && is_in(OPENS) && !own() => Opening {
            flags,
            ..Opening::default()
        },
        None => match uring::opening() {
            Some(open) if flags & O_PATH == 0 && !is_socket(file) && !own() => Opening {
                name: open.path,
                dirfd: open.dirfd,
                flags,
                ..Opening::default()
            },
            _ => return 0,
        },
    };
    again::tells_call();
    let kernel = OpenArguments {
        dirfd: opening.dirfd,
        path: 0,
        flags: opening.flags,
        mode: 0,
    };
    let (call, open) = asked(i64::from(ctx.arg::<u32>(0)), kernel);
    let asked = filter::ask(&call, &open);
    if asked.refuses() {
        return 0;
    }
    let name = if opening.name == 0 {
        (Origin::User, open.path as Pointer)
    } else {
        (Origin::Kernel, opening.name as Pointer)
    };
    // SAFETY: the argument of the hook is typed.
    let outcome = record::unstarted(|record| unsafe {
        file::open_of::<Typed>(record, current(), &call, &open, asked, file, name)
    });
    settle(Kind::Open, outcome)
}

/// The call behind an open and its arguments: those passed if the task is in one of the open calls
/// (they are register values), else those the kernel has.
#[inline(always)]
fn asked(ret: i64, kernel: OpenArguments) -> (Call, OpenArguments) {
    let mut call = current_call(ret);
    for operation in [Operation::OpenAt, Operation::Open, Operation::Creat] {
        if call.is(operation) {
            let open = open_arguments(operation as u8, &call);
            return (call, open);
        }
    }
    if !call.is(Operation::OpenAt2) && !call.is(Operation::OpenByHandle) {
        call.number = 0;
        call.flags = Flags::OBJECT_TIER;
    }
    (
        call,
        OpenArguments {
            flags: kernel.flags & !O_LARGEFILE.load(),
            ..kernel
        },
    )
}

/// `do_sys_openat2(int dfd, const char *filename, struct open_how *how)`, 5.10 to 7.2. `how` is
/// the kernel's copy.
#[fexit(function = "do_sys_openat2")]
pub fn open_failed(ctx: FExitContext) -> i32 {
    let ret = ctx.arg::<u64>(3) as i32;
    let how: Pointer = ctx.arg(2);
    // SAFETY: `struct open_how` begins with flags and mode, 64 bits each; probed.
    let (flags, mode) = unsafe { (Probed::at::<u64>(how, 0), Probed::at::<u64>(how, 8)) };
    if ret >= 0 && flags as u32 & O_PATH == 0 || own() {
        return 0;
    }
    again::tells_call();
    let kernel = OpenArguments {
        dirfd: ctx.arg::<u64>(0) as i32,
        path: ctx.arg(1),
        flags: flags as u32,
        mode: mode as u32,
    };
    let (call, open) = asked(i64::from(ret), kernel);
    let asked = filter::ask(&call, &open);
    if asked.refuses() {
        return 0;
    }
    let told = |record: &_| file::open(record, current(), &call, &open, asked);
    settle(Kind::Open, record::unstarted(told))
}
