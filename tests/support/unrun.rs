//! Runs of the daemon's programs that the kernel left out, where it preempts tasks amid programs: what of
//! a call, an exec or an exit may then be untold, or told without what the kernel resolved (ADR 18). A
//! case that ends its daemon says how many there were.

use std::fs;

/// Begins the line that says so.
const LINE: &str = "runs left out by the kernel: ";
/// `BPF_PROG_TYPE_TRACEPOINT` and `BPF_PROG_TYPE_TRACING`: the others run in packets and cgroups.
const KINDS: [&str; 2] = ["5", "26"];

/// Says how many runs of the programs of a process were left out, if any.
pub(crate) fn tell(pid: u32) {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return;
    };
    let texts = files
        .flatten()
        .filter_map(|file| fs::read_to_string(file.path()).ok());
    let count: u64 = texts.filter_map(|text| of_program(&text)).sum();
    if count > 0 {
        println!("{LINE}{count}");
    }
}

/// How many runs a program was left out, by what the kernel says of its descriptor
/// (`bpf_prog_show_fdinfo` of `kernel/bpf/syscall.c`, since 5.12).
fn of_program(text: &str) -> Option<u64> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Some(line?.strip_prefix(':')?.trim())
    };
    KINDS.contains(&value("prog_type")?).then_some(())?;
    value("recursion_misses")?.parse().ok()
}

/// How many were left out, if a line of a case's output says so.
pub(crate) fn told(line: &str) -> Option<u64> {
    line.strip_prefix(LINE)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tracing_count() {
        let of = |kind: u32| {
            format!(
                "pos:\t0\nflags:\t02000002\nprog_type:\t{kind}\nprog_jited:\t1\nrecursion_misses:\t228\n"
            )
        };
        assert_eq!(of_program(&of(5)), Some(228));
        assert_eq!(of_program(&of(26)), Some(228));
        assert_eq!(of_program(&of(8)), None);
        assert_eq!(of_program("pos:\t0\nmap_type:\t5\n"), None);
    }
}
