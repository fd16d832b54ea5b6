//! What conditions mean: a condition, an event, whether it holds.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic")]

use monitor_policy::{
    Condition, Event, EventType, Field, FieldRef, FlatEvent, Matching, Options, RulesFile, Scratch,
    Value, View, load,
};
use serde_json::{Value as Json, json};

/// A condition on an event made of fields; `evt.type` is `open` if not given.
fn check(condition: &str, event: &Json, expected: bool) {
    let mut object = event.as_object().expect("an object").clone();
    object.entry("evt.type").or_insert("open".into());
    let event = match FlatEvent::from_json(&object) {
        Ok(event) => event,
        Err(error) => panic!("{object:?}: {error}"),
    };
    let compiled = match Condition::parse(condition) {
        Ok(condition) => condition,
        Err(error) => panic!("{condition}: {error}"),
    };
    assert_eq!(
        compiled.matches(&event),
        expected,
        "{condition} on {object:?}"
    );
}

/// A condition that does not compile, and a part of what is said.
fn refuse(condition: &str, message: &str) {
    let Err(error) = Condition::parse(condition) else {
        panic!("{condition} compiles")
    };
    let text = error.to_string();
    assert!(text.contains(message), "{condition}: {text}");
}

#[test]
fn missing_values_fail_every_test() {
    let none = json!({});
    check("proc.name = a", &none, false);
    check("proc.name != a", &none, false);
    check("not proc.name = a", &none, true);
    check("not proc.name in (a)", &none, true);
    check("not proc.name != a", &none, true);
    check("proc.name exists", &none, false);
    check("proc.name exists", &json!({"proc.name": ""}), true);
    check("proc.name exists", &json!({"proc.name": null}), false);
    check(
        "proc.name = val(proc.pname)",
        &json!({"proc.name": "a"}),
        false,
    );
    check(
        "proc.name != val(proc.pname)",
        &json!({"proc.name": "a"}),
        false,
    );
    check("tolower(proc.name) = a", &none, false);
    check("fd.num >= 0", &none, false);
    check("not fd.num >= 0", &none, true);
    check("proc.aname exists", &none, false);
    check("fd.ip != 1.2.3.4", &none, false);
    check("proc.name != anyof (a)", &none, false);
}

/// By the name that the kernel has for it, where that is another than the event's.
#[test]
fn every_call_is_matched_by_its_name() {
    let own = EventType::all().filter(|event| event.syscall().is_some());
    let mut names: Vec<(&str, u32)> = own
        .map(|event| (event.name(), event.syscall().expect("a call")))
        .collect();
    names.extend([("pread64", 17), ("pwrite64", 18), ("prlimit64", 302)]);
    for (name, number) in names {
        let event = EventType::from_syscall(number).expect("a call").name();
        let event = json!({"evt.type": event});
        check(&format!("evt.type = {name}"), &event, true);
        check(&format!("evt.type in (kill, {name})"), &event, true);
        check(&format!("evt.type != {name}"), &event, false);
        check(&format!("syscall.type = {name}"), &event, true);
    }
    check("evt.type = pwrite64", &json!({"evt.type": "pread"}), false);
}

#[test]
fn operators_on_text() {
    let event = json!({"proc.name": "Bash", "fd.name": "/etc/pam.d/su", "proc.args": ""});
    for (condition, expected) in [
        ("proc.name = Bash", true),
        ("proc.name == bash", false),
        ("proc.name != bash", true),
        ("proc.name < 5", false),
        ("proc.name > 5", true),
        ("proc.name contains as", true),
        ("proc.name contains AS", false),
        ("proc.name icontains AS", true),
        ("proc.name contains \"\"", true),
        ("proc.name startswith Ba", true),
        ("proc.name endswith sh", true),
        ("proc.name glob B*h", true),
        ("proc.name glob b*", false),
        ("proc.name iglob b*", true),
        ("proc.name regex [A-Z][a-z]+", true),
        ("proc.name regex Ba", false),
        ("proc.name in (a, Bash)", true),
        ("proc.name in ()", false),
        ("proc.name in (Ba*)", false),
        ("proc.name intersects (a, Bash)", true),
        ("fd.name pmatch (/etc)", true),
        ("fd.name pmatch (/et, /etc/pam)", false),
        ("fd.name pmatch (/etc/p*)", true),
        ("proc.args = \"\"", true),
        ("proc.args exists", true),
        ("proc.name = anyof (a, Bash)", true),
        ("proc.name = oneof (Bash, Bash)", false),
        ("proc.name startswith allof (B, Ba)", true),
        ("proc.name startswith allof ()", false),
        ("proc.name startswith anyof ()", false),
        ("proc.name != oneof (Bash, a)", true),
        ("proc.name != anyof (Bash, a)", true),
        ("proc.name != allof (Bash, a)", false),
        ("proc.name endswith oneof (ash, x)", true),
    ] {
        check(condition, &event, expected);
    }
}

