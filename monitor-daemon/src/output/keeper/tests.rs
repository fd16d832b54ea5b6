//! The keeper of the log when that cannot be written.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::tests::is_alone;
use super::super::{Alert, OutputSettings, Outputs, sample};
use crate::alert_log::{self, Retention};
use crate::config::{Config, StdoutFormat};
use crate::metrics::Metrics;

const PATIENCE: Duration = Duration::from_secs(30);
/// A disk on which a batch of large alerts has room once the filler is cut, but not two.
const DISK: &str = "mount -t tmpfs -o size=24m none /mnt";
const LARGE: usize = 8192;

/// A log on the little disk, and an output to `file`.
fn settings(file: &Path) -> OutputSettings {
    OutputSettings {
        log: Some(alert_log::Settings {
            path: Path::new("/mnt").join(alert_log::NAME),
            synced: false,
            retention: Retention {
                bytes: 1 << 30,
                age_ns: u64::MAX,
            },
        }),
        stdout: StdoutFormat::Off,
        file: Some(file.to_owned()),
        queue_bytes: 32 << 20,
        ..OutputSettings::new(&Config::default(), "web-1".into())
    }
}

fn fill() -> File {
    let mut filler = File::create("/mnt/filler").unwrap();
    while filler.write_all(&[0; 1 << 12]).is_ok() {}
    filler
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_full_disk_is_tried_now_and_then_and_what_fits_is_written() {
    let test = concat!(
        module_path!(),
        "::a_full_disk_is_tried_now_and_then_and_what_fits_is_written"
    );
    if !is_alone(test, DISK) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("alerts"));
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let written = metrics.output("file").written.clone();
    let log = &metrics.log;
    let filler = fill();
    let started = Instant::now();
    // One after the other: each is tried by itself, or rouses the keeper.
    for count in 1..=600 {
        let output = "x".repeat(LARGE);
        let alert = Alert { output, ..sample() };
        outputs.queue().push(alert).unwrap();
        wait_until("an alert in the file", || written.get() == count);
    }
    assert_eq!((log.failing.get(), log.written.get()), (1, 0));
    let (tries, seconds) = (log.errors.get(), started.elapsed().as_secs());
    println!("{tries} attempts in {seconds} s");
    assert!((1..=seconds + 2).contains(&tries), "{tries} in {seconds} s");

    // Room for some of them.
    let length = fs::metadata("/mnt/filler").unwrap().len();
    filler.set_len(length - (9 << 19)).unwrap();
    wait_until("some in the log", || log.written.get() > 0);
    assert_eq!((log.failing.get(), log.written.get()), (1, 256));
    filler.set_len(0).unwrap();
    wait_until("all in the log", || log.failing.get() == 0);
    assert_eq!(log.written.get(), 600);
    outputs.stop(PATIENCE);
}

/// What is in the file of those alerts that tell of a loss.
fn told(file: &Path, why: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| line.contains(why));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// More than wait in memory for the log.
const RAISED: u64 = 40;

#[test]
fn what_the_log_never_gets_is_a_gap_of_which_an_alert_tells() {
    let test = concat!(
        module_path!(),
        "::what_the_log_never_gets_is_a_gap_of_which_an_alert_tells"
    );
    if !is_alone(test, DISK) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts");
    let mut settings = settings(&file);
    settings.queue_bytes = 20 * sample().size();
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let written = metrics.output("file").written.clone();
    let filler = fill();
    for count in 1..=RAISED {
        outputs.queue().push(sample()).unwrap();
        wait_until("an alert in the file", || written.get() >= count);
    }
    filler.set_len(0).unwrap();
    let why = "The alert log could not be written for so long";
    wait_until("an alert that tells of it", || !told(&file, why).is_empty());
    outputs.stop(PATIENCE);
    let unkept = metrics.log.unkept.get();
    assert!((1..RAISED).contains(&unkept), "{unkept}");
    let fields = &told(&file, why)[0]["output_fields"];
    assert_eq!(
        (&fields["log.output"], &fields["log.lost"]),
        (&"alert log".into(), &unkept.into())
    );
    let log = settings.log.unwrap();
    let gaps = alert_log::verify(&log.path).unwrap().gaps;
    assert_eq!(gaps, [(1, unkept)]);
}

#[test]
fn what_there_is_no_room_for_is_a_gap_of_which_an_alert_tells() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts");
    let mut settings = settings(&file);
    settings.queue_bytes = 3 * sample().size();
    let log = folder.path().join(alert_log::NAME);
    settings.log.as_mut().unwrap().path.clone_from(&log);
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    wait_until("an alert that is refused", || {
        outputs.queue().push(sample()).is_err()
    });
    let why = "There was no room for alerts on their way";
    wait_until("an alert that tells of it", || !told(&file, why).is_empty());
    outputs.stop(PATIENCE);
    let fields = &told(&file, why)[0]["output_fields"];
    let lost = metrics.output("file").lost_queue_full.get();
    assert_eq!((&fields["log.lost"], lost), (&1.into(), 1));
    let number = fields["log.first"].as_u64().unwrap();
    let gaps = alert_log::verify(&log).unwrap().gaps;
    assert_eq!(gaps, [(number, number)]);
}

#[test]
fn the_end_says_what_neither_the_log_nor_an_output_has() {
    let test = concat!(
        module_path!(),
        "::the_end_says_what_neither_the_log_nor_an_output_has"
    );
    if !is_alone(test, DISK) {
        return;
    }
    // As a full disk, this fails every write.
    let settings = settings(Path::new("/dev/full"));
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let _filler = fill();
    for _ in 0..10 {
        outputs.queue().push(sample()).unwrap();
    }
    assert_eq!(outputs.stop(PATIENCE), 10);
    assert_eq!(metrics.output("file").lost_log.get(), 10);
}
