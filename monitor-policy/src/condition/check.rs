//! Parses single tests: a field or transformer, an operator, a right side.

use super::Fault;
use super::ast::{
    Call, Check, FieldName, Literal, Modifier, Name, Operand, Operator, OperatorKind, Right,
    TRANSFORMERS,
};
use super::cursor::{Cursor, is_blank};
use crate::field::{Field, FieldKind};
use crate::nearest;

/// Said of a parenthesis.
pub(super) const UNCLOSED: &str = "this `(` is not closed";

/// Whether an identifier that was just read begins a test and is no macro.
pub(super) fn is_check(name: &Name, cursor: &Cursor<'_>) -> bool {
    name.text.contains('.') || cursor.peek() == Some('(')
}

/// Reads a test. The cursor stands on its field or transformer.
pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<Check, Fault> {
    let start = cursor.position();
    let left = left(cursor)?;
    cursor.skip_blanks();
    let operator_start = cursor.position();
    let operator = operator(cursor, &left)?;
    let operator_span = operator_start..cursor.position();
    let blank = cursor.skip_blanks();
    let right = match operator.kind() {
        OperatorKind::Unary => Right::None,
        OperatorKind::Numeric => number(cursor)?,
        OperatorKind::Text => {
            text(cursor, blank).map_err(|fault| several_values(fault, cursor, &left, operator))?
        }
        OperatorKind::List => list(cursor)?,
    };
    if operator.kind() == OperatorKind::Unary {
        // The blank belongs to what follows.
        cursor.reset(operator_span.end);
    }
    Ok(Check {
        left,
        operator,
        operator_span,
        right,
        span: start..cursor.position(),
    })
}

fn left(cursor: &mut Cursor<'_>) -> Result<Operand, Fault> {
    let left = operand(cursor, 0)?;
    match &left {
        Operand::Call(call) if call.name == "val" => {
            let message = "`val()` stands on the right side only";
            Err(Fault::syntax(message, call.span.clone())
                .with_help("on the left, write the field itself"))
        }
        _ => Ok(left),
    }
}

fn operator(cursor: &mut Cursor<'_>, left: &Operand) -> Result<Operator, Fault> {
    let start = cursor.position();
    for operator in Operator::ALL.iter().copied() {
        let text = operator.text();
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let found = if word {
            cursor.eat_word(text)
        } else {
            cursor.eat(text)
        };
        if !found {
            continue;
        }
        if operator.needs_blank() && !cursor.peek().is_none_or(is_blank) {
            let message = format!("a blank has to follow `{operator}`");
            return Err(Fault::syntax(message, start..cursor.position()));
        }
        return Ok(operator);
    }
    Err(no_operator(cursor, left))
}

fn no_operator(cursor: &mut Cursor<'_>, left: &Operand) -> Fault {
    let start = cursor.position();
    let word = cursor.excerpt(start);
    let span = start..start + word.len();
    if word.is_empty() || matches!(word.as_str(), "and" | "or") || word.starts_with(')') {
        return Fault::syntax(format!("expected an operator after `{left}`"), left.span())
            .with_help(alone(left));
    }
    let message = format!("expected an operator after `{left}`, found `{word}`");
    let hint = match word.to_ascii_lowercase().as_str() {
        "~" | "=~" | "~=" | "~*" | "matches" | "match" | "rlike" | "regexp" => {
            Some("write `regex` for a regular expression".to_owned())
        }
        "!~" => Some(format!(
            "write `not {left} regex …` for a regular expression"
        )),
        "begins" | "beginswith" | "prefix" => Some("write `startswith`".to_owned()),
        "ends" | "suffix" => Some("write `endswith`".to_owned()),
        "notin" | "nin" => Some(format!("write `not {left} in (…)`")),
        "ilike" => Some(
            "write `icontains` for a part of a text, `iglob` for a pattern with `*` and `?`"
                .to_owned(),
        ),
        "like" => Some(
            "write `contains` for a part of a text, `glob` for a pattern with `*` and `?`"
                .to_owned(),
        ),
        "is" | "eq" | "equals" => Some("write `=`".to_owned()),
        "isnot" | "ne" | "<>" => Some("write `!=`".to_owned()),
        "not" => Some(format!("`not` stands before the test: `not {left} in (…)`")),
        "has" | "includes" => Some("write `contains`".to_owned()),
        "any" | "anyof" => Some(format!("write `{left} = anyof (…)` or `{left} in (…)`")),
        _ => nearest::hint(
            &word.to_ascii_lowercase(),
            Operator::ALL.iter().map(|operator| operator.text()),
        ),
    };
    let all: Vec<_> = Operator::ALL.iter().map(|one| one.text()).collect();
    let hint = hint.unwrap_or_else(|| format!("operators are {}", all.join(" ")));
    Fault::syntax(message, span).with_help(hint)
}

