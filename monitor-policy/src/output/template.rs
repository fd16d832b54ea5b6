//! Parses outputs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Column, Missing, Part, Template, push};
use crate::append::{AppendOutput, ExtraField};
use crate::compile::{Operands, Side, deprecated, is_field, nearest_field, owner, resolve};
use crate::condition::ast::{Call, FieldName, Operand as Syntax, TRANSFORMERS};
use crate::condition::{Cursor, Fault, parse_call};
use crate::diagnostic::Code;
use crate::field::{Field, FieldFlags, FieldRef};
use crate::nearest;
use crate::program::Builder;

/// What Falco appends to every output, whether the rule prints it already or not.
const SUGGESTED: [(&str, Field); 6] = [
    ("container_id", Field::ContainerId),
    ("container_name", Field::ContainerName),
    (
        "container_image_repository",
        Field::ContainerImageRepository,
    ),
    ("container_image_tag", Field::ContainerImageTag),
    ("k8s_pod_name", Field::K8sPodName),
    ("k8s_ns_name", Field::K8sNsName),
];

/// Longest name of a field with its argument behind a dot, in bytes.
const MAX_NAME: usize = 300;

/// Widest padding of a value.
const MAX_WIDTH: usize = 1024;

impl Template {
    /// Parses an output. Warnings are added to `warnings`; an error is all that is wrong.
    pub(crate) fn parse(
        text: &str,
        statics: &BTreeMap<String, String>,
        warnings: &mut Vec<Fault>,
    ) -> Result<Self, Vec<Fault>> {
        let mut cursor = Cursor::new(text);
        // A leading star asks for `<NA>` in place of missing values: in rules it is always so.
        cursor.eat("*");
        let mut reader = Reader { statics, warnings };
        reader.read(cursor, Missing::Shown)
    }

    /// Parses a format as it is: without a leading star it ends at the first missing value.
    pub(crate) fn parse_bare(text: &str) -> Result<Self, Vec<Fault>> {
        let mut cursor = Cursor::new(text);
        if cursor.rest().is_empty() {
            return Err(vec![as_output(Fault::syntax("the format is empty", 0..0))]);
        }
        let missing = if cursor.eat("*") {
            Missing::Shown
        } else {
            Missing::Ends
        };
        let mut reader = Reader {
            statics: &BTreeMap::new(),
            warnings: &mut Vec::new(),
        };
        reader.read(cursor, missing)
    }

    /// Appends the fields that Falco suggests.
    pub(crate) fn append_suggested(&mut self) {
        for (name, field) in SUGGESTED {
            self.parts.push(Part::Text(format!(" {name}=")));
            self.parts.push(Part::Field {
                field: field.into(),
                width: None,
            });
            self.add_field(field.into());
        }
    }

    /// Appends what a configuration adds.
    pub(crate) fn append(
        &mut self,
        entry: &AppendOutput,
        statics: &BTreeMap<String, String>,
    ) -> Result<(), Vec<Fault>> {
        let parse = |text: &str| Self::parse(text, statics, &mut Vec::new());
        if let Some(text) = &entry.text {
            let more = parse(text)?;
            self.parts.push(Part::Text(" ".to_owned()));
            self.parts.extend(more.parts);
            for column in more.columns {
                self.add(column);
            }
        }
        if entry.suggested {
            self.append_suggested();
        }
        for field in &entry.fields {
            match field {
                ExtraField::Field(name) => {
                    let found = parse(&format!("%{name}"))?;
                    let ([Part::Field { .. }], [column]) =
                        (found.parts.as_slice(), found.columns.as_slice())
                    else {
                        let message = format!("`{name}` is not a field");
                        return Err(vec![as_output(Fault::unknown(message, 0..name.len()))]);
                    };
                    self.add(column.clone());
                }
                ExtraField::Formatted { name, format } => self.add(Column::Formatted {
                    name: name.clone(),
                    template: parse(format)?,
                }),
            }
        }
        Ok(())
    }

    fn call(&mut self, call: Call, width: Option<usize>) -> Result<(), Fault> {
        let mut builder = Builder::default();
        let mut warnings = Vec::new();
        let span = call.span.clone();
        let mut operands = Operands {
            builder: &mut builder,
            warnings: &mut warnings,
        };
        let operand = operands
            .build(&Syntax::Call(call), Side::Left)
            .map_err(as_output)?
            .operand;
        let slots = builder.finish().fields().to_vec();
        for field in &slots {
            check_printable(field, &span)?;
            self.add_field(field.clone());
        }
        self.parts.push(Part::Call {
            operand,
            slots,
            width,
        });
        Ok(())
    }

    fn add_static(&mut self, name: String, text: String, width: Option<usize>) {
        let mut padded = Vec::new();
        push(&mut padded, &text, width);
        let padded = String::from_utf8_lossy(&padded).into_owned();
        self.parts.push(Part::Text(padded));
        self.add(Column::Static { name, text });
    }

    fn add_field(&mut self, field: FieldRef) {
        self.add(Column::Field(field));
    }

    /// Adds a column, unless one of its name is there.
    fn add(&mut self, column: Column) {
        let name = column.name();
        if !self.columns.iter().any(|known| known.name() == name) {
            self.columns.push(column);
        }
    }
}

