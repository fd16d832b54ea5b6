//! The kernel programs, on the kernel this runs on: what a process does comes out as records.
//!
//! Needs root; skips with a reason otherwise. One test, as it changes the working directory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs::{self, File};
use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use monitor_common::call::Registers;
use monitor_common::loss::LossReason;
use monitor_common::process::ExeFlags;
use monitor_common::{Flags, Kind, Slot};
use monitor_daemon::probe::{Probes, Request, Rings, Tier, Tiers};
use monitor_daemon::record::{Body, Record};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, CWD, MemfdFlags, Mode, RenameFlags};
use rustix::io::DupFlags;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg_addr, sendto};

const PATIENCE: Duration = Duration::from_secs(20);
const CLONE_NEWUTS: u64 = 0x400_0000;
/// Deep enough for more than 1,000 components, and within `PATH_MAX` below any temporary folder.
const LEVELS: usize = 1_250;

/// A record, copied out of the ring.
struct Seen(Vec<u8>);

impl Seen {
    fn record(&self) -> Record<'_> {
        Record::parse(&self.0).unwrap()
    }

    fn text(&self, slot: Slot) -> String {
        String::from_utf8_lossy(self.record().string(slot)).into_owned()
    }
}

/// Reads until one of this process's records, or its children's, fits.
fn wait_for(rings: &mut Rings, what: &str, fits: impl Fn(&Record<'_>) -> bool) -> Seen {
    let deadline = Instant::now() + PATIENCE;
    let own = std::process::id();
    loop {
        while let Some(bytes) = rings.next() {
            let record = Record::parse(bytes).unwrap();
            if [record.task().pid, record.task().ppid].contains(&own) && fits(&record) {
                return Seen(bytes.to_vec());
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no record of {what} in {PATIENCE:?}");
        let mut descriptors = rings
            .descriptors()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        poll(&mut descriptors, Some(&left.try_into().unwrap())).unwrap();
    }
}

fn open_of(rings: &mut Rings, passed: &str) -> Seen {
    wait_for(rings, passed, |record| {
        record.kind() == Kind::Open && record.string(Slot::Passed) == passed.as_bytes()
    })
}

fn probes(tiers: Tiers) -> Option<Probes> {
    if !rustix::process::geteuid().is_root() {
        println!("SKIP: loading kernel programs needs root");
        return None;
    }
    let probes = Probes::load(&Request {
        tiers,
        // Room for what deep folders bring before anyone reads.
        bulk_bytes: 32 << 20,
        ..Request::default()
    })
    .unwrap();
    for coverage in probes.coverage() {
        println!("{coverage:?}");
    }
    Some(probes)
}

#[test]
fn what_a_process_does_comes_out_as_records() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::env::set_current_dir(&folder).unwrap();
    for tiers in [Tiers::SyscallOnly, Tiers::Auto] {
        let Some(mut probes) = probes(tiers) else {
            return;
        };
        let served = probes
            .coverage()
            .iter()
            .all(|coverage| coverage.provider.is_some());
        assert!(served, "a kind has no provider: {:?}", probes.coverage());
        let mut rings = probes.rings().unwrap();
        assert!(probes.rings().is_err(), "the rings can be taken once");
        processes(&mut rings);
        files(&mut rings, &folder);
        deep_files(&mut rings, &folder);
        network(&mut rings);
        second_descriptors(&mut rings);
        modules(&mut rings, &folder);
        messages(&mut rings);
        calls(&mut rings, &folder);
        paths(&mut rings, &folder);
        let open = probes
            .coverage()
            .iter()
            .find(|coverage| coverage.kind == Kind::Open)
            .unwrap();
        links(&mut rings, &folder, open.tier == Some(Tier::Object));
        let losses = probes.losses().unwrap();
        assert!(
            losses.iter().all(|loss| loss.kind == Kind::Open),
            "lost: {losses:?}"
        );
        let opens = probes
            .kept()
            .unwrap()
            .into_iter()
            .find(|(kind, _)| *kind == Kind::Open);
        assert!(opens.unwrap().1 > 0);
    }
    flood();
}

/// A flood of opens that nobody reads is counted, and hides no exec.
fn flood() {
    let request = Request {
        lifecycle_bytes: 64 << 10,
        bulk_bytes: 64 << 10,
        ..Request::default()
    };
    let mut probes = Probes::load(&request).unwrap();
    let mut rings = probes.rings().unwrap();
    for _ in 0..1_000 {
        File::open("real/file").unwrap();
    }
    Command::new("/bin/true").status().unwrap();
    wait_for(
        &mut rings,
        "the exec after the flood",
        |record| matches!(record.body(), Body::Exec(exec) if exec.ret == 0),
    );
    let losses = probes.losses().unwrap();
    let lost = |kind| losses.iter().filter(move |loss| loss.kind == kind);
    assert!(lost(Kind::Open).map(|loss| loss.count).sum::<u64>() > 0);
    assert!(
        losses
            .iter()
            .all(|loss| loss.reason == LossReason::RingFull)
    );
    assert_eq!(lost(Kind::Exec).count(), 0);
}

fn processes(rings: &mut Rings) {
    let status = Command::new("/bin/sh")
        .args(["-c", "exit 3", "an argument"])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(3));
    let fork = wait_for(rings, "the fork", |record| record.kind() == Kind::Fork);
    let child = fork.record().task().pid;
    let seen = wait_for(
        rings,
        "the exec",
        |record| matches!(record.body(), Body::Exec(exec) if exec.ret == 0),
    );
    let shell = Path::new("/bin/sh").canonicalize().unwrap();
    assert_eq!(seen.text(Slot::Resolved), shell.to_str().unwrap());
    assert_eq!(seen.text(Slot::Passed), "/bin/sh");
    assert_eq!(seen.text(Slot::Args), "/bin/sh\0-c\0exit 3\0an argument\0");
    assert_eq!(
        seen.text(Slot::Cwd),
        std::env::current_dir().unwrap().to_str().unwrap()
    );
    let record = seen.record();
    assert_eq!(
        (record.task().pid, record.task().ppid),
        (child, std::process::id())
    );
    assert_eq!(record.task().start, fork.record().task().start);
    let Body::Exec(exec) = record.body() else {
        panic!("an exec has another body")
    };
    assert_eq!(exec.inode, fs::metadata(&shell).unwrap().ino());
    assert_eq!(exec.exe_flags & ExeFlags::MEMFD, 0);
    wait_for(rings, "the exit", |record| {
        record.task().pid == child
            && matches!(record.body(), Body::Exit(exit) if exit.status == 3 << 8)
    });

    assert!(Command::new("/nonexistent/program").status().is_err());
    let seen = wait_for(
        rings,
        "the failed exec",
        |record| matches!(record.body(), Body::Exec(exec) if exec.ret < 0),
    );
    assert_eq!(seen.text(Slot::Passed), "/nonexistent/program");
}

fn files(rings: &mut Rings, folder: &Path) {
    fs::create_dir_all("real").unwrap();
    fs::write("real/file", "x").unwrap();
    let _ = fs::remove_file("alias");
    symlink("real", "alias").unwrap();
    File::open("alias/../alias/file").unwrap();
    let seen = open_of(rings, "alias/../alias/file");
    let truth = folder.join("real/file");
    assert_eq!(seen.text(Slot::Resolved), truth.to_str().unwrap());
    assert_eq!(seen.text(Slot::Cwd), folder.to_str().unwrap());
    let Body::Open(open) = *seen.record().body() else {
        panic!("an open has another body")
    };
    assert!(open.ret >= 0);
    assert_eq!(open.inode, fs::metadata(&truth).unwrap().ino());

    assert!(File::open("real/none").is_err());
    let seen = open_of(rings, "real/none");
    let Body::Open(open) = *seen.record().body() else {
        panic!("an open has another body")
    };
    assert_eq!((open.ret, open.inode), (-2, 0));
}

/// More than 1,000 components, and then more than `PATH_MAX`.
fn deep_files(rings: &mut Rings, folder: &Path) {
    let mut expected = folder.to_str().unwrap().to_owned();
    for _ in 0..LEVELS {
        fs::create_dir("ab").unwrap();
        std::env::set_current_dir("ab").unwrap();
        expected.push_str("/ab");
    }
    File::create("deep").unwrap();
    let seen = open_of(rings, "deep");
    assert_eq!(seen.text(Slot::Resolved), format!("{expected}/deep"));
    assert!(!seen.record().flag(Flags::PATH_TRUNCATED));

    let name = "n".repeat(200);
    for _ in 0..3 {
        fs::create_dir(&name).unwrap();
        std::env::set_current_dir(&name).unwrap();
    }
    File::create("deeper").unwrap();
    let seen = open_of(rings, "deeper");
    assert!(seen.record().flag(Flags::PATH_TRUNCATED));
    assert!(
        seen.text(Slot::Resolved)
            .ends_with(&format!("/ab/{name}/{name}/{name}/deeper"))
    );

    fs::remove_file("deeper").unwrap();
    for _ in 0..3 {
        std::env::set_current_dir("..").unwrap();
        fs::remove_dir(&name).unwrap();
    }
    fs::remove_file("deep").unwrap();
    for _ in 0..LEVELS {
        std::env::set_current_dir("..").unwrap();
        fs::remove_dir("ab").unwrap();
    }
}

fn network(rings: &mut Rings) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
        panic!("not IPv4")
    };
    let stream = TcpStream::connect(address).unwrap();
    let seen = wait_for(rings, "the connect", |record| {
        record.kind() == Kind::Connect
    });
    let Body::Connect(connect) = *seen.record().body() else {
        panic!("a connect has another body")
    };
    assert_eq!((connect.ret, connect.family), (0, 2));
    assert_eq!(connect.remote.first_chunk(), Some(&address.ip().octets()));
    assert_eq!(connect.remote_port, address.port());
    assert_eq!(connect.local_port, stream.local_addr().unwrap().port());

    assert!(UnixStream::connect("no/socket").is_err());
    let seen = wait_for(rings, "the connect by name", |record| {
        record.kind() == Kind::Connect
    });
    assert_eq!(seen.text(Slot::Passed), "no/socket");
}

