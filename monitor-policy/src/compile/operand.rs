//! Operands: fields and transformers, with their types.

use super::field;
use super::types::Type;
use crate::condition::Fault;
use crate::condition::ast::{Call as CallSyntax, FieldName, Operand as Syntax, Span};
use crate::diagnostic::Code;
use crate::field::{Field, FieldArg, FieldFlags, FieldKind, FieldRef, raw_kind};
use crate::program::{Builder, Call, Function, Operand};

/// An operand with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// The operand.
    pub(crate) operand: Operand,
    /// Its type.
    pub(crate) kind: Type,
    /// The field, when it is one without a transformer.
    pub(crate) field: Option<FieldRef>,
}

/// On which side of a test an operand stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// What is tested.
    Left,
    /// With what.
    Right,
}

/// Builds operands, collecting warnings.
#[derive(Debug)]
pub(crate) struct Operands<'b> {
    /// Where fields get their index.
    pub(crate) builder: &'b mut Builder,
    /// What is probably not meant.
    pub(crate) warnings: &'b mut Vec<Fault>,
}

impl Operands<'_> {
    /// An operand on its side.
    pub(crate) fn build(&mut self, syntax: &Syntax, side: Side) -> Result<Typed, Fault> {
        match syntax {
            Syntax::Field(name) => self.field(name, side),
            Syntax::Call(call) => self.call(call, side),
            Syntax::Literal(literal) => Ok(Typed {
                operand: Operand::Text(literal.bytes.as_slice().into()),
                kind: Type::single(FieldKind::Text),
                field: None,
            }),
            Syntax::Tuple(elements) => self.tuple(elements, side, |_, _| Ok(())),
        }
    }

    /// Values in parentheses, each of which has to pass a check: a list of texts.
    fn tuple(
        &mut self,
        elements: &[Syntax],
        side: Side,
        check: impl Fn(&Typed, &Syntax) -> Result<(), Fault>,
    ) -> Result<Typed, Fault> {
        let mut operands = Vec::with_capacity(elements.len());
        for element in elements {
            let typed = self.build(element, side)?;
            check(&typed, element)?;
            operands.push(typed.operand);
        }
        Ok(Typed {
            operand: Operand::Tuple(operands.into()),
            kind: Type {
                kind: FieldKind::Text,
                list: true,
            },
            field: None,
        })
    }

    fn field(&mut self, name: &FieldName, side: Side) -> Result<Typed, Fault> {
        let found = field::resolve(name)?;
        if side == Side::Right && found.field.is(FieldFlags::NOT_ON_RIGHT) {
            let message = format!("`{found}` cannot stand on the right side");
            return Err(Fault::syntax(message, name.span.clone()));
        }
        if found.field.is(FieldFlags::DEPRECATED) {
            self.warnings.push(deprecated(&found, name.span.clone()));
        }
        let definition = found.field.definition();
        let list = definition.flags.contains(FieldFlags::LIST) && found.arg.is_none();
        let kind = match &found.arg {
            Some(FieldArg::Key(name)) if found.field == Field::EvtRawarg => {
                raw_kind(name).unwrap_or(definition.kind)
            }
            _ => definition.kind,
        };
        Ok(Typed {
            operand: Operand::Slot(self.builder.slot(found.clone())),
            kind: Type { kind, list },
            field: Some(found),
        })
    }

    fn call(&mut self, call: &CallSyntax, side: Side) -> Result<Typed, Fault> {
        if call.index.is_some() && call.name != "getopt" {
            let message = format!("`{}` takes nothing in brackets", call.name);
            return Err(Fault::syntax(message, call.span.clone()));
        }
        let mut arguments = Vec::new();
        for argument in &call.arguments {
            let typed = if let Syntax::Tuple(elements) = argument {
                self.tuple(elements, side, |typed, element| {
                    check_transformable(typed, element, call)?;
                    check_element(typed, element, call)
                })?
            } else {
                self.build(argument, side)?
            };
            check_transformable(&typed, argument, call)?;
            arguments.push(typed);
        }
        transformer(call, arguments)
    }
}

/// The warning for a deprecated field.
pub(crate) fn deprecated(field: &FieldRef, span: Span) -> Fault {
    Fault::new(
        Code::DeprecatedItem,
        format!("field `{field}` is deprecated"),
        span,
    )
}

