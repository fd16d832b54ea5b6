//! Exceptions of rules.

use super::*;

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
        &[("a:7:14 LOAD_ERR_VALIDATE", "'fields'")],
    );
    check(
        &[&with("{name: e, fields: [proc.name], values: [[a, b]]}")],
        &[("a:7:47 LOAD_ERR_VALIDATE", "equal length")],
    );
    check(
        &[&with("{name: e, fields: [proc.name], comps: [=, =]}")],
        &[("a:7:25 LOAD_ERR_VALIDATE", "equal length")],
    );
    check(
        &[&with("{name: e, fields: proc.name, comps: =, values: [a]}")],
        &[("a:7:43 LOAD_ERR_VALIDATE", "needs a list of fields")],
    );
    check(
        &[&with("{name: e, fields: [proc.name], comps: [like]}")],
        &[("a:7:46 LOAD_ERR_VALIDATE", "not a supported comparison")],
    );
    check(
        &[&with("{name: e, fields: proc.nmae, values: [a]}")],
        &[("a:7:25 LOAD_ERR_VALIDATE", "proc.nmae")],
    );
    check(
        &[&with("{name: e, fields: [tolower(proc.nmae)]}")],
        &[("a:7:26 LOAD_ERR_VALIDATE", "tolower(proc.nmae)")],
    );
    check(&[&with("{name: e, fields: [tolower(proc.name)]}")], &[]);
    check(
        &[&(with("{name: e, fields: ka.verb}") + "  source: k8s_audit\n")],
        &[("a:1:9 LOAD_UNKNOWN_SOURCE", "k8s_audit")],
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
