//! What a process group takes: CPU time and memory, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::param;

/// CPU time and memory of all processes of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Of the threads that run, and of children that ended (to a clock tick).
    pub(super) cpu_ns: u64,
    pub(super) resident_bytes: u64,
}

/// Memory of one kind of mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mapped {
    /// As `ps` tells: what is mapped twice counts twice.
    pub(super) resident_bytes: u64,
    /// Each page once, and of what others map too only a share.
    pub(super) own_bytes: u64,
}

impl Usage {
    /// Of the group as it is now.
    pub(super) fn of(group: u32) -> Self {
        let mut usage = Self::default();
        for (path, stat) in processes(group) {
            let tick_ns = 1_000_000_000 / param::clock_ticks_per_second().max(1);
            usage.cpu_ns += threads_ns(&path) + stat.children_ticks * tick_ns;
            usage.resident_bytes += stat.resident_pages * param::page_size() as u64;
        }
        usage
    }
}

/// Memory of a group, by what is mapped.
pub(super) fn mappings(group: u32) -> BTreeMap<&'static str, Mapped> {
    let mut kinds = BTreeMap::new();
    for (path, _) in processes(group) {
        let text = fs::read_to_string(path.join("smaps")).unwrap_or_default();
        add_mappings(&text, &mut kinds);
    }
    kinds
}

/// All memory of a group, each page once.
pub(super) fn own_bytes(group: u32) -> u64 {
    mappings(group)
        .values()
        .map(|mapped| mapped.own_bytes)
        .sum()
}

/// The processes of a group.
fn processes(group: u32) -> impl Iterator<Item = (PathBuf, Stat)> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(move |process| {
        let path = process.path();
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let stat = Stat::parse(&stat).filter(|stat| stat.group == group)?;
        Some((path, stat))
    })
}

/// Adds what the text of `/proc/PID/smaps` has.
fn add_mappings(smaps: &str, kinds: &mut BTreeMap<&'static str, Mapped>) {
    let mut kind = "";
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        let Some(key) = first.strip_suffix(':') else {
            // Addresses, rights, offset, device, inode, name.
            kind = kind_of(words.next().unwrap_or_default(), words.nth(3));
            continue;
        };
        let bytes = words.next().and_then(|kib| kib.parse::<u64>().ok());
        let bytes = bytes.unwrap_or_default() * 1024;
        let mapped = kinds.entry(kind).or_default();
        match key {
            "Rss" => mapped.resident_bytes += bytes,
            "Pss" => mapped.own_bytes += bytes,
            _ => {}
        }
    }
}

fn kind_of(rights: &str, name: Option<&str>) -> &'static str {
    match name {
        Some(name) if name.contains("bpf-map") => "rings",
        Some(name) if name.starts_with('/') && rights.contains('x') => "code",
        Some(name) if name.starts_with('/') => "other parts of files",
        _ => "heap and stacks",
    }
}

/// Time on a CPU of all threads of a process, from `schedstat`, which counts nanoseconds where
/// `stat` counts ticks of 10 ms.
fn threads_ns(process: &Path) -> u64 {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten();
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    /// User and system time of children that were waited for.
    children_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    /// Of the text of `/proc/PID/stat`; the name in it may have any characters.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        // proc(5) counts from 1, and the first word here is its third.
        let word = |number: usize| words.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            group: u32::try_from(word(5)?).ok()?,
            children_ticks: word(16)? + word(17)?,
            resident_pages: word(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text =
            "42 (a) b) c) S 1 77 42 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 9 0 100 2000 300 1 1";
        let expected = Stat {
            group: 77,
            children_ticks: 15,
            resident_pages: 300,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("42 (short) S 1"), None);
    }

    #[test]
    fn mappings_are_told_apart() {
        let text = "1000-2000 r-xp 00000000 08:01 5      /bin/x\nSize: 4 kB\nRss: 3 kB\nPss: 2 kB\n\
                    2000-3000 rw-p 00000000 00:00 0 \nRss: 5 kB\nPss: 5 kB\n\
                    3000-4000 r--s 00000000 00:0e 9      anon_inode:bpf-map\nRss: 8 kB\nPss: 4 kB\n\
                    4000-5000 rw-p 00000000 00:00 0      [heap]\nRss: 1 kB\nPss: 1 kB\n";
        let mut kinds = BTreeMap::new();
        add_mappings(text, &mut kinds);
        let kib = |resident: u64, own: u64| Mapped {
            resident_bytes: resident * 1024,
            own_bytes: own * 1024,
        };
        let expected = [
            ("code", kib(3, 2)),
            ("heap and stacks", kib(6, 6)),
            ("rings", kib(8, 4)),
        ];
        assert_eq!(kinds, BTreeMap::from(expected));
    }

    #[test]
    fn this_process_takes_something() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let usage = Usage::of(Stat::parse(&own).unwrap().group);
        assert!(
            usage.cpu_ns > 0 && usage.resident_bytes > 100_000,
            "{usage:?}"
        );
    }
}
