//! Which system calls the syscall tier looks at, and how the loader tells the kernel side.
//!
//! The kernel side keeps an array from call number to [`Call::entry`]; a call that is not in it
//! costs one look-up. Numbers of the ABI for 32-bit programs live behind those of the machine's own,
//! and the calls of `socketcall` behind these.
//!
//! A call is called by its x86-64 number everywhere but at the places where the kernel side meets it:
//! of other numbers know [`Machine`], the array, and what the loader makes of [`Call::number_on`].

mod abi;
mod arm;
mod forms;
pub mod standby;
mod table;
pub mod uring;

pub use abi::{SOCKETCALL, SOCKETCALLS, X32_BIT};
pub use forms::Form;
pub use table::{CALLS, call};

use crate::Kind;

/// Slots for the numbers of one ABI in the array of operations.
pub const NUMBERS: u32 = 1024;

/// How the end of a call becomes a record. Numbers are part of the ABI; 0 means not at all.
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
    /// `fcntl(fd, F_DUPFD or F_DUPFD_CLOEXEC, least)`.
    Fcntl = 18,
    /// `sendto(fd, bytes, length, flags, address, length)`.
    SendTo = 19,
    /// `sendmsg(fd, message, flags)`.
    SendMsg = 20,
    /// `sendmmsg(fd, messages, count, flags)`.
    SendMmsg = 21,
    /// `accept(fd, address, length)`.
    Accept = 22,
    /// `accept4(fd, address, length, flags)`.
    Accept4 = 23,
    /// `listen(fd, backlog)`.
    Listen = 24,
    /// `bind(fd, address, length)`.
    Bind = 25,
    /// `clone(flags, …)`.
    Clone = 26,
    /// `clone3(arguments, size)`.
    Clone3 = 27,
    /// `init_module(image, length, parameters)`.
    InitModule = 28,
    /// `finit_module(fd, parameters, flags)`.
    FinitModule = 29,
    /// `recvfrom(fd, bytes, length, flags, address, &length)`.
    RecvFrom = 30,
    /// `recvmsg(fd, message, flags)`.
    RecvMsg = 31,
    /// `recvmmsg(fd, messages, count, flags, timeout)`.
    RecvMmsg = 32,
    /// Any other: the registers, and the strings that [`Call::strings`] names.
    Registers = 33,
}

/// Where the kernel side has the program for open files that come by a call, among those that calls
/// go on in, by operation.
pub const PASSED_PART: u32 = Operation::Registers as u32 + 1;
/// Slots for these programs.
pub const PARTS: u32 = 64;

/// How many operations have a call for themselves.
pub const OPERATIONS: usize = Operation::Registers as usize - 1;

impl Operation {
    /// All, in the order of their numbers.
    pub const ALL: [Self; Self::Registers as usize] = [
        Self::Open,
        Self::OpenAt,
        Self::OpenAt2,
        Self::Creat,
        Self::OpenByHandle,
        Self::Connect,
        Self::Socket,
        Self::Symlink,
        Self::SymlinkAt,
        Self::Link,
        Self::LinkAt,
        Self::Ptrace,
        Self::Execve,
        Self::ExecveAt,
        Self::Dup,
        Self::Dup2,
        Self::Dup3,
        Self::Fcntl,
        Self::SendTo,
        Self::SendMsg,
        Self::SendMmsg,
        Self::Accept,
        Self::Accept4,
        Self::Listen,
        Self::Bind,
        Self::Clone,
        Self::Clone3,
        Self::InitModule,
        Self::FinitModule,
        Self::RecvFrom,
        Self::RecvMsg,
        Self::RecvMmsg,
        Self::Registers,
    ];

    /// The call that has this operation for itself.
    #[expect(
        clippy::indexing_slicing,
        reason = "`CALLS` begins with a row for each operation, which a test holds it to"
    )]
    pub const fn call(self) -> &'static Call {
        &CALLS[self as usize - 1]
    }
}

