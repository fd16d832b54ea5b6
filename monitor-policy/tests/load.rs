//! What loading says: rules files as text, the diagnostics and the rules that come out.

#![expect(clippy::expect_used, reason = "a test may panic")]

use monitor_policy::{Loaded, Options, Priority, RulesFile, load};

fn load_texts(texts: &[&str]) -> Loaded {
    let names = ["a", "b", "c"];
    let files: Vec<_> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    load(&files, &Options::default())
}

/// What is said of the files, a line each: `file:line:column CODE message`.
fn complaints(loaded: &Loaded) -> Vec<String> {
    let found = loaded
        .files
        .iter()
        .flat_map(|file| file.errors().iter().chain(file.warnings()));
    found
        .map(|found| {
            format!(
                "{}:{}:{} {} {}",
                found.file, found.line, found.column, found.code, found.message
            )
        })
        .collect()
}

/// Loads files; each complaint has to begin with its place and code and to have the text.
fn check(texts: &[&str], expected: &[(&str, &str)]) {
    let found = complaints(&load_texts(texts));
    let fits = |(found, (start, part)): (&String, &(&str, &str))| {
        found.starts_with(start) && found.contains(part)
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(fits);
    assert!(all, "{texts:#?}\nfound {found:#?}\nexpected {expected:#?}");
}

/// A rule in file form.
fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  priority: notice\n  output: o %proc.name\n  condition: \
         {condition}\n"
    )
}

/// What is expected of an event with these fields: the names of all rules that match it.
fn matching(texts: &[&str], event: &serde_json::Value) -> Vec<String> {
    let names = ["a", "b", "c"];
    let files: Vec<_> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    let options = Options {
        matching: monitor_policy::Matching::All,
        ..Options::default()
    };
    let loaded = load(&files, &options);
    let said = complaints(&loaded).join("\n");
    let policy = loaded.policy.expect(&said);
    let object = event.as_object().expect("an object");
    let event = monitor_policy::FlatEvent::from_json(object).expect("an event");
    let mut scratch = monitor_policy::Scratch::default();
    let found = policy.evaluate(&event, &mut scratch);
    found
        .iter()
        .filter_map(|found| policy.rules().get(found.rule))
        .map(|rule| rule.name.clone())
        .collect()
}

fn open(name: &str) -> serde_json::Value {
    serde_json::json!({"evt.type": "open", "proc.name": name})
}

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
fn macros_see_what_is_before_them() {
    let a = "- macro: a\n  condition: b\n";
    let b = "- macro: b\n  condition: evt.type=open\n";
    let use_a = rule("r", "a");
    check(&[&[b, a, &use_a].concat()], &[]);
    check(&[&[&use_a, b, a].concat()], &[]);
    check(
        &[&[a, b, &use_a].concat()],
        &[("a:2:14 LOAD_ERR_VALIDATE", "Undefined macro 'b'")],
    );
    // Appending to a macro makes it see what was defined in between.
    let append = "- macro: a\n  condition: or evt.type=openat\n  override: {condition: append}\n";
    check(
        &[&[
            "- macro: a\n  condition: evt.type=creat\n",
            b,
            append,
            &use_a,
        ]
        .concat()],
        &[("a:3:10 LOAD_UNUSED_MACRO", "")],
    );
    let loops = "- macro: a\n  condition: evt.type=creat\n- macro: b\n  condition: a\n- macro: a\n  \
                 condition: b\n";
    check(
        &[&[loops, &use_a].concat()],
        &[("a:4:14 LOAD_ERR_VALIDATE", "reference loop")],
    );
    check(
        &["- macro: a\n  condition: evt.type==\n"],
        &[
            ("a:2:23 LOAD_ERR_COMPILE_CONDITION", "expected a value"),
            ("a:1:10 LOAD_UNUSED_MACRO", ""),
        ],
    );
    // Fields are checked only where a rule uses the macro.
    check(
        &["- macro: a\n  condition: no.field = x\n"],
        &[("a:1:10 LOAD_UNUSED_MACRO", "")],
    );
    // A later file that needs an earlier one is as well off as one file.
    check(
        &[b, a, &use_a],
        &[
            ("a:1:10 LOAD_UNUSED_MACRO", ""),
            ("b:1:10 LOAD_UNUSED_MACRO", ""),
        ],
    );
    // An error in a macro that two rules use is one error.
    let bad = "- macro: m\n  condition: evt.type=open and no.field=1\n";
    check(
        &[&[bad, &rule("r", "m"), &rule("s", "m")].concat()],
        &[("a:2:32 LOAD_ERR_COMPILE_CONDITION", "no.field")],
    );
}

#[test]
fn chains_of_macros_have_an_end() {
    let link = |n: usize| format!("- macro: m{n}\n  condition: m{} or evt.type=open\n", n - 1);
    let chain = |length: usize| {
        let links: String = (1..length).map(link).collect();
        let last = rule("r", &format!("m{}", length - 1));
        ["- macro: m0\n  condition: evt.type=open\n", &links, &last].concat()
    };
    check(&[&chain(400)], &[]);
    // Such a chain is cut, not followed.
    assert!(!complaints(&load_texts(&[&chain(3000)])).is_empty());
}

