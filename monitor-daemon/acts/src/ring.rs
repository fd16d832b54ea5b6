//! Requests of `io_uring`, which are no system calls.

use std::ffi::CStr;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};

/// Opens a file.
///
/// # Errors
/// What the kernel says: `ENOSYS` or `EPERM` where there is no `io_uring` for this process.
pub fn open_by_ring(path: &CStr) -> io::Result<OwnedFd> {
    let request = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
        .flags(super::READ_ONLY)
        .build();
    // SAFETY: the path outlives the request, which is done when this returns.
    super::made(unsafe { ask(&request) }?)
}

/// Connects a socket.
///
/// # Errors
/// As above, and what comes of it.
pub fn connect_by_ring(socket: BorrowedFd<'_>, address: SocketAddrV4) -> io::Result<()> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(address.ip().octets()),
        },
        sin_zero: [0; 8],
    };
    let place = (&raw const address).cast();
    let length = size_of_val(&address) as libc::socklen_t;
    let request = opcode::Connect::new(types::Fd(socket.as_raw_fd()), place, length).build();
    // SAFETY: the address outlives the request, which is done when this returns.
    unsafe { ask(&request) }.map(drop)
}

/// Hands in one request, and waits until it is done.
///
/// # Safety
/// What the request points to is there until this returns.
unsafe fn ask(request: &Entry) -> io::Result<libc::c_int> {
    let mut ring = IoUring::new(1)?;
    // SAFETY: by this function's contract it is valid until it is done, which is waited for. Where
    // waiting fails, the ring ends here and the kernel, which has copied the path or the address of
    // a request that it took, is done with it.
    unsafe { ring.submission().push(request) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().map(|done| done.result());
    match result {
        Some(error @ ..0) => Err(io::Error::from_raw_os_error(-error)),
        Some(result) => Ok(result),
        None => Err(io::Error::other("a request was not done")),
    }
}
