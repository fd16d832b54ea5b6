//! Parses conditions.
//!
//! Expressions are read with a stack of groups instead of recursion, so that depth is a limit with
//! a message and never the end of the stack. `check.rs` reads the tests between them.

use super::Fault;
use super::ast::Expr;
use super::check::{call, check, is_check};
use super::cursor::{Cursor, is_blank};

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 1000;

/// Parses a condition.
pub(crate) fn parse(text: &str) -> Result<Expr, Fault> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        outer: Vec::new(),
        group: Group::new(Opening::Text, 0),
    };
    loop {
        if !parser.operand()? {
            continue;
        }
        if let Some(expr) = parser.connect()? {
            return Ok(expr);
        }
    }
}

/// What began a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Opening {
    /// The begin of the text.
    Text,
    /// A parenthesis.
    Parenthesis,
    /// `or(` without a blank: its operand is the group alone.
    Or,
}

/// An expression that is being read: `a and b or c and …`.
#[derive(Debug)]
struct Group {
    opening: Opening,
    start: usize,
    alternatives: Vec<Expr>,
    conjuncts: Vec<Expr>,
    /// An odd number of `not` stands before the operand that comes next.
    negated: bool,
    /// The last operand came from `or(…)`, so that `and` cannot follow.
    sealed: bool,
}

impl Group {
    fn new(opening: Opening, start: usize) -> Self {
        Self {
            opening,
            start,
            alternatives: Vec::new(),
            conjuncts: Vec::new(),
            negated: false,
            sealed: false,
        }
    }

    fn add(&mut self, operand: Expr) {
        let operand = if std::mem::take(&mut self.negated) {
            negate(operand)
        } else {
            operand
        };
        self.conjuncts.push(operand);
    }

    fn end_conjunction(&mut self) {
        self.sealed = false;
        let conjuncts = std::mem::take(&mut self.conjuncts);
        self.alternatives.extend(one_or(conjuncts, Expr::And));
    }

    fn finish(mut self) -> Option<Expr> {
        self.end_conjunction();
        one_or(self.alternatives, Expr::Or)
    }
}

fn negate(expr: Expr) -> Expr {
    match expr {
        Expr::Not(inner) => *inner,
        other => Expr::Not(Box::new(other)),
    }
}

fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Option<Expr> {
    if parts.len() > 1 {
        Some(join(parts))
    } else {
        parts.pop()
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    outer: Vec<Group>,
    group: Group,
}

impl Parser<'_> {
    /// Reads `not`s and then a test or an opening parenthesis. Whether an operand is complete.
    fn operand(&mut self) -> Result<bool, Fault> {
        self.cursor.skip_blanks();
        while self.keyword("not") {
            self.group.negated = !self.group.negated;
            self.cursor.skip_blanks();
        }
        let start = self.cursor.position();
        if self.cursor.eat("(") {
            self.open(Opening::Parenthesis, start)?;
            return Ok(false);
        }
        let operand = self.primary()?;
        self.group.add(operand);
        Ok(true)
    }

    /// Consumes a keyword that a blank or a parenthesis ends.
    fn keyword(&mut self, word: &str) -> bool {
        let ends = |rest: &str| rest.starts_with(|c| is_blank(c) || c == '(');
        let found = self.cursor.rest().strip_prefix(word).is_some_and(ends);
        found && self.cursor.eat(word)
    }

    fn open(&mut self, opening: Opening, start: usize) -> Result<(), Fault> {
        if self.outer.len() >= MAX_DEPTH {
            let message = format!("parentheses are nested deeper than {MAX_DEPTH}");
            return Err(Fault::syntax(message, start..start + 1));
        }
        self.outer.push(std::mem::replace(
            &mut self.group,
            Group::new(opening, start),
        ));
        Ok(())
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let start = self.cursor.position();
        let Some(name) = self.cursor.identifier() else {
            let message = "expected a field, a macro or `(`";
            return Err(Fault::syntax(message, self.cursor.here()).with_hint(self.operand_hint()));
        };
        if is_check(&name, &self.cursor) {
            self.cursor.reset(start);
            return check(&mut self.cursor).map(|check| Expr::Check(Box::new(check)));
        }
        if matches!(name.text.as_str(), "and" | "or" | "not" | "in" | "exists") {
            let message = format!("expected a field, a macro or `(`, found `{}`", name.text);
            return Err(Fault::syntax(message, name.span));
        }
        Ok(Expr::Macro(name))
    }

    fn operand_hint(&self) -> Option<String> {
        match self.cursor.peek() {
            None => Some("the condition ends here".to_owned()),
            Some(')') => Some("something is missing before this `)`".to_owned()),
            Some('!') => Some("write `not` for negation".to_owned()),
            _ => None,
        }
    }

    /// Reads what follows an operand. The whole expression, when the text ends.
    fn connect(&mut self) -> Result<Option<Expr>, Fault> {
        loop {
            self.cursor.skip_blanks();
            let start = self.cursor.position();
            if self.cursor.rest().is_empty() {
                return self.end().map(Some);
            }
            if self.cursor.eat(")") {
                self.close(start)?;
            } else if self.keyword("and") {
                return self.and(start).map(|()| None);
            } else if self.keyword("or") {
                self.group.end_conjunction();
                if self.cursor.eat("(") {
                    self.open(Opening::Or, start)?;
                }
                return Ok(None);
            } else {
                return Err(self.unexpected());
            }
        }
    }

    fn and(&mut self, start: usize) -> Result<(), Fault> {
        if self.group.sealed {
            let message = "`and` cannot follow `or(…)`";
            return Err(Fault::syntax(message, start..start + 3).with_help(
                "write `or (` with a blank: then `and` binds to the group before `or` does",
            ));
        }
        Ok(())
    }

    fn close(&mut self, at: usize) -> Result<(), Fault> {
        let Some(outer) = self.outer.pop() else {
            return Err(Fault::syntax("this `)` closes nothing", at..at + 1));
        };
        let group = std::mem::replace(&mut self.group, outer);
        let sealed = group.opening == Opening::Or;
        if let Some(expr) = group.finish() {
            self.group.add(expr);
        }
        self.group.sealed = sealed;
        Ok(())
    }

    fn end(&mut self) -> Result<Expr, Fault> {
        let start = self.group.start;
        if self.group.opening != Opening::Text {
            return Err(Fault::syntax("this `(` is not closed", start..start + 1));
        }
        let group = std::mem::replace(&mut self.group, Group::new(Opening::Text, 0));
        group
            .finish()
            .ok_or_else(|| Fault::syntax("the condition is empty", 0..0))
    }

    fn unexpected(&mut self) -> Fault {
        let start = self.cursor.position();
        let word = self.cursor.excerpt(start);
        let span = start..start + word.len();
        let fault = Fault::syntax(
            format!("expected `and`, `or` or the end, found `{word}`"),
            span,
        );
        match word.as_str() {
            "AND" | "OR" | "NOT" | "IN" => fault.with_help("keywords are lower case"),
            "&&" => fault.with_help("write `and`"),
            "||" => fault.with_help("write `or`"),
            _ => fault.with_help("put a value with blanks or special characters in quotes"),
        }
    }
}

/// Parses a transformer call on its own, as outputs use it. The cursor stands on its name.
pub(crate) fn parse_call(cursor: &mut Cursor<'_>) -> Result<super::ast::Call, Fault> {
    call(cursor, 0)
}
