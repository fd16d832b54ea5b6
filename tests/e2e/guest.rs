//! The object tier, which many kernels refuse to their users: in a guest with Debian 12's kernel.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, paths, skip_if, vm};
use serde_json::{Value, json};

use crate::world::{assert_fields, text};

pub(crate) const BOOT_AND_RUN: Duration = Duration::from_mins(5);

/// What the guest does.
const ACTIONS: &str = r"
ln -s /etc /tmp/alias
/bin/find /etc -name id_rsa
/bin/cat /etc/shadow
/bin/head -n 1 /tmp/alias/shadow
uring-open /tmp/alias/../etc/./shadow
uring-open /etc/hosts
/bin/nc -w 1 127.0.0.1 4343 </dev/null
/nonexistent/program
/bin/cat /etc/nothing/../../etc/nothing
perl -e '($p, $n) = qw(/tmp/alias/hosts none); $s = pack(q(Q4), 1, 0, 0, 0);
    syscall(188, $p, $n, $n, 4, 0); syscall(189, $p, $n, $n, 4, 0); syscall(197, $p, $n);
    syscall(198, $p, $n); syscall(428, -100, $p, 0); syscall(433, -100, $p, 0);
    syscall(442, -100, $p, 0, $s, 32); syscall(167, $p, 0); syscall(168, $p)'
perl -e 'open F, q(<), q(/modules/dummy.ko) or die; $n = q(dummy); $p = q(numdummies=0);
    { local $/; $i = <F> } syscall(313, fileno F, $p, 0); syscall(176, $n, 2048);
    syscall(175, $i, length $i, $p); syscall(176, $n, 0)'
/bin/grep 'BEGIN RSA PRIVATE' /dev/null fence
";

const OWN: &str = r"
- rule: connect to 4343
  desc: the case's own connection
  condition: evt.type = connect and fd.sport = 4343
  output: connect | name=%fd.name res=%evt.res num=%fd.num proc=%proc.name
  priority: NOTICE
- rule: resolved
  desc: calls on a file by a link to its folder
  condition: >
    evt.type in (setxattr, lsetxattr, removexattr, lremovexattr, open_tree, fspick, mount_setattr,
    swapon, swapoff) and evt.args contains /etc/hosts
  output: on the file | type=%evt.type args=%evt.args
  priority: NOTICE
- rule: modules
  desc: what loads and removes kernel modules
  condition: evt.type in (finit_module, init_module, delete_module)
  output: module | %evt.type %evt.res %fd.name %evt.arg.name %evt.arg.uargs %proc.name
  priority: NOTICE
";

/// Calls of [`ACTIONS`] whose names the kernel resolves.
const RESOLVED: [&str; 9] = [
    "setxattr",
    "lsetxattr",
    "removexattr",
    "lremovexattr",
    "open_tree",
    "fspick",
    "mount_setattr",
    "swapon",
    "swapoff",
];

/// The daemon's own rule on what the guest loads.
const OWN_RULE: &str = "Kernel module loaded from an unusual place";

#[test]
fn the_object_tier_sees_exec_open_and_connect() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(vm::obstacle(vm::DEBIAN_12));
    let modules = paths::guest_modules(vm::DEBIAN_12);
    skip_if!(modules.as_ref().err().map(ToString::to_string));
    let rules = paths::upstream_rules();
    skip_if!(
        rules
            .is_none()
            .then(|| "upstream's rules are missing".to_owned())
    );
    let rules = std::fs::read(rules.unwrap_or_default().join("falco_rules.yaml"))?;
    let tree = Tree::busybox()?;
    tree.program("/bin/monitor-daemon", &paths::daemon()?)?;
    tree.program(
        "/bin/perl",
        &paths::program("perl").context("perl is missing")?,
    )?;
    tree.program("/bin/uring-open", env!("CARGO_BIN_EXE_uring-open").as_ref())?;
    tree.copy("/modules", &modules?)?;
    tree.file("/etc/hosts", "127.0.0.1 localhost\n")?;
    tree.file("/rules/falco_rules.yaml", rules)?
        .file("/rules/own.yaml", OWN)?
        .file(
            "/rules/kernel.yaml",
            std::fs::read(paths::root().join("policies/kernel.yaml"))?,
        )?;
    tree.file(
        "/rules/monitor.yaml",
        "rule_matching: all\nmetrics:\n  listen: off\n",
    )?;
    let policies = "--policy /rules/kernel.yaml --policy /rules/falco_rules.yaml \
                    --policy /rules/own.yaml";
    let output = vm::run(
        vm::DEBIAN_12,
        &tree,
        &script(policies, ACTIONS, "fence"),
        BOOT_AND_RUN,
    )?;
    ended_well(&output.text)?;

    let alerts = alerts(&output.text)?;
    exec(&alerts)?;
    opens(&alerts)?;
    connect(&alerts)?;
    resolved(&alerts)?;
    module(&alerts)?;
    tiers(&output.text)
}

