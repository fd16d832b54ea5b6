//! Kernel programs of `monitor`, linked into one object; the loader picks what the kernel takes.
//!
//! Each entry point is a shell around a body that returns `Result<(), LossReason>`; [`emit`]
//! counts. One file holds one family of events, as in `monitor-common`.
//!
//! Unsafe code is sound by the verifier: no program runs before the kernel has proved that each
//! plain load goes to memory the program owns, or through a pointer whose type BTF gives (where a
//! bad pointer reads as 0). Other kernel and user memory is read by helpers that check it.
//! Comments name what goes beyond that. Offsets come from BTF at load (`layout`).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod address;
mod again;
mod call;
mod cgroup;
mod dns;
mod early;
mod emit;
mod family;
mod fast_open;
mod file;
mod filter;
mod guard;
mod held;
mod layout;
mod memory;
mod message;
mod name;
mod network;
mod noted;
mod numbers;
mod object;
mod part;
mod passed;
mod process;
mod read;
mod record;
mod scope;
mod scratch;
mod serve;
mod standby;
mod syscall;
mod task;
mod tell;
mod uring;
mod walk;

use aya_ebpf::Global;

/// Present only in objects built for this layout of records; the loader insists on it.
#[unsafe(no_mangle)]
static MONITOR_ABI_8: Global<u32> = Global::new(monitor_common::ABI_VERSION);

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
