//! What files, rules, outputs and requirements have to look like.

use super::*;

#[test]
fn documents() {
    check(&[""], &[]);
    check(&["# nothing\n---\n"], &[]);
    check(&["hello"], &[("a:1:1 LOAD_ERR_YAML_VALIDATE", "not yaml")]);
    check(
        &["a: b"],
        &[("a:1:1 LOAD_ERR_YAML_VALIDATE", "array of objects")],
    );
    check(
        &["- a"],
        &[("a:1:3 LOAD_ERR_YAML_VALIDATE", "array of objects")],
    );
    check(&["- ~\n-\n"], &[]);
    check(&["- a: [b"], &[("a:1:8 LOAD_ERR_YAML_PARSE", "")]);
    check(&["- hello: x"], &[("a:1:3 LOAD_UNKNOWN_ITEM", "")]);
    check(
        &["- list: x\n  items: [a]\n  itms: b"],
        &[
            ("a:3:3 LOAD_UNKNOWN_KEY", "itms"),
            ("a:1:9 LOAD_UNUSED_LIST", ""),
        ],
    );
    check(
        &["- list:\n  items: [a]"],
        &[("a:1:3 LOAD_ERR_YAML_VALIDATE", "'list' is empty")],
    );
    check(
        &["- list: ''\n  items: [a]"],
        &[("a:1:3 LOAD_ERR_YAML_VALIDATE", "empty")],
    );
    check(
        &["- list: x\n  items: [a, ~]"],
        &[(
            "a:2:14 LOAD_ERR_YAML_VALIDATE",
            "sequence value is not scalar",
        )],
    );
    check(
        &["- macro: a-b\n  condition: proc.name=x"],
        &[
            ("a:1:10 LOAD_INVALID_MACRO_NAME", ""),
            ("a:1:10 LOAD_UNUSED_MACRO", ""),
        ],
    );
}

#[test]
fn rules_are_complete() {
    check(
        &["- rule: r\n  condition: evt.type=open"],
        &[(
            "a:1:3 LOAD_ERR_YAML_VALIDATE",
            "no mapping for key 'output'",
        )],
    );
    check(
        &["- rule: r\n  enabled: false"],
        &[
            ("a:1:9 LOAD_ERR_VALIDATE", "no rule by that name"),
            ("a:2:3 LOAD_DEPRECATED_ITEM", "standalone"),
        ],
    );
    check(
        &[&rule("r", "evt.type=open").replace("notice", "sever")],
        &[("a:3:13 LOAD_ERR_YAML_VALIDATE", "Invalid priority 'sever'")],
    );
    check(
        &[&(rule("r", "evt.type=open") + "  enabled: maybe\n")],
        &[("a:6:12 LOAD_ERR_YAML_VALIDATE", "must be true or false")],
    );
    check(
        &[&(rule("r", "evt.type=open") + "  source: k8s_audit\n")],
        &[("a:1:9 LOAD_UNKNOWN_SOURCE", "k8s_audit")],
    );
    check(
        &[&rule("r", "proc.name=a")],
        &[("a:1:9 LOAD_NO_EVTTYPE", "")],
    );
    check(
        &[&(rule("r", "proc.name=a") + "  warn_evttypes: false\n")],
        &[],
    );
    check(
        &[&rule("r", "evt.type=open and evt.dir=<")],
        &[("a:5:32 LOAD_DEPRECATED_ITEM", "evt.dir")],
    );
    check(
        &[&rule("r", "evt.type=open and proc.name=proc.pname")],
        &[("a:5:42 LOAD_COMPILE_CONDITION", "proc.pname")],
    );
}

#[test]
fn conditions_point_at_their_source() {
    let folded = "- rule: r\n  desc: d\n  priority: notice\n  output: o\n  condition: >\n    \
                  evt.type = open\n    and proc.nmae = x\n    and fd.num contains 3\n";
    check(
        &[folded],
        &[
            ("a:7:9 LOAD_ERR_COMPILE_CONDITION", "proc.nmae"),
            ("a:8:16 LOAD_ERR_COMPILE_CONDITION", "does not fit"),
        ],
    );
    // The wrong value comes from a list: the list is where it stands.
    let list = "- list: kinds\n  items: [open, opn]\n";
    check(
        &[list, &rule("r", "evt.type in (kinds)")],
        &[
            ("a:1:9 LOAD_UNUSED_LIST", ""),
            ("a:2:17 LOAD_ERR_COMPILE_CONDITION", "opn"),
        ],
    );
    let quoted = rule("r", "\"evt.type = \\\"open\\\" and \\\n     bad\"");
    check(
        &[&quoted],
        &[("a:6:6 LOAD_ERR_VALIDATE", "Undefined macro 'bad'")],
    );
    check(
        &[&rule("r", "evt.type=open and not (proc.name=a")],
        &[("a:5:36 LOAD_ERR_COMPILE_CONDITION", "not closed")],
    );
}