/// Whose system calls: the numbers differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Machine {
    /// x86-64, with the ABIs x32 and i386.
    X86,
    /// aarch64, with the EABI of 32-bit ARM.
    Arm,
}

impl Machine {
    /// The one that this is compiled for.
    pub const OWN: Self = if cfg!(target_arch = "aarch64") {
        Self::Arm
    } else {
        Self::X86
    };
}

/// What an argument of a call leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Role {
    /// Text of the path acted on: slots `Passed`, `Cwd` and `Base`.
    Path = 0,
    /// Descriptor of the directory that the path starts from.
    PathBase = 1,
    /// Text of a second path: slots `Target` and `TargetBase`.
    Target = 2,
    /// Descriptor of the directory that the second path starts from.
    TargetBase = 3,
    /// Text that is no path: slot `Args`.
    Text = 4,
    /// Descriptor that the call is about: slot `Resolved`, and [`crate::call::Held`].
    File = 5,
}

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// How it becomes a record.
    pub operation: Operation,
    /// Kind of the record.
    pub kind: Kind,
    /// Number in the x86-64 ABI; the one that records carry.
    pub number: u32,
    /// For each [`Role`] in four bits, the position of its argument from 1 on, or 0.
    pub strings: u32,
}

impl Call {
    /// A bit of [`Call::entry`]: only what fails is recorded.
    pub const FAILURES: u64 = 1 << 63;
    /// A bit of [`Call::entry`]: a hook within the call records it, unless the kernel left that out.
    pub const UNTOLD: u64 = 1 << 60;
    /// Bits of an entry that has less told than all of the calls.
    pub const PARTLY: u64 = Self::FAILURES | Self::UNTOLD;
    /// A bit of [`Call::entry`]: a program apart from that for all calls records it.
    pub const APART: u64 = 1 << 61;

    /// Position of the [`Form`] in an entry.
    pub const FORM: u32 = 56;

    /// Its number in the machine's own ABI.
    pub fn number_on(&self, machine: Machine) -> Option<u32> {
        match machine {
            Machine::X86 => Some(self.number),
            Machine::Arm => arm::native(self.number),
        }
    }

    /// Its number in the machine's ABI for 32-bit programs; the newest form where there are several.
    pub fn number32_on(&self, machine: Machine) -> Option<u32> {
        match machine {
            Machine::X86 => Some(abi::i386(self.number)).filter(|number| *number > 0),
            Machine::Arm => arm::compat(self.number),
        }
    }
    /// A bit of [`Call::entry`]: open files may come by it.
    pub const PASSES: u64 = 1 << 62;

    /// The calls by which open files come, by x86-64 numbers: `recvmsg`, `recvmmsg` and
    /// `pidfd_getfd`.
    pub const PASSING: [u32; 3] = [47, 299, 438];

    /// Where it stands in the array of operations.
    pub fn indices(&self, machine: Machine) -> impl Iterator<Item = u32> {
        // The old forms are the same in both: ARM began with the numbers of i386.
        let compat = [self.number32_on(machine), abi::i386_older(self.number)];
        let compat = compat.into_iter().flatten();
        let compat = compat.chain(forms::further(self.number, machine));
        let compat = compat.map(|number| number + NUMBERS);
        let (x32, packed) = match machine {
            Machine::X86 => (Some(abi::x32(self.number)), abi::socketcall(self.number)),
            Machine::Arm => (None, None),
        };
        let packed = packed.map(|number| number + 2 * NUMBERS);
        let own = [x32, self.number_on(machine)].into_iter().flatten();
        own.chain(compat).chain(packed)
    }

    /// Value of the array's entry at one of [`Call::indices`]: [`Call::entry`], and the form that
    /// the arguments have there.
    pub const fn entry_at(&self, index: u32) -> u64 {
        let form = match index.checked_sub(NUMBERS) {
            Some(number) if number < NUMBERS => Form::of(number),
            _ => Form::Same,
        };
        self.entry() | (form as u64) << Self::FORM
    }

