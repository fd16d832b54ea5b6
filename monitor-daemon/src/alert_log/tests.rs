//! The log as its users see it: what was written is there again, in order and once.

use std::path::PathBuf;
use std::sync::Arc;

use monitor_policy::Priority;
use rusqlite::{Connection, StatementStatus};
use tempfile::TempDir;

use super::retention::LEAST_SEVERE;
use super::*;
use crate::output::{Alert, sample};

mod aside;

const DAY_NS: u64 = 24 * 3600 * 1_000_000_000;

struct Place {
    _folder: TempDir,
    settings: Settings,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        path: folder.path().join("state").join(NAME),
        synced: false,
        retention: Retention {
            bytes: 1 << 30,
            age_ns: DAY_NS,
        },
    };
    Place {
        _folder: folder,
        settings,
    }
}

impl Place {
    fn path(&self) -> &PathBuf {
        &self.settings.path
    }

    fn open(&self) -> AlertLog {
        AlertLog::open(self.settings.clone()).unwrap()
    }

    fn sequences(&self) -> Vec<u64> {
        let entries = Reader::open(self.path()).unwrap().range(0, 1 << 40, 10_000);
        entries
            .unwrap()
            .iter()
            .map(|entry| entry.sequence)
            .collect()
    }
}

fn entry(log: &AlertLog, sequence: u64, alert: Alert) -> Arc<Entry> {
    Arc::new(Entry {
        sequence,
        log: log.id(),
        alert,
    })
}

fn at(output: &str, acknowledged: u64) -> Cursor<'_> {
    Cursor {
        output,
        acknowledged,
        ahead: None,
    }
}

/// Outputs have all.
fn at_time(now: u64) -> Aged {
    let delivered = i64::MAX as u64;
    Aged { now, delivered }
}

fn entries(log: &AlertLog, sequences: impl IntoIterator<Item = u64>) -> Vec<Arc<Entry>> {
    let sequences = sequences.into_iter();
    sequences.map(|one| entry(log, one, sample())).collect()
}

#[test]
fn what_was_written_is_there_after_a_new_start() {
    let place = place();
    let mut log = place.open();
    let id = log.id();
    log.append(&entries(&log, 1..=3), [at("file", 2)]).unwrap();
    assert!(
        matches!(
            AlertLog::open(place.settings.clone()),
            Err(LogError::Taken { .. })
        ),
        "one writer"
    );
    drop(log);
    let mut log = place.open();
    assert_eq!((log.id(), log.newest(), log.last_given()), (id, 3, 3));
    assert_eq!(log.acknowledged("file").unwrap(), Some(2));
    assert_eq!(log.acknowledged("syslog").unwrap(), None);
    log.append(&entries(&log, 4..=4), [at("file", 4)]).unwrap();
    assert_eq!(log.acknowledged("file").unwrap(), Some(4));
    let reader = Reader::open(place.path()).unwrap();
    let read = reader.range(2, 4, 10).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(format!("{:?}", read[0].alert), format!("{:?}", sample()));
    let verified = verify(place.path()).unwrap();
    assert_eq!((verified.alerts, verified.broken), (4, None));
}

#[test]
fn numbers_that_were_never_written_are_a_gap() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, [1, 2, 6]), []).unwrap();
    log.append(&[], [at("file", 9)]).unwrap();
    let verified = verify(place.path()).unwrap();
    assert_eq!(verified.gaps, [(3, 5)]);
    assert_eq!((verified.alerts, verified.broken), (3, None));
    drop(log);
    // An output has seen alerts that the log has not.
    assert_eq!(place.open().last_given(), 9);
}

#[test]
fn numbers_of_no_alert_are_told_from_those_that_cannot_be_read() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, [1, 2, 6, 7, 12]), []).unwrap();
    let reader = Reader::open(place.path()).unwrap();
    for (from, below, absent) in [(1, 3, 0), (1, 13, 7), (4, 11, 5), (5, 5, 0), (13, 99, 0)] {
        assert_eq!(
            reader.absent(from, below).unwrap(),
            absent,
            "{from} {below}"
        );
    }
    assert_eq!(reader.gaps(4).unwrap(), [(8, 11)]);
    log.connection
        .execute_batch("INSERT INTO removed VALUES (2, x''); DELETE FROM alerts WHERE sequence = 2")
        .unwrap();
    assert_eq!(
        reader.absent(1, 6).unwrap(),
        4,
        "removed ones were told before"
    );
}

