//! `socketcall(2)`: all calls of sockets behind one number, as old programs of 32 bits have it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use monitor_tests::daemon::{self, is_from};
use monitor_tests::{c, skip_if};
use serde_json::json;

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, assert_fields, watch};

const RULE: &str = "through socketcall";

pub(crate) const PROGRAM: &str = "e2e-socketcall";

/// Binds, listens, connects, sends a datagram and accepts, without a library.
const SOURCE: &str = r#"
static int call(int number, void *arguments) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result)
        : "0"(102), "b"(number), "c"(arguments) : "memory");
    return result;
}
void _start(void) {
    /* 127.0.0.1, port 43445; a socket that nobody listens at: 43446 */
    struct { unsigned short family, port; unsigned address, none[2]; }
        to = {2, 0xb5a9, 0x0100007f, {0, 0}}, other = {2, 0xb6a9, 0x0100007f, {0, 0}};
    int reuse = 1;
    int stream[3] = {2, 1, 0}, datagram[3] = {2, 2, 0};
    int server = call(1, stream), client = call(1, stream), sender = call(1, datagram);
    int option[5] = {server, 1, 2, (int)&reuse, 4};
    int bind[3] = {server, (int)&to, 16}, listen[2] = {server, 5};
    int connect[3] = {client, (int)&to, 16}, accept[4] = {server, 0, 0, 0};
    int send[6] = {sender, (int)"hi", 2, 0, (int)&other, 16};
    int bad = call(14, option) || call(2, bind) || call(4, listen) || call(3, connect)
        || call(18, accept) < 0 || call(11, send) != 2;
    __asm__ volatile("int $0x80" : : "a"(1), "b"(bad));
}
"#;

/// Type of the event, address, result.
const EXPECTED: &[(&str, &str)] = &[
    ("socket", ""),
    ("bind", "127.0.0.1:43445"),
    ("listen", "127.0.0.1:43445"),
    ("connect", "->127.0.0.1:43445"),
    ("accept4", "->127.0.0.1:43445"),
    ("sendto", "127.0.0.1:43446"),
];

pub(crate) fn compile(program: &Path) -> Result<()> {
    let source = program.with_extension("c");
    std::fs::write(&source, SOURCE)?;
    let mut compiler = Command::new("gcc");
    compiler.args([
        "-m32",
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
    ]);
    succeed(
        compiler
            .args(["-w", "-fno-pic", "-no-pie", "-o"])
            .args([program, &source]),
    )?;
    Ok(())
}

#[test]
fn calls_through_socketcall() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(c::obstacle(PROGRAM));
    let programs = Programs::new()?;
    let program = programs.folder().join(PROGRAM);
    c::provide(&program, compile)?;
    let types: Vec<&str> = EXPECTED.iter().map(|(name, _)| *name).collect();
    let rules = format!(
        "- rule: {RULE}\n  desc: a case\n  condition: evt.type in ({}) and proc.name = \
         {PROGRAM}\n  output: it did %evt.type %fd.name %evt.rawres %fd.l4proto\n  priority: \
         NOTICE\n",
        types.join(", ")
    );
    let mut daemon = watch(&programs, &rules, "")?;
    let mark = daemon.mark()?;
    succeed(&mut Command::new(program))?;
    for (event, address) in EXPECTED {
        let alert = daemon.wait_for_since(mark, event, PATIENCE, |alert| {
            let fields = &alert["output_fields"];
            let name = fields["fd.name"].as_str().unwrap_or_default();
            is_from(alert, RULE) && fields["evt.type"] == *event && name.ends_with(address)
        })?;
        let protocol = if *event == "sendto" { "udp" } else { "tcp" };
        if *event != "socket" {
            assert_fields(&alert, &[("fd.l4proto", json!(protocol))]);
        }
    }
    Ok(())
}
