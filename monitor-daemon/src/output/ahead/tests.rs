//! What goes before its turn: the state alone, whole outputs whose server was away, and any order of
//! alerts, deliveries, failures and crashes.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::feed::{Feed, Kept, Output, Reached};
use super::super::queue::{Item, Queue};
use super::super::{Alert, Intake, OutputSettings, Outputs, Selection, sample};
use super::*;
use crate::alert_log::{self, AlertLog, Cursor, Retention};
use crate::config::{Config, StdoutFormat};
use crate::metrics::Metrics;
use std::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn what_the_cursor_has_passed_is_forgotten() {
    let ahead = Ahead::new(vec![5, 9]);
    ahead.add([9, 12, 7]);
    assert_eq!(ahead.unwritten(), [12, 7], "the log knows of 9");
    ahead.pass(8);
    let has = |numbers: [u64; 4]| numbers.map(|number| ahead.has(number));
    assert_eq!(has([5, 7, 9, 12]), [false, false, true, true]);
    ahead.forgotten();
    assert_eq!(ahead.unwritten(), [9, 12]);
    ahead.not_written(vec![9, 12]);
    assert_eq!(ahead.unwritten(), [9, 12]);
    ahead.pass(12);
    assert_eq!(ahead.count(), 0);
}

fn alert(number: u64, priority: Priority) -> Alert {
    Alert {
        priority,
        output: format!("number {number}."),
        ..sample()
    }
}

/// A log with one output, and what that has got.
struct World {
    folder: TempDir,
    log: AlertLog,
    intake: Arc<Intake>,
    feed: Feed,
    output: Arc<Output>,
    /// Alerts raised, and how often each came; those that came since the log last knew.
    raised: u64,
    severe: BTreeSet<u64>,
    came: HashMap<u64, u32>,
    unsafe_yet: BTreeSet<u64>,
    /// Those that may come a second time, after a crash.
    again: BTreeSet<u64>,
    last: u64,
}

fn settings(folder: &Path) -> alert_log::Settings {
    alert_log::Settings {
        path: folder.join("alerts.db"),
        synced: false,
        retention: Retention {
            bytes: 1 << 30,
            age_ns: u64::MAX,
        },
    }
}