fn check_transformable(typed: &Typed, syntax: &Syntax, call: &CallSyntax) -> Result<(), Fault> {
    let Some(found) = &typed.field else {
        return Ok(());
    };
    let refused = found.field.is(FieldFlags::NO_TRANSFORMER) || found.field == Field::EvtType;
    if refused && call.name != "val" {
        let message = format!("`{}` does not work on `{found}`", call.name);
        return Err(Fault::syntax(message, syntax.span()));
    }
    Ok(())
}

/// Refuses what is no text among values in parentheses; to count them any will do.
fn check_element(typed: &Typed, syntax: &Syntax, call: &CallSyntax) -> Result<(), Fault> {
    let is_text = !typed.kind.list && typed.kind.kind == FieldKind::Text;
    if is_text || call.name == "len" {
        return Ok(());
    }
    let message = format!(
        "`{}` takes texts, and `{syntax}` is {}",
        call.name,
        typed.kind.describe()
    );
    Err(Fault::syntax(message, syntax.span()))
}

fn transformer(call: &CallSyntax, arguments: Vec<Typed>) -> Result<Typed, Fault> {
    let text = |kind: Type| kind.kind == FieldKind::Text;
    let bytes = |kind: Type| matches!(kind.kind, FieldKind::Text | FieldKind::Bytes);
    let kinds: Vec<Type> = arguments.iter().map(|argument| argument.kind).collect();
    let (function, kind) = match (call.name.as_str(), kinds.as_slice()) {
        ("tolower", [one]) if text(*one) => (Function::ToLower, *one),
        ("toupper", [one]) if text(*one) => (Function::ToUpper, *one),
        ("b64", [one]) if bytes(*one) => (Function::Base64, *one),
        ("basename", [one]) if text(*one) => (Function::Basename, *one),
        ("len", [one]) if one.list || bytes(*one) => {
            (Function::Length, Type::single(FieldKind::Unsigned64))
        }
        ("val", [one]) => (Function::Value, *one),
        ("join", [separator, list])
            if separator.kind == FieldKind::Text && !separator.list && list.list =>
        {
            (Function::Join, Type::single(FieldKind::Text))
        }
        ("concat", parts)
            if parts.len() > 1 && parts.iter().all(|part| !part.list && text(*part)) =>
        {
            (Function::Concat, Type::single(FieldKind::Text))
        }
        ("getopt", [list, _]) if list.list && text(*list) => return getopt(call, arguments),
        _ => return Err(wrong_arguments(call)),
    };
    let operands = arguments
        .into_iter()
        .map(|argument| argument.operand)
        .collect();
    let operand = Operand::Call(Box::new(Call {
        function,
        arguments: operands,
    }));
    Ok(Typed {
        operand,
        kind,
        field: None,
    })
}

fn getopt(call: &CallSyntax, arguments: Vec<Typed>) -> Result<Typed, Fault> {
    let mut arguments = arguments.into_iter().map(|argument| argument.operand);
    let (Some(list), Some(Operand::Text(options))) = (arguments.next(), arguments.next()) else {
        return Err(wrong_arguments(call));
    };
    let letter = match call.index.as_deref().map(str::as_bytes) {
        None => None,
        Some([letter]) => Some(*letter),
        Some(_) => {
            let message = "`getopt` takes one option letter in brackets";
            return Err(Fault::syntax(message, call.span.clone()));
        }
    };
    let function = Function::GetOpt { options, letter };
    let operand = Operand::Call(Box::new(Call {
        function,
        arguments: Box::new([list]),
    }));
    Ok(Typed {
        operand,
        kind: Type {
            kind: FieldKind::Text,
            list: true,
        },
        field: None,
    })
}

fn wrong_arguments(call: &CallSyntax) -> Fault {
    let form = match call.name.as_str() {
        "join" => "a text and a list: join(\",\", (proc.name, proc.pname))",
        "concat" => "two or more texts: concat(proc.name, proc.pname)",
        "getopt" => "a list and an option string: getopt(LIST, \"ab:\")[b]",
        "len" => "a text or a list",
        "val" => "a field",
        _ => "a text",
    };
    let message = format!("wrong arguments for `{}`", call.name);
    Fault::syntax(message, call.span.clone()).with_help(format!("it takes {form}"))
}
