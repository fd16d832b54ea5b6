//! Prints syntax trees: what is printed parses to the same tree.

use std::fmt::{self, Display, Write as _};

use super::ast::{Call, Check, Expr, FieldName, Literal, Operand, Right};

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " and "),
            Self::Or(parts) => join(f, parts, " or "),
            Self::Not(inner) => write!(f, "not {}", Group(inner)),
            Self::Macro(name) => f.write_str(&name.text),
            Self::Check(check) => check.fmt(f),
        }
    }
}

/// An expression as an operand: composed ones in parentheses.
struct Group<'a>(&'a Expr);

impl Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::And(_) | Expr::Or(_) => write!(f, "({})", self.0),
            simple => simple.fmt(f),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        Group(part).fmt(f)?;
    }
    Ok(())
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.operator)?;
        match &self.right {
            Right::None => Ok(()),
            Right::Literal(literal) => write!(f, " {literal}"),
            Right::List(literals) => write!(f, " ({})", Commas(literals)),
            Right::Modified(modifier, literals) => {
                write!(f, " {} ({})", modifier.text(), Commas(literals))
            }
            Right::Operand(operand) => write!(f, " {operand}"),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::Literal(literal) => quoted(f, &literal.bytes),
            Self::Tuple(elements) => write!(f, "({})", Commas(elements)),
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, Commas(&self.arguments))?;
        match &self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

impl Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let Some(arg) = &self.arg else { return Ok(()) };
        let bare = |c: char| !c.is_whitespace() && !matches!(c, '[' | ']' | '"' | '\'');
        if !arg.is_empty() && arg.chars().all(bare) {
            return write!(f, "[{arg}]");
        }
        let quote = if arg.contains('"') { '\'' } else { '"' };
        write!(f, "[{quote}{arg}{quote}]")
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) if is_bare(text) => f.write_str(text),
            _ => quoted(f, &self.bytes),
        }
    }
}

/// Whether text can stand as a value without quotes.
pub(crate) fn is_bare(text: &str) -> bool {
    let special = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'' | '=' | ',');
    !text.is_empty() && !text.contains(special) && !text.bytes().any(|byte| byte.is_ascii_control())
}

fn quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                // A value cannot end in an escaped backslash; this form always works.
                '\\' => f.write_str("\\x5c")?,
                control if control.is_ascii_control() => write!(f, "\\x{:02x}", control as u32)?,
                other => f.write_char(other)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    f.write_char('"')
}

struct Commas<'a, T>(&'a [T]);

impl<T: Display> Display for Commas<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}