#[test]
fn operators_on_other_types() {
    let event = json!({
        "fd.num": -1, "proc.tty": 34816, "evt.is_open_write": true, "fd.sip": "10.1.2.3",
        "fd.sport": 22, "evt.buffer": {"$hex": "00cafebabe"}, "evt.rawarg.fd": 3,
        "evt.rawarg.path": "/x", "proc.duration": 3_000_000_000_u64, "proc.fdusage": 0.5,
        "fd.types": ["file", "ipv4"], "user.uid": "0",
    });
    for (condition, expected) in [
        ("fd.num < 0", true),
        ("fd.num = -1", true),
        ("fd.num >= 0", false),
        ("fd.num in (-1, 5)", true),
        ("proc.tty != 0", true),
        ("user.uid = 0", true),
        ("evt.is_open_write = true", true),
        ("evt.is_open_write != true", false),
        ("evt.is_open_write in (true, false)", true),
        ("fd.sip = 10.1.2.3", true),
        ("fd.sip = 10.1.2.4", false),
        ("fd.sip != 10.1.2.4", true),
        ("fd.sip != ::1", true),
        ("fd.sip in (1.1.1.1, 10.1.2.3)", true),
        ("fd.snet = 10.0.0.0/8", true),
        ("fd.snet in (192.168.0.0/16, 10.0.0.0/8)", true),
        ("fd.snet != 10.0.0.0/8", false),
        ("fd.snet = fe80::/10", false),
        ("fd.sport = ssh", true),
        ("fd.sport in (80, ssh)", true),
        ("fd.sport > 1023", false),
        ("evt.buffer bcontains CAFEbabe", true),
        ("evt.buffer bstartswith 00ca", true),
        ("evt.buffer bstartswith ca", false),
        ("evt.buffer contains \"\\xca\\xfe\"", true),
        ("evt.rawarg.fd > 2", true),
        ("evt.rawarg.fd = 3", true),
        ("evt.rawarg.path startswith /", true),
        ("proc.duration >= 3000000000", true),
        ("proc.fdusage > 0", true),
        ("fd.types in (file, ipv4, pipe)", true),
        ("fd.types in (file)", false),
        ("fd.types in ()", false),
        ("fd.types intersects (ipv4)", true),
        ("len(fd.types) = 2", true),
    ] {
        check(condition, &event, expected);
    }
}

#[test]
fn ancestors() {
    let event = json!({"proc.name": "sh", "proc.aname": ["bash", "sshd", "systemd"]});
    for (condition, expected) in [
        ("proc.aname = sshd", true),
        ("proc.aname = sh", false),
        ("proc.aname != sshd", true),
        ("proc.aname in (cron, systemd)", true),
        ("proc.aname startswith ssh", true),
        ("proc.aname[0] = sh", true),
        ("proc.aname[1] = bash", true),
        ("proc.aname[2] = sshd", true),
        ("proc.aname[4] exists", false),
        ("not proc.aname[4] in (x)", true),
        ("proc.aname = anyof (cron, sshd)", true),
    ] {
        check(condition, &event, expected);
    }
    let one = json!({"proc.aname": ["bash"]});
    check("proc.aname != bash", &one, false);
    check("proc.aname != bash", &json!({"proc.aname": []}), false);
    let indexed = json!({"proc.aname[2]": "sshd", "proc.pname": "bash"});
    check("proc.aname = sshd", &indexed, true);
    check("proc.aname = bash", &indexed, true);
    check("proc.aname[1] = bash", &indexed, true);
}

