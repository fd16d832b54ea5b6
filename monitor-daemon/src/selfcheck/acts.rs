//! Harmless acts, at least one for each kind of record that can be caused without doing harm.
//!
//! Each act stands alone, needs no probe and leaves nothing behind: it works in a [`Room`] of its
//! own, on the loopback address, or on the process itself. They are made for a short-lived child
//! ([`super::child`]), as some change the process that does them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapMut;
use monitor_common::Kind;
use rustix::fs::{AtFlags, CWD, FileType, MemfdFlags, Mode, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use rustix::thread::UnshareFlags;

use crate::container::scan;

/// Something to do that makes a record.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// By which it is asked for.
    pub name: &'static str,
    /// Kind of the record that it makes.
    pub kind: Kind,
    /// The system calls, by x86-64 numbers, one of which does it: which one is the C library's
    /// choice. Empty where the record comes from no call.
    pub calls: &'static [u32],
    run: fn(&Room) -> io::Result<()>,
}

impl Act {
    /// Does it.
    ///
    /// # Errors
    /// It could not be done, so that no record can be expected. A refusal that is a part of the
    /// act is none.
    pub fn run(&self, room: &Room) -> io::Result<()> {
        (self.run)(room)
    }
}

/// All acts. Kinds that are missing cannot be caused without harm, or not from safe code: a clone into
/// namespaces.
pub const ACTS: &[Act] = &[
    act("exec", Kind::Exec, &[59], exec),
    act("open", Kind::Open, &[2, 257], open),
    act("open_nothing", Kind::Open, &[2, 257], open_nothing),
    act("socket", Kind::Socket, &[41], bind),
    act("bind", Kind::Bind, &[49], bind),
    act("bind6", Kind::Bind, &[49], bind6),
    act("listen", Kind::Listen, &[50], listen),
    act("connect", Kind::Connect, &[42], connect),
    act("connect6", Kind::Connect, &[42], connect6),
    act("connect_by_message", Kind::Connect, &[], fast_open),
    act("connect_by_message6", Kind::Connect, &[], fast_open6),
    act("accept", Kind::Accept, &[43, 288], connect),
    act("send", Kind::Send, &[44], send),
    act("send6", Kind::Send, &[44], send6),
    act("receive", Kind::Receive, &[45], receive),
    act("receive6", Kind::Receive, &[45], receive6),
    act("dns", Kind::Dns, &[], ask),
    act("dup", Kind::Dup, &[32], dup),
    act("symlink", Kind::Symlink, &[88, 266], symlink),
    act("link", Kind::Link, &[86, 265], link),
    act("remove", Kind::Remove, &[87, 263], remove),
    act("remove_directory", Kind::Remove, &[84, 263], mkdir),
    act("rename", Kind::Rename, &[82, 264, 316], rename),
    act("mkdir", Kind::Mkdir, &[83, 258], mkdir),
    act("mode", Kind::Mode, &[90, 268], mode),
    act("memfd", Kind::Memfd, &[319], memfd),
    act("pass", Kind::Passed, &[], pass),
    act("memory", Kind::Memory, &[10], memory),
    act("ptrace", Kind::Ptrace, &[101], ptrace),
    act("module", Kind::Module, &[175], |_| no_module()),
    act("identity", Kind::Identity, &[105], identity),
    act("namespace", Kind::Namespace, &[272], unshare),
    act("owner", Kind::Call, &[92, 260], owner),
    act("size", Kind::Call, &[77], size),
    act("size_by_name", Kind::Call, &[76], size_by_name),
    act("node", Kind::Call, &[259], node),
    act("times", Kind::Call, &[280], times),
    act("attribute", Kind::Call, &[197], attribute),
    act("directory", Kind::Call, &[80], directory),
    act("signal", Kind::Control, &[62], signal),
    act("name", Kind::Control, &[157], name),
    act("cgroup_mkdir", Kind::CgroupMkdir, &[], cgroup),
    act("cgroup_rmdir", Kind::CgroupRmdir, &[], cgroup),
    act(
        "cgroup_attach",
        Kind::CgroupAttach,
        &[],
        move_between_cgroups,
    ),
];

/// The act with a name.
pub fn named(name: &str) -> Option<&'static Act> {
    ACTS.iter().find(|act| act.name == name)
}

