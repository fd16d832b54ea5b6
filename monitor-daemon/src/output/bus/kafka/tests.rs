//! Outputs in front of librdkafka's mock of a cluster, and of a broker of the tests' own for what the
//! mock does not have: TLS and passwords.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::wire::{self, Reader};
use super::{Kafka, records};
use crate::output::bus::Bus as _;
use crate::output::bus::tests::{
    Killed, PATIENCE, Subject, alert, config, entry, is_missing, number, refusal, secret,
    server_tls, tls_keys,
};
use crate::output::format::{Encoder, Format};
use crate::output::json::JsonFormat;
use crate::output::time::TimeFormat;

const HEADER: &str = "/usr/include/librdkafka/rdkafka_mock.h";
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/bin/kafka_mock.c");

/// What a consumer got.
#[derive(Clone, Debug)]
struct Message {
    partition: i32,
    key: String,
    uuid: String,
    value: String,
}

struct Mock {
    _child: Killed,
    orders: ChildStdin,
    done: Receiver<()>,
    messages: Receiver<Message>,
    brokers: String,
}

impl Mock {
    fn start(folder: &Path) -> Self {
        let program = folder.join("kafka_mock");
        let mut compiler = Command::new("gcc");
        compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        compiler.arg(&program).args([SOURCE, "-lrdkafka"]);
        assert!(compiler.status().unwrap().success());
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Killed(command.spawn().unwrap());
        let orders = child.0.stdin.take().unwrap();
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let (to_messages, messages) = channel();
        let (to_done, done) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut words = line.splitn(5, ' ');
                let mut word = || words.next().unwrap_or_default().to_owned();
                // Nobody listens any more at the end of a test.
                let _sent = match word().as_str() {
                    "message" => to_messages
                        .send(Message {
                            partition: word().parse().unwrap(),
                            key: word(),
                            uuid: word(),
                            value: word(),
                        })
                        .is_ok(),
                    _ => to_done.send(()).is_ok(),
                };
            }
        });
        Self {
            _child: child,
            orders,
            done,
            messages,
            brokers: first.strip_prefix("brokers ").unwrap().replace(',', "', '"),
        }
    }

    fn order(&mut self, line: &str) {
        writeln!(self.orders, "{line}").unwrap();
        self.done.recv_timeout(PATIENCE).unwrap();
    }

    /// Waits until all alerts below `count` were there, each again only under its first name.
    fn wait(&self, seen: &mut BTreeMap<usize, Message>, count: usize) -> Vec<usize> {
        let mut order = Vec::new();
        while seen.len() < count {
            let message = self.messages.recv_timeout(PATIENCE);
            let message = message.unwrap_or_else(|_| panic!("{} of {count}", seen.len()));
            let number = number(&message.value);
            if let Some(first) = seen.get(&number) {
                assert_eq!(first.uuid, message.uuid);
            } else {
                order.push(number);
                seen.insert(number, message);
            }
        }
        order
    }
}

fn numbers_of(numbers: impl IntoIterator<Item = usize>) -> Vec<usize> {
    numbers.into_iter().collect()
}

fn kafka(keys: &str) -> Kafka {
    let mut config = config("kafka", keys);
    let encoder = Encoder {
        format: Format::Falco,
        json: JsonFormat {
            properties: config.json,
            time: TimeFormat::Iso8601,
        },
    };
    Kafka::new(config.alerts.kafka.remove("bus").unwrap(), encoder)
}

#[test]
fn each_alert_is_there_in_order_whatever_brokers_do() {
    if is_missing("kafka", HEADER) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut mock = Mock::start(folder.path());
    let keys = format!("brokers: ['{}'], topic: alerts", mock.brokers);
    let partition = records::partition("web-1", 4);
    for broker in 1..=3 {
        mock.order(&format!("leader {partition} {broker}"));
    }
    let subject = Subject::start("kafka", &keys, folder.path());
    let mut seen = BTreeMap::new();
    subject.push(0..300);
    assert_eq!(mock.wait(&mut seen, 300), numbers_of(0..300));
    // Too few replicas: later. An unknown producer: anew.
    for code in [19, 59] {
        mock.order(&format!("error 0 {code}"));
    }
    subject.push(300..400);
    assert_eq!(mock.wait(&mut seen, 400), numbers_of(300..400));
    mock.order("down 3");
    subject.push(400..450);
    subject.wait_for_trouble();
    mock.order(&format!("leader {partition} 1"));
    subject.wait(450);
    assert_eq!(mock.wait(&mut seen, 450), numbers_of(400..450));
    mock.order("up 3");
    mock.order(&format!("leader {partition} 3"));
    subject.push(450..500);
    assert_eq!(mock.wait(&mut seen, 500), numbers_of(450..500));
    subject.wait(500);
    let first = &seen[&0];
    assert_eq!((first.key.as_str(), first.partition), ("web-1", partition));
    let alert: Value = serde_json::from_str(&first.value).unwrap();
    assert_eq!(alert["uuid"], first.uuid);
}

/// Only who leads its own partition concerns an alert.
#[test]
fn a_partition_without_a_leader_does_not_keep_alerts_from_the_others() {
    if is_missing("kafka", HEADER) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut mock = Mock::start(folder.path());
    assert_ne!(records::partition("web-1", 4), 0);
    mock.order("leader 0 -1");
    for partition in 1..4 {
        mock.order(&format!("leader {partition} 2"));
    }
    // A broker is away that the others still tell of.
    mock.order("down 1");
    let mut bus = kafka(&format!("brokers: ['{}'], topic: alerts", mock.brokers));
    let sent = bus.send(&[entry(1, alert(1))]);
    assert_eq!((sent.taken, sent.trouble), (1, None));
}

