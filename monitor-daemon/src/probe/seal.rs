//! What is known of the daemon's kernel objects, and whether it still holds.
//!
//! `/proc/self/fdinfo` tells of each program, map and link behind a descriptor what it is, and of
//! a link what it is attached to. None of that changes while the daemon runs, so what does change
//! was changed by somebody else.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::{fs, io};

use monitor_common::guard::{What, object};

/// What the kernel calls such files (`anon_inode_getfd` of `kernel/bpf/syscall.c`).
const FILES: [(&str, &str); 5] = [
    ("anon_inode:bpf-map", "map"),
    ("anon_inode:bpf-prog", "program"),
    ("anon_inode:bpf_link", "link"),
    ("anon_inode:bpf-link", "link"),
    ("anon_inode:[bpf_link]", "link"),
];
/// Lines of `fdinfo` that stay as they are: `bpf_map_show_fdinfo`, `bpf_prog_show_fdinfo`,
/// `bpf_link_show_fdinfo` and what each type of link adds.
const LASTING: [&str; 18] = [
    "map_type",
    "key_size",
    "value_size",
    "max_entries",
    "map_flags",
    "map_id",
    "frozen",
    "prog_type",
    "prog_tag",
    "prog_id",
    "link_type",
    "link_id",
    "attach_type",
    "target_obj_id",
    "target_btf_id",
    "cgroup_id",
    "netns_ino",
    "ifindex",
];

/// Most bytes that are read of `fdinfo`.
const TEXT_MAX: u64 = 1 << 16;

/// The objects behind this process' descriptors, by number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Seal(BTreeMap<i32, Object>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Object {
    kind: &'static str,
    /// The lines of `fdinfo` that last: one text, for there are hundreds.
    facts: String,
}

impl Seal {
    /// Looks at this process, with `/proc/self` at `process`.
    pub(super) fn take(process: &Path) -> io::Result<Self> {
        let mut objects = BTreeMap::new();
        // More than any of them has, so that one call reads it.
        let mut text = Vec::with_capacity(4096);
        for entry in fs::read_dir(process.join("fd"))? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Ok(target) = fs::read_link(process.join("fd").join(&name)) else {
                // Closed since, by another thread.
                continue;
            };
            let known = FILES.iter().find(|(file, _)| target == Path::new(file));
            let Some((_, kind)) = known else { continue };
            let file = fs::File::open(process.join("fdinfo").join(&name))?;
            text.clear();
            // Without a bound the length of the file would be asked for.
            file.take(TEXT_MAX).read_to_end(&mut text)?;
            let facts = lasting(&String::from_utf8_lossy(&text));
            objects.insert(number, Object { kind, facts });
        }
        Ok(Self(objects))
    }

    /// The objects' kinds and ids, as the guard knows them.
    pub(super) fn objects(&self) -> impl Iterator<Item = u64> {
        self.0.values().filter_map(|found| {
            let (what, fact) = match found.kind {
                "map" => (What::Map, "map_id"),
                "program" => (What::Program, "prog_id"),
                _ => (What::Link, "link_id"),
            };
            Some(object(what, found.fact(fact)?.parse().ok()?))
        })
    }

    /// What is other `now`, a line for each object, but for some programs that are `gone` and the links
    /// to them, by the programs' ids.
    pub(super) fn breaches(&self, now: &Self, gone: &[u32]) -> Vec<String> {
        let is_gone = |object: &Object| {
            let program = object.fact("prog_id").and_then(|id| id.parse().ok());
            program.is_some_and(|id| gone.contains(&id))
        };
        let changed = |(number, before): (&i32, &Object)| {
            let found = now.0.get(number);
            if found == Some(before) || is_gone(before) {
                return None;
            }
            let name = before.name();
            let Some(now) = found else {
                return Some(format!("the daemon's descriptor of {name} was closed"));
            };
            if now.name() != name {
                let now = now.name();
                return Some(format!(
                    "the daemon's descriptor of {name} leads to {now} now"
                ));
            }
            let mut facts = facts(&before.facts);
            let (fact, old) = facts.find(|(fact, value)| now.fact(fact) != Some(*value))?;
            let new = now.fact(fact).unwrap_or("nothing");
            Some(format!(
                "{name} was changed: its {fact} was {old} and is {new}"
            ))
        };
        self.0.iter().filter_map(changed).collect()
    }
}