/// The output as it starts on `log`: with little room in its queue.
fn begin(log: &AlertLog, intake: &Arc<Intake>) -> (Arc<Output>, Feed) {
    let queue = Queue::new(50 * sample().size());
    queue.look_elsewhere(log.newest());
    let reached = Reached {
        acknowledged: log.acknowledged("one").unwrap().unwrap_or_default(),
        ahead: Some(Ahead::new(log.ahead("one").unwrap())),
    };
    let selection = Selection {
        newest_first: Some(Priority::Critical),
        ..Selection::default()
    };
    let kept = Kept {
        keeper: Arc::clone(intake),
        path: log.path().to_owned(),
        begun: Mutex::new(log.begun().to_vec()),
        hostname: "web-1".into(),
    };
    let metrics = Metrics::new().unwrap().output("one");
    let output = Output::new("one".into(), queue, metrics, selection, reached, Some(kept));
    let output = Arc::new(output);
    (Arc::clone(&output), Feed::new(output))
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = AlertLog::open(settings(folder.path())).unwrap();
        let intake = Arc::new(Intake {
            queue: Queue::new(0),
            log: log.id(),
            given: Mutex::default(),
            lost: AtomicU64::default(),
        });
        let (output, feed) = begin(&log, &intake);
        Self {
            folder,
            log,
            intake,
            feed,
            output,
            raised: 0,
            severe: BTreeSet::new(),
            came: HashMap::new(),
            unsafe_yet: BTreeSet::new(),
            again: BTreeSet::new(),
            last: 0,
        }
    }

    /// `count` alerts, of which every `nth` is severe.
    fn raise(&mut self, count: u64, nth: u64) {
        let mut entries = Vec::new();
        for sequence in self.raised + 1..=self.raised + count {
            let is_severe = sequence % nth == 0;
            let level = [Priority::Notice, Priority::Critical][usize::from(is_severe)];
            if is_severe {
                self.severe.insert(sequence);
            }
            entries.push(Arc::new(Entry {
                sequence,
                log: self.log.id(),
                alert: alert(sequence, level),
            }));
        }
        self.raised += count;
        self.log.append(&entries, []).unwrap();
        for entry in entries {
            let sequence = entry.sequence;
            if self.output.queue.push(Item::Alert(entry)).is_err() {
                self.output.queue.look_elsewhere(sequence);
            }
        }
    }

    /// Delivers `count` alerts of the next batch; the others after that, unless they are overtaken.
    fn deliver(&mut self, count: usize) {
        if !self.feed.ready_within(Duration::ZERO) {
            return;
        }
        let items = self.feed.next().items;
        let batch: Vec<_> = items.into_iter().filter_map(Item::alert).collect();
        let numbers: Vec<u64> = batch.iter().map(|entry| entry.sequence).collect();
        let is_ordered = numbers.is_sorted() && numbers.first().is_none_or(|one| *one > self.last);
        let is_ahead = numbers.is_sorted_by(|a, b| a > b)
            && numbers.iter().all(|one| self.severe.contains(one));
        assert!(is_ordered || is_ahead, "behind {}: {numbers:?}", self.last);
        let (now, later) = batch.split_at(count.min(batch.len()));
        self.came(now);
        if let Some(last) = now.last() {
            self.feed.reached(last.sequence);
        }
        if !later.is_empty() && self.feed.is_overtaken() {
            return self.feed.put_back(later.to_vec());
        }
        self.came(later);
        self.feed.done();
        self.last = self.output.acknowledged();
    }

    fn came(&mut self, alerts: &[Arc<Entry>]) {
        for entry in alerts {
            *self.came.entry(entry.sequence).or_default() += 1;
            let is_known = self.came[&entry.sequence] > 1 && !self.again.remove(&entry.sequence);
            assert!(!is_known, "{} came twice", entry.sequence);
            self.unsafe_yet.insert(entry.sequence);
        }
    }

    /// What the keeper of the log does now and then.
    fn keep(&mut self) {
        let ahead = self.output.ahead.as_ref().unwrap().unwritten();
        let cursor = Cursor {
            output: "one",
            acknowledged: self.output.acknowledged(),
            ahead: Some(&ahead),
        };
        self.log.append(&[], [cursor]).unwrap();
        self.unsafe_yet.retain(|one| !self.output.has(*one));
    }

    /// The daemon is killed and starts again.
    fn crash(&mut self) {
        self.again.append(&mut self.unsafe_yet);
        (self.output, self.feed) = begin(&self.log, &self.intake);
        self.last = self.output.acknowledged();
    }

    fn end(&mut self) {
        while self.output.acknowledged() < self.raised {
            self.deliver(usize::MAX);
        }
        self.keep();
        assert_eq!(self.came.len() as u64, self.raised, "none is lost");
        assert_eq!(self.output.ahead(), 0);
        assert_eq!(self.log.ahead("one").unwrap(), [0; 0]);
        assert!(self.folder.path().exists());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Raise(u64, u64),
    Deliver(usize),
    Keep,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..700, 2u64..40).prop_map(|(count, nth)| Step::Raise(count, nth)),
        (0usize..300).prop_map(Step::Deliver),
        (0usize..300).prop_map(Step::Deliver),
        Just(Step::Keep),
        Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 40,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_each_comes_and_none_twice_without_a_crash(
        steps in proptest::collection::vec(step(), 1..30),
    ) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Raise(count, nth) => world.raise(count, nth),
                Step::Deliver(count) => world.deliver(count),
                Step::Keep => world.keep(),
                Step::Crash => world.crash(),
            }
        }
        world.end();
    }
}

