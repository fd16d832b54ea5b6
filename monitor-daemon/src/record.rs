//! Decoding of one record from the kernel's ring.
//!
//! Pure: any bytes may come in, every length is checked once in [`Record::parse`], and a `Record`
//! is the proof that they fit. Strings borrow from the ring's bytes. What the numbers mean is
//! left to the join.

use monitor_common::call::Registers;
use monitor_common::cgroup::Cgroup;
use monitor_common::file::{Link, Open};
use monitor_common::network::{Connect, Dns, Dup, Send, Serve, Socket};
use monitor_common::process::{Exec, Exit, Fork, Ptrace};
use monitor_common::syscall::Machine;
use monitor_common::{Header, Kind, Slot, Task};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the fixed parts need.
    #[error("record of {found} bytes is shorter than its fixed part")]
    Short {
        /// Bytes at hand.
        found: usize,
    },
    /// The length in the header is not the number of bytes at hand.
    #[error("record says it has {stated} bytes but {found} are there")]
    Length {
        /// Length in the header.
        stated: u32,
        /// Bytes at hand.
        found: usize,
    },
    /// The lengths of the strings do not add up to what follows the body.
    #[error("strings of {stated} bytes in {found} bytes of string space")]
    Strings {
        /// Sum of the lengths in the header.
        stated: u64,
        /// Bytes behind the body.
        found: usize,
    },
    /// A kind this daemon does not know.
    #[error("unknown record kind {number}")]
    UnknownKind {
        /// Number in the header.
        number: u16,
    },
}

/// The fixed part that a kind adds to the header.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// An `execve` or `execveat`.
    Exec(Exec),
    /// A new process.
    Fork(Fork),
    /// The end of a process.
    Exit(Exit),
    /// An open.
    Open(Open),
    /// A `connect`.
    Connect(Connect),
    /// A `socket`.
    Socket(Socket),
    /// A symbolic link.
    Symlink(Link),
    /// A hard link.
    Link(Link),
    /// A `ptrace`.
    Ptrace(Ptrace),
    /// A cgroup made.
    CgroupMkdir(Cgroup),
    /// A cgroup removed.
    CgroupRmdir(Cgroup),
    /// A task moved between cgroups.
    CgroupAttach(Cgroup),
    /// A second descriptor of a socket.
    Dup(Dup),
    /// A kernel module to be loaded.
    Module(Registers),
    /// A message to an address.
    Send(Send),
    /// Other user or group ids.
    Identity(Registers),
    /// Other namespaces.
    Namespace(Registers),
    /// An anonymous file.
    Memfd(Registers),
    /// A file or directory removed.
    Remove(Registers),
    /// A file or directory renamed.
    Rename(Registers),
    /// Other permissions of a file.
    Mode(Registers),
    /// A directory made.
    Mkdir(Registers),
    /// A connection taken.
    Accept(Serve),
    /// A socket that now listens.
    Listen(Serve),
    /// A socket that now has an address.
    Bind(Serve),
    /// A new process or thread in other namespaces.
    Clone(Registers),
    /// Any other call.
    Call(Registers),
    /// One that controls the system or other processes.
    Control(Registers),
    /// A question for a name, or its answer.
    Dns(Dns),
    /// Memory that can be run, or that is a file's and can be written.
    Memory(Registers),
    /// A message received.
    Receive(Send),
    /// An open file that came from another process.
    Passed(Open),
}

/// A record whose lengths were checked.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    header: Header,
    kind: Kind,
    body: Body,
    strings: &'a [u8],
}

