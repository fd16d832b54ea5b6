//! Evaluating allocates nothing.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "../benches/common/sample.rs"]
mod sample;

use std::path::PathBuf;

use monitor_policy::{FlatEvent, Options, Policy, RulesFile, Scratch, load};
use sample::Sample;
use serde_json::{Map, Value as Json};

/// Every form of test that looks at values as they are. Transformers make new values.
const EVERY_TEST: &str = r"
- rule: a
  desc: d
  priority: debug
  output: o
  condition: >
    evt.type in (open, openat, execve) and not (
      proc.name = a or proc.name in (a, b) or fd.name startswith /nowhere or fd.name endswith .x
      or fd.name contains none or fd.name icontains NONE or fd.name glob '/no*where'
      or fd.name pmatch (/nowhere, /no*) or proc.cmdline regex 'no.*' or proc.aname in (no, none)
      or proc.aname contains none or fd.num > 1000 or fd.sport in (1, 2) or fd.snet = 10.9.0.0/16
      or proc.name = val(proc.pname) or proc.name exists and proc.name = oneof (x, y))
    and fd.num != 9999
";

fn policies() -> Vec<Policy> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |paths: &[&str]| -> Option<Vec<String>> {
        let read = |path: &&str| std::fs::read_to_string(root.join(path)).ok();
        paths.iter().map(read).collect()
    };
    let upstream = [
        "../../shared/falco/rules/falco_rules.yaml",
        "../../shared/falco/rules/falco-incubating_rules.yaml",
        "../../shared/falco/rules/falco-sandbox_rules.yaml",
    ];
    let mut sets = vec![vec![EVERY_TEST.to_owned()]];
    let upstream = read(&upstream);
    if upstream.is_none() {
        let reason = "upstream's rules are not beside the checkout";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
        println!("skipped: {reason}");
    }
    sets.extend(upstream);
    let load = |texts: Vec<String>| {
        let files: Vec<_> = texts
            .iter()
            .map(|text| RulesFile { name: "r", text })
            .collect();
        load(&files, &Options::default()).policy.expect("it loads")
    };
    sets.into_iter().map(load).collect()
}

/// Events of the data files as they are and as other types.
fn events() -> Vec<Map<String, Json>> {
    let text = include_str!("data/stable.json");
    let cases: Vec<Json> = serde_json::from_str(text).expect("JSON");
    let mut events = Vec::new();
    for case in cases {
        let event = case["event"].as_object().expect("an event");
        for kind in ["openat", "execve", "connect", "unlinkat", "ptrace"] {
            let mut event = event.clone();
            event.insert("evt.type".to_owned(), kind.into());
            events.push(event.clone());
            event.insert(
                "proc.aname".to_owned(),
                vec!["bash", "sshd", "systemd"].into(),
            );
            events.push(event);
        }
    }
    events
}

#[test]
fn evaluating_allocates_nothing() {
    for policy in policies() {
        let events: Vec<Sample> = events()
            .iter()
            .map(|event| Sample::of(&FlatEvent::from_json(event).expect("an event"), &policy))
            .collect();
        let mut scratch = Scratch::default();
        let mut matches = 0;
        // The first round finds out how much memory the largest event needs.
        for event in &events {
            matches += policy.evaluate(event, &mut scratch).len();
        }
        let counted = allocation_counter::measure(|| {
            for event in &events {
                policy.evaluate(event, &mut scratch);
            }
        });
        assert_eq!(counted.count_total, 0, "{matches} matches");
    }
}
