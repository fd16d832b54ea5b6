//! What `top` shows, as lines: pure, so that tests see what a user sees.

use anstyle::{AnsiColor, Style};

use super::rates::{Container, Loss, Rates, Rule};
use crate::metrics::OutputLoad;
use crate::output::{Colour, visible};

/// Room for lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Size {
    /// A terminal that does not tell.
    pub(super) const USUAL: Self = Self {
        columns: 80,
        rows: 24,
    };
    /// Everything is shown, as wide as on the usual terminal.
    pub(super) const UNBOUNDED: Self = Self {
        rows: usize::MAX,
        ..Self::USUAL
    };
    /// Below this a table makes no sense; what does not fit is cut by the terminal.
    const NARROWEST: usize = 80;
}

/// Losses that are shown when there is little room.
const LOSSES: usize = 5;

/// The same of outputs that have not all alerts.
const OUTPUTS: usize = 3;

/// All lines: figures of the daemon, outputs that are behind and losses if any, containers, rules.
pub(super) fn draw(rates: &Rates, size: Size, colour: Colour) -> Vec<String> {
    let table = Table {
        spare: size.columns.max(Size::NARROWEST) - Size::NARROWEST,
        colour,
    };
    let mut lines = table.head(rates);
    let behind = |output: &&OutputLoad| output.waiting > 0 || output.trouble.is_some();
    let behind: Vec<&OutputLoad> = rates.outputs.iter().filter(behind).collect();
    if !behind.is_empty() {
        lines.push(String::new());
        lines.extend(table.behind(&behind, room(size.rows, OUTPUTS)));
    }
    if !rates.losses.is_empty() {
        lines.push(String::new());
        lines.extend(table.losses(&rates.losses, room(size.rows, LOSSES)));
    }
    // Two empty lines and two headings.
    let left = size.rows.saturating_sub(lines.len() + 4);
    let containers = rates.containers.len().min(room(size.rows, left / 2));
    let rules = rates.rules.len().min(left.saturating_sub(containers));
    lines.push(String::new());
    lines.extend(table.containers(&rates.containers, containers));
    lines.push(String::new());
    lines.extend(table.rules(&rates.rules, rules));
    lines
}

/// A message instead of figures.
pub(super) fn wrapped(text: &str, size: Size) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in visible(text).split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() + 1 < size.columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// All rows where there is no end to the room.
fn room(rows: usize, limited: usize) -> usize {
    if rows == usize::MAX { rows } else { limited }
}

#[derive(Clone, Copy)]
struct Table {
    /// Columns beyond those of the narrowest terminal.
    spare: usize,
    colour: Colour,
}

impl Table {
    fn head(self, rates: &Rates) -> Vec<String> {
        let written: u64 = rates.outputs.iter().map(|output| output.written).sum();
        let lost = |what| -> u64 {
            let lost = rates.losses.iter().filter(|loss| loss.what == what);
            lost.map(|loss| loss.count).sum()
        };
        let docker = if rates.docker_up { "up" } else { "down" };
        let queues: Vec<String> = rates
            .outputs
            .iter()
            .map(|output| format!("{} {}", output.output, bytes(output.queue_bytes)))
            .collect();
        let first = format!(
            "monitor-daemon {}  pid {}  CPU {:.1} %  memory {}  docker {docker}",
            rates.version,
            rates.pid,
            rates.cpu_percent,
            bytes(rates.rss_bytes)
        );
        let second = format!(
            "{} events/s  {} events  {} alerts  lost {} events, {} alerts",
            number(rates.events_per_second),
            rates.events,
            written,
            lost("records"),
            lost("alerts")
        );
        let third = format!(
            "alert log {}{}  queues: {}  waiting for metadata {}",
            bytes(rates.log_bytes),
            if rates.log_failing { " (failing)" } else { "" },
            queues.join("  "),
            bytes(rates.waiting_bytes)
        );
        vec![
            self.colour.paint(Style::new().bold(), &self.whole(&first)),
            self.whole(&second),
            self.whole(&third),
        ]
    }

    fn containers(self, containers: &[Container], rows: usize) -> Vec<String> {
        let (name, image) = (24 + self.spare / 2, 29 + self.spare.div_ceil(2));
        let heading = format!(
            "{:<name$} {:<image$} {:>10} {:>13}",
            "CONTAINER", "IMAGE", "EVENTS/S", "EVENTS"
        );
        let row = |container: &Container| {
            let called = if container.name.is_empty() {
                &container.id
            } else {
                &container.name
            };
            format!(
                "{:<name$} {:<image$} {:>10} {:>13}",
                cut(called, name),
                cut(&container.image, image),
                number(container.per_second),
                container.events
            )
        };
        let rows = containers.iter().take(rows).map(row);
        std::iter::once(self.heading(&heading))
            .chain(rows)
            .collect()
    }

