//! Operations of `io_uring`, which end no system call: told as the calls that do the same.
//!
//! What was asked for is noted when a request is handed in, where the kernel has read names and
//! (since 6.10) addresses from the program; they are gone by the time of its completion, which
//! tells the result. Both come in the process's own threads or in workers that share its ids,
//! files and cgroup. Requests that ask for no completion of a success, and those that find no room
//! for a note, are told when they are handed in, as if they had succeeded with 0.
//!
//! As a [`Call`], an operation has the kernel's pointers for names and addresses; its last argument
//! is the open file that the first names, and the one before that the open file it made, or the
//! address of a message, whose length is the second.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
};
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::loss::LossReason;
use monitor_common::syscall::uring::{OPERATIONS, operation};
use monitor_common::syscall::{self, Operation};
use monitor_common::{Flags, Kind, PATH_MAX};

use crate::emit::{Outcome, settle_code, settle_number};
use crate::file::{self, AT_FDCWD, O_PATH, OpenArguments};
use crate::filter;
use crate::layout::*;
use crate::message;
use crate::name;
use crate::read::{Pointer, Probed, Read, Typed, current, masked};
use crate::record::{self, about};
use crate::scratch;
use crate::syscall::Call;
use crate::tell;

/// For each operation, `monitor_common::syscall::Call::entry` of the call it is told as, or 0.
#[map]
pub static URING_OPERATIONS: Array<u64> = Array::with_max_entries(OPERATIONS, BPF_F_MMAPABLE);
/// Notes by request. A request is used again when it is done, and its note with it. Memory is taken
/// as it is needed: at most 8 MiB for as many operations on names as a busy program has in flight.
#[map]
static URING_NAMES: HashMap<u64, Names> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);
/// Sockets wait longer: a server has an accept or more for each thread.
#[map]
static URING_SOCKETS: HashMap<u64, Address> = HashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);

const FAILURES: u64 = syscall::Call::FAILURES;
const BPF_F_NO_PREALLOC: u32 = 1;
/// `PF_IO_WORKER` of `include/linux/sched.h`.
const WORKER: u32 = 0x10;
/// `PF_KTHREAD` of `include/linux/sched.h`.
const KERNEL_THREAD: u32 = 0x20_0000;
/// `IORING_FILE_INDEX_ALLOC`: the ring chooses.
const ANY_SLOT: u32 = u32::MAX;
/// `FFS_MASK` of `io_uring/filetable.h`, inverted: bits that are no part of a pointer.
const FILE_BITS: u64 = !7;

/// Whether an operation is told here.
#[inline(always)]
pub fn serves(operation: u32) -> bool {
    // SAFETY: a checked map value.
    URING_OPERATIONS
        .get_ptr(operation)
        .is_some_and(|entry| unsafe { entry.read_volatile() } != 0)
}

/// The request that the current thread works at, as a worker of `io_uring`, if its completion will
/// be told with names.
#[inline(always)]
pub fn awaited() -> Option<u64> {
    if !present(&TASK_WORKER) || !present(&WORKER_WORK) || !present(&REQUEST_WORK) {
        return None;
    }
    // SAFETY: probed; a task that is no worker has other things there, which is no request noted.
    let work: Pointer = unsafe {
        let worker: Pointer = Probed::get(current(), &TASK_WORKER);
        Probed::get(worker, &WORKER_WORK)
    };
    let request = (work as u64).wrapping_sub(REQUEST_WORK.load().into());
    URING_NAMES.get_ptr(request).map(|_| request)
}