/// Outputs of which one, with these keys, goes on in the log in `folder`.
fn start(alerts: &str, folder: &Path) -> (Outputs, Metrics) {
    let text = format!("alerts: {{log: {{days: 36500}}, {alerts}}}");
    let config = Config::parse(Path::new("m.yaml"), &text).unwrap();
    let settings = OutputSettings {
        stdout: StdoutFormat::Off,
        log: Some(settings(folder)),
        ..OutputSettings::new(&config, "web-1".into())
    };
    let metrics = Metrics::new().unwrap();
    (Outputs::start(&settings, &metrics).unwrap(), metrics)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The numbers of all alerts that come over connections to `listener`, each of which is answered by
/// as many empty answers as it has requests.
fn receive(listener: &TcpListener, expected: usize) -> Vec<u64> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = String::new();
    let mut answered = 0;
    let mut numbers = Vec::new();
    let mut bytes = [0; 1 << 12];
    while numbers.len() < expected {
        let length = stream.read(&mut bytes).unwrap();
        assert!(length > 0, "the connection ended after {numbers:?}");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        let ends = text.matches("number").count() == text.matches("}\n").count();
        let requests = text.matches("POST ").count();
        if requests > answered && ends {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            answered = requests;
        }
        let parts = text.split("number ").skip(1);
        let found = parts.filter_map(|part| part.split_once('.')?.0.parse().ok());
        numbers = found.collect();
    }
    numbers
}

#[test]
fn after_an_outage_the_newest_severe_alerts_come_first_then_the_rest_in_order() {
    for (label, keys) in [
        (
            "http.one",
            "http: {one: {url: 'http://ADDRESS/', body: ndjson, newest_first: critical}}",
        ),
        (
            "syslog",
            "syslog: {address: 'ADDRESS', protocol: tcp, newest_first: critical}",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // An address that no other test's server has while this one's is away.
        let free = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 77), 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let keys = keys.replace("ADDRESS", &address.to_string());
        let severe = |number: &u64| number % 500 == 250;
        let raise = |outputs: &Outputs, numbers: std::ops::RangeInclusive<u64>| {
            let last = *numbers.end();
            for number in numbers {
                let levels = [Priority::Warning, Priority::Alert];
                let priority = levels[usize::from(severe(&number))];
                outputs.queue().push(alert(number, priority)).unwrap();
            }
            // What goes first is looked for in the log, and written there after this.
            let path = settings(folder.path()).path;
            let kept = || Reader::open(&path).unwrap().newest().unwrap();
            wait_until("the alerts in the log", || kept() == last);
        };
        let (mut outputs, _) = start(&keys, folder.path());
        raise(&outputs, 1..=1500);
        outputs.stop(Duration::from_millis(200));
        drop(outputs);
        // What comes before the server is back overtakes what has been tried to send.
        let (mut outputs, metrics) = start(&keys, folder.path());
        let metrics = metrics.output(label);
        wait_until(&format!("an attempt of {label} at {address}"), || {
            metrics.write_errors.get() > 0
        });
        raise(&outputs, 1501..=3000);
        let tried = metrics.write_errors.get();
        wait_until("attempts", || metrics.write_errors.get() > tried + 1);
        outputs.queue().progress();
        let (waiting, oldest) = (metrics.waiting.get(), metrics.oldest_seconds.get());
        // The sample is years old.
        assert!(waiting == 3000 && oldest > 1 << 20, "{waiting} {oldest}");
        assert!(metrics.trouble.why().is_some(), "{label}");
        let listener = TcpListener::bind(address).unwrap();
        let numbers = receive(&listener, 3000);
        let newest_first = (1..=3000).rev().filter(severe);
        let rest = (1..=3000).filter(|number| !severe(number));
        let expected: Vec<u64> = newest_first.chain(rest).collect();
        assert_eq!(numbers, expected, "{label}");
        outputs.stop(Duration::from_secs(5));
        assert_eq!(metrics.written.get(), 3000, "{label}");
        outputs.queue().progress();
        assert_eq!(metrics.waiting.get(), 0, "{label}");
        assert_eq!(metrics.trouble.why(), None, "{label}");
    }
}