#[test]
fn who_changes_or_takes_away_an_alert_is_found_out() {
    for (number, act) in [
        (2, "UPDATE alerts SET output = 'nothing' WHERE sequence = 2"),
        (3, "UPDATE alerts SET priority = 7 WHERE sequence = 3"),
        (2, "DELETE FROM alerts WHERE sequence = 2"),
        (1, "DELETE FROM alerts WHERE sequence < 3"),
        (3, "UPDATE alerts SET sequence = 30 WHERE sequence = 3"),
    ] {
        let place = place();
        let mut log = place.open();
        log.append(&entries(&log, 1..=5), []).unwrap();
        assert_eq!(verify(place.path()).unwrap().broken, None);
        Connection::open(place.path())
            .unwrap()
            .execute(act, ())
            .unwrap();
        assert_eq!(verify(place.path()).unwrap().broken, Some(number), "{act}");
    }
}

#[test]
fn the_least_severe_goes_first_and_the_newest_stays() {
    let mut place = place();
    let mut log = place.open();
    let text = "x".repeat(4000);
    let alert = |priority| Alert {
        priority,
        output: text.clone(),
        ..sample()
    };
    let levels = [Priority::Notice, Priority::Critical];
    let written = (1..=400).map(|number| entry(&log, number, alert(levels[number as usize % 2])));
    let written: Vec<_> = written.collect();
    log.append(&written, []).unwrap();
    let full = log.bytes().unwrap();
    drop(log);
    place.settings.retention.bytes = full * 3 / 4;
    let mut log = place.open();
    let mut removed = Vec::new();
    loop {
        let step = log.retain(Some(at_time(sample().time))).unwrap();
        removed.extend(step.removed);
        if step.is_done {
            break;
        }
    }
    assert!(log.bytes().unwrap() <= place.settings.retention.bytes);
    assert!(
        removed
            .iter()
            .all(|one| one.alert.priority == Priority::Notice)
    );
    assert_eq!(removed[0].sequence, 2, "of these, the oldest");
    let left = place.sequences();
    assert_eq!(left.len() + removed.len(), 400);
    let verified = verify(place.path()).unwrap();
    assert_eq!(verified.broken, None);
    assert_eq!(verified.removed, removed.len() as u64);
    // The next one has a number behind all, and fits the chain.
    log.append(&entries(&log, 401..=401), []).unwrap();
    assert_eq!(verify(place.path()).unwrap().broken, None);
}

/// What `SQLite` does to find what to remove next of so many alerts.
fn work_to_remove_some_of(alerts: u64) -> i32 {
    let place = place();
    let mut log = place.open();
    let levels = [Priority::Notice, Priority::Critical, Priority::Debug];
    let written = (1..=alerts).map(|number| {
        let priority = levels[number as usize % 3];
        entry(
            &log,
            number,
            Alert {
                priority,
                ..sample()
            },
        )
    });
    let written: Vec<_> = written.collect();
    log.append(&written, []).unwrap();
    let query = format!("SELECT output FROM alerts WHERE {LEAST_SEVERE}");
    let mut select = log.connection.prepare(&query).unwrap();
    let found = select.query_map((alerts, 64), |row| row.get(0)).unwrap();
    let found: Vec<String> = found.collect::<Result<_, _>>().unwrap();
    assert_eq!(found.len(), 64);
    select.get_status(StatementStatus::VmStep)
}

#[test]
fn to_remove_some_takes_no_longer_the_more_there_are() {
    assert_eq!(work_to_remove_some_of(300), work_to_remove_some_of(6000));
}

