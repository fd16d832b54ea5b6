//! Alerts through the log: a server that is away, a daemon that ends, more alerts than memory
//! holds.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use monitor_daemon::alert_log::{self, Query, Reader, Retention};
use monitor_daemon::config::{Config, StdoutFormat, Syslog};
use monitor_daemon::metrics::Metrics;
use monitor_daemon::output::{Alert, AlertQueue, OutputSettings, Outputs, Selection, TlsFiles};
use monitor_policy::Priority;
use rusqlite::Connection;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of some hundred alerts.
const QUEUE: usize = 1 << 16;

fn settings(folder: &Path, server: SocketAddr) -> OutputSettings {
    OutputSettings {
        log: Some(alert_log::Settings {
            path: folder.join(alert_log::NAME),
            synced: false,
            retention: Retention {
                bytes: 1 << 30,
                age_ns: u64::MAX,
            },
        }),
        stdout: StdoutFormat::Off,
        syslog: Some(Syslog {
            address: server.to_string(),
            protocol: "tcp".parse().unwrap(),
            facility: "daemon".parse().unwrap(),
            format: "json".parse().unwrap(),
            timeout: Duration::from_secs(10),
            tls: TlsFiles::default(),
            selection: Selection::default(),
        }),
        queue_bytes: QUEUE,
        ..OutputSettings::new(&Config::default(), "web-1".into())
    }
}

/// Where a server will be that is away.
fn away() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Raises alerts with these numbers, as fast as the log takes them.
fn raise(queue: &AlertQueue, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let alert = Alert {
            rule: "Read shadow".into(),
            priority: Priority::Critical,
            source: "syscall".into(),
            tags: [].into(),
            time: 1_769_860_800_000_000_001,
            hostname: "web-1".into(),
            output: format!("number {number}"),
            fields: vec![("number".to_owned(), number.into())],
        };
        while queue.push(alert.clone()).is_err() {
            thread::yield_now();
        }
    }
}

/// Takes one connection, and `count` of our alerts from it.
fn receive(listener: &TcpListener, count: u64) -> Vec<Value> {
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    (0..count).map(|_| ours(&mut stream)).collect()
}

/// The next alert that we have raised: what was refused, for which there was no room, is told too, but
/// is raised again.
fn ours(stream: &mut BufReader<TcpStream>) -> Value {
    loop {
        let alert = message(stream);
        if !is_of_no_room(&alert) {
            return alert;
        }
    }
}

fn is_of_no_room(alert: &Value) -> bool {
    let text = alert["output"].as_str().unwrap_or_default();
    text.contains("There was no room for alerts")
}

/// A message with its length in front.
fn message(stream: &mut BufReader<TcpStream>) -> Value {
    let mut length = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        if byte == [b' '] {
            break;
        }
        length.push(char::from(byte[0]));
    }
    let mut message = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut message).unwrap();
    let message = String::from_utf8(message).unwrap();
    let (_, json) = message.split_once(" - ").unwrap();
    serde_json::from_str(json).unwrap()
}

fn number(alert: &Value) -> u64 {
    alert["output_fields"]["number"].as_u64().unwrap()
}

#[test]
fn a_server_that_was_away_gets_all_that_memory_could_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let metrics = Metrics::new().unwrap();
    let settings = settings(folder.path(), server);
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let started = Instant::now();
    raise(&outputs.queue(), 0..20_000);
    let lost = metrics.output("syslog").lost_queue_full.get();
    println!("{lost} refusals at the log, in {:?}", started.elapsed());
    // The daemon ends and starts again meanwhile.
    outputs.stop(PATIENCE);
    drop(outputs);
    let metrics = Metrics::new().unwrap();
    let outputs = Outputs::start(&settings, &metrics).unwrap();
    raise(&outputs.queue(), 20_000..20_100);
    let listener = TcpListener::bind(server).unwrap();
    let got = receive(&listener, 20_100);
    assert!(got.iter().map(number).eq(0..20_100), "in order, each once");
    let mut ids: Vec<&str> = got
        .iter()
        .filter_map(|alert| alert["uuid"].as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20_100);
    assert_eq!(metrics.output("syslog").lost_log.get(), 0);
}

#[test]
fn what_a_server_has_got_is_not_sent_again_after_a_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(folder.path(), listener.local_addr().unwrap());
    let mut sequence = 0;
    for run in 0..3 {
        let metrics = Metrics::new().unwrap();
        let outputs = Outputs::start(&settings, &metrics).unwrap();
        raise(&outputs.queue(), run * 10..run * 10 + 10);
        let got = receive(&listener, 10);
        assert!(
            got.iter().map(number).eq(run * 10..run * 10 + 10),
            "{got:?}"
        );
        for alert in got {
            sequence += 1;
            assert_eq!(alert["sequence"], sequence);
        }
    }
    let log = folder.path().join(alert_log::NAME);
    assert_eq!(alert_log::verify(&log).unwrap().alerts, 30);
}

