//! Over TLS: to whom alerts go, who says so, and that none is lost over it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_daemon::config::{Syslog, SyslogFormat, SyslogProtocol};
use monitor_daemon::output::{Selection, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::server::Server;
use super::{alert, has_rsyslog, start, until};

/// Files of one authority and of an identity that it has signed.
struct Files {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// In `folder`, for the host `name`.
    fn new(folder: &Path, name: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let mut about = CertificateParams::new(Vec::new()).unwrap();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = format!("authority of {}", folder.display());
        about.distinguished_name.push(DnType::CommonName, own);
        let ca = CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let about = CertificateParams::new([name.to_owned()]).unwrap();
        let own = about.signed_by(&key, &ca).unwrap();
        let write = |name, label, der: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, pem(label, der)).unwrap();
            path
        };
        Self {
            ca: write("ca.pem", "CERTIFICATE", ca.der()),
            certificate: write("own.pem", "CERTIFICATE", own.der()),
            key: write("own.key", "PRIVATE KEY", &key.serialize_der()),
        }
    }

    /// An rsyslog with this identity that lets in whom `mode` says.
    fn server(&self, folder: &Path, driver: &str, mode: &str) -> Server {
        let tls = format!(
            "global(DefaultNetstreamDriver=\"{driver}\" DefaultNetstreamDriverCAFile=\"{}\" \
             DefaultNetstreamDriverCertFile=\"{}\" DefaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"{driver}\" StreamDriver.Mode=\"1\" \
             StreamDriver.AuthMode=\"{mode}\")",
            self.ca.display(),
            self.certificate.display(),
            self.key.display(),
        );
        Server::start(folder, &tls)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&[u8]> = text.as_bytes().chunks(64).collect();
    let text = String::from_utf8(lines.join(&b'\n')).unwrap();
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn settings(server: &Server, ca: &Path, identity: Option<&Files>) -> Syslog {
    Syslog {
        address: format!("127.0.0.1:{}", server.port),
        protocol: SyslogProtocol::Tls,
        facility: "local3".parse().unwrap(),
        format: SyslogFormat::Structured,
        timeout: Duration::from_secs(10),
        tls: TlsFiles {
            ca: Some(ca.to_owned()),
            identity: identity.map(|files| (files.certificate.clone(), files.key.clone())),
        },
        selection: Selection::default(),
    }
}

/// What the outputs of all tests log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let lines = tracing_subscriber::fmt().with_ansi(false);
            lines.with_writer(move || writer.clone()).init();
            log
        })
    }

    /// Waits for a line about `server` that holds `text`.
    fn says(&self, server: &Server, text: &str) {
        let server = format!("127.0.0.1:{}", server.port);
        until(text, || {
            let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            log.lines()
                .any(|line| line.contains(&server) && line.contains(text))
        });
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn in_order(messages: &[String]) {
    for (number, message) in messages.iter().enumerate() {
        assert!(message.ends_with(&format!(" number {number}")), "{message}");
    }
}

#[test]
fn nothing_is_lost_while_rsyslog_is_away_and_tls_is_used() {
    if !has_rsyslog("nothing_is_lost_while_rsyslog_is_away_and_tls_is_used") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), "127.0.0.1");
    let mut server = files.server(folder.path(), "gtls", "anon");
    let (outputs, metrics) = start(settings(&server, &files.ca, None));
    let counted = metrics.output("syslog");
    let send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            outputs.queue().push(alert(number)).unwrap();
        }
    };
    send(0..10);
    server.messages(10);
    server.stop();
    send(10..20);
    until("a failure is counted", || counted.write_errors.get() > 0);
    assert_eq!(counted.written.get(), 10);
    server.start_again();
    in_order(&server.messages(20));
    until("all are counted", || counted.written.get() == 20);
}

/// What is wrong is put right while the output waits, and then all arrive.
#[test]
fn only_the_right_server_gets_alerts() {
    if !has_rsyslog("only_the_right_server_gets_alerts") {
        return;
    }
    let log = Log::start();
    let folder = tempfile::tempdir().unwrap();
    let other_name = Files::new(&folder.path().join("name"), "other.example");
    let ours = Files::new(&folder.path().join("ours"), "127.0.0.1");
    let others = Files::new(&folder.path().join("others"), "127.0.0.1");
    let ca = folder.path().join("ca.pem");
    fs::copy(&others.ca, &ca).unwrap();
    let mut server = ours.server(folder.path(), "gtls", "anon");
    let (outputs, metrics) = start(settings(&server, &ca, None));
    let counted = metrics.output("syslog");
    for number in 0..3 {
        outputs.queue().push(alert(number)).unwrap();
    }
    log.says(&server, "UnknownIssuer");
    assert_eq!(counted.written.get(), 0);
    fs::copy(&ours.ca, &ca).unwrap();
    in_order(&server.messages(3));
    // The same port with another name in its certificate.
    server.stop();
    let own = [&ours.certificate, &ours.key].map(|path| (path, fs::read(path).unwrap()));
    fs::copy(&other_name.certificate, &ours.certificate).unwrap();
    fs::copy(&other_name.key, &ours.key).unwrap();
    fs::copy(&other_name.ca, &ca).unwrap();
    server.start_again();
    for number in 3..6 {
        outputs.queue().push(alert(number)).unwrap();
    }
    log.says(&server, "not valid for name");
    assert_eq!(counted.written.get(), 3);
    server.stop();
    for (path, content) in own {
        fs::write(path, content).unwrap();
    }
    fs::copy(&ours.ca, &ca).unwrap();
    server.start_again();
    in_order(&server.messages(6));
    until("all are counted", || counted.written.get() == 6);
}

#[test]
fn a_server_that_asks_who_is_there_is_told() {
    if !has_rsyslog("a_server_that_asks_who_is_there_is_told") {
        return;
    }
    let log = Log::start();
    for driver in ["gtls", "ossl"] {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path(), "127.0.0.1");
        let server = files.server(folder.path(), driver, "x509/certvalid");
        let (nobody, metrics) = start(settings(&server, &files.ca, None));
        nobody.queue().push(alert(0)).unwrap();
        log.says(&server, "alerts are not taken");
        assert_eq!(metrics.output("syslog").written.get(), 0);
        drop(nobody);
        assert_eq!(metrics.output("syslog").written.get(), 0, "{driver}");
        let (somebody, _) = start(settings(&server, &files.ca, Some(&files)));
        somebody.queue().push(alert(0)).unwrap();
        in_order(&server.messages(1));
    }
}
