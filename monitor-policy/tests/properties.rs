//! What holds for every rule and every event.

#![expect(clippy::expect_used, reason = "a test may panic")]

use monitor_policy::{
    Color, Condition, FileReport, FlatEvent, Format, Options, RulesFile, Scratch, load,
};
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

/// A condition out of tests that say something of the event type, and others.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "evt.type = open",
        "evt.type != open",
        "evt.type in (open, creat)",
        "evt.type in ()",
        "evt.type exists",
        "evt.type startswith open",
        "evt.type = anyof (open, openat)",
        "syscall.type = creat",
        "syscall.type != creat",
        "evt.num = 0",
        "evt.num > 0",
        "evt.num >= 5",
        "proc.name = a",
        "proc.name != a",
        "proc.name in (a, b)",
        "fd.num >= 0",
        "proc.aname = a",
        "proc.name = val(proc.pname)",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(5, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| group(&parts, "and")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| group(&parts, "or")),
                inner.prop_map(|inner| format!("not ({inner})")),
            ]
        })
}

fn group(parts: &[String], word: &str) -> String {
    format!("({})", parts.join(&format!(" {word} ")))
}

fn event() -> impl Strategy<Value = FlatEvent> {
    let types = prop::sample::select(vec!["open", "openat", "creat", "procexit", "getppid"]);
    let name = || prop::option::of(prop::sample::select(vec!["a", "b"]));
    (types, name(), name(), prop::option::of(-1_i64..2)).prop_map(|(kind, name, parent, number)| {
        let mut object = Map::new();
        object.insert("evt.type".to_owned(), kind.into());
        object.insert("proc.name".to_owned(), name.into());
        object.insert("proc.pname".to_owned(), parent.into());
        object.insert("fd.num".to_owned(), number.map_or(Json::Null, Json::from));
        FlatEvent::from_json(&object).expect("an event")
    })
}

fn holds(condition: &str, event: &FlatEvent) -> bool {
    Condition::parse(condition)
        .expect("it compiles")
        .matches(event)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Rules are only tested on events of their types; that never hides a match.
    #[test]
    fn the_event_types_of_a_rule_are_all_it_can_match(
        condition in condition(),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let text = format!(
            "- rule: r\n  desc: d\n  priority: debug\n  output: o\n  condition: {condition}\n"
        );
        let loaded = load(&[RulesFile { name: "r", text: &text }], &Options::default());
        let policy = loaded.policy.expect("it loads");
        let mut scratch = Scratch::default();
        for event in &events {
            let found = !policy.evaluate(event, &mut scratch).is_empty();
            prop_assert_eq!(found, holds(&condition, event), "{} on {:?}", condition, event);
        }
    }

    #[test]
    fn connectives_are_boolean(a in condition(), b in condition(), event in event()) {
        let (left, right) = (holds(&a, &event), holds(&b, &event));
        prop_assert_eq!(holds(&format!("{a} and {b}"), &event), left && right);
        prop_assert_eq!(holds(&format!("{a} or {b}"), &event), left || right);
        prop_assert_eq!(holds(&format!("not ({a})"), &event), !left);
        prop_assert_eq!(holds(&format!("not({a} or {b})"), &event), !left && !right);
    }

    /// Whatever a format says, it is refused or prints something, as text and as fields.
    #[test]
    fn any_format_prints_or_is_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "%", "*", "%proc.name", "%evt.arg.flags", "%12", "%0", "proc.aname", "[1]", "[", "]",
            "toupper(", "concat(", "proc.name", ",", ")", "\"", "é", " ", "%fd.types", "x", "\0",
            "%join(\"-\", (proc.name, \"b\"))", "%len(evt.buffer)", "%container.info",
        ]), 0..12),
        event in event(),
    ) {
        if let Ok(format) = Format::parse(&pieces.concat()) {
            format.text(&event);
            format.values(&event);
        }
    }

    /// Whatever a condition says, it is refused or evaluated.
    #[test]
    fn any_condition_is_evaluated_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "proc.name", "fd.num", "evt.buffer", "fd.types", "proc.aname[1]", "fd.net", "evt.type",
            "=", "!=", ">", "in", "pmatch", "regex", "glob", "bcontains", "exists", "anyof", "(a, b)",
            "(/etc/*, x)", "\"(a|b)*[[:alpha:]]{2,}\"", "5", "open", "cafe", "10.0.0.0/8", "and",
            "or", "not", "(", ")", "val(proc.pname)", "tolower(proc.name)", "len(fd.types)",
            "getopt((\"-a\", \"b\"), \"a:\")[a]", "b64(\"YQ==\")",
        ]), 0..9),
        event in event(),
    ) {
        if let Ok(condition) = Condition::parse(&words.join(" ")) {
            condition.matches(&event);
        }
    }

    /// Whatever a file says, loading ends with a report that can be shown.
    #[test]
    fn any_text_is_loaded_or_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "- rule: r\n", "- macro: m\n", "- list: l\n", "  condition: ", "  items: [a, l]\n",
            "evt.type=open", " and m", " and proc.name in (l)", "\n", "  output: %proc.name\n",
            "  desc: d\n", "  priority: debug\n", "  append: true\n", "  override: {condition: append}\n",
            "  exceptions: [{name: e, fields: proc.name, values: [l]}]\n", "  enabled: false\n",
            "é", "\"", "'", ": ", "[", ">\n    ", "---\n", "&x ", "*x ", "%", "#",
        ]), 0..24),
    ) {
        let text: String = pieces.concat();
        let files = [RulesFile { name: "a", text: &text }, RulesFile { name: "b", text: &text }];
        let loaded = load(&files, &Options::default());
        for file in &loaded.files {
            file.render(Color::Always);
            file.to_json();
        }
        prop_assert_eq!(loaded.policy.is_some(), loaded.files.iter().all(FileReport::is_successful));
    }
}
