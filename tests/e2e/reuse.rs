//! Process ids that are used again and again: nothing of an old process is told of a new one.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, paths, skip_if, vm};
use serde_json::Value;

use crate::guest::{BOOT_AND_RUN, ended_well, script, section};
use crate::world::text;

/// Rounds of three processes, in a guest that has a hundred ids for them.
const ROUNDS: usize = 200;

const RULES: &str = "\
- rule: opened
  desc: by a process that may have the id of an older one
  condition: evt.type in (open, openat) and fd.name startswith /tmp/reuse-
  output: >
    name=%fd.name pid=%proc.pid args=%proc.args exepath=%proc.exepath exe=%proc.exe
    parent=%proc.pname parent_exe=%proc.pexepath parent_command=%proc.pcmdline
  priority: NOTICE
- rule: ended
  desc: the last
  condition: evt.type = execve and proc.args = e2e-reuse-last
  output: the last
  priority: NOTICE
";

/// A program by its name, the same under another name, and a fork without a program of its own.
const WORK: &str = r#"
for i in $(seq ROUNDS); do
    /bin/sh -c ": > /tmp/reuse-sh-$i" n-$i
    ( : > /tmp/reuse-fork-$i )
    /bin/busybox2 sh -c ": > /tmp/reuse-other-$i"
done
"#;

#[test]
fn processes_with_the_ids_of_others_are_themselves() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let tree = Tree::busybox()?;
    let busybox = paths::program("busybox").context("busybox is missing")?;
    tree.program("/bin/busybox2", &busybox)?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    tree.file("/rules/own.yaml", RULES)?.file(
        "/rules/monitor.yaml",
        "rule_matching: all\nalerts:\n  stdout: off\nmetrics:\n  listen: off\n",
    )?;
    tree.file("/work.sh", WORK.replace("ROUNDS", &ROUNDS.to_string()))?;
    // The least that a kernel takes; ids below 300 are not given out again.
    let actions = "echo 400 > /proc/sys/kernel/pid_max\n/bin/sh /work.sh\n/bin/true e2e-reuse-last";
    let script = script("--policy /rules/own.yaml", actions, "the last");
    let output = vm::run(vm::DEBIAN_12, &tree, &script, BOOT_AND_RUN)?;
    let said = &output.text;
    ended_well(said)?;
    let mut told = BTreeMap::new();
    let mut pids: BTreeMap<u64, usize> = BTreeMap::new();
    for line in section(said, "alerts")?.lines() {
        let alert: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let fields = alert["output_fields"].clone();
        if let Some(pid) = fields["proc.pid"].as_u64() {
            *pids.entry(pid).or_default() += 1;
            told.insert(text(&fields, "fd.name").to_owned(), fields);
        }
    }
    let again = pids.values().filter(|uses| **uses > 1).count();
    ensure!(again > 50, "only {again} ids were used again");
    for round in 1..=ROUNDS {
        for expected in expected(round) {
            let fields = told.get(&expected[0].1);
            let fields = fields.with_context(|| format!("{} is missing", expected[0].1))?;
            for (name, value) in &expected {
                ensure!(
                    text(fields, name) == value,
                    "{name} is not {value}: {fields:#}"
                );
            }
        }
    }
    Ok(())
}

/// What each of the three processes of a round is told with, the file first.
fn expected(round: usize) -> [Vec<(&'static str, String)>; 3] {
    let process = |file: String, args: String, exe: &str, path: &str| {
        vec![
            ("fd.name", file),
            ("proc.args", args),
            ("proc.exe", exe.to_owned()),
            ("proc.exepath", path.to_owned()),
            ("proc.pname", "sh".to_owned()),
            ("proc.pexepath", "/bin/busybox".to_owned()),
            ("proc.pcmdline", "sh /work.sh".to_owned()),
        ]
    };
    let file = |kind| format!("/tmp/reuse-{kind}-{round}");
    [
        process(
            file("sh"),
            format!("-c : > {} n-{round}", file("sh")),
            "/bin/sh",
            "/bin/busybox",
        ),
        process(
            file("fork"),
            "/work.sh".to_owned(),
            "/bin/sh",
            "/bin/busybox",
        ),
        process(
            file("other"),
            format!("sh -c : > {}", file("other")),
            "/bin/busybox2",
            "/bin/busybox2",
        ),
    ]
}