#[test]
fn alerts_of_containers_go_to_their_partitions_and_one_that_fails_repeats_no_other() {
    if is_missing("kafka", HEADER) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut mock = Mock::start(folder.path());
    let mut bus = kafka(&format!(
        "brokers: ['{}'], topic: alerts, key: container",
        mock.brokers
    ));
    let of = |number: usize| {
        let mut alert = alert(number);
        let container = if number.is_multiple_of(4) {
            "host".into()
        } else {
            format!("c{}", number % 4)
        };
        alert.fields.retain(|(name, _)| name != "container.id");
        alert.fields.push(("container.id".into(), json!(container)));
        alert
    };
    let alerts: Vec<_> = (0..40)
        .map(|number| entry(number as u64, of(number)))
        .collect();
    let mut rest = alerts.as_slice();
    let mut troubles = 0;
    assert_eq!(bus.send(&alerts[..4]).taken, 4);
    rest = &rest[4..];
    // The first batch is too large, so its halves are tried. The second half fails for now.
    for code in [10, 0, 19] {
        mock.order(&format!("error 0 {code}"));
    }
    while !rest.is_empty() {
        let sent = bus.send(rest);
        troubles += usize::from(sent.trouble.is_some());
        rest = &rest[sent.taken..];
    }
    assert_eq!(troubles, 1);
    let mut keys: HashMap<String, Vec<usize>> = HashMap::new();
    for _ in 0..40 {
        let message = mock.messages.recv_timeout(PATIENCE).unwrap();
        assert_eq!(message.partition, records::partition(&message.key, 4));
        keys.entry(message.key)
            .or_default()
            .push(number(&message.value));
    }
    assert_eq!(keys.len(), 4);
    for (key, numbers) in keys {
        let first = key
            .strip_prefix('c')
            .map_or(0, |number| number.parse().unwrap());
        assert_eq!(numbers, numbers_of((first..40).step_by(4)), "{key}");
    }
    assert!(mock.messages.try_recv().is_err(), "none twice");
}

/// A broker that wants TLS and a password, and leads the only partition.
struct Broker {
    port: u16,
    produced: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Broker {
    fn start(folder: &Path, password: &'static str) -> Self {
        let tls = server_tls(folder);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let produced = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&produced);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                let kept = Arc::clone(&kept);
                // Ends with the connection.
                thread::spawn(move || while serve(&mut stream, port, password, &kept).is_some() {});
            }
        });
        Self { port, produced }
    }
}

/// Answers one request.
fn serve(
    stream: &mut (impl std::io::Read + std::io::Write),
    port: u16,
    password: &str,
    kept: &Mutex<Vec<Vec<u8>>>,
) -> Option<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request).ok()?;
    let mut request = Reader(&request);
    let api = request.i16().unwrap();
    request.skip(2).unwrap();
    let mut answer = request.i32().unwrap().to_be_bytes().to_vec();
    assert_eq!(request.text().unwrap(), "monitor-daemon");
    match api {
        17 => {
            let known = request.text().unwrap() == "PLAIN";
            answer.extend(if known { [0, 0] } else { [0, 33] });
            answer.extend(1_i32.to_be_bytes());
            wire::text("PLAIN", &mut answer);
        }
        36 => {
            let right = request.bytes().unwrap() == format!("\0me\0{password}").as_bytes();
            answer.extend(if right { [0, 0] } else { [0, 58] });
            wire::text("Invalid credentials", &mut answer);
            wire::bytes(b"", &mut answer);
        }
        3 => {
            // One broker, who controls; one topic, one partition, no lists of replicas.
            answer.extend([0, 0, 0, 1, 0, 0, 0, 7]);
            wire::text("localhost", &mut answer);
            answer.extend(i32::from(port).to_be_bytes());
            answer.extend([0xff, 0xff, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0]);
            wire::text("alerts", &mut answer);
            answer.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            answer.extend([0; 8]);
        }
        22 => answer.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]),
        _ => {
            kept.lock().unwrap().push(request.0.to_owned());
            answer.extend(1_i32.to_be_bytes());
            wire::text("alerts", &mut answer);
            answer.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            answer.extend([0; 20]);
        }
    }
    let mut framed = Vec::new();
    wire::bytes(&answer, &mut framed);
    stream.write_all(&framed).ok()?;
    stream.flush().ok()
}

#[test]
fn tls_and_the_password_have_to_be_right_and_nothing_is_lost_until_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, _) = tls_keys(folder.path());
    let broker = Broker::start(folder.path(), "right");
    let password = secret(folder.path(), "wrong");
    let base = format!(
        "brokers: ['localhost:{}'], topic: alerts, tls: true, user: me, password: {password}",
        broker.port
    );
    let keys = format!("{base}, {ca}");
    let at = format!("localhost:{}", broker.port);
    let expected = [
        (
            keys.clone(),
            "the broker refuses user or password: Invalid credentials",
        ),
        (
            format!("{keys}, mechanism: scram-sha-256"),
            "the broker does not take SCRAM-SHA-256, but PLAIN",
        ),
        (
            format!("{base}, tls_ca: {}/client.pem", folder.path().display()),
            "cannot connect by TLS: invalid peer certificate: ",
        ),
    ];
    for (keys, why) in expected {
        let told = refusal(&mut kafka(&keys));
        assert!(told.starts_with(&format!("{at}: {why}")), "{told}");
    }
    let subject = Subject::start("kafka", &keys, folder.path());
    subject.push(0..3);
    subject.wait_for_trouble();
    secret(folder.path(), "right");
    subject.wait(3);
    let produced = broker.produced.lock().unwrap();
    let text = String::from_utf8_lossy(&produced.concat()).into_owned();
    for number in 0..3 {
        assert!(text.contains(&format!("number {number}.")));
    }
}
