//! The capabilities that the daemon keeps.

use std::fs;

use rustix::thread::{self, CapabilitySet, CapabilitySets};

/// Name, bit, and what for.
pub(super) const KEPT: [(&str, CapabilitySet, &str); 7] = [
    (
        "CAP_BPF",
        CapabilitySet::BPF,
        "loading programs, also new ones at a reload",
    ),
    (
        "CAP_PERFMON",
        CapabilitySet::PERFMON,
        "attaching them, and reading kernel memory in them",
    ),
    (
        "CAP_NET_ADMIN",
        CapabilitySet::NET_ADMIN,
        "programs that see packets, for DNS",
    ),
    (
        "CAP_SYS_PTRACE",
        CapabilitySet::SYS_PTRACE,
        "`/proc/PID/exe` and the like of other users' processes",
    ),
    (
        "CAP_DAC_READ_SEARCH",
        CapabilitySet::DAC_READ_SEARCH,
        "`/proc`, tracefs, account files of containers",
    ),
    (
        "CAP_DAC_OVERRIDE",
        CapabilitySet::DAC_OVERRIDE,
        "alert files in folders of other users; the unit does without",
    ),
    (
        "CAP_SYS_ADMIN",
        CapabilitySet::SYS_ADMIN,
        "where `kernel.perf_event_paranoid` is above 2 or one of the first two is missing, else \
         dropped; the unit does without",
    ),
];

/// Where Debian's kernels ask for more than `CAP_PERFMON`.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// Drops the others, of this thread and those that it starts from now on. What cannot be dropped is
/// told in the log, and kept.
pub(crate) fn capabilities() {
    if let Err(error) = keep_only() {
        tracing::warn!(%error, "cannot drop capabilities");
    }
}

fn keep_only() -> rustix::io::Result<()> {
    let has = thread::capabilities(None)?;
    let paranoid = fs::read_to_string(PARANOID).unwrap_or_default();
    let paranoid = paranoid.trim().parse().unwrap_or(2);
    let kept = wanted(paranoid, has.permitted) & has.permitted;
    for one in CapabilitySet::all().iter() {
        // Only who has CAP_SETPCAP may; the service has none, and systemd has done it. A kernel
        // that does not know it has nothing to drop.
        if !kept.contains(one) {
            let _may_not = thread::remove_capability_from_bounding_set(one);
        }
    }
    thread::clear_ambient_capability_set()?;
    // The service has these alone, and may not do this call.
    if has.permitted == kept && has.effective == kept {
        return Ok(());
    }
    thread::set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}

/// Those of the table, for who has `permitted`.
fn wanted(paranoid: i32, permitted: CapabilitySet) -> CapabilitySet {
    let kept = KEPT.iter().map(|(_, bit, _)| *bit);
    let kept = kept.fold(CapabilitySet::empty(), |all, bit| all | bit);
    let suffice = permitted.contains(CapabilitySet::BPF | CapabilitySet::PERFMON);
    if suffice && paranoid <= 2 {
        kept - CapabilitySet::SYS_ADMIN
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, as there is no way back.
    #[test]
    fn what_is_not_kept_is_gone_for_good() {
        let dropped = || {
            let before = thread::capabilities(None).unwrap().permitted;
            keep_only().unwrap();
            let after = thread::capabilities(None).unwrap();
            assert_eq!(after.effective, after.permitted);
            assert_eq!(after.permitted & before, after.permitted);
            for gone in [
                CapabilitySet::SYS_MODULE,
                CapabilitySet::SYS_BOOT,
                CapabilitySet::CHOWN,
            ] {
                assert!(!after.permitted.contains(gone), "{gone:?}");
                if before.contains(CapabilitySet::SETPCAP) {
                    assert!(!thread::capability_is_in_bounding_set(gone).unwrap());
                }
            }
        };
        std::thread::spawn(dropped).join().unwrap();
    }

    #[test]
    fn the_great_capability_is_kept_only_where_nothing_less_does() {
        let both = CapabilitySet::BPF | CapabilitySet::PERFMON;
        let admin =
            |paranoid, permitted| wanted(paranoid, permitted).contains(CapabilitySet::SYS_ADMIN);
        assert!(!admin(2, both));
        assert!(admin(3, both));
        assert!(admin(2, CapabilitySet::BPF));
    }
}