/// The open that the current thread works at, as a worker of `io_uring`; its path is the kernel's
/// copy, or null where none is noted. `None` for other work.
#[inline(always)]
pub fn opening() -> Option<OpenArguments> {
    // SAFETY: the current task is typed.
    if unsafe { Typed::get::<u32>(current(), &TASK_FLAGS) } & WORKER == 0 {
        return None;
    }
    let mut open = OpenArguments {
        dirfd: AT_FDCWD,
        path: 0,
        flags: 0,
        mode: 0,
    };
    // Whose requests are not followed: it may be one.
    if !present(&TASK_WORKER) || !present(&WORKER_WORK) || !present(&REQUEST_WORK) {
        return Some(open);
    }
    let key = awaited()?;
    let request = Request(key as Pointer);
    let names = URING_NAMES.get_ptr_mut(key)?;
    if !request.is_open() {
        return None;
    }
    // SAFETY: only an address within the note, which this request alone uses.
    open.path = unsafe { number(&raw mut (*names).at, (&raw const (*names).first).cast()) };
    open.dirfd = request.get(&IO_OPEN_DIRFD);
    Some(open)
}

/// What a request names, as the kernel has copied it. `at` is for [`number`].
#[repr(C)]
struct Names {
    at: u64,
    first: [u8; PATH_MAX],
    second: [u8; PATH_MAX],
}

/// What a request for a socket says. `at` is for [`number`].
#[repr(C)]
struct Address {
    at: u64,
    /// The descriptor, or -1 for a file that only the ring has.
    fd: i32,
    /// Bytes of the address; 0 for none.
    len: u32,
    bytes: [u8; 128],
}

/// `io_uring_submit_req(struct io_kiocb *req)`, 6.4 and later; `io_uring_submit_sqe(struct
/// io_kiocb *req, bool force_nonblock)`, 5.19 to 6.3.
#[btf_tracepoint(function = "io_uring_submit_req")]
pub fn uring_submit(ctx: BtfTracePointContext) -> i32 {
    let request = Request(ctx.arg(0));
    let Some(entry) = request.entry() else {
        return 0;
    };
    // SAFETY: a checked map value, read anew at each use as in `syscall`.
    let entry = || unsafe { entry.read_volatile() };
    if entry() == 0 {
        return 0;
    }
    let kind = u32::from((entry() >> 8) as u8);
    settle_number(kind, submitted(&request, entry))
}

#[inline(always)]
fn submitted(request: &Request, entry: impl Fn() -> u64) -> Outcome {
    let slot = scratch::claim()?;
    let key = request.0 as u64;
    // SAFETY: the slot is claimed, and its record larger than either note.
    let outcome = unsafe {
        let memory = (&raw mut (*slot).record).cast::<u8>();
        if request.has_names() {
            let names = memory.cast::<Names>();
            request.names(names);
            // What another operation left that nobody told of.
            name::forget(key);
            // Failures are never silent.
            let silent = request.skips() && entry() & FAILURES == 0;
            if silent || URING_NAMES.insert(key, &*names, 0).is_err() {
                told(request, entry, 0, request.with_names(names))
            } else {
                Ok(())
            }
        } else {
            let address = memory.cast::<Address>();
            request.address(address);
            let connected = request.is_send() && (*address).len == 0;
            if connected {
                Ok(())
            } else if request.skips() || URING_SOCKETS.insert(key, &*address, 0).is_err() {
                told(request, entry, 0, request.with_address(address))
            } else {
                Ok(())
            }
        }
    };
    // SAFETY: claimed above, and done with.
    unsafe { scratch::release(slot) };
    outcome
}

/// `io_uring_complete(struct io_ring_ctx *ctx, void *req, struct io_uring_cqe *cqe)`, 6.14 and
/// later; `(void *ctx, void *req, u64 user_data, int res, …)`, 5.19 to 6.13.
#[btf_tracepoint(function = "io_uring_complete")]
pub fn uring_complete(ctx: BtfTracePointContext) -> i32 {
    let request = Request(ctx.arg(1));
    // Further completions of a request that goes on have none.
    if request.0.is_null() {
        return 0;
    }
    let Some(entry) = request.entry() else {
        return 0;
    };
    // SAFETY: a checked map value, read anew at each use as in `syscall`.
    let entry = || unsafe { entry.read_volatile() };
    if entry() == 0 {
        return 0;
    }
    if is_kernel_thread() {
        // Who asked is gone; what is noted would take room for ever.
        forget(&request);
        return 0;
    }
    let ret: i32 = if present(&URING_RESULT) {
        ctx.arg(3)
    } else {
        // SAFETY: `struct io_uring_cqe` of the user interface; probed.
        unsafe { Probed::at(ctx.arg(2), 8) }
    };
    let kind = u32::from((entry() >> 8) as u8);
    settle_number(kind, completed(&request, entry, ret.into()))
}

