//! The calls that are known by more than their number.

use super::{Call, Operation, Role};
use crate::Kind;

/// The row of an x86-64 call; of one that the table does not have, its registers only.
pub fn call(number: u32) -> Option<Call> {
    /// `exit` and `exit_group`.
    const ENDLESS: [u32; 2] = [60, 231];
    if ENDLESS.contains(&number) || number >= super::NUMBERS {
        return None;
    }
    let place = PLACES.get(number as usize).copied().unwrap_or(NOWHERE);
    if let Some(known) = CALLS.get(place as usize) {
        return Some(*known);
    }
    let call = registers(Kind::Call, number);
    let has_descriptor = DESCRIPTOR_FIRST.contains(&number);
    Some(if has_descriptor { call.file(0) } else { call })
}

/// In [`PLACES`], of a call that [`CALLS`] does not have.
const NOWHERE: u8 = u8::MAX;
/// Where each call is in [`CALLS`], by number: every event of a call asks.
static PLACES: [u8; super::NUMBERS as usize] = const { places() };

#[expect(
    clippy::indexing_slicing,
    reason = "done by the compiler, which refuses what is out of bounds"
)]
const fn places() -> [u8; super::NUMBERS as usize] {
    const { assert!(CALLS.len() < NOWHERE as usize) }
    let mut places = [NOWHERE; super::NUMBERS as usize];
    // From the end, so that of two rows of a call the first counts.
    let mut place = CALLS.len();
    while place > 0 {
        place -= 1;
        places[CALLS[place].number as usize] = place as u8;
    }
    places
}

/// Other calls whose first argument is the descriptor that they are about.
const DESCRIPTOR_FIRST: &[u32] = &[
    // read, write, close, fstat, lseek, ioctl, pread64, pwrite64, readv, writev.
    0, 1, 3, 5, 8, 16, 17, 18, 19, 20,
    // sendfile, shutdown, getsockname, getpeername, setsockopt, getsockopt.
    40, 48, 51, 52, 54, 55,
    // flock, fsync, fdatasync, getdents, fstatfs, readahead, fgetxattr, flistxattr, getdents64.
    73, 74, 75, 78, 138, 187, 193, 196, 217, // fadvise64, epoll_wait, epoll_ctl.
    221, 232, 233, // mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr.
    242, 243, 244, 245,
    // inotify_add_watch, inotify_rm_watch, splice, tee, sync_file_range, vmsplice.
    254, 255, 275, 276, 277, 278,
    // epoll_pwait, fallocate, timerfd_settime, timerfd_gettime, preadv, pwritev, fanotify_mark.
    281, 285, 286, 287, 295, 296, 301,
    // syncfs, copy_file_range, preadv2, pwritev2, io_uring_enter, io_uring_register.
    306, 326, 327, 328, 426, 427,
    // epoll_pwait2, quotactl_fd, process_mrelease, cachestat.
    441, 443, 448, 451,
];