/// A script for a guest that watches with `policies` (arguments), acts, waits for an alert with
/// `last` in it, and prints log, alerts and `doctor`'s report between marks.
pub(crate) fn script(policies: &str, actions: &str, last: &str) -> String {
    format!(
        r#"
monitor-daemon run --every-alert --config /rules/monitor.yaml {policies} --alerts /tmp/alerts 2>/tmp/log &
daemon=$!
tries=0
until grep -q '^ready' /tmp/log; do
    tries=$((tries + 1)); [ $tries -lt 3000 ] || {{ cat /tmp/log; exit 1; }}
    kill -0 $daemon || {{ cat /tmp/log; exit 1; }}
    usleep 100000
done
{actions}
tries=0
until grep -q '{last}' /tmp/alerts; do
    tries=$((tries + 1)); [ $tries -lt 300 ] || break
    usleep 100000
done
kill -TERM $daemon; wait $daemon; echo "status $?"
echo '== log'; cat /tmp/log
echo '== alerts'; cat /tmp/alerts
echo '== doctor'; monitor-daemon doctor --format json
echo '== end'
"#
    )
}

/// That the daemon of [`script`] ended of itself, when it was told to.
pub(crate) fn ended_well(text: &str) -> Result<()> {
    let well = text.lines().any(|line| line == "status 0");
    ensure!(well, "the daemon's end:\n{text}");
    Ok(())
}

/// What the script printed behind a mark.
pub(crate) fn section<'t>(text: &'t str, name: &str) -> Result<&'t str> {
    let start = text
        .split_once(&format!("== {name}\n"))
        .context(name.to_owned())?
        .1;
    Ok(start
        .split_once("\n== ")
        .map_or(start, |(section, _)| section))
}

pub(crate) fn alerts(text: &str) -> Result<Vec<Value>> {
    let lines = section(text, "alerts")?.lines();
    lines
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn find<'a>(alerts: &'a [Value], rule: &str, name: &str, value: &str) -> Result<&'a Value> {
    let fits = |alert: &&Value| {
        is_from(alert, rule) && text(&alert["output_fields"], name).contains(value)
    };
    let found = alerts.iter().find(fits);
    found.with_context(|| format!("no alert of `{rule}` with {name} {value} in {alerts:#?}"))
}

fn exec(alerts: &[Value]) -> Result<()> {
    let rule = "Search Private Keys or Passwords";
    let alert = find(alerts, rule, "proc.cmdline", "id_rsa")?;
    let expected = [
        ("proc.name", json!("find")),
        ("proc.exepath", json!("/bin/busybox")),
        ("proc.pname", json!("sh")),
        ("container.id", json!("host")),
    ];
    assert_fields(alert, &expected);
    Ok(())
}

fn opens(alerts: &[Value]) -> Result<()> {
    let rule = "Read sensitive file untrusted";
    for program in ["cat", "head", "uring-open"] {
        let alert = find(alerts, rule, "proc.name", program)?;
        assert_fields(alert, &[("fd.name", json!("/etc/shadow"))]);
    }
    let count = alerts.iter().filter(|alert| is_from(alert, rule)).count();
    ensure!(count == 3, "{count} alerts of `{rule}`: {alerts:#?}");
    Ok(())
}

fn connect(alerts: &[Value]) -> Result<()> {
    let alert = find(alerts, "connect to 4343", "proc.name", "nc")?;
    assert_fields(alert, &[("evt.res", json!("ECONNREFUSED"))]);
    ensure!(
        text(&alert["output_fields"], "fd.name").ends_with("127.0.0.1:4343"),
        "{alert}"
    );
    Ok(())
}

fn resolved(alerts: &[Value]) -> Result<()> {
    let alerts = alerts.iter().filter(|alert| is_from(alert, "resolved"));
    let types: Vec<&str> = alerts
        .map(|alert| text(&alert["output_fields"], "evt.type"))
        .collect();
    ensure!(types == RESOLVED, "{types:?}");
    Ok(())
}

/// A module that is loaded from its file and from memory, and removed each time.
fn module(alerts: &[Value]) -> Result<()> {
    let told: Vec<Value> = alerts
        .iter()
        .filter(|alert| is_from(alert, "modules"))
        .map(|alert| {
            let fields = &alert["output_fields"];
            let names = [
                "evt.type",
                "evt.res",
                "fd.name",
                "evt.arg.name",
                "evt.arg.uargs",
            ];
            names.iter().map(|name| fields[*name].clone()).collect()
        })
        .collect();
    let file = "/modules/dummy.ko";
    let expected = json!([
        ["finit_module", "SUCCESS", file, null, "numdummies=0"],
        ["delete_module", "SUCCESS", null, "dummy", null],
        ["init_module", "SUCCESS", null, null, "numdummies=0"],
        ["delete_module", "SUCCESS", null, "dummy", null],
    ]);
    ensure!(json!(told) == expected, "{told:#?}");
    let alert = find(alerts, OWN_RULE, "fd.name", file)?;
    assert_fields(alert, &[("proc.exepath", json!("/bin/perl"))]);
    Ok(())
}

fn tiers(text: &str) -> Result<()> {
    let report: Value = serde_json::from_str(section(text, "doctor")?)?;
    let kinds = report["coverage"]
        .as_array()
        .context("no coverage in doctor's report")?;
    for name in ["open", "connect", "socket", "symlink", "link", "ptrace"] {
        let kind = kinds
            .iter()
            .find(|kind| kind["kind"] == name)
            .context(name)?;
        ensure!(kind["tier"] == "object", "{kind:#}");
    }
    Ok(())
}