    fn rules(self, rules: &[Rule], rows: usize) -> Vec<String> {
        let name = 39 + self.spare;
        let heading = format!(
            "{:<name$} {:<9} {:>10} {:>9} {:>8}",
            "RULE", "PRIORITY", "MATCHES", "PER S", "COST %"
        );
        let row = |rule: &Rule| {
            format!(
                "{:<name$} {:<9} {:>10} {:>9} {:>8.3}",
                cut(&rule.name, name),
                cut(&rule.priority, 9),
                rule.matches,
                number(rule.matches_per_second),
                rule.cost_percent
            )
        };
        let rows = rules.iter().take(rows).map(row);
        std::iter::once(self.heading(&heading))
            .chain(rows)
            .collect()
    }

    fn losses(self, losses: &[Loss], rows: usize) -> Vec<String> {
        let of = 24 + self.spare;
        let heading = format!(
            "{:<8} {:<of$} {:<24} {:>10} {:>10}",
            "LOST", "OF", "REASON", "COUNT", "PER S"
        );
        let row = |loss: &Loss| {
            let line = format!(
                "{:<8} {:<of$} {:<24} {:>10} {:>10}",
                loss.what,
                cut(&loss.of, of),
                cut(&loss.reason, 24),
                loss.count,
                number(loss.per_second)
            );
            let red = AnsiColor::Red.on_default();
            self.colour.paint(red, &line)
        };
        let rows = losses.iter().take(rows).map(row);
        std::iter::once(self.heading(&heading))
            .chain(rows)
            .collect()
    }

    /// Outputs that do not have all alerts.
    fn behind(self, outputs: &[&OutputLoad], rows: usize) -> Vec<String> {
        let trouble = 36 + self.spare;
        let heading = format!(
            "{:<20} {:<trouble$} {:>10} {:>11}",
            "BEHIND", "TROUBLE", "ALERTS", "OLDEST"
        );
        let row = |output: &&OutputLoad| {
            format!(
                "{:<20} {:<trouble$} {:>10} {:>11}",
                cut(&output.output, 20),
                cut(output.trouble.as_deref().unwrap_or_default(), trouble),
                output.waiting,
                time(output.oldest_seconds)
            )
        };
        let rows = outputs.iter().take(rows).map(row);
        std::iter::once(self.heading(&heading))
            .chain(rows)
            .collect()
    }

    fn heading(self, text: &str) -> String {
        self.colour.paint(Style::new().invert(), text)
    }

    /// A line that is no row.
    fn whole(self, text: &str) -> String {
        cut(text, Size::NARROWEST + self.spare)
    }
}

