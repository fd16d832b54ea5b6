//! What the self-test does as evading programs do, and only unsafe code can: arguments that another
//! thread rewrites or that are not in memory, requests of `io_uring`, and calls of 32 bits. All of it
//! is harmless, and nothing but `selftest` calls it.
//!
//! A crate of its own, so that the daemon needs no unsafe code for what it never does itself.

mod narrow;
mod ring;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::atomic::AtomicU8;

pub use narrow::open_narrow;
pub use ring::{connect_by_ring, open_by_ring};

const READ_ONLY: libc::c_int = libc::O_RDONLY | libc::O_CLOEXEC;
/// Bytes of an address of IPv4, `struct sockaddr_in`.
pub const ADDRESS_BYTES: usize = size_of::<libc::sockaddr_in>();
/// Bytes that [`open_unread`] maps: that many at least of a path are in the file, zeros behind it.
const MAPPED: usize = libc::PATH_MAX as usize;

/// Opens a path, a text that ends with a 0, in memory that other threads write to meanwhile.
///
/// # Errors
/// What the kernel says of the path that it found there.
pub fn open(path: &[AtomicU8]) -> io::Result<OwnedFd> {
    // SAFETY: the kernel copies the path, which lives as long as the call. It goes by no length but
    // the 0; where that is missing it reads on, up to `PATH_MAX` or the end of what is mapped, gives
    // an error for it, and writes nothing. To atomics others may write meanwhile.
    made(unsafe { libc::open(path.as_ptr().cast(), READ_ONLY) })
}

/// Connects a socket to an address of IPv4 (`struct sockaddr_in`) in memory that other threads write
/// to meanwhile.
///
/// # Errors
/// What the kernel says.
pub fn connect(socket: BorrowedFd<'_>, address: &[AtomicU8; ADDRESS_BYTES]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(address.len()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads as many bytes as are passed, of atomics that outlive the call, to
    // which others may write meanwhile.
    let done = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    done_or_error(done)
}

/// Opens the path that is written in a file, out of memory into which the file is mapped and that
/// nobody has read: its page comes when the kernel asks for it.
///
/// # Errors
/// What the kernel says.
pub fn open_unread(file: &File) -> io::Result<OwnedFd> {
    let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
    let number = file.as_raw_fd();
    // SAFETY: new memory at a place that the kernel chooses; nothing of Rust's lies there.
    let path = unsafe { libc::mmap(ptr::null_mut(), MAPPED, read, private, number, 0) };
    if path == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it only says what of the file is not needed in memory.
    unsafe { libc::posix_fadvise(number, 0, 0, libc::POSIX_FADV_DONTNEED) };
    // SAFETY: the kernel only reads, in the mapping or, where the path has no end, in what follows,
    // and tells of what is not there.
    let opened = made(unsafe { libc::open(path.cast(), READ_ONLY) });
    // SAFETY: it was mapped above, in this length, and no reference to it was made.
    unsafe { libc::munmap(path, MAPPED) };
    opened
}

/// The descriptor that a call gave, which is nobody's yet.
fn made(number: libc::c_int) -> io::Result<OwnedFd> {
    done_or_error(number.min(0))?;
    // SAFETY: the kernel has just given it to this process.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn done_or_error(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::{Seek as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const PATH: &str = "/proc/self/status";

    /// That the file which was opened is that one.
    fn is_it(opened: OwnedFd) -> io::Result<bool> {
        let (one, other) = (
            File::from(opened).metadata()?,
            File::open(PATH)?.metadata()?,
        );
        Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }

    #[test]
    fn a_path_in_atomics_is_opened() -> io::Result<()> {
        let path: Vec<AtomicU8> = (PATH.bytes().chain([0])).map(AtomicU8::new).collect();
        assert!(is_it(open(&path)?)?);
        Ok(())
    }

    #[test]
    fn a_path_in_a_file_is_opened() -> io::Result<()> {
        let mut file = tempfile::tempfile()?;
        file.write_all(PATH.as_bytes())?;
        file.rewind()?;
        assert!(is_it(open_unread(&file)?)?);
        assert!(open_unread(&File::open("/dev/null")?).is_err());
        Ok(())
    }

    #[test]
    fn what_a_ring_is_asked_for_is_done() -> io::Result<()> {
        let path = CString::new(PATH)?;
        match open_by_ring(&path) {
            Ok(opened) => assert!(is_it(opened)?),
            // A kernel or a sandbox without it.
            Err(error) => println!("SKIP: {error}"),
        }
        Ok(())
    }

    #[test]
    fn nobody_listens_at_an_address_in_atomics() -> io::Result<()> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        // AF_INET in the machine's order, the port 9, 127.0.0.1.
        let [low, high] = 2_u16.to_ne_bytes();
        let bytes = [low, high, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        connect(socket.as_fd(), &bytes.map(AtomicU8::new))?;
        assert_eq!(socket.peer_addr()?.to_string(), "127.0.0.1:9");
        Ok(())
    }
}