impl Object {
    /// For people: the kind and the number by which other tools know it.
    fn name(&self) -> String {
        let id = ["map_id", "link_id", "prog_id"]
            .iter()
            .find_map(|fact| self.fact(fact));
        format!("{} {}", self.kind, id.unwrap_or("?"))
    }

    fn fact(&self, name: &str) -> Option<&str> {
        let (_, value) = facts(&self.facts).find(|(fact, _)| *fact == name)?;
        Some(value)
    }
}

/// The facts that a text has, and what they are.
fn facts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name, value.trim()))
}

/// The lines that stay as they are.
fn lasting(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let name = line.split_once(':').map(|(name, _)| name);
        if name.is_some_and(|name| LASTING.contains(&name)) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    type File<'a> = (i32, &'a str, &'a str);

    /// A process with these descriptors: number, target, `fdinfo`.
    fn seal(files: &[File<'_>]) -> Seal {
        let process = tempfile::tempdir().unwrap();
        for folder in ["fd", "fdinfo"] {
            fs::create_dir(process.path().join(folder)).unwrap();
        }
        for (number, target, text) in files {
            let path = |folder: &str| process.path().join(folder).join(number.to_string());
            symlink(target, path("fd")).unwrap();
            fs::write(path("fdinfo"), text).unwrap();
        }
        Seal::take(process.path()).unwrap()
    }

    const MAP: &str = "pos:\t0\nmap_type:\t2\nmemlock:\t100\nmap_id:\t7\nfrozen:\t0\n";
    const PROGRAM: &str = "prog_type:\t26\nprog_tag:\tab\nprog_id:\t8\nrun_cnt:\t1\n";
    const LINK: &str = "link_type:\tcgroup\nlink_id:\t9\nprog_id:\t8\ncgroup_id:\t5\n";
    const SEALED: [File<'_>; 4] = [
        (0, "/dev/null", "pos:\t0\n"),
        (4, "anon_inode:bpf-map", MAP),
        (5, "anon_inode:bpf-prog", PROGRAM),
        (6, "anon_inode:bpf_link", LINK),
    ];

    #[test]
    fn what_was_done_to_an_object_is_told() {
        let detached = LINK.replace("cgroup_id:\t5", "cgroup_id:\t0");
        let updated = LINK.replace("prog_id:\t8", "prog_id:\t80");
        let frozen = MAP.replace("frozen:\t0", "frozen:\t1");
        let cases: [(File<'_>, &str); 4] = [
            (
                (6, "anon_inode:bpf_link", &detached),
                "link 9 was changed: its cgroup_id was 5 and is 0",
            ),
            (
                (6, "anon_inode:bpf_link", &updated),
                "link 9 was changed: its prog_id was 8 and is 80",
            ),
            (
                (4, "anon_inode:bpf-map", &frozen),
                "map 7 was changed: its frozen was 0 and is 1",
            ),
            (
                (5, "anon_inode:bpf-map", MAP),
                "the daemon's descriptor of program 8 leads to map 7 now",
            ),
        ];
        for (file, said) in cases {
            let mut files = SEALED.to_vec();
            files.retain(|(number, ..)| *number != file.0);
            files.push(file);
            assert_eq!(seal(&SEALED).breaches(&seal(&files), &[]), [said]);
        }
    }

    #[test]
    fn what_was_taken_out_on_purpose_is_not_missed() {
        let now = seal(&SEALED[..2]);
        assert_eq!(seal(&SEALED).breaches(&now, &[8]), [""; 0]);
        assert_eq!(seal(&SEALED).breaches(&now, &[80]).len(), 2);
    }

    #[test]
    fn the_guard_knows_them_by_kind_and_id() {
        let objects: Vec<u64> = seal(&SEALED).objects().collect();
        let known = [(What::Map, 7), (What::Program, 8), (What::Link, 9)];
        assert_eq!(objects, known.map(|(what, id)| object(what, id)));
    }

    #[test]
    fn closed_descriptors_are_told_and_figures_are_not() {
        let figures = PROGRAM.replace("run_cnt:\t1", "run_cnt:\t99");
        let now = seal(&[
            (4, "anon_inode:bpf-map", &MAP.replace("100", "999")),
            (5, "anon_inode:bpf-prog", &figures),
            (7, "anon_inode:bpf-map", "map_id:\t70\n"),
        ]);
        let said = "the daemon's descriptor of link 9 was closed";
        assert_eq!(seal(&SEALED).breaches(&now, &[]), [said]);
        let same = seal(&SEALED).breaches(&seal(&SEALED), &[]);
        assert!(same.is_empty(), "{same:?}");
    }
}