/// At most `width` columns that do nothing to a terminal.
fn cut(text: &str, width: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= width {
        return text;
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Few digits: `0.4`, `12`, `1234`.
fn number(number: f64) -> String {
    if number == 0.0 || number >= 10.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KB", "MB", "GB"];
    let mut amount = bytes as f64;
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        if amount < 1000.0 || units.peek().is_none() {
            return format!("{amount:.0} {unit}");
        }
        amount /= 1000.0;
    }
    format!("{bytes} B")
}

/// As long as two units tell: `7 s`, `3 min 20 s`, `26 h 3 min`.
fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Sort;
    use super::*;
    use crate::metrics::{ContainerLoad, RecordLoss, RuleLoad, Top};

    fn container(id: &str, name: &str, image: &str, events: u64) -> ContainerLoad {
        ContainerLoad {
            id: id.into(),
            name: name.into(),
            image: image.into(),
            events,
        }
    }

    fn rule(name: &str, priority: &str, matches: u64, seconds: f64) -> RuleLoad {
        RuleLoad {
            rule: name.into(),
            priority: priority.into(),
            matches,
            seconds,
        }
    }

    fn before() -> Top {
        Top {
            version: "1.2.3".into(),
            pid: 7,
            taken_ms: 1_000,
            cpu_seconds: 1.0,
            records: 1_000,
            containers: vec![container("aaaa", "web", "nginx:1", 100)],
            rules: vec![
                rule("Cheap and loud", "Notice", 1, 0.1),
                rule("Dear", "Informational", 0, 0.2),
            ],
            ..Top::default()
        }
    }

    fn now() -> Top {
        let lost = [("queue_full".to_owned(), 4)];
        Top {
            taken_ms: 3_000,
            cpu_seconds: 1.05,
            rss_bytes: 57_300_000,
            docker_up: true,
            waiting_bytes: 1_500,
            records: 5_000,
            records_lost: vec![RecordLoss {
                kind: "open".into(),
                reason: "ring_full".into(),
                count: 12,
            }],
            containers: vec![
                container("host", "host", "", 900),
                container("bbbb", "", "", 3),
                container("aaaa", "web", "nginx:1", 3_100),
            ],
            rules: vec![
                rule("Cheap and loud", "Notice", 41, 0.1),
                rule("Dear\u{1b}[2J", "Informational", 0, 0.2),
            ],
            log_bytes: 7_200_000,
            outputs: vec![
                OutputLoad {
                    output: "stdout".into(),
                    written: 41,
                    lost: BTreeMap::from(lost),
                    ..OutputLoad::default()
                },
                OutputLoad {
                    output: "http.siem".into(),
                    waiting: 1234,
                    oldest_seconds: 7500,
                    trouble: Some("HTTP 503 Service Unavailable: the server is away".into()),
                    ..OutputLoad::default()
                },
            ],
            ..before()
        }
    }

    const SCREEN: &str = "\
monitor-daemon 1.2.3  pid 7  CPU 2.5 %  memory 57 MB  docker up
2000 events/s  5000 events  41 alerts  lost 12 events, 4 alerts
alert log 7 MB  queues: stdout 0 B  http.siem 0 B  waiting for metadata 2 KB

BEHIND               TROUBLE                                  ALERTS      OLDEST
http.siem            HTTP 503 Service Unavailable: the s…       1234   2 h 5 min

LOST     OF                       REASON                        COUNT      PER S
records  open                     ring_full                        12        6.0
alerts   stdout                   queue_full                        4        2.0

CONTAINER                IMAGE                           EVENTS/S        EVENTS
web                      nginx:1                             1500          3100
host                                                          450           900
bbbb                                                          1.5             3

RULE                                    PRIORITY     MATCHES     PER S   COST %
Dear\\u001b[2J                           Informat…          0         0   10.000
Cheap and loud                          Notice            41        20    0.000";

    #[test]
    fn everything_fits_eighty_columns() {
        let rates = Rates::between(&before(), &now(), Sort::Cost);
        let lines = draw(&rates, Size::UNBOUNDED, Colour::Off);
        assert_eq!(lines.join("\n"), SCREEN);
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        let coloured = draw(&rates, Size::USUAL, Colour::On).join("\n");
        assert!(coloured.contains("\u{1b}[31mrecords  open"), "{coloured:?}");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut now = now();
        now.records_lost.clear();
        now.outputs.clear();
        now.containers = (0..50)
            .map(|number| container(&format!("c{number}"), "", "", number))
            .collect();
        now.rules = (0..50)
            .map(|number| rule(&format!("r{number}"), "Notice", number, 0.0))
            .collect();
        let rates = Rates::between(&before(), &now, Sort::Matches);
        for rows in [3, 8, 24, 25] {
            let size = Size { columns: 100, rows };
            let lines = draw(&rates, size, Colour::Off);
            assert!(lines.len() <= rows.max(7), "{rows}: {lines:#?}");
        }
        let lines = draw(&rates, Size::USUAL, Colour::Off);
        assert_eq!(lines.len(), 24);
        let starts = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!((starts("c"), starts("r")), (8, 9));
        assert!(
            lines.iter().any(|line| line.starts_with("r49 ")),
            "{lines:#?}"
        );
    }

    #[test]
    fn rules_are_sorted_as_asked_and_another_daemon_starts_anew() {
        let rates = Rates::between(&before(), &now(), Sort::Matches);
        let first = rates.rules.first().map(|rule| &*rule.name);
        assert_eq!(first, Some("Cheap and loud"));
        let other = Top { pid: 8, ..now() };
        let rates = Rates::between(&before(), &other, Sort::Cost);
        assert!((rates.events_per_second, rates.events) == (0.0, 5_000));
    }

    #[test]
    fn a_message_is_wrapped() {
        let size = Size {
            columns: 12,
            rows: 5,
        };
        assert_eq!(wrapped("no daemon answers", size), ["no daemon", "answers"]);
    }
}
