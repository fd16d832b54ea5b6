//! Upstream's rules on what a real kernel recorded, with nothing filtered: what one of them matches,
//! the filter keeps.
//!
//! The records are those of `examples/workload.sh`, on the host and in a container; how to record them
//! anew stands in `examples/record.rs`.

use std::collections::BTreeMap;

use monitor_policy::{Matching, Selected, Switch};

use super::*;
use crate::container::index::{Index, Lookup, Settings};
use crate::container::{Image as Tagged, Metadata, State};
use crate::filter::numbers::KINDS;
use crate::process::{Process, ProcessKey};

static RECORDED: &[u8] = include_bytes!("recorded.lz4");

/// The rules that match some of it, of upstream's 93. Those about execs are not among them: execs are
/// not filtered.
const MATCHED: [&str; 27] = [
    "Adding ssh keys to authorized_keys",
    "BPF Program Not Profiled",
    "Change thread namespace",
    "Clear Log Activities",
    "Contact EC2 Instance Metadata Service From Container",
    "Contact cloud metadata service from container",
    "Create Symlink Over Sensitive Files",
    "Create files below dev",
    "Delete or rename shell history",
    "Linux Kernel Module Injection Detected",
    "Mkdir binary dirs",
    "Modify binary dirs",
    "Non sudo setuid",
    "PTRACE anti-debug attempt",
    "PTRACE attached to process",
    "Packet socket created in container",
    "Read environment variable from /proc files",
    "Read sensitive file untrusted",
    "Read ssh information",
    "Redirect STDOUT/STDIN to Network Connection in Container",
    "Schedule Cron Jobs",
    "Set Setuid or Setgid bit",
    "Unexpected UDP Traffic",
    "Write below binary dir",
    "Write below etc",
    "Write below monitored dir",
    "Write below root",
];

/// The records, in the order in which they came.
fn recorded() -> Vec<Vec<u8>> {
    let bytes = lz4_flex::decompress_size_prepended(RECORDED).unwrap();
    let (mut rest, mut records) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[..4].try_into().unwrap());
        let (record, behind) = rest.split_at(len as usize);
        records.push(record.to_vec());
        rest = behind;
    }
    records
}

/// What the daemon knows when it judges an event.
struct Known {
    table: Table,
    index: Index,
}

impl Known {
    fn new() -> Self {
        Self {
            table: Table::new(Limits::default()),
            index: Index::new(Settings::default()),
        }
    }

    /// Applies a record, as the daemon does where it knows all processes; who acted.
    fn apply(&mut self, record: &Record<'_>) -> Arc<Process> {
        let task = record.task();
        let process = self.actor(record);
        if process.cgroup == task.cgroup {
            return process;
        }
        // The workload moves once: from where it began to where it stays.
        let moved = self.table.moved(process.key(), task.cgroup, task.cgroup);
        moved.unwrap_or(process)
    }

    fn actor(&mut self, record: &Record<'_>) -> Arc<Process> {
        let task = record.task();
        match record.body() {
            Body::Fork(fork) => {
                let caller = ProcessKey::new(fork.caller_pid, fork.caller_start);
                self.table.forked(task, caller)
            }
            Body::Exec(exec) if exec.ret == 0 => {
                let image = Image {
                    exe: record.string(Slot::Resolved).into(),
                    args: record.string(Slot::Args).into(),
                    exe_flags: exec.exe_flags,
                    inode: exec.inode,
                    ..Image::default()
                };
                self.table.executed(task, image, record.string(Slot::Cwd))
            }
            body => {
                if let Body::CgroupMkdir(cgroup) = body {
                    let path = record.string(Slot::Resolved);
                    self.index
                        .cgroup_made(cgroup.id, path, record.header().time);
                }
                let cwd = record.string(Slot::Cwd);
                let seen = self.table.seen(task, cwd);
                seen.unwrap_or_else(|| {
                    let process = Process::new(*task, Arc::default(), Arc::default(), None);
                    self.table.found(process)
                })
            }
        }
    }

    /// Whose a process is.
    fn container(&mut self, cgroup: u64) -> Option<Container> {
        let Lookup::Container(container) = self.index.lookup(cgroup) else {
            return None;
        };
        let image = Tagged {
            repository: "docker.io/library/nginx".into(),
            ..Tagged::default()
        };
        let metadata = Metadata {
            name: "recorded".into(),
            image,
            ..Metadata::default()
        };
        Some(Container {
            state: State::Known(Arc::new(metadata)),
            ..(*container).clone()
        })
    }
}

/// An event of a kind that the kernel filters.
struct Judged<'a> {
    record: Record<'a>,
    scope: Scope,
    /// The rules that match it.
    rules: Vec<&'a str>,
}

