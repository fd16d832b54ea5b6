//! The binary from outside: exit codes, and what goes to which stream.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const RULES: &str = "\
- rule: Reads shadow
  desc: Somebody reads the password file.
  condition: evt.type in (open, openat) and fd.name=/etc/shadow
  output: shadow read by %proc.name | user=%user.name uid=%user.uid
  priority: WARNING
  tags: [filesystem]

- rule: Opens etc
  desc: Somebody opens something in /etc.
  condition: evt.type in (open, openat) and fd.name startswith /etc/
  output: opened %fd.name
  priority: NOTICE
";

const EVENTS: &str = r#"{"evt.type":"openat","fd.name":"/etc/shadow","proc.name":"cat","user.uid":0}

{"evt.type":"openat","fd.name":"/etc/hosts","proc.name":"cat"}
{"evt.type":"openat","fd.name":"/tmp/x","proc.name":"cat"}
"#;

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(fixture.path("rules.yaml"), RULES).unwrap();
        fs::write(
            fixture.path("bad.yaml"),
            RULES.replace("fd.name=", "fd.nam="),
        )
        .unwrap();
        fs::write(fixture.path("events.jsonl"), EVENTS).unwrap();
        fs::write(fixture.path("bad.jsonl"), format!("{EVENTS}nonsense\n")).unwrap();
        fs::write(fixture.path("bad_config.yaml"), "polices: []\n").unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the daemon in the folder, with the words of `line`.
    fn run(&self, line: &str) -> Output {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.run_words(&words, "")
    }

    fn run_words(&self, words: &[&str], input: &str) -> Output {
        let mut child = daemon(self.folder.path(), words)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

fn daemon(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor-daemon"));
    command
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn exit_codes() {
    let fixture = Fixture::new();
    let cases = [
        ("--version", 0, ""),
        ("--help", 0, ""),
        ("", 2, "Usage: monitor-daemon <COMMAND>"),
        ("run --bad", 2, "unexpected argument '--bad'"),
        ("check rules.yaml", 0, ""),
        ("check rules.yaml bad.yaml", 1, "the policies do not load"),
        ("check missing.yaml", 1, "the policies do not load"),
        ("eval --policy rules.yaml --events events.jsonl", 0, ""),
        (
            "eval --policy bad.yaml --events events.jsonl",
            1,
            "the policies do not load",
        ),
        (
            "eval --policy rules.yaml --events bad.jsonl",
            1,
            "bad.jsonl:5: not an event",
        ),
        (
            "eval --policy rules.yaml --events none",
            1,
            "cannot read the events from `none`",
        ),
        (
            "eval --condition fd.nam=x --events events.jsonl",
            1,
            "the condition does not compile",
        ),
        ("fields", 0, ""),
        ("rules --policy rules.yaml", 0, ""),
        ("rules --policy bad.yaml", 1, "the policies do not load"),
        ("config --config bad_config.yaml", 4, "bad_config.yaml:1:1"),
        (
            "run --config missing.yaml",
            4,
            "cannot read the configuration `missing.yaml`",
        ),
        (
            "run --config bad_config.yaml",
            4,
            "bad_config.yaml:1:1: unknown key `polices`; did you mean `policies`?",
        ),
        ("run --policy bad.yaml", 1, "bad.yaml:3:"),
        ("run --policy missing.yaml", 1, "cannot read `missing.yaml`"),
    ];
    for (line, code, said) in cases {
        let output = fixture.run(line);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {errors}");
        assert!(errors.contains(said), "{line}: {errors}");
    }
}

#[test]
fn check_says_where_what_is_wrong() {
    let fixture = Fixture::new();
    let said = text(&fixture.run("check bad.yaml").stdout);
    assert!(said.contains("bad.yaml:3:45"), "{said}");
    assert!(said.ends_with("bad.yaml: 1 error\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours in a pipe: {said}");
    assert_eq!(
        text(&fixture.run("check rules.yaml").stdout),
        "rules.yaml: ok\n"
    );
}

#[test]
fn check_json_has_an_entry_a_file_in_order() {
    let fixture = Fixture::new();
    let output = fixture.run("check missing.yaml rules.yaml bad.yaml --format json");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries: Vec<(&str, bool, Option<&str>)> = result
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let code = entry["errors"]
                .get(0)
                .map(|error| error["code"].as_str().unwrap());
            (
                entry["name"].as_str().unwrap(),
                entry["successful"].as_bool().unwrap(),
                code,
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            ("missing.yaml", false, Some("LOAD_ERR_FILE_READ")),
            ("rules.yaml", true, None),
            ("bad.yaml", false, Some("LOAD_ERR_COMPILE_CONDITION")),
        ]
    );
    for entry in result.as_array().unwrap() {
        for key in [
            "name",
            "successful",
            "schema_valid",
            "schema_warnings",
            "errors",
            "warnings",
        ] {
            assert!(entry.get(key).is_some(), "no `{key}` in {entry}");
        }
    }
    let locations = result[2]["errors"][0]["context"]["locations"]
        .as_array()
        .unwrap();
    let position = &locations.last().unwrap()["position"];
    let expected =
        json!({"name": "bad.yaml", "line": 3, "column": 45, "offset": position["offset"]});
    assert_eq!(position, &expected);
}

#[test]
fn eval_reports_the_first_match_or_all() {
    let fixture = Fixture::new();
    let first = fixture.run("eval --policy rules.yaml --events events.jsonl --format json");
    let shadow = json!({
        "rule": "Reads shadow",
        "priority": "Warning",
        "output": first_output(&first),
        "output_fields": json_lines(&first.stdout)[0]["matches"][0]["output_fields"],
    });
    let results = json_lines(&first.stdout);
    assert_eq!(results.len(), 3);
    assert_eq!(results[0], json!({"event": 1, "matches": [shadow]}));
    assert_eq!(results[1]["matches"][0]["rule"], "Opens etc");
    assert_eq!(results[2], json!({"event": 3, "matches": []}));
    assert!(
        first_output(&first).starts_with("shadow read by cat | user=<NA> uid=0"),
        "{}",
        first_output(&first)
    );
    assert_eq!(results[0]["matches"][0]["output_fields"]["user.uid"], 0);
    assert_eq!(
        results[0]["matches"][0]["output_fields"]["user.name"],
        Value::Null
    );

    let all = fixture.run("eval --policy rules.yaml --events events.jsonl --format json --all");
    let rules: Vec<Value> = json_lines(&all.stdout)[0]["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["rule"].clone())
        .collect();
    assert_eq!(rules, ["Reads shadow", "Opens etc"]);
}

fn first_output(output: &Output) -> String {
    let result = json_lines(&output.stdout).into_iter().next().unwrap();
    let text = result.pointer("/matches/0/output").unwrap();
    text.as_str().unwrap().to_owned()
}

#[test]
fn eval_for_people_names_event_rule_and_output() {
    let said = text(
        &Fixture::new()
            .run("eval --policy rules.yaml --events events.jsonl")
            .stdout,
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "event 1: Warning \"Reads shadow\"");
    assert!(
        lines[1].starts_with("    shadow read by cat | user=<NA> uid=0"),
        "{said}"
    );
    assert_eq!(lines.last(), Some(&"event 3: no rule matches"));
}

#[test]
fn eval_tries_a_condition_on_standard_input() {
    let fixture = Fixture::new();
    let words = [
        "eval",
        "--condition",
        "fd.name startswith /etc/ and proc.name=cat",
        "--events",
    ];
    let output = fixture.run_words(&[&words[..], &["-"]].concat(), EVENTS);
    assert_eq!(
        text(&output.stdout),
        "true\ntrue\nfalse\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn explain_tells_of_one_rule_what_the_kernel_decides() {
    let fixture = Fixture::new();
    let explain = |more: &[&str]| {
        let words = ["explain", "Reads shadow", "--policy", "rules.yaml"];
        let output = fixture.run_words(&[&words[..], more].concat(), "");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let told = "kernel: open: recorded if one of these holds, or what other rules need:
    fd.name /etc/shadow
";
    let said = explain(&[]);
    assert!(said.starts_with("Reads shadow\n"), "{said}");
    assert!(said.contains(told), "{said}");
    let said: Value = serde_json::from_str(&explain(&["--format", "json"])).unwrap();
    assert_eq!(said["rule"], "Reads shadow");
    assert_eq!(said["kernel"], told.trim_end());
    let said = explain(&["--event", r#"{"evt.type":"openat","fd.name":"/etc/hosts"}"#]);
    assert!(said.contains("event openat: it does not match\n"), "{said}");
    let output = fixture.run("explain shadow --policy rules.yaml");
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("did you mean `Reads shadow`?"), "{errors}");
}

#[test]
fn explain_tells_what_the_kernel_decides_of_all_rules() {
    let fixture = Fixture::new();
    let output = fixture.run("explain --kernel --policy rules.yaml");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for line in [
        "open: 1 of at most 64 clauses, one of which has to hold",
        "    decided in the kernel: fd.name",
        "   1. fd.name /etc/*",
        "      Reads shadow, Opens etc",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}:\n{said}");
    }
    let output = fixture.run("explain --kernel --policy rules.yaml --format json");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        said,
        json!([{
            "kind": "open",
            "clauses": [{
                "clause": "fd.name /etc/*",
                "rules": ["Reads shadow", "Opens etc"],
                "widened": false,
            }],
            "families": ["fd.name"],
            "widest": ["Reads shadow", "Opens etc"],
        }])
    );
    let output = fixture.run("explain --kernel Rule");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let fixture = Fixture::new();
    let mut child = daemon(fixture.folder.path(), &["check", "rules.yaml"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
}

#[test]
fn doctor_gives_the_same_facts_to_programs() {
    let output = Fixture::new().run("doctor --format json");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = result["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "kernel",
            "BTF",
            "privileges",
            "lockdown",
            "cgroups",
            "docker",
            "confinement",
            "protect"
        ]
    );
    let fails = result["checks"]
        .as_array()
        .unwrap()
        .iter()
        .any(|check| check["status"] == "FAIL");
    if fails {
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let fixture = Fixture::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&fixture.run(&format!("completion {shell}")).stdout);
        for word in ["doctor", "rules", "--policy"] {
            let word = if shell == "fish" {
                word.trim_start_matches('-')
            } else {
                word
            };
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    assert_eq!(fixture.run("man out").status.code(), Some(0));
    let commands = [
        "run", "check", "eval", "doctor", "fields", "rules", "config",
    ];
    for command in commands {
        let page = fixture.path(&format!("out/monitor-daemon-{command}.1"));
        assert!(
            fs::read_to_string(page).unwrap().contains(".TH"),
            "{command}"
        );
    }
    let page = fs::read_to_string(fixture.path("out/monitor-daemon.1")).unwrap();
    assert!(page.contains("Exit codes: 0 done"), "{page}");
    assert!(!fixture.path("out/monitor-daemon-reference.1").exists());
    let output = fixture.run("man rules.yaml/out");
    assert_eq!(output.status.code(), Some(3));
}
