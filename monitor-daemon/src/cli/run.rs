//! `run`: reads configuration and policies, starts outputs and metrics, and watches until told to
//! stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use monitor_policy::Color;
use tracing_subscriber::EnvFilter;

use super::error::Error;
use super::{doctor, policies};
use crate::config::{ADDITIONS, Config, DEFAULT_PATH, StdoutFormat};
use crate::confine;
use crate::metrics::{Metrics, Server};
use crate::output::{AlertQueue, Colour, LogLines, OutputSettings, Outputs};
use crate::probe::{self, Loader};
use crate::reload::{Candidate, Cause, Refusal, Reload, Source, Triggers, Watched};
use crate::selfcheck::Starter;
use crate::watch::{self, Settings};

/// How long the end waits for alerts to be written.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// Which log lines are wanted, in the syntax of `RUST_LOG`.
const LOG_VARIABLE: &str = "MONITOR_LOG";

const HELP: &str = "\
Alerts go to standard output: readable and coloured on a terminal, Falco's text lines otherwise.
The line `ready` on standard error says that alerts can come out. SIGTERM and SIGINT stop cleanly;
SIGHUP loads the rules anew, as `reload` does and as a change of their files does.
MONITOR_LOG=debug on the environment shows more of what the daemon does.

Examples:
  sudo monitor-daemon run
  sudo monitor-daemon run --policy /etc/falco/falco_rules.yaml --policy my_rules.yaml
  sudo monitor-daemon run --alerts - | jq .output_fields";

/// Watch this host and alert.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[arg(
        long,
        value_name = "FILE",
        help = format!("Configuration; without it {DEFAULT_PATH} if it exists, else defaults")
    )]
    config: Option<PathBuf>,
    /// Rules file, or folder of *.yaml and *.yml, instead of the configured ones; may be repeated.
    #[arg(long, value_name = "PATH")]
    policy: Vec<PathBuf>,
    /// Append alerts as JSON lines to this file; `-` prints them to standard output instead of
    /// text.
    #[arg(long, value_name = "FILE|-")]
    alerts: Option<PathBuf>,
    /// Do not roll up alerts that say the same: each goes out.
    #[arg(long)]
    every_alert: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let watched = Watched::default();
    let config = configure(arguments)?;
    // That takes as long as loading the rules does.
    let loader = Loader::begin(&watch::request(&config));
    watched.reading_these(files(arguments, &config));
    let texts = policies::texts(&config.policies, config.rules.limits.file_bytes)?;
    let policy = policies::finish(policies::load_texts(&texts, &config.rules))?;
    let checksum = policies::checksum(&texts);
    drop(texts);
    doctor::check_privileges()?;
    // By what it may do itself, soon less.
    let starter = Starter::helper().unwrap_or_else(|error| {
        tracing::error!(%error, "cannot start the self-check's helper");
        Starter::default()
    });
    probe::raise_memlock();
    confine::capabilities();
    let metrics = Arc::new(Metrics::new()?);
    let hostname: Arc<str> = config.hostname.clone().unwrap_or_else(node_name).into();
    let settings = OutputSettings::new(&config, Arc::clone(&hostname));
    let mut outputs = Outputs::start(&settings, &metrics)?;
    log_to(outputs.queue());
    if let Some(error) = outputs.log_error() {
        tracing::error!("{error}");
    }
    // Held for as long as the daemon runs.
    let _server = match config.metrics {
        Some(address) => Some(Server::start(address, Arc::clone(&metrics))?),
        None => None,
    };
    let on_change = config.reload_on_change.then(|| watched.clone());
    // Held for as long.
    let (_triggers, asked) = Triggers::start(config.control.as_deref(), on_change)?;
    let again = arguments.clone();
    let reload = Reload {
        source: Source(Box::new(move || candidate(&again, &watched))),
        checksum,
        asked,
    };
    let settings = Settings {
        config,
        policy,
        reload,
        hostname,
        metrics,
        alerts: outputs.queue(),
        starter,
    };
    let result = watch::run(settings, loader);
    let lost = outputs.stop(DRAIN_TIME);
    if lost > 0 {
        tracing::warn!(lost, "alerts could not be written before the end");
    }
    Ok(result?)
}

