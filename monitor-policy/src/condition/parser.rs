//! Parses conditions.
//!
//! Expressions are read with a stack of groups instead of recursion, so that depth is a limit with
//! a message and never the end of the stack. `check.rs` reads the tests between them.

use std::ops::ControlFlow;

use super::Fault;
use super::ast::{Expr, Span};
use super::check::{UNCLOSED, call, check, is_check};
use super::cursor::{Cursor, MAX_CALLS, is_blank};

/// How deep a condition may be nested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nesting {
    /// Parentheses; what is more than the default counts as that.
    pub(crate) parentheses: usize,
    /// Transformers; the same.
    pub(crate) transformers: usize,
}

impl Default for Nesting {
    fn default() -> Self {
        Self {
            parentheses: 1000,
            transformers: MAX_CALLS,
        }
    }
}

/// Most problems of one condition that are told.
const MAX_FAULTS: usize = 20;

/// What became of a text.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// The expression; when something is wrong, what could be read of it.
    pub(crate) expr: Option<Expr>,
    /// What is wrong.
    pub(crate) faults: Vec<Fault>,
    /// The `or`s that have an `and` beside them without parentheses to say which binds first.
    pub(crate) mixed: Vec<Span>,
}

/// Parses a condition; an error is the first that is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Expr, Fault> {
    let Parsed { expr, faults, .. } = parse_all(text, Nesting::default());
    match faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => expr.ok_or_else(empty),
    }
}

/// Parses a condition whose parentheses are nested so deep at most, and goes on behind what is
/// wrong, to tell all of it.
pub(crate) fn parse_all(text: &str, nesting: Nesting) -> Parsed {
    let most = Nesting::default();
    let mut parser = Parser {
        cursor: Cursor::new(text).with_calls(nesting.transformers.min(most.transformers)),
        outer: Vec::new(),
        group: Group::new(Opening::Text, 0),
        faults: Vec::new(),
        mixed: Vec::new(),
        max_depth: nesting.parentheses.min(most.parentheses),
    };
    let expr = loop {
        let complete = match parser.operand() {
            Ok(complete) => complete,
            Err(fault) => {
                if !parser.recover(fault) {
                    break None;
                }
                true
            }
        };
        if !complete {
            continue;
        }
        if let ControlFlow::Break(expr) = parser.connect() {
            break expr;
        }
    };
    Parsed {
        expr,
        faults: parser.faults,
        mixed: parser.mixed,
    }
}

