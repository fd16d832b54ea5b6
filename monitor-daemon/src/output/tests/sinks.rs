//! What holds for every server that gets alerts, whatever it speaks: whom it is trusted to be, who we
//! are to it, where it is found, and how long it may be silent.

use std::fs;
use std::io::{ErrorKind, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use monitor_policy::Priority;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::{TWO, dead, is_alone};
use crate::alert_log;
use crate::config::{Config, StdoutFormat};
use crate::metrics::Metrics;
use crate::output::bus::tests::{PATIENCE, wait_for};
use crate::output::http::tests::tls::{Authority, config, write};
use crate::output::{Alert, OutputSettings, Outputs, sample};

/// Each kind of output, as a user writes it. `*` stands for its other keys.
const SINKS: [(&str, &str); 9] = [
    ("http.one", "http: {one: {url: 'https://HOST/', *}}"),
    (
        "http.one",
        "http: {one: {url: 'https://HOST/', api: elasticsearch, index: a, *}}",
    ),
    (
        "http.one",
        "http: {one: {url: 'https://HOST/', api: splunk, *}}",
    ),
    (
        "http.one",
        "http: {one: {url: 'https://HOST/', api: loki, *}}",
    ),
    (
        "http.one",
        "http: {one: {url: 'https://HOST/', api: otlp, *}}",
    ),
    (
        "http.one",
        "http: {one: {url: 'https://HOST/', api: otlp_grpc, *}}",
    ),
    ("nats.one", "nats: {one: {servers: ['tls://HOST'], *}}"),
    (
        "kafka.one",
        "kafka: {one: {brokers: ['HOST'], topic: a, tls: true, *}}",
    ),
    (
        "syslog.one",
        "syslog: {servers: {one: {address: 'HOST', protocol: tls, *}}}",
    ),
];

/// A running output.
struct Subject {
    all: Metrics,
    label: &'static str,
    outputs: Outputs,
    /// Ends with it.
    _folder: TempDir,
}

impl Subject {
    /// One that has one alert to send.
    fn start(sink: (&'static str, &str), host: &str, keys: &str) -> Self {
        let subject = Self::without_alerts(sink, host, keys);
        subject.push(sample());
        subject
    }

    fn without_alerts((label, sink): (&'static str, &str), host: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sink = sink.replace("HOST", host).replace(", *", keys);
        let text = format!("alerts: {{log: {{days: 36500}}, {sink}}}");
        let config = Config::parse(Path::new("m.yaml"), &text).unwrap();
        let settings = OutputSettings {
            stdout: StdoutFormat::Off,
            log: Some(alert_log::Settings {
                path: folder.path().join("alerts.db"),
                ..config.alerts.log.settings().unwrap()
            }),
            ..OutputSettings::new(&config, "web-1".into())
        };
        let all = Metrics::new().unwrap();
        let outputs = Outputs::start(&settings, &all).unwrap();
        Self {
            all,
            label,
            outputs,
            _folder: folder,
        }
    }

    fn push(&self, alert: Alert) {
        self.outputs.queue().push(alert).unwrap();
    }

    /// Waits until there is nothing up to this alert that it lacks.
    fn wait_for_progress(&self, sequence: u64) {
        wait_for(self.label, || {
            let progress = self.outputs.queue().progress();
            progress.iter().all(|one| one.has == sequence).then_some(())
        });
    }

    fn wait_for_trouble(&self) -> String {
        let metrics = self.all.output(self.label);
        wait_for(self.label, || metrics.trouble.why())
    }
}

/// The same without TLS.
fn plain(sink: &str) -> String {
    let plain = sink.replace("https:", "http:").replace("tls:/", "nats:/");
    let plain = plain.replace("tls: true", "tls: false");
    plain.replace("protocol: tls", "protocol: tcp")
}

/// What each connection begins with; nothing where the two sides do not trust each other.
fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    is_nats: bool,
) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            if is_nats {
                let info = b"INFO {\"headers\":true,\"max_payload\":1048576}\r\n";
                stream.write_all(info).unwrap();
            }
            // The test may be over.
            let _over = sender.send(first_bytes(stream, tls.clone()));
        }
    });
    receiver
}

fn first_bytes(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let count = match tls {
        None => stream.read(&mut bytes),
        Some(tls) => {
            let connection = ServerConnection::new(tls).unwrap();
            StreamOwned::new(connection, stream).read(&mut bytes)
        }
    };
    bytes.truncate(count.unwrap_or_default());
    bytes
}