/// A socket's second descriptor comes out with its addresses; a file's does not come out.
fn second_descriptors(rings: &mut Rings) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = File::open("/dev/null").unwrap();
    let mut copies = vec![rustix::io::dup(&file).unwrap()];
    copies.push(rustix::io::dup(&stream).unwrap());
    let mut second = rustix::io::dup(&file).unwrap();
    rustix::io::dup2(&stream, &mut second).unwrap();
    let mut third = rustix::io::dup(&file).unwrap();
    rustix::io::dup3(&stream, &mut third, DupFlags::CLOEXEC).unwrap();
    let [_, first] = &copies[..] else {
        panic!("two copies")
    };
    for (number, copy) in [(32, first), (33, &second), (292, &third)] {
        let seen = wait_for(rings, "the dup", |record| record.kind() == Kind::Dup);
        let Body::Dup(dup) = *seen.record().body() else {
            panic!("a dup has another body")
        };
        assert_eq!(dup.syscall, number);
        assert_eq!(
            (dup.oldfd, dup.socket.fd),
            (stream.as_raw_fd(), copy.as_raw_fd())
        );
        let socket = dup.socket;
        assert_eq!((socket.family, socket.kind, socket.protocol), (2, 1, 6));
        assert_eq!(socket.remote_port, stream.peer_addr().unwrap().port());
        assert_eq!(socket.local_port, stream.local_addr().unwrap().port());
        assert_eq!(socket.remote.first_chunk(), Some(&[127, 0, 0, 1]));
    }
}

