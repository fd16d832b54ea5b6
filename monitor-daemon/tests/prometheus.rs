//! A real Prometheus scrapes the endpoint and stores what it finds.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use monitor_common::Kind;
use monitor_daemon::metrics::{Metrics, Server};
use monitor_policy::Priority;
use serde_json::Value;

/// Start, first scrape and query, on a machine that compiles meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stops Prometheus whatever becomes of the test.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(folder: &Path, target: SocketAddr) -> io::Result<Self> {
        let config = format!(
            "scrape_configs:\n- job_name: monitor\n  scrape_interval: 1s\n  static_configs:\n  - \
             targets: ['{target}']\n"
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, config)?;
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, address })
    }

    /// The value of the only series that answers `query`.
    fn value(&self, query: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let body: Value = serde_json::from_str(body).ok()?;
        let value = body.pointer("/data/result/0/value/1")?;
        Some(value.as_str()?.to_owned())
    }

    /// Asks until there is an answer.
    fn wait_for(&self, query: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = self.value(query) {
                return value;
            }
            assert!(Instant::now() < end, "no answer to {query}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn prometheus_scrapes_and_stores() {
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics
        .rule("Terminal shell in container", Priority::Notice)
        .inc_by(2);
    metrics.output("file").latency.observe(0.002);
    metrics.snapshot().kept = vec![(Kind::Exec, 7)];
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), metrics).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let prometheus = match Prometheus::start(folder.path(), server.address()) {
        Ok(prometheus) => prometheus,
        Err(error) => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "prometheus: {error}"
            );
            return println!("SKIP: prometheus is not installed ({error})");
        }
    };
    let cases = [
        ("monitor_records_kept_total%7Bkind=%22exec%22%7D", "7"),
        ("monitor_rule_matches_total", "2"),
        ("monitor_alert_latency_seconds_count", "1"),
        ("monitor_build_info", "1"),
        ("up%7Bjob=%22monitor%22%7D", "1"),
    ];
    for (query, expected) in cases {
        assert_eq!(prometheus.wait_for(query), expected, "{query}");
    }
}
