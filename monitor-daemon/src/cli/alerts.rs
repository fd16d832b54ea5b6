//! `alerts`: what is in the alert log, and whether it is what was written there.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use monitor_policy::Priority;
use serde_json::json;

use super::Format;
use super::error::Error;
use super::print::print;
use crate::alert_log::{Entry, Query, Reader, Verified, verify};
use crate::clock;
use crate::config::{Config, DEFAULT_PATH};
use crate::output::{JsonFormat, TimeFormat, line};

/// Time between two looks of `--follow`.
const LOOK: Duration = Duration::from_millis(250);

const HELP: &str = "\
Times are RFC 3339 (2026-01-31T12:00:00Z), the host's own without a zone (2026-01-31, 2026-01-31
12:00), or how long ago (90m, 2h, 3d).

`alerts verify` goes along the hashes of all alerts: who changed or removed one is found out, unless
he changed all later ones too. Note the hash that it prints elsewhere, and that is found out as well.

Examples:
  sudo monitor-daemon alerts --last 20
  sudo monitor-daemon alerts --since 2h --priority warning --container web
  sudo monitor-daemon alerts --follow --format json | jq .rule
  sudo monitor-daemon alerts verify";

/// Show the alerts that this host keeps.
#[derive(Args, Debug)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    log: Log,
    /// Events from this time on.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<u64>,
    /// Events before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,
    /// Rules with this in their name, in any case.
    #[arg(long, value_name = "TEXT")]
    rule: Option<String>,
    /// Name of the container, or the beginning of its id; `host` for the host.
    #[arg(long, value_name = "NAME|ID")]
    container: Option<String>,
    /// Alerts as severe as this, or more.
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    priority: Option<Priority>,
    /// Alerts with this in their text or in one of their fields.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The newest of them, at most so many.
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
    /// Go on with those that come, until interrupted.
    #[arg(long)]
    follow: bool,
    /// How alerts are printed; json: an object a line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args, Debug)]
struct Log {
    #[arg(
        long,
        value_name = "FILE",
        help = format!("Configuration that says where the log is; without it {DEFAULT_PATH}")
    )]
    config: Option<PathBuf>,
    /// The log itself, such as a copy of it.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    log: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See whether the log is what was written to it.
    Verify {
        #[command(flatten)]
        log: Log,
        /// How the result is printed; json: an object.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    if let Some(Command::Verify { log, format }) = &arguments.command {
        return check(&log.path(&Config::load(log.config.as_deref())?)?, *format);
    }
    let config = Config::load(arguments.log.config.as_deref())?;
    let reader = Reader::open(&arguments.log.path(&config)?)?;
    let mut query = arguments.query();
    let json = JsonFormat {
        properties: config.json,
        time: TimeFormat::Iso8601,
    };
    loop {
        let mut printed = Ok(());
        let mut from = query.from;
        reader.find(&query, |entry| {
            from = entry.sequence + 1;
            if printed.is_ok() {
                printed = show(&entry, arguments.format, &json);
            }
        })?;
        printed
            .and_then(|()| io::stdout().flush())
            .map_err(Error::Print)?;
        if !arguments.follow {
            return Ok(());
        }
        query.from = from;
        query.newest = None;
        thread::sleep(LOOK);
    }
}

fn show(entry: &Entry, format: Format, json: &JsonFormat) -> io::Result<()> {
    let mut text = Vec::new();
    match format {
        Format::Json => json.write_line(entry, &mut text)?,
        Format::Text => {
            let line = line(&entry.alert, &json.time);
            writeln!(text, "{:>8}  {line}", entry.sequence)?;
        }
    }
    io::stdout().write_all(&text)
}

fn check(path: &std::path::Path, format: Format) -> Result<(), Error> {
    let verified = verify(path)?;
    match format {
        Format::Text => print(&text(&verified))?,
        Format::Json => print(&format!("{:#}\n", object(&verified)))?,
    }
    match verified.broken {
        None => Ok(()),
        Some(sequence) => Err(Error::LogChanged { sequence }),
    }
}

fn text(verified: &Verified) -> String {
    let Verified {
        alerts,
        removed,
        anchor,
        newest,
        hash,
        gaps,
        broken: _,
    } = verified;
    let mut lines = vec![format!("{alerts} alerts are as they were written")];
    if *removed > 0 {
        lines.push(format!(
            "{removed} of those between were removed to make room"
        ));
    }
    if *anchor > 0 {
        lines.push(format!("those up to number {anchor} were removed before"));
    }
    let missing =
        |(first, last): &(u64, u64)| format!("numbers {first} to {last} were never written");
    lines.extend(gaps.iter().map(missing));
    lines.push(format!("newest: number {newest}, hash {hash}\n"));
    lines.join("\n")
}

fn object(verified: &Verified) -> serde_json::Value {
    json!({
        "alerts": verified.alerts,
        "removed": verified.removed,
        "anchor": verified.anchor,
        "newest": verified.newest,
        "hash": verified.hash,
        "gaps": verified.gaps,
        "broken": verified.broken,
    })
}

impl Log {
    fn path(&self, config: &Config) -> Result<PathBuf, Error> {
        let configured = || Some(config.alerts.log.settings()?.path);
        self.log.clone().or_else(configured).ok_or(Error::NoLog)
    }
}

impl Arguments {
    fn query(&self) -> Query {
        Query {
            from: 0,
            since: self.since,
            until: self.until,
            rule: self.rule.clone(),
            container: self.container.clone(),
            priority: self.priority,
            text: self.text.clone(),
            newest: self.last,
        }
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    let names = || {
        let names: Vec<_> = Priority::ALL.iter().map(|level| level.name()).collect();
        format!("expected one of {}", names.join(", ").to_lowercase())
    };
    Priority::from_name(text).ok_or_else(names)
}

/// Ns since the epoch.
fn time(text: &str) -> Result<u64, String> {
    moment(text, clock::epoch_ns(), &TimeZone::system()).ok_or_else(|| {
        "expected a time such as 2026-01-31T12:00:00Z or 2026-01-31, or 2h".to_owned()
    })
}

fn moment(text: &str, now: u64, zone: &TimeZone) -> Option<u64> {
    let nanoseconds = |time: Timestamp| u64::try_from(time.as_nanosecond()).ok();
    if let Ok(time) = text.parse::<Timestamp>() {
        return nanoseconds(time);
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return nanoseconds(time.to_zoned(zone.clone()).ok()?.timestamp());
    }
    // Not every day has 24 hours, but those of `3d` have.
    let ago = match text.strip_suffix('d') {
        Some(days) => SignedDuration::from_hours(days.parse::<u32>().ok()?.into()) * 24,
        None => text.parse::<SignedDuration>().ok()?,
    };
    now.checked_sub(u64::try_from(ago.as_nanos()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        const NOW: u64 = 1_769_860_800_000_000_000;
        const HOUR: u64 = 3_600_000_000_000;
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", Some(NOW)),
            ("2026-01-31T12:00:00+01:00", Some(NOW - HOUR)),
            ("2026-01-31 13:00", Some(NOW)),
            ("2026-01-31", Some(NOW - 13 * HOUR)),
            ("2h", Some(NOW - 2 * HOUR)),
            ("90m", Some(NOW - 90 * HOUR / 60)),
            ("3d", Some(NOW - 72 * HOUR)),
            ("-2h", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(moment(text, NOW, &zone), expected, "{text}");
        }
    }
}