/// A message with an address comes out, one over a connection does not.
fn messages(rings: &mut Rings) {
    let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = target.local_addr().unwrap();
    let connected = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    connected.connect(to).unwrap();
    connected.send(b"over the connection").unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let wide = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), to.port());
    socket.send_to(b"one", to).unwrap();
    let no_control = &mut SendAncillaryBuffer::default();
    let two = [IoSlice::new(b"two!")];
    sendmsg_addr(&socket, &to, &two, no_control, SendFlags::empty()).unwrap();
    wide.send_to(b"three", mapped).unwrap();
    // What std does not do: an IPv4 address for an IPv6 socket.
    sendto(&wide, b"four!!", SendFlags::empty(), &to).unwrap();
    let v4 = [127, 0, 0, 1];
    let v6 = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let expected = [
        (44, 3, 2, &v4[..]),
        (46, 4, 2, &v4),
        (44, 5, 10, &v6),
        (44, 6, 10, &v6),
    ];
    for (number, length, family, address) in expected {
        let seen = wait_for(rings, "the message", |record| record.kind() == Kind::Send);
        let Body::Send(send) = *seen.record().body() else {
            panic!("a message has another body")
        };
        let socket = send.socket;
        assert_eq!((send.syscall, socket.ret), (number, length));
        assert_eq!((socket.family, socket.kind), (family, 2));
        assert_eq!(socket.remote_port, to.port());
        assert!(socket.remote.starts_with(address), "{:?}", socket.remote);
    }
}