#[test]
fn what_is_too_old_goes_and_leaves_no_trace_in_front() {
    let place = place();
    let mut log = place.open();
    let aged = |number: u64| Alert {
        time: number * DAY_NS,
        ..sample()
    };
    let written: Vec<_> = (1..=9)
        .map(|number| entry(&log, number, aged(number)))
        .collect();
    log.append(&written, []).unwrap();
    // What an output has still to get stays, however old.
    let mut owed = at_time(7 * DAY_NS);
    owed.delivered = 2;
    assert_eq!(log.retain(Some(owed)).unwrap().removed.len(), 2);
    assert_eq!(place.sequences(), [3, 4, 5, 6, 7, 8, 9]);
    let step = log.retain(Some(at_time(7 * DAY_NS))).unwrap();
    assert_eq!(step.removed.len(), 3);
    assert_eq!(place.sequences(), [6, 7, 8, 9]);
    let verified = verify(place.path()).unwrap();
    assert_eq!(
        (verified.anchor, verified.removed, verified.broken),
        (5, 0, None)
    );
    // However old: nothing else tells which number is next.
    log.retain(Some(at_time(100 * DAY_NS))).unwrap();
    assert_eq!(place.sequences(), [9]);
    drop(log);
    assert_eq!(place.open().last_given(), 9);
}

#[test]
fn a_damaged_log_is_kept_and_a_new_one_begun() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, 1..=50), []).unwrap();
    drop(log);
    let length = fs::metadata(place.path()).unwrap().len();
    fs::write(place.path(), vec![0x5a; length as usize]).unwrap();
    let (log, error) = open_or_begin_anew(place.settings.clone());
    let mut log = log.unwrap();
    let Some(LogError::Damaged { moved, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(fs::metadata(moved).unwrap().len(), length);
    log.append(&entries(&log, 1..=1), []).unwrap();
    assert_eq!(place.sequences(), [1]);
}

#[test]
fn numbers_go_on_in_the_log_that_takes_the_place_of_a_damaged_one() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, 1..=50), []).unwrap();
    let id = log.id();
    let moved = log.begin_anew([at("file", 50)]).unwrap();
    assert!(fs::metadata(moved).unwrap().len() > 0);
    log.append(&entries(&log, 51..=52), [at("file", 50)])
        .unwrap();
    drop(log);
    let log = place.open();
    assert_eq!(place.sequences(), [51, 52]);
    assert_eq!(
        (log.id(), log.acknowledged("file").unwrap()),
        (id, Some(50))
    );
    let verified = verify(place.path()).unwrap();
    assert_eq!((verified.anchor, verified.broken), (50, None));
}

#[test]
fn a_new_log_is_begun_once_there_is_room_when_there_was_none() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, 1..=50), []).unwrap();
    // Without room for a new one the damaged one stays.
    let new = with_suffix(place.path(), ".new");
    fs::create_dir_all(new.join("in the way")).unwrap();
    log.begin_anew([]).unwrap_err();
    assert_eq!(place.sequences().len(), 50);
    fs::remove_dir_all(&new).unwrap();
    // The same when it cannot be moved aside.
    let moved = damaged(place.path());
    fs::create_dir_all(moved.join("in the way")).unwrap();
    log.begin_anew([]).unwrap_err();
    let more = entries(&log, [51]);
    let error = log.append(&more, []).unwrap_err();
    assert!(error.is_damage(), "{error}: to be begun anew");
    fs::remove_dir_all(&moved).unwrap();
    assert_eq!(log.begin_anew([]).unwrap(), moved);
    log.append(&more, []).unwrap();
    assert_eq!(place.sequences(), [51]);
    let kept = Reader::open(&moved).unwrap().newest().unwrap();
    assert_eq!(kept, 50);
    assert_eq!(verify(place.path()).unwrap().broken, None);
}

#[test]
fn a_daemon_that_ends_while_a_log_is_begun_anew_goes_on_with_the_new_one() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, 1..=50), []).unwrap();
    let id = log.id();
    log.begin_anew([at("file", 20)]).unwrap();
    drop(log);
    // As it is when the damaged one has been moved and the new one has not.
    fs::rename(place.path(), with_suffix(place.path(), ".new")).unwrap();
    let log = place.open();
    assert_eq!(
        (log.id(), log.begun(), log.last_given()),
        (id, &[50][..], 50)
    );
    assert_eq!(log.acknowledged("file").unwrap(), Some(20));
}

