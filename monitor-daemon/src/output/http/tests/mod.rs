//! Whole outputs against a server that can do what servers do.

mod apis;
mod otlp;
mod server;
pub(in crate::output) mod tls;

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::server::{Act, PATIENCE, Server, answer};
use crate::alert_log;
use crate::config::{Config, StdoutFormat};
use crate::metrics::{Metrics, OutputMetrics};
use crate::output::tests::{TWO, dead, is_alone};
use crate::output::{Alert, OutputSettings, Outputs, sample};

/// A running output with the keys `keys`, and its log in `folder`.
struct Subject {
    outputs: Outputs,
    all: Metrics,
    metrics: OutputMetrics,
}

fn settings(keys: &str, folder: Option<&Path>) -> OutputSettings {
    // The sample is of a day long past, which is not for the log to mind.
    let text = format!("alerts: {{log: {{days: 36500}}, http: {{siem: {{{keys}}}}}}}");
    let config = Config::parse(Path::new("m.yaml"), &text).unwrap();
    let log = folder.map(|folder| alert_log::Settings {
        path: folder.join("alerts.db"),
        ..config.alerts.log.settings().unwrap()
    });
    OutputSettings {
        stdout: StdoutFormat::Off,
        log,
        ..OutputSettings::new(&config, "web-1".into())
    }
}

fn start(settings: &OutputSettings) -> Subject {
    let all = Metrics::new().unwrap();
    let outputs = Outputs::start(settings, &all).unwrap();
    Subject {
        outputs,
        metrics: all.output("http.siem"),
        all,
    }
}

impl Subject {
    fn push(&self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            let alert = Alert {
                output: format!("number {number}."),
                ..sample()
            };
            self.outputs.queue().push(alert).unwrap();
        }
    }

    /// Waits until so many alerts were refused, and so many written besides what tells of those.
    fn wait(&self, written: u64, refused: u64) {
        let start = Instant::now();
        let found = || (self.metrics.written.get(), self.metrics.lost_refused.get());
        let have_come = |(now, lost)| lost == refused && now >= written;
        while !have_come(found()) {
            assert!(start.elapsed() < PATIENCE, "{:?}", found());
            std::thread::yield_now();
        }
    }
}

/// The numbers of the alerts in a body.
fn numbers(body: &str) -> Vec<usize> {
    let parts = body.split("number ").skip(1);
    parts
        .map(|part| part.split_once('.').unwrap().0.parse().unwrap())
        .collect()
}

fn url(server: &Server) -> String {
    format!("url: 'http://{}/in?x=1'", server.address)
}

#[test]
fn a_request_is_what_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cret\n").unwrap();
    let secret = secret.display();
    let cases = [
        (String::new(), None),
        (format!("token: {secret}"), Some("Bearer s3cret")),
        (
            format!("token: {secret}, token_scheme: ApiKey"),
            Some("ApiKey s3cret"),
        ),
        (
            format!("user: me, password: {secret}"),
            Some("Basic bWU6czNjcmV0"),
        ),
    ];
    for (keys, login) in cases {
        let server = Server::acting([]);
        let keys = format!("{}, headers: {{X-Tenant: a}}, {keys}", url(&server));
        let subject = start(&settings(&keys, None));
        subject.push([7]);
        let request = server.next();
        assert_eq!(request.line, "POST /in?x=1 HTTP/1.1");
        assert_eq!(request.headers["host"], server.address.to_string());
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["x-tenant"], "a");
        assert_eq!(
            request.headers.get("authorization").map(String::as_str),
            login
        );
        let alert: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(alert["rule"], "Read shadow");
        subject.wait(1, 0);
    }
}

/// Some servers want a key of theirs, which need not stand in the configuration either.
#[test]
fn a_token_may_have_a_header_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cret\n").unwrap();
    let server = Server::acting([]);
    let keys = format!(
        "{}, token: {}, token_header: X-Api-Key",
        url(&server),
        secret.display()
    );
    let subject = start(&settings(&keys, None));
    subject.push([7]);
    let request = server.next();
    assert_eq!(request.headers["x-api-key"], "s3cret");
    assert_eq!(request.headers.get("authorization"), None);
}

#[test]
fn alerts_have_the_shape_that_is_asked_for() {
    let cases = [
        ("ecs", "array", "application/json", "[{\""),
        ("ocsf", "ndjson", "application/x-ndjson", "{\""),
        ("cef", "single", "text/plain; charset=utf-8", "CEF:0|"),
    ];
    for (format, body, kind, start_of) in cases {
        let server = Server::acting([]);
        let keys = format!("{}, format: {format}, body: {body}", url(&server));
        let subject = start(&settings(&keys, None));
        subject.push([7]);
        let request = server.next();
        assert_eq!(request.headers["content-type"], kind);
        assert!(request.body.starts_with(start_of), "{}", request.body);
        assert_eq!(numbers(&request.body), [7]);
    }
}