/// The next record of a kind, its call and arguments.
fn next_call(rings: &mut Rings, kind: Kind) -> (Seen, Registers) {
    let seen = wait_for(rings, kind.name(), |record| record.kind() == kind);
    let registers = *seen.record().registers().unwrap();
    (seen, registers)
}

/// Calls that only have values, and one that gives a name.
fn calls(rings: &mut Rings, folder: &Path) {
    rustix::thread::set_thread_uid(rustix::process::getuid()).unwrap();
    let (_, call) = next_call(rings, Kind::Identity);
    assert_eq!((call.syscall, call.ret, call.args[0] as u32), (105, 0, 0));
    rustix::thread::set_thread_gid(rustix::process::getgid()).unwrap();
    let (_, call) = next_call(rings, Kind::Identity);
    assert_eq!((call.syscall, call.ret), (106, 0));

    let script = "unshare --uts true; nsenter --uts=/proc/self/ns/uts true";
    assert!(
        Command::new("sh")
            .args(["-c", script])
            .status()
            .unwrap()
            .success()
    );
    let deadline = Instant::now() + PATIENCE;
    let mut expected = vec![(272, CLONE_NEWUTS), (308, CLONE_NEWUTS)];
    // The shell's children are this process's grandchildren.
    while !expected.is_empty() {
        assert!(Instant::now() < deadline, "no record of {expected:?}");
        let Some(bytes) = rings.next() else { continue };
        let record = Record::parse(bytes).unwrap();
        if record.kind() == Kind::Namespace {
            let call = record.registers().unwrap();
            let flags = if call.syscall == 272 {
                call.args[0]
            } else {
                call.args[1]
            };
            expected.retain(|wanted| *wanted != (call.syscall, flags));
        }
    }

    let memfd = rustix::fs::memfd_create("secret", MemfdFlags::CLOEXEC).unwrap();
    let (seen, call) = next_call(rings, Kind::Memfd);
    assert_eq!(
        (call.syscall, call.ret),
        (319, i64::from(memfd.as_raw_fd()))
    );
    assert_eq!(seen.text(Slot::Args), "secret");

    rustix::fs::fchmod(File::open("real/file").unwrap(), Mode::from(0o600)).unwrap();
    let (seen, call) = next_call(rings, Kind::Mode);
    assert_eq!((call.syscall, call.args[1]), (91, 0o600));
    let file = folder.join("real/file");
    assert_eq!(seen.text(Slot::Resolved), file.to_str().unwrap());
}

