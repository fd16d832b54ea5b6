//! What tells a rule from the same one of another load.

use monitor_policy::{Options, RulesFile, Selected, Switch, load};

const LIST: &str = "- list: shells\n  items: [sh, bash]\n";
const MACRO: &str = "- macro: opened\n  condition: evt.type = open and fd.num >= 0\n";
const RULE: &str = "- rule: r\n  desc: d\n  condition: opened and proc.name in (shells)\n  output: \
                    o %proc.name\n  priority: INFO\n  tags: [a]\n  exceptions: [{name: e, fields: \
                    [fd.name], values: [[/x]]}]\n";

fn digest(text: &str, options: &Options) -> u64 {
    let loaded = load(&[RulesFile { name: "a", text }], options);
    let policy = loaded.policy.expect("a policy");
    let rule = policy.rules().iter().find(|rule| rule.name == "r");
    rule.expect("the rule").digest
}

#[test]
fn a_digest_changes_with_all_that_makes_a_rule() {
    let text = [LIST, MACRO, RULE].concat();
    let options = Options::default();
    let known = digest(&text, &options);
    let other = "- rule: other\n  desc: d\n  condition: evt.type = creat\n  output: o\n  priority: \
                 INFO\n";
    for same in [
        text.clone(),
        // Whatever stands before it.
        [other, &text].concat(),
        text.replace("- list", "# a comment\n- list"),
    ] {
        assert_eq!(digest(&same, &options), known, "{same}");
    }
    for (from, to) in [
        ("bash", "dash"),
        (">= 0", ">= 3"),
        ("evt.type = open", "evt.type = openat"),
        ("opened and", "opened or"),
        ("opened and", "not opened and"),
        ("desc: d", "desc: e"),
        ("o %proc.name", "o %proc.pid"),
        ("INFO", "NOTICE"),
        ("[a]", "[b]"),
        ("[/x]", "[/y]"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(digest(&changed, &options), known, "{from} -> {to}");
    }
    let off = Switch {
        enabled: false,
        rules: Selected::Named("r".to_owned()),
    };
    let switched = Options {
        switches: vec![off],
        ..Options::default()
    };
    assert_ne!(digest(&text, &switched), known);
}
