//! The acts, each in a process of its own that ends with it.
//!
//! What the parent has to know to judge is printed, a line each: `NAME VALUE`.

mod host;
mod races;

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, MemfdFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::selfcheck;

pub(super) use host::{CONTAINER, OVER};

/// The act that only ends: what others start.
pub(super) const NOTHING: &str = "nothing";
/// The hidden command that acts.
pub(super) const COMMAND: &str = "selftest-act";

/// The fact that there is nothing to be tried on this host, and why.
pub(super) const ABSENT: &str = "absent";

/// Does the act of this name in a folder of its own.
///
/// # Errors
///
/// When the host refuses it.
pub(super) fn act(name: &str, folder: &Path, rest: &[String]) -> io::Result<()> {
    let families = [names, processes, sockets, races::act];
    let done = families
        .into_iter()
        .find_map(|family| family(name, folder))
        .or_else(|| host::act(name, folder, rest))
        .unwrap_or_else(|| {
            let message = "there is no such act";
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        });
    match done {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            absent(&format!("this kernel has no such thing ({error})"));
            Ok(())
        }
        done => done,
    }
}

/// Tells the parent.
fn fact(name: &str, value: impl Display) {
    // Who does not listen misses it, and finds out.
    let _told = writeln!(io::stdout(), "{name} {value}");
}

fn absent(why: &str) {
    fact(ABSENT, why);
}

/// Ways to a file.
fn names(name: &str, folder: &Path) -> Option<io::Result<()>> {
    let secret = folder.join("secret");
    Some(match name {
        "symlink" => links(folder),
        "spellings" => spellings(folder),
        "dirfd" => dirfd(folder),
        "chroot" => below_another_root(folder),
        "hard-link" => fs::hard_link(secret, folder.join("other")),
        "exchange" => exchange(&secret, &folder.join("decoy")),
        "rmdir-by-unlinkat" => remove(&folder.join("a")),
        "openat2" => openat2(folder),
        "mem-file" => mem_file(),
        "long-path" => long_path(folder),
        "copied" => fs::copy(secret, folder.join("copy")).map(drop),
        "reopen" => reopen(&secret),
        "stopped" => File::open(secret).map(drop),
        _ => return None,
    })
}

/// Programs. Most take the place of this one.
fn processes(name: &str, folder: &Path) -> Option<io::Result<()>> {
    Some(match name {
        NOTHING => Ok(()),
        "argv0" => nothing(folder).and_then(|mut command| Err(command.arg0("[kworker]").exec())),
        "renamed" => renamed(&folder.join("secret")),
        "exec-symlink" => exec_link(folder),
        "memfd-exec" => memfd(folder),
        "script" => script(folder),
        "builtin" => builtin(&folder.join("secret")),
        "long-argv" => long_argv(folder),
        "short-lived" => children(folder, "selftest-short", 100),
        "taken-file" => take(&folder.join("secret")),
        "module" => selfcheck::acts::no_module(),
        _ => return None,
    })
}

fn sockets(name: &str, _folder: &Path) -> Option<io::Result<()>> {
    Some(match name {
        "packet-socket" => rustix::net::socket(AddressFamily::PACKET, SocketType::RAW, None)
            .map(drop)
            .map_err(io::Error::from),
        "abstract-socket" => SocketAddr::from_abstract_name("monitor-selftest").map(|address| {
            // Nobody listens, which the kernel finds out by looking.
            let _refused = UnixStream::connect_addr(&address);
        }),
        // The port of `discard`.
        "datagram" => UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.send_to(b"x", "127.0.0.1:9").map(drop)),
        _ => return None,
    })
}

/// A command that does nothing, which has the folder in its arguments.
pub(super) fn nothing(folder: &Path) -> io::Result<Command> {
    Ok(does_nothing(Command::new(std::env::current_exe()?), folder))
}

