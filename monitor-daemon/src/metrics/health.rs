//! Whether the daemon does its work, as `/healthz` says it: what the loop last published, judged at
//! the moment of the question, so that a loop that hangs is found out too. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Snapshot;

/// Longest time since the figures were made, ms; the loop does so every second.
const FIGURES_MS: u64 = 10_000;
/// Longest time since the last canary, ms: it is sent every 5 s, and missing after 15 s.
const CANARY_MS: u64 = 30_000;

/// An output that takes no alerts although there are some for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stall {
    /// Which.
    pub output: String,
    /// How many wait for it.
    pub alerts: u64,
    /// For how long it took none.
    pub seconds: u64,
}

/// Whether one thing is well.
#[derive(Debug, Serialize)]
struct Check {
    ok: bool,
    /// What is wrong, for this host only.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// Age of the last event of the daemon's own that came the whole way.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary_age_seconds: Option<f64>,
    checks: BTreeMap<&'static str, Check>,
}

impl Health {
    /// By these figures, at a time in ms since boot. `log_fails`: alerts are not kept.
    pub(super) fn of(figures: &Snapshot, log_fails: bool, now_ms: u64) -> Self {
        let age_ms = figures.canary_ms.map(|came| now_ms.saturating_sub(came));
        let starting = figures.made_ms == 0 || figures.canary_ms.is_none();
        let checks: BTreeMap<_, _> = [
            ("loop", event_loop(figures, now_ms)),
            ("programs", programs(figures)),
            ("canary", canary(age_ms)),
            ("outputs", outputs(figures)),
            ("log", log_fails.then(|| "alerts are not kept".to_owned())),
        ]
        .into_iter()
        .map(|(name, detail)| {
            let ok = detail.is_none();
            (name, Check { ok, detail })
        })
        .collect();
        let well = checks.values().all(|check| check.ok);
        Self {
            status: match (well, starting) {
                (true, _) => "ok",
                (false, true) => "starting",
                (false, false) => "failing",
            },
            canary_age_seconds: age_ms.map(|ms| ms as f64 / 1000.0),
            checks,
        }
    }

    /// Whether all is well.
    pub(super) fn is_ok(&self) -> bool {
        self.status == "ok"
    }

    /// For somebody to whom names of files and servers are nothing.
    pub(super) fn without_details(mut self) -> Self {
        for check in self.checks.values_mut() {
            check.detail = None;
        }
        self
    }
}

fn event_loop(figures: &Snapshot, now_ms: u64) -> Option<String> {
    let age = now_ms.saturating_sub(figures.made_ms);
    if figures.made_ms == 0 {
        return Some("it does not run yet".to_owned());
    }
    (age > FIGURES_MS).then(|| format!("it has not turned for {} s", age / 1000))
}

fn programs(figures: &Snapshot) -> Option<String> {
    if figures.coverage.iter().all(|kind| kind.provider.is_none()) {
        return Some("none is attached".to_owned());
    }
    let silent = figures.deliveries.iter();
    let silent: Vec<&str> = silent
        .filter(|(_, delivery)| delivery.is_silent())
        .map(|(kind, _)| kind.name())
        .collect();
    (!silent.is_empty()).then(|| format!("no events come of: {}", silent.join(", ")))
}

fn canary(age_ms: Option<u64>) -> Option<String> {
    match age_ms {
        None => Some("none has come yet".to_owned()),
        Some(age) if age > CANARY_MS => Some(format!("none has come for {} s", age / 1000)),
        Some(_) => None,
    }
}

fn outputs(figures: &Snapshot) -> Option<String> {
    let told = figures.stalls.iter().map(|stall| {
        let Stall {
            output,
            alerts,
            seconds,
        } = stall;
        format!("{output} has taken none of {alerts} alerts for {seconds} s")
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use monitor_common::Kind;
    use serde_json::{Value, json};

    use super::*;
    use crate::probe::{Coverage, Tier};
    use crate::selfcheck::Delivery;

    const NOW: u64 = 1_000_000;

    fn well() -> Snapshot {
        Snapshot {
            made_ms: NOW - 900,
            canary_ms: Some(NOW - 4500),
            coverage: vec![Coverage {
                kind: Kind::Exec,
                provider: Some("tp_btf/sched_process_exec".to_owned()),
                tier: Some(Tier::Object),
                refused: Vec::new(),
                blind: Vec::new(),
            }],
            deliveries: vec![(Kind::Exec, Delivery::Delivers)],
            ..Snapshot::default()
        }
    }

    #[test]
    fn when_all_is_well_it_says_so() {
        let good = Health::of(&well(), false, NOW);
        assert!(good.is_ok());
        assert_eq!(
            serde_json::to_value(&good).unwrap(),
            json!({
                "status": "ok",
                "canary_age_seconds": 4.5,
                "checks": {
                    "canary": {"ok": true},
                    "log": {"ok": true},
                    "loop": {"ok": true},
                    "outputs": {"ok": true},
                    "programs": {"ok": true},
                },
            })
        );
    }

    type Change = fn(&mut Snapshot);

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&str, &str, Change); 6] = [
            ("loop", "it has not turned for 11 s", |figures| {
                figures.made_ms = NOW - 11_000;
            }),
            ("programs", "none is attached", |figures| {
                figures.coverage.clear();
            }),
            ("programs", "no events come of: exec", |figures| {
                figures.deliveries = vec![(Kind::Exec, Delivery::Silent)];
            }),
            ("canary", "none has come for 31 s", |figures| {
                figures.canary_ms = Some(NOW - 31_000);
            }),
            ("canary", "none has come yet", |figures| {
                figures.canary_ms = None;
            }),
            (
                "outputs",
                "syslog log:514 has taken none of 7 alerts for 60 s",
                |figures| {
                    figures.stalls = vec![Stall {
                        output: "syslog log:514".to_owned(),
                        alerts: 7,
                        seconds: 60,
                    }];
                },
            ),
        ];
        for (name, detail, change) in cases {
            let mut figures = well();
            change(&mut figures);
            let health = Health::of(&figures, false, NOW);
            assert!(!health.is_ok(), "{name}");
            let starts = figures.canary_ms.is_none();
            assert_eq!(health.status, if starts { "starting" } else { "failing" });
            let shown = serde_json::to_value(&health).unwrap();
            assert_eq!(
                shown["checks"][name],
                json!({"ok": false, "detail": detail})
            );
            let others = shown["checks"].as_object().unwrap();
            let wrong = others.values().filter(|check| check["ok"] == false);
            assert_eq!(wrong.count(), 1, "{shown}");
            let shown = serde_json::to_value(health.without_details()).unwrap();
            assert_eq!(shown["checks"][name], json!({"ok": false}));
        }
        let health = Health::of(&well(), true, NOW);
        assert_eq!(health.status, "failing");
        let start = Health::of(&Snapshot::default(), false, NOW);
        let shown: Value = serde_json::to_value(start).unwrap();
        assert_eq!(shown["status"], "starting");
    }
}
