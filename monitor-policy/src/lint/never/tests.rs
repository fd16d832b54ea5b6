//! Conditions that can never be true, and others that look like them.

use crate::diagnostic::Code;
use crate::lint::{LintGroup, LintOptions};
use crate::load::{Options, RulesFile, load};

const MACROS: &str = "\
- macro: is_a
  condition: proc.name = a
- macro: with_id
  condition: container.id != host
- macro: allowed
  condition: container.id exists
";

/// Whether the condition is said never to be true.
fn warned(condition: &str) -> bool {
    let text = format!(
        "{MACROS}- rule: R\n  desc: d\n  priority: notice\n  output: o\n  condition: >\n    evt.type = \
         openat and {condition}\n"
    );
    let file = RulesFile {
        name: "r.yaml",
        text: &text,
    };
    let options = Options {
        lint: LintOptions {
            group: LintGroup::Likely,
            unfilled: &[],
            told: None,
        },
        ..Options::default()
    };
    let report = load(&[file], &options).files.remove(0);
    assert!(report.is_successful(), "{condition}: {:?}", report.errors());
    let mut warnings = report.warnings().iter();
    warnings.any(|found| found.code == Code::LintNeverTrue)
}

#[test]
fn contradictions_are_found() {
    let never = [
        "proc.name = a and (proc.name = b or proc.name = c)",
        "proc.name = a and not (proc.name = a or proc.pname = b)",
        "proc.name = a and (proc.pname = x and proc.name = b or proc.pname = y and proc.name = c)",
        "proc.name in (a, b) and (proc.name = c or (proc.name = d and fd.num > 2))",
        "is_a and not (is_a or proc.pname = b)",
        "is_a and (proc.name = b or fd.num < 5 and fd.num > 7)",
        "fd.name startswith /etc and fd.name startswith /var",
        "fd.name = /etc/x and fd.name startswith /var",
        "fd.name startswith /var and fd.name = /etc/x",
        "fd.name endswith .a and fd.name endswith .b",
        "fd.name endswith allof (.a, .b) and fd.name endswith .c",
        "fd.name = /etc/x and fd.name contains y",
        "fd.name startswith /etc and not fd.name startswith /e",
        "fd.name startswith /etc and not fd.name contains etc",
        "fd.name contains ETC and not fd.name icontains etc",
        "fd.name glob \"/etc/*\" and fd.name startswith /var",
        "fd.name startswith anyof (/a, /b) and fd.name startswith anyof (/c, /d)",
        "proc.name in (a, b) and proc.name != a and proc.name != b",
        "proc.name in (a, b) and not proc.name in (c, b, a)",
        "proc.name in (a, b) and not proc.name = a and not proc.name endswith b",
        "proc.name = a and not proc.name exists",
        "not proc.name != a and proc.name = b",
        "fd.sport = ssh and fd.sport = 23",
        "fd.num > 5 and fd.num < 4",
        "fd.num > 5 and not fd.num > 3",
        "evt.is_open_read = true and not evt.is_open_read = true",
        "fd.sip = 1.1.1.1 and fd.sip in (1.1.1.2, 1.1.1.3)",
        "proc.aname[2] = a and proc.aname[2] = b",
        "proc.aname = a and not proc.aname = a",
        "tolower(proc.name) = a and tolower(proc.name) = b",
        "proc.name = val(proc.pname) and not proc.name = val(proc.pname)",
        "proc.env[A] = x and proc.env[A] = y",
        "not evt.dir = <",
    ];
    for condition in never {
        assert!(warned(condition), "{condition}");
    }
}

#[test]
fn what_may_be_true_is_left_alone() {
    let possible = [
        "proc.name = a and (proc.name = b or proc.pname = c)",
        "proc.name = a and not (proc.name = a and proc.pname = b)",
        "(proc.name = a or proc.name = b) and proc.name = b",
        "is_a and not (is_a and proc.pname = b)",
        "fd.name startswith /etc and fd.name startswith /etc/ssh",
        "fd.name startswith /etc and not fd.name startswith /etc/ssh",
        "fd.name startswith /etc and fd.name endswith /var",
        "fd.name endswith .tar.gz and fd.name endswith .gz",
        "fd.name endswith anyof (.a, .b) and fd.name endswith .b",
        "fd.name startswith oneof (/a, /a/b) and fd.name startswith /a",
        "fd.name glob \"*.c\" and fd.name startswith /var",
        "fd.name glob \"/e[tu]c\" and fd.name startswith /euc",
        "not fd.name glob \"/etc/*\" and fd.name startswith /etc/",
        "fd.name pmatch (/a/) and fd.name startswith /a",
        "proc.name regex \"a.*\" and proc.name = b",
        "not proc.name exists and not proc.name != x",
        "not proc.name = a and not proc.name = b",
        "not proc.name != a and not proc.name != b",
        "fd.sport = ssh and fd.sport = 22",
        "fd.num = 05 and fd.num = 5",
        "fd.num > 5 and not fd.num > 7",
        "user.uid = -1 and user.uid = 4294967295",
        "fd.sip = ::1 and fd.sip = 0:0:0:0:0:0:0:1",
        "fd.snet = 10.0.0.0/8 and fd.snet = 10.1.0.0/16",
        "fd.ip = 1.1.1.1 and fd.ip = 1.1.1.2",
        "fd.sip.name = a.b and fd.sip.name = c.d",
        "proc.aname = a and proc.aname = b",
        "proc.aname = a and not proc.aname = b",
        "proc.name = val(proc.pname) and proc.name != a",
        "proc.env[A] = x and proc.env[B] = y",
        "evt.arg.flags contains O_A and evt.arg.flags contains O_B",
        "evt.rawarg.flags = 5 and evt.rawarg.flags = 05",
        "util.cnt = 1 and not util.cnt = 1",
        "evt.dir = <",
        "evt.num = 0 and fd.num > 2",
        "with_id and not allowed",
    ];
    for condition in possible {
        assert!(!warned(condition), "{condition}");
    }
}

/// Parts of parts, each of which is looked at once only.
#[test]
fn work_is_bounded() {
    let choice = |n: usize| format!("(proc.name = a{n} or proc.pname in (b{n}, c{n}))");
    let many: Vec<String> = (0..300).map(choice).collect();
    assert!(!warned(&many.join(" and ")));
    let list: Vec<String> = (0..3000).map(|n| format!("x{n}")).collect();
    let list = list.join(", ");
    let tests: Vec<String> = (0..20)
        .map(|n| format!("not proc.name in (y{n}, {list})"))
        .collect();
    assert!(!warned(&format!(
        "proc.name in (z, {list}) and {}",
        tests.join(" and ")
    )));
}
