//! Whatever the rules and the open: what a rule matches, the filter keeps.

use std::path::PathBuf;
use std::sync::Arc;

use monitor_common::file::Open;
use monitor_common::filter::{DIRECTORY_BIT, Passed, class, passed};
use monitor_common::{Flags, Header, Slot, Task};
use monitor_policy::{Options, RulesFile, Scratch, load};
use proptest::prelude::*;
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::*;

mod overflow;
mod recorded;
mod sockets;
use crate::container::cgroup_path::{Owner, Runtime};
use crate::container::{Container, State};
use crate::event::{Actor, Event, World};
use crate::names::NameTable;
use crate::process::{Image, Limits, Table};
use crate::record::{Body, Record};

impl Filter {
    /// What the kernel decides of a record by somebody who may be anybody's.
    fn keeps(&self, record: &Record<'_>) -> bool {
        self.keeps_of(record, Scope::Either)
    }

    /// What it decides of one by somebody whose scope it knows.
    fn keeps_of(&self, record: &Record<'_>, scope: Scope) -> bool {
        let Body::Open(open) = record.body() else {
            return true;
        };
        let class = class(open.ret, open.flags, DIRECTORY_BIT, open.syscall);
        let mut left = self.head.left(class);
        if self.head.asks_scope(left) {
            left &= self.head.within(scope as u32);
        }
        if left & self.head.free(class) != 0 {
            return true;
        }
        let text = |slot| record.string(slot);
        let first = |slot| text(slot).first().copied().unwrap_or_default();
        let header = record.header();
        let whole = text(Slot::Passed);
        let (views, raw) = match passed(header.flags, &header.strings, first(Slot::Passed), first) {
            Passed::Unknown => return left != 0,
            Passed::Resolved => (0, 0),
            Passed::Alone => self.read(class, 0, whole.iter()),
            Passed::Below(slot) => {
                let start = match text(slot) {
                    b"/" => b"",
                    start => start,
                };
                self.read(class, 0, start.iter().chain(b"/").chain(whole))
            }
        };
        let resolved = match text(Slot::Resolved) {
            b"" => 0,
            resolved => self.read(class, raw, resolved.iter()).0,
        };
        left & (views | resolved) != 0
    }
}

fn record(open: &Open, flags: u16, strings: [&str; 4]) -> Vec<u8> {
    let task = Task {
        pid: 4,
        tid: 4,
        start: 4,
        ..Task::default()
    };
    let mut header = Header {
        kind: Kind::Open as u16,
        flags,
        task,
        ..Header::new_zeroed()
    };
    for (length, text) in header.strings.iter_mut().zip(strings) {
        *length = text.len() as u32;
    }
    let text = strings.concat();
    header.len = (size_of::<Header>() + size_of::<Open>() + text.len()) as u32;
    [header.as_bytes(), open.as_bytes(), text.as_bytes()].concat()
}

fn container() -> Container {
    Container {
        id: "0123456789abcdef".repeat(4).as_str().into(),
        runtime: Runtime::Docker,
        owner: Owner::System,
        state: State::Pending,
        early: None,
    }
}

/// How many rules match an open, of the host or of a container.
fn matches(policy: &Policy, record: &Record<'_>, container: Option<&Container>) -> usize {
    let mut table = Table::new(Limits::default());
    let image = Image {
        exe: b"/bin/cat"[..].into(),
        args: b"cat\0x\0"[..].into(),
        ..Image::default()
    };
    let process = table.executed(record.task(), image, b"/srv");
    let actor = Actor::live(Arc::clone(&process));
    let names = NameTable::default();
    let world = World {
        table: &table,
        accounts: None,
        names: &names,
        hostname: "host",
        boot_to_epoch_ns: 0,
    };
    let event = Event::join(*record, &actor, container, world, 1).unwrap();
    policy.evaluate(&event, &mut Scratch::default()).len()
}

fn policy(conditions: &[String]) -> Policy {
    let rule = |(number, condition): (usize, &String)| {
        format!(
            "- rule: r{number}\n  desc: d\n  priority: debug\n  output: o\n  condition: >-\n    {condition}\n"
        )
    };
    let text: String = conditions.iter().enumerate().map(rule).collect();
    let loaded = load(
        &[RulesFile {
            name: "r",
            text: &text,
        }],
        &Options::default(),
    );
    let report = || loaded.files[0].render(monitor_policy::Color::Never);
    loaded
        .policy
        .as_ref()
        .unwrap_or_else(|| panic!("{}", report()));
    loaded.policy.unwrap()
}

const WORDS: [&str; 12] = [
    "/", "/a", "/a/b", "a", "b", "/b/", "ab", "a/b", "/a/", ".", "/a/.b", "\"\"",
];