/// The numbers below `count` that a server gets, and how many alerts are told of as lost. That may be
/// more than were: numbers of alerts that were refused count too where the pages are damaged that tell
/// of them.
fn all(stream: &mut BufReader<TcpStream>, metrics: &Metrics, count: u64) -> (Vec<u64>, u64) {
    let counted = metrics.output("syslog").lost_log;
    let (mut got, mut told) = (Vec::new(), 0);
    while got.last() != Some(&(count - 1)) || told < counted.get() {
        let alert = ours(stream);
        match lost(&alert) {
            Some(alerts) => told += alerts,
            None => got.push(number(&alert)),
        }
    }
    assert!(got.is_sorted_by(|a, b| a < b), "in order, each once");
    assert_eq!(counted.get(), told);
    (got, told)
}

/// How many alerts were lost, by an alert that tells of it.
fn lost(alert: &Value) -> Option<u64> {
    alert["output_fields"]["log.lost"].as_u64()
}

#[test]
fn a_damaged_part_of_the_log_costs_no_alert_beside_it() {
    const RAISED: u64 = 2000;
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let settings = settings(folder.path(), server);
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    raise(&outputs.queue(), 0..RAISED);
    outputs.stop(PATIENCE);
    drop(outputs);
    // The file has all by now; its pages in the middle are full of alerts.
    damage_middle(&folder.path().join(alert_log::NAME));

    let metrics = Metrics::new().unwrap();
    let _outputs = Outputs::start(&settings, &metrics).unwrap();
    let listener = TcpListener::bind(server).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    let (got, told) = all(&mut stream, &metrics, RAISED);
    let missing = RAISED - got.len() as u64;
    assert!((1..RAISED / 4).contains(&missing), "{missing} are missing");
    assert!(told >= missing, "{missing} are missing, {told} are told");
}

#[test]
fn logs_that_are_damaged_one_after_the_other_cost_nothing_that_can_be_read() {
    const EACH: u64 = 500;
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let settings = settings(folder.path(), server);
    for log in 0..3 {
        let mut outputs = Outputs::start(&settings, &Metrics::new().unwrap()).unwrap();
        raise(&outputs.queue(), log * EACH..(log + 1) * EACH);
        outputs.stop(PATIENCE);
        drop(outputs);
        damage_index(&folder.path().join(alert_log::NAME));
    }

    let metrics = Metrics::new().unwrap();
    let outputs = Outputs::start(&settings, &metrics).unwrap();
    raise(&outputs.queue(), 3 * EACH..4 * EACH);
    let listener = TcpListener::bind(server).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    let (got, told) = all(&mut stream, &metrics, 4 * EACH);
    assert!(got.into_iter().eq(0..4 * EACH), "each once, in order");
    assert_eq!(told, 0);
}

#[test]
fn that_a_log_is_beyond_reading_is_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let settings = settings(folder.path(), server);
    let mut outputs = Outputs::start(&settings, &Metrics::new().unwrap()).unwrap();
    raise(&outputs.queue(), 0..100);
    outputs.stop(PATIENCE);
    drop(outputs);
    overwrite(&folder.path().join(alert_log::NAME), 0, 1);

    let metrics = Metrics::new().unwrap();
    let outputs = Outputs::start(&settings, &metrics).unwrap();
    raise(&outputs.queue(), 100..101);
    let listener = TcpListener::bind(server).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    let told = message(&mut stream);
    assert_eq!(told["rule"], "Monitor internal: alerts were lost");
    let fields = &told["output_fields"];
    assert_eq!(fields["log.output"], "alert log");
    assert!(fields["log.lost"].is_null(), "nobody knows: {told}");
    assert_eq!(number(&message(&mut stream)), 100);
    assert_eq!(metrics.log.damaged.get(), 1);
}

/// Overwrites the page by which the log finds alerts by priority: none can be added any more.
fn damage_index(log: &Path) {
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = 'by_priority'";
    let connection = Connection::open(log).unwrap();
    let page: u64 = connection.query_row(query, (), |row| row.get(0)).unwrap();
    drop(connection);
    overwrite(log, page - 1, 1);
}

/// Overwrites pages that are full of alerts.
fn damage_middle(log: &Path) {
    let page = fs::metadata(log).unwrap().len() / 2 / 4096;
    overwrite(log, page, 3);
}

fn overwrite(log: &Path, page: u64, pages: usize) {
    let log = File::options().write(true).open(log).unwrap();
    log.write_all_at(&vec![0x5a; pages * 4096], page * 4096)
        .unwrap();
}