#[test]
fn a_redefinition_is_blamed_where_it_stands() {
    let first = ["- macro: m\n  condition: evt.type=open\n", &rule("r", "m")].concat();
    check(
        &[&first, "- macro: m\n  condition: no.field=1\n"],
        &[("b:2:14 LOAD_ERR_COMPILE_CONDITION", "no.field")],
    );
    let redefined = rule("r", "evt.type=open") + "  source: other\n";
    check(
        &[&rule("r", "evt.type=open"), &redefined],
        &[("b:6:11 LOAD_ERR_VALIDATE", "different source")],
    );
}

#[test]
fn lists_are_text() {
    let list = "- list: names\n  items: [cat, 'my cat', '\"a b\"']\n";
    let more = "- list: more\n  items: [names, dog]\n";
    let none = "- list: none\n  items: []\n";
    let check = |condition: &str, event: &str, expected: bool| {
        let text = [
            list,
            more,
            none,
            &rule("r", &format!("evt.type=open and {condition}")),
        ]
        .concat();
        let found = matching(&[&text], &open(event));
        assert_eq!(!found.is_empty(), expected, "{condition} {event}");
    };
    check("proc.name in (names)", "cat", true);
    check("proc.name in (names)", "my cat", true);
    check("proc.name in (names)", "a b", true);
    check("proc.name in (more)", "cat", true);
    check("proc.name in (more,x)", "dog", true);
    check("proc.name in (x, none)", "x", true);
    check("proc.name in (none, x)", "x", true);
    check("proc.name in (x, none, y)", "y", true);
    check("proc.name in (none)", "", false);
    check("proc.name contains \"a none b\"", "xa  bx", true);
    check("proc.name = \"names\"", "names", true);
    check("not proc.name in (none)", "x", true);
}

#[test]
fn lists_of_lists_have_an_end() {
    let doubled = |n: usize| format!("- list: l{n}\n  items: [l{0}, l{0}]\n", n - 1);
    let lists: String = (1..19).map(doubled).collect();
    let text = [
        "- list: l0\n  items: [a]\n",
        &lists,
        &rule("r", "evt.type=open and proc.name in (l18)"),
    ];
    let loaded = load_texts(&[&text.concat()]);
    assert!(
        complaints(&loaded)
            .iter()
            .any(|found| found.contains("more than 100000 items"))
    );
    // A list in itself is a plain item.
    let text = [
        "- list: l\n  items: [l, a]\n",
        &rule("r", "evt.type=open and proc.name in (l)"),
    ];
    assert_eq!(matching(&[&text.concat()], &open("l")), ["r"]);
}

#[test]
fn overrides() {
    let base = rule("r", "evt.type=open and proc.name=a");
    let with = |change: &str| [&base, "- rule: r\n", change].concat();
    let check = |change: &str, event: &str, expected: bool| {
        let found = matching(&[&with(change)], &open(event));
        assert_eq!(!found.is_empty(), expected, "{change} {event}");
    };
    check(
        "  condition: or proc.name=b\n  override: {condition: append}\n",
        "b",
        true,
    );
    check(
        "  condition: and proc.name=b\n  override: {condition: append}\n",
        "a",
        false,
    );
    check(
        "  condition: evt.type=open\n  override: {condition: replace}\n",
        "z",
        true,
    );
    check(
        "  enabled: false\n  override: {enabled: replace}\n",
        "a",
        false,
    );
    check("  enabled: false\n", "a", false);
    check("  append: true\n  condition: or proc.name=b\n", "b", true);
}

#[test]
fn overrides_are_checked() {
    let base = rule("r", "evt.type=open");
    let check_change = |change: &str, expected: &[(&str, &str)]| {
        check(&[&base, &format!("- rule: r\n{change}")], expected);
    };
    let validate = "LOAD_ERR_YAML_VALIDATE";
    check_change(
        "  priority: debug\n  override: {priority: append}\n",
        &[(&format!("b:3:14 {validate}"), "cannot be appended")],
    );
    check_change(
        "  desc: x\n  override: {desc: merge}\n",
        &[(&format!("b:3:20 {validate}"), "'append' or 'replace'")],
    );
    check_change(
        "  override: {desc: replace}\n",
        &[(&format!("b:2:14 {validate}"), "not defined")],
    );
    check_change(
        "  desc: x\n  output: y\n  override: {desc: replace}\n",
        &[(&format!("b:3:3 {validate}"), "Unexpected key 'output'")],
    );
    check_change(
        "  desc: x\n  append: true\n  override: {desc: replace}\n",
        &[(&format!("b:3:3 {validate}"), "cannot be used together")],
    );
    check_change(
        "  append: true\n  condition: and proc.name=a\n",
        &[("b:2:3 LOAD_DEPRECATED_ITEM", "'append' key is deprecated")],
    );
    check(
        &["- rule: x\n  desc: y\n  override: {desc: append}\n"],
        &[("a:1:9 LOAD_ERR_VALIDATE", "no rule by that name")],
    );
    check(
        &["- list: x\n  items: [y]\n  override: {items: append}\n"],
        &[("a:1:9 LOAD_ERR_VALIDATE", "no list by that name")],
    );
}

