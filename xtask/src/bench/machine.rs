//! The machine, as the tables name it.

use std::fs;

/// CPUs, kernel and memory in a line.
pub(super) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, Linux {}", processor(&cpu), kernel.trim())
}

/// Bytes of memory, MiB.
pub(super) fn memory_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// Processes that wanted a CPU in the last minute: what else the machine did.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn processor(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let count = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!("{count} CPUs of a shared {model}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_and_named() {
        let text = "processor\t: 0\nmodel name\t: A Chip\nprocessor\t: 1\nmodel name\t: A Chip\n";
        assert_eq!(processor(text), "2 CPUs of a shared A Chip");
        assert_eq!(processor(""), "0 CPUs of a shared an unknown processor");
    }
}
