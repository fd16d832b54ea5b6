//! Names, labels and values as a scraper reads them, and promtool's opinion.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use monitor_common::Kind;
use monitor_common::loss::LossReason;
use monitor_policy::Priority;
use prometheus::proto::LabelPair;

use super::definition::all;
use super::{
    Cache, ContainerCache, ContainerLoad, Metrics, OutputLoad, RecordLoss, RuleLoad, Snapshot,
    Waiting,
};
use crate::probe::{Coverage, Loss, Tier};
use crate::rollup::{Figures, Reason};
use crate::selfcheck::Delivery;

fn covered(kind: Kind, by: Option<(&str, Tier)>) -> Coverage {
    Coverage {
        kind,
        provider: by.map(|(provider, _)| provider.to_owned()),
        tier: by.map(|(_, tier)| tier),
        refused: Vec::new(),
        blind: Vec::new(),
    }
}

fn load(id: &str, name: &str, events: u64) -> ContainerLoad {
    ContainerLoad {
        id: id.to_owned(),
        name: name.to_owned(),
        image: String::new(),
        events,
    }
}

fn filled() -> Metrics {
    let metrics = Metrics::new().unwrap();
    metrics.decode_errors.inc();
    metrics.evaluation.observe(2e-6);
    metrics.rules_loaded.set(3);
    metrics
        .rule("Terminal shell in container", Priority::Notice)
        .inc_by(2);
    metrics
        .rule_seconds("Terminal shell in container")
        .inc_by(0.25);
    metrics.canary.came(12.5, 2e-4);
    metrics.canary.missing.inc();
    let told = Figures {
        windows: 3,
        bytes: 4000,
        closed_early: 1,
        summaries: 2,
    };
    let rule = Arc::from("Terminal shell in container");
    metrics.rollup.publish(&[(rule, Reason::Same, 40)], told);
    metrics.policy.loaded("e3b0", 5);
    let output = metrics.output("stdout");
    output.written.inc();
    output.lost_queue_full.inc_by(4);
    output.latency.observe(0.0007);
    *metrics.snapshot() = figures();
    metrics
}

