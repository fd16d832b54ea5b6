//! Cases that only boot guests. They share nothing with the host, so that two run at once, after
//! those that need the host for themselves: some of these are about time.

/// Parts of their names, by suite; a suite that is not named here has none.
const GUESTS: [(&str, &[&str]); 2] = [
    ("evasions", &["evasions_in_a_guest"]),
    (
        "e2e",
        &[
            "calls::the_object_tier_sees_calls",
            "cgroups::cgroups_of_all_runtimes_are_containers_where_only_v2_or_v1_is",
            "dns::names_in_a_guest",
            "guard::a_protected_daemon_is_killed_by_the_first_process_only",
            "guest::",
            KERNELS,
            "mappings::mappings_in_a_guest",
            "namespaces::namespaces_and_ids_on_the_object_tier",
            "reuse::processes_with_the_ids_of_others_are_themselves",
            "service::it_runs_hardened_under_systemd",
            "sockets::sockets_on_the_object_tier",
            "uring::io_uring_beside_the_object_tier",
        ],
    ),
];
/// The suite itself on other kernels.
const KERNELS: &str = "kernels::passes_on_";
/// Of these, the ones for which `test` has the time.
const SHORT: [&str; 2] = [
    "kernels::passes_on_linux_5_10",
    "kernels::passes_on_linux_6_12",
];
/// Those that need the daemon for that machine.
const ARM: &str = "_on_aarch64";
/// Guests at once: each has 2 GiB.
const AT_ONCE: &str = "--test-threads=2";

/// Which of them run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Without those that take long.
    Short,
    Whole,
}

/// Options for a run of a suite without them.
pub(super) fn left_out(suite: &str) -> Vec<&'static str> {
    of(suite).flat_map(|name| ["--skip", name]).collect()
}

/// Options for a run of them alone; `None` if the suite has none.
pub(super) fn alone(suite: &str, extent: Extent) -> Option<Vec<&'static str>> {
    let mut options = vec![AT_ONCE];
    for name in of(suite) {
        match (name, extent) {
            (KERNELS, Extent::Short) => {
                options.extend(SHORT);
                options.extend(["--skip", ARM]);
            }
            _ => options.push(name),
        }
    }
    (options.len() > 1).then_some(options)
}

fn of(suite: &str) -> impl Iterator<Item = &'static str> {
    let names = GUESTS.iter().filter(move |(name, _)| *name == suite);
    names.flat_map(|(_, names)| names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_runs_in_one_of_both() {
        let alone = alone("e2e", Extent::Whole).unwrap();
        let out = left_out("e2e");
        assert!(out.len() > 2);
        for pair in out.chunks(2) {
            assert_eq!(pair[0], "--skip");
            assert!(alone.contains(&pair[1]), "{alone:?}");
        }
        assert!(left_out("harness").is_empty());
        assert_eq!(super::alone("harness", Extent::Whole), None);
    }
}