#[test]
fn several_alerts_go_in_one_request_within_its_bytes() {
    for body in ["array", "ndjson"] {
        // The first request holds the others back meanwhile.
        let server = Server::acting([answer(503)]);
        let keys = format!("{}, body: {body}, request_bytes: 4096", url(&server));
        let subject = start(&settings(&keys, None));
        subject.push(0..20);
        let mut all = Vec::new();
        let mut requests = 0;
        while all.len() < 20 {
            let request = server.next();
            if requests == 0 {
                all.clear();
            }
            requests += 1;
            assert!(request.body.len() <= 4096 + 2, "{}", request.body.len());
            let alerts: Vec<Value> = match body {
                "array" => serde_json::from_str(&request.body).unwrap(),
                _ => request
                    .body
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect(),
            };
            assert_eq!(alerts.len(), numbers(&request.body).len());
            if requests > 1 {
                all.extend(numbers(&request.body));
            }
        }
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert!((3..15).contains(&requests), "{requests}");
        subject.wait(20, 0);
    }
}

/// Each trouble costs nothing but another attempt; none is taken for an answer.
#[test]
fn what_may_pass_is_tried_again() {
    let troubles = [
        answer(500),
        answer(503),
        answer(429),
        answer(401),
        answer(301),
        Act::Hang,
        Act::CloseHalfway,
    ];
    for trouble in troubles {
        let server = Server::acting([trouble.clone()]);
        let subject = start(&settings(
            &format!("{}, timeout_ms: 300", url(&server)),
            None,
        ));
        subject.push([1]);
        assert_eq!(numbers(&server.next().body), [1]);
        assert_eq!(numbers(&server.next().body), [1], "{trouble:?}");
        subject.wait(1, 0);
        assert_eq!(subject.metrics.write_errors.get(), 1, "{trouble:?}");
    }
}

#[test]
fn an_address_that_is_dead_does_not_keep_from_one_that_answers() {
    if !is_alone(
        concat!(
            module_path!(),
            "::an_address_that_is_dead_does_not_keep_from_one_that_answers"
        ),
        TWO,
    ) {
        return;
    }
    let server = Server::at(([127, 0, 0, 2], 0).into(), None, |_| answer(200));
    let port = server.address.port();
    let _dead = dead(port);
    let subject = start(&settings(
        &format!("url: 'http://two:{port}/', timeout_ms: 5000"),
        None,
    ));
    subject.push([1]);
    assert_eq!(numbers(&server.next().body), [1]);
    subject.wait(1, 0);
    assert_eq!(subject.metrics.write_errors.get(), 0);
}

#[test]
fn a_server_that_closes_what_is_idle_is_no_trouble() {
    let server = Server::acting([Act::AnswerAndClose, Act::AnswerAndClose]);
    let subject = start(&settings(&url(&server), None));
    for number in 0..3 {
        subject.push([number]);
        assert_eq!(numbers(&server.next().body), [number]);
        subject.wait(number as u64 + 1, 0);
    }
    assert_eq!(subject.metrics.write_errors.get(), 0);
}

#[test]
fn a_server_is_given_the_time_that_it_asks_for() {
    let busy = Act::Answer(429, "retry-after: 2\r\n", String::new());
    let server = Server::acting([busy]);
    let subject = start(&settings(&url(&server), None));
    subject.push([1]);
    server.next();
    let refused = Instant::now();
    server.next();
    assert!(
        refused.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        refused.elapsed()
    );
}

#[test]
fn what_is_refused_is_found_counted_and_holds_nobody_up() {
    let server = Server::judging(None, |request| {
        let found = numbers(&request.body);
        let bad = |number: &usize| *number == 3 || *number == 11;
        if found.iter().any(bad) {
            answer(400)
        } else {
            answer(200)
        }
    });
    let subject = start(&settings(&format!("{}, body: ndjson", url(&server)), None));
    subject.push(0..16);
    subject.wait(14, 2);
    let mut bodies = server
        .received
        .try_iter()
        .map(|request| numbers(&request.body));
    assert!(bodies.any(|body| body == [3]), "alone");
}

/// A server that fails at an alert each time, for longer than anybody waits.
#[test]
fn an_alert_at_which_the_server_fails_does_not_block_for_ever() {
    for body in ["ndjson", "single"] {
        let server = Server::judging(None, |request| {
            if numbers(&request.body).contains(&2) {
                answer(500)
            } else {
                answer(200)
            }
        });
        let mut settings = settings(&format!("{}, body: {body}", url(&server)), None);
        settings.http.get_mut("siem").unwrap().retry = Duration::from_millis(700);
        let subject = start(&settings);
        subject.push(0..6);
        subject.wait(5, 1);
    }
}

