//! What proves that a program does its work, where a record of its kind does not: programs that add
//! something to the record of another, or that serve some of a kind.
//!
//! The table names a program as the object does; what serves where is not known here.

use monitor_common::network::Connect;
use monitor_common::{Flags, Kind, Slot};

use super::acts::{Room, named};
use crate::record::{Body, Record};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const EINPROGRESS: i64 = -115;

/// A program, and how its work shows.
pub(super) struct Proof {
    /// As the object calls it.
    pub(super) program: &'static str,
    kind: Kind,
    /// The act that it has work with.
    pub(super) act: &'static str,
    shows: Shows,
}

/// What its work shows by, in a record of the act.
#[derive(Clone, Copy)]
enum Shows {
    /// The name that the kernel found, of what acts name so.
    Resolved(&'static str),
    /// A bit of [`Flags`].
    Flag(u16),
    /// The same, of what fails.
    Failure(u16),
    /// An address of this family that was kept before the call's end.
    Tried(u16),
    /// A connection of this family that a message asked for.
    ByMessage(u16),
}

use Shows::{ByMessage, Failure, Flag, Resolved, Tried};

const OBJECT: Shows = Flag(Flags::OBJECT_TIER);
const KEPT: Shows = Flag(Flags::KEPT);

static PROOFS: &[Proof] = &[
    proof(
        "execve_exit",
        Kind::Exec,
        "exec",
        Failure(Flags::OBJECT_TIER),
    ),
    proof("open_done", Kind::Open, "open", OBJECT),
    proof(
        "open_failed",
        Kind::Open,
        "open_nothing",
        Failure(Flags::OBJECT_TIER),
    ),
    proof("connect_done", Kind::Connect, "connect", OBJECT),
    proof("tried_connect4", Kind::Connect, "connect", Tried(AF_INET)),
    proof("tried_connect6", Kind::Connect, "connect6", Tried(AF_INET6)),
    proof(
        "message_connect4",
        Kind::Connect,
        "connect_by_message",
        ByMessage(AF_INET),
    ),
    proof(
        "message_connect6",
        Kind::Connect,
        "connect_by_message6",
        ByMessage(AF_INET6),
    ),
    proof("socket_done", Kind::Socket, "socket", OBJECT),
    proof("symlink_done", Kind::Symlink, "symlink", OBJECT),
    proof("link_done", Kind::Link, "link", OBJECT),
    proof("ptrace_exit", Kind::Ptrace, "ptrace", OBJECT),
    proof("dup_exit", Kind::Dup, "dup", OBJECT),
    proof("init_module_exit", Kind::Module, "module", OBJECT),
    proof("send_begin", Kind::Send, "send", KEPT),
    proof("tried_sendmsg4", Kind::Send, "send", Tried(AF_INET)),
    proof("tried_sendmsg6", Kind::Send, "send6", Tried(AF_INET6)),
    proof("got_recvmsg4", Kind::Receive, "receive", Tried(AF_INET)),
    proof("got_recvmsg6", Kind::Receive, "receive6", Tried(AF_INET6)),
    proof("accept_begin", Kind::Accept, "accept", KEPT),
    proof("listen_begin", Kind::Listen, "listen", KEPT),
    proof("bind_begin", Kind::Bind, "bind", KEPT),
    proof("tried_bind4", Kind::Bind, "bind", Tried(AF_INET)),
    proof("tried_bind6", Kind::Bind, "bind6", Tried(AF_INET6)),
    proof("unlink_name", Kind::Remove, "remove", Resolved(Room::FILE)),
    proof(
        "rmdir_name",
        Kind::Remove,
        "remove_directory",
        Resolved(Room::FOLDER),
    ),
    proof(
        "rename_names",
        Kind::Rename,
        "rename",
        Resolved(Room::OTHER),
    ),
    proof("chmod_name", Kind::Mode, "mode", Resolved(Room::FILE)),
    proof("mkdir_name", Kind::Mkdir, "mkdir", Resolved(Room::FOLDER)),
    proof("chown_name", Kind::Call, "owner", Resolved(Room::FILE)),
    proof(
        "truncate_name",
        Kind::Call,
        "size_by_name",
        Resolved(Room::FILE),
    ),
    proof("mknod_name", Kind::Call, "node", Resolved(Room::FILE)),
    proof("times_name", Kind::Call, "times", Resolved(Room::FILE)),
    proof(
        "attribute_name",
        Kind::Call,
        "attribute",
        Resolved(Room::FILE),
    ),
    proof(
        "chdir_name",
        Kind::Call,
        "directory",
        Resolved(Room::FOLDER),
    ),
];

const fn proof(program: &'static str, kind: Kind, act: &'static str, shows: Shows) -> Proof {
    Proof {
        program,
        kind,
        act,
        shows,
    }
}

/// How a program's work shows, if the kind's record alone does not show it and something does.
pub(super) fn of(program: &str) -> Option<&'static Proof> {
    PROOFS.iter().find(|proof| proof.program == program)
}

