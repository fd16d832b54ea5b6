//! What the kernel leaves out: nothing that a rule matches, whoever moves where.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::cgroup::{self, Cgroup};
use monitor_tests::daemon::Daemon;
use monitor_tests::{daemon, http, skip_if, wait};
use serde_json::Value;

use crate::actions::{Programs, perl, succeed};
use crate::world::{PATIENCE, is_watching, text, watch};

const RULES: &str = "
- rule: inside
  desc: an open of a container's
  condition: >
    evt.type in (open, openat) and container.id != host
    and (fd.name endswith .e2e-secret or fd.name endswith .e2e-inside)
  output: inside | file=%fd.name
  priority: NOTICE
- rule: outside
  desc: an open of the host's
  condition: evt.type in (open, openat) and container.id = host and fd.name endswith .e2e-secret
  output: outside | file=%fd.name
  priority: NOTICE
- rule: written
  desc: an open to write
  condition: evt.type in (open, openat) and evt.is_open_write = true and fd.name endswith .e2e-file
  output: written | file=%fd.name
  priority: NOTICE
- rule: missing
  desc: an open of what is not there
  condition: evt.type in (open, openat) and evt.res = ENOENT and fd.name endswith /e2e-missing
  output: missing | file=%fd.name
  priority: NOTICE
- rule: connected
  desc: a connection of a container's
  condition: evt.type = connect and container.id != host and fd.snet = 127.1.0.0/16
  output: connected | address=%fd.sip
  priority: NOTICE
- rule: refused
  desc: one of the host's that is refused
  condition: >
    evt.type = connect and container.id = host and evt.res = ECONNREFUSED and fd.sport = 43461
    and fd.net != 127.1.0.0/16 and fd.typechar = 4
  output: refused | address=%fd.sip
  priority: NOTICE
- rule: accepted
  desc: a connection that the host serves
  condition: >
    evt.type in (accept, accept4) and container.id = host and fd.lnet = 127.1.0.0/16
    and fd.l4proto = tcp
  output: accepted | address=%fd.sip
  priority: NOTICE
- rule: sent
  desc: a message of a container's
  condition: evt.type = sendto and fd.rnet = 127.3.0.0/16 and container.id != host
  output: sent | address=%fd.rip
  priority: NOTICE
- rule: local
  desc: a socket of a container's for this machine
  condition: evt.type = socket and evt.arg.domain contains AF_UNIX and container.id != host
  output: local
  priority: NOTICE
- rule: serves
  desc: a container that serves; only whose it is decides
  condition: evt.type = listen and container.id != host
  output: serves | address=%fd.sip
  priority: NOTICE
- rule: bound
  desc: what nobody does
  condition: evt.type = bind and fd.sip = 203.0.113.1
  output: bound
  priority: NOTICE
- rule: removed
  desc: a file that a container removes
  condition: evt.type in (unlink, unlinkat) and container.id != host and evt.res = SUCCESS
  output: removed | file=%fs.path.name
  priority: NOTICE
- rule: kept
  desc: one that the host cannot remove
  condition: evt.type = unlink and evt.rawres = -2 and evt.arg.path endswith .e2e-none
  output: kept | file=%evt.arg.path
  priority: NOTICE
- rule: renamed
  desc: a file that a container renames
  condition: evt.type in (rename, renameat2) and container.id != host
  output: renamed | file=%fs.path.target
  priority: NOTICE
- rule: linked
  desc: a link that a container makes
  condition: evt.type in (link, symlink) and container.id != host and evt.failed = false
  output: linked | file=%fs.path.name
  priority: NOTICE
- rule: made
  desc: a directory that a container makes
  condition: evt.type = mkdir and container.id != host
  output: made | file=%fs.path.name
  priority: NOTICE
- rule: privileged
  desc: a file that will run as its owner
  condition: evt.type in (chmod, fchmodat) and evt.arg.mode contains S_ISUID
  output: privileged | file=%fs.path.name
  priority: NOTICE
- rule: owned
  desc: a file that a container gives away
  condition: evt.type in (chown, fchownat) and container.id != host
  output: owned | file=%fs.path.name
  priority: NOTICE
- rule: mapped
  desc: code that is mapped by somebody in a container
  condition: evt.type = mmap and evt.arg.prot contains PROT_EXEC and fd.name endswith .e2e-code
  output: mapped | file=%fd.name
  priority: NOTICE
