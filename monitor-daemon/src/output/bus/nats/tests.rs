//! Outputs in front of real servers, alone and three together.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_policy::Priority;
use serde_json::{Value, json};

use super::Nats;
use super::login::tests::user;
use super::protocol::{self, Word};
use crate::output::Alert;
use crate::output::bus::tests::{
    Killed, Subject, alert, config, entry, free_port, is_missing, number, refusal, secret,
    tls_keys, wait_for,
};
use crate::output::bus::{Bus as _, Trouble};
use crate::output::format::{Encoder, Format};
use crate::output::json::JsonFormat;
use crate::output::time::TimeFormat;

const PROGRAM: &str = "/usr/sbin/nats-server";

struct Server {
    config: PathBuf,
    port: u16,
    child: Killed,
}

impl Server {
    /// A server with a store in `folder`, and more of the configuration.
    fn start(folder: &Path, name: &str, more: &str) -> Self {
        Self::at(free_port(), folder, name, more)
    }

    fn at(port: u16, folder: &Path, name: &str, more: &str) -> Self {
        let config = folder.join(format!("{name}.conf"));
        let store = folder.join(name);
        let text = format!(
            "listen: 127.0.0.1:{port}\nserver_name: {name}\n\
             jetstream {{ store_dir: \"{}\" }}\n{more}\n",
            store.display()
        );
        fs::write(&config, text).unwrap();
        let child = Self::spawn(&config);
        Self {
            config,
            port,
            child,
        }
    }

    fn spawn(config: &Path) -> Killed {
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(config);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Killed(command.spawn().unwrap())
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = Self::spawn(&self.config);
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// What the server answers to a request, once it does.
    fn ask(&self, subject: &str, request: &Value) -> Value {
        wait_for(subject, || {
            let answer = ask(self.port, subject, &request.to_string())?;
            answer.get("error").is_none().then_some(answer)
        })
    }

    fn make_stream(&self, replicas: usize) {
        let request = json!({
            "name": "ALERTS", "subjects": ["monitor.alerts.>"], "storage": "file",
            "num_replicas": replicas, "retention": "limits", "discard": "old",
            "duplicate_window": 120_000_000_000_u64,
        });
        self.ask("$JS.API.STREAM.CREATE.ALERTS", &request);
    }

    /// Subjects and alerts in the stream, in order.
    fn kept(&self) -> Vec<(String, String)> {
        let about = self.ask("$JS.API.STREAM.INFO.ALERTS", &json!({}));
        let last = about["state"]["last_seq"].as_u64().unwrap();
        let message = |seq| {
            let found = self.ask("$JS.API.STREAM.MSG.GET.ALERTS", &json!({ "seq": seq }));
            let message = &found["message"];
            let data = STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
            let subject = message["subject"].as_str().unwrap().to_owned();
            (subject, String::from_utf8(data).unwrap())
        };
        (1..=last).map(message).collect()
    }

    fn numbers(&self) -> Vec<usize> {
        let kept = self.kept();
        kept.iter().map(|(_, text)| number(text)).collect()
    }
}

/// One request, without any login.
fn ask(port: u16, subject: &str, request: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let patience = Some(Duration::from_secs(1));
    stream.set_read_timeout(patience).ok()?;
    let text = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB in 1\r\nPUB {subject} in {}\r\n{request}\r\n",
        request.len()
    );
    stream.write_all(text.as_bytes()).ok()?;
    let mut buffer = Vec::new();
    loop {
        if let Some(word) = protocol::take(&mut buffer).ok()? {
            if let Word::Message { payload, .. } = word {
                return serde_json::from_slice(&payload).ok();
            }
            continue;
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).ok()?;
        buffer.extend_from_slice(chunk.get(..count).filter(|chunk| !chunk.is_empty())?);
    }
}

fn nats(keys: &str) -> Nats {
    let mut config = config("nats", keys);
    let encoder = Encoder {
        format: Format::Falco,
        json: JsonFormat {
            properties: config.json,
            time: TimeFormat::Iso8601,
        },
    };
    Nats::new(config.alerts.nats.remove("bus").unwrap(), encoder)
}

#[test]
fn each_alert_is_there_once_and_in_order_also_when_the_server_is_killed() {
    if is_missing("nats", PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), "one", "");
    server.make_stream(1);
    let keys = format!(
        "servers: ['{}'], stream: ALERTS, in_flight: 8",
        server.url()
    );
    let subject = Subject::start("nats", &keys, folder.path());
    subject.push(0..400);
    subject.wait(10);
    server.kill();
    subject.push(400..600);
    subject.wait_for_trouble();
    server.start_again();
    subject.push(600..700);
    subject.wait(700);
    assert_eq!(server.numbers(), (0..700).collect::<Vec<_>>());
    let (name, text) = &server.kept()[0];
    assert_eq!(name, "monitor.alerts.web-1.warning");
    let alert: Value = serde_json::from_str(text).unwrap();
    assert_eq!(alert["rule"], "Read shadow");
}

/// A server closes connections that do not answer whether somebody is there.
#[test]
fn a_server_is_answered_also_while_all_alerts_are_for_others() {
    if is_missing("nats", PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "one", "ping_interval: 2s, ping_max: 3");
    server.make_stream(1);
    let keys = format!("servers: ['{}'], priority: critical", server.url());
    let subject = Subject::start("nats", &keys, folder.path());
    let severe = |number| Alert {
        priority: Priority::Critical,
        ..alert(number)
    };
    subject.push_alert(severe(0));
    subject.wait(1);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(12) {
        subject.push([1]);
        sleep(Duration::from_millis(200));
    }
    subject.push_alert(severe(2));
    subject.wait(2);
    assert_eq!(subject.metrics.write_errors.get(), 0);
    assert_eq!(server.numbers(), [0, 2]);
}