/// The programs whose work a record of an act shows.
pub(super) fn shown(record: &Record<'_>) -> impl Iterator<Item = &'static str> {
    let proofs = PROOFS.iter().filter(|proof| proof.kind == record.kind());
    let shown = proofs.filter(|proof| proof.is_shown_by(record));
    shown.map(|proof| proof.program)
}

/// Whether a record shows that its kind is served: not if it is of a program beside what serves that.
pub(super) fn counts(record: &Record<'_>) -> bool {
    let beside = match record.body() {
        Body::Exec(exec) => exec.ret < 0,
        Body::Connect(connect) => by_message(record, connect),
        _ => false,
    };
    !beside
}

fn by_message(record: &Record<'_>, connect: &Connect) -> bool {
    connect.ret == EINPROGRESS && !record.flag(Flags::OBJECT_TIER | Flags::TRIED)
}

impl Proof {
    fn is_shown_by(&self, record: &Record<'_>) -> bool {
        match self.shows {
            Resolved(name) => self.is_of_act(record) && is_at(record.string(Slot::Resolved), name),
            Flag(bit) => record.flag(bit) && !has_failed(record),
            Failure(bit) => record.flag(bit) && has_failed(record),
            Tried(family) => record.flag(Flags::TRIED) && family_of(record) == Some(family),
            ByMessage(family) => {
                let connect =
                    matches!(record.body(), Body::Connect(body) if by_message(record, body));
                connect && family_of(record) == Some(family)
            }
        }
    }

    /// Whether a record is of one of the calls that the act makes.
    fn is_of_act(&self, record: &Record<'_>) -> bool {
        let number = record.registers().map(|call| call.syscall);
        named(self.act).is_some_and(|act| number.is_some_and(|number| act.calls.contains(&number)))
    }
}

/// Whether a path is the one that things in the room have without the link.
fn is_at(path: &[u8], name: &str) -> bool {
    let end = format!("/{}/{name}", Room::PLACE);
    path.ends_with(end.as_bytes())
}

fn has_failed(record: &Record<'_>) -> bool {
    match record.body() {
        Body::Exec(exec) => exec.ret < 0,
        Body::Open(open) => open.ret < 0,
        _ => false,
    }
}

/// Family of the address that a call had.
fn family_of(record: &Record<'_>) -> Option<u16> {
    let socket = match record.body() {
        Body::Connect(connect) => connect,
        Body::Send(message) | Body::Receive(message) => &message.socket,
        Body::Bind(serve) => &serve.socket,
        _ => return None,
    };
    Some(socket.passed_family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_one_proof_by_an_act_of_its_kind() {
        for proof in PROOFS {
            let act = named(proof.act).unwrap();
            assert_eq!(act.kind, proof.kind, "{}", proof.program);
            assert!(
                std::ptr::eq(of(proof.program).unwrap(), proof),
                "{} is twice",
                proof.program
            );
        }
    }

    #[test]
    fn a_name_that_goes_through_the_link_is_not_the_kernels() {
        let found = b"/tmp/monitor-self-check-7-0/place/file";
        assert!(is_at(found, Room::FILE) && !is_at(found, Room::FOLDER));
        assert!(!is_at(b"/tmp/monitor-self-check-7-0/way/file", Room::FILE));
        assert!(!is_at(b"", Room::FILE));
    }
}
