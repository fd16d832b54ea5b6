//! Which operator fits which type.

use crate::condition::Fault;
use crate::condition::ast::{Check, Operator};
use crate::field::FieldKind;

/// The type of an operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Type {
    /// Of its value, or of each element.
    pub(crate) kind: FieldKind,
    /// Whether it is a list.
    pub(crate) list: bool,
}

impl Type {
    /// A single value.
    pub(crate) fn single(kind: FieldKind) -> Self {
        Self { kind, list: false }
    }

    /// For messages about two types that differ: `a number (signed, 64 bits)`.
    pub(crate) fn describe_exactly(self) -> String {
        let element = Self::single(self.kind).describe();
        let size = match self.kind {
            FieldKind::Unsigned64 => " (unsigned, 64 bits)",
            FieldKind::Unsigned32 => " (unsigned, 32 bits)",
            FieldKind::Signed64 => " (signed, 64 bits)",
            FieldKind::Signed32 => " (signed, 32 bits)",
            FieldKind::Signed16 => " (signed, 16 bits)",
            FieldKind::Float => " (a ratio)",
            _ => "",
        };
        let list = if self.list { "a list, each " } else { "" };
        format!("{list}{element}{size}")
    }

    /// For messages: `a number`.
    pub(crate) fn describe(self) -> &'static str {
        if self.list {
            return "a list";
        }
        match self.kind {
            FieldKind::Text => "a text",
            FieldKind::Bool => "a boolean",
            FieldKind::Address => "an address",
            FieldKind::Network => "an address in a network",
            FieldKind::Bytes => "bytes",
            FieldKind::Port => "a port",
            FieldKind::Duration => "a duration",
            FieldKind::Time => "a time",
            FieldKind::Dynamic => "a parameter",
            _ => "a number",
        }
    }

    /// Whether values of the type are compared as numbers.
    pub(crate) fn is_number(self) -> bool {
        use FieldKind as K;
        !matches!(
            self.kind,
            K::Text | K::Bool | K::Address | K::Network | K::Bytes | K::Dynamic
        )
    }
}

/// Refuses an operator that does not fit the type of its left side.
pub(crate) fn check_operator(check: &Check, left: Type) -> Result<(), Fault> {
    if fits(check.operator, left) {
        return Ok(());
    }
    let fitting: Vec<_> = Operator::ALL
        .iter()
        .filter(|operator| fits(**operator, left))
        .map(|operator| operator.text())
        .collect();
    let message = format!(
        "`{}` does not fit `{}`, which is {}",
        check.operator,
        check.left,
        left.describe()
    );
    Err(Fault::syntax(message, check.operator_span.clone())
        .with_help(format!("operators that fit: {}", fitting.join(" "))))
}

fn fits(operator: Operator, left: Type) -> bool {
    use FieldKind as K;
    use Operator as O;
    if left.kind == K::Dynamic {
        return true;
    }
    match operator {
        O::Exists | O::In | O::Intersects => true,
        _ if left.list => false,
        O::Equal | O::Same | O::NotEqual => true,
        O::Less | O::LessEqual | O::Greater | O::GreaterEqual => {
            left.is_number() || left.kind == K::Text
        }
        O::Contains | O::StartsWith | O::EndsWith => matches!(left.kind, K::Text | K::Bytes),
        O::BContains | O::BStartsWith => left.kind == K::Bytes,
        O::IContains | O::Glob | O::IGlob | O::Regex | O::Pmatch => left.kind == K::Text,
    }
}
