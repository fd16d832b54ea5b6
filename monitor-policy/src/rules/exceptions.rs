//! Exceptions: what a rule does not concern, as a table that becomes part of its condition.

use super::finding::Finding;
use super::item::{Entry, ExceptionItem};
use crate::compile::resolve;
use crate::condition::ast::{Expr, Operand};
use crate::condition::{Fault, parse};
use crate::diagnostic::Code;
use crate::source::{Place, Sourced};

/// An exception of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    name: String,
    place: Place,
    shape: Shape,
    values: Vec<Entry>,
}

/// The columns of the table.
#[derive(Clone, Debug)]
enum Shape {
    /// One field, and a list of values.
    One { field: Sourced, comp: Sourced },
    /// Several fields, and tuples of values.
    Many(Vec<(Sourced, Sourced)>),
}

/// Operators that a modifier can follow.
const MODIFIABLE: &[&str] = &[
    "=",
    "==",
    "!=",
    "contains",
    "icontains",
    "bcontains",
    "startswith",
    "bstartswith",
    "endswith",
    "glob",
    "iglob",
    "regex",
];
const LIST_OPERATORS: &[&str] = &["in", "pmatch", "intersects"];

/// The exceptions of a new rule.
pub(crate) fn define(items: Vec<ExceptionItem>) -> Result<Vec<Exception>, Finding> {
    items.into_iter().map(new).collect()
}

/// Adds exceptions to those of a rule: values to one of the same name, or new ones.
pub(crate) fn append(
    exceptions: &mut Vec<Exception>,
    items: Vec<ExceptionItem>,
    warnings: &mut Vec<Finding>,
) -> Result<(), Finding> {
    for item in items {
        let values = item.values.clone().unwrap_or_default();
        let known = exceptions.iter_mut().find(|known| known.name == item.name);
        if values.is_empty() {
            let message = "Overriding/appending exception with no values";
            warnings.push(Finding::new(Code::AppendNoValues, message, item.place));
        }
        match known {
            None => exceptions.push(new(item)?),
            Some(_) if item.fields.is_some() || item.comps.is_some() => {
                let message = format!(
                    "Can not append exception fields or comps to existing exception '{}', only \
                     values",
                    item.name
                );
                return Err(Finding::new(Code::Validate, message, item.place));
            }
            Some(known) => {
                for value in &values {
                    known.check_value(value)?;
                }
                known.values.extend(values);
            }
        }
    }
    Ok(())
}

/// Refuses fields that do not exist, also where no values use them yet.
pub(crate) fn check_fields(exceptions: &[Exception]) -> Result<(), Finding> {
    for exception in exceptions {
        match &exception.shape {
            Shape::One { field, .. } => check_field(field)?,
            Shape::Many(columns) => columns
                .iter()
                .try_for_each(|column| check_field(&column.0))?,
        }
    }
    Ok(())
}

/// Refuses what is neither a field nor a transformer on fields.
fn check_field(field: &Sourced) -> Result<(), Finding> {
    let text = field.text();
    let fault = match parse(&format!("{text} exists")) {
        Ok(Expr::Check(check)) => check_names(&check.left).err(),
        Ok(_) => Some(Fault::syntax("not a field", 0..text.len())),
        Err(fault) => Some(fault),
    };
    let Some(fault) = fault else { return Ok(()) };
    let message = format!("'{text}' is not a supported filter field");
    let place = field.place(&(0..text.len()));
    Err(Finding::new(Code::Validate, message, place).with_hint(fault.help))
}

fn check_names(operand: &Operand) -> Result<(), Fault> {
    match operand {
        Operand::Field(name) => resolve(name).map(|_| ()),
        Operand::Literal(_) => Ok(()),
        Operand::Tuple(parts) => parts.iter().try_for_each(check_names),
        Operand::Call(call) => call.arguments.iter().try_for_each(check_names),
    }
}