/// A folder that nobody else can look into. It goes when this is dropped.
///
/// What is in it goes by a name through a symbolic link ([`Room::WAY`]), so that who tells the name
/// that the kernel found ([`Room::PLACE`]) cannot have it from the passed one.
#[derive(Debug)]
pub struct Room {
    folder: PathBuf,
}

impl Room {
    /// Name of the folder in it where things are.
    pub const PLACE: &str = "place";
    /// Name of the link by which acts go there.
    const WAY: &str = "way";
    /// A file of acts.
    pub const FILE: &str = "file";
    /// Its other name.
    pub const OTHER: &str = "other";
    /// A folder of acts.
    pub const FOLDER: &str = "folder";

    /// Makes it where temporary files live.
    pub fn new() -> io::Result<Self> {
        static ROOMS: AtomicU32 = AtomicU32::new(0);
        let number = ROOMS.fetch_add(1, Ordering::Relaxed);
        let name = format!("monitor-self-check-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // Refused where something has that name, also a link that somebody put there.
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let room = Self { folder };
        fs::create_dir(room.folder.join(Self::PLACE))?;
        std::os::unix::fs::symlink(Self::PLACE, room.folder.join(Self::WAY))?;
        Ok(room)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(Self::WAY).join(name)
    }

    /// A file that is there while `work` runs.
    fn with_file(&self, work: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let path = self.path(Self::FILE);
        File::create(&path)?;
        let done = work(&path);
        fs::remove_file(&path)?;
        done
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LOOPBACK6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

const fn act(
    name: &'static str,
    kind: Kind,
    calls: &'static [u32],
    run: fn(&Room) -> io::Result<()>,
) -> Act {
    Act {
        name,
        kind,
        calls,
        run,
    }
}

/// Of what is not there, so that this process goes on.
fn exec(room: &Room) -> io::Result<()> {
    refused(
        Command::new(room.path("nothing")).exec(),
        &[ErrorKind::NotFound],
    )
}

fn open(_: &Room) -> io::Result<()> {
    File::open("/proc/self/exe").map(drop)
}

fn open_nothing(room: &Room) -> io::Result<()> {
    match File::open(room.path("nothing")) {
        Err(error) => refused(error, &[ErrorKind::NotFound]),
        Ok(_) => Err(io::Error::other("what is not there was opened")),
    }
}

/// A refusal that is a part of the act, if it is one of these.
fn refused(error: io::Error, expected: &[ErrorKind]) -> io::Result<()> {
    if expected.contains(&error.kind()) {
        Ok(())
    } else {
        Err(error)
    }
}

fn bind(_: &Room) -> io::Result<()> {
    UdpSocket::bind(LOOPBACK).map(drop)
}

fn bind6(_: &Room) -> io::Result<()> {
    UdpSocket::bind(LOOPBACK6).map(drop)
}

fn listen(_: &Room) -> io::Result<()> {
    TcpListener::bind(LOOPBACK).map(drop)
}

fn connect(_: &Room) -> io::Result<()> {
    connect_at(LOOPBACK)
}

fn connect6(_: &Room) -> io::Result<()> {
    connect_at(LOOPBACK6)
}

fn connect_at(loopback: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(loopback)?;
    let _client = TcpStream::connect(listener.local_addr()?)?;
    listener.accept().map(drop)
}

fn fast_open(_: &Room) -> io::Result<()> {
    fast_open_at(LOOPBACK, AddressFamily::INET)
}

fn fast_open6(_: &Room) -> io::Result<()> {
    fast_open_at(LOOPBACK6, AddressFamily::INET6)
}

/// By a message that asks for the connection that it is to be sent on. Nobody waits for it.
fn fast_open_at(loopback: SocketAddr, family: AddressFamily) -> io::Result<()> {
    /// `MSG_FASTOPEN`
    const FAST_OPEN: SendFlags = SendFlags::from_bits_retain(0x2000_0000);
    let listener = TcpListener::bind(loopback)?;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    match rustix::net::sendto(&socket, b"self-check", FAST_OPEN, &listener.local_addr()?) {
        Ok(_) | Err(Errno::INPROGRESS) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

fn send(_: &Room) -> io::Result<()> {
    sent_at(LOOPBACK).map(drop)
}

fn send6(_: &Room) -> io::Result<()> {
    sent_at(LOOPBACK6).map(drop)
}

/// A socket that has sent itself something.
fn sent_at(loopback: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(loopback)?;
    socket.send_to(b"self-check", socket.local_addr()?)?;
    Ok(socket)
}

fn receive(_: &Room) -> io::Result<()> {
    sent_at(LOOPBACK)?.recv_from(&mut [0; 16]).map(drop)
}

fn receive6(_: &Room) -> io::Result<()> {
    sent_at(LOOPBACK6)?.recv_from(&mut [0; 16]).map(drop)
}

/// Asks for the root's address, which nobody has; whether there is a server does not matter.
fn ask(_: &Room) -> io::Result<()> {
    const QUESTION: &[u8; 17] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01";
    let socket = UdpSocket::bind(LOOPBACK)?;
    socket.send_to(QUESTION, (Ipv4Addr::LOCALHOST, 53))?;
    Ok(())
}

fn dup(_: &Room) -> io::Result<()> {
    let socket = UdpSocket::bind(LOOPBACK)?;
    Ok(rustix::io::dup(&socket).map(drop)?)
}

fn symlink(room: &Room) -> io::Result<()> {
    let path = room.path("link");
    std::os::unix::fs::symlink("nowhere", &path)?;
    fs::remove_file(path)
}

fn link(room: &Room) -> io::Result<()> {
    room.with_file(|file| {
        let other = room.path(Room::OTHER);
        fs::hard_link(file, &other)?;
        fs::remove_file(other)
    })
}

fn remove(room: &Room) -> io::Result<()> {
    room.with_file(|_| Ok(()))
}

fn rename(room: &Room) -> io::Result<()> {
    room.with_file(|file| {
        let other = room.path(Room::OTHER);
        fs::rename(file, &other)?;
        fs::rename(&other, file)
    })
}

fn mkdir(room: &Room) -> io::Result<()> {
    let path = room.path(Room::FOLDER);
    fs::create_dir(&path)?;
    fs::remove_dir(path)
}

fn mode(room: &Room) -> io::Result<()> {
    room.with_file(|file| fs::set_permissions(file, fs::Permissions::from_mode(0o600)))
}

fn memfd(_: &Room) -> io::Result<()> {
    Ok(rustix::fs::memfd_create("self-check", MemfdFlags::CLOEXEC).map(drop)?)
}

/// An open file, to the process itself.
fn pass(_: &Room) -> io::Result<()> {
    let (one, other) = UnixStream::pair()?;
    let file = File::open("/proc/self/exe")?;
    let files = [file.as_fd()];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut room);
    if !rights.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let data = [IoSlice::new(b"x")];
    rustix::net::sendmsg(&one, &data, &mut rights, SendFlags::empty())?;
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(&other, &mut data, &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    // What came is closed with the last of these.
    rights.drain().for_each(drop);
    Ok(())
}

/// Nothing is in it, and nothing runs it.
fn memory(_: &Room) -> io::Result<()> {
    MmapMut::map_anon(4096)?.make_exec().map(drop)
}

/// Lets go of a process that it does not trace: itself.
fn ptrace(_: &Room) -> io::Result<()> {
    match nix::sys::ptrace::detach(nix::unistd::Pid::this(), None) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

/// Asks the kernel to load what is no module, which it finds out.
///
/// # Errors
/// It did not look.
pub fn no_module() -> io::Result<()> {
    match rustix::system::init_module(b"no module", c"") {
        // A kernel without modules has the call all the same.
        Err(Errno::NOEXEC | Errno::NOSYS) => Ok(()),
        Err(refused) => Err(refused.into()),
        Ok(()) => Err(io::Error::other("the kernel took what is no module")),
    }
}

/// To the user that the process already is.
fn identity(_: &Room) -> io::Result<()> {
    Ok(rustix::thread::set_thread_uid(rustix::process::getuid())?)
}

/// Of nothing: no flag is set.
fn unshare(_: &Room) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "what is unsafe about it is to unshare descriptors, which this does not"
    )]
    Ok(rustix::thread::unshare(UnshareFlags::empty())?)
}

/// To the owner that the file already has.
fn owner(room: &Room) -> io::Result<()> {
    room.with_file(|file| std::os::unix::fs::chown(file, None, None))
}

fn size(room: &Room) -> io::Result<()> {
    room.with_file(|file| File::options().write(true).open(file)?.set_len(0))
}

fn size_by_name(room: &Room) -> io::Result<()> {
    room.with_file(|file| Ok(nix::unistd::truncate(file, 0)?))
}

/// A pipe.
fn node(room: &Room) -> io::Result<()> {
    let path = room.path(Room::FILE);
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    fs::remove_file(path)
}

fn times(room: &Room) -> io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    room.with_file(|file| Ok(rustix::fs::utimensat(CWD, file, &times, AtFlags::empty())?))
}

/// One that is not there is removed.
fn attribute(room: &Room) -> io::Result<()> {
    room.with_file(
        |file| match rustix::fs::removexattr(file, c"user.self-check") {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
            Err(refused) => Err(refused.into()),
        },
    )
}

fn directory(room: &Room) -> io::Result<()> {
    let path = room.path(Room::FOLDER);
    fs::create_dir(&path)?;
    let done = std::env::set_current_dir(&path);
    fs::remove_dir(path)?;
    done
}

/// The signal 0, which only asks whether the process is there, to the process itself.
fn signal(_: &Room) -> io::Result<()> {
    Ok(rustix::process::test_kill_process(
        rustix::process::getpid(),
    )?)
}

fn name(_: &Room) -> io::Result<()> {
    Ok(rustix::thread::set_name(c"self-check")?)
}

fn cgroup(_: &Room) -> io::Result<()> {
    with_cgroup(|_| Ok(()))
}

/// Into a new cgroup and back.
fn move_between_cgroups(_: &Room) -> io::Result<()> {
    let (_, home) = cgroup_places()?;
    with_cgroup(|folder| {
        fs::write(folder.join("cgroup.procs"), "0")?;
        fs::write(home.join("cgroup.procs"), "0")
    })
}

/// Folders of the cgroup at the top of the hierarchy that tells containers apart, and of the one that
/// this process is in.
pub fn cgroup_places() -> io::Result<(PathBuf, PathBuf)> {
    let (hierarchy, root) = scan::hierarchy().map_err(io::Error::other)?;
    let home = own_cgroup(
        &fs::read_to_string("/proc/self/cgroup")?,
        hierarchy.controller(),
    )
    .map(|path| root.join(path.trim_start_matches('/')))
    .ok_or(ErrorKind::NotFound)?;
    Ok((root, home))
}

/// A cgroup that is there while `work` runs.
fn with_cgroup(work: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let (_, root) = scan::hierarchy().map_err(io::Error::other)?;
    let folder = root.join(format!("monitor-self-check-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let done = work(&folder);
    fs::remove_dir(&folder)?;
    done
}

/// The path of a process' cgroup in a hierarchy: `NUMBER:CONTROLLERS:PATH`, of v2 `0::PATH`.
fn own_cgroup<'t>(text: &'t str, controller: Option<&str>) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let wanted = match controller {
            None => controllers.is_empty(),
            Some(name) => controllers.split(',').any(|one| one == name),
        };
        wanted.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_of_the_kinds_that_their_calls_make() {
        for act in ACTS {
            assert_eq!(
                named(act.name).unwrap().kind,
                act.kind,
                "{} is twice",
                act.name
            );
            for number in act.calls.iter().filter(|_| act.name != "exec") {
                let call = monitor_common::syscall::call(*number).unwrap();
                assert_eq!(call.kind, act.kind, "{} through call {number}", act.name);
            }
        }
    }

    #[test]
    fn a_room_is_empty_after_each_act_and_then_gone() {
        let room = Room::new().unwrap();
        let folder = room.folder.clone();
        let place = folder.join(Room::PLACE);
        // The others change the process, which is that of all tests.
        let changing = [
            "identity",
            "namespace",
            "name",
            "cgroup_attach",
            "directory",
            "exec",
        ];
        for act in ACTS.iter().filter(|act| !changing.contains(&act.name)) {
            if let Err(error) = act.run(&room) {
                println!("SKIP: {}: {error}", act.name);
            }
            assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "{}", act.name);
        }
        drop(room);
        assert!(!folder.exists());
    }

    #[test]
    fn the_own_cgroup_by_hierarchy() {
        let text = "12:pids:/a\n4:cpu,cpuacct:/b:c\n0::/d\n";
        let cases = [
            (None, Some("/d")),
            (Some("pids"), Some("/a")),
            (Some("cpuacct"), Some("/b:c")),
            (Some("memory"), None),
        ];
        for (controller, path) in cases {
            assert_eq!(own_cgroup(text, controller), path, "{controller:?}");
        }
    }
}