/// The other outputs tell of it, once, although the alert that tells of it is refused too.
#[test]
fn a_lone_alert_that_is_refused_for_too_long_is_told_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::judging(None, |_| answer(500));
    let mut settings = settings(&url(&server), Some(folder.path()));
    settings.http.get_mut("siem").unwrap().retry = Duration::from_millis(1);
    let file = folder.path().join("alerts");
    settings.file = Some(file.clone());
    let mut subject = start(&settings);
    subject.push([7]);
    subject.wait(0, 2);
    subject.outputs.stop(PATIENCE);
    let text = fs::read_to_string(file).unwrap();
    let alerts: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(alerts.len(), 2, "{text}");
    let told = &alerts[1];
    assert_eq!(told["rule"], "Monitor internal: alerts were lost");
    let fields = &told["output_fields"];
    assert_eq!(fields["log.output"], "http siem");
    assert_eq!(
        (
            &fields["log.lost"],
            &fields["log.first"],
            &fields["log.last"]
        ),
        (&1.into(), &1.into(), &1.into())
    );
}

/// The same where it is not the alerts: none is lost, however long it takes. That is so for several in
/// one request, and for one that was alone when the outage began.
#[test]
fn a_server_that_takes_nothing_costs_nothing() {
    for first_that_fails in [2, 1] {
        takes_nothing_from(first_that_fails);
    }
}

fn takes_nothing_from(first_that_fails: usize) {
    let mut count = 0;
    let (come, first) = channel();
    let (go, wait) = channel();
    let server = Server::judging(None, move |request| {
        count += 1;
        if count == 1 {
            come.send(numbers(&request.body)).unwrap();
            // The others are in one batch then.
            wait.recv().unwrap();
        }
        if (first_that_fails..=20).contains(&count) {
            answer(401)
        } else {
            answer(200)
        }
    });
    let mut settings = settings(&format!("{}, body: ndjson", url(&server)), None);
    settings.http.get_mut("siem").unwrap().retry = Duration::from_millis(1);
    // Which gets each alert first.
    let folder = tempfile::tempdir().unwrap();
    settings.file = Some(folder.path().join("alerts"));
    let subject = start(&settings);
    subject.push([0]);
    assert_eq!(first.recv_timeout(PATIENCE).unwrap(), [0], "alone");
    subject.push(1..6);
    let in_file = subject.all.output("file").written;
    let since = Instant::now();
    while in_file.get() < 6 {
        assert!(since.elapsed() < PATIENCE, "{}", in_file.get());
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    subject.wait(6, 0);
}

#[test]
fn what_was_raised_while_the_server_and_the_daemon_were_away_comes_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::acting([answer(200), answer(200)]);
    let keys = url(&server);
    let subject = start(&settings(&keys, Some(folder.path())));
    subject.push([0, 1]);
    subject.wait(2, 0);
    drop(subject);
    // Nobody is there.
    let away = keys.replace(&server.address.to_string(), "127.0.0.1:1");
    let mut subject = start(&settings(&away, Some(folder.path())));
    subject.push(2..300);
    subject.outputs.stop(PATIENCE);
    assert_eq!(subject.metrics.lost_shutdown.get(), 0);
    drop(subject);
    let subject = start(&settings(
        &format!("{keys}, body: ndjson"),
        Some(folder.path()),
    ));
    subject.push(300..305);
    subject.wait(303, 0);
    let bodies = server.received.try_iter();
    let all: Vec<usize> = bodies.flat_map(|request| numbers(&request.body)).collect();
    assert_eq!(all, (0..305).collect::<Vec<_>>());
}

#[test]
fn an_output_gets_what_it_is_for() {
    let server = Server::acting([]);
    let keys = format!("{}, priority: error, rules: ['Bad*']", url(&server));
    let folder = tempfile::tempdir().unwrap();
    let subject = start(&settings(&keys, Some(folder.path())));
    subject.push(0..300);
    let alert = Alert {
        rule: "Bad thing".into(),
        priority: monitor_policy::Priority::Critical,
        output: "number 300.".into(),
        ..sample()
    };
    subject.outputs.queue().push(alert).unwrap();
    assert_eq!(numbers(&server.next().body), [300]);
    subject.wait(1, 0);
    drop(subject);
    // It has all that is not for it, too.
    let subject = start(&settings(&url(&server), Some(folder.path())));
    subject.push([301]);
    assert_eq!(numbers(&server.next().body), [301]);
}

#[test]
fn what_cannot_work_is_an_error_at_start() {
    let refused = |keys: &str| {
        let settings = settings(keys, None);
        Outputs::start(&settings, &Metrics::new().unwrap())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("url: 'http://x/', token: /nonexistent"),
        "the output `alerts.http.siem` cannot start: cannot read the secret `/nonexistent`: No \
         such file or directory (os error 2)"
    );
    assert_eq!(
        refused("url: 'https://x/', tls_ca: /nonexistent"),
        "the output `alerts.http.siem` cannot start: cannot read `/nonexistent`: No such file or \
         directory (os error 2)"
    );
    assert!(
        refused("url: 'https://x/', tls_ca: /dev/null")
            .contains("holds no certificate in PEM form")
    );
}