/// The condition with all exceptions taken out of it.
pub(crate) fn with_exceptions(condition: &Sourced, exceptions: &[Exception]) -> Sourced {
    let mut text = condition.clone();
    for exception in exceptions
        .iter()
        .filter(|exception| !exception.values.is_empty())
    {
        let mut whole = Sourced::default();
        whole.push_str_at("(", text.place(&(0..1)).at);
        whole.push(&text);
        whole.push_str(") and not ");
        exception.push(&mut whole);
        text = whole;
    }
    text
}

fn new(item: ExceptionItem) -> Result<Exception, Finding> {
    let ExceptionItem {
        name,
        place,
        fields,
        comps,
        values,
    } = item;
    let Some(fields) = fields else {
        let message = format!("Rule exception item '{name}' must have 'fields' property");
        return Err(Finding::new(Code::Validate, message, place));
    };
    let shape = match fields {
        Entry::One(field) => one(field, comps)?,
        Entry::Many(fields, place) => many(&fields, comps, place)?,
    };
    let exception = Exception {
        name,
        place,
        shape,
        values: values.unwrap_or_default(),
    };
    for value in &exception.values {
        exception.check_value(value)?;
    }
    Ok(exception)
}

fn one(field: Sourced, comps: Option<Entry>) -> Result<Shape, Finding> {
    let comp = match comps {
        None => at(&field, "in"),
        Some(Entry::One(comp)) => comp.trimmed(),
        Some(comps @ Entry::Many(..)) => {
            let message = "Fields is a single field, so comps must be a single operator too";
            return Err(Finding::new(Code::Validate, message, comps.place()));
        }
    };
    check_operator(&comp)?;
    if !is_list_operator(comp.text()) {
        let message = format!("Operator '{}' needs a list of fields", comp.text());
        let place = comp.place(&(0..comp.text().len()));
        return Err(Finding::new(Code::Validate, message, place).with_help(
            "for a single field use in, pmatch, intersects, or an operator with oneof, anyof or \
             allof; or write the field as a list of one",
        ));
    }
    Ok(Shape::One { field, comp })
}

fn many(fields: &[Entry], comps: Option<Entry>, place: Place) -> Result<Shape, Finding> {
    let fields = fields.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
    let comps = match comps {
        None => fields.iter().map(|field| at(field, "=")).collect(),
        Some(Entry::Many(comps, _)) => {
            let comps = comps.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
            comps.iter().map(Sourced::trimmed).collect::<Vec<_>>()
        }
        Some(comps @ Entry::One(_)) => {
            let message = "Fields is a list, so comps must be a list too";
            return Err(Finding::new(Code::Validate, message, comps.place()));
        }
    };
    if comps.len() != fields.len() {
        let message = "Fields and comps lists must have equal length";
        return Err(Finding::new(Code::Validate, message, place));
    }
    comps.iter().try_for_each(check_operator)?;
    Ok(Shape::Many(fields.into_iter().zip(comps).collect()))
}

fn check_operator(comp: &Sourced) -> Result<(), Finding> {
    let mut words = comp.text().split_whitespace();
    let operator = words.next().unwrap_or_default();
    let modifier = words.next();
    let known = match modifier {
        None => {
            MODIFIABLE.contains(&operator)
                || LIST_OPERATORS.contains(&operator)
                || matches!(operator, "<" | "<=" | ">" | ">=")
        }
        Some("oneof" | "anyof" | "allof") => MODIFIABLE.contains(&operator),
        Some(_) => false,
    };
    if known && words.next().is_none() {
        return Ok(());
    }
    let message = format!("'{}' is not a supported comparison operator", comp.text());
    Err(Finding::new(
        Code::Validate,
        message,
        comp.place(&(0..comp.text().len())),
    ))
}

/// Whether an operator (with its modifier) takes a list.
fn is_list_operator(comp: &str) -> bool {
    LIST_OPERATORS.contains(&comp) || comp.split_whitespace().nth(1).is_some()
}

