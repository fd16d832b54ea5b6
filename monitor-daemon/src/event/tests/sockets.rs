//! Calls on sockets: their ends, their addresses and their messages.

use monitor_common::call::Registers;
use monitor_common::network::{Dup, Send, Serve};

use super::*;

#[test]
fn a_dup_shows_the_socket_under_its_new_descriptor() {
    let mut socket = Connect::new_zeroed();
    socket.remote[..4].copy_from_slice(&[192, 0, 2, 1]);
    socket.local[..4].copy_from_slice(&[192, 0, 2, 9]);
    socket.family = 2;
    socket.kind = 1;
    socket.protocol = 6;
    socket.remote_port = 4444;
    socket.local_port = 50_000;
    let mut body = Dup {
        socket,
        syscall: 33,
        oldfd: 3,
        flags: 0,
        reserved: 0,
    };
    let record = |body: &Dup| bytes(Kind::Dup, child_of(3, 4, "cat"), body, &[]);
    let name = "192.0.2.9:50000->192.0.2.1:4444";
    check(
        &record(&body),
        &[
            ("evt.type", "dup2"),
            ("evt.rawres", "0"),
            ("evt.res", "SUCCESS"),
            ("fd.num", "0"),
            ("fd.type", "ipv4"),
            ("fd.l4proto", "tcp"),
            ("fd.name", name),
            ("fd.sip", "192.0.2.1"),
            ("fd.rport", "4444"),
            ("fd.lport", "50000"),
            ("fd.connected", "true"),
            ("evt.arg.oldfd", &format!("<4>{name}")),
        ],
    );
    // A listening socket has no peer.
    body.socket.remote_port = 0;
    body.syscall = 292;
    body.flags = 0o2_000_000;
    check(
        &record(&body),
        &[
            ("evt.type", "dup3"),
            ("fd.name", "192.0.2.9:50000"),
            ("fd.sip", "missing"),
            ("fd.connected", "false"),
            ("evt.arg.flags", "O_CLOEXEC"),
        ],
    );
    body.socket = Connect::new_zeroed();
    body.socket.family = 1;
    check(
        &record(&body),
        &[("fd.type", "unix"), ("fd.name", ""), ("fd.sip", "missing")],
    );
}

/// A socket at 192.0.2.9:443, of TCP.
fn listening() -> Connect {
    let mut socket = Connect::new_zeroed();
    socket.local[..4].copy_from_slice(&[192, 0, 2, 9]);
    (socket.family, socket.kind, socket.protocol) = (2, 1, 6);
    (socket.fd, socket.local_port) = (5, 443);
    socket
}

fn serve(kind: Kind, syscall: u32, socket: Connect, strings: &[(Slot, &str)]) -> Vec<u8> {
    let body = Serve {
        socket,
        syscall,
        argument: 0o4000,
        queue: 1,
        queue_max: 4,
    };
    bytes(kind, child_of(3, 4, "cat"), &body, strings)
}

#[test]
fn who_accepts_is_the_server() {
    let mut socket = listening();
    socket.remote[..4].copy_from_slice(&[203, 0, 113, 5]);
    (socket.ret, socket.fd, socket.remote_port) = (7, 7, 50_000);
    let name = "203.0.113.5:50000->192.0.2.9:443";
    let accepted = [
        ("evt.type", "accept4"),
        ("evt.category", "net"),
        ("evt.rawres", "7"),
        ("fd.num", "7"),
        ("fd.type", "ipv4"),
        ("fd.l4proto", "tcp"),
        ("fd.name", name),
        ("fd.cip", "203.0.113.5"),
        ("fd.cport", "50000"),
        ("fd.sip", "192.0.2.9"),
        ("fd.sport", "443"),
        ("fd.lip", "192.0.2.9"),
        ("fd.lport", "443"),
        ("fd.rip", "203.0.113.5"),
        ("fd.rport", "50000"),
        ("fd.is_server", "true"),
        ("fd.connected", "true"),
        (
            "evt.args",
            "fd=<4>203.0.113.5:50000->192.0.2.9:443 tuple=203.0.113.5:50000->192.0.2.9:443 \
             queuepct=25 queuelen=1 queuemax=4 flags=SOCK_NONBLOCK",
        ),
    ];
    check(&serve(Kind::Accept, 288, socket, &[]), &accepted);
    let mut failed = listening();
    (failed.ret, failed.fd) = (-11, -11);
    let expected = [
        ("evt.type", "accept"),
        ("evt.res", "EAGAIN"),
        ("fd.num", "-1"),
        ("fd.connected", "false"),
        ("fd.sport", "443"),
        ("evt.arg.fd", "EAGAIN"),
        ("evt.arg.flags", "missing"),
    ];
    check(&serve(Kind::Accept, 43, failed, &[]), &expected);
}