/// How to write a test of which only the left side is there.
fn alone(left: &Operand) -> String {
    let kind = match left {
        Operand::Field(field) => Field::from_name(&field.name).map(|field| field.definition().kind),
        _ => None,
    };
    match kind {
        Some(FieldKind::Bool) => format!("write `{left} = true`"),
        _ => format!("to test that it has a value, write `{left} exists`"),
    }
}

/// What to write for several values behind an operator that takes one.
fn several_values(fault: Fault, cursor: &Cursor<'_>, left: &Operand, operator: Operator) -> Fault {
    match (cursor.peek(), operator) {
        (Some('('), Operator::Equal | Operator::Same) => fault.with_help(format!(
            "to compare with several values, write `{left} in (…)`"
        )),
        (Some('('), Operator::NotEqual) => fault.with_help(format!(
            "to compare with several values, write `not {left} in (…)`"
        )),
        (Some('('), _) => fault.with_help(format!(
            "to compare with several values, write `{operator} anyof (…)`"
        )),
        (Some('='), _) => fault.with_help("there is a `=` too many"),
        _ => fault,
    }
}

/// A field, or a transformer on operands.
fn operand(cursor: &mut Cursor<'_>, depth: usize) -> Result<Operand, Fault> {
    let start = cursor.position();
    let Some(name) = cursor.identifier() else {
        return Err(Fault::syntax(
            "expected a field or a transformer",
            cursor.here(),
        ));
    };
    if cursor.peek() == Some('(') {
        cursor.reset(start);
        return call(cursor, depth).map(Operand::Call);
    }
    let arg = cursor.bracketed()?;
    let span = start..cursor.position();
    Ok(Operand::Field(FieldName {
        name: name.text,
        arg,
        span,
    }))
}

/// A transformer call. The cursor stands on its name.
pub(super) fn call(cursor: &mut Cursor<'_>, depth: usize) -> Result<Call, Fault> {
    let start = cursor.position();
    if depth > cursor.max_calls() {
        let message = format!("transformers are nested deeper than {}", cursor.max_calls());
        return Err(Fault::syntax(message, cursor.here()));
    }
    let name = cursor
        .identifier()
        .map(|name| name.text)
        .unwrap_or_default();
    if !TRANSFORMERS.contains(&name.as_str()) {
        let message = format!("unknown transformer `{name}`");
        return Err(Fault::syntax(message, start..cursor.position())
            .with_hint(nearest::hint(&name, TRANSFORMERS.into_iter())));
    }
    let arguments = arguments(cursor, depth)?;
    if arguments.is_empty() {
        let message = format!("`{name}` needs an argument");
        return Err(Fault::syntax(message, start..cursor.position()));
    }
    let index = cursor.bracketed()?;
    let span = start..cursor.position();
    if name == "val" && !matches!(arguments.as_slice(), [Operand::Field(_)]) {
        return Err(Fault::syntax("`val` takes one field", span));
    }
    Ok(Call {
        name,
        arguments,
        index,
        span,
    })
}

