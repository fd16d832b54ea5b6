//! The report as text: first what serves each kind, a line each, then what is missing, each thing
//! once with the kinds that it concerns.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::coverage::Served;
use super::facts::{Fact, Verdict};
use crate::output::Colour;
use crate::probe::Tier;
use crate::selfcheck::Delivery;

pub(super) fn text(facts: &[Fact], coverage: Result<&[Served], &String>, colour: Colour) -> String {
    let mut text = format!("monitor-daemon {}\n\n", env!("CARGO_PKG_VERSION"));
    for Fact {
        name,
        verdict,
        detail,
        help,
    } in facts
    {
        let label = colour.paint(verdict.style(), &format!("{:<4}", verdict.name()));
        let _ = writeln!(text, "{label}  {name:<11} {detail}");
        if let Some(help) = help {
            let _ = writeln!(text, "{:18}{help}", "");
        }
    }
    match coverage {
        Ok([]) => {}
        Ok(kinds) => {
            text.push_str("\nEvent kinds and what serves them:\n");
            for kind in kinds {
                text.push_str(&line(kind, colour));
            }
            let dimmed = Style::new().dimmed();
            let title = "What this kernel does not take:";
            text.push_str(&section(title, &refusals(kinds), |by| {
                colour.paint(dimmed, by)
            }));
            let yellow = AnsiColor::Yellow.on_default();
            let title = "What stays unseen, and of which kinds:";
            text.push_str(&section(title, &blindness(kinds), |what| {
                colour.paint(yellow, what)
            }));
        }
        Err(error) => {
            let label = colour.paint(Verdict::Fail.style(), "FAIL");
            let _ = writeln!(text, "{label}  {:<11} {error}", "hooks");
        }
    }
    text
}

/// A kind, its tier and hooks, and whether they deliver.
fn line(served: &Served, colour: Colour) -> String {
    let coverage = &served.coverage;
    let name = coverage.kind.name();
    let Some(provider) = &coverage.provider else {
        let blind = colour.paint(Verdict::Fail.style(), "BLIND");
        return format!("  {name:<14} {blind}\n");
    };
    let tier = coverage.tier.map_or("unknown", Tier::name);
    let mut text = format!("  {name:<14} {tier:<10}  {provider}");
    if let Some(delivery) = &served.delivery {
        let style = match delivery {
            Delivery::Delivers => Verdict::Ok.style(),
            Delivery::Silent | Delivery::Lacking(_) => Verdict::Fail.style(),
            Delivery::Unchecked(_) => Style::new().dimmed(),
        };
        let delivery = colour.paint(style, &delivery.text());
        let _ = write!(text, "  {delivery}");
        let untried = served.untried();
        if !untried.is_empty() {
            let but = format!("not checked: {}", untried.join(", "));
            let _ = write!(text, " ({})", colour.paint(Style::new().dimmed(), &but));
        }
    }
    text.push('\n');
    text
}

/// Reasons, and the hooks that were refused for each.
fn refusals(kinds: &[Served]) -> Vec<(&str, Vec<&str>)> {
    let refused = kinds.iter().flat_map(|kind| &kind.coverage.refused);
    grouped(refused.map(|(hook, reason)| (reason.as_str(), hook.as_str())))
}

/// What is not seen, and the kinds of which.
fn blindness(kinds: &[Served]) -> Vec<(&str, Vec<&str>)> {
    let blind = kinds.iter().flat_map(|kind| {
        let name = kind.coverage.kind.name();
        kind.coverage.blind.iter().map(move |what| (*what, name))
    });
    grouped(blind)
}

/// By the first of each pair, in the order in which they come, each second once.
fn grouped<'t>(pairs: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<(&'t str, Vec<&'t str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (by, member) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == by) {
            Some((_, members)) if members.contains(&member) => {}
            Some((_, members)) => members.push(member),
            None => groups.push((by, vec![member])),
        }
    }
    groups
}

fn section(title: &str, groups: &[(&str, Vec<&str>)], paint: impl Fn(&str) -> String) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{title}\n");
    for (by, members) in groups {
        let _ = writeln!(text, "  {}\n      {}", paint(by), members.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{coverage, facts};
    use super::*;

    #[test]
    fn says_what_is_seen_and_what_not() {
        let mut kinds = coverage();
        // The same of another kind is said once.
        let open = kinds[0].coverage.clone();
        kinds[2].coverage.refused = open.refused;
        kinds[2].coverage.blind = open.blind;
        kinds[0].coverage.provider = Some("sys_exit + tp_btf/io_uring_complete".to_owned());
        kinds[0].untried = vec!["tp_btf/io_uring_complete".to_owned()];
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text(&facts(), Ok(&kinds), Colour::Off),
            format!(
                "monitor-daemon {version}\n\n\
                 ok    kernel      6.1.0\n\
                 warn  docker      not there\n                  start it\n\n\
                 Event kinds and what serves them:\n  \
                 open           syscall     sys_exit + tp_btf/io_uring_complete  \
                 delivers (not checked: tp_btf/io_uring_complete)\n  \
                 ptrace         BLIND\n  \
                 send           syscall     sys_exit  \
                 SILENT: loaded, but no record of our own act came\n  \
                 module         syscall     sys_exit  not checked: it would harm\n\n\
                 What this kernel does not take:\n  \
                 trampolines are refused (EPERM)\n      fentry\n\n\
                 What stays unseen, and of which kinds:\n  \
                 opens by io_uring\n      open, send\n"
            )
        );
    }
}