impl<'a> Record<'a> {
    /// Checks `bytes`, which must be exactly one record, of any alignment.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, rest) = take::<Header>(bytes, bytes.len())?;
        if header.len as usize != bytes.len() {
            return Err(DecodeError::Length {
                stated: header.len,
                found: bytes.len(),
            });
        }
        let number = header.kind;
        let kind = Kind::from_number(number).ok_or(DecodeError::UnknownKind { number })?;
        let (body, strings) = parse_body(kind, rest, bytes.len())?;
        let stated = header.strings.iter().map(|len| u64::from(*len)).sum();
        if stated != strings.len() as u64 {
            return Err(DecodeError::Strings {
                stated,
                found: strings.len(),
            });
        }
        Ok(Self {
            header,
            kind,
            body,
            strings,
        })
    }

    /// What every kind has.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The acting task (for a fork, the child).
    pub fn task(&self) -> &Task {
        &self.header.task
    }

    /// What happened.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a bit of [`monitor_common::Flags`] is set.
    pub fn flag(&self, bit: u16) -> bool {
        self.header.flags & bit != 0
    }

    /// The fixed part of this kind.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body of a call that its registers tell.
    pub fn registers(&self) -> Option<&Registers> {
        match &self.body {
            Body::Module(body)
            | Body::Identity(body)
            | Body::Namespace(body)
            | Body::Memfd(body)
            | Body::Remove(body)
            | Body::Rename(body)
            | Body::Mode(body)
            | Body::Mkdir(body)
            | Body::Clone(body)
            | Body::Call(body)
            | Body::Control(body)
            | Body::Memory(body) => Some(body),
            _ => None,
        }
    }

    /// One of the strings; empty where the record has none.
    pub fn string(&self, slot: Slot) -> &'a [u8] {
        let mut start = 0usize;
        for (number, len) in self.header.strings.iter().enumerate() {
            let end = start.saturating_add(*len as usize);
            if number == slot as usize {
                return self.strings.get(start..end).unwrap_or_default();
            }
            start = end;
        }
        &[]
    }
}

fn parse_body(kind: Kind, rest: &[u8], found: usize) -> Result<(Body, &[u8]), DecodeError> {
    Ok(match kind {
        Kind::Exec => body(Body::Exec, rest, found)?,
        Kind::Fork => body(Body::Fork, rest, found)?,
        Kind::Exit => body(Body::Exit, rest, found)?,
        Kind::Open => body(
            |open| Body::Open(with_flags_of_x86(open, |open| &mut open.flags)),
            rest,
            found,
        )?,
        Kind::Connect => body(Body::Connect, rest, found)?,
        Kind::Socket => body(Body::Socket, rest, found)?,
        Kind::Symlink => body(Body::Symlink, rest, found)?,
        Kind::Link => body(Body::Link, rest, found)?,
        Kind::Ptrace => body(Body::Ptrace, rest, found)?,
        Kind::CgroupMkdir => body(Body::CgroupMkdir, rest, found)?,
        Kind::CgroupRmdir => body(Body::CgroupRmdir, rest, found)?,
        Kind::CgroupAttach => body(Body::CgroupAttach, rest, found)?,
        Kind::Dup => body(Body::Dup, rest, found)?,
        Kind::Module => body(Body::Module, rest, found)?,
        Kind::Send => body(Body::Send, rest, found)?,
        Kind::Identity => body(Body::Identity, rest, found)?,
        Kind::Namespace => body(Body::Namespace, rest, found)?,
        Kind::Memfd => body(Body::Memfd, rest, found)?,
        Kind::Remove => body(Body::Remove, rest, found)?,
        Kind::Rename => body(Body::Rename, rest, found)?,
        Kind::Mode => body(Body::Mode, rest, found)?,
        Kind::Mkdir => body(Body::Mkdir, rest, found)?,
        Kind::Accept => body(Body::Accept, rest, found)?,
        Kind::Listen => body(Body::Listen, rest, found)?,
        Kind::Bind => body(Body::Bind, rest, found)?,
        Kind::Clone => body(Body::Clone, rest, found)?,
        Kind::Call => body(Body::Call, rest, found)?,
        Kind::Control => body(Body::Control, rest, found)?,
        Kind::Dns => body(Body::Dns, rest, found)?,
        Kind::Memory => body(Body::Memory, rest, found)?,
        Kind::Receive => body(Body::Receive, rest, found)?,
        Kind::Passed => body(
            |passed| Body::Passed(with_flags_of_x86(passed, |passed| &mut passed.flags)),
            rest,
            found,
        )?,
    })
}

/// A body whose flags of an open have the bits of x86-64, which is what all else knows.
fn with_flags_of_x86<T>(mut body: T, flags: impl Fn(&mut T) -> &mut u32) -> T {
    if Machine::OWN == Machine::Arm {
        let flags = flags(&mut body);
        *flags = flags_of_arm(*flags);
    }
    body
}

