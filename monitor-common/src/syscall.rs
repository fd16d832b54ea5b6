//! Which system calls the syscall tier looks at, and how the loader tells the kernel side.
//!
//! The kernel side keeps an array from call number to [`Operation`]; a call that is not in it
//! costs one look-up. i386 numbers live in the array's upper half.

use crate::Kind;

/// Slots for the numbers of one ABI in the array of operations.
pub const NUMBERS: u32 = 1024;
/// Bit that x32 calls carry in their number.
pub const X32_BIT: u32 = 0x4000_0000;

/// What to do at the end of a call. Numbers are part of the ABI; 0 means nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Operation {
    /// `open(path, flags, mode)`.
    Open = 1,
    /// `openat(dirfd, path, flags, mode)`.
    OpenAt = 2,
    /// `openat2(dirfd, path, how, size)`.
    OpenAt2 = 3,
    /// `creat(path, mode)`.
    Creat = 4,
    /// `open_by_handle_at(mountfd, handle, flags)`.
    OpenByHandle = 5,
    /// `connect(fd, address, length)`.
    Connect = 6,
    /// `socket(domain, type, protocol)`.
    Socket = 7,
    /// `symlink(target, path)`.
    Symlink = 8,
    /// `symlinkat(target, dirfd, path)`.
    SymlinkAt = 9,
    /// `link(old, new)`.
    Link = 10,
    /// `linkat(olddirfd, old, newdirfd, new, flags)`.
    LinkAt = 11,
    /// `ptrace(request, pid, addr, data)`.
    Ptrace = 12,
    /// `execve(path, argv, envp)` that failed.
    Execve = 13,
    /// `execveat(dirfd, path, argv, envp, flags)` that failed.
    ExecveAt = 14,
    /// `dup(fd)`.
    Dup = 15,
    /// `dup2(fd, new)`.
    Dup2 = 16,
    /// `dup3(fd, new, flags)`.
    Dup3 = 17,
    /// `init_module(image, length, parameters)`.
    InitModule = 18,
    /// `finit_module(fd, parameters, flags)`.
    FinitModule = 19,
    /// `sendto(fd, bytes, length, flags, address, length)`.
    SendTo = 20,
    /// `sendmsg(fd, message, flags)`.
    SendMsg = 21,
    /// `setuid(uid)`.
    SetUid = 22,
    /// `setgid(gid)`.
    SetGid = 23,
    /// `setns(fd, type)`.
    SetNs = 24,
    /// `unshare(flags)`.
    Unshare = 25,
    /// `memfd_create(name, flags)`.
    MemfdCreate = 26,
    /// `unlink(path)`.
    Unlink = 27,
    /// `unlinkat(dirfd, path, flags)`.
    UnlinkAt = 28,
    /// `rmdir(path)`.
    Rmdir = 29,
    /// `rename(old, new)`.
    Rename = 30,
    /// `renameat(olddirfd, old, newdirfd, new)`.
    RenameAt = 31,
    /// `renameat2(olddirfd, old, newdirfd, new, flags)`.
    RenameAt2 = 32,
    /// `chmod(path, mode)`.
    Chmod = 33,
    /// `fchmod(fd, mode)`.
    Fchmod = 34,
    /// `fchmodat(dirfd, path, mode)`.
    FchmodAt = 35,
    /// `fchmodat2(dirfd, path, mode, flags)`.
    FchmodAt2 = 36,
    /// `mkdir(path, mode)`.
    Mkdir = 37,
    /// `mkdirat(dirfd, path, mode)`.
    MkdirAt = 38,
}

