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
use crate::output::{JsonFormat, TimeFormat, visible};

/// Time between two looks of `--follow`.
const LOOK: Duration = Duration::from_millis(250);

const HELP: &str = "\
Times are RFC 3339 (2026-01-31T12:00:00Z), the host's own without a zone (2026-01-31, 2026-01-31
12:00), or how long ago (90m, 2h, 3d).

`alerts verify` goes along the hashes of all alerts: who changed or removed one is found out, unless
he changed all later ones too. Note the hash that it prints elsewhere, and that is found out as well.

The table says between two alerts, too, which numbers the log never got: it could not be written, or
there was no room. `alerts verify --format json` has all of these.

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
    /// How alerts are printed: text, a table; json, an object a line.
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
    let mut shape: Box<dyn Shape> = match arguments.format {
        Format::Json => Box::new(JsonFormat {
            properties: config.json,
            time: TimeFormat::Iso8601,
        }),
        Format::Text => Box::new(Table::default()),
    };
    loop {
        let mut printed = Ok(());
        let mut from = query.from;
        let gaps = reader.gaps(from)?;
        reader.find(&query, |entry| {
            from = entry.sequence + 1;
            if printed.is_ok() {
                let mut text = Vec::new();
                printed = shape
                    .write(&entry, &gaps, &mut text)
                    .and_then(|()| io::stdout().write_all(&text));
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

/// How alerts are shown, in the order of their numbers.
trait Shape {
    /// Appends the next to `text`; `gaps` are the numbers that no alert of the log has.
    fn write(&mut self, entry: &Entry, gaps: &[(u64, u64)], text: &mut Vec<u8>) -> io::Result<()>;
}

impl Shape for JsonFormat {
    fn write(&mut self, entry: &Entry, _: &[(u64, u64)], text: &mut Vec<u8>) -> io::Result<()> {
        self.write_line(entry, text)
    }
}

/// A row an alert, and one for what was never written between two.
#[derive(Default)]
struct Table {
    /// Number of the last row.
    last: Option<u64>,
}

impl Shape for Table {
    fn write(&mut self, entry: &Entry, gaps: &[(u64, u64)], text: &mut Vec<u8>) -> io::Result<()> {
        let Entry {
            sequence, alert, ..
        } = entry;
        let Some(last) = self.last.replace(*sequence) else {
            let heading = ["NUMBER", "TIME", "PRIORITY", "RULE", "ALERT"];
            row(heading, text)?;
            return self.write(entry, gaps, text);
        };
        for (first, end) in gaps {
            if last < *first && end < sequence {
                let lost = format!("{} alerts were never written", end - first + 1);
                row([&format!("{first}-{end}"), "", "", "", &lost], text)?;
            }
        }
        let time = TimeFormat::Iso8601.format(alert.time);
        row(
            [
                &sequence.to_string(),
                &time,
                &alert.priority.to_string(),
                &visible(&alert.rule),
                &visible(&alert.output),
            ],
            text,
        )
    }
}

fn row([number, time, priority, rule, alert]: [&str; 5], text: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        text,
        "{number:>8}  {time:34}  {priority:13}  {rule:36}  {alert}"
    )
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
    use crate::alert_log::LogId;
    use crate::output::sample;

    #[test]
    fn the_table_shows_what_was_never_written() {
        let mut table = Table::default();
        let mut text = Vec::new();
        for sequence in [3, 4, 9] {
            let mut alert = sample();
            alert.output = format!("number {sequence}\n");
            let entry = Entry {
                sequence,
                log: LogId::default(),
                alert,
            };
            let gaps = [(1, 2), (5, 8), (10, 10)];
            table.write(&entry, &gaps, &mut text).unwrap();
        }
        let text = String::from_utf8(text).unwrap();
        let cells: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect();
        let time = "2026-01-31T12:00:00.000000001+0000";
        let alert = |number, text| vec![number, time, "Warning", "Read shadow", text];
        assert_eq!(
            cells,
            [
                vec!["NUMBER", "TIME", "PRIORITY", "RULE", "ALERT"],
                alert("3", "number 3\\n"),
                alert("4", "number 4\\n"),
                vec!["5-8", "4 alerts were never written"],
                alert("9", "number 9\\n"),
            ]
        );
    }

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