const FACTS: &[&str] = &[
    "evt.is_open_read = true",
    "evt.is_open_read != true",
    "evt.is_open_write = true",
    "evt.is_open_write = false",
    "evt.res = SUCCESS",
    "evt.res = ENOENT",
    "evt.res startswith E",
    "evt.rawres = -13",
    "evt.rawres >= 0",
    "evt.failed = true",
    "fd.num > 3",
    "fd.num < 0",
    "fd.typechar = f",
    "fd.typechar in (d, 4)",
    "evt.type in (open, creat)",
    "fd.name pmatch (/a, /b/a)",
    "fd.name pmatch (/)",
    "fd.directory pmatch (/a)",
    "fd.directory in (/, /a, /b)",
    "fd.filename in (a, b, .b)",
    "fd.filename exists",
    "container.id = host",
    "container.id != host",
    "container.id in (host, 0123456789ab)",
    "not container.name startswith h",
    "container.image.repository = a",
    "container.image.repository != a",
    "container.privileged = true",
    "container.privileged != true",
    "container.type = host",
    "evt.type = open_by_handle_at",
    "not evt.type in (open, open_by_handle_at)",
    "proc.name = cat",
];

fn condition() -> impl Strategy<Value = String> {
    let fields = [
        "fd.name",
        "fd.directory",
        "fd.filename",
        "fd.nameraw",
        "proc.name",
        "fs.path.name",
    ];
    let operators = [
        "=",
        "!=",
        "startswith",
        "endswith",
        "contains",
        "icontains",
        "glob",
    ];
    let word = || prop::sample::select(WORDS.to_vec());
    let leaf = prop_oneof![
        3 => (prop::sample::select(fields.to_vec()), prop::sample::select(operators.to_vec()), word())
            .prop_map(|(field, operator, word)| format!("{field} {operator} {word}")),
        2 => prop::sample::select(FACTS.to_vec()).prop_map(str::to_owned),
        1 => (prop::sample::select(fields.to_vec()), prop::collection::vec(word(), 1..4))
            .prop_map(|(field, words)| format!("{field} in ({})", words.join(", "))),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            2 => parts().prop_map(|parts| format!("({})", parts.join(" and "))),
            1 => parts().prop_map(|parts| format!("({})", parts.join(" or "))),
            1 => inner.clone().prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn opened() -> impl Strategy<Value = Vec<u8>> {
    let text = || prop_oneof![3 => "[ab./]{0,6}", 1 => "/[ab]/[ab]{1,2}", 1 => Just(String::new())];
    let start = prop_oneof!["/[ab]{0,2}", Just("/a/b".to_owned()), Just(String::new())];
    let ret = prop::sample::select(vec![3_i64, 4, 0, -2, -13, -1]);
    let syscall = prop::sample::select(vec![2_u32, 257, 85, 437, 304, 0]);
    let flags = prop::sample::select(vec![0_u32, 1, 2, 3, 0o200_000, 0o200_002, 0o1101]);
    let marks = prop::sample::select(vec![0, 0, 0, Flags::PATH_TRUNCATED, Flags::DETACHED]);
    (ret, syscall, flags, marks, text(), text(), start, text()).prop_map(
        |(ret, syscall, flags, marks, resolved, given, cwd, base)| {
            let open = Open {
                ret,
                flags,
                syscall,
                dirfd: -100,
                ..Open::new_zeroed()
            };
            let resolved = if ret < 0 { "" } else { &resolved };
            record(&open, marks, [resolved, &given, &cwd, &base])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn what_random_rules_match_is_kept(
        conditions in prop::collection::vec(condition(), 1..6),
        events in prop::collection::vec(opened(), 1..24),
    ) {
        let policy = policy(&conditions);
        let Some(filter) = Filter::of_opens(&policy) else { return Ok(()) };
        for bytes in &events {
            let record = Record::parse(bytes).unwrap();
            let inside = container();
            for (scope, container) in [(Scope::Host, None), (Scope::Container, Some(&inside))] {
                let found = matches(&policy, &record, container);
                prop_assert!(
                    found == 0 || filter.keeps(&record) && filter.keeps_of(&record, scope),
                    "{scope:?} {conditions:?} {:?} {:?} {:?} {:?} {:?}", record.body(),
                record.string(Slot::Resolved).escape_ascii().to_string(),
                record.string(Slot::Passed).escape_ascii().to_string(),
                record.string(Slot::Cwd).escape_ascii().to_string(),
                filter.clauses,
                );
            }
        }
    }
}

#[test]
fn what_one_rule_needs_is_kept_and_nothing_else() {
    let (read, write, failed) = ((3, 0), (3, 1), (-2, 0));
    for (condition, kept, left_out) in [
        (
            "evt.is_open_write = true and fd.name startswith /etc",
            vec![
                (write, "/etc/a"),
                (write, "/etc"),
                (write, "x"),
                (write, "/x/../etc/a"),
            ],
            vec![(read, "/etc/a"), (write, "/tmp/etc"), (failed, "/etc/a")],
        ),
        (
            "fd.num >= 0 and fd.directory in (/bin, /usr/bin)",
            vec![(read, "/bin/a"), (write, "/usr/bin/b")],
            vec![
                (read, "/bin"),
                (read, "/bin/a/b"),
                (failed, "/bin/a"),
                (read, "/x/bin/a"),
            ],
        ),
        (
            "fd.filename = .ssh or fd.name endswith .pem",
            vec![(read, "/a/.ssh"), (failed, "/a.pem")],
            vec![(read, "/a/x.ssh"), (failed, "/a/.ssh"), (read, "/a.pem/b")],
        ),
        (
            "evt.res = ENOENT and not fd.name startswith /lib",
            vec![(failed, "/etc/a")],
            vec![(failed, "/lib/a"), (read, "/etc/a")],
        ),
    ] {
        let condition = format!("evt.type in (open, openat) and {condition}");
        let filter = Filter::of_opens(&policy(std::slice::from_ref(&condition))).unwrap();
        let keeps = |(ret, flags): (i64, u32), path: &str| {
            let open = Open {
                ret,
                flags,
                syscall: 257,
                ..Open::new_zeroed()
            };
            let cwd = if path == "x" { "/etc" } else { "/srv" };
            filter.keeps(&Record::parse(&record(&open, 0, ["", path, cwd, ""])).unwrap())
        };
        for (class, path) in kept {
            assert!(keeps(class, path), "{condition}: {class:?} {path}");
        }
        for (class, path) in left_out {
            assert!(!keeps(class, path), "{condition}: {class:?} {path}");
        }
    }
}

#[test]
fn what_concerns_containers_is_left_out_on_the_host_and_the_other_way_round() {
    let conditions = [
        "evt.type = openat and container.id != host and fd.name startswith /etc",
        "evt.type = openat and container.id = host and fd.name startswith /srv",
        "evt.type = openat and fd.name startswith /run",
        "evt.type = openat and container.image.repository = x and fd.name startswith /opt",
        "evt.type = open_by_handle_at and container.id != host",
    ];
    let policy = policy(&conditions.map(str::to_owned));
    let filter = Filter::of_opens(&policy).unwrap();
    for (syscall, path, host, container) in [
        (257, "/etc/a", false, true),
        (257, "/srv/a", true, false),
        (257, "/run/a", true, true),
        (257, "/opt/a", false, true),
        (257, "/tmp/a", false, false),
        (304, "/tmp/a", false, true),
    ] {
        let open = Open {
            ret: 3,
            syscall,
            ..Open::new_zeroed()
        };
        let bytes = record(&open, 0, [path, path, "/", ""]);
        let record = Record::parse(&bytes).unwrap();
        let kept = |scope| filter.keeps_of(&record, scope);
        assert_eq!(kept(Scope::Host), host, "{syscall} {path}");
        assert_eq!(kept(Scope::Container), container, "{syscall} {path}");
        assert_eq!(kept(Scope::Either), host || container, "{syscall} {path}");
    }
}

#[test]
fn rules_that_need_all_opens_of_one_scope_have_a_filter() {
    let filter = Filter::of_opens(&policy(&[
        "evt.type = openat and container.id != host".to_owned()
    ]));
    assert_eq!(filter.unwrap().head.within(Scope::Host as u32), 0);
}

#[test]
fn rules_that_need_all_opens_have_no_filter() {
    for condition in ["proc.name = x", "evt.type = openat", "fd.name icontains x"] {
        assert!(
            Filter::of_opens(&policy(&[condition.to_owned()])).is_none(),
            "{condition}"
        );
    }
}

/// Upstream's three files; `None` with a printed reason when they are not there.
fn upstream(options: &Options) -> Option<Policy> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/rules");
    let names = [
        "falco_rules.yaml",
        "falco-incubating_rules.yaml",
        "falco-sandbox_rules.yaml",
    ];
    let texts = names.map(|name| std::fs::read_to_string(folder.join(name)));
    let mut files = Vec::new();
    for (name, text) in names.into_iter().zip(&texts) {
        match text {
            Ok(text) => files.push(RulesFile { name, text }),
            Err(error) => {
                let reason = format!("{} cannot be read: {error}", folder.display());
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
                println!("skipped: {reason}");
                return None;
            }
        }
    }
    load(&files, options).policy
}

#[test]
fn upstreams_rules_leave_out_most_opens() {
    let Some(policy) = upstream(&Options::default()) else {
        return;
    };
    let filter = Filter::of_opens(&policy).unwrap();
    assert_eq!(filter.widened, 0);
    let keeps = |flags: u32, path: &str| {
        let open = Open {
            ret: 3,
            flags,
            syscall: 257,
            ..Open::new_zeroed()
        };
        filter.keeps(&Record::parse(&record(&open, 0, [path, path, "/", ""])).unwrap())
    };
    for (flags, path, kept) in [
        (0, "/etc/shadow", true),
        (1, "/usr/bin/x", true),
        (1, "/root/.bashrc", true),
        (0, "/usr/lib/x86_64-linux-gnu/libc.so.6", false),
        (0, "/etc/ld.so.cache", false),
        (1, "/tmp/x", false),
        (1, "/dev/null", false),
        (1, "/home/x", false),
    ] {
        assert_eq!(keeps(flags, path), kept, "{path}");
    }
}