#[inline(always)]
fn completed(request: &Request, entry: impl Fn() -> u64, ret: i64) -> Outcome {
    let key = request.0 as u64;
    if request.has_names() {
        let Some(names) = URING_NAMES.get_ptr_mut(key) else {
            return Ok(());
        };
        let outcome = if entry() & FAILURES != 0 && request.is_seen(ret) {
            Ok(())
        } else {
            told(request, entry, ret, request.with_names(names))
        };
        forget(request);
        outcome
    } else {
        let Some(address) = URING_SOCKETS.get_ptr_mut(key) else {
            return Ok(());
        };
        // SAFETY: a checked map value, which this request alone uses.
        let args = unsafe { request.with_address(address) };
        let outcome = told(request, entry, ret, args);
        forget(request);
        outcome
    }
}

/// Forgets what is noted for a request.
#[inline(always)]
fn forget(request: &Request) {
    let key = request.0 as u64;
    if request.has_names() {
        let _ = URING_NAMES.remove(key);
        name::forget(key);
    } else {
        let _ = URING_SOCKETS.remove(key);
    }
}

/// Whether a thread of the kernel cleans up behind a process that is gone.
#[inline(always)]
fn is_kernel_thread() -> bool {
    // SAFETY: the current task is typed.
    unsafe { Typed::get::<u32>(current(), &TASK_FLAGS) & KERNEL_THREAD != 0 }
}

const OPEN_AT: u8 = Operation::OpenAt as u8;
const OPEN_AT2: u8 = Operation::OpenAt2 as u8;
const CONNECT: u8 = Operation::Connect as u8;
const SOCKET: u8 = Operation::Socket as u8;
const SYMLINK_AT: u8 = Operation::SymlinkAt as u8;
const LINK_AT: u8 = Operation::LinkAt as u8;
const SEND_TO: u8 = Operation::SendTo as u8;
const SEND_MSG: u8 = Operation::SendMsg as u8;
const RECV_FROM: u8 = Operation::RecvFrom as u8;
const RECV_MSG: u8 = Operation::RecvMsg as u8;
const ACCEPT4: u8 = Operation::Accept4 as u8;
const LISTEN: u8 = Operation::Listen as u8;
const BIND: u8 = Operation::Bind as u8;

/// Reports an operation.
#[inline(always)]
fn told(request: &Request, entry: impl Fn() -> u64, ret: i64, args: [u64; 6]) -> Outcome {
    // Which it will be is not known.
    if entry() & FAILURES != 0 && ret == 0 && !request.is_open() {
        return Err(LossReason::StateEvicted);
    }
    let mut call = Call {
        number: u32::from((entry() >> 16) as u16),
        ret,
        args,
        flags: Flags::URING,
    };
    let operation = || entry() as u8;
    if matches!(operation(), OPEN_AT | OPEN_AT2 | ACCEPT4) {
        call.args[4] = request.made(ret) as u64;
    }
    if matches!(operation(), SEND_TO | SEND_MSG) && !message::has_destination(&call) {
        return Ok(());
    }
    if matches!(operation(), RECV_FROM | RECV_MSG) && !message::was_on_socket(&call) {
        return Ok(());
    }
    if matches!(operation(), OPEN_AT | OPEN_AT2) && filter::refuses(&call, &opened(&call)) {
        return Ok(());
    }
    let kind = || u32::from((entry() >> 8) as u8);
    let report = |number| report(number, kind(), &entry, request.0 as u64);
    settle_code(kind(), record::tell::<Probed>(kind(), &call, report));
    Ok(())
}