#[test]
fn a_socket_that_waits_has_a_server_only() {
    let shared = [
        ("evt.res", "SUCCESS"),
        ("fd.num", "5"),
        ("fd.type", "ipv4"),
        ("fd.name", "192.0.2.9:443"),
        ("fd.sip", "192.0.2.9"),
        ("fd.sport", "443"),
        ("fd.lport", "443"),
        ("fd.cip", "missing"),
        ("fd.rip", "missing"),
        ("fd.is_server", "true"),
        ("fd.connected", "false"),
    ];
    let bind = serve(Kind::Bind, 49, listening(), &[]);
    check(&bind, &shared);
    let own = "res=0 addr=192.0.2.9:443 fd=<4>192.0.2.9:443";
    check(&bind, &[("evt.type", "bind"), ("evt.args", own)]);
    let listen = serve(Kind::Listen, 50, listening(), &[]);
    check(&listen, &shared);
    let own = "res=0 fd=<4>192.0.2.9:443 backlog=2048";
    check(&listen, &[("evt.type", "listen"), ("evt.args", own)]);

    let mut socket = Connect::new_zeroed();
    (socket.fd, socket.family) = (5, 1);
    let bind = serve(Kind::Bind, 49, socket, &[(Slot::Passed, "/run/x")]);
    let expected = [
        ("fd.type", "unix"),
        ("fd.name", "/run/x"),
        ("evt.arg.addr", "/run/x"),
        ("fd.sip", "missing"),
    ];
    check(&bind, &expected);
}

#[test]
fn a_message_shows_where_it_goes() {
    let mut socket = Connect::new_zeroed();
    socket.ret = 5;
    socket.fd = 7;
    socket.remote[..4].copy_from_slice(&[203, 0, 113, 5]);
    (socket.family, socket.passed_family) = (2, 2);
    (socket.kind, socket.remote_port, socket.local_port) = (2, 53, 40_000);
    let body = Send {
        socket,
        syscall: 44,
        flags: 0,
        size: u64::MAX,
    };
    let name = "0.0.0.0:40000->203.0.113.5:53";
    check(
        &bytes(Kind::Send, child_of(3, 4, "cat"), &body, &[]),
        &[
            ("evt.type", "sendto"),
            ("evt.rawres", "5"),
            ("fd.num", "7"),
            ("fd.type", "ipv4"),
            ("fd.l4proto", "udp"),
            ("fd.name", name),
            ("fd.sip", "203.0.113.5"),
            ("fd.sport", "53"),
            ("fd.connected", "false"),
            ("fd.name_changed", "true"),
            ("evt.arg.tuple", name),
            ("evt.arg.fd", &format!("<4>{name}")),
            ("evt.arg.size", "5"),
        ],
    );
}

#[test]
fn an_association_of_sctp_shows_its_ends() {
    let mut socket = listening();
    socket.remote[..4].copy_from_slice(&[203, 0, 113, 5]);
    (socket.kind, socket.protocol, socket.remote_port) = (5, 132, 36_412);
    let name = "192.0.2.9:443->203.0.113.5:36412";
    let record = bytes(Kind::Connect, child_of(3, 4, "cat"), &socket, &[]);
    let args = format!("res=0 tuple={name} fd=<4>{name} addr=203.0.113.5:36412");
    let expected = [
        ("evt.args", &*args),
        ("fd.l4proto", "sctp"),
        ("fd.name", name),
    ];
    check(&record, &expected);
}

