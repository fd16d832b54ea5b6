//! Kernel programs, linked into one object.
#![no_std]
#![no_main]

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};

/// Present only in objects built for this layout of records; the loader insists on it.
#[unsafe(no_mangle)]
static MONITOR_ABI_1: Global<u32> = Global::new(monitor_common::ABI_VERSION);

#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec(_ctx: BtfTracePointContext) -> i32 {
    MONITOR_ABI_1.load() as i32
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