/// First those with an [`Operation`] of their own, in its order.
pub const CALLS: &[Call] = &[
    special(Operation::Open, Kind::Open, 2),
    special(Operation::OpenAt, Kind::Open, 257),
    special(Operation::OpenAt2, Kind::Open, 437),
    special(Operation::Creat, Kind::Open, 85),
    special(Operation::OpenByHandle, Kind::Open, 304),
    special(Operation::Connect, Kind::Connect, 42),
    special(Operation::Socket, Kind::Socket, 41),
    special(Operation::Symlink, Kind::Symlink, 88),
    special(Operation::SymlinkAt, Kind::Symlink, 266),
    special(Operation::Link, Kind::Link, 86),
    special(Operation::LinkAt, Kind::Link, 265),
    special(Operation::Ptrace, Kind::Ptrace, 101),
    special(Operation::Execve, Kind::Exec, 59),
    special(Operation::ExecveAt, Kind::Exec, 322),
    special(Operation::Dup, Kind::Dup, 32),
    special(Operation::Dup2, Kind::Dup, 33),
    special(Operation::Dup3, Kind::Dup, 292),
    special(Operation::Fcntl, Kind::Dup, 72),
    special(Operation::SendTo, Kind::Send, 44),
    special(Operation::SendMsg, Kind::Send, 46),
    special(Operation::SendMmsg, Kind::Send, 307),
    special(Operation::Accept, Kind::Accept, 43),
    special(Operation::Accept4, Kind::Accept, 288),
    special(Operation::Listen, Kind::Listen, 50),
    special(Operation::Bind, Kind::Bind, 49),
    special(Operation::Clone, Kind::Clone, 56),
    special(Operation::Clone3, Kind::Clone, 435),
    special(Operation::InitModule, Kind::Module, 175).text(2),
    special(Operation::FinitModule, Kind::Module, 313)
        .file(0)
        .text(1),
    special(Operation::RecvFrom, Kind::Receive, 45),
    special(Operation::RecvMsg, Kind::Receive, 47),
    special(Operation::RecvMmsg, Kind::Receive, 299),
    // setuid, setgid, setreuid, setregid, setresuid, setresgid, setfsuid, setfsgid, capset.
    registers(Kind::Identity, 105),
    registers(Kind::Identity, 106),
    registers(Kind::Identity, 113),
    registers(Kind::Identity, 114),
    registers(Kind::Identity, 117),
    registers(Kind::Identity, 119),
    registers(Kind::Identity, 122),
    registers(Kind::Identity, 123),
    registers(Kind::Identity, 126),
    // setns, unshare; memfd_create.
    registers(Kind::Namespace, 308),
    registers(Kind::Namespace, 272),
    registers(Kind::Memfd, 319).text(0),
    // unlink, unlinkat, rmdir.
    registers(Kind::Remove, 87).path(0),
    registers(Kind::Remove, 263).path_at(0, 1),
    registers(Kind::Remove, 84).path(0),
    // rename, renameat, renameat2.
    registers(Kind::Rename, 82).path(1).target(0),
    registers(Kind::Rename, 264).path_at(2, 3).target_at(0, 1),
    registers(Kind::Rename, 316).path_at(2, 3).target_at(0, 1),
    // chmod, fchmod, fchmodat, fchmodat2.
    registers(Kind::Mode, 90).path(0),
    registers(Kind::Mode, 91).file(0),
    registers(Kind::Mode, 268).path_at(0, 1),
    registers(Kind::Mode, 452).path_at(0, 1),
    // mkdir, mkdirat.
    registers(Kind::Mkdir, 83).path(0),
    registers(Kind::Mkdir, 258).path_at(0, 1),
    // chown, fchown, lchown, fchownat.
    registers(Kind::Call, 92).path(0),
    registers(Kind::Call, 93).file(0),
    registers(Kind::Call, 94).path(0),
    registers(Kind::Call, 260).path_at(0, 1),
    // truncate, ftruncate, mknod, mknodat.
    registers(Kind::Call, 76).path(0),
    registers(Kind::Call, 77).file(0),
    registers(Kind::Call, 133).path(0),
    registers(Kind::Call, 259).path_at(0, 1),
    // name_to_handle_at, quotactl.
    registers(Kind::Call, 303).path_at(0, 1),
    registers(Kind::Call, 179).path(1),
    // setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr.
    registers(Kind::Call, 188).path(0).text(1),
    registers(Kind::Call, 189).path(0).text(1),
    registers(Kind::Call, 190).file(0).text(1),
    registers(Kind::Call, 197).path(0).text(1),
    registers(Kind::Call, 198).path(0).text(1),
    registers(Kind::Call, 199).file(0).text(1),
    // setxattrat, removexattrat, file_setattr.
    registers(Kind::Call, 463).path_at(0, 1).text(3),
    registers(Kind::Call, 466).path_at(0, 1).text(3),
    registers(Kind::Call, 469).path_at(0, 1),
    // chdir, fchdir; utime, utimes, futimesat, utimensat.
    registers(Kind::Call, 80).path(0),
    registers(Kind::Call, 81).file(0),
    registers(Kind::Call, 132).path(0),
    registers(Kind::Call, 235).path(0),
    registers(Kind::Call, 261).path_at(0, 1),
    registers(Kind::Call, 280).path_at(0, 1),
    // mmap, mprotect, pkey_mprotect.
    registers(Kind::Memory, 9).file(4),
    registers(Kind::Memory, 10),
    registers(Kind::Memory, 329),
    // mount, umount2, pivot_root, chroot.
    registers(Kind::Control, 165).path(1).text(2).target(0),
    registers(Kind::Control, 166).path(0),
    registers(Kind::Control, 155).path(0).target(1),
    registers(Kind::Control, 161).path(0),
    // open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, open_tree_attr.
    registers(Kind::Control, 428).path_at(0, 1),
    registers(Kind::Control, 429).path_at(2, 3).target_at(0, 1),
    registers(Kind::Control, 430).text(0),
    registers(Kind::Control, 431).text(2),
    registers(Kind::Control, 432),
    registers(Kind::Control, 433).path_at(0, 1),
    registers(Kind::Control, 442).path_at(0, 1),
    registers(Kind::Control, 467).path_at(0, 1),
    // process_vm_readv, process_vm_writev, kill, tkill, tgkill, rt_sigqueueinfo,
    // rt_tgsigqueueinfo, pidfd_send_signal, pidfd_getfd.
    registers(Kind::Control, 310),
    registers(Kind::Control, 311),
    registers(Kind::Control, 62),
    registers(Kind::Control, 200),
    registers(Kind::Control, 234),
    registers(Kind::Control, 129),
    registers(Kind::Control, 297),
    registers(Kind::Control, 424),
    registers(Kind::Control, 438),
    // bpf, perf_event_open, userfaultfd, io_uring_setup.
    registers(Kind::Control, 321),
    registers(Kind::Control, 298),
    registers(Kind::Control, 323),
    registers(Kind::Control, 425),
    // add_key, request_key, keyctl: a type's name.
    registers(Kind::Control, 248).text(0),
    registers(Kind::Control, 249).text(0),
    registers(Kind::Control, 250),
    // delete_module, kexec_load, kexec_file_load, reboot, swapon, swapoff, acct.
    registers(Kind::Control, 176).text(0),
    registers(Kind::Control, 246),
    registers(Kind::Control, 320).file(0).text(3),
    registers(Kind::Control, 169),
    registers(Kind::Control, 167).path(0),
    registers(Kind::Control, 168).path(0),
    registers(Kind::Control, 163).path(0),
    // prctl, sethostname, setdomainname, seccomp, personality.
    registers(Kind::Control, 157),
    registers(Kind::Control, 170),
    registers(Kind::Control, 171),
    registers(Kind::Control, 317),
    registers(Kind::Control, 135),
];

const fn special(operation: Operation, kind: Kind, number: u32) -> Call {
    Call {
        operation,
        kind,
        number,
        strings: 0,
    }
}

const fn registers(kind: Kind, number: u32) -> Call {
    special(Operation::Registers, kind, number)
}

impl Call {
    const fn with(mut self, role: Role, argument: u32) -> Self {
        self.strings |= (argument + 1) << (4 * role as u32);
        self
    }

    const fn path(self, argument: u32) -> Self {
        self.with(Role::Path, argument)
    }

    const fn path_at(self, base: u32, argument: u32) -> Self {
        self.with(Role::PathBase, base).path(argument)
    }

    const fn target(self, argument: u32) -> Self {
        self.with(Role::Target, argument)
    }

    const fn target_at(self, base: u32, argument: u32) -> Self {
        self.with(Role::TargetBase, base).target(argument)
    }

    const fn text(self, argument: u32) -> Self {
        self.with(Role::Text, argument)
    }

    const fn file(self, argument: u32) -> Self {
        self.with(Role::File, argument)
    }
}
