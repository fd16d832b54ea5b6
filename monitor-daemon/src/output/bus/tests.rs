//! What tests of both brokers and of syslog need: an output in front of a real server.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Bus, Trouble};
use crate::alert_log::{self, Entry, LogId};
use crate::config::{Config, StdoutFormat};
use crate::metrics::{Metrics, OutputMetrics};
use crate::output::http::tests::tls::{Authority, write};
use crate::output::{Alert, OutputSettings, Outputs, sample};

pub(in crate::output) const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is killed at the end of its test.
pub(in crate::output) struct Killed(pub(in crate::output) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Whether a test has to do without what is at `path`: said, and an error where `CI=true`.
pub(in crate::output) fn is_missing(test: &str, path: &str) -> bool {
    let missing = !Path::new(path).exists();
    if missing {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "there is no {path}, and CI=true is set");
        println!("SKIP: {test}: there is no {path}");
    }
    missing
}

pub(in crate::output) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Tries until there is something.
pub(in crate::output) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The configuration of one output, as a user writes it.
pub(in crate::output) fn config(kind: &str, keys: &str) -> Config {
    let section = match kind {
        "syslog" => format!("servers: {{bus: {{{keys}}}}}"),
        _ => format!("bus: {{{keys}}}"),
    };
    let text = format!("alerts: {{log: {{days: 36500}}, {kind}: {{{section}}}}}");
    Config::parse(Path::new("m.yaml"), &text).unwrap()
}

/// A running output with its log.
pub(in crate::output) struct Subject {
    outputs: Outputs,
    pub(in crate::output) metrics: OutputMetrics,
}

impl Subject {
    pub(in crate::output) fn start(kind: &str, keys: &str, folder: &Path) -> Self {
        let config = config(kind, keys);
        let settings = OutputSettings {
            stdout: StdoutFormat::Off,
            log: Some(alert_log::Settings {
                path: folder.join("alerts.db"),
                ..config.alerts.log.settings().unwrap()
            }),
            ..OutputSettings::new(&config, "web-1".into())
        };
        let all = Metrics::new().unwrap();
        let outputs = Outputs::start(&settings, &all).unwrap();
        Self {
            outputs,
            metrics: all.output(&format!("{kind}.bus")),
        }
    }

    pub(in crate::output) fn push(&self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.push_alert(alert(number));
        }
    }

    pub(in crate::output) fn push_alert(&self, alert: Alert) {
        self.outputs.queue().push(alert).unwrap();
    }

    /// Waits until so many alerts are acknowledged.
    pub(in crate::output) fn wait(&self, written: u64) {
        wait_for("alerts are acknowledged", || {
            (self.metrics.written.get() >= written).then_some(())
        });
    }

    pub(in crate::output) fn wait_for_trouble(&self) {
        let before = self.metrics.write_errors.get();
        wait_for("the output notices", || {
            (self.metrics.write_errors.get() > before).then_some(())
        });
    }
}

pub(in crate::output) fn alert(number: usize) -> Alert {
    Alert {
        output: format!("number {number}."),
        ..sample()
    }
}

pub(in crate::output) fn entry(sequence: u64, alert: Alert) -> Arc<Entry> {
    Arc::new(Entry {
        sequence,
        log: LogId::random(),
        alert,
    })
}

/// The number of the alert in a text.
pub(in crate::output) fn number(text: &str) -> usize {
    let (_, rest) = text.split_once("number ").unwrap();
    rest.split_once('.').unwrap().0.parse().unwrap()
}

/// Why an alert is not taken for now.
pub(in crate::output) fn refusal(bus: &mut impl Bus) -> String {
    let sent = bus.send(&[entry(1, alert(1))]);
    assert_eq!(sent.taken, 0);
    match sent.trouble {
        Some(Trouble::Later(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Keys for TLS with an authority of the test's; a server's certificate and key are in `folder`.
pub(in crate::output) fn tls_keys(folder: &Path) -> (String, String) {
    let authority = Authority::new();
    let ca = authority.file(folder);
    for name in ["localhost", "client"] {
        let identity = authority.sign(name);
        let file = |kind: &str| format!("{name}.{kind}");
        write(folder, &file("pem"), "CERTIFICATE", &identity.certificate);
        write(folder, &file("key"), "PRIVATE KEY", &identity.key);
    }
    let folder = folder.display();
    let identity = format!("tls_certificate: {folder}/client.pem, tls_key: {folder}/client.key");
    (format!("tls_ca: {}", ca.display()), identity)
}

/// What a server says hello with, whose certificate [`tls_keys`] has made.
pub(in crate::output) fn server_tls(folder: &Path) -> Arc<ServerConfig> {
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let certificate = CertificateDer::from_pem_slice(&read("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

/// A file with a secret, and how a key names it.
pub(in crate::output) fn secret(folder: &Path, text: &str) -> String {
    let path = folder.join("secret");
    fs::write(&path, format!("{text}\n")).unwrap();
    path.display().to_string()
}
