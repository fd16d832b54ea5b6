//! Acts that take memory which changes, or is not there: rows 1, 2, 11, 21 and 22.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use monitor_acts::ADDRESS_BYTES;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit};

use super::{COMMAND, absent, fact};

/// Rounds of a race, and how many more where only one side has come first: a thread may not get its
/// turn for long.
const ROUNDS: usize = 300;
const MORE_ROUNDS: usize = 20_000;
/// The act that is done by a child, as it may end it.
const NARROW: &str = "32-bit-open";

pub(super) fn act(name: &str, folder: &Path) -> Option<io::Result<()>> {
    let secret = folder.join("secret");
    Some(match name {
        "race" => race_open(folder),
        "race-connect" => race_connect(),
        "slow-race" => slow_connect(),
        "io_uring" => ring(|| monitor_acts::open_by_ring(&text(&secret)?).map(drop)),
        "io_uring-connect" => ring(connect_by_ring),
        "page-fault" => open_unread(folder, &secret),
        "32-bit" => narrow(folder),
        NARROW => text(&secret).and_then(|secret| monitor_acts::open_narrow(&secret).map(drop)),
        _ => return None,
    })
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// One thread writes `bytes` in turn while the other does `round`, which tells whether the first of
/// them was what counted. Prints how often.
fn race(
    rewritten: &[(&AtomicU8, [u8; 2])],
    mut round: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let over = AtomicBool::new(false);
    let hits = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for side in [|two: [u8; 2]| two[0], |two: [u8; 2]| two[1]] {
                    for (place, bytes) in rewritten {
                        place.store(side(*bytes), Ordering::Relaxed);
                    }
                }
            }
        });
        let hits = rounds(&mut round);
        over.store(true, Ordering::Relaxed);
        hits
    })?;
    fact("count", hits);
    Ok(())
}

fn rounds(round: &mut impl FnMut() -> io::Result<bool>) -> io::Result<usize> {
    let mut hits = 0;
    for done in 0..ROUNDS + MORE_ROUNDS {
        let both = 0 < hits && hits < done;
        if done >= ROUNDS && both {
            return Ok(hits);
        }
        // Not faster than alerts can be written: the race is what counts.
        if done.is_multiple_of(64) {
            thread::sleep(Duration::from_millis(2));
        }
        hits += usize::from(round()?);
    }
    Err(io::Error::other("one side came first each time"))
}

/// The path's last byte changes between that of the secret and of another file.
fn race_open(folder: &Path) -> io::Result<()> {
    let (secret, other) = (folder.join("secret"), folder.join("secreT"));
    fs::write(other, "x\n")?;
    let inode = fs::metadata(&secret)?.ino();
    fact("inode", inode);
    let bytes = text(&secret)?.into_bytes_with_nul();
    let path: Vec<AtomicU8> = bytes.into_iter().map(AtomicU8::new).collect();
    let Some([last, _end]) = path.last_chunk() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    race(&[(last, *b"tT")], || {
        let file = File::from(monitor_acts::open(&path)?);
        Ok(file.metadata()?.ino() == inode)
    })
}

/// An address as the kernel has it: family, port, address and zeros.
struct Address([AtomicU8; ADDRESS_BYTES]);

impl Address {
    fn of(port: u16) -> Self {
        /// `AF_INET`
        const FAMILY: u16 = 2;
        let (family, port) = (FAMILY.to_ne_bytes(), port.to_be_bytes());
        let host = Ipv4Addr::LOCALHOST.octets();
        let mut bytes = family.into_iter().chain(port).chain(host);
        Self([(); ADDRESS_BYTES].map(|()| AtomicU8::new(bytes.next().unwrap_or_default())))
    }

    /// The places of the port, high byte first.
    fn port(&self) -> [&AtomicU8; 2] {
        let [_, _, high, low, ..] = &self.0;
        [high, low]
    }

    fn connect(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        monitor_acts::connect(socket, &self.0)
    }
}

/// The port changes between two. Nothing is sent there.
fn race_connect() -> io::Result<()> {
    let bound = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let (socket, one, other) = (bound()?, bound()?, bound()?);
    let port = one.local_addr()?.port();
    let [[h, l], [high, low]] = [port, other.local_addr()?.port()].map(u16::to_be_bytes);
    fact("port", port);
    let address = Address::of(port);
    let [first, second] = address.port();
    // Between the two bytes the port is that of neither.
    race(&[(first, [h, high]), (second, [l, low])], || {
        address.connect(socket.as_fd())?;
        Ok(socket.peer_addr()?.port() == port)
    })
}

/// The queue of who listens is full, so that the kernel asks again in a second. Meanwhile the address
/// is rewritten, and there is room.
fn slow_connect() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, 0)?;
    let there = listener.local_addr()?;
    let _fills_the_queue = TcpStream::connect(there)?;
    let address = Address::of(there.port());
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let rewritten = thread::scope(|scope| {
        let other = scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            for byte in address.port() {
                byte.fetch_xor(0x15, Ordering::Relaxed);
            }
            listener.accept()
        });
        let connected = address.connect(socket.as_fd());
        let accepted = other.join().map(|accepted| accepted.map(drop));
        connected.and(accepted.unwrap_or_else(|_| Err(io::Error::other("a thread ended"))))
    });
    rewritten?;
    let peer: SocketAddr = rustix::net::getpeername(&socket)?
        .ok_or(io::ErrorKind::NotConnected)?
        .try_into()?;
    if peer != there {
        return Err(io::Error::other("the address was rewritten too early"));
    }
    fact("port", there.port());
    Ok(())
}

/// Does what takes `io_uring`, if this kernel has it for anybody.
fn ring(done: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let switch = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    if switch.is_ok_and(|value| value.trim() == "2") {
        absent("io_uring is switched off for all (kernel.io_uring_disabled)");
        return Ok(());
    }
    done()
}

/// To where nobody listens, which the kernel finds out by looking.
fn connect_by_ring() -> io::Result<()> {
    let address = {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, socket.local_addr()?.port())
    };
    fact("port", address.port());
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    match monitor_acts::connect_by_ring(socket.as_fd(), address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        other => other,
    }
}

fn open_unread(folder: &Path, secret: &Path) -> io::Result<()> {
    let path = folder.join("path");
    fs::write(&path, secret.as_os_str().as_bytes())?;
    monitor_acts::open_unread(&File::open(path)?).map(drop)
}

/// A kernel without such calls ends who makes one, without a dump of it.
fn narrow(folder: &Path) -> io::Result<()> {
    const SEGMENTATION_FAULT: i32 = 11;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args([COMMAND, NARROW]).arg(folder).output()?;
    if output.status.signal() == Some(SEGMENTATION_FAULT) {
        absent("this kernel takes no 32-bit calls");
        return Ok(());
    }
    // What it says of itself, too.
    io::copy(&mut output.stdout.as_slice(), &mut io::stdout())?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