/// What a query asks for, and the numbers of the alerts that it finds.
type Asked = (fn(&mut Query), &'static [u64]);

const QUERIES: &[Asked] = &[
    (|_| {}, &[1, 2, 3, 4]),
    (|query| query.from = 3, &[3, 4]),
    (|query| query.newest = Some(2), &[3, 4]),
    (|query| query.rule = Some("SHELL".to_owned()), &[1]),
    (|query| query.priority = Some(Priority::Warning), &[1, 3, 4]),
    (|query| query.container = Some("db".to_owned()), &[3]),
    (|query| query.container = Some("0123".to_owned()), &[3]),
    (
        |query| query.container = Some("0123456789abc".to_owned()),
        &[],
    ),
    (|query| query.container = Some("web".to_owned()), &[1, 2, 4]),
    (|query| query.text = Some("else".to_owned()), &[4]),
    (|query| query.text = Some("0123456789ab".to_owned()), &[3]),
    (|query| query.text = Some("%".to_owned()), &[]),
    (|query| query.since = Some(6), &[1, 2, 3]),
    (|query| query.until = Some(6), &[4]),
];

#[test]
fn queries_find_what_they_ask_for() {
    let place = place();
    let mut log = place.open();
    let mut alerts = [(); 4].map(|()| sample());
    alerts[0].rule = "Shell in a container".into();
    alerts[1].priority = Priority::Debug;
    let fields = [("container.name", "db"), ("container.id", "0123456789ab")];
    alerts[2].fields = fields
        .map(|(field, value)| (field.to_owned(), value.into()))
        .into();
    alerts[3].output = "Something else".into();
    alerts[3].time = 5;
    let written = (1..).zip(alerts);
    let written: Vec<_> = written
        .map(|(number, alert)| entry(&log, number, alert))
        .collect();
    log.append(&written, []).unwrap();
    let reader = Reader::open(place.path()).unwrap();
    for (ask, expected) in QUERIES {
        let mut query = Query::default();
        ask(&mut query);
        let mut found = Vec::new();
        reader
            .find(&query, |entry| found.push(entry.sequence))
            .unwrap();
        assert_eq!(found, *expected, "{query:?}");
    }
}

#[test]
fn who_takes_his_time_over_what_is_found_does_not_keep_the_log_from_shrinking() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, 1..=1000), []).unwrap();
    let reader = Reader::open(place.path()).unwrap();
    for newest in [None, Some(600)] {
        let query = Query {
            newest,
            ..Query::default()
        };
        let last = log.newest();
        let mut found = Vec::new();
        let mut each = |alert: Entry| {
            found.push(alert.sequence);
            if found.len() % 50 > 1 {
                return;
            }
            let more = entries(&log, [log.newest() + 1]);
            log.append(&more, []).unwrap();
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy = log.connection.query_row(checkpoint, (), |row| row.get(0));
            assert_eq!(busy, Ok(0), "what is new cannot go to the log itself");
        };
        reader.find(&query, &mut each).unwrap();
        let first = last + 1 - newest.unwrap_or(1000) as u64;
        assert!(found.iter().copied().eq(first..=last), "{found:?}");
    }
}

#[test]
fn hashes_of_removed_alerts_do_not_take_the_room_of_alerts() {
    let mut place = place();
    place.settings.retention.bytes = 1 << 20;
    let mut log = place.open();
    // One that stays, and behind it what comes and goes.
    let level = |priority| Alert {
        priority,
        ..sample()
    };
    let severe = [1, 2, 3].map(|number| entry(&log, number, level(Priority::Critical)));
    log.append(&severe, []).unwrap();
    let mut number = 3;
    let mut steps = Vec::new();
    while number < 15_000 {
        let flood =
            (number + 1..=number + 500).map(|number| entry(&log, number, level(Priority::Notice)));
        let flood: Vec<_> = flood.collect();
        log.append(&flood, []).unwrap();
        number += 500;
        loop {
            let step = log.retain(None).unwrap();
            steps.push(step.removed.len());
            if step.is_done {
                break;
            }
        }
    }
    assert!(steps.iter().all(|step| *step <= 64));
    assert!(log.bytes().unwrap() <= 1 << 20);
    let kept = place.sequences().len();
    assert!(kept > 500, "{kept} are kept: hashes take the room");
    let verified = verify(place.path()).unwrap();
    assert_eq!(verified.broken, None);
    assert!(verified.removed * 44 < 1 << 19, "{}", verified.removed);
    // The next start finds the same.
    drop(log);
    let mut log = place.open();
    log.append(&entries(&log, [number + 1]), []).unwrap();
    while !log.retain(None).unwrap().is_done {}
    assert_eq!(verify(place.path()).unwrap().broken, None);
}