#[test]
fn either_end() {
    let event =
        json!({"fd.cip": "10.0.0.1", "fd.sip": "8.8.8.8", "fd.cport": 4000, "fd.sport": 53});
    for (condition, expected) in [
        ("fd.ip = 8.8.8.8", true),
        ("fd.ip = 10.0.0.1", true),
        ("fd.ip != 8.8.8.8", false),
        ("fd.ip != 1.1.1.1", true),
        ("fd.ip in (1.1.1.1, 8.8.8.8)", true),
        ("fd.port = 53", true),
        ("fd.port != 53", false),
        ("fd.port in (1, 4000)", true),
        ("fd.port >= 4000", true),
        ("fd.net = 10.0.0.0/8", true),
        ("fd.net != 10.0.0.0/8", false),
        ("fd.net in (172.16.0.0/12, 8.8.0.0/16)", true),
        ("fd.proto = domain", true),
    ] {
        check(condition, &event, expected);
    }
    let both = json!({"fd.ip": ["127.0.0.1", "127.0.0.2"]});
    check("fd.net = 127.0.0.0/8", &both, true);
    check("fd.ip != 127.0.0.1", &both, false);
}

#[test]
fn host_names() {
    let event = json!({"fd.sip.name": "api.example"});
    check("fd.sip.name = api.example", &event, true);
    check("fd.sip.name != api.example", &event, false);
    check("fd.sip.name in (a.example, api.example)", &event, true);
    check("fd.sip.name != a.example", &event, true);
    check("fd.sip.name != a.example", &json!({}), false);
    check("not fd.sip.name = a.example", &json!({}), true);
    check("fd.sip.name endswith .example", &event, true);
}

#[test]
fn transformers() {
    let event = json!({
        "proc.name": "CaT", "proc.pname": "cat", "fd.name": "/etc/shadow", "proc.args": "L2Jpbi9zaA==",
        "proc.exe": "CaT", "evt.res": "-.-", "fd.types": ["FILE", "file"],
    });
    for (condition, expected) in [
        ("tolower(proc.name) = cat", true),
        ("toupper(proc.name) = CAT", true),
        ("proc.name = val(proc.exe)", true),
        ("proc.name = val(proc.pname)", false),
        ("proc.pname = tolower(proc.name)", true),
        ("basename(fd.name) = shadow", true),
        ("basename(fd.name) in (shadow)", true),
        ("b64(proc.args) = /bin/sh", true),
        ("b64(evt.res) exists", false),
        ("b64(fd.types) exists", true),
        ("len(proc.name) = 3", true),
        ("len(proc.name) > 3", false),
        ("concat(proc.name, proc.pname) = CaTcat", true),
        ("join(\"-\", (proc.name, proc.pname)) = CaT-cat", true),
        ("toupper(tolower(proc.name)) = CAT", true),
        ("tolower(fd.types) in (file)", true),
        (
            "getopt((\"-a\", \"-b\", \"x\"), \"ab:\")[b] intersects (x)",
            true,
        ),
        ("proc.args startswith val(proc.name)", false),
        ("fd.name = val(fd.name)", true),
    ] {
        check(condition, &event, expected);
    }
}

#[test]
fn what_the_language_knows_itself() {
    check("evt.dir = <", &json!({}), true);
    check("evt.dir = >", &json!({}), false);
    check("evt.type = open", &json!({}), true);
    check("evt.type in (openat, openat2)", &json!({}), false);
    check(
        "evt.type startswith open",
        &json!({"evt.type": "openat2"}),
        true,
    );
    check("evt.type != open", &json!({"evt.type": "procexit"}), true);
    check("syscall.type = open", &json!({}), true);
    check(
        "syscall.type != open",
        &json!({"evt.type": "procexit"}),
        false,
    );
    check("evt.num = 0", &json!({}), false);
    check("evt.num >= 1", &json!({}), true);
    check("proc.env[A] = b", &json!({"proc.env": "X=y A=b"}), true);
    check("proc.env[B] = \"\"", &json!({"proc.env": "X=y A=b"}), true);
}