fn empty() -> Fault {
    Fault::syntax("the condition is empty", 0..0)
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
    /// Its first `or`.
    or: Option<usize>,
    /// Two operands are connected by `and`.
    and: bool,
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
            or: None,
            and: false,
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
        self.and |= conjuncts.len() > 1;
        self.alternatives.extend(one_or(conjuncts, Expr::And));
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
    faults: Vec<Fault>,
    mixed: Vec<Span>,
    max_depth: usize,
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
        if self.cursor.eat("!") {
            let fault = Fault::syntax("expected a field, a macro or `(`", start..start + 1);
            self.tell(fault.with_help("write `not` for negation"));
            return Ok(false);
        }
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
        if self.outer.len() >= self.max_depth {
            let message = format!("parentheses are nested deeper than {}", self.max_depth);
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
            _ => None,
        }
    }

    /// Reads what follows an operand. When the text ends, the whole expression, if there is one.
    fn connect(&mut self) -> ControlFlow<Option<Expr>> {
        loop {
            self.cursor.skip_blanks();
            let start = self.cursor.position();
            if self.cursor.rest().is_empty() {
                return ControlFlow::Break(self.end());
            }
            if self.cursor.eat(")") {
                self.close(start);
            } else if self.keyword("and") {
                self.and(start);
                return ControlFlow::Continue(());
            } else if self.keyword("or") {
                self.or(start);
                if self.cursor.eat("(")
                    && let Err(fault) = self.open(Opening::Or, start)
                {
                    self.tell(fault);
                    return ControlFlow::Break(None);
                }
                return ControlFlow::Continue(());
            } else {
                match self.unexpected() {
                    Next::Operand => return ControlFlow::Continue(()),
                    Next::Connection => {}
                    Next::End => return ControlFlow::Break(None),
                }
            }
        }
    }

    fn and(&mut self, start: usize) {
        if self.group.sealed {
            let message = "`and` cannot follow `or(…)`";
            self.tell(Fault::syntax(message, start..start + 3).with_help(
                "write `or (` with a blank: then `and` binds to the group before `or` does",
            ));
        }
    }

    fn or(&mut self, start: usize) {
        self.group.end_conjunction();
        self.group.or.get_or_insert(start);
    }

    fn close(&mut self, at: usize) {
        let Some(outer) = self.outer.pop() else {
            // That of a list which is not closed stands there for it.
            if !self.faults.iter().any(|fault| fault.message == UNCLOSED) {
                self.tell(Fault::syntax("this `)` closes nothing", at..at + 1));
            }
            return;
        };
        let group = std::mem::replace(&mut self.group, outer);
        let sealed = group.opening == Opening::Or;
        if let Some(expr) = self.finish(group) {
            self.group.add(expr);
        }
        self.group.sealed = sealed;
    }

    fn end(&mut self) -> Option<Expr> {
        while self.group.opening != Opening::Text {
            let start = self.group.start;
            self.tell(Fault::syntax(UNCLOSED, start..start + 1));
            self.close(start);
        }
        let group = std::mem::replace(&mut self.group, Group::new(Opening::Text, 0));
        let expr = self.finish(group);
        if expr.is_none() && self.faults.is_empty() {
            self.tell(empty());
        }
        expr
    }

    fn finish(&mut self, mut group: Group) -> Option<Expr> {
        group.end_conjunction();
        if group.and {
            self.mixed.extend(group.or.map(|at| at..at + 2));
        }
        one_or(group.alternatives, Expr::Or)
    }

    /// Tells of something that is neither connection nor end.
    fn unexpected(&mut self) -> Next {
        let start = self.cursor.position();
        let word = self.cursor.excerpt(start);
        let span = start..start + word.len();
        let fault = Fault::syntax(
            format!("expected `and`, `or` or the end, found `{word}`"),
            span.clone(),
        );
        let (help, next) = match word.as_str() {
            "AND" | "&&" | "&" => ("write `and`", Next::Operand),
            "OR" | "||" | "|" => ("write `or`", Next::Operand),
            "," => (
                "write `and` or `or`; commas separate values only",
                Next::Operand,
            ),
            list if list.starts_with(',') => (
                "several values are tested with `in`: `proc.name in (a, b)`",
                Next::Connection,
            ),
            _ => (self.misread(start), Next::Connection),
        };
        let fault = fault.with_help(help);
        if next == Next::Operand {
            if help.contains("`or`") {
                self.or(start);
            }
            self.tell(fault);
            self.cursor.reset(span.end);
            return next;
        }
        if self.recover(fault) { next } else { Next::End }
    }

    /// What was probably meant by a test behind whose value something else stands: an operator
    /// that the language does not have was read as one that it has, and a value.
    fn misread(&self, at: usize) -> &'static str {
        let before = self.cursor.before(at).trim_end();
        let begins = |word: &str| {
            before
                .strip_suffix(word)
                .is_some_and(|left| left.ends_with([' ', '=']))
        };
        let glued = before.len() == at && before.ends_with(|c: char| c.is_ascii_digit());
        if begins("~") || before.ends_with("=~*") {
            "for a regular expression write `regex`; there is no `=~`"
        } else if before.ends_with("=!") {
            "write `!=`"
        } else if before.ends_with("=>") {
            "write `>=`"
        } else if before.ends_with("=<") {
            "write `<=`"
        } else if glued {
            "numbers are decimal and have no unit"
        } else {
            "put a value with blanks or special characters in quotes"
        }
    }

    fn tell(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Tells of a problem and goes to where the test that has it seems to end: before a keyword
    /// or a closing parenthesis. Whether there is such a place.
    fn recover(&mut self, fault: Fault) -> bool {
        let open_quote = matches!(self.cursor.at(fault.span.start), Some('"' | '\''));
        let too_deep = self.outer.len() >= self.max_depth;
        let lost = self.faults.len() + 1 >= MAX_FAULTS || open_quote && fault.span.len() == 1;
        self.tell(fault);
        if lost || too_deep {
            return false;
        }
        let before = self.cursor.position().saturating_sub(1);
        if self.cursor.at(before).is_some_and(is_blank) {
            self.cursor.reset(before);
        }
        let mut depth = 0_usize;
        while let Some(next) = self.cursor.peek() {
            match next {
                ')' if depth == 0 => return true,
                ')' => depth -= 1,
                '(' => depth += 1,
                '"' | '\'' => match self.cursor.quoted() {
                    Ok(_) => continue,
                    // The rest is within the quote, or not: nothing can be said of it.
                    Err(_) => return false,
                },
                next if is_blank(next) && depth == 0 && self.connection_follows() => return true,
                _ => {}
            }
            self.cursor.reset(self.cursor.position() + next.len_utf8());
        }
        true
    }

    fn connection_follows(&mut self) -> bool {
        let mut ahead = self.cursor.clone();
        ahead.skip_blanks();
        ["and", "or", "AND", "OR", "&&", "||"]
            .into_iter()
            .any(|word| {
                let rest = ahead.rest().strip_prefix(word);
                rest.is_some_and(|rest| rest.starts_with(|c| is_blank(c) || c == '('))
            })
    }
}

/// What comes behind something unexpected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Operand,
    Connection,
    End,
}

/// Parses a transformer call on its own, as outputs use it. The cursor stands on its name.
pub(crate) fn parse_call(cursor: &mut Cursor<'_>) -> Result<super::ast::Call, Fault> {
    call(cursor, 0)
}
