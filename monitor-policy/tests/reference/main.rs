//! Compiled conditions agree with a reading of the language that knows no cleverness: no event
//! types, no graph, no hashing, one line of the specification after the other.

mod naive;

use monitor_policy::{Condition, FlatEvent, Matching, Options, RulesFile, Scratch, load};
use naive::{Condition as Naive, Event, Test};
use proptest::prelude::*;

const TEXTS: [&str; 4] = ["proc.name", "proc.pname", "fd.name", "evt.type"];
const TEXT_OPERATORS: [&str; 10] = [
    "=",
    "==",
    "!=",
    "contains",
    "icontains",
    "startswith",
    "endswith",
    "glob",
    "iglob",
    "exists",
];
/// For values of fields and on the right side; event types, so that `evt.type` takes them too.
const WORDS: [&str; 5] = ["open", "openat", "openat2", "creat", "mkdirat"];
const PATHS: [&str; 6] = ["/", "/open", "/open/x", "/op*", "/opens", "open"];
const NUMBERS: [&str; 4] = ["-1", "0", "3", "7"];
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "8.8.8.8", "::1"];
const NETWORKS: [&str; 4] = ["10.0.0.0/8", "8.8.8.8", "0.0.0.0/0", "fe80::/10"];

fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(values), 0..4)
        .prop_map(|values| values.into_iter().map(str::to_owned).collect())
}

fn one_of(values: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::select(values).prop_map(|value| vec![value.to_owned()])
}

fn test(
    fields: &'static [&'static str],
    operators: &'static [&'static str],
    values: impl Strategy<Value = Vec<String>>,
) -> impl Strategy<Value = Naive> {
    let parts = (
        prop::sample::select(fields),
        prop::sample::select(operators),
        values,
    );
    parts.prop_map(|(field, operator, values)| {
        Naive::Test(Test {
            field,
            operator,
            values,
        })
    })
}

fn leaf() -> impl Strategy<Value = Naive> {
    prop_oneof![
        3 => test(&TEXTS, &TEXT_OPERATORS, one_of(&WORDS)),
        2 => test(&TEXTS, &["in", "intersects"], some_of(&WORDS)),
        2 => test(&TEXTS, &["= anyof", "!= allof", "contains oneof", "startswith anyof", "glob allof"], some_of(&WORDS)),
        1 => test(&["fd.name"], &["pmatch"], some_of(&PATHS)),
        1 => test(&["tolower(proc.name)", "toupper(fd.name)", "basename(fd.name)"], &["=", "!=", "contains", "exists"], one_of(&WORDS)),
        1 => test(&["len(proc.name)"], &["=", "<", ">=", "exists"], one_of(&["4", "6", "7"])),
        2 => test(&["fd.num", "proc.pid"], &["=", "!=", "<", "<=", ">", ">=", "exists"], one_of(&NUMBERS)),
        1 => test(&["fd.num", "proc.pid"], &["in", "intersects"], some_of(&NUMBERS)),
        1 => test(&["evt.failed"], &["=", "!=", "exists"], one_of(&["true", "false"])),
        1 => test(&["fd.cip", "fd.sip", "fd.ip"], &["=", "!=", "exists"], one_of(&ADDRESSES)),
        1 => test(&["fd.cip", "fd.ip"], &["in"], some_of(&ADDRESSES)),
        1 => test(&["fd.snet", "fd.net"], &["=", "!="], one_of(&NETWORKS)),
        1 => test(&["fd.snet", "fd.net"], &["in"], some_of(&NETWORKS)),
        1 => test(&["fd.types"], &["in", "intersects"], some_of(&WORDS)),
        2 => test(&["proc.aname"], &["=", "!=", "contains", "exists"], one_of(&WORDS)),
        1 => test(&["proc.aname"], &["in"], some_of(&WORDS)),
        1 => test(&["proc.aname[0]", "proc.aname[1]", "proc.aname[2]"], &["=", "!="], one_of(&WORDS)),
        1 => test(&["proc.name", "fd.name"], &["=", "!=", "startswith", "contains", "glob"], one_of(&["val(proc.pname)", "val(fd.name)", "tolower(proc.pname)"])),
        1 => test(&["fd.num"], &["=", "!=", "<", ">="], one_of(&["val(proc.pid)"])),
        1 => test(&["evt.num"], &["=", ">", "<=", ">="], one_of(&["0", "1"])),
    ]
}

fn condition() -> impl Strategy<Value = Naive> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Naive::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Naive::Or),
            inner.prop_map(|inner| Naive::Not(Box::new(inner))),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    let text = || {
        prop::option::of(prop::sample::select(vec![
            "open", "OPENAT", "openat", "x", "",
        ]))
    };
    let path = prop::option::of(prop::sample::select(vec![
        "/open", "/open/x/", "/x/open", "open/x", "/openat", "",
    ]));
    let number = || prop::option::of(prop::sample::select(vec!["-1", "0", "3", "8"]));
    let address = || prop::option::of(prop::sample::select(ADDRESSES.to_vec()));
    let list = || prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..4);
    let flag = prop::option::of(prop::sample::select(vec!["true", "false"]));
    let singles = (text(), text(), path, number(), number(), flag);
    let others = (address(), address(), list(), list());
    (prop::sample::select(WORDS.to_vec()), singles, others).prop_map(|(kind, singles, others)| {
        let (name, parent, path, fd, pid, failed) = singles;
        let (client, server, types, ancestors) = others;
        let mut event = Event::new(kind);
        event.set("proc.name", name);
        event.set("proc.pname", parent);
        event.set("fd.name", path);
        event.set("fd.num", fd);
        event.set("proc.pid", pid);
        event.set("evt.failed", failed);
        event.set("fd.cip", client);
        event.set("fd.sip", server);
        event.set_list("fd.types", types);
        event.set_list("proc.aname", ancestors);
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiled_conditions_mean_what_the_language_says(
        condition in condition(),
        events in prop::collection::vec(event(), 1..8),
    ) {
        let text = condition.to_string();
        let compiled = Condition::parse(&text);
        prop_assert!(compiled.is_ok(), "{text}: {compiled:?}");
        let rule = serde_json::json!([{
            "rule": "r", "desc": "d", "priority": "debug", "output": "o", "condition": text,
        }]);
        let rule = rule.to_string();
        let file = RulesFile { name: "r", text: &rule };
        let options = Options { matching: Matching::All, ..Options::default() };
        let policy = load(&[file], &options).policy;
        let mut scratch = Scratch::default();
        for event in &events {
            let flat = FlatEvent::from_json(&event.to_json()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let expected = condition.holds(event);
            let alone = compiled.as_ref().map(|compiled| compiled.matches(&flat));
            prop_assert_eq!(alone.ok(), Some(expected), "{} on {:?}", text, event);
            let ruled = policy.as_ref().map(|policy| !policy.evaluate(&flat, &mut scratch).is_empty());
            prop_assert_eq!(ruled, Some(expected), "as a rule: {} on {:?}", text, event);
        }
    }
}