/// `O_DIRECTORY` and `O_NOFOLLOW` of aarch64 and 32-bit ARM are where x86 has `O_DIRECT` and
/// `O_LARGEFILE`, and the other way round.
fn flags_of_arm(flags: u32) -> u32 {
    const LOW: u32 = 0o140_000;
    const HIGH: u32 = LOW << 2;
    flags & !(LOW | HIGH) | (flags & LOW) << 2 | (flags & HIGH) >> 2
}

fn body<T: FromBytes + KnownLayout + Immutable>(
    wrap: fn(T) -> Body,
    rest: &[u8],
    found: usize,
) -> Result<(Body, &[u8]), DecodeError> {
    let (fixed, strings) = take::<T>(rest, found)?;
    Ok((wrap(fixed), strings))
}

fn take<T: FromBytes + KnownLayout + Immutable>(
    bytes: &[u8],
    found: usize,
) -> Result<(T, &[u8]), DecodeError> {
    T::read_from_prefix(bytes).map_err(|_| DecodeError::Short { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use monitor_common::SLOTS;
    use proptest::prelude::*;
    use zerocopy::{FromZeros, IntoBytes};

    fn fork(strings: [u32; SLOTS], text: &[u8]) -> Vec<u8> {
        let body = Fork {
            caller_pid: 7,
            caller_tid: 8,
            caller_start: 9,
        };
        let mut header = Header::new_zeroed();
        header.len = (size_of::<Header>() + size_of::<Fork>() + text.len()) as u32;
        header.kind = Kind::Fork as u16;
        header.strings = strings;
        [header.as_bytes(), body.as_bytes(), text].concat()
    }

    fn patch(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    }

    #[test]
    fn strings_are_found_by_slot() {
        let bytes = fork([3, 0, 4, 0, 0, 0, 0, 2, 1, 0], b"abc/cwdxyz");
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.string(Slot::Resolved), b"abc");
        assert_eq!(record.string(Slot::Passed), b"");
        assert_eq!(record.string(Slot::Cwd), b"/cwd");
        assert_eq!(record.string(Slot::TargetBase), b"xy");
        assert_eq!(record.string(Slot::TargetResolved), b"z");
        assert!(matches!(
            record.body(),
            Body::Fork(Fork { caller_tid: 8, .. })
        ));
    }

    #[test]
    fn records_that_lie_about_lengths_are_refused() {
        let good = fork([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], b"a");
        let found = good.len();
        let huge = patch(good.clone(), 16, &u32::MAX.to_le_bytes());
        let cases = [
            (good[..20].to_vec(), DecodeError::Short { found: 20 }),
            (
                good[..found - 1].to_vec(),
                DecodeError::Length {
                    stated: found as u32,
                    found: found - 1,
                },
            ),
            (
                patch(good.clone(), 4, &99u16.to_le_bytes()),
                DecodeError::UnknownKind { number: 99 },
            ),
            (
                patch(good.clone(), 4, &(Kind::Exec as u16).to_le_bytes()),
                DecodeError::Short { found },
            ),
            (
                huge,
                DecodeError::Strings {
                    stated: u64::from(u32::MAX),
                    found: 1,
                },
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Record::parse(&bytes).unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
            kind in 0u16..40,
            honest in any::<bool>(),
        ) {
            if honest && bytes.len() >= size_of::<Header>() {
                let len = (bytes.len() as u32).to_le_bytes();
                bytes = patch(patch(bytes, 0, &len), 4, &kind.to_le_bytes());
                bytes = patch(bytes, 16, &[0; 4 * SLOTS]);
            }
            if let Ok(record) = Record::parse(&bytes) {
                for slot in [Slot::Resolved, Slot::Passed, Slot::Env, Slot::TargetBase] {
                    prop_assert!(record.string(slot).len() <= bytes.len());
                }
            }
        }
    }

    #[test]
    fn flags_of_an_open_on_arm() {
        // O_WRONLY | O_CREAT | O_DIRECTORY | O_LARGEFILE, then O_NOFOLLOW | O_DIRECT | O_PATH.
        for (arm, x86) in [
            (0o101 | 0o40_000 | 0o400_000, 0o101 | 0o200_000 | 0o100_000),
            (0o10_300_000, 0o10_440_000),
        ] {
            assert_eq!(flags_of_arm(arm), x86, "{arm:o}");
        }
    }
}
