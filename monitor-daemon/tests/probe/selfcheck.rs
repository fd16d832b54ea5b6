//! Each kind delivers when it is caused, one that does not is found, and another takes its place.

use std::time::{Duration, Instant};

use monitor_common::Kind;
use monitor_daemon::probe::{Probes, Request, Rings, Tiers};
use monitor_daemon::record::Record;
use monitor_daemon::selfcheck::{Delivery, Round, Starter, Used, plan};

use crate::support::perl;

const DAEMON: &str = env!("CARGO_BIN_EXE_monitor-daemon");
const PATIENCE: Duration = Duration::from_secs(30);

fn obstacle() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIP: loading kernel programs needs root");
    }
    !root
}

fn round(probes: &Probes, rings: &mut Rings) -> Vec<(Kind, Delivery)> {
    let kinds = probes.served();
    let acts = plan(&kinds, |_| true);
    let used = probes.used().map(Used::from).collect();
    let mut round = Round::start(&Starter::of(DAEMON), kinds, used, acts, probes.lost()).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        while let Some(bytes) = rings.next() {
            round.saw(&Record::parse(bytes).unwrap());
        }
        if let Some(verdicts) = round.verdicts(u64::MAX, || probes.lost()) {
            return verdicts;
        }
        assert!(Instant::now() < until, "{round:?}");
        std::thread::yield_now();
    }
}

#[test]
fn every_kind_that_can_be_caused_delivers() {
    if obstacle() {
        return;
    }
    for tiers in [Tiers::SyscallOnly, Tiers::Auto] {
        let mut probes = Probes::load(&Request {
            tiers,
            ..Request::default()
        })
        .unwrap();
        let mut rings = probes.rings().unwrap();
        let harmful = [Kind::Module, Kind::Ptrace, Kind::Clone, Kind::Dns];
        for (kind, delivery) in round(&probes, &mut rings) {
            println!("{}: {}", kind.name(), delivery.text());
            match delivery {
                Delivery::Delivers => {}
                Delivery::Unchecked(reason) if kind.name().starts_with("cgroup") => {
                    println!("SKIP: {}: {reason}", kind.name());
                }
                Delivery::Unchecked(_) => assert!(harmful.contains(&kind), "{kind:?}"),
                Delivery::Silent | Delivery::Lacking(_) => {
                    panic!("{kind:?}: {}", delivery.text())
                }
            }
        }
    }
}

/// A program that looks at no call is one that was taken and makes no record.
#[test]
fn a_program_that_makes_no_record_is_found() {
    if obstacle() {
        return;
    }
    let mut probes = Probes::load(&Request {
        kinds: vec![Kind::Memfd],
        calls: Some(Vec::new()),
        ..Request::default()
    })
    .unwrap();
    let mut rings = probes.rings().unwrap();
    let verdicts = round(&probes, &mut rings);
    let of = |kind| &verdicts.iter().find(|(one, _)| *one == kind).unwrap().1;
    assert_eq!(*of(Kind::Memfd), Delivery::Silent, "{verdicts:?}");
    assert_eq!(*of(Kind::Exec), Delivery::Delivers, "{verdicts:?}");
    assert!(!probes.fall_back(Kind::Memfd).unwrap(), "there is no other");
}

#[test]
fn the_next_provider_takes_the_place_of_a_silent_one() {
    if obstacle() {
        return;
    }
    let mut probes = Probes::load(&Request {
        kinds: vec![Kind::Clone],
        ..Request::default()
    })
    .unwrap();
    let mut rings = probes.rings().unwrap();
    let provider = |probes: &Probes| {
        let mut all = probes.coverage().iter();
        all.find(|coverage| coverage.kind == Kind::Clone)
            .cloned()
            .unwrap()
    };
    let first = provider(&probes).provider.unwrap();
    assert!(first.contains("task_newtask"), "{first}");
    assert!(probes.fall_back(Kind::Clone).unwrap());
    let second = provider(&probes);
    assert_eq!(second.provider.as_deref(), Some("tp_btf/sys_exit"));
    let (silent, reason) = second.refused.first().unwrap();
    assert_eq!(
        (silent.as_str(), reason.as_str()),
        ("tp_btf/task_newtask", "loaded, but delivered nothing")
    );
    assert!(!probes.fall_back(Kind::Clone).unwrap(), "there is no third");

    // A child in a uts namespace of its own.
    let mut process = perl("syscall(56, 0x4000000 | 17, 0, 0, 0, 0) || syscall(231, 0); wait;");
    let pid = process.id();
    process.wait().unwrap();
    let until = Instant::now() + PATIENCE;
    let mut clones = 0;
    while clones == 0 {
        assert!(Instant::now() < until, "no clone");
        while let Some(bytes) = rings.next() {
            let record = Record::parse(bytes).unwrap();
            if record.kind() == Kind::Clone && record.task().pid == pid {
                clones += 1;
            }
        }
    }
    assert_eq!(clones, 1, "one of both providers");
}
