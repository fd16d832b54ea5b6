//! `doctor`: what this machine lets the daemon see, and what it does not, and why.

mod coverage;
mod facts;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::{Value, json};

use super::Format;
use super::error::Error;
use super::print::print;
use crate::config::Config;
use crate::output::Colour;
use crate::probe::{Coverage, Tier};
use crate::selfcheck::Delivery;
use coverage::Served;
use facts::{Fact, Verdict};

const HELP: &str = "\
Exit code 3 when a line says FAIL: the daemon could not run here.

Examples:
  sudo monitor-daemon doctor
  sudo monitor-daemon doctor --format json | jq '.coverage[] | select(.provider == null)'";

/// Say what this kernel lets us watch, by which hooks, and what stays unseen and why.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Configuration, for the Docker socket.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::load(arguments.config.as_deref())?;
    let facts = facts::gather(Path::new("/"), &config.docker.socket);
    let fit = facts.iter().all(|fact| fact.verdict != Verdict::Fail);
    // Without privileges every hook would be refused for the same uninteresting reason.
    let coverage = if fit {
        coverage::check()
    } else {
        Ok(Vec::new())
    };
    let coverage = coverage.map_err(|error| error.to_string());
    let colour = Colour::of(&io::stdout()).unwrap_or(Colour::Off);
    print(&match arguments.format {
        Format::Text => text(&facts, coverage.as_deref(), colour),
        Format::Json => {
            format!(
                "{}\n",
                serde_json::to_string_pretty(&json(&facts, coverage.as_deref()))?
            )
        }
    })?;
    if fit && coverage.is_ok() {
        Ok(())
    } else {
        Err(Error::Unfit)
    }
}

/// Whether this process may load programs into the kernel.
pub(super) fn check_privileges() -> Result<(), Error> {
    let missing = facts::missing_capabilities(Path::new("/"));
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Privileges { missing })
    }
}

/// What serves each kind of event here, found by trying.
pub(super) fn coverage() -> Result<Vec<Coverage>, Error> {
    check_privileges()?;
    coverage::probe().map_err(|error| Error::Watch(error.into()))
}

fn text(facts: &[Fact], coverage: Result<&[Served], &String>, colour: Colour) -> String {
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
            text.push_str("\nEvent kinds, what serves them, and what they are blind for:\n");
            for kind in kinds {
                text.push_str(&kind_text(kind, colour));
            }
        }
        Err(error) => {
            let label = colour.paint(Verdict::Fail.style(), "FAIL");
            let _ = writeln!(text, "{label}  {:<11} {error}", "hooks");
        }
    }
    text
}

fn kind_text(served: &Served, colour: Colour) -> String {
    let Coverage {
        kind,
        provider,
        tier,
        refused,
        blind,
    } = &served.coverage;
    let by = match provider {
        Some(provider) => format!("{provider} ({} tier)", tier.map_or("unknown", Tier::name)),
        None => colour.paint(Verdict::Fail.style(), "BLIND"),
    };
    let mut text = format!("  {:<14} {by}\n", kind.name());
    if let Some(delivery) = &served.delivery {
        let style = match delivery {
            Delivery::Delivers => Verdict::Ok.style(),
            Delivery::Silent => Verdict::Fail.style(),
            Delivery::Unchecked(_) => Style::new().dimmed(),
        };
        let delivery = colour.paint(style, &delivery.text());
        let _ = writeln!(text, "{:17}{delivery}", "");
    }
    for (provider, reason) in refused {
        let line = format!("{:17}refused: {provider}: {reason}", "");
        let _ = writeln!(text, "{}", colour.paint(Style::new().dimmed(), &line));
    }
    for what in blind {
        let what = colour.paint(AnsiColor::Yellow.on_default(), &format!("blind: {what}"));
        let _ = writeln!(text, "{:17}{what}", "");
    }
    text
}