#[inline(always)]
fn report(number: u32, kind: u32, entry: impl Fn() -> u64, owner: u64) -> u32 {
    match entry() as u8 {
        OPEN_AT | OPEN_AT2 => tell_uring_open(number),
        SYMLINK_AT => tell::link(number, SYMLINK_AT.into()),
        LINK_AT => tell::link(number, LINK_AT.into()),
        CONNECT => tell::connect(number),
        SOCKET => tell::socket(number),
        SEND_TO | SEND_MSG => tell::send(number),
        RECV_FROM | RECV_MSG => tell::receive(number),
        ACCEPT4 => tell::accept(number),
        LISTEN => tell::listen(number),
        BIND => tell::bind(number),
        _ => {
            let owner = scratch::slot(number).map_or(0, |slot| {
                // SAFETY: whoever tells has claimed it.
                unsafe { scratch::number(slot, owner) }
            });
            tell::registers(number, kind, (entry() >> 32) as u32, owner)
        }
    }
}

/// An open. Its paths are left to the daemon: with the functions that read them, this program would
/// need more stack than 6.1 allows.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tell_uring_open(number: u32) -> u32 {
    about(number, |record, call| {
        file::tell_open(record, call, &opened(call));
        record.emit(Kind::Open)
    })
}

#[inline(always)]
fn opened(call: &Call) -> OpenArguments {
    let [dirfd, path, flags, mode, _, _] = call.args;
    OpenArguments {
        dirfd: dirfd as i32,
        path,
        flags: flags as u32 & !O_LARGEFILE.load(),
        mode: mode as u32,
    }
}

/// A `struct io_kiocb`, whose first bytes are those of the operation's own struct.
struct Request(Pointer);

impl Request {
    /// A member of the request, or of the operation's own struct.
    #[inline(always)]
    fn get<T: Copy>(&self, member: &Member) -> T {
        // SAFETY: probed.
        unsafe { Probed::get(self.0, member) }
    }

    /// The same, as an argument; one that the kernel has as a signed number is extended.
    #[inline(always)]
    fn word(&self, member: &Member) -> u64 {
        i64::from(self.get::<i32>(member)) as u64
    }

    #[inline(always)]
    fn operation(&self) -> u32 {
        self.get::<u8>(&REQUEST_OPERATION).into()
    }

    #[inline(always)]
    fn entry(&self) -> Option<*const u64> {
        URING_OPERATIONS.get_ptr(self.operation())
    }

    /// Whether a success is not to be told.
    #[inline(always)]
    fn skips(&self) -> bool {
        self.flag(URING_SKIP.load())
    }

    #[inline(always)]
    fn flag(&self, bit: u32) -> bool {
        self.get::<u32>(&REQUEST_FLAGS) >> (bit & 31) & 1 != 0
    }

    #[inline(always)]
    fn is_send(&self) -> bool {
        matches!(
            self.operation(),
            operation::SEND | operation::SEND_ZC | operation::SENDMSG | operation::SENDMSG_ZC
        )
    }

    #[inline(always)]
    fn is_open(&self) -> bool {
        matches!(self.operation(), operation::OPENAT | operation::OPENAT2)
    }

    /// Whether the object tier tells of an operation with this result: not of failures, and of
    /// opens only where a process gets a descriptor to read or write by.
    #[inline(always)]
    fn is_seen(&self, ret: i64) -> bool {
        let apart = self.is_open()
            && (self.get::<u32>(&IO_OPEN_FLAGS) & O_PATH != 0
                || self.get::<u32>(&IO_OPEN_SLOT) != 0);
        ret >= 0 && !apart
    }

    #[inline(always)]
    fn has_names(&self) -> bool {
        matches!(
            self.operation(),
            operation::OPENAT
                | operation::OPENAT2
                | operation::RENAMEAT
                | operation::UNLINKAT
                | operation::MKDIRAT
                | operation::SYMLINKAT
                | operation::LINKAT
                | operation::SETXATTR
                | operation::FSETXATTR
        )
    }

