//! The clock of the host jumps while numbered alerts are raised, and whatever else `tests/chaos` has
//! go wrong: in a guest, whose clock is nobody else's.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::wait::SLOWER;
use monitor_tests::{daemon, paths, skip_if, vm};

/// Each kind of fault at least once, the clock last.
const ROUNDS: usize = 12;
/// Emulation without help by the hardware.
const WITHIN: Duration = Duration::from_mins(10);
/// Where the guest has the daemon before it stands where the program looks for it.
const DAEMON: &str = "/bin/monitor-daemon";

#[test]
fn no_alert_is_lost_when_the_clock_jumps() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let tree = Tree::busybox()?;
    let daemon = paths::daemon()?;
    tree.program(DAEMON, &daemon)?;
    tree.program("/bin/chaos", env!("CARGO_BIN_EXE_chaos").as_ref())?;
    let folder = daemon.parent().context("the daemon has no folder")?;
    let script = format!(
        "mkdir -p {}\nln -s {DAEMON} {}\nexport {SLOWER}=6\nchaos {ROUNDS} clock\n",
        folder.display(),
        daemon.display(),
    );
    let output = vm::run(vm::DEBIAN_12, &tree, &script, WITHIN)?;
    ensure!(
        output.status == 0,
        "status {}: {}\n{}",
        output.status,
        output.text,
        output.console
    );
    Ok(())
}
