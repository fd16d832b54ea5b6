//! Files that ask for too much: a result or a clear error, within bounds of memory and of work.
//!
//! Work is measured as bytes allocated in all, which does not depend on how fast the machine is;
//! what allocates nothing is bounded by the size of the input.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fmt::Write as _;

use allocation_counter::measure;
use monitor_policy::{
    Color, Condition, FileReport, FlatEvent, LintGroup, LintOptions, LoadLimits, Loaded, Options,
    RulesFile, Scratch, load,
};

const MIB: u64 = 1 << 20;

/// What is expected of a load.
#[derive(Clone, Copy)]
enum Expected {
    Loads,
    /// An error that says so.
    Refused(&'static str),
}

use Expected::{Loads, Refused};

fn load_text(text: &str) -> Loaded {
    let file = RulesFile {
        name: "hostile.yaml",
        text,
    };
    let lint = LintOptions {
        group: LintGroup::All,
        unfilled: &[],
        told: None,
    };
    let options = Options {
        lint,
        ..Options::default()
    };
    load(&[file], &options)
}

/// Loads a file, with at most so many MiB at once and so many in all, reports included.
fn check(name: &str, text: &str, expected: Expected, at_once: u64, in_all: u64) {
    let mut loaded = None;
    let mut shown = String::new();
    let begin = std::time::Instant::now();
    let used = measure(|| {
        let result = load_text(text);
        shown = result
            .files
            .iter()
            .map(|file| file.render(Color::Never))
            .collect();
        loaded = Some(result);
    });
    let (most, all) = (used.bytes_max / MIB, used.bytes_total / MIB);
    println!(
        "{name}: {} bytes, {most} MiB at once, {all} MiB in all, {:.1} s",
        text.len(),
        begin.elapsed().as_secs_f32()
    );
    let loaded = loaded.expect("a result");
    let first: String = shown.chars().take(2000).collect();
    match expected {
        Loads => assert!(loaded.policy.is_some(), "{name}: {first}"),
        Refused(part) => {
            assert!(loaded.policy.is_none(), "{name}");
            assert!(shown.contains(part), "{name}: {first}");
        }
    }
    assert!(most <= at_once, "{name}: {most} MiB at once");
    assert!(all <= in_all, "{name}: {all} MiB in all");
    assert!(
        shown.len() < 1 << 20,
        "{name}: {} bytes of messages",
        shown.len()
    );
}

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  priority: notice\n  output: o\n  condition: {condition}\n"
    )
}

/// Lines from numbers.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn long_lists() {
    let items = |count| lines(count, |n| format!("name{n}, "));
    let list = |count| {
        let rule = rule("R", "evt.type = openat and proc.name in (names)");
        format!("- list: names\n  items: [{}]\n{rule}", items(count))
    };
    check("5,000 items", &list(5000), Loads, 16, 64);
    check(
        "100,001 items",
        &list(100_001),
        Refused("more than 100000 items"),
        256,
        1024,
    );
    let doubled = |n: usize| format!("- list: l{}\n  items: [l{n}, l{n}]\n", n + 1);
    let doubled = format!("- list: l0\n  items: [a]\n{}", lines(60, doubled));
    let use_it = rule("R", "evt.type = openat and proc.name in (l60)");
    check(
        "lists that double",
        &(doubled + &use_it),
        Refused("more than"),
        256,
        2048,
    );
    let itself = "- list: l\n  items: [l, a]\n- list: m\n  items: [l, m]\n";
    let use_it = rule("R", "evt.type = openat and proc.name in (l, m)");
    check(
        "lists of themselves",
        &(itself.to_owned() + &use_it),
        Loads,
        1,
        4,
    );
    let big = format!("- list: big\n  items: [{}]\n", items(20_000));
    let often = lines(200, |n| format!("- list: l{n}\n  items: [big]\n"));
    check(
        "lists of a big one",
        &(big.clone() + &often),
        Refused("ten times"),
        1024,
        4096,
    );
    let often = "proc.name in (big) or ".repeat(2000);
    let use_it = rule(
        "R",
        &format!("evt.type = openat and ({often} proc.name = x)"),
    );
    check(
        "a list put in often",
        &(big + &use_it),
        Refused("longer than 2097152 bytes"),
        128,
        512,
    );
    // Such names have to be looked for at each word.
    let blanks = lines(5000, |n| format!("- list: \"a {n}\"\n  items: [x{n}]\n"));
    let words = "b, ".repeat(50_000);
    let use_it = rule(
        "R",
        &format!("evt.type = openat and proc.name in ({words}a 7)"),
    );
    check("names with blanks", &(blanks + &use_it), Loads, 128, 512);
}