#[test]
fn a_call_on_a_socket_has_its_ends() {
    let mut body = Registers::new_zeroed();
    body.syscall = 48;
    body.ret = -107;
    body.args = [5, 2, 0, 0, 0, 0];
    body.held.socket = listening();
    body.held.socket.remote[..4].copy_from_slice(&[203, 0, 113, 5]);
    body.held.socket.remote_port = 50_000;
    body.held.inode_mode = 0o140_777;
    let expected = [
        ("evt.res", "ENOTCONN"),
        (
            "evt.args",
            "res=ENOTCONN fd=<4>192.0.2.9:443->203.0.113.5:50000 how=SHUT_RDWR",
        ),
        ("fd.num", "5"),
        ("fd.type", "ipv4"),
        ("fd.l4proto", "tcp"),
        ("fd.sip", "203.0.113.5"),
        ("fd.connected", "true"),
        ("fs.path.name", "missing"),
    ];
    check(
        &bytes(Kind::Call, child_of(3, 4, "cat"), &body, &[]),
        &expected,
    );
    body.held.socket = Connect::new_zeroed();
    body.held.socket.family = 1;
    let named = bytes(
        Kind::Call,
        child_of(3, 4, "cat"),
        &body,
        &[(Slot::Resolved, "@x")],
    );
    let expected = [
        ("fd.type", "unix"),
        ("fd.name", "@x"),
        ("fs.path.name", "missing"),
    ];
    check(&named, &expected);
    body.held.socket = Connect::new_zeroed();
    (body.held.inode, body.held.inode_mode) = (77, 0o010_600);
    let pipe = bytes(Kind::Call, child_of(3, 4, "cat"), &body, &[]);
    check(&pipe, &[("fd.type", "pipe"), ("fd.name", "pipe:[77]")]);
}

#[test]
fn a_message_received_has_its_sender() {
    let mut socket = listening();
    (socket.kind, socket.protocol, socket.ret) = (2, 17, 5);
    socket.remote[..4].copy_from_slice(&[203, 0, 113, 5]);
    (socket.remote_port, socket.passed_family) = (50_000, 2);
    let record = |socket, syscall, size| {
        let body = Send {
            socket,
            syscall,
            flags: 0,
            size,
        };
        let head = (Slot::Args, "a\n\u{1}\u{2}");
        bytes(Kind::Receive, child_of(3, 4, "cat"), &body, &[head])
    };
    let name = "203.0.113.5:50000->192.0.2.9:443";
    let from_anybody = [
        ("evt.type", "recvfrom"),
        ("evt.category", "IO-read"),
        (
            "evt.args",
            &*format!("res=5 data=a... tuple={name} fd=<4>{name} size=4096"),
        ),
        ("evt.buffer", "a\n\u{1}\u{2}"),
        ("evt.buflen", "5"),
        ("fd.cip", "203.0.113.5"),
        ("fd.sport", "443"),
        ("fd.connected", "false"),
        ("fd.name_changed", "true"),
        ("fd.uid", "missing"),
    ];
    check(&record(socket, 45, 4096), &from_anybody);
    socket.passed_family = 0;
    let name = "192.0.2.9:443->203.0.113.5:50000";
    let from_peer = [
        ("evt.type", "recvmsg"),
        (
            "evt.args",
            &*format!("res=5 size=5 data=a... tuple={name} fd=<4>{name}"),
        ),
        ("fd.sip", "203.0.113.5"),
        ("fd.connected", "true"),
        ("fd.name_changed", "false"),
    ];
    check(&record(socket, 47, u64::MAX), &from_peer);
}

#[test]
fn a_connection_to_a_file_has_the_passed_name_and_that_of_the_file() {
    let mut socket = Connect::new_zeroed();
    (socket.fd, socket.family, socket.passed_family) = (3, 1, 1);
    let connect =
        |strings: &[(Slot, &str)]| bytes(Kind::Connect, child_of(3, 4, "cat"), &socket, strings);
    let through_a_link = connect(&[
        (Slot::Resolved, "/run/docker.sock"),
        (Slot::Passed, "link"),
        (Slot::Cwd, "/tmp"),
    ]);
    check(&through_a_link, &[("fd.name", "link")]);
    let file = [("fd.name", "/run/docker.sock")];
    check_in(&through_a_link, None, View::Resolved, &file);
    joined(&through_a_link, None, |event| {
        assert!(event.has_view(View::Resolved));
    });
    // Nobody takes it up.
    let refused = connect(&[(Slot::Passed, "/run/x"), (Slot::Cwd, "/tmp")]);
    joined(&refused, None, |event| {
        assert!(!event.has_view(View::Resolved));
    });
}