impl Column {
    fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Field(field) => field.to_string().into(),
            Self::Static { name, .. } | Self::Formatted { name, .. } => name.into(),
        }
    }
}

/// Reads templates.
struct Reader<'a> {
    statics: &'a BTreeMap<String, String>,
    warnings: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn read(&mut self, mut cursor: Cursor<'_>, missing: Missing) -> Result<Template, Vec<Fault>> {
        let mut template = Template {
            missing,
            ..Template::default()
        };
        let mut faults = Vec::new();
        loop {
            let literal = cursor.take_while(|c| c != '%');
            if !literal.is_empty() {
                template.parts.push(Part::Text(literal.to_owned()));
            }
            let start = cursor.position();
            if !cursor.eat("%") {
                return if faults.is_empty() {
                    Ok(template)
                } else {
                    Err(faults)
                };
            }
            if cursor.eat("container.info") {
                let message = "`%container.info` is deprecated and prints nothing";
                let fault = Fault::new(Code::DeprecatedItem, message, start..cursor.position());
                self.warnings.push(
                    fault.with_help("take it out: container fields are appended to every output"),
                );
                continue;
            }
            faults.extend(self.token(&mut template, &mut cursor, start).err());
        }
    }

    fn token(
        &mut self,
        template: &mut Template,
        cursor: &mut Cursor<'_>,
        start: usize,
    ) -> Result<(), Fault> {
        let digits = cursor.take_while(|c| c.is_ascii_digit());
        let width = match digits.parse::<usize>() {
            Ok(0) => None,
            Ok(width) => Some(width.min(MAX_WIDTH)),
            Err(_) => (!digits.is_empty()).then_some(MAX_WIDTH),
        };
        let name_start = cursor.position();
        let name = cursor
            .identifier()
            .map(|name| name.text)
            .unwrap_or_default();
        if TRANSFORMERS.contains(&name.as_str()) && cursor.peek() == Some('(') {
            cursor.reset(name_start);
            let call = parse_call(cursor).map_err(as_output)?;
            return template.call(call, width);
        }
        if let Some((name, text)) = self.static_field(&name) {
            cursor.reset(name_start + name.len());
            template.add_static(name, text, width);
            return Ok(());
        }
        let Some(length) = valid_prefix(&name) else {
            if name.is_empty() {
                // `%%` is one mistake.
                cursor.eat("%");
            }
            return Err(invalid(&name, start..cursor.position().max(start + 1)));
        };
        cursor.reset(name_start + length);
        let name = name.get(..length).unwrap_or_default().to_owned();
        let takes_argument = Field::from_name(&name).is_some_and(Field::takes_argument);
        let arg = if takes_argument {
            cursor.bracketed().map_err(as_output)?
        } else {
            None
        };
        let span = name_start..cursor.position();
        let field = resolve(&FieldName {
            name,
            arg,
            span: span.clone(),
        })
        .map_err(as_output)?;
        check_printable(&field, &span)?;
        if field.field.is(FieldFlags::DEPRECATED) {
            self.warnings.push(deprecated(&field, span));
        }
        template.parts.push(Part::Field {
            field: field.clone(),
            width,
        });
        template.add_field(field);
        Ok(())
    }

    /// The longest static field that a name begins with, and its text.
    fn static_field(&self, name: &str) -> Option<(String, String)> {
        let rest = name.strip_prefix("static.")?;
        let found = self
            .statics
            .iter()
            .filter(|(known, _)| rest.starts_with(known.as_str()));
        let (known, text) = found.max_by_key(|(known, _)| known.len())?;
        Some((format!("static.{known}"), text.clone()))
    }
}

/// The length of the longest prefix that is a field.
fn valid_prefix(name: &str) -> Option<usize> {
    let valid = |end: &usize| {
        let prefix = name.get(..*end).unwrap_or_default();
        is_field(prefix)
    };
    (1..=name.len().min(MAX_NAME)).rev().find(valid)
}

fn invalid(name: &str, span: std::ops::Range<usize>) -> Fault {
    let fault = if name.is_empty() {
        Fault::unknown("`%` without a field behind it", span)
            .with_help("an output has no way to print a percent sign")
    } else {
        let transformer = nearest::hint(name, TRANSFORMERS.into_iter());
        let help = owner(name)
            .or_else(|| undefined_static(name))
            .or_else(|| nearest_field(name))
            .or(transformer);
        Fault::unknown(format!("invalid formatting token `%{name}`"), span).with_hint(help)
    };
    as_output(fault)
}

fn undefined_static(name: &str) -> Option<String> {
    let key = name.strip_prefix("static.")?;
    Some(format!(
        "the configuration's `static_fields` have no `{key}`"
    ))
}

fn check_printable(field: &FieldRef, span: &std::ops::Range<usize>) -> Result<(), Fault> {
    if !field.field.is(FieldFlags::FILTER_ONLY) {
        return Ok(());
    }
    let message = format!("`{field}` can be tested but not printed");
    Err(as_output(Fault::syntax(message, span.clone())))
}

fn as_output(fault: Fault) -> Fault {
    Fault {
        code: Code::CompileOutput,
        ..fault
    }
}
