//! `monitor-daemon`: a thin shell around the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    monitor_daemon::cli::main()
}
