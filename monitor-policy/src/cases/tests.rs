//! Files of tests: what they mean, and what is said of wrong ones.

use super::*;
use crate::load::{Matching, Options, SuggestedOutput, load};
use crate::policy::Scratch;
use crate::report::Color;

const RULES: &str = "\
- rule: Cat
  desc: A cat.
  condition: evt.type = execve and proc.name = cat
  output: a cat of %user.name
  priority: NOTICE
- rule: Root
  desc: Root.
  condition: evt.type = execve and user.uid = 0 and not evt.rawres < 0
  output: root
  priority: NOTICE
- rule: Off
  desc: Never.
  condition: evt.type = execve
  output: off
  priority: NOTICE
  enabled: false
";

fn policy() -> Policy {
    let options = Options {
        matching: Matching::All,
        suggested_output: SuggestedOutput::Omit,
        ..Options::default()
    };
    let file = RulesFile {
        name: "r.yaml",
        text: RULES,
    };
    load(&[file], &options).policy.unwrap()
}

/// For each case its name and what is not as expected.
fn outcomes(text: &str) -> Vec<(String, Vec<Mismatch>)> {
    let policy = policy();
    let file = RulesFile {
        name: "r.test.yaml",
        text,
    };
    let cases = read_cases(file, &policy).unwrap();
    let mut scratch = Scratch::default();
    let outcome = |case: Case| (case.name.clone(), case.judge(&policy, &mut scratch));
    cases.into_iter().map(outcome).collect()
}

const GOOD: &str = "\
- test: a cat of root
  event: {evt.type: execve, proc.name: cat, user.name: me, user.uid: 0, evt.rawres: 0}
  fires: [Cat, Root]
  silent: Off
- test: a cat
  like: a cat of root
  event: {user.uid: ~}
  fires: Cat
  silent: Root
  output: a cat of me
  unless:
    - {proc.name: dog}
    - evt.type: openat
- test: nothing
  like: a cat of root
  event:
    proc.name: dog
    evt.rawres: -2
  fires: none
";

#[test]
fn good_tests_pass() {
    let names = [
        "a cat of root",
        "a cat",
        "a cat, unless {proc.name: dog}",
        "a cat, unless evt.type: openat",
        "nothing",
    ];
    let expected: Vec<_> = names.map(|name| (name.to_owned(), Vec::new())).into();
    assert_eq!(outcomes(GOOD), expected);
}

#[test]
fn what_differs_is_said() {
    let rule = || "Cat".to_owned();
    let check = |expectation: &str, expected: &[Mismatch]| {
        let text =
            format!("- test: t\n  event: {{evt.type: execve, proc.name: cat}}\n  {expectation}\n");
        assert_eq!(outcomes(&text)[0].1, expected, "{expectation}");
    };
    check("fires: none", &[Mismatch::Fired { rule: rule() }]);
    check("silent: Cat", &[Mismatch::Fired { rule: rule() }]);
    let silent = |rule: &str, disabled| Mismatch::Silent {
        rule: rule.to_owned(),
        disabled,
    };
    check("fires: Root", &[silent("Root", false)]);
    check("fires: [Cat, Off]", &[silent("Off", true)]);
    let output = Mismatch::Output {
        rule: rule(),
        expected: "a cat of root".to_owned(),
        printed: "a cat of <NA>".to_owned(),
    };
    check("fires: Cat\n  output: a cat of root", &[output]);
}

fn complaints(text: &str) -> String {
    let file = RulesFile {
        name: "r.test.yaml",
        text,
    };
    let report = read_cases(file, &policy()).unwrap_err();
    assert!(!report.render(Color::Never).is_empty());
    let lines = report.errors().iter().map(|error| {
        let help = error.help.as_ref().map(|help| format!("; {help}"));
        let (line, column) = (error.line, error.column);
        format!(
            "{line}:{column}: {}{}",
            error.message,
            help.unwrap_or_default()
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn wrong_files_are_explained() {
    let event = "  event: {evt.type: open}\n";
    let check = |text: &str, expected: &str| assert_eq!(complaints(text), expected, "{text}");
    check(
        "- [",
        "1:4: while parsing a node, did not find expected node content",
    );
    check(
        "test: x",
        "1:1: tests are a sequence; begin each test with `- test: NAME`",
    );
    check(
        "- x",
        "1:3: a test is a mapping; begin each test with `- test: NAME`",
    );
    check(
        "- test: a\n  fires: Cat",
        "1:3: Item has no mapping for key 'event'",
    );
    check(
        &format!("- test: a\n{event}"),
        "1:3: the test expects nothing; name rules under `fires` or `silent`, or write `fires: \
         none`",
    );
    check(
        &format!("- test: a\n{event}  fires: cat\n  fire: Cat\n"),
        "4:3: Unknown key 'fire'; did you mean `fires`?\n3:10: no rule is called 'cat'; did you \
         mean `Cat`?",
    );
    check(
        "- test: a\n  event: {proc.nmae: cat, evt.type: open}\n  fires: none\n\
         - test: b\n  event: {evt.type: opennat}\n  fires: none\n\
         - test: c\n  event: {evt.type: open, fd.num: x}\n  fires: none\n\
         - test: d\n  event: {fd.num: 3}\n  fires: none\n\
         - test: e\n  event: {evt.tpye: open, proc.name: x}\n  fires: none\n\
         - test: f\n  event: {fd.nmu: x, proc.nmae: x}\n  fires: none",
        "2:11: nonexistent field `proc.nmae`; did you mean `proc.name`?\n\
         5:21: `evt.type` is `opennat`, which is no event type; did you mean `openat`?\n\
         8:35: `fd.num`: \"x\" is no whole number\n\
         11:3: the event has no `evt.type`; add `evt.type: openat`\n\
         14:11: nonexistent field `evt.tpye`; did you mean `evt.type`?\n\
         17:11: nonexistent field `fd.nmu`; did you mean `fd.num`?\n\
         17:22: nonexistent field `proc.nmae`; did you mean `proc.name`?\n\
         17:3: the event has no `evt.type`; add `evt.type: openat`",
    );
    check(
        &format!("- test: a\n{event}  fires: none\n- test: b\n  like: c\n  fires: none"),
        "5:9: no test above is called 'c'; did you mean `a`?",
    );
    check(
        &format!("- test: a\n{event}  fires: none\n  output: x\n"),
        "4:3: 'output' needs one rule under 'fires'",
    );
    check(
        &format!("- test: a\n{event}  fires: none\n  unless: [{{}}]\n"),
        "4:3: 'unless' needs rules under 'fires'",
    );
    check(
        &format!("- test: a\n{event}  fires: none\n- test: a\n{event}  fires: none\n"),
        "4:9: two tests are called 'a'",
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    assert_eq!(
        complaints(
            "- test: a\n  event: {evt.type: open, fd.nam: x}\n  fires: cat\n\
         - test: b\n  like: a\n  fires: none\n\
         - test: c\n  event: {evt.type: open}\n  fires: Cat\n\
         \x20 unless: [{fd.num: x}, {fd.nam: x}]\n"
        ),
        "2:27: nonexistent field `fd.nam`; did you mean `fd.name`?\n\
         3:10: no rule is called 'cat'; did you mean `Cat`?\n\
         10:21: `fd.num`: \"x\" is no whole number\n\
         10:26: nonexistent field `fd.nam`; did you mean `fd.name`?",
    );
}
