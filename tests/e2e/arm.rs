//! aarch64, emulated: the one object of kernel programs, with that machine's registers, numbers of
//! calls and flags.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::tree::Tree;
use monitor_tests::{paths, vm};
use serde_json::{Value, json};

use crate::guest::{alerts, ended_well, script, section};

/// The verifier and the compiler of programs take most of it.
const WITHIN: Duration = Duration::from_mins(8);

/// A rule, what makes it fire in the guest, and what its alert then says.
struct Case {
    rule: &'static str,
    condition: &'static str,
    act: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

/// Calls by numbers that this machine has only under its own, and what their registers say.
const CASES: &[Case] = &[
    Case {
        rule: "exec",
        condition: "evt.type = execve and proc.args contains of-arm",
        act: "/bin/echo of-arm",
        fields: &[
            ("proc.name", "echo"),
            ("proc.exepath", "/bin/busybox"),
            ("proc.cmdline", "echo of-arm"),
            ("proc.pname", "sh"),
            ("evt.res", "SUCCESS"),
        ],
    },
    Case {
        rule: "an exec that fails",
        condition: "evt.type = execve and evt.res = ENOENT",
        act: "/nonexistent/program",
        fields: &[
            ("proc.name", "sh"),
            ("evt.arg.filename", "/nonexistent/program"),
        ],
    },
    Case {
        rule: "open",
        condition: "evt.type = openat and fd.name = /etc/shadow and proc.name = head",
        act: "ln -s /etc /tmp/alias; /bin/head -n 1 /tmp/alias/shadow",
        fields: &[
            ("fd.name", "/etc/shadow"),
            ("evt.arg.flags", "O_RDONLY"),
            ("evt.res", "SUCCESS"),
        ],
    },
    Case {
        rule: "open of a folder",
        condition: "evt.type = openat and fd.name = /home/user and evt.arg.flags contains O_DIRECTORY",
        act: "/bin/ls /home/user",
        fields: &[("fd.type", "directory"), ("fd.name", "/home/user")],
    },
    // What is a folder, and what a file, the kernel's filter has to tell by this machine's flags.
    Case {
        rule: "a folder",
        condition: "evt.type = openat and fd.typechar = d and fd.name = /home/other",
        act: "mkdir /home/other; /bin/ls /home/other",
        fields: &[("proc.name", "ls")],
    },
    Case {
        rule: "past the cache",
        condition: "evt.type = openat and evt.arg.flags contains O_DIRECT and fd.name = /tmp/direct",
        act: "echo >/tmp/direct; /bin/dd if=/tmp/direct of=/dev/null iflag=direct",
        fields: &[("proc.name", "dd"), ("evt.arg.flags", "O_DIRECT|O_RDONLY")],
    },
    Case {
        rule: "an open that fails",
        condition: "evt.type = openat and evt.res = ENOENT and fd.name = /etc/nothing",
        act: "/bin/cat /etc/nothing",
        fields: &[("proc.name", "cat")],
    },
    Case {
        rule: "connect",
        condition: "evt.type = connect and fd.sport = 4343",
        act: "/bin/nc -w 1 127.0.0.1 4343 </dev/null",
        fields: &[
            ("proc.name", "nc"),
            ("evt.res", "ECONNREFUSED"),
            ("fd.sip", "127.0.0.1"),
        ],
    },
    Case {
        rule: "removal",
        condition: "evt.type = unlinkat and fs.path.name = /tmp/alias",
        act: "/bin/rm /tmp/alias",
        fields: &[("proc.name", "rm"), ("evt.res", "SUCCESS")],
    },
    Case {
        rule: "owner",
        condition: "evt.type = fchownat and fs.path.name = /tmp/owned",
        act: "echo >/tmp/owned; /bin/chown 1000:42 /tmp/owned",
        fields: &[
            ("proc.name", "chown"),
            ("evt.arg.uid", "user"),
            ("evt.arg.gid", "shadow"),
        ],
    },
    Case {
        rule: "link",
        condition: "evt.type = symlinkat and fs.path.name = /tmp/other",
        act: "ln -s /etc/passwd /tmp/other",
        fields: &[("evt.arg.target", "/etc/passwd"), ("evt.res", "SUCCESS")],
    },
    Case {
        rule: "a call that is in no table",
        condition: "evt.type = ioprio_get",
        act: "/bin/ionice",
        fields: &[
            ("evt.args", "ID=ioprio_get nativeID=31"),
            ("proc.name", "ionice"),
        ],
    },
    Case {
        rule: "the last",
        condition: "evt.type = execve and proc.args contains fence",
        act: "/bin/echo fence",
        fields: &[("proc.name", "echo")],
    },
];

/// Files in memory are opened past the cache since 6.6: before, there is none in the guest for which
/// that succeeds.
const REFUSING: &str = "6.1-arm64";
const DIRECT: Case = Case {
    rule: "a file past the cache",
    condition: "evt.type = openat and fd.typechar = f and fd.filename = whole",
    act: "head -c 4096 /dev/zero >/tmp/whole; /bin/dd if=/tmp/whole of=/dev/null iflag=direct",
    fields: &[("proc.name", "dd")],
};

/// Those for the kernel `series`.
fn cases(series: &str) -> Vec<&'static Case> {
    let direct = (series != REFUSING).then_some(&DIRECT);
    direct.into_iter().chain(CASES).collect()
}

