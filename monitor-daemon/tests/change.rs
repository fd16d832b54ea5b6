//! What is recorded changes while the programs run, and nothing else does. A process of its own: the
//! look for tampering goes through all of its descriptors.

use std::collections::BTreeSet;

use monitor_common::Kind;
use monitor_daemon::probe::{Probes, Request, Tiers, Wish};

/// Programs in the kernel, and what serves each kind.
fn state(probes: &Probes) -> (BTreeSet<&'static str>, Vec<(Kind, Option<String>)>) {
    let programs = probes.costs().iter().map(|cost| cost.program).collect();
    let coverage = probes.coverage().iter();
    let served = coverage.map(|one| (one.kind, one.provider.clone()));
    (programs, served.collect())
}

#[test]
fn kinds_come_and_go_and_the_rest_stays() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIP: loading kernel programs needs root");
        return;
    }
    for tiers in [Tiers::SyscallOnly, Tiers::Auto] {
        let kinds = [Kind::Exec, Kind::Open, Kind::Connect, Kind::Dup];
        let all = Wish {
            kinds: kinds.to_vec(),
            calls: Some(vec![59, 322, 2, 257, 437, 42, 33]),
            environment: true,
        };
        let few = Wish {
            kinds: vec![Kind::Exec],
            calls: Some(vec![59]),
            environment: false,
        };
        let request = Request {
            tiers,
            ..Request::default()
        };
        let mut probes = Probes::load(&request.with(all.clone())).unwrap();
        let loaded = state(&probes);
        // What is there already is wished for: nothing may change.
        probes.widen(&all).unwrap();
        probes.narrow(&all).unwrap();
        assert_eq!(state(&probes), loaded);
        probes.narrow(&few).unwrap();
        let narrow = state(&probes);
        assert!(narrow.0.is_subset(&loaded.0) && narrow.0.len() < loaded.0.len());
        assert!(narrow.1.iter().all(|(kind, _)| *kind != Kind::Open));
        assert!(probes.records(59) && !probes.records(257));
        // Back again, with everything that was there.
        probes.widen(&all).unwrap();
        assert_eq!(state(&probes), loaded);
        assert!(probes.records(59) && probes.records(257));
        // All of that was ours: nobody tampered, and the tables are as they should be.
        assert_eq!(probes.tampered(std::iter::empty()), [""; 0]);
    }
}
