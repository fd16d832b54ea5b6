//! What a process group takes: CPU time and memory, from `/proc`.

use std::fs;
use std::path::Path;

use rustix::param;

/// CPU time and memory of all processes of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Of the threads that run, and of children that ended (to a clock tick).
    pub(super) cpu_ns: u64,
    pub(super) resident_bytes: u64,
}

impl Usage {
    /// Of the group as it is now.
    pub(super) fn of(group: u32) -> Self {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut usage = Self::default();
        for process in processes {
            let path = process.path();
            let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
            let Some(stat) = Stat::parse(&stat) else {
                continue;
            };
            if stat.group != group {
                continue;
            }
            let tick_ns = 1_000_000_000 / param::clock_ticks_per_second().max(1);
            usage.cpu_ns += threads_ns(&path) + stat.children_ticks * tick_ns;
            usage.resident_bytes += stat.resident_pages * param::page_size() as u64;
        }
        usage
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
    fn this_process_takes_something() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let usage = Usage::of(Stat::parse(&own).unwrap().group);
        assert!(
            usage.cpu_ns > 0 && usage.resident_bytes > 100_000,
            "{usage:?}"
        );
    }
}
