//! The dashboard and the rules for Prometheus that are shipped name metrics and labels that are
//! there, and Prometheus takes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use prometheus::proto::MetricType;
use serde_json::Value;

use super::definition::{all, markdown};

fn packaging(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("packaging").join(path)
}

const RULES: &str = "prometheus/monitor-daemon.rules.yaml";
const TESTS: &str = "prometheus/monitor-daemon.rules.test.yaml";
const DASHBOARD: &str = "grafana/monitor-daemon.json";

fn read(path: &str) -> String {
    std::fs::read_to_string(packaging(path)).unwrap()
}

/// Queries of the dashboard's panels, with its variables filled in.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| {
        let query = target["expr"].as_str().unwrap();
        let query = query.replace("$__rate_interval", "5m");
        query.replace("$__range", "3h")
    });
    queries.collect()
}

/// What Prometheus finds, with the parts of a histogram.
fn is_metric(name: &str) -> bool {
    let histogram =
        |base: &str| all().any(|known| known.name == base && known.family == MetricType::HISTOGRAM);
    let parts = ["_bucket", "_sum", "_count"];
    let part = parts.iter().find_map(|part| name.strip_suffix(part));
    markdown().contains(&format!("`{name}`")) && !histogram(name) || part.is_some_and(histogram)
}

#[test]
fn only_metrics_that_there_are_are_named() {
    let texts = [read(RULES), read(TESTS), queries().join("\n")];
    let mut named = BTreeSet::new();
    for text in &texts {
        let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
        let metrics =
            words.filter(|word| word.starts_with("monitor_") || word.starts_with("process_"));
        named.extend(metrics);
    }
    assert!(named.len() > 25, "{named:?}");
    let unknown: Vec<_> = named.iter().filter(|name| !is_metric(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn panels_have_a_title_a_place_and_their_own_number() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut numbers = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{panel}");
    }
    assert!(numbers.len() > 20);
}

/// Runs `promtool`, which CI has to have.
fn promtool(arguments: &[&str], file: &Path) {
    let output = match Command::new("promtool").args(arguments).arg(file).output() {
        Ok(output) => output,
        Err(error) => {
            let must = std::env::var("CI").as_deref() == Ok("true");
            assert!(!must, "promtool: {error}");
            return println!("SKIP: promtool is not installed ({error})");
        }
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{}: {said}", file.display());
}

#[test]
fn prometheus_takes_the_rules_and_they_do_what_they_say() {
    promtool(&["check", "rules"], &packaging(RULES));
    promtool(&["test", "rules"], &packaging(TESTS));
}

#[test]
fn prometheus_takes_the_queries_of_the_dashboard() {
    let rules = queries().into_iter().enumerate().map(
        |(number, query)| serde_json::json!({"record": format!("query:{number}"), "expr": query}),
    );
    let rules: Vec<Value> = rules.collect();
    assert!(rules.len() > 20, "{}", rules.len());
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    // JSON is YAML.
    std::fs::write(&file, groups.to_string()).unwrap();
    promtool(&["check", "rules"], &file);
}
