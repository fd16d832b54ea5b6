//! `doctor`: what this machine lets the daemon see, and what it does not, and why.

mod coverage;
mod facts;
mod programs;
mod text;

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::Format;
use super::error::Error;
use super::print::print;
use crate::config::Config;
use crate::output::Colour;
use crate::probe::Coverage;
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
    /// Instead, what each program costs the kernel: instructions, those that its verifier looked
    /// at, and the time to load it.
    #[arg(long)]
    programs: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    if arguments.programs {
        check_privileges()?;
        let report = programs::report(arguments.format);
        return print(&report.map_err(|error| Error::Watch(error.into()))?);
    }
    let config = Config::load(arguments.config.as_deref())?;
    let mut facts = facts::gather(Path::new("/"), &config.docker.socket);
    let fit = facts.iter().all(|fact| fact.verdict != Verdict::Fail);
    // Without privileges every hook would be refused for the same uninteresting reason.
    let coverage = if fit {
        coverage::check()
    } else {
        Ok((Vec::new(), None))
    };
    let coverage = coverage.map(|(served, unprotected)| {
        if !served.is_empty() {
            facts.push(facts::protection(unprotected, config.protect));
        }
        served
    });
    let coverage = coverage.map_err(|error| error.to_string());
    let colour = Colour::of(&io::stdout()).unwrap_or(Colour::Off);
    print(&match arguments.format {
        Format::Text => text::text(&facts, coverage.as_deref(), colour),
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
pub(super) mod tests {
    use monitor_common::Kind;

    use super::*;
    use crate::probe::Tier;
    use crate::selfcheck::Delivery;

    pub(super) fn facts() -> Vec<Fact> {
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
            untried: vec![],
        }
    }

    pub(super) fn coverage() -> Vec<Served> {
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
                        "silent": [], "unchecked": null,
                        "untried": [],
                        "refused": [
                            {"provider": "fentry", "reason": "trampolines are refused (EPERM)"},
                        ],
                        "blind": ["opens by io_uring"],
                    },
                    {
                        "kind": "ptrace", "provider": null, "tier": null, "delivers": null,
                        "silent": [], "unchecked": null, "untried": [], "refused": [], "blind": [],
                    },
                    {
                        "kind": "send", "provider": "sys_exit", "tier": "syscall",
                        "delivers": false, "silent": [], "unchecked": null, "untried": [], "refused": [],
                        "blind": [],
                    },
                    {
                        "kind": "module", "provider": "sys_exit", "tier": "syscall",
                        "delivers": null, "silent": [], "unchecked": "it would harm", "untried": [],
                        "refused": [],
                        "blind": [],
                    },
                ],
                "error": null,
            })
        );
    }
}