/// What the daemon does to a log that was damaged while a server was away, over two more starts: how
/// many alerts the server then gets of 2,500, and how many are told of as lost.
fn replaced(damage: impl FnOnce(&Path), afterwards: impl FnOnce(&Path)) -> (u64, u64) {
    const RAISED: u64 = 2000;
    const ALL: u64 = RAISED + 500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(alert_log::NAME);
    let server = away();
    let settings = settings(folder.path(), server);
    let start = |metrics: &Metrics| Outputs::start(&settings, metrics).unwrap();
    let mut outputs = start(&Metrics::new().unwrap());
    raise(&outputs.queue(), 0..RAISED);
    outputs.stop(PATIENCE);
    drop(outputs);
    damage_index(&path);
    damage(&path);

    let mut outputs = start(&Metrics::new().unwrap());
    raise(&outputs.queue(), RAISED..ALL);
    outputs.stop(PATIENCE);
    drop(outputs);
    let moved = alert_log::damaged(&path);
    assert!(moved.exists(), "a new log was begun");
    afterwards(&moved);

    let metrics = Metrics::new().unwrap();
    let _outputs = start(&metrics);
    let listener = TcpListener::bind(server).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    let (got, told) = all(&mut stream, &metrics, ALL);
    (got.len() as u64, told)
}

#[test]
fn a_log_that_is_replaced_while_a_server_is_away_costs_it_nothing_that_can_be_read() {
    assert_eq!(replaced(|_| (), |_| ()), (2500, 0));
    // What the damage hides, and what somebody has removed, is told.
    let (got, told) = replaced(damage_middle, |_| ());
    assert!((2001..2500).contains(&got), "{got} came");
    assert!(told >= 2500 - got, "{got} came, {told} were lost");
    let remove = |moved: &Path| fs::remove_file(moved).unwrap();
    let (got, told) = replaced(|_| (), remove);
    assert!(got == 500 && told >= 2000, "{got} came, {told} were lost");
}

#[test]
fn a_log_that_cannot_be_read_for_a_while_costs_no_alert() {
    const RAISED: u64 = 2000;
    // Longer than one is waited for that is gone.
    const AWAY: Duration = Duration::from_secs(12);
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let settings = settings(folder.path(), server);
    let metrics = Metrics::new().unwrap();
    let outputs = Outputs::start(&settings, &metrics).unwrap();
    // Who has it open goes on; nobody can open it.
    let path = folder.path().join(alert_log::NAME);
    let away = folder.path().join("away");
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    raise(&outputs.queue(), 0..RAISED);
    let listener = TcpListener::bind(server).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let restored = thread::spawn(move || {
        thread::sleep(AWAY);
        fs::remove_dir(&path).unwrap();
        fs::rename(away, path).unwrap();
    });
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    for expected in 0..RAISED {
        assert_eq!(number(&ours(&mut stream)), expected);
    }
    restored.join().unwrap();
    assert_eq!(metrics.output("syslog").lost_log.get(), 0);
}

#[test]
fn what_a_full_log_removes_is_told_to_who_has_not_got_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let mut settings = settings(folder.path(), server);
    let path = folder.path().join(alert_log::NAME);
    if let Some(log) = &mut settings.log {
        log.retention.bytes = 1 << 20;
    }
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    raise(&outputs.queue(), 0..10_000);
    let query = Query {
        text: Some("Alerts were removed from the full alert log".to_owned()),
        ..Query::default()
    };
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    while told.is_empty() {
        assert!(Instant::now() < deadline, "nothing was told");
        raise(&outputs.queue(), 0..100);
        let reader = Reader::open(&path).unwrap();
        let number = |alert: &Alert| alert.field("log.lost").and_then(Value::as_u64);
        reader
            .find(&query, |entry| told.extend(number(&entry.alert)))
            .unwrap();
    }
    let lost = || metrics.output("syslog").lost_log.get();
    let told: u64 = told.iter().sum();
    assert!((1..=lost()).contains(&told), "{told} of {}", lost());
    let before = lost();
    outputs.stop(PATIENCE);
    // What was in memory alone is lost too by then, and nothing of what the next start will find.
    assert!(lost() > before);
    let mut left = 0;
    let reader = Reader::open(&path).unwrap();
    reader.find(&Query::default(), |_| left += 1).unwrap();
    let verified = alert_log::verify(&path).unwrap();
    assert_eq!(verified.broken, None);
    let refused = metrics.output("syslog").lost_queue_full.get();
    assert_eq!(left + lost() + refused, verified.newest);
}

#[test]
fn what_is_told_as_lost_does_not_come_out_of_memory_after_all() {
    let folder = tempfile::tempdir().unwrap();
    let server = away();
    let mut settings = settings(folder.path(), server);
    if let Some(log) = &mut settings.log {
        log.retention.bytes = 1 << 20;
    }
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let lost = || metrics.output("syslog").lost_log.get();
    let deadline = Instant::now() + PATIENCE;
    while lost() == 0 {
        assert!(Instant::now() < deadline, "nothing is lost");
        raise(&outputs.queue(), 0..1000);
    }
    raise(&outputs.queue(), 9999..10_000);
    let listener = TcpListener::bind(server).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    let mut came = 0;
    let last = loop {
        let alert = message(&mut stream);
        came += 1;
        if alert["output_fields"]["number"] == 9999 {
            break alert["sequence"].as_u64().unwrap();
        }
    };
    outputs.stop(PATIENCE);
    let refused = metrics.output("syslog").lost_queue_full.get();
    assert_eq!(came + lost() + refused, last);
}