    /// Notes the names, while the kernel has them.
    ///
    /// # Safety
    /// `names` is memory that no other program uses.
    #[inline(always)]
    unsafe fn names(&self, names: *mut Names) {
        let (first, second) = match self.operation() {
            operation::OPENAT | operation::OPENAT2 => (Some(&IO_OPEN_NAME), None),
            operation::UNLINKAT => (Some(&IO_UNLINK_NAME), None),
            operation::MKDIRAT => (Some(&IO_MKDIR_NAME), None),
            operation::RENAMEAT => (Some(&IO_RENAME_OLD), Some(&IO_RENAME_NEW)),
            operation::SETXATTR => (Some(&IO_XATTR_PATH), None),
            operation::FSETXATTR => (None, None),
            _ => (Some(&IO_LINK_OLD), Some(&IO_LINK_NEW)),
        };
        // SAFETY: the caller's; probed.
        unsafe {
            let to = (&raw mut (*names).first).cast::<u8>();
            note(
                to,
                first.map_or(core::ptr::null(), |member| self.name(member)),
            );
            let to = (&raw mut (*names).second).cast::<u8>();
            let text = match second {
                Some(member) => self.name(member),
                // `struct xattr_name` is nothing but the text.
                None if present(&IO_XATTR_NAME) => self.get(&IO_XATTR_NAME),
                None => core::ptr::null(),
            };
            note(to, text);
        }
    }

    /// The text of a `struct filename`.
    #[inline(always)]
    fn name(&self, member: &Member) -> Pointer {
        let name: Pointer = if present(member) {
            self.get(member)
        } else {
            core::ptr::null()
        };
        // SAFETY: probed.
        unsafe { Probed::get(name, &FILENAME_NAME) }
    }

    /// The arguments of the call that does the same.
    #[inline(always)]
    fn with_names(&self, names: *mut Names) -> [u64; 6] {
        // SAFETY: only addresses within the note.
        let (first, second) = unsafe {
            let first = number(&raw mut (*names).at, (&raw const (*names).first).cast());
            (first, first + PATH_MAX as u64)
        };
        match self.operation() {
            operation::OPENAT | operation::OPENAT2 => [
                self.word(&IO_OPEN_DIRFD),
                first,
                self.get(&IO_OPEN_FLAGS),
                self.get(&IO_OPEN_MODE),
                0,
                0,
            ],
            operation::UNLINKAT => {
                let flags = self.word(&IO_UNLINK_FLAGS);
                [self.word(&IO_UNLINK_DIRFD), first, flags, 0, 0, 0]
            }
            operation::MKDIRAT => {
                let mode = u64::from(self.get::<u16>(&IO_MKDIR_MODE));
                [self.word(&IO_MKDIR_DIRFD), first, mode, 0, 0, 0]
            }
            operation::RENAMEAT => [
                self.word(&IO_RENAME_OLD_DIRFD),
                first,
                self.word(&IO_RENAME_NEW_DIRFD),
                second,
                self.word(&IO_RENAME_FLAGS),
                0,
            ],
            operation::SYMLINKAT => [first, self.word(&IO_LINK_NEW_DIRFD), second, 0, 0, 0],
            operation::LINKAT => [
                self.word(&IO_LINK_OLD_DIRFD),
                first,
                self.word(&IO_LINK_NEW_DIRFD),
                second,
                self.word(&IO_LINK_FLAGS),
                0,
            ],
            operation::SETXATTR => self.attribute(first, second, 0),
            _ => self.attribute(u64::MAX, second, self.get(&REQUEST_FILE)),
        }
    }

    #[inline(always)]
    fn attribute(&self, first: u64, name: u64, file: u64) -> [u64; 6] {
        if !present(&IO_XATTR_SIZE) || !present(&IO_XATTR_FLAGS) {
            return [first, name, 0, 0, 0, file];
        }
        let size = self.get(&IO_XATTR_SIZE);
        [first, name, 0, size, self.word(&IO_XATTR_FLAGS), file]
    }

