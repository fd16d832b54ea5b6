//! What later items make of earlier ones: macros, lists, overrides.

use super::*;

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
        &[("a:2:23 LOAD_ERR_COMPILE_CONDITION", "expected a value")],
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
fn what_could_not_be_read_is_not_called_missing() {
    let incomplete = "- rule: r\n  desc: d\n  priority: notice\n  output: o\n";
    let change = |name: &str| {
        format!(
            "- rule: {name}\n  condition: and proc.name = x\n  override: {{condition: append}}\n"
        )
    };
    let append = "- rule: r\n  condition: and proc.name = x\n  append: true\n";
    let missing = ("a:1:3 LOAD_ERR_YAML_VALIDATE", "'condition'");
    check(&[&[incomplete, &change("r")].concat()], &[missing]);
    check(
        &[&[incomplete, &change("s")].concat()],
        &[missing, ("a:5:9 LOAD_ERR_VALIDATE", "no rule by that name")],
    );
    let deprecated = ("a:7:3 LOAD_DEPRECATED_ITEM", "");
    check(&[&[incomplete, append].concat()], &[missing, deprecated]);
    let exception = rule("r", "evt.type=open") + "  exceptions: [{name: e, fields: [a.b]}]\n";
    check(
        &[&(exception + &change("r"))],
        &[("a:6:35 LOAD_ERR_VALIDATE", "'a.b'")],
    );
    let list = "- list: l\n  items: x\n- list: l\n  items: [y]\n  override: {items: append}\n";
    let addresses = rule("r", "evt.type=open and fd.sip in (l) and fd.cip in (k)");
    check(
        &[&[list, &addresses].concat()],
        &[
            ("a:2:10 LOAD_ERR_YAML_VALIDATE", "'items'"),
            ("a:10:61 LOAD_ERR_COMPILE_CONDITION", "`k` is no address"),
        ],
    );
    // Of a file that is no YAML nobody knows what it defines.
    check(
        &[
            "- rule: [r\n",
            &[change("r"), rule("s", "evt.type=open and m")].concat(),
        ],
        &[("a:2:1 LOAD_ERR_YAML_PARSE", "")],
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
    let blanks = "- list: my pets\n  items: [cow]\n- list: my pets too\n  items: [pig]\n";
    let check = |condition: &str, event: &str, expected: bool| {
        let text = [
            list,
            more,
            none,
            blanks,
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
    check("proc.name in (my pets)", "cow", true);
    check("proc.name in (x, my pets,y)", "cow", true);
    check("proc.name = \"my petsx\"", "my petsx", true);
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
