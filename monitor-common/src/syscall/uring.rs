//! Operations of `io_uring`, and the system calls whose records they make.

use super::Call;

/// Slots for operations in the array that says which are wanted.
pub const OPERATIONS: u32 = 64;

/// `IORING_OP_…` of `include/uapi/linux/io_uring.h`.
#[expect(missing_docs, reason = "the names say all")]
pub mod operation {
    pub const SENDMSG: u32 = 9;
    pub const RECVMSG: u32 = 10;
    pub const ACCEPT: u32 = 13;
    pub const CONNECT: u32 = 16;
    pub const OPENAT: u32 = 18;
    pub const SEND: u32 = 26;
    pub const RECV: u32 = 27;
    pub const OPENAT2: u32 = 28;
    pub const RENAMEAT: u32 = 35;
    pub const UNLINKAT: u32 = 36;
    pub const MKDIRAT: u32 = 37;
    pub const SYMLINKAT: u32 = 38;
    pub const LINKAT: u32 = 39;
    pub const FSETXATTR: u32 = 41;
    pub const SETXATTR: u32 = 42;
    pub const SOCKET: u32 = 45;
    pub const SEND_ZC: u32 = 47;
    pub const SENDMSG_ZC: u32 = 48;
    pub const FTRUNCATE: u32 = 55;
    pub const BIND: u32 = 56;
    pub const LISTEN: u32 = 57;
}

/// Operations, and the x86-64 numbers of the calls that they are told as.
const ROWS: [(u32, u32); 21] = [
    (operation::SENDMSG, 46),
    (operation::RECVMSG, 47),
    (operation::ACCEPT, 288),
    (operation::CONNECT, 42),
    (operation::OPENAT, 257),
    (operation::SEND, 44),
    (operation::RECV, 45),
    (operation::OPENAT2, 437),
    (operation::RENAMEAT, 316),
    (operation::UNLINKAT, 263),
    (operation::MKDIRAT, 258),
    (operation::SYMLINKAT, 266),
    (operation::LINKAT, 265),
    (operation::FSETXATTR, 190),
    (operation::SETXATTR, 188),
    (operation::SOCKET, 41),
    (operation::SEND_ZC, 44),
    (operation::SENDMSG_ZC, 46),
    (operation::FTRUNCATE, 77),
    (operation::BIND, 49),
    (operation::LISTEN, 50),
];

impl Call {
    /// The operations of `io_uring` that do what this call does.
    pub fn uring(&self) -> impl Iterator<Item = u32> {
        let number = self.number;
        ROWS.into_iter()
            .filter(move |row| row.1 == number)
            .map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall;

    #[test]
    fn all_operations_are_known_calls() {
        for (operation, number) in ROWS {
            assert!(operation < OPERATIONS);
            assert!(syscall::CALLS.iter().any(|call| call.number == number));
        }
        assert!(syscall::call(44).unwrap().uring().eq([26, 47]));
        assert_eq!(syscall::call(0).unwrap().uring().count(), 0);
    }
}
