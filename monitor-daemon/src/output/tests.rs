//! The outputs together: threads, files, limits, the end.

mod sinks;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::alert::tests::sample;
use super::{Alert, Full, OutputSettings, Outputs};
use crate::alert_log;
use crate::config::{Config, StdoutFormat};
use crate::metrics::Metrics;

fn settings(file: &Path) -> OutputSettings {
    OutputSettings {
        stdout: StdoutFormat::Off,
        file: Some(file.to_owned()),
        log: None,
        ..OutputSettings::new(&Config::default(), "web-1".into())
    }
}

/// Set in a process that [`is_alone`] has started.
const ALONE: &str = "MONITOR_TEST_ALONE";

/// Whether this process has a network and mounts of its own, in which `setup` was done. If not, the
/// test with the path `test` is done in one that has.
pub(super) fn is_alone(test: &str, setup: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let alone = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "--net", "sh", "-ec"]);
        command.args([script, "sh"]).env(ALONE, "");
        // As systemd says where a service's credentials are.
        command.env("CREDENTIALS_DIRECTORY", "/mnt");
        command
    };
    let script = "ip link set lo up";
    if !alone(script).status().is_ok_and(|status| status.success()) {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "there are no namespaces, and CI=true is set");
        println!("SKIP: {test}: there are no namespaces, or no `ip`");
        return false;
    }
    let script = format!("{script}; {setup}; exec \"$@\"");
    let (_, test) = test.split_once("::").unwrap();
    let mut command = alone(&script);
    command.arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{output:?}");
    false
}

/// The commands by which the name `two` gets two addresses: 127.0.0.1, where [`dead`] is, and
/// 127.0.0.2.
pub(super) const TWO: &str = "mount -t tmpfs none /mnt; \
    printf '127.0.0.1 two\\n127.0.0.2 two\\n' >/mnt/hosts; \
    mount --bind /mnt/hosts /etc/hosts";

/// A listener at the first address of `two` which answers nobody: as behind a firewall that drops.
pub(super) fn dead(port: u16) -> impl Sized {
    let first = ("two", port).to_socket_addrs().unwrap().next().unwrap();
    assert_eq!(first, SocketAddr::from(([127, 0, 0, 1], port)));
    let listener = TcpListener::bind(first).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let only = TcpStream::connect(first).unwrap();
    let next = TcpStream::connect_timeout(&first, Duration::from_millis(50));
    assert!(next.is_err());
    (listener, only)
}

#[test]
fn the_end_delivers_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.jsonl");
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings(&file), &metrics).unwrap();
    let queue = outputs.queue();
    for index in 0..1000 {
        queue
            .push(Alert {
                output: format!("number {index}"),
                ..sample()
            })
            .unwrap();
    }
    assert_eq!(outputs.stop(Duration::from_secs(10)), 0);
    let text = fs::read_to_string(&file).unwrap();
    let outputs: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(outputs.len(), 1000);
    assert!(
        outputs[999]["output"]
            .as_str()
            .unwrap()
            .ends_with(" number 999")
    );
    assert_eq!(metrics.output("file").written.get(), 1000);
    assert_eq!(queue.push(sample()), Err(Full), "the outputs have stopped");
    assert_eq!(metrics.output("file").lost_shutdown.get(), 1);
}

/// `/dev/full` fails every write as a full disk does.
#[test]
fn a_full_disk_costs_only_what_does_not_fit_the_queue_and_all_is_counted() {
    let metrics = Metrics::new().unwrap();
    let settings = OutputSettings {
        queue_bytes: 3 * sample().size(),
        ..settings(Path::new("/dev/full"))
    };
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let queue = outputs.queue();
    for _ in 0..10 {
        // Whether there is room is counted.
        let _room = queue.push(sample());
    }
    outputs.stop(Duration::from_secs(10));
    let counted = metrics.output("file");
    let (full, shutdown) = (counted.lost_queue_full.get(), counted.lost_shutdown.get());
    // The alert that tells of it is one more, if it is in time.
    assert!((10..=11).contains(&(full + shutdown)), "{full} {shutdown}");
    assert_eq!(counted.written.get(), 0);
    assert!(full >= 4, "{full}: two queues hold three each");
    assert!(counted.write_errors.get() >= 1);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_start() {
    let metrics = Metrics::new().unwrap();
    let error = Outputs::start(&settings(Path::new("/nonexistent/a")), &metrics).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open `/nonexistent/a` for alerts: No such file or directory (os error 2)"
    );
}

/// Longer than any datagram: the server itself is told, by one that is not.
#[test]
fn an_alert_too_long_for_a_datagram_is_told_by_another() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let address = server.local_addr().unwrap();
    let text = format!("alerts: {{log: {{days: 36500}}, syslog: {{address: '{address}'}}}}");
    let config = Config::parse(Path::new("m.yaml"), &text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = alert_log::Settings {
        path: folder.path().join("alerts.db"),
        ..config.alerts.log.settings().unwrap()
    };
    let settings = OutputSettings {
        stdout: StdoutFormat::Off,
        log: Some(log),
        ..OutputSettings::new(&config, "web-1".into())
    };
    let metrics = Metrics::new().unwrap();
    let mut outputs = Outputs::start(&settings, &metrics).unwrap();
    let long = Alert {
        output: "x".repeat(70_000),
        ..sample()
    };
    outputs.queue().push(long).unwrap();
    let mut datagram = vec![0; 65_536];
    let length = server.recv(&mut datagram).unwrap();
    let (_, body) =
        datagram[..length].split_at(datagram.iter().position(|byte| *byte == b'{').unwrap());
    let told: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(told["rule"], "Monitor internal: alerts were lost");
    assert_eq!(told["source"], "internal");
    assert_eq!(told["tags"], serde_json::json!(["monitor"]));
    let fields = &told["output_fields"];
    assert_eq!(fields["log.output"], format!("syslog {address}"));
    assert_eq!(
        (&fields["log.lost"], &fields["log.first"]),
        (&1.into(), &1.into())
    );
    outputs.stop(Duration::from_secs(10));
    let counted = metrics.output("syslog");
    assert_eq!((counted.lost_refused.get(), counted.written.get()), (1, 1));
}