    /// Notes descriptor and address.
    ///
    /// # Safety
    /// `address` is memory that no other program uses.
    #[inline(always)]
    unsafe fn address(&self, address: *mut Address) {
        // SAFETY: the caller's.
        unsafe {
            (*address).len = 0;
            (*address).fd = if self.flag(URING_FIXED_FILE.load()) {
                -1
            } else {
                self.get(&REQUEST_FD)
            };
        }
        let kept: Pointer = if self.flag(URING_STATE.load()) {
            self.get(&REQUEST_STATE)
        } else {
            core::ptr::null()
        };
        // SAFETY: the caller's; the source is checked.
        unsafe {
            match self.operation() {
                operation::CONNECT => {
                    let len = self.get(&IO_CONNECT_LEN);
                    match state_address(kept) {
                        Some(from) => copy(address, from, len, false),
                        None => copy(address, self.get(&IO_CONNECT_ADDRESS), len, true),
                    }
                }
                operation::BIND if present(&IO_BIND_LEN) => {
                    if let Some(from) = state_address(kept) {
                        copy(address, from, self.get(&IO_BIND_LEN), false);
                    }
                }
                operation::SENDMSG | operation::SENDMSG_ZC => {
                    if !kept.is_null() {
                        copy_destination(address, kept);
                        return;
                    }
                    // `struct msghdr` begins with the address and its length.
                    let mut head = [0u64; 2];
                    let from: Pointer = self.get(&IO_SEND_MESSAGE);
                    bpf_probe_read_user((&raw mut head).cast(), 16, from.cast());
                    copy(address, head[0] as Pointer, head[1] as u32, true);
                }
                operation::SEND | operation::SEND_ZC => {
                    if present(&IO_SEND_ADDRESS) && present(&IO_SEND_LEN) {
                        let len: u16 = self.get(&IO_SEND_LEN);
                        copy(address, self.get(&IO_SEND_ADDRESS), len.into(), true);
                    } else if !kept.is_null() {
                        copy_destination(address, kept);
                    }
                }
                _ => {}
            }
        }
    }

    /// The arguments of the call that does the same.
    ///
    /// # Safety
    /// `address` is initialised.
    #[inline(always)]
    unsafe fn with_address(&self, address: *mut Address) -> [u64; 6] {
        // SAFETY: the caller's.
        let (fd, len, bytes) = unsafe {
            (
                i64::from((*address).fd) as u64,
                u64::from((*address).len),
                number(&raw mut (*address).at, (&raw const (*address).bytes).cast()),
            )
        };
        let file: u64 = self.get(&REQUEST_FILE);
        match self.operation() {
            operation::CONNECT | operation::BIND => [fd, bytes, len, 0, 0, file],
            operation::ACCEPT => [fd, 0, 0, self.word(&IO_ACCEPT_FLAGS), 0, file],
            operation::SOCKET => [
                self.word(&IO_SOCKET_DOMAIN),
                self.word(&IO_SOCKET_TYPE),
                self.word(&IO_SOCKET_PROTOCOL),
                0,
                0,
                0,
            ],
            operation::LISTEN if present(&IO_LISTEN_BACKLOG) => {
                [fd, self.word(&IO_LISTEN_BACKLOG), 0, 0, 0, file]
            }
            operation::FTRUNCATE if present(&IO_TRUNCATE_LEN) => {
                [fd, self.get(&IO_TRUNCATE_LEN), 0, 0, 0, file]
            }
            _ => {
                let flags = self.word(&IO_SEND_FLAGS);
                [fd, len, flags, flags, bytes, file]
            }
        }
    }