- rule: signalled
  desc: a signal that nobody sends by accident
  condition: evt.type = kill and evt.arg.sig = SIGWINCH and container.id != host
  output: signalled
  priority: NOTICE
- rule: became
  desc: a user that somebody in a container becomes
  condition: evt.type = setuid and container.id != host and evt.res = SUCCESS
  output: became
  priority: NOTICE
- rule: needle
  desc: tells that the daemon watches
  condition: evt.type = execve and proc.exepath endswith /true
  output: needle
  priority: NOTICE
";

/// A server and its client, one that finds none, a message, and a socket, all of this number.
const NETWORK: &str = "
    sub address { pack('SnCCCCx8', 2, 43461, 127, $_[0], 0, $ARGV[0]) }
    socket(L, 2, 1, 0) and setsockopt(L, 1, 2, 1) and bind(L, address(1)) or exit 1;
    listen(L, 1) and socket(C, 2, 1, 0) and connect(C, address(1)) and accept(A, L) or exit 2;
    socket(F, 2, 1, 0) or exit 3; connect(F, address(2)) and exit 4;
    socket(D, 2, 2, 0) and send(D, 'x', 0, address(3)) or exit 5;
    socket(U, 1, 1, 0) or exit 6";

/// What is done with files, signals and ids, all of this number.
const CALLS: &str = "
    my $n = $ARGV[0];
    for my $name (qw(gone old code)) { open(F, '>', \"$n.e2e-$name\") or exit 1; close(F) }
    mkdir(\"$n.e2e-made\") and symlink('x', \"$n.e2e-link\") or exit 2;
    chmod(0755, \"$n.e2e-code\"); chmod(04755, \"$n.e2e-code\"); chown(0, 0, \"$n.e2e-code\");
    open(F, '+<', \"$n.e2e-code\") or exit 3;
    # To run, private, and to write, shared: only the first is what a rule asks for.
    syscall(9, 0, 4096, 4, 2, fileno(F), 0); syscall(9, 0, 4096, 3, 1, fileno(F), 0);
    rename(\"$n.e2e-old\", \"$n.e2e-new\") and unlink(\"$n.e2e-gone\") or exit 4;
    # What is not there, perl itself does not try to remove.
    syscall(87, \"$n.e2e-none\") == -1 or exit 5;
    kill(0, $$); kill('WINCH', $$); syscall(105, 0);
    unlink(\"$n.e2e-link\", \"$n.e2e-new\", \"$n.e2e-code\"); rmdir(\"$n.e2e-made\")";

/// A shell that goes into a container's cgroup ($1) and out again ($2), and what it opens there.
const WORK: &str = r#"
network() { perl -e "$code" "$1"; perl -e "$calls" "$1"; }
code=$3
calls=$4
network 1
: < 1.e2e-secret
: < 1.e2e-inside
# Names that a dentry holds itself end at 31 or 39 bytes; texts are compared up to 128.
for length in 14 15 22 23 24 30 31; do
    : > "$(printf "%0${length}d" 0).e2e-file"
done
long=$(printf '%070d' 0)
mkdir -p "$long/$long"
: > "$long/$long/long.e2e-file"
: > "$PWD/$long/$long/whole.e2e-file"
( cd "$long"; : > "../$long/$long/up.e2e-file"; : > "$long/below.e2e-file" )
( : < 2.e2e-secret )
: > 3.e2e-file
: < 3.e2e-file
: < link
: < ./folder/../4.e2e-secret
( : < e2e-missing ) 2> /dev/null || true
( echo 0 > "$1"; : < 5.e2e-secret; : < 5.e2e-inside; network 2 )
echo $$ > "$1"
network 3
: < 6.e2e-secret
( : < 7.e2e-secret )
echo $$ > "$2"
network 4
: < 8.e2e-secret
( : < 9.e2e-secret; : < 9.e2e-inside )
"#;

/// Rule and file of each alert.
const EXPECTED: &[(&str, &str)] = &[
    ("written", "00000000000000.e2e-file"),
    ("written", "000000000000000.e2e-file"),
    ("written", "0000000000000000000000.e2e-file"),
    ("written", "00000000000000000000000.e2e-file"),
    ("written", "000000000000000000000000.e2e-file"),
    ("written", "000000000000000000000000000000.e2e-file"),
    ("written", "0000000000000000000000000000000.e2e-file"),
    ("written", "long.e2e-file"),
    ("written", "whole.e2e-file"),
    ("written", "up.e2e-file"),
    ("written", "below.e2e-file"),
    ("outside", "1.e2e-secret"),
    ("outside", "2.e2e-secret"),
    ("written", "3.e2e-file"),
    ("outside", "4.e2e-secret"),
    ("outside", "0.e2e-secret"),
    ("missing", "e2e-missing"),
    ("inside", "5.e2e-secret"),
    ("inside", "5.e2e-inside"),
    ("inside", "6.e2e-secret"),
    ("inside", "7.e2e-secret"),
    ("inside", "8.e2e-secret"),
    ("inside", "9.e2e-secret"),
    ("inside", "9.e2e-inside"),
    ("needle", ""),
    ("connected", "127.1.0.2"),
    ("connected", "127.1.0.3"),
    ("connected", "127.1.0.4"),
    ("refused", "127.2.0.1"),
    ("refused", "127.2.0.9"),
    ("accepted", "127.1.0.1"),
    ("accepted", "127.1.0.9"),
    ("sent", "127.3.0.2"),
    ("sent", "127.3.0.3"),
    ("sent", "127.3.0.4"),
    ("local", ""),
    ("serves", "127.1.0.2"),
    ("serves", "127.1.0.3"),
    ("serves", "127.1.0.4"),
    ("removed", "2.e2e-gone"),
    ("removed", "2.e2e-link"),
    ("removed", "2.e2e-new"),
    ("removed", "2.e2e-code"),
    ("renamed", "2.e2e-new"),
    ("linked", "2.e2e-link"),
    ("made", "2.e2e-made"),
    ("owned", "2.e2e-code"),
    ("removed", "3.e2e-gone"),
    ("removed", "3.e2e-link"),
    ("removed", "3.e2e-new"),
    ("removed", "3.e2e-code"),
    ("renamed", "3.e2e-new"),
    ("linked", "3.e2e-link"),
    ("made", "3.e2e-made"),
    ("owned", "3.e2e-code"),
    ("removed", "4.e2e-gone"),
    ("removed", "4.e2e-link"),
    ("removed", "4.e2e-new"),
    ("removed", "4.e2e-code"),
    ("renamed", "4.e2e-new"),
    ("linked", "4.e2e-link"),
    ("made", "4.e2e-made"),
    ("owned", "4.e2e-code"),
    ("kept", "1.e2e-none"),
    ("privileged", "1.e2e-code"),
    ("mapped", "1.e2e-code"),
    ("kept", "2.e2e-none"),
    ("privileged", "2.e2e-code"),
    ("mapped", "2.e2e-code"),
    ("kept", "3.e2e-none"),
    ("privileged", "3.e2e-code"),
    ("mapped", "3.e2e-code"),
    ("kept", "4.e2e-none"),
    ("privileged", "4.e2e-code"),
    ("mapped", "4.e2e-code"),
    ("kept", "9.e2e-none"),
    ("privileged", "9.e2e-code"),
    ("mapped", "9.e2e-code"),
    ("signalled", ""),
    ("became", ""),
];
/// What is left out of what is done on the host: of the server and its client, listening only if the
/// kernel knows for sure whose it is.
const KINDS: [&str; 15] = [
    "open", "connect", "socket", "send", "listen", "bind", "remove", "rename", "symlink", "mkdir",
    "mode", "call", "memory", "control", "identity",
];

#[test]
fn the_kernels_filter_changes_no_alert() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let container = Cgroup::make(&format!("/docker/{}", "e2ef".repeat(16)))?;
    let folder = programs.folder().join("work");
    fs::create_dir_all(folder.join("folder"))?;
    for number in 0..=9 {
        for kind in ["secret", "inside", "file"] {
            fs::write(folder.join(format!("{number}.e2e-{kind}")), "")?;
        }
    }
    std::os::unix::fs::symlink("0.e2e-secret", folder.join("link"))?;

    let port = http::free_port()?;
    let metrics = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let mut filtered = watch(&programs, RULES, &metrics)?;
    // Its configuration is in a folder of its own: the first would take it over.
    let others = Programs::new()?;
    let mut whole = watch(&others, RULES, "kernel_filter: false\n")?;
    let shell = |script: &str, arguments: &[&OsStr]| {
        let mut shell = Command::new("sh");
        shell.current_dir(&folder).args(["-ec", script, "sh"]);
        succeed(shell.args(arguments))
    };
    // Any will do: others' too.
    let mut reached = Vec::new();
    wait::until("events of all kinds being left out", PATIENCE, || {
        shell(": < 1.e2e-file", &[])?;
        succeed(perl(NETWORK).arg("9"))?;
        succeed(perl(CALLS).arg("9").current_dir(&folder))?;
        reached = never_left_out(port)?;
        Ok(reached.is_empty().then_some(()))
    })
    .with_context(|| format!("none of {reached:?}"))?;

    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = cgroup::unified()?.join(own.context("no unified cgroup")?);
    let (inside, outside) = (container.processes(), own.join("cgroup.procs"));
    let texts = [NETWORK, CALLS].map(OsStr::new);
    shell(
        WORK,
        &[inside.as_ref(), outside.as_ref(), texts[0], texts[1]],
    )?;
    let expected: BTreeSet<(String, String)> = EXPECTED
        .iter()
        .map(|(rule, file)| ((*rule).to_owned(), (*file).to_owned()))
        .collect();
    for daemon in [&mut filtered, &mut whole] {
        is_watching(daemon)?;
    }
    for (daemon, filter) in [(filtered, "filter"), (whole, "no filter")] {
        let found = told(daemon)?;
        ensure!(
            found == expected,
            "with {filter}: missing {:?}, too many {:?}",
            expected.difference(&found).collect::<Vec<_>>(),
            found.difference(&expected).collect::<Vec<_>>()
        );
    }
    Ok(())
}

/// Rule and name of the file, or the address, of each alert.
fn told(daemon: Daemon) -> Result<BTreeSet<(String, String)>> {
    let alerts = daemon.stop()?;
    let name = |alert: &Value| {
        let fields = &alert["output_fields"];
        let path = [
            "fd.name",
            "fd.sip",
            "fd.rip",
            "fs.path.name",
            "fs.path.target",
            "evt.arg.path",
        ]
        .map(|name| text(fields, name).to_owned());
        let path = path.concat();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let pair = |alert: &Value| (text(alert, "rule").to_owned(), name(alert));
    // The daemon may have alerts of its own about other things on this host.
    let ours = |(rule, _): &(String, String)| EXPECTED.iter().any(|(known, _)| known == rule);
    Ok(alerts.iter().map(pair).filter(ours).collect())
}

/// Kinds of which every event has left the kernel.
fn never_left_out(port: u16) -> Result<Vec<&'static str>> {
    let page = http::fetch(port, "/metrics")?;
    let leaves = |kind: &&str| {
        let name = format!("monitor_events_filtered_total{{kind=\"{kind}\"}}");
        let count = page.lines().find_map(|line| line.strip_prefix(&*name));
        count.is_none_or(|count| count.trim() == "0")
    };
    Ok(KINDS.into_iter().filter(leaves).collect())
}

/// What the self-check does is of the kinds that rules are about, and none of them matches it.
#[test]
fn the_self_check_is_not_left_out() -> Result<()> {
    const DELIVERS: &str = "monitor_provider_delivers{";
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let port = http::free_port()?;
    let metrics = format!("metrics:\n  listen: 127.0.0.1:{port}\n");
    let daemon = watch(&programs, RULES, &metrics)?;
    let lines = wait::until("a round of the self-check", PATIENCE, || {
        let page = http::fetch(port, "/metrics")?;
        let lines = page.lines().filter(|line| line.starts_with(DELIVERS));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        Ok((!lines.is_empty()).then_some(lines))
    })?;
    let silent: Vec<&String> = lines.iter().filter(|line| !line.ends_with(" 1")).collect();
    ensure!(silent.is_empty(), "{silent:?}");
    for kind in ["open", "connect", "send"] {
        let named = |line: &String| line.contains(&format!("kind=\"{kind}\""));
        ensure!(lines.iter().any(named), "nothing of {kind}: {lines:?}");
    }
    drop(daemon);
    Ok(())
}
