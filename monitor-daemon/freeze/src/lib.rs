//! Freezing of BPF maps, from when on only programs in the kernel can write to them and nobody can by
//! `bpf(2)`; and trying of a few instructions, for what only the verifier can tell.
//!
//! A crate of its own, because a system call without a wrapper is unsafe, and nothing else that runs
//! in user space is.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// `BPF_MAP_FREEZE` of `enum bpf_cmd`, `include/uapi/linux/bpf.h`; since 5.2.
const MAP_FREEZE: libc::c_int = 22;
/// `BPF_PROG_LOAD`, likewise.
const PROG_LOAD: libc::c_int = 5;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT` of `enum bpf_prog_type`; since 4.17.
pub const RAW_TRACEPOINT: u32 = 17;
/// `BPF_PROG_TYPE_XDP`, of programs that may drop packets; since 4.8.
pub const XDP: u32 = 6;

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

/// The first members of `union bpf_attr` for programs; the kernel takes what follows for 0.
#[repr(C)]
struct Program<'a> {
    kind: u32,
    count: u32,
    instructions: &'a [u8; 8],
    license: *const libc::c_char,
}

/// Whether the kernel takes a program of this type with these instructions; it is loaded, never
/// attached, and gone again on return.
///
/// # Errors
/// What the kernel says: `EINVAL` or `EACCES` where the verifier refuses it, `EPERM` without
/// `CAP_BPF`, and `CAP_PERFMON` or, for [`XDP`], `CAP_NET_ADMIN`, `E2BIG` for none.
pub fn takes(kind: u32, instructions: &[[u8; 8]]) -> io::Result<()> {
    let Some(first) = instructions.first() else {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    };
    let program = Program {
        kind,
        count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: first,
        license: c"GPL".as_ptr(),
    };
    // SAFETY: the kernel reads as many bytes as are passed, as many instructions as are counted, and
    // the license up to its NUL, all of values that outlive the call; it writes to none.
    let loaded = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            &raw const program,
            size_of::<Program<'_>>(),
        )
    };
    let Ok(loaded @ 0..) = i32::try_from(loaded) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: the kernel has just given this descriptor, and nobody else knows of it.
    drop(unsafe { OwnedFd::from_raw_fd(loaded) });
    Ok(())
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

    #[test]
    fn what_ends_in_nothing_is_refused() {
        const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
        const NOTHING: [u8; 8] = [0xb7, 0, 0, 0, 0, 0, 0, 0];
        assert!(takes(RAW_TRACEPOINT, &[]).is_err());
        assert!(takes(RAW_TRACEPOINT, &[NOTHING]).is_err());
        let taken = takes(RAW_TRACEPOINT, &[NOTHING, EXIT]).map_err(|error| error.raw_os_error());
        // Where the caller may not use bpf(2).
        let known = [Ok(()), Err(Some(libc::EPERM)), Err(Some(libc::ENOSYS))];
        assert!(known.contains(&taken), "{taken:?}");
    }
}