#[test]
fn outputs() {
    let with = |output: &str| rule("r", "evt.type=open").replace("o %proc.name", output);
    check(
        &[&with(
            "a %proc.name, %proc.nameand %12fd.name %proc.aname[2] %evt.arg.flags.",
        )],
        &[],
    );
    check(
        &[&with("100%%")],
        &[("a:4:14 LOAD_ERR_COMPILE_OUTPUT", "without a field")],
    );
    check(
        &[&with("100%")],
        &[("a:4:14 LOAD_ERR_COMPILE_OUTPUT", "without a field")],
    );
    check(
        &[&with("a %prc.name")],
        &[("a:4:13 LOAD_ERR_COMPILE_OUTPUT", "%prc.name")],
    );
    check(
        &[&with("a %fd.ip")],
        &[("a:4:14 LOAD_ERR_COMPILE_OUTPUT", "not printed")],
    );
    check(
        &[&with("a %container.label")],
        &[("a:4:14 LOAD_ERR_COMPILE_OUTPUT", "argument")],
    );
    check(
        &[&with("a %container.info")],
        &[("a:4:13 LOAD_DEPRECATED_ITEM", "")],
    );
    check(
        &[&with("a %evt.latency")],
        &[("a:4:14 LOAD_DEPRECATED_ITEM", "")],
    );
    check(
        &[&with("a %toupper(proc.name) %concat(proc.name, fd.name)")],
        &[],
    );
    check(
        &[&with("a %toupper(fd.num)")],
        &[("a:4:14 LOAD_ERR_COMPILE_OUTPUT", "wrong")],
    );
}

#[test]
fn unknown_names_can_be_forgiven() {
    let skip = "  skip-if-unknown-filter: true\n";
    check(
        &[&(rule("r", "evt.type=open and no.field=1") + skip)],
        &[("a:5:32 LOAD_UNKNOWN_FILTER", "no.field")],
    );
    check(
        &[&(rule("r", "evt.type=opn") + skip)],
        &[("a:5:23 LOAD_UNKNOWN_FILTER", "opn")],
    );
    check(
        &[&(rule("r", "evt.type=open").replace("%proc.name", "%no.field") + skip)],
        &[("a:4:13 LOAD_UNKNOWN_FILTER", "no.field")],
    );
    check(
        &[&(rule("r", "evt.type=open and fd.num contains 1") + skip)],
        &[("a:5:39 LOAD_ERR_COMPILE_CONDITION", "does not fit")],
    );
    let loaded = load_texts(&[&[&rule("r", "evt.type=open and no.field=1"), skip].concat()]);
    assert!(loaded.policy.expect("it loads").rules().is_empty());
}

#[test]
fn requirements() {
    check(&["- required_engine_version: 0.57.0\n"], &[]);
    check(&["- required_engine_version: 17\n"], &[]);
    check(
        &["- required_engine_version: 99\n"],
        &[("a:1:28 LOAD_ERR_VALIDATE", "0.63.0")],
    );
    check(
        &["- required_engine_version: new\n"],
        &[("a:1:28 LOAD_ERR_YAML_VALIDATE", "parse")],
    );
    let plugin = |entry: &str| format!("- required_plugin_versions:\n  - {entry}\n");
    check(&[&plugin("{name: container, version: 0.4.0}")], &[]);
    check(
        &[&plugin("{name: container, version: 1.0.0}")],
        &[("a:2:5 LOAD_ERR_VALIDATE", "")],
    );
    check(
        &[&plugin("{name: json, version: 0.1.0}")],
        &[("a:2:5 LOAD_ERR_VALIDATE", "json")],
    );
    check(
        &[&plugin(
            "{name: json, version: 0.1.0, alternatives: [{name: container, version: 0.1.0}]}",
        )],
        &[],
    );
    check(
        &[&plugin("{name: container, version: new}")],
        &[("a:2:32 LOAD_ERR_VALIDATE", "")],
    );
}

#[test]
fn rules_keep_their_place_and_facts() {
    let first = rule("one", "evt.type=open") + "  tags: [b, a, b]\n";
    let text = [
        first.clone(),
        rule("two", "evt.type=open"),
        rule("one", "evt.type=creat"),
    ]
    .concat();
    let loaded = load_texts(&[&text]);
    let policy = loaded.policy.expect("it loads");
    let names: Vec<_> = policy
        .rules()
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(policy.event_types().len(), 2);

    let loaded = load_texts(&[&first]);
    let policy = loaded.policy.expect("it loads");
    let rule = policy.rules().first().expect("a rule");
    assert_eq!(rule.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rule.priority, Priority::Notice);
    assert_eq!(rule.source, "syscall");
}

#[test]
fn less_severe_rules_are_dropped() {
    let text = rule("r", "evt.type=open");
    let files = [RulesFile {
        name: "a",
        text: &text,
    }];
    let rules = |minimum_priority| {
        let options = Options {
            minimum_priority,
            ..Options::default()
        };
        load(&files, &options)
            .policy
            .expect("it loads")
            .rules()
            .len()
    };
    assert_eq!(rules(Priority::Notice), 1);
    assert_eq!(rules(Priority::Warning), 0);
}

#[test]
fn rules_are_switched_from_outside() {
    let text = rule("one", "evt.type=open") + "  tags: [a]\n" + &rule("two", "evt.type=open");
    let off = rule("three", "evt.type=open") + "  enabled: false\n  tags: [a]\n";
    let text = text + &off;
    let file = RulesFile {
        name: "a",
        text: &text,
    };
    let enabled = |switches: &[(bool, Selected)]| {
        let switch = |(enabled, rules): &(bool, Selected)| Switch {
            enabled: *enabled,
            rules: rules.clone(),
        };
        let options = Options {
            switches: switches.iter().map(switch).collect(),
            ..Options::default()
        };
        let policy = load(&[file], &options).policy.expect("it loads");
        let enabled = policy.rules().iter().filter(|rule| rule.enabled);
        enabled.map(|rule| rule.name.clone()).collect::<Vec<_>>()
    };
    let named = |name: &str| Selected::Named(name.to_owned());
    let tagged = Selected::Tagged("a".to_owned());
    assert_eq!(enabled(&[]), ["one", "two"]);
    assert_eq!(enabled(&[(false, named("t*"))]), ["one"]);
    assert_eq!(
        enabled(&[(false, named("*")), (true, tagged)]),
        ["one", "three"]
    );
}