#[test]
fn many_rules() {
    let rules = lines(10_000, |n| {
        rule(
            &format!("R{n}"),
            &format!("evt.type = openat and fd.name = /tmp/{n}"),
        )
    });
    check("10,000 rules", &rules, Loads, 256, 1024);
    let broken = lines(10_000, |n| {
        rule(
            &format!("R{n}"),
            &format!("undefined{n} and no.field{n} = 1"),
        )
    });
    check("10,000 broken rules", &broken, Refused("and "), 256, 1024);
    let appended = lines(10_000, |n| {
        format!("- list: l{n}\n  items: [a]\n  override: {{items: append}}\n")
    });
    check(
        "10,000 changes of nothing",
        &appended,
        Refused("no list by that name"),
        256,
        1024,
    );
    let macros = lines(60_000, |n| {
        format!("- macro: m{n}\n  condition: evt.type = openat\n")
    });
    check(
        "60,000 macros",
        &macros,
        Refused("more than 50000 rules, macros and lists"),
        512,
        2048,
    );
}

#[test]
fn big_files() {
    let comment = "# nothing but words, words, words\n".repeat(300_000);
    check("10 MB of comments", &comment, Loads, 64, 256);
    let desc = format!(
        "- rule: R\n  desc: {}\n  priority: notice\n  output: o\n  condition: evt.type = openat\n",
        "word ".repeat(2_000_000)
    );
    check("10 MB of description", &desc, Loads, 512, 1024);
    let condition = rule(
        "R",
        &format!("evt.type = openat {}", "and fd.num > 2 ".repeat(700_000)),
    );
    check(
        "10 MB of condition",
        &condition,
        Refused("longer than 2097152 bytes"),
        512,
        2048,
    );
    let long = "x".repeat(17 << 20);
    check(
        "17 MB",
        &long,
        Refused("longer than 16777216 bytes"),
        64,
        64,
    );
    let unindented = format!("- list: l\n  items: [\n{}]\n", "a,\n".repeat(500_000));
    check(
        "lines that are not indented",
        &unindented,
        Refused("indentation"),
        256,
        8192,
    );
}

#[test]
fn bombs() {
    let bomb = lines(40, |n| format!("- &a{} [*a{n}, *a{n}]\n", n + 1));
    check(
        "aliases that double",
        &format!("- &a0 [x]\n{bomb}"),
        Refused("more than 1000000 nodes"),
        16,
        64,
    );
    let text = "y".repeat(1 << 20);
    let aliases = "*a, ".repeat(100_000);
    let bomb = format!("- list: l\n  items: [&a {text}, {aliases}]\n");
    check(
        "aliases of a long text",
        &bomb,
        Refused("more than 1000000 nodes"),
        64,
        256,
    );
    let anchors = lines(100_000, |n| format!("&a{n} x, *a{n}, "));
    check(
        "100,000 anchors",
        &format!("- list: l\n  items: [{anchors}]\n"),
        Refused("more than"),
        512,
        1024,
    );
    check("deep YAML", &"[".repeat(100_000), Refused(""), 64, 256);
    let doubled = lines(400, |n| {
        format!("- macro: m{}\n  condition: m{n} or not m{n}\n", n + 1)
    });
    let bomb = format!(
        "- macro: m0\n  condition: evt.type = openat\n{doubled}{}",
        rule("R", "m400")
    );
    check("macros that double", &bomb, Loads, 32, 128);
    let chain = lines(20_000, |n| {
        format!("- macro: m{}\n  condition: m{n} and fd.num > 2\n", n + 1)
    });
    let bomb = format!(
        "- macro: m0\n  condition: evt.type = openat\n{chain}{}",
        rule("R", "m20000")
    );
    check("20,000 macros in a chain", &bomb, Refused(""), 512, 2048);
    let looped = "- macro: a\n  condition: evt.type = open\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n";
    check(
        "macros in a circle",
        &(looped.to_owned() + &rule("R", "a")),
        Refused("reference loop"),
        1,
        4,
    );
}

#[test]
fn deep_conditions() {
    let nested = |depth: usize| {
        let condition = format!(
            "{}evt.type = openat{}",
            "(".repeat(depth),
            ")".repeat(depth)
        );
        rule("R", &condition)
    };
    check("1,000 parentheses", &nested(1000), Loads, 4, 32);
    check(
        "1,001 parentheses",
        &nested(1001),
        Refused("nested deeper than 1000"),
        4,
        32,
    );
    check(
        "a million parentheses",
        &rule("R", &"(".repeat(1_000_000)),
        Refused("nested deeper than 1000"),
        64,
        256,
    );
    check(
        "a million closed",
        &rule("R", &format!("evt.type = openat {}", ")".repeat(1_000_000))),
        Refused("closes nothing"),
        64,
        256,
    );
    let alternating = "(evt.type = openat and not (".repeat(450);
    let closed = "))".repeat(450);
    check(
        "alternating",
        &rule("R", &format!("{alternating} fd.num > 2 {closed}")),
        Loads,
        8,
        64,
    );
}

