//! Virtual machines.

use std::time::Duration;

use anyhow::Result;
use monitor_tests::tree::Tree;
use monitor_tests::{skip_if, vm};

const WITHIN: Duration = Duration::from_mins(5);

#[test]
fn boots_and_gives_output_and_status() -> Result<()> {
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let files = Tree::busybox()?;
    files.file("/data", "a line from outside\n")?;
    let script = "uname -r; cat /data; grep -c cgroup2 /proc/mounts; cat /sys/kernel/security/lsm; \
                  ls /sys/kernel/btf/vmlinux; ip -o addr show lo; echo oops >&2; exit 7";
    let output = vm::run(vm::DEBIAN_12, &files, script, WITHIN)?;
    assert_eq!(output.status, 7, "{output:?}");
    assert!(output.text.starts_with("6.1."), "{output:?}");
    for expected in [
        "a line from outside\n1\n",
        "bpf",
        "/btf/vmlinux\n",
        "127.0.0.1",
        "oops\n",
    ] {
        assert!(output.text.contains(expected), "`{expected}` in {output:?}");
    }
    Ok(())
}

#[test]
fn says_what_the_console_said_when_the_guest_dies() -> Result<()> {
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let files = Tree::busybox()?;
    let error = vm::run(
        vm::DEBIAN_12,
        &files,
        "echo c > /proc/sysrq-trigger",
        WITHIN,
    )
    .unwrap_err();
    assert!(format!("{error:#}").contains("Kernel panic"), "{error:#}");
    Ok(())
}
