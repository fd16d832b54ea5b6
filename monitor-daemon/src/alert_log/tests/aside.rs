//! Damaged logs that were being moved aside when the daemon ended.

use super::*;

#[test]
fn damaged_logs_are_found_where_a_daemon_ended_while_it_moved_them() {
    let place = place();
    let mut log = place.open();
    for numbers in [1..=10, 11..=20, 21..=30] {
        log.append(&entries(&log, numbers), [at("siem", 5)])
            .unwrap();
        if log.newest() < 30 {
            log.begin_anew([at("siem", 5)]).unwrap();
        }
    }
    drop(log);
    let first = damaged(place.path());
    let second = damaged(&first);
    let third = damaged(&second);
    let moved: [&[(&PathBuf, &PathBuf)]; 3] = [
        &[],
        &[(&second, &third)],
        &[(&second, &third), (&first, &second)],
    ];
    for moves in moved {
        for (from, to) in moves {
            fs::rename(from, to).unwrap();
        }
        let mut log = place.open();
        assert_eq!(log.begun(), [20, 10], "{moves:?}");
        for (path, newest) in [(&first, 20), (&second, 10)] {
            let kept = Reader::open(path).unwrap().newest().unwrap();
            assert_eq!(kept, newest, "{moves:?}");
        }
        log.append([], [at("siem", 5)]).unwrap();
    }
}

#[test]
fn what_was_moved_in_parts_is_whole_again() {
    // Each file says whose it is: of the logs that were begun first, second and third.
    let whole = ["1", "1-wal", "2", "2-wal", "3", "3-wal"];
    let states = [
        // Nothing was moved, or the first is all aside, or without what follows it.
        [
            ".damaged.damaged",
            ".damaged.damaged-wal",
            ".damaged",
            ".damaged-wal",
            "",
            "-wal",
        ],
        [
            ".damaged.damaged.damaged",
            ".damaged.damaged.damaged-wal",
            ".damaged",
            ".damaged-wal",
            "",
            "-wal",
        ],
        [
            ".damaged.damaged.damaged",
            ".damaged.damaged-wal",
            ".damaged",
            ".damaged-wal",
            "",
            "-wal",
        ],
        // The second too.
        [
            ".damaged.damaged.damaged",
            ".damaged.damaged.damaged-wal",
            ".damaged.damaged",
            ".damaged.damaged-wal",
            "",
            "-wal",
        ],
        [
            ".damaged.damaged.damaged",
            ".damaged.damaged.damaged-wal",
            ".damaged.damaged",
            ".damaged-wal",
            "",
            "-wal",
        ],
    ];
    for state in states {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for (content, suffix) in whole.into_iter().zip(state) {
            fs::write(with_suffix(&path, suffix), content).unwrap();
        }
        close_up(&path).unwrap();
        for (content, suffix) in whole.into_iter().zip(states[0]) {
            let found = fs::read_to_string(with_suffix(&path, suffix)).unwrap();
            assert_eq!(found, content, "{state:?}");
        }
    }
}

#[test]
fn a_new_log_gets_no_part_of_the_damaged_one() {
    let place = place();
    let mut log = place.open();
    log.append(&entries(&log, 1..=50), []).unwrap();
    log.begin_anew([]).unwrap();
    log.append(&entries(&log, 51..=52), []).unwrap();
    drop(log);
    // As it is when the damaged one was moved without what had not got into its file.
    fs::rename(place.path(), with_suffix(place.path(), ".new")).unwrap();
    let rest = |path: &Path| with_suffix(path, "-wal");
    fs::write(rest(place.path()), "of the damaged one").unwrap();
    let log = place.open();
    assert_eq!(log.newest(), 52);
    let moved = fs::read_to_string(rest(&damaged(place.path()))).unwrap();
    assert_eq!(moved, "of the damaged one");
}