impl Operation {
    /// Kind of the records it makes.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Open | Self::OpenAt | Self::OpenAt2 | Self::Creat | Self::OpenByHandle => {
                Kind::Open
            }
            Self::Connect => Kind::Connect,
            Self::Socket => Kind::Socket,
            Self::Symlink | Self::SymlinkAt => Kind::Symlink,
            Self::Link | Self::LinkAt => Kind::Link,
            Self::Ptrace => Kind::Ptrace,
            Self::Execve | Self::ExecveAt => Kind::Exec,
            Self::Dup | Self::Dup2 | Self::Dup3 => Kind::Dup,
            Self::SendTo | Self::SendMsg => Kind::Send,
            Self::SetUid | Self::SetGid => Kind::Identity,
            Self::SetNs | Self::Unshare => Kind::Namespace,
            Self::MemfdCreate => Kind::Memfd,
            Self::Unlink | Self::UnlinkAt | Self::Rmdir => Kind::Remove,
            Self::Rename | Self::RenameAt | Self::RenameAt2 => Kind::Rename,
            Self::Chmod | Self::Fchmod | Self::FchmodAt | Self::FchmodAt2 => Kind::Mode,
            Self::Mkdir | Self::MkdirAt => Kind::Mkdir,
            Self::InitModule | Self::FinitModule => Kind::Module,
        }
    }
}

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// What it is.
    pub operation: Operation,
    /// Number in the x86-64 ABI; the one that records carry.
    pub number: u32,
    /// Number in the i386 ABI.
    pub i386: u32,
    /// Number in the x32 ABI, without [`X32_BIT`], where it is not `number`.
    pub x32: Option<u32>,
}

impl Call {
    /// Where it stands in the array of operations.
    pub fn indices(&self) -> impl Iterator<Item = u32> {
        [Some(self.number), self.x32, Some(self.i386 + NUMBERS)]
            .into_iter()
            .flatten()
    }

    /// Value of the array's entries for this call: operation, number of its kind, number of the
    /// call, in 8, 8 and 16 bits.
    pub const fn entry(&self) -> u32 {
        self.operation as u32 | (self.operation.kind() as u32) << 8 | self.number << 16
    }
}

/// All calls the syscall tier knows, in the order of [`Operation`].
pub const CALLS: [Call; 38] = [
    call(Operation::Open, 2, 5),
    call(Operation::OpenAt, 257, 295),
    call(Operation::OpenAt2, 437, 437),
    call(Operation::Creat, 85, 8),
    call(Operation::OpenByHandle, 304, 342),
    call(Operation::Connect, 42, 362),
    call(Operation::Socket, 41, 359),
    call(Operation::Symlink, 88, 83),
    call(Operation::SymlinkAt, 266, 304),
    call(Operation::Link, 86, 9),
    call(Operation::LinkAt, 265, 303),
    Call {
        operation: Operation::Ptrace,
        number: 101,
        i386: 26,
        x32: Some(521),
    },
    Call {
        operation: Operation::Execve,
        number: 59,
        i386: 11,
        x32: Some(520),
    },
    Call {
        operation: Operation::ExecveAt,
        number: 322,
        i386: 358,
        x32: Some(545),
    },
    call(Operation::Dup, 32, 41),
    call(Operation::Dup2, 33, 63),
    call(Operation::Dup3, 292, 330),
    call(Operation::InitModule, 175, 128),
    call(Operation::FinitModule, 313, 350),
    call(Operation::SendTo, 44, 369),
    Call {
        operation: Operation::SendMsg,
        number: 46,
        i386: 370,
        x32: Some(518),
    },
    call(Operation::SetUid, 105, 213),
    call(Operation::SetGid, 106, 214),
    call(Operation::SetNs, 308, 346),
    call(Operation::Unshare, 272, 310),
    call(Operation::MemfdCreate, 319, 356),
    call(Operation::Unlink, 87, 10),
    call(Operation::UnlinkAt, 263, 301),
    call(Operation::Rmdir, 84, 40),
    call(Operation::Rename, 82, 38),
    call(Operation::RenameAt, 264, 302),
    call(Operation::RenameAt2, 316, 353),
    call(Operation::Chmod, 90, 15),
    call(Operation::Fchmod, 91, 94),
    call(Operation::FchmodAt, 268, 306),
    call(Operation::FchmodAt2, 452, 452),
    call(Operation::Mkdir, 83, 39),
    call(Operation::MkdirAt, 258, 296),
];

const fn call(operation: Operation, number: u32, i386: u32) -> Call {
    Call {
        operation,
        number,
        i386,
        x32: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_stand_in_the_order_of_their_operations() {
        for (index, call) in CALLS.iter().enumerate() {
            assert_eq!(call.operation as usize, index + 1);
            assert!(call.indices().all(|index| index < 2 * NUMBERS));
            assert_eq!(call.entry() & 0xff, call.operation as u32);
            assert_eq!(call.entry() >> 8 & 0xff, call.operation.kind() as u32);
            assert_eq!(call.entry() >> 16, call.number);
        }
    }
}
