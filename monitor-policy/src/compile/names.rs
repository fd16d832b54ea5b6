//! What was probably meant by a value that does not fit: a list, a macro, a network, a host.

use crate::condition::Fault;
use crate::condition::ast::{Check, Operand, Operator, Right};
use crate::field::{Field, FieldKind};
use crate::nearest::nearest;
use crate::rules::Store;

/// Adds what to do about a value that does not fit, if nothing better is known yet.
pub(super) fn hint(fault: Fault, check: &Check, store: &Store) -> Fault {
    let Some(value) = fault.value.clone() else {
        return fault;
    };
    let help = named(&value, store)
        .or_else(|| address(&value, check))
        .or_else(|| fault.help.clone());
    let help = help.or_else(|| undefined(&value, check));
    fault.with_hint(help)
}

/// A value that is, or nearly is, the name of a list or macro.
fn named(value: &str, store: &Store) -> Option<String> {
    if store.macro_named(value).is_some() {
        return Some(format!(
            "`{value}` is a macro: it stands on its own, not as a value"
        ));
    }
    let lists = store.lists().iter().map(|list| list.item.name.as_str());
    nearest(value, lists).map(|list| format!("did you mean the list `{list}`?"))
}

/// A value in an address field that a related field would take.
fn address(value: &str, check: &Check) -> Option<String> {
    let Operand::Field(name) = &check.left else {
        return None;
    };
    let field = Field::from_name(&name.name)?;
    let kind = field.definition().kind;
    if !matches!(kind, FieldKind::Address | FieldKind::Network) {
        return None;
    }
    let side = field.name().strip_prefix("fd.")?.chars().next()?;
    let sided = matches!(side, 'c' | 's' | 'l' | 'r');
    if value.parse::<ipnet::IpNet>().is_ok() {
        let network = if sided {
            format!("fd.{side}net")
        } else {
            "fd.net".to_owned()
        };
        return Some(format!(
            "a network needs `{network}`: `{network} in ({value})`"
        ));
    }
    let host = value.contains('.') && value.ends_with(|c: char| c.is_ascii_alphabetic());
    host.then(|| {
        let named = if sided {
            format!("fd.{side}ip.name")
        } else {
            "fd.sip.name".to_owned()
        };
        format!("the addresses of a host name are tested by `{named} = {value}`")
    })
}

/// A value that looks like the name of a list which is nowhere.
fn undefined(value: &str, check: &Check) -> Option<String> {
    if !matches!(check.right, Right::List(_)) || check.operator == Operator::Pmatch {
        return None;
    }
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_name = value.starts_with(|c: char| c.is_ascii_alphabetic()) && value.chars().all(name);
    is_name.then(|| format!("no list `{value}` is defined"))
}
