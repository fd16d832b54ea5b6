//! `cargo xtask vm`: one shell command in a guest, with the daemon and further programs in `/bin`.
//!
//! Arguments: the kernel's series, the command, then paths of programs. Exits with the command's
//! status.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use monitor_tests::tree::Tree;
use monitor_tests::{paths, vm};

const WITHIN: Duration = Duration::from_mins(10);

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let series = arguments.next().context("the kernel's series is missing")?;
    let command = arguments.next().context("the command is missing")?;
    let (files, daemon) = if series.ends_with(vm::ARM) {
        let [daemon, busybox] = paths::arm_programs()?;
        (Tree::with_busybox(&busybox)?, daemon)
    } else {
        (Tree::busybox()?, paths::daemon()?)
    };
    files.program("/bin/monitor-daemon", &daemon)?;
    for program in arguments {
        let program = Path::new(&program);
        let name = program
            .file_name()
            .context("a program has no name")?
            .to_string_lossy();
        files.program(&format!("/bin/{name}"), program)?;
    }
    let output = vm::run(&series, &files, &command, WITHIN)?;
    if output.status != 0 {
        eprintln!(
            "exit status {}; the kernel's console:\n{}",
            output.status, output.console
        );
    }
    Ok(ExitCode::from(u8::try_from(output.status).unwrap_or(1)))
}