/// The configuration with what the command line says on top.
fn configure(arguments: &Arguments) -> Result<Config, Error> {
    let mut config = Config::load(arguments.config.as_deref())?;
    if !arguments.policy.is_empty() {
        config.policies.clone_from(&arguments.policy);
    }
    match arguments.alerts.as_deref() {
        Some(path) if path == Path::new("-") => config.alerts.stdout = StdoutFormat::JSON,
        Some(path) => config.alerts.file = Some(path.to_owned()),
        None => {}
    }
    if arguments.every_alert {
        config.alerts.rollup.window = Duration::ZERO;
    }
    Ok(config)
}

/// What a change of which calls for a reload.
fn files(arguments: &Arguments, config: &Config) -> Vec<PathBuf> {
    let main = arguments.config.clone();
    let main = main.unwrap_or_else(|| DEFAULT_PATH.into());
    let additions = main.with_file_name(ADDITIONS);
    let policies = config.policies.iter().cloned();
    [main, additions].into_iter().chain(policies).collect()
}

/// Reads configuration and rules anew.
fn candidate(arguments: &Arguments, watched: &Watched) -> Result<Candidate, Refusal> {
    watched.reading();
    let refusal = |cause, error: Error| Refusal {
        cause,
        text: format!("{error}\n"),
    };
    let config = configure(arguments).map_err(|error| refusal(Cause::Configuration, error))?;
    watched.reading_these(files(arguments, &config));
    let texts = policies::texts(&config.policies, config.rules.limits.file_bytes);
    let texts = texts.map_err(|error| refusal(Cause::Policy, error))?;
    let loaded = policies::load_texts(&texts, &config.rules);
    let rendered = loaded.files.iter().map(|file| file.render(Color::Never));
    let rendered: String = rendered.collect();
    match loaded.policy {
        Some(policy) => Ok(Candidate {
            checksum: policies::checksum(&texts),
            config,
            policy,
            warnings: rendered,
        }),
        None => Err(Refusal {
            cause: Cause::Policy,
            text: rendered,
        }),
    }
}

fn log_to(queue: AlertQueue) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let result = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(Colour::of(&std::io::stderr()) == Some(Colour::On))
        .with_target(false)
        .with_writer(LogLines::new(queue))
        .try_init();
    if let Err(error) = result {
        tracing::debug!(%error, "logging was set up before");
    }
}

fn node_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn arguments(config: &str, policy: &[&str], alerts: Option<&str>) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.yaml");
        fs::write(&file, config).unwrap();
        let policy = policy.iter().map(PathBuf::from).collect();
        configure(&Arguments {
            config: Some(file),
            policy,
            alerts: alerts.map(Into::into),
            every_alert: false,
        })
        .unwrap()
    }

    #[test]
    fn the_command_line_goes_before_the_configuration() {
        let written = "policies: [a.yaml]\nalerts: {file: b.jsonl}\n";
        let config = arguments(written, &[], None);
        assert_eq!(config.policies, [PathBuf::from("a.yaml")]);
        assert_eq!(config.alerts.file, Some("b.jsonl".into()));
        let config = arguments(written, &["c", "d"], Some("e.jsonl"));
        assert_eq!(config.policies, ["c", "d"].map(PathBuf::from));
        assert_eq!(config.alerts.file, Some("e.jsonl".into()));
        assert_eq!(config.alerts.stdout, StdoutFormat::default());
        let config = arguments(written, &[], Some("-"));
        assert_eq!(config.alerts.file, Some("b.jsonl".into()));
        assert_eq!(config.alerts.stdout, StdoutFormat::JSON);
        assert!(!config.alerts.rollup.window.is_zero());
    }
}
