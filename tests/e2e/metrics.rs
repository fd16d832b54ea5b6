//! The Prometheus endpoint, judged by a real Prometheus.

use std::time::Duration;

use anyhow::{Result, ensure};
use monitor_tests::daemon::{self, Daemon};
use monitor_tests::prometheus::{self, Prometheus};
use monitor_tests::{http, paths, skip_if};
use serde_json::Value;

use crate::actions::{Programs, run};

const PATIENCE: Duration = Duration::from_secs(30);
const RULE: &str = "Search Private Keys or Passwords";

#[test]
fn a_real_prometheus_scrapes_the_daemon() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(prometheus::obstacle());
    skip_if!(
        paths::upstream_rules()
            .is_none()
            .then(|| "upstream's rules are missing".to_owned())
    );
    let port = http::free_port()?;
    let programs = Programs::new()?;
    let config = programs.folder().join("monitor.yaml");
    std::fs::write(&config, format!("metrics:\n  listen: 127.0.0.1:{port}\n"))?;
    let rules = paths::upstream_rules()
        .unwrap_or_default()
        .join("falco_rules.yaml");
    let arguments = [
        "--config".as_ref(),
        config.as_os_str(),
        "--policy".as_ref(),
        rules.as_os_str(),
    ];
    let mut daemon = Daemon::start(&arguments)?;
    let prometheus = Prometheus::start(port)?;
    prometheus.wait_until_up(PATIENCE)?;

    run(std::process::Command::new("grep").args(["BEGIN RSA PRIVATE", "/dev/null"]))?;
    daemon.wait_for("the alert", PATIENCE, |alert: &Value| {
        daemon::is_from(alert, RULE)
    })?;
    // Opens that no rule is about stay in the kernel.
    run(std::process::Command::new("cat").arg("/etc/shadow"))?;
    let at_least_one =
        |expression: &str| prometheus.wait_for(expression, PATIENCE, |sample| sample.value >= 1.0);
    at_least_one(&format!("monitor_rule_matches_total{{rule=\"{RULE}\"}}"))?;
    at_least_one("monitor_records_kept_total{kind=\"exec\"}")?;
    at_least_one("monitor_records_kept_total{kind=\"open\"}")?;
    at_least_one("monitor_provider{kind=\"exec\"}")?;
    at_least_one("monitor_evaluation_seconds_count")?;
    at_least_one("monitor_alert_latency_seconds_count")?;
    at_least_one("monitor_rules_loaded")?;
    at_least_one("monitor_build_info")?;
    at_least_one("process_resident_memory_bytes")?;
    for family in [
        "monitor_container_cache_entries",
        "monitor_records_lost_total",
    ] {
        let text = http::fetch(port, "/metrics")?;
        ensure!(
            text.contains(&format!("# TYPE {family} ")),
            "no `{family}` in\n{text}"
        );
    }
    prometheus::check_metrics(&http::fetch(port, "/metrics")?)
}