fn does_nothing(mut command: Command, folder: &Path) -> Command {
    command.args([COMMAND, NOTHING]).arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn links(folder: &Path) -> io::Result<()> {
    symlink("secret", folder.join("link"))?;
    symlink(folder, folder.join("folder"))?;
    File::open(folder.join("link"))?;
    File::open(folder.join("folder/secret")).map(drop)
}

fn below_another_root(folder: &Path) -> io::Result<()> {
    rustix::process::chroot(folder)?;
    std::env::set_current_dir("/")?;
    File::open("secret").map(drop)
}

fn exchange(secret: &Path, decoy: &Path) -> io::Result<()> {
    let flags = RenameFlags::EXCHANGE;
    Ok(rustix::fs::renameat_with(CWD, decoy, CWD, secret, flags)?)
}

fn remove(directory: &Path) -> io::Result<()> {
    fs::remove_file(directory.join("name"))?;
    Ok(rustix::fs::unlinkat(CWD, directory, AtFlags::REMOVEDIR)?)
}

fn long_path(folder: &Path) -> io::Result<()> {
    std::env::set_current_dir(folder)?;
    File::open("./".repeat(1990) + "secret").map(drop)
}

fn reopen(secret: &Path) -> io::Result<()> {
    let path = rustix::fs::open(secret, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let again = format!("/proc/self/fd/{}", path.as_raw_fd());
    OpenOptions::new().write(true).open(again).map(drop)
}

fn renamed(secret: &Path) -> io::Result<()> {
    rustix::thread::set_name(c"sshd")?;
    File::open(secret).map(drop)
}

fn exec_link(folder: &Path) -> io::Result<()> {
    let link = folder.join("kworker");
    symlink(std::env::current_exe()?, &link)?;
    Err(does_nothing(Command::new(link), folder).exec())
}

fn builtin(secret: &Path) -> io::Result<()> {
    let mut shell = Command::new("/bin/sh");
    shell
        .arg0("sh")
        .args(["-c", "read line <\"$1\"; true", "sh"]);
    Err(shell.arg(secret).exec())
}

fn long_argv(folder: &Path) -> io::Result<()> {
    let long = "x".repeat(100_000);
    Err(nothing(folder)?.arg(long).arg("selftest-marker").exec())
}

fn spellings(folder: &Path) -> io::Result<()> {
    std::env::set_current_dir(folder)?;
    let directory = File::open(folder)?;
    let place = folder.display();
    let spellings = [
        "secret".to_owned(),
        "./secret".to_owned(),
        "a/../secret".to_owned(),
        format!("{place}//secret"),
        format!("/proc/self/root{place}/secret"),
        "/proc/self/cwd/secret".to_owned(),
        format!("/proc/self/fd/{}/secret", directory.as_raw_fd()),
        "/proc/self/root/proc/self/cwd/secret".to_owned(),
    ];
    for spelling in spellings {
        File::open(spelling)?;
    }
    Ok(())
}

/// The directory's number stands for another one when the call is over.
fn dirfd(folder: &Path) -> io::Result<()> {
    let open =
        |path: PathBuf| rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    for _ in 0..50 {
        let directory = open(folder.join("a"))?;
        let file = rustix::fs::openat(&directory, "name", OFlags::CLOEXEC, Mode::empty())?;
        drop(directory);
        let other = open(folder.join("b"))?;
        drop((file, other));
    }
    Ok(())
}

fn openat2(folder: &Path) -> io::Result<()> {
    let directory = rustix::fs::open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH;
    rustix::fs::openat2(&directory, "secret", flags, Mode::empty(), beneath)?;
    Ok(())
}

fn memfd(folder: &Path) -> io::Result<()> {
    let memory = rustix::fs::memfd_create("selftest", MemfdFlags::CLOEXEC)?;
    let mut copy = File::from(memory);
    io::copy(&mut File::open(std::env::current_exe()?)?, &mut copy)?;
    // A file that is open for writing does not run.
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    let readable = File::open(path)?;
    drop(copy);
    let program = format!("/proc/self/fd/{}", readable.as_raw_fd());
    Err(does_nothing(Command::new(program), folder).exec())
}

fn script(folder: &Path) -> io::Result<()> {
    let path = folder.join("script");
    let mut file = File::create(&path)?;
    file.write_all(b"#!/bin/sh\ntrue\n")?;
    file.set_permissions(fs::Permissions::from_mode(0o700))?;
    drop(file);
    Err(Command::new(path).exec())
}

/// Opens a child's memory and writes nothing to it.
fn mem_file() -> io::Result<()> {
    let mut child = Command::new("/bin/sleep").arg("5").spawn()?;
    let memory = OpenOptions::new()
        .write(true)
        .open(format!("/proc/{}/mem", child.id()));
    child.kill()?;
    child.wait()?;
    memory.map(drop)
}

/// Takes the open file of a child.
fn take(secret: &Path) -> io::Result<()> {
    let mut command = Command::new("/bin/sleep");
    let mut child = command.arg("5").stdin(File::open(secret)?).spawn()?;
    let taken = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        .and_then(|process| pidfd_getfd(process, 0, PidfdGetfdFlags::empty()));
    child.kill()?;
    child.wait()?;
    taken.map(drop).map_err(io::Error::from)
}

/// Children that end at once, under a first argument of their own.
fn children(folder: &Path, name: &str, count: usize) -> io::Result<()> {
    for _ in 0..count {
        nothing(folder)?.arg0(name).status()?;
    }
    Ok(())
}
