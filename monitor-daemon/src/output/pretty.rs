//! An alert for human eyes on a terminal.
//!
//! The first line has time, severity, rule and container; the output follows, indented, broken at
//! its ` | ` separators and at the terminal's width. Nothing but escaped text of an event reaches
//! the terminal, and what comes from an event is always indented or in brackets, so no value can
//! pass for another alert.

use std::fmt::Write as _;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use monitor_policy::Priority;
use serde_json::Value;

use super::alert::Alert;
use super::text::visible;
use super::time::TimeFormat;

const INDENT: &str = "    ";
const NARROWEST: usize = 40;

/// Whether text may be coloured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// Yes.
    On,
    /// No: `NO_COLOR` is set.
    Off,
}

impl Colour {
    /// What goes for a stream; `None` when it is no terminal.
    pub fn of(stream: &impl IsTerminal) -> Option<Self> {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        stream
            .is_terminal()
            .then_some(if refused { Self::Off } else { Self::On })
    }

    /// `text` in `style`, if colours are on.
    pub fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::On => format!("{style}{text}{style:#}"),
            Self::Off => text.to_owned(),
        }
    }
}

/// The alert, several lines, each ended; `width` is the terminal's, in columns.
pub(super) fn alert(alert: &Alert, time: &TimeFormat, width: usize, colour: Colour) -> String {
    let mut text = format!(
        "{} {} {}",
        colour.paint(
            Style::new().dimmed(),
            &milliseconds(&time.format(alert.time))
        ),
        colour.paint(
            severity(alert.priority),
            &format!("{:<9}", alert.priority.to_string())
        ),
        colour.paint(Style::new().bold(), &visible(&alert.rule)),
    );
    if let Some(container) = container(alert) {
        let style = AnsiColor::Magenta.on_default();
        let _ = write!(text, " {}", colour.paint(style, &format!("[{container}]")));
    }
    text.push('\n');
    for part in visible(&alert.output).split(" | ") {
        wrap(&mut text, part, width.max(NARROWEST), colour);
    }
    text
}

fn severity(priority: Priority) -> Style {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => {
            AnsiColor::Red.on_default().bold()
        }
        Priority::Error => AnsiColor::Red.on_default(),
        Priority::Warning => AnsiColor::Yellow.on_default(),
        Priority::Notice => AnsiColor::Cyan.on_default(),
        Priority::Informational => AnsiColor::Blue.on_default(),
        Priority::Debug => Style::new().dimmed(),
    }
}

/// Microseconds and nanoseconds are noise to the eye.
fn milliseconds(time: &str) -> String {
    let (seconds, rest) = time.split_once('.').unwrap_or((time, ""));
    let millis: String = rest.chars().take(3).collect();
    let zone: String = rest.chars().skip_while(char::is_ascii_digit).collect();
    format!("{seconds}.{millis}{zone}")
}

/// `name, image`, as far as known; `None` on the host.
fn container(alert: &Alert) -> Option<String> {
    let text = |field| {
        alert
            .field(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let id = text("container.id").filter(|id| *id != "host")?;
    let mut label = visible(text("container.name").unwrap_or(id));
    if let Some(repository) = text("container.image.repository") {
        let _ = write!(label, ", {}", visible(repository));
        if let Some(tag) = text("container.image.tag") {
            let _ = write!(label, ":{}", visible(tag));
        }
    }
    Some(label)
}

/// Breaks `part` between words; a word longer than the line is left to the terminal.
fn wrap(text: &mut String, part: &str, width: usize, colour: Colour) {
    let mut column = 0;
    for word in part.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= width {
            text.push(' ');
            column += 1 + length;
        } else {
            if column > 0 {
                text.push('\n');
            }
            text.push_str(INDENT);
            column = INDENT.len() + length;
        }
        push_word(text, word, colour);
    }
    text.push('\n');
}

/// The `name=` of a `name=value` steps back, and so does a value that is missing.
fn push_word(text: &mut String, word: &str, colour: Colour) {
    match word.split_once('=') {
        Some((name, "<NA>")) if is_name(name) => {
            text.push_str(&colour.paint(Style::new().dimmed(), word));
        }
        Some((name, value)) if is_name(name) => {
            text.push_str(&colour.paint(Style::new().dimmed(), &format!("{name}=")));
            text.push_str(value);
        }
        _ => text.push_str(word),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::alert::tests::sample;
    use super::*;

    fn show(shown: &Alert, width: usize, colour: Colour) -> String {
        alert(shown, &TimeFormat::TimeOfDay(TimeZone::UTC), width, colour)
    }

    #[test]
    fn plain_when_colours_are_off() {
        assert_eq!(
            show(&sample(), 120, Colour::Off),
            "12:00:00.000 Warning   Read shadow [web, nginx]\n    Shadow read\n    \
             file=/etc/shadow parent=<NA> container_name=web\n"
        );
    }

    #[test]
    fn host_alerts_have_no_brackets_and_pending_ones_the_id() {
        let with = |fields: &[(&str, &str)]| Alert {
            fields: fields
                .iter()
                .map(|(n, v)| ((*n).to_owned(), Value::from(*v)))
                .collect(),
            output: "x".into(),
            ..sample()
        };
        let cases = [
            (
                with(&[("container.id", "host"), ("container.name", "host")]),
                "shadow\n",
            ),
            (with(&[]), "shadow\n"),
            (with(&[("container.id", "3ad7")]), "shadow [3ad7]\n"),
            (
                with(&[
                    ("container.id", "3ad7"),
                    ("container.name", "db"),
                    ("container.image.repository", "postgres"),
                    ("container.image.tag", "16"),
                ]),
                "shadow [db, postgres:16]\n",
            ),
        ];
        for (alert, end) in cases {
            let text = show(&alert, 80, Colour::Off);
            assert!(text.contains(end), "{text}");
        }
    }

    #[test]
    fn long_outputs_are_broken_between_words() {
        let alert = Alert {
            output: format!("{} {}", "a".repeat(30), "b".repeat(30)),
            ..sample()
        };
        let text = show(&alert, 40, Colour::Off);
        assert!(text.ends_with(&format!("    {}\n    {}\n", "a".repeat(30), "b".repeat(30))));
    }

    #[test]
    fn colours_mark_severity_and_container() {
        let text = show(&sample(), 120, Colour::On);
        assert!(text.contains("\u{1b}[33mWarning  \u{1b}[0m"), "{text:?}");
        assert!(text.contains("\u{1b}[35m[web, nginx]\u{1b}[0m"), "{text:?}");
        assert!(
            text.contains("\u{1b}[2mfile=\u{1b}[0m/etc/shadow"),
            "{text:?}"
        );
    }

    /// What an attacker can name: files, arguments, containers.
    #[test]
    fn values_can_neither_command_the_terminal_nor_pass_for_an_alert() {
        let mut alert = sample();
        let evil = "x\u{1b}[2J\r\n12:00:00.000 Emergency Fake\u{9b}1m | 12:00:00.000 Fake";
        alert.output = format!("file={evil}");
        for (name, value) in &mut alert.fields {
            if name.starts_with("container.") {
                *value = Value::from(evil);
            }
        }
        let text = show(&alert, 500, Colour::Off);
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        let headers = text
            .lines()
            .filter(|line| !line.starts_with(INDENT))
            .count();
        assert_eq!(headers, 1, "{text}");
    }
}