/// Why there can be no such guest here, if so.
pub(crate) fn obstacle(series: &str) -> Option<String> {
    vm::obstacle(series).or_else(|| paths::arm_programs().err().map(|error| error.to_string()))
}

/// Every case in a guest with the kernel `series`; how many they are, and what
/// `doctor --programs` says there.
pub(crate) fn cases_on(series: &str) -> Result<(usize, Value)> {
    let [daemon, busybox] = paths::arm_programs()?;
    let tree = Tree::with_busybox(&busybox)?;
    let cases = cases(series);
    tree.program("/bin/monitor-daemon", &daemon)?
        .file("/rules/own.yaml", rules(&cases))?
        .file(
            "/rules/monitor.yaml",
            "rule_matching: all\nmetrics:\n  listen: off\n",
        )?;
    let acts: Vec<&str> = cases.iter().map(|case| case.act).collect();
    let script = script("--policy /rules/own.yaml", &acts.join("\n"), "fence");
    let programs = "\necho '== programs'; monitor-daemon doctor --programs --format json\n";
    let output = vm::run(series, &tree, &(script + programs), WITHIN)?;
    ended_well(&output.text)?;
    let alerts = alerts(&output.text)?;
    for case in &cases {
        check(case, &alerts).with_context(|| format!("on {series}"))?;
    }
    let programs = serde_json::from_str(section(&output.text, "programs")?)?;
    Ok((cases.len(), programs))
}

fn rules(cases: &[&Case]) -> String {
    let rule = |case: &&Case| {
        let fields: Vec<String> = case
            .fields
            .iter()
            .map(|(name, _)| format!("%{name}"))
            .collect();
        format!(
            "- rule: {}\n  desc: a case\n  condition: {}\n  output: case | {}\n  priority: NOTICE\n",
            case.rule,
            case.condition,
            fields.join(" ")
        )
    };
    cases.iter().map(rule).collect()
}

fn check(case: &Case, alerts: &[Value]) -> Result<()> {
    let of_rule: Vec<&Value> = alerts
        .iter()
        .filter(|alert| is_from(alert, case.rule))
        .collect();
    let fits = |alert: &&Value| {
        let told = &alert["output_fields"];
        case.fields
            .iter()
            .all(|(name, value)| told[*name].to_string().trim_matches('"') == *value)
    };
    let found = of_rule.iter().copied().any(|alert| fits(&alert));
    ensure!(found, "`{}`: {:#}", case.rule, json!(of_rule));
    Ok(())
}