#[test]
fn broken_conditions() {
    let calls = format!(
        "{}proc.name{} = x",
        "tolower(".repeat(5000),
        ")".repeat(5000)
    );
    check(
        "nested transformers",
        &rule("R", &calls),
        Refused("nested deeper than"),
        8,
        64,
    );
    let quotes = "'\\".repeat(500_000);
    check(
        "quotes without end",
        &rule("R", &format!("|\n    proc.name = {quotes}")),
        Refused("quote"),
        64,
        256,
    );
    let faults = "proc.nmae like x and ".repeat(50_000);
    check(
        "50,000 faults",
        &rule("R", &format!("{faults} evt.type = openat")),
        Refused("expected an operator"),
        128,
        512,
    );
}

#[test]
fn regular_expressions() {
    let rules = |count, regex: &str| {
        lines(count, |n| {
            let condition = format!("evt.type = openat and fd.name regex \"{regex}x{n}\"");
            rule(&format!("R{n}"), &condition)
        })
    };
    let big = rules(20, "([a-z0-9]{900}){50}");
    check("big expressions", &big, Refused("it is too big"), 64, 512);
    let many = rules(1100, "[a-z]*");
    let refused = Refused("more than 1000 regular expressions");
    check("many expressions", &many, refused, 256, 1024);
}

#[test]
fn what_is_deep_can_be_tried() {
    let mut text = "- macro: m0\n  condition: fd.num > 2\n".to_owned();
    for n in 0..400 {
        let _ = writeln!(
            text,
            "- macro: m{}\n  condition: not (m{n} and fd.num > 2)",
            n + 1
        );
    }
    text += &rule("R", "evt.type = openat and (m400 or not m400)");
    let policy = load_text(&text).policy.expect("it loads");
    let event = serde_json::json!({"evt.type": "openat", "fd.num": 3});
    let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
    assert_eq!(policy.evaluate(&event, &mut Scratch::default()).len(), 1);
}

/// Each prefix of a name may be a field: only those are tried that are short enough.
#[test]
fn long_names() {
    let letters = "a".repeat(200_000);
    let output =
        rule("R", "evt.type = openat").replace("output: o", &format!("output: '%{letters}'"));
    check(
        "a long token",
        &output,
        Refused("invalid formatting token"),
        32,
        128,
    );
    let dots = "a.".repeat(100_000);
    let name = rule("R", &format!("evt.type = openat and {dots}b = x"));
    check(
        "a name of many parts",
        &name,
        Refused("nonexistent field"),
        32,
        128,
    );
    let comments = lines(100_000, |n| format!("# monitor: allow LINT_X{n}\n"));
    check("comments that are wrong", &comments, Loads, 64, 256);
}

/// Sets a limit lower.
type Change = fn(&mut LoadLimits);

/// What is said of a file when that is done.
fn refused(change: Change) -> String {
    let macros = "- macro: m\n  condition: proc.name = x\n- macro: n\n  condition: m or m\n";
    let condition = "evt.type = openat and (fd.num > 2) and n and tolower(toupper(proc.name)) = x";
    let text = macros.to_owned() + &rule("R", condition);
    let file = RulesFile {
        name: "a",
        text: &text,
    };
    let mut limits = LoadLimits::default();
    change(&mut limits);
    let options = Options {
        limits,
        ..Options::default()
    };
    let files = load(&[file], &options).files;
    let errors = files.iter().flat_map(FileReport::errors);
    errors
        .map(|error| error.message.clone())
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn limits_are_settings() {
    let cases: [(Change, &str); 11] = [
        (|_| {}, ""),
        (
            |limits| limits.file_bytes = 10,
            "the file is longer than 10 bytes",
        ),
        (
            |limits| limits.items = 0,
            "more than 0 rules, macros and lists",
        ),
        (
            |limits| limits.nesting = 0,
            "parentheses are nested deeper than 0",
        ),
        (
            |limits| limits.transformers = 0,
            "transformers are nested deeper than 0",
        ),
        (
            |limits| limits.macro_chain = 1,
            "more than 1 macros use each other in a chain",
        ),
        (
            |limits| limits.height = 1,
            "the condition is nested deeper than 1 with its macros",
        ),
        (|limits| limits.yaml_depth = 1, "nested deeper than 1"),
        (|limits| limits.yaml_nodes = 5, "more than 5 nodes"),
        (
            |limits| limits.condition_bytes = 10,
            "the condition is longer than 10 bytes",
        ),
        (
            |limits| limits.total_condition_bytes = 10,
            "all conditions together are longer than 10 bytes",
        ),
    ];
    for (change, expected) in cases {
        let said = refused(change);
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
    }
}

/// Found by fuzzing: ancestors are gathered from what is given, not by counting up to its index.
#[test]
fn an_ancestor_far_away() {
    let event = serde_json::json!({
        "evt.type": "openat", "proc.pname": "sh", "proc.aname[4294967295]": "init",
    });
    let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
    for (condition, expected) in [
        ("proc.aname = init", true),
        ("proc.aname = sh", true),
        ("proc.aname = cron", false),
    ] {
        let condition = Condition::parse(condition).expect("a condition");
        assert_eq!(condition.matches(&event), expected);
    }
}
