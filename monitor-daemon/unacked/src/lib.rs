//! How much of what was sent over a TCP connection the other side has not acknowledged.
//!
//! A crate of its own, because `ioctl(2)` is unsafe and no library has this request of it.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

/// `SIOCOUTQ` of tcp(7), bytes: those that wait to be sent, and those that are on their way. After
/// the connection's end, what was not acknowledged by then.
///
/// # Errors
/// What the kernel says.
pub fn unacked(stream: &TcpStream) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: of a socket's requests this one writes an `int`, to a value that outlives the call.
    let done = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 {
        // It is never negative.
        Ok(u64::try_from(bytes).unwrap_or_default())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_the_other_side_has_no_room_for_is_not_acknowledged_until_it_reads() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut sender = TcpStream::connect(listener.local_addr()?)?;
        let (mut receiver, _) = listener.accept()?;
        sender.set_nonblocking(true)?;
        let mut sent = 0;
        while let Ok(count) = sender.write(&[0; 1 << 12]) {
            sent += count;
        }
        assert!(unacked(&sender)? > 0);
        receiver.read_exact(&mut vec![0; sent])?;
        let start = Instant::now();
        while unacked(&sender)? > 0 {
            assert!(start.elapsed() < Duration::from_secs(30));
        }
        Ok(())
    }
}