#[test]
fn refuses_what_makes_no_sense() {
    refuse("proc.nmae = a", "did you mean `proc.name`?");
    refuse("macro_name", "Undefined macro 'macro_name'");
    refuse("evt.type = opn", "unknown event type `opn`");
    refuse("evt.type startswith ope", "unknown event type");
    refuse("evt.type in (open, opennat)", "did you mean `openat`?");
    refuse("fd.num contains 1", "`contains` does not fit `fd.num`");
    refuse("fd.types = file", "which is a list");
    refuse("evt.is_open_read > 1", "boolean");
    refuse("evt.is_open_read = yes", "neither true nor false");
    refuse("fd.num = 0x10", "no whole number");
    refuse("fd.num > 1.5", "no whole number");
    refuse("proc.tty = 5000000000", "out of the range");
    refuse("fd.sport = nosuchservice", "no port or service");
    refuse("fd.sip = 10.0.0.0/8", "no address");
    refuse("fd.snet = somewhere", "neither address nor network");
    refuse("evt.buffer bcontains abc", "even number");
    refuse("proc.name bcontains ab", "does not fit");
    refuse("proc.name regex \"\\\\d\"", "invalid regular expression");
    refuse("proc.name = val(fd.num)", "different types");
    refuse("proc.name = val(proc.aname)", "cannot stand on the right");
    refuse("proc.name regex val(proc.pname)", "takes only literals");
    refuse("fd.snet = val(fd.sip)", "takes only literals");
    refuse("tolower(proc.aname) = a", "does not work on");
    refuse("tolower(evt.type) = open", "does not work on");
    refuse("lower(proc.name) = a", "unknown transformer");
    refuse("val(proc.name) = a", "right side only");
    refuse("tolower(fd.num) = a", "wrong arguments");
    refuse("proc.name[1] = a", "takes no argument");
    refuse("container.label = a", "needs an argument");
    refuse("evt.arg.nosuch = a", "no event has a parameter `nosuch`");
    refuse(&format!("proc.name = {}", "x".repeat(256)), "at most 255");
    refuse("proc.name = \"a\\x00\"", "zero byte");
    refuse(
        "proc.name = a or(proc.name = b) and proc.name = c",
        "cannot follow",
    );
}

#[test]
fn conditions_may_be_deep() {
    let nested = |depth: usize| {
        let open = "(proc.name = a or (proc.name = b and ".repeat(depth);
        format!("{open}proc.name = c{}", "))".repeat(depth))
    };
    check(&nested(450), &json!({"proc.name": "a"}), true);
    check(&nested(450), &json!({"proc.name": "c"}), false);
    refuse(&nested(501), "deeper than 1000");
    let chain = vec!["proc.name = a"; 5000].join(" and not ");
    check(&chain, &json!({"proc.name": "a"}), false);
}

/// An event whose path differs between the views.
struct Viewed;

impl Event for Viewed {
    fn event_type(&self) -> EventType {
        EventType::from_name("openat").expect("it is one")
    }

    fn has_view(&self, _view: View) -> bool {
        true
    }

    fn value(&self, field: &FieldRef, view: View) -> Option<Value<'_>> {
        let text = |text: &'static str| Some(Value::Text(text.as_bytes().into()));
        match (field.field, view) {
            (Field::FdName, View::Passed) => text("/tmp/link"),
            (Field::FdName, View::Resolved) => text("/etc/shadow"),
            (Field::FdName, View::Original) => text("/srv/shadow"),
            _ => None,
        }
    }

    fn has_name(&self, _: &FieldRef, _: &str) -> Option<bool> {
        None
    }
}