/// Calls on paths: what was passed and where it starts.
fn paths(rings: &mut Rings, folder: &Path) {
    let folder = folder.to_str().unwrap();
    let at = File::open(".").unwrap();
    rustix::fs::mkdir("made", Mode::from(0o700)).unwrap();
    rustix::fs::mkdirat(&at, "made2", Mode::from(0o711)).unwrap();
    rustix::fs::rename("made", "moved").unwrap();
    rustix::fs::renameat(&at, "moved", CWD, "moved2").unwrap();
    rustix::fs::renameat_with(CWD, "moved2", &at, "moved3", RenameFlags::NOREPLACE).unwrap();
    rustix::fs::chmod("moved3", Mode::from(0o755)).unwrap();
    rustix::fs::chmodat(&at, "moved3", Mode::from(0o750), AtFlags::empty()).unwrap();
    rustix::fs::rmdir("moved3").unwrap();
    rustix::fs::unlinkat(&at, "made2", AtFlags::REMOVEDIR).unwrap();
    assert!(rustix::fs::unlink("none").is_err());
    let expected = [
        (Kind::Mkdir, &[83, 258][..], 0, "made", "", "", ""),
        (Kind::Mkdir, &[258], 0, "made2", folder, "", ""),
        (Kind::Rename, &[82, 264, 316], 0, "moved", "", "made", ""),
        (Kind::Rename, &[264, 316], 0, "moved2", "", "moved", folder),
        (Kind::Rename, &[316], 0, "moved3", folder, "moved2", ""),
        (Kind::Mode, &[90, 268], 0, "moved3", "", "", ""),
        (Kind::Mode, &[268, 452], 0, "moved3", folder, "", ""),
        (Kind::Remove, &[84, 263], 0, "moved3", "", "", ""),
        (Kind::Remove, &[263], 0, "made2", folder, "", ""),
        (Kind::Remove, &[87, 263], -2, "none", "", "", ""),
    ];
    for (kind, numbers, ret, path, base, target, target_base) in expected {
        let (seen, call) = next_call(rings, kind);
        assert!(numbers.contains(&call.syscall), "{path}: {}", call.syscall);
        assert_eq!(call.ret, ret, "{path}");
        let slots = [Slot::Passed, Slot::Base, Slot::Target, Slot::TargetBase];
        let texts = slots.map(|slot| seen.text(slot));
        assert_eq!(texts, [path, base, target, target_base]);
        assert_eq!(seen.text(Slot::Cwd), folder);
    }
}

/// What is no module is refused, and seen.
fn modules(rings: &mut Rings, folder: &Path) {
    let file = File::open("real/file").unwrap();
    assert!(rustix::system::finit_module(&file, c"a=1", 0).is_err());
    assert!(rustix::system::init_module(b"no module", c"b=2").is_err());
    let path = folder.join("real/file");
    for (number, parameters, path) in [(313, "a=1", path.to_str().unwrap()), (175, "b=2", "")] {
        let seen = wait_for(rings, "the module", |record| record.kind() == Kind::Module);
        let Body::Module(module) = *seen.record().body() else {
            panic!("a module has another body")
        };
        assert_eq!(module.syscall, number);
        assert!(module.ret < 0);
        assert_eq!(seen.text(Slot::Args), parameters);
        assert_eq!(seen.text(Slot::Resolved), path);
    }
}

fn links(rings: &mut Rings, folder: &Path, resolved: bool) {
    let _ = fs::remove_file("link");
    symlink("/etc/shadow", "link").unwrap();
    let seen = wait_for(rings, "the symbolic link", |record| {
        record.kind() == Kind::Symlink && record.string(Slot::Passed) == b"link"
    });
    assert_eq!(seen.text(Slot::Target), "/etc/shadow");
    if resolved {
        assert_eq!(
            seen.text(Slot::Resolved),
            folder.join("link").to_str().unwrap()
        );
    }
    let _ = fs::remove_file("hard");
    fs::hard_link("real/file", "hard").unwrap();
    let seen = wait_for(rings, "the hard link", |record| record.kind() == Kind::Link);
    assert_eq!(seen.text(Slot::Passed), "hard");
    assert!(seen.text(Slot::Target).ends_with("real/file"));
}