    /// Value of the array's entries for this call: operation, number of its kind, number of the
    /// call, and strings, in 8, 8, 16 and 24 bits.
    pub const fn entry(&self) -> u64 {
        self.operation as u64
            | (self.kind as u64) << 8
            | (self.number as u64) << 16
            | (self.strings as u64) << 32
    }
}

/// The position of the argument with a role, from the upper half of [`Call::entry`].
pub const fn argument(strings: u32, role: Role) -> Option<u32> {
    (strings >> (4 * role as u32) & 0xf).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_stand_in_the_order_of_their_numbers() {
        let numbers = Operation::ALL.map(|operation| operation as usize);
        assert!(numbers.iter().copied().eq(1..=numbers.len()));
    }

    #[test]
    fn special_calls_stand_in_the_order_of_their_operations() {
        for (index, call) in CALLS.iter().enumerate() {
            if index < OPERATIONS {
                assert_eq!(call.operation as usize, index + 1);
            } else {
                assert_eq!(call.operation, Operation::Registers);
            }
        }
    }

    #[test]
    fn no_slot_of_the_array_is_claimed_twice() {
        for machine in [Machine::X86, Machine::Arm] {
            let mut taken = [None; (2 * NUMBERS + SOCKETCALLS) as usize];
            // All that x86-64 has.
            for call in (0..335).chain(424..463).filter_map(call) {
                let number = call.number as u16;
                for index in call.indices(machine) {
                    let before = taken[index as usize].replace(number);
                    assert!(
                        before.is_none_or(|before| before == number),
                        "{machine:?}: {call:?}, {before:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_call_on_both_machines() {
        // open, openat, connect: x86-64, x32, i386, socketcall; aarch64, EABI.
        let compat = |number| number + NUMBERS;
        let cases: [(_, _, &[u32]); 6] = [
            (2, Machine::X86, &[2, 2, compat(5)]),
            (2, Machine::Arm, &[compat(5)]),
            (257, Machine::Arm, &[56, compat(322)]),
            (42, Machine::X86, &[42, 42, compat(362), 2 * NUMBERS + 3]),
            (42, Machine::Arm, &[203, compat(283)]),
            (105, Machine::Arm, &[146, compat(213), compat(23)]),
        ];
        for (number, machine, expected) in cases {
            let call = call(number).unwrap();
            let found = call.indices(machine);
            assert!(found.eq(expected.iter().copied()), "{machine:?}: {call:?}");
        }
    }

    #[test]
    fn every_row_is_found_by_its_number() {
        for row in CALLS {
            let found = call(row.number).unwrap();
            let first = CALLS.iter().find(|call| call.number == row.number);
            let entry = first.map(|call| (call.number, call.entry()));
            assert_eq!(Some((found.number, found.entry())), entry);
        }
        let read = call(0).unwrap();
        assert_eq!((read.number, read.kind), (0, Kind::Call));
        for number in [60, 231, NUMBERS, u32::MAX] {
            assert!(call(number).is_none(), "{number}");
        }
    }

    #[test]
    fn an_entry_tells_all_of_a_call() {
        let call = call(266).unwrap();
        let entry = call.entry();
        assert_eq!(entry as u8, Operation::SymlinkAt as u8);
        assert_eq!(entry >> 8 & 0xff, Kind::Symlink as u64);
        assert_eq!(entry >> 16 & 0xffff, 266);
        let renameat = super::call(264).unwrap();
        let strings = (renameat.entry() >> 32) as u32;
        let roles = [Role::Path, Role::PathBase, Role::Target, Role::TargetBase];
        let arguments = roles.map(|role| argument(strings, role));
        assert_eq!(arguments, [Some(3), Some(2), Some(1), Some(0)]);
        assert_eq!(argument(strings, Role::Text), None);
        assert!(
            CALLS
                .iter()
                .all(|call| call.entry() & (Call::FAILURES | Call::PASSES) == 0)
        );
    }
}