#[test]
fn a_cluster_that_loses_the_leader_of_the_stream_loses_no_alert() {
    if is_missing("nats", PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let routes = [free_port(), free_port(), free_port()];
    let all = routes
        .map(|port| format!("nats://127.0.0.1:{port}"))
        .join(", ");
    let mut servers: Vec<Server> = routes
        .iter()
        .enumerate()
        .map(|(index, port)| {
            let cluster =
                format!("cluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [{all}] }}");
            Server::start(folder.path(), &format!("n{index}"), &cluster)
        })
        .collect();
    servers[0].make_stream(3);
    let urls: Vec<String> = servers
        .iter()
        .map(|server| format!("'{}'", server.url()))
        .collect();
    let keys = format!("servers: [{}], timeout_ms: 1000", urls.join(", "));
    let subject = Subject::start("nats", &keys, folder.path());
    subject.push(0..300);
    subject.wait(10);
    let about = servers[0].ask("$JS.API.STREAM.INFO.ALERTS", &json!({}));
    let leader = about["cluster"]["leader"].as_str().unwrap();
    let leader: usize = leader.strip_prefix('n').unwrap().parse().unwrap();
    servers[leader].kill();
    subject.push(300..500);
    subject.wait(500);
    let numbers = servers[(leader + 1) % 3].numbers();
    assert_eq!(numbers.len(), 500, "none twice");
    let numbers: BTreeSet<usize> = numbers.into_iter().collect();
    assert_eq!(numbers, (0..500).collect());
}

#[test]
fn what_is_not_set_up_right_is_told_and_waited_for() {
    if is_missing("nats", PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (seed, name) = user([7; 32]);
    let login = format!(
        "no_auth_user: admin\naccounts {{ A {{ jetstream: enabled, users: [\
         {{ user: admin, password: x }}, {{ user: me, password: right }}, {{ nkey: {name} }}, \
         {{ user: low, password: right, permissions: {{ publish: [a], subscribe: [\">\"] }} }}\
         ] }} }}"
    );
    let server = Server::start(folder.path(), "one", &login);
    // It listens as soon as it answers.
    server.ask("$JS.API.INFO", &json!({}));
    let password = secret(folder.path(), "wrong");
    let base = format!("servers: ['{}']", server.url());
    let keys = format!("{base}, user: me, password: {password}");
    let subject = Subject::start("nats", &keys, folder.path());
    subject.push(0..3);
    assert_eq!(
        refusal(&mut nats(&keys)),
        format!("{}: the server says: Authorization Violation", server.url())
    );
    subject.wait_for_trouble();
    secret(folder.path(), "right");
    let nobody = "no stream takes the subject `monitor.alerts.web-1.warning`, or the one that does \
        has no leader";
    assert_eq!(refusal(&mut nats(&keys)), nobody);
    let keys = format!("{base}, user: low, password: {password}");
    let why = refusal(&mut nats(&keys));
    assert!(why.contains("Permissions Violation for Publish"), "{why}");
    server.make_stream(1);
    subject.wait(3);
    assert_eq!(server.numbers(), [0, 1, 2]);
    let seed = secret(folder.path(), &seed);
    let keys = format!("{base}, nkey: {seed}, subject: 'monitor.alerts.{{rule}}'");
    let mut by_key = nats(&keys);
    assert_eq!(by_key.send(&[entry(1, alert(3))]).taken, 1);
    assert_eq!(server.kept()[3].0, "monitor.alerts.Read_shadow");
    let wrong = refusal(&mut nats(&format!("{base}, stream: OTHER, nkey: {seed}")));
    assert_eq!(wrong, "the stream says: expected stream does not match");
    let huge = Alert {
        output: "x".repeat(2 << 20),
        ..alert(4)
    };
    let sent = by_key.send(&[entry(2, alert(5)), entry(3, huge)]);
    assert_eq!(sent.taken, 1);
    assert!(
        matches!(sent.trouble, Some(Trouble::Refused(_))),
        "{sent:?}"
    );
}

#[test]
fn by_tls_both_sides_show_who_they_are() {
    if is_missing("nats", PROGRAM) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (ca, identity) = tls_keys(folder.path());
    let mut server = Server::start(folder.path(), "one", "");
    server.make_stream(1);
    server.kill();
    let tls = format!(
        "tls {{ cert_file: \"{0}/localhost.pem\", key_file: \"{0}/localhost.key\", \
         ca_file: \"{0}/ca.pem\", verify: true }}",
        folder.path().display()
    );
    let secure = Server::at(server.port, folder.path(), "one", &tls);
    let base = format!("servers: ['tls://localhost:{}']", server.port);
    let subject = Subject::start("nats", &format!("{base}, {ca}, {identity}"), folder.path());
    subject.push(0..3);
    subject.wait(3);
    for (keys, expected) in [
        (ca.as_str(), "received fatal alert: "),
        (identity.as_str(), "cannot connect by TLS"),
    ] {
        let why = refusal(&mut nats(&format!("{base}, {keys}")));
        assert!(why.contains(expected), "{why}");
    }
    drop(secure);
    let plain = Server::at(server.port, folder.path(), "one", "");
    plain.ask("$JS.API.INFO", &json!({}));
    assert_eq!(plain.numbers(), [0, 1, 2]);
    let why = refusal(&mut nats(&format!("{base}, {ca}")));
    assert!(
        why.contains("TLS"),
        "without TLS there is no connection: {why}"
    );
}