/// Operands in parentheses, separated by commas. Behind an error the cursor stands on the
/// parenthesis, unless that is what is wrong.
fn arguments(cursor: &mut Cursor<'_>, depth: usize) -> Result<Vec<Operand>, Fault> {
    let start = cursor.position();
    if !cursor.eat("(") {
        return Err(Fault::syntax("expected `(`", cursor.here()));
    }
    let arguments = open_arguments(cursor, depth);
    let unclosed = || {
        let rest = cursor.rest();
        let operator = rest.starts_with(['=', '<', '>', '!']);
        rest.is_empty()
            || operator
            || ["and", "or"]
                .iter()
                .any(|word| cursor.clone().eat_word(word))
    };
    match arguments {
        Err(fault) if fault.message == UNCLOSED => Err(fault),
        Err(fault) if fault.span == cursor.here() && unclosed() => {
            Err(Fault::syntax(UNCLOSED, start..start + 1))
        }
        other => other.inspect_err(|_| cursor.reset(start)),
    }
}

/// What stands behind the opening parenthesis, with the closing one.
fn open_arguments(cursor: &mut Cursor<'_>, depth: usize) -> Result<Vec<Operand>, Fault> {
    let mut arguments = Vec::new();
    cursor.skip_blanks();
    if cursor.eat(")") {
        return Ok(arguments);
    }
    loop {
        cursor.skip_blanks();
        arguments.push(argument(cursor, depth + 1)?);
        cursor.skip_blanks();
        if cursor.eat(")") {
            return Ok(arguments);
        }
        if !cursor.eat(",") {
            let message = "expected `,` or `)` in the arguments";
            return Err(Fault::syntax(message, cursor.here()));
        }
    }
}

fn argument(cursor: &mut Cursor<'_>, depth: usize) -> Result<Operand, Fault> {
    match cursor.peek() {
        Some('"' | '\'') => cursor.quoted().map(Operand::Literal),
        Some('(') if depth <= cursor.max_calls() => arguments(cursor, depth).map(Operand::Tuple),
        _ => operand(cursor, depth),
    }
}

/// A transformer, if one is next.
fn right_call(cursor: &mut Cursor<'_>) -> Result<Option<Right>, Fault> {
    let start = cursor.position();
    let found = cursor
        .identifier()
        .is_some_and(|name| !name.text.contains('.'));
    let found = found && cursor.peek() == Some('(');
    cursor.reset(start);
    if !found {
        return Ok(None);
    }
    call(cursor, 0).map(|call| Some(Right::Operand(Operand::Call(call))))
}

fn number(cursor: &mut Cursor<'_>) -> Result<Right, Fault> {
    if let Some(call) = right_call(cursor)? {
        return Ok(call);
    }
    let start = cursor.position();
    let length = number_length(cursor.rest());
    if length == 0 {
        let word = cursor.excerpt(start);
        let span = start..start + word.len().max(1);
        let fault = Fault::syntax(format!("expected a number, found `{word}`"), span);
        let different = cursor.before(start).ends_with('<') && word.starts_with('>');
        return Err(if different {
            fault.with_help("write `!=`")
        } else {
            fault.with_help("`<` and `>` compare numbers; a text is compared with `=` or `!=`")
        });
    }
    let text = cursor.rest().get(..length).unwrap_or_default();
    cursor.reset(start + length);
    Ok(Right::Literal(Literal {
        bytes: text.as_bytes().to_vec(),
        span: start..start + length,
    }))
}