fn json(facts: &[Fact], coverage: Result<&[Served], &String>) -> Value {
    let checks: Vec<Value> = facts
        .iter()
        .map(
            |Fact {
                 name,
                 verdict,
                 detail,
                 help,
             }| {
                json!({"name": name, "status": verdict.name(), "detail": detail, "help": help})
            },
        )
        .collect();
    let kinds: Vec<Value> = coverage
        .unwrap_or_default()
        .iter()
        .map(coverage::to_json)
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "checks": checks,
        "coverage": kinds,
        "error": coverage.err(),
    })
}

#[cfg(test)]
mod tests {
    use monitor_common::Kind;

    use super::*;

    fn facts() -> Vec<Fact> {
        vec![
            Fact {
                name: "kernel",
                verdict: Verdict::Ok,
                detail: "6.1.0".into(),
                help: None,
            },
            Fact {
                name: "docker",
                verdict: Verdict::Warn,
                detail: "not there".into(),
                help: Some("start it".into()),
            },
        ]
    }

    fn served(kind: Kind, by: Option<&str>, delivery: Option<Delivery>) -> Served {
        Served {
            coverage: Coverage {
                kind,
                provider: by.map(str::to_owned),
                tier: by.map(|_| Tier::Syscall),
                refused: vec![],
                blind: vec![],
            },
            delivery,
        }
    }

    fn coverage() -> Vec<Served> {
        let mut open = served(Kind::Open, Some("sys_exit"), Some(Delivery::Delivers));
        open.coverage.refused = vec![("fentry".into(), "trampolines are refused (EPERM)".into())];
        open.coverage.blind = vec!["opens by io_uring"];
        let harmful = Delivery::Unchecked("it would harm".into());
        vec![
            open,
            served(Kind::Ptrace, None, None),
            served(Kind::Send, Some("sys_exit"), Some(Delivery::Silent)),
            served(Kind::Module, Some("sys_exit"), Some(harmful)),
        ]
    }

    #[test]
    fn text_says_what_is_seen_and_what_not() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text(&facts(), Ok(&coverage()), Colour::Off),
            format!(
                "monitor-daemon {version}\n\n\
                 ok    kernel      6.1.0\n\
                 warn  docker      not there\n                  start it\n\n\
                 Event kinds, what serves them, and what they are blind for:\n  \
                 open           sys_exit (syscall tier)\n                 \
                 delivers\n                 \
                 refused: fentry: trampolines are refused (EPERM)\n                 \
                 blind: opens by io_uring\n  \
                 ptrace         BLIND\n  \
                 send           sys_exit (syscall tier)\n                 \
                 SILENT: loaded, but no record of our own act came\n  \
                 module         sys_exit (syscall tier)\n                 \
                 not checked: it would harm\n"
            )
        );
    }

    #[test]
    fn json_has_the_same() {
        assert_eq!(
            json(&facts(), Ok(&coverage())),
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "checks": [
                    {"name": "kernel", "status": "ok", "detail": "6.1.0", "help": null},
                    {"name": "docker", "status": "warn", "detail": "not there", "help": "start it"},
                ],
                "coverage": [
                    {
                        "kind": "open",
                        "provider": "sys_exit",
                        "tier": "syscall",
                        "delivers": true,
                        "unchecked": null,
                        "refused": [
                            {"provider": "fentry", "reason": "trampolines are refused (EPERM)"},
                        ],
                        "blind": ["opens by io_uring"],
                    },
                    {
                        "kind": "ptrace", "provider": null, "tier": null, "delivers": null,
                        "unchecked": null, "refused": [], "blind": [],
                    },
                    {
                        "kind": "send", "provider": "sys_exit", "tier": "syscall",
                        "delivers": false, "unchecked": null, "refused": [], "blind": [],
                    },
                    {
                        "kind": "module", "provider": "sys_exit", "tier": "syscall",
                        "delivers": null, "unchecked": "it would harm", "refused": [],
                        "blind": [],
                    },
                ],
                "error": null,
            })
        );
    }
}
