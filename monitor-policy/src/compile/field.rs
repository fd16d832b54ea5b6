//! Field names as written: which field and argument they are.

use super::plugin;
use crate::condition::Fault;
use crate::condition::ast::FieldName;
use crate::field::{
    Field, FieldArg, FieldFlags, FieldRef, PARAMETERS, has_dotted_argument, is_parameter,
};
use crate::nearest;

/// The field that a name stands for.
pub(crate) fn resolve(name: &FieldName) -> Result<FieldRef, Fault> {
    if let Some(field) = Field::from_name(&name.name)
        && (name.arg.is_some() || !field.is(FieldFlags::ARGUMENT_REQUIRED))
    {
        return with_bracket(field, name);
    }
    if let Some(found) = dotted(&name.name) {
        let field = found.map_err(|fault| Fault {
            span: name.span.clone(),
            ..fault
        })?;
        if name.arg.is_some() {
            let message = format!("`{field}` takes no further argument");
            return Err(Fault::syntax(message, name.span.clone()));
        }
        return Ok(field);
    }
    if let Some(field) = Field::from_name(&name.name) {
        let example = if has_dotted_argument(field) {
            ".NAME"
        } else {
            "[KEY]"
        };
        let message = format!(
            "`{field}` needs an argument: `{field}{example}`",
            field = field.name()
        );
        return Err(Fault::syntax(message, name.span.clone()));
    }
    Err(unknown(name))
}

/// Whether a dotted name, arguments behind dots included, is a field.
pub(crate) fn is_field(name: &str) -> bool {
    Field::from_name(name).is_some() || dotted(name).is_some_and(|found| found.is_ok())
}

fn unknown(name: &FieldName) -> Fault {
    let message = format!("nonexistent field `{}`", name.name);
    Fault::unknown(message, name.span.clone()).with_hint(meant(name))
}

fn meant(name: &FieldName) -> Option<String> {
    if let Some(help) = plugin::owner(&name.name) {
        return Some(help);
    }
    // The argument behind a dot where it stands in brackets; no field has more than four parts.
    let mut dots = name.name.match_indices('.').take(4);
    let bracketed = dots.find_map(|(at, _)| {
        let (base, arg) = (name.name.get(..at)?, name.name.get(at + 1..)?);
        let field = Field::from_name(base).filter(|field| field.takes_argument())?;
        Some(format!(
            "`{field}` takes its argument in brackets: `{field}[{arg}]`",
            field = field.name()
        ))
    });
    bracketed.or_else(|| nearest_field(&name.name))
}

/// The field whose name is nearest.
pub(crate) fn nearest_field(name: &str) -> Option<String> {
    let fields = Field::all().filter(|field| !field.is(FieldFlags::NEVER));
    nearest::hint(name, fields.map(Field::name))
}

fn with_bracket(field: Field, name: &FieldName) -> Result<FieldRef, Fault> {
    let Some(arg) = &name.arg else {
        return Ok(field.into());
    };
    let refuse = |message: String| Err(Fault::syntax(message, name.span.clone()));
    if !field.takes_argument() {
        return refuse(format!("`{}` takes no argument", field.name()));
    }
    let arg = match argument_form(field) {
        Form::Dotted => {
            return refuse(format!(
                "`{0}` takes its argument after a dot: `{0}.{arg}`",
                field.name()
            ));
        }
        Form::Key => FieldArg::Key(arg.as_str().into()),
        Form::Index => match arg.parse() {
            Ok(index) => FieldArg::Index(index),
            Err(_) => {
                return refuse(format!(
                    "the argument of `{}` must be a number",
                    field.name()
                ));
            }
        },
        Form::Either => match arg.parse() {
            Ok(index) => FieldArg::Index(index),
            Err(_) => FieldArg::Key(arg.as_str().into()),
        },
    };
    Ok(FieldRef {
        field,
        arg: Some(arg),
    })
}

enum Form {
    Dotted,
    Index,
    Key,
    Either,
}

fn argument_form(field: Field) -> Form {
    match field {
        Field::EvtAbspath | Field::EvtTypeIs | Field::ThreadCgroup => Form::Dotted,
        Field::EvtArg
        | Field::EvtRawarg
        | Field::EvtAround
        | Field::ProcAname
        | Field::ProcAexe
        | Field::ProcAexepath
        | Field::ProcAcmdline
        | Field::ProcApid
        | Field::ProcArgs
        | Field::ProcAargs
        | Field::FdTypes => Form::Index,
        Field::ProcAenv
        | Field::ContainerMount
        | Field::ContainerMountSource
        | Field::ContainerMountDest
        | Field::ContainerMountMode
        | Field::ContainerMountRdwr
        | Field::ContainerMountPropagation => Form::Either,
        _ => Form::Key,
    }
}

/// A field with its argument behind a dot; `None` when the name begins like none.
fn dotted(name: &str) -> Option<Result<FieldRef, Fault>> {
    let (base, arg) = name.rsplit_once('.')?;
    let field = Field::from_name(base).filter(|field| has_dotted_argument(*field))?;
    let refuse = |message: String, names: &[&str]| {
        Err(Fault::unknown(message, 0..0).with_hint(nearest::hint(arg, names.iter().copied())))
    };
    let key = || Ok(FieldRef::with_key(field, arg));
    Some(match field {
        Field::EvtTypeIs => match arg.parse() {
            Ok(code) => Ok(FieldRef::with_index(field, code)),
            Err(_) => refuse(format!("`{arg}` is no event code"), &[]),
        },
        Field::EvtAbspath => match arg {
            "src" | "dst" => key(),
            _ => refuse(
                format!("`evt.abspath` takes `src` or `dst`, not `{arg}`"),
                &[],
            ),
        },
        Field::EvtArg | Field::EvtRawarg if !is_parameter(arg) => {
            refuse(format!("no event has a parameter `{arg}`"), PARAMETERS)
        }
        _ => key(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves() {
        let check = |name: &str, arg: Option<&str>, expected: Result<&str, &str>| {
            let name = FieldName {
                name: name.into(),
                arg: arg.map(str::to_owned),
                span: 0..1,
            };
            let found = resolve(&name).map(|field| field.to_string());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(fault), Err(part)) => {
                    let text = format!("{} {:?}", fault.message, fault.help);
                    assert!(text.contains(part), "{text}");
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        };
        check("proc.name", None, Ok("proc.name"));
        check("proc.name", Some("1"), Err("takes no argument"));
        check("proc.aname", Some("2"), Ok("proc.aname[2]"));
        check("proc.aname", Some("x"), Err("must be a number"));
        check("evt.arg.flags", None, Ok("evt.arg.flags"));
        check("evt.arg", Some("0"), Ok("evt.arg[0]"));
        check("evt.arg", None, Err("needs an argument"));
        check("evt.arg.flagz", None, Err("did you mean `flags`?"));
        check("evt.args", None, Ok("evt.args"));
        check("evt.abspath.src", None, Ok("evt.abspath.src"));
        check("evt.type.is.3", None, Ok("evt.type.is.3"));
        check("thread.cgroup.cpu", None, Ok("thread.cgroup.cpu"));
        check("container.label", Some("0"), Ok("container.label[0]"));
        check("container.label.x", None, Err("nonexistent"));
        check(
            "container.mount.dest",
            Some("/proc*"),
            Ok("container.mount.dest[/proc*]"),
        );
        check("proc.env", Some("HOME"), Ok("proc.env[HOME]"));
        check("proc.nmae", None, Err("did you mean `proc.name`?"));
    }
}