/// The length of the number that a text begins with: `0x1f`, `-1`, `1.5e+3`. Not all of these have
/// a meaning; that is for the compiler to say.
fn number_length(text: &str) -> usize {
    let run = |from: usize, fits: fn(&u8) -> bool| {
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| fits(byte)).count()
    };
    if text.starts_with("0x") || text.starts_with("0X") {
        let end = run(2, u8::is_ascii_alphanumeric);
        if end > 2 {
            return end;
        }
    }
    let sign = usize::from(text.starts_with(['+', '-']));
    let whole = run(sign, u8::is_ascii_digit);
    if whole == sign {
        return 0;
    }
    let dot = usize::from(text.as_bytes().get(whole) == Some(&b'.'));
    let mantissa = run(whole + dot, u8::is_ascii_digit);
    let exponent = match text.as_bytes().get(mantissa..) {
        Some([b'e' | b'E', b'+' | b'-', ..]) => run(mantissa + 2, u8::is_ascii_digit),
        _ => mantissa,
    };
    if exponent > mantissa + 2 {
        exponent
    } else {
        mantissa
    }
}

fn text(cursor: &mut Cursor<'_>, blank: bool) -> Result<Right, Fault> {
    if let Some(call) = right_call(cursor)? {
        return Ok(call);
    }
    if blank && let Some(modifier) = modifier(cursor) {
        return Ok(Right::Modified(modifier, literals(cursor)?));
    }
    cursor.value().map(Right::Literal)
}

/// A modifier and the blank behind it, if a list follows.
fn modifier(cursor: &mut Cursor<'_>) -> Option<Modifier> {
    let start = cursor.position();
    for modifier in Modifier::ALL {
        if cursor.eat_word(modifier.text()) && cursor.skip_blanks() && cursor.peek() == Some('(') {
            return Some(modifier);
        }
        cursor.reset(start);
    }
    None
}

fn list(cursor: &mut Cursor<'_>) -> Result<Right, Fault> {
    if cursor.peek() == Some('(') {
        return literals(cursor).map(Right::List);
    }
    if let Some(call) = right_call(cursor)? {
        return Ok(call);
    }
    // What is left of the name of a list with one item; or the name of no list at all.
    let start = cursor.here();
    let single = cursor.identifier().filter(|name| !name.text.contains('.'));
    let single = single.filter(|_| cursor.peek() != Some(','));
    let Some(single) = single else {
        return Err(Fault::syntax("expected a list in parentheses", start)
            .with_help("write the values in parentheses: `in (a, b)`"));
    };
    Ok(Right::List(vec![Literal {
        bytes: single.text.into_bytes(),
        span: single.span,
    }]))
}

/// Values in parentheses, separated by commas.
fn literals(cursor: &mut Cursor<'_>) -> Result<Vec<Literal>, Fault> {
    let start = cursor.position();
    cursor.eat("(");
    let mut values = Vec::new();
    cursor.skip_blanks();
    if cursor.eat(")") {
        return Ok(values);
    }
    loop {
        cursor.skip_blanks();
        values.push(cursor.value().map_err(|fault| {
            let fault = in_list(fault, cursor);
            // Whoever goes on behind the test finds its end by the parentheses.
            cursor.reset(start);
            fault
        })?);
        cursor.skip_blanks();
        if cursor.eat(")") {
            return Ok(values);
        }
        let keyword = |word: &str| cursor.clone().eat_word(word);
        if cursor.rest().is_empty() || keyword("and") || keyword("or") {
            return Err(Fault::syntax(UNCLOSED, start..start + 1));
        }
        if !cursor.eat(",") {
            let word = cursor.excerpt(cursor.position());
            let word = word.split([')', ',']).next().unwrap_or_default();
            let message = format!("expected `,` or `)` in the list, found `{word}`");
            let span = cursor.position()..cursor.position() + word.len();
            cursor.reset(start);
            return Err(Fault::syntax(message, span)
                .with_help("put a value with blanks or special characters in quotes"));
        }
    }
}

fn in_list(fault: Fault, cursor: &Cursor<'_>) -> Fault {
    match cursor.peek() {
        Some(',' | ')') => fault.with_help("there is a comma too many"),
        Some('(') => fault.with_help("lists cannot be nested"),
        _ => fault,
    }
}
