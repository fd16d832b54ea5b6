//! Loading a BPF program that is hung in nowhere.

use std::io;
use std::os::fd::OwnedFd;

/// `BPF_PROG_LOAD` of `enum bpf_cmd`, and a type of program, `include/uapi/linux/bpf.h`.
const PROG_LOAD: libc::c_int = 5;
const XDP: u32 = 6;

/// The first members of `union bpf_attr` for that command; the kernel takes what follows for 0.
#[repr(C)]
struct Attributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

/// Loads a program of the type that may drop packets (XDP): `return XDP_PASS`. It goes with its
/// descriptor.
///
/// # Errors
/// What the kernel says: `EPERM` without `CAP_BPF` and `CAP_NET_ADMIN`.
pub fn load_program() -> io::Result<OwnedFd> {
    /// `r0 = 2` and `exit`, each an operation, registers, an offset of 16 bits and a number of 32.
    const PROGRAM: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    let attributes = Attributes {
        kind: XDP,
        instruction_count: 2,
        instructions: PROGRAM.as_ptr().addr() as u64,
        license: c"GPL".as_ptr().addr() as u64,
    };
    // SAFETY: the kernel reads as many bytes as are passed, as many instructions as they say and a
    // text that ends with a 0, which all outlive the call, and writes to none.
    let loaded = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    // A descriptor is an `int`.
    super::made(loaded as libc::c_int)
}