/// Rules with these conditions in order, on [`Viewed`]: which match, and in which view.
fn check_views(conditions: &[&str], matching: Matching, expected: &[(usize, View)]) {
    let rule = |(index, condition): (usize, &&str)| {
        format!(
            "- rule: r{index}\n  desc: d\n  priority: debug\n  output: \"%fd.name\"\n  condition: \
             evt.type=openat and {condition}\n"
        )
    };
    let text: String = conditions.iter().enumerate().map(rule).collect();
    let options = Options {
        matching,
        ..Options::default()
    };
    let loaded = load(
        &[RulesFile {
            name: "r",
            text: &text,
        }],
        &options,
    );
    let policy = loaded.policy.expect("it loads");
    let mut scratch = Scratch::default();
    let mut tested = Vec::new();
    let found = policy.evaluate_observed(&Viewed, &mut scratch, |rule| tested.push(rule));
    let found: Vec<_> = found.iter().map(|found| (found.rule, found.view)).collect();
    assert_eq!(found, expected, "{conditions:?}");
    // In order, those that match among them, and none behind the first when that one is all.
    assert!(tested.is_sorted(), "{tested:?}");
    assert!(found.iter().all(|(rule, _)| tested.contains(rule)));
    if let (Matching::First, [(rule, _)]) = (matching, expected) {
        assert_eq!(tested.last(), Some(rule), "{conditions:?}");
    }
    for (rule, view) in found {
        let name = match view {
            View::Passed => "/tmp/link",
            View::Resolved => "/etc/shadow",
            View::Original => "/srv/shadow",
        };
        assert!(policy.format(rule, &Viewed, view).text.starts_with(name));
    }
}

#[test]
fn a_rule_is_tested_in_all_views() {
    use View::{Original, Passed, Resolved};
    check_views(&["fd.name=/etc/shadow"], Matching::First, &[(0, Resolved)]);
    check_views(&["fd.name=/tmp/link"], Matching::First, &[(0, Passed)]);
    check_views(&["fd.name startswith /"], Matching::First, &[(0, Passed)]);
    // An exception has to hold in the view in which the rule matches.
    check_views(
        &["fd.name startswith /etc and not fd.name startswith /tmp"],
        Matching::First,
        &[(0, Resolved)],
    );
    check_views(
        &["fd.name=/x", "fd.name=/etc/shadow", "fd.name=/tmp/link"],
        Matching::First,
        &[(1, Resolved)],
    );
    check_views(
        &["fd.name=/etc/shadow", "fd.name exists", "fd.name=/x"],
        Matching::All,
        &[(0, Resolved), (1, Passed)],
    );
    check_views(
        &["fd.name=/srv/shadow", "fd.name=/etc/shadow"],
        Matching::All,
        &[(0, Original), (1, Resolved)],
    );
    let condition = Condition::parse("fd.name=/etc/shadow").expect("it compiles");
    assert!(condition.matches(&Viewed));
}

#[test]
fn events_are_read_strictly() {
    let read = |event: Json| {
        let object = event.as_object().expect("an object");
        FlatEvent::from_json(object)
            .err()
            .map(|error| error.to_string())
    };
    let refused = |event: Json, part: &str| {
        let error = read(event.clone()).unwrap_or_default();
        assert!(error.contains(part), "{event}: {error}");
    };
    refused(json!({"proc.name": "a"}), "no `evt.type`");
    refused(json!({"evt.type": 5}), "no `evt.type`");
    refused(json!({"evt.type": "opn"}), "`opn`");
    refused(json!({"evt.type": "open", "proc.nmae": "a"}), "proc.name");
    refused(
        json!({"evt.type": "open", "fd.num": "x"}),
        "no whole number",
    );
    refused(json!({"evt.type": "open", "fd.sip": "x"}), "no address");
    refused(json!({"evt.type": "open", "proc.name": ["a"]}), "no list");
    refused(
        json!({"evt.type": "open", "proc.name": {"$hex": "0"}}),
        "hexadecimal",
    );
    refused(json!({"evt.type": "open", "proc.name": {"a": "b"}}), "$hex");
    assert_eq!(
        read(json!({"evt.type": "open", "proc.aname[2]": "x", "fd.num": "3"})),
        None
    );
}