/// Judges all records by a policy.
fn judge<'a>(policy: &'a Policy, records: &'a [Vec<u8>]) -> Vec<Judged<'a>> {
    let (mut known, mut judged) = (Known::new(), Vec::new());
    let (names, mut scratch) = (NameTable::default(), Scratch::default());
    for bytes in records {
        let record = Record::parse(bytes).unwrap();
        let process = known.apply(&record);
        let container = known.container(process.origin_cgroup);
        if record.kind() == Kind::Open || KINDS.contains(&record.kind()) {
            let world = World {
                table: &known.table,
                accounts: None,
                names: &names,
                hostname: "host",
                boot_to_epoch_ns: 0,
            };
            let actor = Actor::live(process);
            let event = Event::join(record, &actor, container.as_ref(), world, 1).unwrap();
            let found = policy.evaluate(&event, &mut scratch).iter();
            judged.push(Judged {
                record,
                scope: container.map_or(Scope::Host, |_| Scope::Container),
                rules: found.map(|one| &*policy.rules()[one.rule].name).collect(),
            });
        }
        if record.kind() == Kind::Exit {
            known.table.exited(record.task(), record.header().time);
        }
    }
    judged
}

/// Whether the kernel keeps an event, whether it knows whose it is or not.
fn keeps(filters: &Filters, event: &Judged<'_>) -> bool {
    let mut scopes = [event.scope, Scope::Either].into_iter();
    if event.record.kind() == Kind::Open {
        let filter = filters.opens.as_ref();
        return filter.is_none_or(|one| scopes.all(|scope| one.keeps_of(&event.record, scope)));
    }
    let numbers = filters.numbers.as_ref();
    let filter = numbers.and_then(|numbers| numbers.of(event.record.kind()));
    filter.is_none_or(|one| scopes.all(|scope| one.keeps(&event.record, scope)))
}

/// All rules that match an event, not the first one alone.
fn all_rules(switches: &[Switch]) -> Option<Policy> {
    upstream(&Options {
        matching: Matching::All,
        switches: switches.to_vec(),
        ..Options::default()
    })
}

#[test]
fn what_upstreams_rules_match_of_what_was_recorded_is_kept() {
    let Some(policy) = all_rules(&[]) else { return };
    let records = recorded();
    let judged = judge(&policy, &records);
    let filters = Filters::new(&policy);
    let (mut matched, mut left_out) = (BTreeMap::new(), BTreeMap::new());
    for event in &judged {
        let kept = keeps(&filters, event);
        assert!(
            kept || event.rules.is_empty(),
            "{:?} {:?} {:?}",
            event.rules,
            event.record.body(),
            event.record.string(Slot::Passed).escape_ascii().to_string(),
        );
        for rule in &event.rules {
            *matched.entry(*rule).or_insert(0) += 1;
        }
        *left_out.entry(event.record.kind() as u16).or_insert(0) += usize::from(!kept);
    }
    let sum = |counts: &mut dyn Iterator<Item = &usize>| counts.sum::<usize>();
    let (matches, gone) = (sum(&mut matched.values()), sum(&mut left_out.values()));
    println!(
        "of {} events of {} records, rules match {matches} times and {gone} are left out: {matched:?} {left_out:?}",
        judged.len(),
        records.len(),
    );
    // Most of what programs open and connect to is nobody's business; the rest is not.
    assert!(matches >= 50, "{matched:?}");
    assert!(matched.keys().eq(&MATCHED), "{matched:?}");
    let is_filtered = |name: &&str| {
        let kinds = KINDS.into_iter().chain([Kind::Open]);
        kinds.flat_map(event_types).any(|known| known == name)
    };
    let about = policy.rules().iter().filter(|rule| {
        let mut types = rule.event_types.iter();
        types.any(|event| is_filtered(&event.name()))
    });
    println!(
        "{} of {} rules are about kinds that are filtered",
        about.count(),
        policy.rules().len()
    );
    assert!(2 * gone > judged.len(), "{left_out:?}");
    assert!(
        left_out.values().filter(|count| **count > 0).count() >= 5,
        "{left_out:?}"
    );

    // It would show if a rule were forgotten: without it, what it alone asks for is left out.
    let caught = matched.keys().filter(|rule| {
        let without = Switch {
            enabled: false,
            rules: Selected::Named((**rule).to_owned()),
        };
        let filters = Filters::new(&all_rules(&[without]).unwrap());
        let mut of_rule = judged.iter().filter(|event| event.rules.contains(*rule));
        of_rule.any(|event| !keeps(&filters, event))
    });
    let caught: Vec<_> = caught.collect();
    println!("forgotten, {} would be caught: {caught:?}", caught.len());
    assert!(3 * caught.len() >= matched.len(), "{caught:?}");
}
