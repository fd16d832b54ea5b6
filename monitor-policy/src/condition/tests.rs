//! Tables of conditions: how they are read, and what is said of bad ones.

use proptest::prelude::*;

use super::parse;

/// A condition, and how it is printed: all groups made visible.
fn check(text: &str, expected: &str) {
    match parse(text) {
        Ok(expr) => assert_eq!(expr.to_string(), expected, "{text}"),
        Err(fault) => panic!("{text}: {fault:?}"),
    }
}

#[test]
fn reads_connectives() {
    check(" a ", "a");
    check("a and b or c and d", "(a and b) or (c and d)");
    check("a or b and not c", "a or (b and not c)");
    check("not a and b", "not a and b");
    check("not (a or b)", "not (a or b)");
    check("not not a", "a");
    check("not not not(a)", "not a");
    check("(a)and(b)or(c)", "(a and b) or c");
    check("a and(b) or c", "(a and b) or c");
    check("a and(b)and c", "a and b and c");
    check("a or (b) and c", "a or (b and c)");
    check("not(a)or b", "not a or b");
    check("((((a))))", "a");
    check("a\nand\tb", "a and b");
    check("notify and orange", "notify and orange");
    check(
        "join(\",\", (proc.name, proc.pname)) = x",
        "join(\",\", (proc.name, proc.pname)) = x",
    );
    check(
        "getopt((\"-a\"), \"ab:\")[b] = x",
        "getopt((\"-a\"), \"ab:\")[b] = x",
    );
}

#[test]
fn reads_tests() {
    check("evt.type=open", "evt.type = open");
    check(
        "proc.name in (a, \"b c\" ,d)",
        "proc.name in (a, \"b c\", d)",
    );
    check("proc.name in()", "proc.name in ()");
    check("proc.name in (a)and b", "proc.name in (a) and b");
    check("proc.name intersects(a)", "proc.name intersects (a)");
    check("proc.name in a", "proc.name in (a)");
    check("proc.name exists and b", "proc.name exists and b");
    check("fd.num>=0", "fd.num >= 0");
    check("fd.num > -5", "fd.num > -5");
    check("proc.name!=x", "proc.name != x");
    check("proc.name == x", "proc.name == x");
    check(
        "fd.name pmatch (/etc, \"/a b\")",
        "fd.name pmatch (/etc, \"/a b\")",
    );
    check("proc.aname[2]=sh", "proc.aname[2] = sh");
    check(
        "container.mount.dest[/proc*] exists",
        "container.mount.dest[/proc*] exists",
    );
    check(
        "container.label[\"a b\"] = x",
        "container.label[\"a b\"] = x",
    );
    check(
        "evt.arg.flags contains O_CREAT",
        "evt.arg.flags contains O_CREAT",
    );
    check("proc.name = runc:[0:PARENT]", "proc.name = runc:[0:PARENT]");
    check("(proc.args endswith \\)", "proc.args endswith \\");
    check("proc.args contains \"\\ \"", "proc.args contains \\");
    check("proc.name = oneof", "proc.name = oneof");
    check("proc.name = anyof (a, b)", "proc.name = anyof (a, b)");
    check(
        "proc.name startswith oneof (a)",
        "proc.name startswith oneof (a)",
    );
    check("tolower(proc.name) = x", "tolower(proc.name) = x");
    check("proc.name = val(proc.pname)", "proc.name = val(proc.pname)");
    check("fd.num < val(fd.num)", "fd.num < val(fd.num)");
    check(
        "proc.name = \"a\\x41\\\"\\n\"",
        "proc.name = \"aA\\\"\\x0a\"",
    );
}

/// What is said of a condition that does not parse, and what is underlined.
#[test]
fn refuses() {
    let check = |text: &str, message: &str, underlined: &str| {
        let fault = parse(text).expect_err(text);
        assert!(fault.message.contains(message), "{text}: {}", fault.message);
        let end = fault.span.end.min(text.len());
        let found = text.get(fault.span.start.min(end)..end).unwrap();
        assert_eq!(found, underlined, "{text}");
    };
    check("", "expected a field", "");
    check("a b", "expected `and`, `or`", "b");
    check("a AND b", "expected `and`, `or`", "AND");
    check("a or(b) and c", "cannot follow `or(", "and");
    check("(a", "not closed", "(");
    check("a)", "closes nothing", ")");
    check("a and", "expected `and`, `or`", "and");
    check("a and ", "expected a field", "");
    check("()", "expected a field", ")");
    check("proc.name", "expected an operator", "proc.name");
    check("proc.name contians x", "found `contians`", "contians");
    check(
        "proc.name contains\"x\"",
        "a blank has to follow",
        "contains",
    );
    check("proc.name = \"x", "not closed", "\"");
    check("proc.name = \"x\\\\\"", "not closed", "\"");
    check("proc.name = \"\\q\"", "unknown escape", "\\q");
    check("proc.name = \"\\x4\"", "two hexadecimal", "\\x");
    check("proc.name = (a)", "expected a value", "(");
    check("proc.name in (a b)", "found `b)`", "b)");
    check("proc.name in (a,,b)", "expected a value", ",");
    check("proc.name in (a", "not closed", "(");
    check("fd.num > x", "expected a number", "x");
    check("proc.aname[2 = x", "expected `]`", " ");
    check("proc.aname[] = x", "empty", "[]");
    check("tolower(proc.name = x", "expected `,` or `)`", "=");
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(1000)).is_ok());
    assert!(parse(&nested(1001)).is_err());
    let calls = |depth: usize| format!("{}x.y{} = a", "len(".repeat(depth), ")".repeat(depth));
    assert!(parse(&calls(20)).is_ok());
    assert!(parse(&calls(100_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ a-z.()=!<>,\"'\\\\\\[\\]0-9é]{0,60}") {
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            prop_assert_eq!(parse(&printed).map(|expr| expr.to_string()), Ok(printed));
        }
    }

    #[test]
    fn likely_text_is_read_or_refused(words in prop::collection::vec(
        prop::sample::select(vec![
            "a", "not", "and", "or", "(", ")", "proc.name", "=", "in", "x", "\"y z\"", "exists",
            "val(", ",", "anyof", ">=", "1", "[2]", "or(", "\\", "contains",
        ]), 0..14)) {
        let text = words.join(" ");
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            prop_assert_eq!(parse(&printed).map(|expr| expr.to_string()), Ok(printed));
        }
    }
}
