//! Every field that upstream's rules use, in conditions or outputs, has the right value in some
//! real event of a container.
//!
//! Left out: `evt.buffer`, the data of messages, which are not recorded.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, skip_if};
use serde_json::Value;

use crate::actions::Programs;
use crate::world::{PATIENCE, docker_settings, watch};

const REPOSITORY: &str = "registry.example/team/fields";
const NAME: &str = "e2e-fields";

/// What a field reads.
#[derive(Clone, Copy)]
enum Reads {
    Exactly(&'static str),
    /// Text that has this in it.
    With(&'static str),
    /// Text or a number greater than 0, which differs from run to run.
    Any,
}

use Reads::{Any, Exactly, With};

/// Name and condition of a rule, and what its alert reads.
type Case = (&'static str, &'static str, &'static [(&'static str, Reads)]);

const CASES: &[Case] = &[
    (
        "exec",
        "evt.type = execve and proc.name = perl and proc.args endswith e2e-act",
        &[
            ("evt.num", Any),
            ("evt.type", Exactly("execve")),
            ("evt.res", Exactly("SUCCESS")),
            ("evt.rawres", Exactly("0")),
            ("evt.args", With("filename=/usr/bin/perl")),
            ("container.id", Any),
            ("container.image.repository", Exactly(REPOSITORY)),
            ("container.privileged", Exactly("false")),
            ("container.start_ts", Any),
            ("container.mounts", With(":/e2e:")),
            ("container.mount.dest[0]", Exactly("/e2e")),
            ("k8s.ns.name", Exactly("shop")),
            ("k8s.pod.name", Exactly("web-1")),
            ("proc.name", Exactly("perl")),
            ("proc.args", Exactly("/e2e/act.pl e2e-act")),
            ("proc.cmdline", Exactly("perl /e2e/act.pl e2e-act")),
            ("proc.exe", Exactly("perl")),
            ("proc.exepath", Exactly("/usr/bin/perl")),
            ("proc.cwd", Exactly("/home/")),
            ("proc.env", With("E2E=yes")),
            ("proc.duration", Any),
            ("proc.pname", Exactly("sh")),
            ("proc.pexe", Exactly("sh")),
            ("proc.pexepath", Exactly("/bin/busybox")),
            ("proc.pcmdline", Exactly("sh /e2e/run.sh")),
            ("proc.aname[1]", Exactly("sh")),
            ("proc.aexe[1]", Exactly("sh")),
            ("proc.aexepath[1]", Exactly("/bin/busybox")),
            ("proc.sname", Exactly("sh")),
            ("proc.tty", Any),
            ("proc.vpid", Any),
            ("proc.is_vpgid_leader", Exactly("false")),
            ("proc.is_exe_from_memfd", Exactly("false")),
            ("proc.is_exe_upper_layer", Exactly("false")),
            ("proc.exe_ino.ctime", Any),
            ("proc.exe_ino.mtime", Any),
            ("proc.exe_ino.ctime_duration_proc_start", Any),
            ("thread.cap_effective", With("CAP_CHOWN")),
            ("thread.cap_permitted", With("CAP_CHOWN")),
            ("user.name", Exactly("root")),
            ("user.uid", Exactly("0")),
            ("user.loginuid", Any),
            // Nobody logged in to start it.
            ("user.loginname", Exactly("<NA>")),
            ("group.gid", Exactly("0")),
            ("group.name", Exactly("root")),
        ],
    ),
    (
        "open to write",
        "evt.type in (open, openat) and evt.is_open_write = true and fd.name = /tmp/e2e-f and \
         proc.name = perl",
        &[
            ("fd.name", Exactly("/tmp/e2e-f")),
            ("fd.nameraw", Exactly("/tmp/../tmp/e2e-f")),
            ("fd.directory", Exactly("/tmp")),
            ("fd.filename", Exactly("e2e-f")),
            ("fd.num", Any),
            ("fd.type", Exactly("file")),
            ("fd.typechar", Exactly("f")),
            ("evt.is_open_read", Exactly("false")),
            ("evt.is_open_write", Exactly("true")),
            ("evt.is_open_exec", Exactly("false")),
            ("evt.arg.flags", With("O_TRUNC")),
            ("evt.arg.name", Exactly("/tmp/e2e-f")),
        ],
    ),
    (
        "symlink",
        "evt.type = symlink and proc.name = perl",
        &[
            ("evt.arg.target", Exactly("/tmp/e2e-f")),
            ("evt.arg.linkpath", Exactly("/tmp/e2e-s")),
        ],
    ),
    (
        "link",
        "evt.type = link and proc.name = perl",
        &[
            ("evt.arg.oldpath", Exactly("/tmp/e2e-f")),
            ("evt.arg.newpath", Exactly("/tmp/e2e-l")),
        ],
    ),
    (
        "chmod",
        "evt.type = chmod and proc.name = perl",
        &[
            ("evt.arg.filename", Exactly("/tmp/e2e-f")),
            ("evt.arg.mode", With("S_ISUID")),
        ],
    ),
    (
        "rename",
        "evt.type = rename and proc.name = perl",
        &[
            ("evt.arg.oldpath", Exactly("/tmp/e2e-l")),
            ("evt.arg.newpath", Exactly("/tmp/e2e-r")),
        ],
    ),
    (
        "mkdir",
        "evt.type = mkdir and proc.name = perl",
        &[("evt.arg.path", Exactly("/tmp/e2e-d"))],
    ),
    (
        "setuid",
        "evt.type = setuid and proc.name = perl",
        &[("evt.arg.uid", Exactly("root"))],
    ),
    (
        "setns",
        "evt.type = setns and proc.name = perl",
        &[("evt.arg.fd", With("99"))],
    ),
    (
        "bpf",
        "evt.type = bpf and proc.name = perl",
        &[("evt.arg.cmd", Exactly("BPF_PROG_LOAD"))],
    ),
    (
        "ptrace",
        "evt.type = ptrace and proc.name = perl",
        &[("evt.arg.request", Exactly("PTRACE_ATTACH"))],
    ),
    (
        "socket",
        "evt.type = socket and proc.name = perl",
        &[("evt.arg.domain", Exactly("AF_INET"))],
    ),
    (
        "connect",
        // Those that cannot be printed are tested.
        "evt.type = connect and proc.name = perl and fd.sip.name = localhost and \
         fd.ip = 127.0.0.1 and fd.port = 4344 and fd.net = 127.0.0.0/8 and \
         fd.snet = 127.0.0.0/8 and fd.rnet = 127.0.0.0/8",
        &[
            ("fd.connected", Exactly("true")),
            ("fd.l4proto", Exactly("tcp")),
            ("fd.sockfamily", Exactly("ip")),
            ("fd.name", With("->127.0.0.1:4344")),
            ("fd.name_changed", Exactly("false")),
            ("fd.sip", Exactly("127.0.0.1")),
            ("fd.sip.name", Exactly("localhost")),
            ("fd.sport", Exactly("4344")),
            ("fd.rport", Exactly("4344")),
            ("fd.rip", Exactly("127.0.0.1")),
            ("fd.rip.name", Exactly("localhost")),
            ("fd.lport", Any),
        ],
    ),
    (
        "accept",
        "evt.type in (accept, accept4) and proc.name = perl and fd.cnet = 127.0.0.0/8",
        &[
            ("fd.cip", Exactly("127.0.0.1")),
            ("fd.cip.name", Exactly("localhost")),
            ("fd.lip.name", Exactly("localhost")),
            ("fd.lport", Exactly("4344")),
        ],
    ),
];

