//! Freezing of BPF maps: from then on only programs in the kernel can write to them, nobody can by
//! `bpf(2)`.
//!
//! A crate of its own, because a system call without a wrapper is unsafe, and nothing else that runs
//! in user space is.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `BPF_MAP_FREEZE` of `enum bpf_cmd`, `include/uapi/linux/bpf.h`; since 5.2.
const MAP_FREEZE: libc::c_int = 22;

/// The member of `union bpf_attr` for that command; the kernel takes what follows for 0.
#[repr(C)]
struct Attributes {
    map: u32,
}

/// Freezes a map, for as long as it is there.
///
/// # Errors
/// What the kernel says: `EBUSY` for one that is frozen or that is mapped to be written to, `EPERM`
/// without `CAP_BPF`.
pub fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = Attributes {
        map: map.as_raw_fd().cast_unsigned(),
    };
    // SAFETY: the kernel reads as many bytes as are passed, of a value that outlives the call, and
    // writes to none.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            MAP_FREEZE,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_is_no_map_is_refused() -> io::Result<()> {
        let file = File::open("/dev/null")?;
        let refused = freeze(file.as_fd()).map_err(|error| error.raw_os_error());
        // The latter where the caller may not use bpf(2).
        let known = [libc::EINVAL, libc::EPERM, libc::ENOSYS];
        assert!(known.iter().any(|error| refused == Err(Some(*error))));
        Ok(())
    }
}