#[test]
fn each_shows_who_it_is_and_trusts_nobody_else() {
    if !is_alone(
        concat!(
            module_path!(),
            "::each_shows_who_it_is_and_trusts_nobody_else"
        ),
        CREDENTIALS,
    ) {
        return;
    }
    let folder = Path::new("/mnt");
    let (ours, others) = (Authority::new(), Authority::new());
    let ca = ours.file(folder);
    let own = ours.sign("web-1");
    let certificate = write(folder, "own.pem", "CERTIFICATE", &own.certificate);
    write(folder, "key", "PRIVATE KEY", &own.key);
    fs::write(folder.join("token"), "s3cret\n").unwrap();
    let trust = format!(", tls_ca: {}", ca.display());
    let show = format!(
        ", tls_certificate: {}, tls_key: credential:key",
        certificate.display()
    );
    for sink in SINKS {
        let kind = sink.1;
        let token = if sink.0.starts_with("http") {
            ", token: credential:token"
        } else {
            ""
        };
        let is_grpc = kind.contains("grpc");
        let first = |authority: &Authority, keys: &str| {
            let mut tls = config(authority, "localhost", Some(&ours));
            if is_grpc {
                tls.alpn_protocols = vec![b"h2".to_vec()];
            }
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let host = format!("localhost:{}", listener.local_addr().unwrap().port());
            let come = serve(listener, Some(Arc::new(tls)), sink.0.starts_with("nats"));
            let keys = format!("{keys}{token}");
            let _subject = Subject::start(sink, &host, &keys);
            come.recv_timeout(PATIENCE).unwrap()
        };
        let came = first(&ours, &format!("{trust}{show}"));
        assert!(!came.is_empty(), "{kind}");
        // The headers of gRPC are compressed.
        if !token.is_empty() && !is_grpc {
            let came = String::from_utf8_lossy(&came);
            assert!(came.contains(" s3cret\r\n"), "{kind}: {came}");
        }
        assert!(first(&ours, &trust).is_empty(), "{kind}: nobody");
        let others = first(&others, &format!("{trust}{show}"));
        assert!(others.is_empty(), "{kind}: another authority");
    }
}

/// Where [`is_alone`] says that systemd's credentials are.
const CREDENTIALS: &str = "mount -t tmpfs none /mnt";

#[test]
fn each_reaches_the_address_that_answers() {
    if !is_alone(
        concat!(module_path!(), "::each_reaches_the_address_that_answers"),
        TWO,
    ) {
        return;
    }
    let tried = SINKS.map(|(label, sink)| {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dead = dead(port);
        let come = serve(listener, None, label.starts_with("nats"));
        let host = format!("two:{port}");
        let subject = Subject::start((label, &plain(sink)), &host, "");
        (sink, come, dead, subject)
    });
    for (sink, come, ..) in &tried {
        let first = come.recv_timeout(PATIENCE);
        assert!(first.is_ok_and(|bytes| !bytes.is_empty()), "{sink}");
    }
}

/// Syslog's servers never say anything; what is lost on the way to them is told elsewhere.
#[test]
fn each_is_tired_of_a_server_that_is_silent_and_tries_again() {
    let sinks = SINKS.iter().filter(|(label, _)| *label != "syslog.one");
    let tried: Vec<_> = sinks
        .map(|(label, sink)| {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let subject = Subject::start((label, &plain(sink)), &host, ", timeout_ms: 300");
            (listener, subject)
        })
        .collect();
    for (listener, subject) in &tried {
        let _silent = listener.accept().unwrap();
        let why = subject.wait_for_trouble();
        assert!(why.contains("within 300 ms"), "{why}");
        let _again = listener.accept().unwrap();
    }
}

/// What [`unwanted`] alerts have not.
const CHOICE: &str = ", priority: warning, tags: [host], rules: ['Read*']";

/// Each lacks one of the three.
fn unwanted() -> [Alert; 3] {
    let [milder, elsewhere, other] = [sample(), sample(), sample()];
    [
        Alert {
            priority: Priority::Notice,
            ..milder
        },
        Alert {
            tags: ["network".to_owned()].into(),
            ..elsewhere
        },
        Alert {
            rule: "Write shadow".into(),
            ..other
        },
    ]
}

/// A server is not even spoken to for what it is not to have.
#[test]
fn each_gets_what_is_chosen_by_priority_tags_and_rules() {
    let tried = SINKS.map(|(label, sink)| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let subject = Subject::without_alerts((label, &plain(sink)), &host, CHOICE);
        for alert in unwanted() {
            subject.push(alert);
        }
        (sink, listener, subject)
    });
    for (sink, listener, subject) in &tried {
        subject.wait_for_progress(3);
        listener.set_nonblocking(true).unwrap();
        let asked = listener.accept().map(|_| ()).map_err(|error| error.kind());
        assert_eq!(asked, Err(ErrorKind::WouldBlock), "{sink}");
        listener.set_nonblocking(false).unwrap();
        subject.push(sample());
        let _asked = listener.accept().unwrap();
    }
}

#[test]
fn a_file_gets_what_is_chosen_by_priority_tags_and_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one");
    let path = path.display();
    let sink = format!("files: {{one: {{path: {path}, format: text, *}}}}");
    let subject = Subject::without_alerts(("file.one", &sink), "", CHOICE);
    for alert in unwanted() {
        subject.push(alert);
    }
    subject.push(sample());
    subject.wait_for_progress(4);
    let text = fs::read_to_string(path.to_string()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(": Warning Shadow read"), "{text}");
}