fn scalar(entry: &Entry) -> Result<Sourced, Finding> {
    match entry {
        Entry::One(text) => Ok(text.clone()),
        Entry::Many(_, place) => Err(Finding::new(
            Code::YamlValidate,
            "value is not scalar",
            *place,
        )),
    }
}

/// Text that counts as standing where another text stands.
fn at(origin: &Sourced, text: &str) -> Sourced {
    let mut result = Sourced::default();
    result.push_str_at(text, origin.place(&(0..1)).at);
    result
}

impl Exception {
    fn check_value(&self, value: &Entry) -> Result<(), Finding> {
        match (&self.shape, value) {
            (Shape::One { .. }, Entry::One(_)) => Ok(()),
            (Shape::One { .. }, Entry::Many(_, place)) => {
                let message = format!(
                    "Exception '{}' has a single field, so its values must be texts",
                    self.name
                );
                Err(Finding::new(Code::YamlValidate, message, *place))
            }
            (Shape::Many(fields), Entry::Many(values, place)) => {
                if values.len() == fields.len() {
                    return Ok(());
                }
                let message = format!(
                    "Exception '{}': Fields and values lists must have equal length",
                    self.name
                );
                Err(Finding::new(Code::Validate, message, *place))
            }
            (Shape::Many(_), Entry::One(text)) => {
                let message = format!(
                    "Exception '{}' has several fields, so each of its values must be a list",
                    self.name
                );
                let place = text.place(&(0..text.text().len()));
                Err(Finding::new(Code::YamlValidate, message, place))
            }
        }
    }

    fn push(&self, text: &mut Sourced) {
        text.push_str_at("(", self.place.at);
        match &self.shape {
            Shape::One { field, comp } => {
                push_left(text, field, comp);
                push_list(text, &self.values, self.place);
            }
            Shape::Many(columns) => {
                for (index, value) in self.values.iter().enumerate() {
                    text.push_str(if index > 0 { " or (" } else { "(" });
                    push_tuple(text, columns, value);
                    text.push_str(")");
                }
            }
        }
        text.push_str(")");
    }
}

fn push_left(text: &mut Sourced, field: &Sourced, comp: &Sourced) {
    text.push(field);
    text.push_str(" ");
    text.push(comp);
    text.push_str(" ");
}

fn push_tuple(text: &mut Sourced, columns: &[(Sourced, Sourced)], value: &Entry) {
    let Entry::Many(values, _) = value else {
        return;
    };
    for (index, ((field, comp), value)) in columns.iter().zip(values).enumerate() {
        if index > 0 {
            text.push_str(" and ");
        }
        push_left(text, field, comp);
        match value {
            Entry::Many(values, place) => push_list(text, values, *place),
            Entry::One(one) if is_list_operator(comp.text()) => push_scalar_list(text, one),
            Entry::One(one) => push_value(text, one),
        }
    }
}

/// A scalar where a list is wanted: a list in parentheses, items with commas, or one item.
fn push_scalar_list(text: &mut Sourced, value: &Sourced) {
    if value.text().starts_with('(') {
        text.push(value);
        return;
    }
    text.push_str("(");
    if value.text().contains(',') {
        text.push(value);
    } else {
        push_value(text, value);
    }
    text.push_str(")");
}

fn push_list(text: &mut Sourced, values: &[Entry], place: Place) {
    text.push_str_at("(", place.at);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        match value {
            Entry::One(one) => push_value(text, one),
            Entry::Many(values, place) => push_list(text, values, *place),
        }
    }
    text.push_str(")");
}

/// A value; one with blanks gets quotes, unless it has some.
fn push_value(text: &mut Sourced, value: &Sourced) {
    let plain = value.text();
    let quote = plain.contains(' ') && !plain.starts_with(['"', '\'']);
    if quote || plain.is_empty() {
        text.push_str_at("\"", value.place(&(0..1)).at);
    }
    text.push(value);
    if quote || plain.is_empty() {
        text.push_str("\"");
    }
}
