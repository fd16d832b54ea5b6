//! A call as 32-bit programs make it (`int 0x80`): another number, and a pointer below 4 GiB.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

/// Opens a file by such a call, which only x86 has. A kernel that takes none ends the process by
/// `SIGSEGV`.
///
/// # Errors
/// `Unsupported` on other machines, else what the kernel says.
#[cfg(not(target_arch = "x86_64"))]
pub fn open_narrow(_path: &CStr) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Opens a file by such a call, which only x86 has. A kernel that takes none ends the process by
/// `SIGSEGV`.
///
/// # Errors
/// `Unsupported` on other machines, else what the kernel says.
#[cfg(target_arch = "x86_64")]
pub fn open_narrow(path: &CStr) -> io::Result<OwnedFd> {
    /// `open` of `arch/x86/entry/syscalls/syscall_32.tbl`.
    const OPEN: i64 = 5;
    let bytes = path.to_bytes_with_nul();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    // SAFETY: new memory at a place that the kernel chooses; nothing of Rust's lies there.
    let low = unsafe { libc::mmap(std::ptr::null_mut(), bytes.len(), access, kind, -1, 0) };
    if low == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as many bytes were mapped, to be written to, and nobody else knows of them.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), low.cast(), bytes.len()) };
    let mut result = OPEN;
    // SAFETY: the kernel reads the path, which ends with a 0, and writes to no memory. `rbx`, which
    // the compiler keeps for itself, has its value again behind; the kernel may change the other
    // registers that are named.
    unsafe {
        std::arch::asm!(
            "xchg {path}, rbx",
            "int 0x80",
            "xchg {path}, rbx",
            path = inout(reg) low => _,
            inout("rax") result,
            in("rcx") i64::from(super::READ_ONLY),
            in("rdx") 0,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    // SAFETY: it was mapped above, in this length, and no reference to it was made.
    unsafe { libc::munmap(low, bytes.len()) };
    // A negative number of 32 bits is that of an error.
    match result as i32 {
        error @ ..0 => Err(io::Error::from_raw_os_error(-error)),
        number => super::made(number),
    }
}
