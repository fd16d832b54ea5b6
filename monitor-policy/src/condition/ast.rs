//! The syntax tree of a condition.
//!
//! Purely syntactic: field names, values and macro names are as written, each with its range in
//! the text. What they mean is checked when a rule is compiled.

use std::fmt;
use std::ops::Range;

/// A stretch of the condition's text.
pub(crate) type Span = Range<usize>;

/// A boolean expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Expr {
    /// All of them (at least two).
    And(Vec<Expr>),
    /// One of them (at least two).
    Or(Vec<Expr>),
    /// Not it.
    Not(Box<Expr>),
    /// What a macro stands for.
    Macro(Name),
    /// A test of a field.
    Check(Box<Check>),
}

/// An identifier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Name {
    /// The identifier.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) span: Span,
}

/// A test: `proc.name in (cat, dog)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Check {
    /// What is tested.
    pub(crate) left: Operand,
    /// How.
    pub(crate) operator: Operator,
    /// Where the operator stands.
    pub(crate) operator_span: Span,
    /// With what.
    pub(crate) right: Right,
    /// Where the whole test stands.
    pub(crate) span: Span,
}

/// The right side of a test.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Right {
    /// Nothing (`exists`).
    None,
    /// One literal.
    Literal(Literal),
    /// Literals in parentheses.
    List(Vec<Literal>),
    /// Literals in parentheses, behind a modifier.
    Modified(Modifier, Vec<Literal>),
    /// A value of the event.
    Operand(Operand),
}

/// A literal value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Literal {
    /// The value, after escapes.
    pub(crate) bytes: Vec<u8>,
    /// Where it stands, quotes included.
    pub(crate) span: Span,
}

/// Something that has a value in an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Operand {
    /// A field.
    Field(FieldName),
    /// A literal argument of a transformer.
    Literal(Literal),
    /// Several arguments in parentheses.
    Tuple(Vec<Operand>),
    /// A transformer on arguments: `tolower(proc.name)`, `val(proc.pname)`.
    Call(Call),
}

/// A field as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FieldName {
    /// The dotted name.
    pub(crate) name: String,
    /// The argument in brackets.
    pub(crate) arg: Option<String>,
    /// Where it stands, argument included.
    pub(crate) span: Span,
}

/// A transformer as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) arguments: Vec<Operand>,
    /// The text in brackets behind it.
    pub(crate) index: Option<String>,
    /// Where it stands.
    pub(crate) span: Span,
}

/// How many values of a list an operator has to hold for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Modifier {
    /// Exactly one.
    One,
    /// At least one.
    Any,
    /// All, and there is one.
    All,
}

macro_rules! operators {
    ($($variant:ident = $text:literal;)*) => {
        /// An operator.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub(crate) enum Operator {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl Operator {
            /// All operators; of two that begin alike the longer comes first.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As written.
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

operators! {
    Exists = "exists";
    LessEqual = "<=";
    Less = "<";
    GreaterEqual = ">=";
    Greater = ">";
    Same = "==";
    Equal = "=";
    NotEqual = "!=";
    Glob = "glob";
    IGlob = "iglob";
    Contains = "contains";
    IContains = "icontains";
    BContains = "bcontains";
    StartsWith = "startswith";
    BStartsWith = "bstartswith";
    EndsWith = "endswith";
    Regex = "regex";
    Intersects = "intersects";
    In = "in";
    Pmatch = "pmatch";
}

/// What an operator has on its right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OperatorKind {
    /// Nothing.
    Unary,
    /// A number.
    Numeric,
    /// Text.
    Text,
    /// A list.
    List,
}

impl Operator {
    /// What the operator has on its right.
    pub(crate) fn kind(self) -> OperatorKind {
        match self {
            Self::Exists => OperatorKind::Unary,
            Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual => {
                OperatorKind::Numeric
            }
            Self::In | Self::Intersects | Self::Pmatch => OperatorKind::List,
            _ => OperatorKind::Text,
        }
    }

    /// Whether a blank has to follow: the text operators that are words.
    pub(crate) fn needs_blank(self) -> bool {
        self.kind() == OperatorKind::Text
            && self.text().bytes().all(|byte| byte.is_ascii_alphabetic())
    }
}

/// Names of transformers.
pub(crate) const TRANSFORMERS: [&str; 9] = [
    "tolower", "toupper", "b64", "basename", "len", "val", "join", "concat", "getopt",
];

impl Modifier {
    /// All modifiers.
    pub(crate) const ALL: [Self; 3] = [Self::One, Self::Any, Self::All];

    /// As written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::One => "oneof",
            Self::Any => "anyof",
            Self::All => "allof",
        }
    }
}

impl Operand {
    /// Where it stands; empty for a tuple without elements.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Field(field) => field.span.clone(),
            Self::Literal(literal) => literal.span.clone(),
            Self::Call(call) => call.span.clone(),
            Self::Tuple(elements) => {
                let first = elements.first().map_or(0..0, Self::span);
                first.start..elements.last().map_or(first.end, |last| last.span().end)
            }
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}
