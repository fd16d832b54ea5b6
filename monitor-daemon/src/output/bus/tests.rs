//! What tests of both brokers need: an output in front of a real one.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Bus, Trouble};
use crate::alert_log::{self, Entry, LogId};
use crate::config::{Config, StdoutFormat};
use crate::metrics::{Metrics, OutputMetrics};
use crate::output::http::tests::tls::{Authority, write};
use crate::output::{Alert, OutputSettings, Outputs, sample};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is killed at the end of its test.
pub(super) struct Killed(pub(super) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Whether a test has to do without what is at `path`: said, and an error where `CI=true`.
pub(super) fn is_missing(test: &str, path: &str) -> bool {
    let missing = !Path::new(path).exists();
    if missing {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "there is no {path}, and CI=true is set");
        println!("SKIP: {test}: there is no {path}");
    }
    missing
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Tries until there is something.
pub(super) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
pub(super) fn config(kind: &str, keys: &str) -> Config {
    let text = format!("alerts: {{log: {{days: 36500}}, {kind}: {{bus: {{{keys}}}}}}}");
    Config::parse(Path::new("m.yaml"), &text).unwrap()
}

/// A running output with its log.
pub(super) struct Subject {
    outputs: Outputs,
    pub(super) metrics: OutputMetrics,
}

impl Subject {
    pub(super) fn start(kind: &str, keys: &str, folder: &Path) -> Self {
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

    pub(super) fn push(&self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.outputs.queue().push(alert(number)).unwrap();
        }
    }

    /// Waits until so many alerts are acknowledged.
    pub(super) fn wait(&self, written: u64) {
        wait_for("alerts are acknowledged", || {
            (self.metrics.written.get() >= written).then_some(())
        });
    }

    pub(super) fn wait_for_trouble(&self) {
        let before = self.metrics.write_errors.get();
        wait_for("the output notices", || {
            (self.metrics.write_errors.get() > before).then_some(())
        });
    }
}

pub(super) fn alert(number: usize) -> Alert {
    Alert {
        output: format!("number {number}."),
        ..sample()
    }
}

pub(super) fn entry(sequence: u64, alert: Alert) -> Arc<Entry> {
    Arc::new(Entry {
        sequence,
        log: LogId::random(),
        alert,
    })
}

/// The number of the alert in a text.
pub(super) fn number(text: &str) -> usize {
    let (_, rest) = text.split_once("number ").unwrap();
    rest.split_once('.').unwrap().0.parse().unwrap()
}

/// Why an alert is not taken for now.
pub(super) fn refusal(bus: &mut impl Bus) -> String {
    let sent = bus.send(&[entry(1, alert(1))]);
    assert_eq!(sent.taken, 0);
    match sent.trouble {
        Some(Trouble::Later(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Keys for TLS with an authority of the test's; a server's certificate and key are in `folder`.
pub(super) fn tls_keys(folder: &Path) -> (String, String) {
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

/// A file with a secret, and how a key names it.
pub(super) fn secret(folder: &Path, text: &str) -> String {
    let path = folder.join("secret");
    fs::write(&path, format!("{text}\n")).unwrap();
    path.display().to_string()
}