fn figures() -> Snapshot {
    Snapshot {
        missed: vec![("open", 2)],
        unknown_processes: 3,
        unknown_places: 4,
        unread_processes: 2,
        made_ms: 1_234,
        canary_ms: Some(1_000),
        stalls: Vec::new(),
        loads: vec![load("", "host", 90), load("e2", "web", 7)],
        kept: vec![(Kind::Exec, 7), (Kind::Open, 90)],
        filtered: vec![(Kind::Open, 4000)],
        lost: vec![Loss {
            kind: Kind::Open,
            reason: LossReason::RingFull,
            cpu: 1,
            count: 5,
        }],
        lost_places: vec![("container", 4), ("host", 1), ("unknown", 0)],
        coverage: vec![
            covered(
                Kind::Exec,
                Some(("tp_btf/sched_process_exec", Tier::Object)),
            ),
            covered(Kind::Ptrace, None),
        ],
        deliveries: vec![
            (Kind::Exec, Delivery::Delivers),
            (Kind::Ptrace, Delivery::Unchecked("harmful".to_owned())),
        ],
        containers: ContainerCache {
            cache: Cache {
                entries: 2,
                bytes: 4096,
                evictions: 1,
            },
            pending: 1,
            cgroups: 30,
            cgroups_dropped: 4,
        },
        accounts: Cache {
            entries: 2,
            bytes: 800,
            evictions: 6,
        },
        waiting: Waiting {
            events: 3,
            bytes: 900,
            overdue: 7,
            refused: 8,
        },
        docker_up: true,
        processes: Cache {
            entries: 120,
            bytes: 65_536,
            evictions: 0,
        },
    }
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

#[test]
fn a_scrape_shows_every_figure() {
    let text = text(&filled());
    let version = format!(
        "monitor_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    let expected = [
        version.as_str(),
        "monitor_decode_errors_total 1",
        "monitor_evaluation_seconds_bucket{le=\"0.000004\"} 1",
        "monitor_rules_loaded 3",
        "monitor_rule_matches_total{priority=\"Notice\",rule=\"Terminal shell in container\"} 2",
        "monitor_rule_evaluation_seconds_total{rule=\"Terminal shell in container\"} 0.25",
        "monitor_alerts_rolled_up_total{reason=\"same\",rule=\"Terminal shell in container\"} 40",
        "monitor_canaries_total 1",
        "monitor_canaries_missing_total 1",
        "monitor_canary_timestamp_seconds 12.5",
        "monitor_canary_latency_seconds_bucket{le=\"0.00025\"} 1",
        "monitor_rollup_summaries_total 2",
        "monitor_rollup_closed_early_total 1",
        "monitor_rollup_windows 3",
        "monitor_rollup_bytes 4000",
        "monitor_alerts_total{output=\"stdout\"} 1",
        "monitor_alerts_lost_total{output=\"stdout\",reason=\"queue_full\"} 4",
        "monitor_alert_latency_seconds_bucket{output=\"stdout\",le=\"0.0005\"} 0",
        "monitor_alert_latency_seconds_bucket{output=\"stdout\",le=\"0.001\"} 1",
        "monitor_records_kept_total{kind=\"exec\"} 7",
        "monitor_records_kept_total{kind=\"open\"} 90",
        "monitor_events_filtered_total{kind=\"open\"} 4000",
        "monitor_records_lost_total{cpu=\"1\",kind=\"open\",reason=\"ring_full\"} 5",
        "monitor_records_lost_total{cpu=\"0\",kind=\"exec\",reason=\"ring_full\"} 0",
        "monitor_provider{kind=\"exec\",provider=\"tp_btf/sched_process_exec\",tier=\"object\"} 1",
        "monitor_provider{kind=\"ptrace\",provider=\"none\",tier=\"none\"} 0",
        "monitor_provider_delivers{kind=\"exec\",provider=\"tp_btf/sched_process_exec\"} 1",
        "monitor_container_cache_entries 2",
        "monitor_container_cache_pending 1",
        "monitor_container_cache_bytes 4096",
        "monitor_container_cache_evictions_total 1",
        "monitor_docker_up 1",
        "monitor_cgroup_cache_entries 30",
        "monitor_cgroup_cache_evictions_total 4",
        "monitor_account_cache_entries 2",
        "monitor_account_cache_bytes 800",
        "monitor_account_cache_evictions_total 6",
        "monitor_waiting_events 3",
        "monitor_waiting_bytes 900",
        "monitor_waits_overdue_total 7",
        "monitor_waits_refused_total 8",
        "monitor_process_table_entries 120",
    ];
    for line in expected {
        assert!(
            text.lines().any(|found| found == line),
            "no `{line}` in\n{text}"
        );
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
}

#[test]
fn what_is_defined_is_what_is_scraped() {
    for family in filled().registry.gather() {
        let name = family.name();
        if name.starts_with("process_") {
            continue;
        }
        let definition = all()
            .find(|definition| definition.name == name)
            .expect(name);
        assert_eq!(family.help(), definition.help, "{name}");
        assert_eq!(family.get_field_type(), definition.family, "{name}");
        for metric in family.get_metric() {
            let labels = metric.get_label().iter().map(LabelPair::name);
            let mut labels: Vec<&str> = labels.collect();
            let mut defined = definition.labels.to_vec();
            labels.sort_unstable();
            defined.sort_unstable();
            assert_eq!(labels, defined, "{name}");
        }
    }
    let families = filled().registry.gather();
    for definition in all() {
        let scraped = families
            .iter()
            .any(|family| family.name() == definition.name);
        assert!(scraped, "{} is defined and not scraped", definition.name);
    }
}

#[test]
fn rules_that_are_gone_are_forgotten_and_loads_are_told() {
    use crate::reload::Outcome;
    let metrics = filled();
    let text = || String::from_utf8(metrics.encode().unwrap()).unwrap();
    assert!(text().contains("rule=\"Terminal shell in container\""));
    metrics.forget_rule("Terminal shell in container", Priority::Notice);
    assert!(!text().contains("rule=\"Terminal shell in container\""));
    metrics.policy.loaded("ffff", 7);
    metrics.policy.result(Outcome::Loaded);
    metrics.policy.result(Outcome::Refused);
    metrics.policy.aged(19);
    let text = text();
    for line in [
        "monitor_policy{checksum=\"ffff\"} 1",
        "monitor_policy_age_seconds 12",
        "monitor_policy_load_successful 0",
        "monitor_policy_loaded_timestamp_seconds 7",
        "monitor_policy_loads_total{result=\"loaded\"} 1",
        "monitor_policy_loads_total{result=\"refused\"} 1",
        "monitor_policy_loads_total{result=\"unchanged\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    assert!(!text.contains("e3b0"), "the checksum from before:\n{text}");
}

#[test]
fn top_tells_the_same_figures() {
    let top = filled().top();
    assert_eq!(
        (top.records, top.waiting_bytes, top.docker_up),
        (97, 900, true)
    );
    assert_eq!(top.taken_ms, 1_234);
    assert_eq!(top.containers, filled().snapshot().loads);
    let lost = RecordLoss {
        kind: "open".into(),
        reason: "ring_full".into(),
        count: 5,
    };
    assert_eq!(top.records_lost, [lost]);
    let rule = RuleLoad {
        rule: "Terminal shell in container".into(),
        priority: "Notice".into(),
        matches: 2,
        seconds: 0.25,
    };
    assert_eq!(top.rules, [rule]);
    let output = OutputLoad {
        output: "stdout".into(),
        written: 1,
        queue_bytes: 0,
        waiting: 0,
        oldest_seconds: 0,
        trouble: None,
        lost: [("queue_full".to_owned(), 4)].into(),
    };
    assert_eq!(top.outputs, [output]);
    assert!(
        top.rss_bytes > 1_000_000 && top.cpu_seconds > 0.0,
        "{top:?}"
    );
}

#[test]
fn totals_are_sums() {
    let metrics = filled();
    assert_eq!(metrics.snapshot().kept_total(), 97);
    assert_eq!(metrics.snapshot().lost_total(), 5);
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    for metrics in [Metrics::new().unwrap(), filled()] {
        let spawned = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut promtool = match spawned {
            Ok(child) => child,
            Err(error) => {
                assert!(
                    std::env::var("CI").as_deref() != Ok("true"),
                    "promtool: {error}"
                );
                println!("SKIP: promtool is not installed ({error})");
                return;
            }
        };
        promtool
            .stdin
            .take()
            .unwrap()
            .write_all(text(&metrics).as_bytes())
            .unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
        assert_eq!(String::from_utf8_lossy(&said), "");
    }
}