/// 0x100007f is 127.0.0.1.
const ACT: &str = r"
open(my $f, '>', '/tmp/../tmp/e2e-f') or die; close($f);
symlink('/tmp/e2e-f', '/tmp/e2e-s'); link('/tmp/e2e-f', '/tmp/e2e-l');
chmod(04755, '/tmp/e2e-f'); rename('/tmp/e2e-l', '/tmp/e2e-r'); mkdir('/tmp/e2e-d');
syscall(105, 0); syscall(308, 99, 0); syscall(321, 5, 0, 0); syscall(101, 16, 999999, 0, 0);
my $address = pack('SnLx8', 2, 4344, 0x100007f);
socket(my $l, 2, 1, 0) or die; bind($l, $address) or die; listen($l, 1) or die;
socket(my $c, 2, 1, 0) or die; connect($c, $address) or die; accept(my $s, $l) or die;
";

fn rules() -> String {
    let rule = |(name, condition, fields): &Case| {
        let fields: Vec<String> = fields.iter().map(|(name, _)| format!("%{name}")).collect();
        format!(
            "- rule: {name}\n  desc: a case\n  condition: {condition} and container.name = {NAME}\n  \
             output: it reads {}\n  priority: NOTICE\n",
            fields.join(" ")
        )
    };
    CASES.iter().map(rule).collect()
}

#[test]
fn each_field_of_upstream_rules_has_its_value() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = Dockerd::start()?;
    let tree = Tree::busybox()?;
    tree.program("/usr/bin/perl", "/usr/bin/perl".as_ref())?;
    let image = format!("{REPOSITORY}:v1");
    docker.import_image(&image, &tree)?;
    let programs = Programs::new()?;
    let settings = format!("rule_matching: all\n{}", docker_settings(&docker));
    let mut daemon = watch(&programs, &rules(), &settings)?;

    fs::write(programs.folder().join("act.pl"), ACT)?;
    // What follows makes a process of its own of the program.
    let run = "perl /e2e/act.pl e2e-act\necho done\n";
    fs::write(programs.folder().join("run.sh"), run)?;
    let volume = format!("{}:/e2e", programs.folder().display());
    let pod = "io.kubernetes.pod.name=web-1";
    let namespace = "io.kubernetes.pod.namespace=shop";
    let mut arguments = vec!["run", "--rm", "-t", "--network", "none", "--name", NAME];
    arguments.extend([
        "--workdir",
        "/home",
        "--env",
        "E2E=yes",
        "--volume",
        &volume,
    ]);
    arguments.extend([
        "--label",
        pod,
        "--label",
        namespace,
        &image,
        "sh",
        "/e2e/run.sh",
    ]);
    let said = docker.text(&arguments)?;
    ensure!(said.contains("done"), "{said}");
    let mut wrong = Vec::new();
    for (rule, _, fields) in CASES {
        let alert = daemon.wait_for(rule, PATIENCE, |alert| is_from(alert, rule));
        let alert = alert.with_context(|| format!("no alert of {rule}"))?;
        for (name, reads) in *fields {
            let found = &alert["output_fields"][*name];
            if !reads.fits(found) {
                wrong.push(format!("{name} of {rule}: {found}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

impl Reads {
    fn fits(self, found: &Value) -> bool {
        let text = match found {
            Value::Null => return false,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self {
            Exactly(expected) => text == expected,
            With(part) => text.contains(part),
            Any => !["", "0", "<NA>"].contains(&&*text),
        }
    }
}