    /// The open file that an open or accept made: behind a descriptor, or in a slot of the ring.
    #[inline(always)]
    fn made(&self, ret: i64) -> Pointer {
        let slot: u32 = if self.operation() == operation::ACCEPT {
            self.get(&IO_ACCEPT_SLOT)
        } else {
            self.get(&IO_OPEN_SLOT)
        };
        if ret < 0 || self.skips() {
            return core::ptr::null();
        }
        if slot == 0 {
            return file::of_descriptor(ret as i32);
        }
        let index = if slot == ANY_SLOT {
            ret as u32
        } else {
            slot - 1
        };
        // SAFETY: probed.
        unsafe { fixed_file(self.get(&REQUEST_RING), index) }
    }
}

/// A pointer as a number: the verifier lets nobody calculate with it else, and it would have to
/// follow that a pointer is never taken for one of the other arguments.
///
/// # Safety
/// `memory` is in a map value.
#[inline(always)]
unsafe fn number(memory: *mut u64, pointer: Pointer) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        memory.write_volatile(pointer as u64);
        memory.read_volatile()
    }
}

/// The open file in a slot of a ring; null if there is none.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
unsafe fn fixed_file(ring: Pointer, index: u32) -> Pointer {
    let at = index as usize * size_of::<Pointer>();
    // SAFETY: probed.
    unsafe {
        let file: u64 = if present(&RING_FILES) && present(&RING_FILE) {
            let files: Pointer = Probed::get(ring, &RING_FILES);
            let node: Pointer = Probed::at(files.wrapping_add(at), 0);
            Probed::get(node, &RING_FILE)
        } else if present(&RING_PLAIN_FILES) {
            let files: Pointer = Probed::get(ring, &RING_PLAIN_FILES);
            Probed::at(files.wrapping_add(at), 0)
        } else {
            0
        };
        (file & FILE_BITS) as Pointer
    }
}

/// Where the state of a connect or bind has its address, if it has state. Depending on the kernel
/// the state is an address, or has one behind pointers, whose lowest bits are 0.
#[inline(always)]
fn state_address(state: Pointer) -> Option<Pointer> {
    if state.is_null() {
        return None;
    }
    // SAFETY: probed.
    let first: u16 = unsafe { Probed::at(state, 0) };
    if first & 7 != 0 {
        return Some(state);
    }
    let known = present(&IO_STATE_ADDRESS);
    known.then(|| state.wrapping_add(IO_STATE_ADDRESS.load() as usize))
}

/// Notes a text that ends at a NUL; an empty one for what cannot be read.
///
/// # Safety
/// `to` has `PATH_MAX` bytes.
#[inline(always)]
unsafe fn note(to: *mut u8, text: Pointer) {
    // SAFETY: the caller's; the source is checked.
    unsafe {
        if bpf_probe_read_kernel_str(to.cast(), PATH_MAX as u32, text.cast()) < 0 {
            to.write_volatile(0);
        }
    }
}

/// Notes where a message is to go, from the state of its request.
///
/// # Safety
/// As for [`copy`].
#[inline(always)]
unsafe fn copy_destination(address: *mut Address, state: Pointer) {
    if !present(&IO_STATE_NAME) || !present(&IO_STATE_NAME_LEN) {
        return;
    }
    // SAFETY: probed; the caller's.
    unsafe {
        let from = Probed::get(state, &IO_STATE_NAME);
        copy(address, from, Probed::get(state, &IO_STATE_NAME_LEN), false);
    }
}

/// Notes an address; none for what cannot be read.
///
/// # Safety
/// `address` is memory that no other program uses.
#[inline(always)]
unsafe fn copy(address: *mut Address, from: Pointer, len: u32, user: bool) {
    let len = masked::<0xff>(len.min(128));
    // SAFETY: the caller's; the source is checked, and the mask leaves less than there is room
    // behind the note.
    unsafe {
        let to = (&raw mut (*address).bytes).cast::<u8>();
        let failed = if from.is_null() {
            1
        } else if user {
            bpf_probe_read_user(to.cast(), len, from.cast())
        } else {
            bpf_probe_read_kernel(to.cast(), len, from.cast())
        };
        if failed == 0 {
            (*address).len = len;
        }
    }
}
