//! Tables of conditions: how they are read, and what is said of bad ones.

use proptest::prelude::*;

use super::ast::{
    Call, Check, Expr, FieldName, Literal, Modifier, Name, Operand, Operator, OperatorKind, Right,
};
use super::{Nesting, parse, parse_all};

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
    check("proc.name in (a b)", "found `b`", "b");
    check("proc.name in a, b", "expected a list in parentheses", "a");
    check("proc.name =~ x", "expected `and`, `or`", "x");
    check("proc.name in (a,,b)", "expected a value", ",");
    check("proc.name in (a", "not closed", "(");
    check("fd.num > x", "expected a number", "x");
    check("proc.aname[2 = x", "expected `]`", " ");
    check("proc.aname[] = x", "empty", "[]");
    check("tolower(proc.name = x", "not closed", "(");
    check("join(\",\", (proc.name)", "not closed", "(");
    check("tolower(proc.name x) = y", "expected `,` or `)`", "x");
}

/// Behind an error in parentheses the rest is read as if there were none.
#[test]
fn goes_on_behind_parentheses() {
    let cases = [
        "proc.name in (a b)",
        "proc.name in (a, (b))",
        "proc.name in (a,)",
        "tolower(proc.name x) = y",
        "join(\",\", (proc.name proc.pname)) = y",
    ];
    for case in cases {
        let text = format!("({case} or m) and fd.num = x y");
        let faults = parse_all(&text, Nesting::default()).faults;
        let places: Vec<_> = faults.iter().map(|fault| fault.span.start).collect();
        assert_eq!(places.len(), 2, "{text}: {faults:#?}");
        assert_eq!(places.last(), Some(&(text.len() - 1)), "{text}");
    }
}

/// Operators of other languages, and what is said of them.
#[test]
fn other_operators_are_translated() {
    let cases = [
        ("=~ x", "`regex`"),
        ("=~ \"x.*\"", "`regex`"),
        ("~ x", "`regex`"),
        ("!~ x", "`not proc.name regex …`"),
        ("<> x", "`!=`"),
        ("=! x", "`!=`"),
        ("=> 5", "`>=`"),
        ("notin (x)", "`not proc.name in (…)`"),
        ("begins x", "`startswith`"),
        ("contians x", "`contains`"),
        ("foo x", "operators are exists <= "),
        ("> 5k", "no unit"),
    ];
    for (end, expected) in cases {
        let fault = parse(&format!("proc.name {end}")).expect_err(end);
        let help = fault.help.unwrap_or_default();
        assert!(help.contains(expected), "{end}: {} {help}", fault.message);
    }
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

/// Any tree that a text can stand for: no `not` below a `not`, groups of two parts and more.
fn tree() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => any_check().prop_map(|check| Expr::Check(Box::new(check))),
        1 => "m[a-z0-9_]{0,4}".prop_map(|text| Expr::Macro(Name { text, span: 0..0 })),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts().prop_map(Expr::And),
            parts().prop_map(Expr::Or),
            inner.prop_filter_map("no double negation", |inner| match inner {
                Expr::Not(_) => None,
                inner => Some(Expr::Not(Box::new(inner))),
            }),
        ]
    })
}

fn any_check() -> impl Strategy<Value = Check> {
    let operators = prop::sample::select(Operator::ALL.to_vec());
    (left(), operators).prop_flat_map(|(left, operator)| {
        right(operator).prop_map(move |right| Check {
            left: left.clone(),
            operator,
            operator_span: 0..0,
            right,
            span: 0..0,
        })
    })
}

fn right(operator: Operator) -> BoxedStrategy<Right> {
    let literal = || {
        prop::collection::vec(any::<u8>(), 1..8)
            .prop_filter_map("a modifier", |bytes| literal(&bytes))
    };
    let list = || prop::collection::vec(literal(), 0..4);
    let operand = left().prop_filter_map("a call", |operand| match operand {
        Operand::Call(_) => Some(Right::Operand(operand)),
        _ => None,
    });
    let number = "-?[0-9]{1,5}".prop_map(|text| literal_of(text.as_bytes()));
    match operator.kind() {
        OperatorKind::Unary => Just(Right::None).boxed(),
        OperatorKind::Numeric => prop_oneof![number.prop_map(Right::Literal), operand].boxed(),
        OperatorKind::List => prop_oneof![list().prop_map(Right::List), operand].boxed(),
        OperatorKind::Text => prop_oneof![
            literal().prop_map(Right::Literal),
            (prop::sample::select(Modifier::ALL.to_vec()), list())
                .prop_map(|(modifier, list)| Right::Modified(modifier, list)),
            operand,
        ]
        .boxed(),
    }
}

/// A literal; the names of modifiers are left out, since a list behind one is none of its own.
fn literal(bytes: &[u8]) -> Option<Literal> {
    let is_modifier = Modifier::ALL
        .iter()
        .any(|one| one.text().as_bytes() == bytes);
    (!is_modifier).then(|| literal_of(bytes))
}

fn literal_of(bytes: &[u8]) -> Literal {
    Literal {
        bytes: bytes.to_vec(),
        span: 0..0,
    }
}

fn left() -> impl Strategy<Value = Operand> {
    let field = (
        "[a-z]{1,4}(\\.[a-z][a-z0-9_]{0,3}){1,2}",
        prop::option::of("[a-z/*. ]{1,5}"),
    );
    let field = field.prop_map(|(name, arg)| {
        Operand::Field(FieldName {
            name,
            arg,
            span: 0..0,
        })
    });
    field.prop_recursive(2, 4, 2, |inner| {
        let names = prop::sample::select(vec!["tolower", "len", "basename", "concat"]);
        (names, prop::collection::vec(inner, 1..3)).prop_map(|(name, arguments)| {
            Operand::Call(Call {
                name: name.to_owned(),
                arguments,
                index: None,
                span: 0..0,
            })
        })
    })
}

/// A tree without the places of its parts.
fn bare(expr: &Expr) -> String {
    let spans = regex::Regex::new(r"[0-9]+\.\.[0-9]+").unwrap();
    spans.replace_all(&format!("{expr:?}"), "_").into_owned()
}

proptest! {
    #[test]
    fn a_printed_tree_parses_to_itself(expr in tree()) {
        let printed = expr.to_string();
        let parsed = parse(&printed);
        prop_assert!(parsed.is_ok(), "{printed}: {parsed:?}");
        prop_assert_eq!(parsed.map(|parsed| bare(&parsed)).ok(), Some(bare(&expr)), "{}", printed);
    }

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