#[test]
fn exceptions() {
    let with = |exceptions: &str| {
        rule("r", "evt.type=open and proc.name exists") + "  exceptions:\n" + exceptions
    };
    let check = |exceptions: &str, event: serde_json::Value, expected: bool| {
        let mut event = event;
        event["evt.type"] = "open".into();
        let found = matching(&[&with(exceptions)], &event);
        assert_eq!(!found.is_empty(), expected, "{exceptions} {event}");
    };
    let event = |name: &str, path: &str| serde_json::json!({"proc.name": name, "fd.name": path});
    let two = "    - {name: e, fields: [proc.name, fd.name], comps: [=, startswith], values: \
               [[a, /x], [b c, /y]]}\n";
    check(two, event("a", "/x/1"), false);
    check(two, event("a", "/y"), true);
    check(two, event("b c", "/y"), false);
    let one = "    - {name: e, fields: proc.name, values: [a, b c]}\n";
    check(one, event("a", ""), false);
    check(one, event("b c", ""), false);
    check(one, event("c", ""), true);
    let below = "    - {name: e, fields: fd.name, comps: pmatch, values: [/etc]}\n";
    check(below, event("a", "/etc/x"), false);
    check(below, event("a", "/x"), true);
    let any = "    - {name: e, fields: proc.name, comps: startswith anyof, values: [a, b]}\n";
    check(any, event("bcd", ""), false);
    let lists = "    - {name: e, fields: [proc.name, fd.name], comps: [in, =], values: [[[a, b], \
                 /x], [c, /y]]}\n";
    check(lists, event("b", "/x"), false);
    check(lists, event("c", "/y"), false);
    check(lists, event("b", "/y"), true);
    let template = "    - {name: e, fields: [proc.name]}\n";
    check(template, event("a", ""), true);
    let several = "    - {name: e, fields: proc.name, values: [a]}\n    - {name: f, fields: fd.name, \
                   values: [/x]}\n";
    check(several, event("z", "/x"), false);
    check(several, event("z", "/y"), true);
}

#[test]
fn exceptions_are_checked() {
    let with =
        |exception: &str| rule("r", "evt.type=open") + "  exceptions:\n    - " + exception + "\n";
    check(
        &[&with("{fields: proc.name}")],
        &[("a:7:7 LOAD_ERR_YAML_VALIDATE", "'name'")],
    );
    check(
        &[&with("{name: e}")],
        &[("a:7:14 LOAD_ERR_YAML_VALIDATE", "'fields'")],
    );
    check(
        &[&with("{name: e, fields: [proc.name], values: [[a, b]]}")],
        &[("a:7:47 LOAD_ERR_VALIDATE", "equal length")],
    );
    check(
        &[&with("{name: e, fields: [proc.name], comps: [=, =]}")],
        &[("a:7:25 LOAD_ERR_YAML_VALIDATE", "equal length")],
    );
    check(
        &[&with("{name: e, fields: proc.name, comps: =, values: [a]}")],
        &[("a:7:43 LOAD_ERR_YAML_VALIDATE", "needs a list of fields")],
    );
    check(
        &[&with("{name: e, fields: [proc.name], comps: [like]}")],
        &[(
            "a:7:46 LOAD_ERR_YAML_VALIDATE",
            "not a supported comparison",
        )],
    );
    check(
        &[&with("{name: e, fields: proc.nmae, values: [a]}")],
        &[("a:7:25 LOAD_ERR_COMPILE_CONDITION", "proc.nmae")],
    );
    let twice = with("{name: e, fields: proc.name}") + "    - {name: e, fields: proc.name}\n";
    check(&[&twice], &[("a:8:14 LOAD_EXCEPTION_NAME_NOT_UNIQUE", "")]);
    let base = with("{name: e, fields: proc.name}");
    let append = |exception: &str| {
        format!("- rule: r\n  exceptions: [{exception}]\n  override: {{exceptions: append}}\n")
    };
    check(&[&base, &append("{name: e, values: [a]}")], &[]);
    check(
        &[&base, &append("{name: e}")],
        &[("b:2:23 LOAD_APPEND_NO_VALUES", "")],
    );
    check(
        &[&base, &append("{name: e, fields: fd.name, values: [a]}")],
        &[("b:2:23 LOAD_ERR_VALIDATE", "only values")],
    );
    check(
        &[&base, &append("{name: f, fields: fd.name, values: [a]}")],
        &[],
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
