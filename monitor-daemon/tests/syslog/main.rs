//! A real rsyslog takes what we send, over UDP, TCP and TLS, also when it was away for a while.
//! Skips with a reason where there is none, or fails when `CI=true`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod server;
mod tls;

use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use monitor_daemon::config::{Config, StdoutFormat, Syslog, SyslogFormat, SyslogProtocol};
use monitor_daemon::metrics::Metrics;
use monitor_daemon::output::{Alert, OutputSettings, Outputs, Selection, TlsFiles};
use monitor_policy::Priority;
use serde_json::Value;

use self::server::Server;

const PROGRAM: &str = "/usr/sbin/rsyslogd";
const PATIENCE: Duration = Duration::from_secs(30);

fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether there is an rsyslog; says so where not.
fn has_rsyslog(test: &str) -> bool {
    let there = Path::new(PROGRAM).exists();
    if !there {
        assert!(
            std::env::var_os("CI").is_none_or(|value| value != "true"),
            "this test must run where CI=true is set: {PROGRAM} is missing"
        );
        println!("SKIP: {test}: {PROGRAM} is missing");
    }
    there
}

fn outputs(server: &Server, protocol: SyslogProtocol, format: SyslogFormat) -> (Outputs, Metrics) {
    start(Syslog {
        address: format!("127.0.0.1:{}", server.port),
        protocol,
        facility: "local3".parse().unwrap(),
        format,
        timeout: Duration::from_secs(10),
        tls: TlsFiles::default(),
        selection: Selection::default(),
    })
}

fn start(syslog: Syslog) -> (Outputs, Metrics) {
    let settings = OutputSettings {
        stdout: StdoutFormat::Off,
        syslog: Some(syslog),
        log: None,
        ..OutputSettings::new(&Config::default(), "web-1".into())
    };
    let metrics = Metrics::new().unwrap();
    (Outputs::start(&settings, &metrics).unwrap(), metrics)
}

fn alert(number: usize) -> Alert {
    Alert {
        rule: "Read shadow".into(),
        priority: Priority::Critical,
        source: "syscall".into(),
        tags: ["host".to_owned()].into(),
        time: 1_769_860_800_000_000_001,
        hostname: "web-1".into(),
        output: format!("number {number}"),
        fields: vec![("fd.name".to_owned(), Value::from("/etc/shadow"))],
    }
}

#[test]
fn rsyslog_reads_json_from_datagrams() {
    if !has_rsyslog("rsyslog_reads_json_from_datagrams") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "");
    let (outputs, metrics) = outputs(&server, SyslogProtocol::Udp, SyslogFormat::Json);
    outputs.queue().push(alert(1)).unwrap();
    let messages = server.messages(1);
    let (header, body) = messages[0].split_at(messages[0].find('{').unwrap());
    assert_eq!(header.trim_end(), "local3|crit|web-1|monitor-daemon|-|");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["output_fields"]["fd.name"], "/etc/shadow");
    assert_eq!(metrics.output("syslog").written.get(), 1);
}

#[test]
fn nothing_is_lost_while_rsyslog_is_away_and_tcp_is_used() {
    if !has_rsyslog("nothing_is_lost_while_rsyslog_is_away_and_tcp_is_used") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), "");
    let (outputs, metrics) = outputs(&server, SyslogProtocol::Tcp, SyslogFormat::Structured);
    let counted = metrics.output("syslog");
    let send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            outputs.queue().push(alert(number)).unwrap();
        }
    };
    send(0..10);
    let messages = server.messages(10);
    let (header, fields) = messages[9].split_once("uuid=").unwrap();
    assert_eq!(header, "local3|crit|web-1|monitor-daemon|[monitor@32473 ");
    let (uuid, fields) = fields.split_once(' ').unwrap();
    assert!(uuid.ends_with("-8930-00000000000a\""), "{uuid}");
    assert!(
        fields.starts_with(
            "sequence=\"10\" rule=\"Read shadow\" priority=\"Critical\" source=\"syscall\" tags=\"host\" \
             fd.name=\"/etc/shadow\"]|"
        ),
        "{fields}"
    );
    server.stop();
    send(10..20);
    until("a failure is counted", || counted.write_errors.get() > 0);
    assert_eq!(counted.written.get(), 10);
    server.start_again();
    let messages = server.messages(20);
    for (number, message) in messages.iter().enumerate() {
        assert!(message.ends_with(&format!(" number {number}")), "{message}");
    }
    until("all are counted", || counted.written.get() == 20);
    assert_eq!(counted.lost_queue_full.get() + counted.lost_write.get(), 0);
}

#[test]
fn what_a_missing_server_costs_is_counted() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let syslog = Syslog {
        address: format!("127.0.0.1:{port}"),
        protocol: SyslogProtocol::Tcp,
        facility: "daemon".parse().unwrap(),
        format: SyslogFormat::Json,
        timeout: Duration::from_secs(10),
        tls: TlsFiles::default(),
        selection: Selection::default(),
    };
    let settings = OutputSettings {
        stdout: StdoutFormat::Off,
        syslog: Some(syslog),
        queue_bytes: 3 * alert(0).size(),
        log: None,
        ..OutputSettings::new(&Config::default(), "web-1".into())
    };
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    for number in 0..10 {
        // Whether there is room is counted.
        let _room = outputs.queue().push(alert(number));
    }
    outputs.stop(PATIENCE);
    let counted = metrics.output("syslog");
    let (full, shutdown) = (counted.lost_queue_full.get(), counted.lost_shutdown.get());
    // The alert that tells of it is one more, if it is in time.
    assert!((10..=11).contains(&(full + shutdown)), "{full} {shutdown}");
    assert_eq!(counted.written.get(), 0);
    assert!(full >= 4, "{full}: two queues hold three each");
}
