//! A flood of opens that nobody reads is counted, and hides no exec.

use std::fs::File;
use std::process::Command;

use monitor_common::Kind;
use monitor_common::loss::LossReason;
use monitor_daemon::probe::Request;
use monitor_daemon::record::Body;

use crate::support::Watch;

#[test]
fn a_flood_hides_no_exec() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIP: loading kernel programs needs root");
        return;
    }
    let watch = &mut Watch::load(&Request {
        kinds: vec![Kind::Exec, Kind::Open],
        bulk_bytes: 64 << 10,
        ..Request::default()
    });
    for _ in 0..1_000 {
        File::open("/dev/null").unwrap();
    }
    let mut process = Command::new("/bin/true").spawn().unwrap();
    process.wait().unwrap();
    watch.next_of(
        process.id(),
        "the exec after the flood",
        |record| matches!(record.body(), Body::Exec(exec) if exec.ret == 0),
    );
    let losses = watch.probes.losses().unwrap();
    let lost = |kind| losses.iter().filter(move |loss| loss.kind == kind);
    assert!(lost(Kind::Open).map(|loss| loss.count).sum::<u64>() > 0);
    assert!(
        losses
            .iter()
            .all(|loss| loss.reason == LossReason::RingFull)
    );
    assert_eq!(lost(Kind::Exec).count(), 0);
    let kept = watch.probes.kept().unwrap();
    let opens = kept.iter().find(|(kind, _)| *kind == Kind::Open);
    assert!(opens.unwrap().1 > 0);
}
