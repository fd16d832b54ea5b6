//! The status line at the bottom of a terminal.

use std::time::Instant;

use anstyle::{AnsiColor, Style};

use super::pretty::Colour;

/// Figures of the running daemon, given about once a second.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// When the figures were taken.
    pub at: Instant,
    /// Events since start.
    pub kept: u64,
    /// Events lost since start.
    pub lost: u64,
    /// Running containers.
    pub containers: u64,
    /// Rules loaded and enabled.
    pub rules: u64,
}

impl Status {
    /// One line of at most `width` columns; the rate is over the time since `previous`.
    pub fn line(&self, previous: Option<&Self>, width: usize, colour: Colour) -> String {
        let lost = format!("{} lost", grouped(self.lost));
        let parts = [
            format!("{} events/s", grouped(self.rate(previous))),
            format!("{} kept", grouped(self.kept)),
            lost.clone(),
            counted(self.containers, "container"),
            counted(self.rules, "rule"),
        ];
        let line: String = parts
            .join("  ")
            .chars()
            .take(width.saturating_sub(1))
            .collect();
        let dimmed = Style::new().dimmed();
        match line.split_once(&lost) {
            Some((before, after)) if self.lost > 0 => [
                colour.paint(dimmed, before),
                colour.paint(AnsiColor::Red.on_default().bold(), &lost),
                colour.paint(dimmed, after),
            ]
            .concat(),
            _ => colour.paint(dimmed, &line),
        }
    }

    fn rate(&self, previous: Option<&Self>) -> u64 {
        let Some(previous) = previous else { return 0 };
        let seconds = self.at.saturating_duration_since(previous.at).as_secs_f64();
        if seconds <= 0.0 {
            return 0;
        }
        (self.kept.saturating_sub(previous.kept) as f64 / seconds).round() as u64
    }
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn shows_rate_and_totals() {
        let start = Instant::now();
        let before = Status {
            at: start,
            kept: 1_000,
            lost: 0,
            containers: 1,
            rules: 1,
        };
        let now = Status {
            at: start + Duration::from_millis(500),
            kept: 1_235_000,
            lost: 7,
            containers: 12,
            rules: 81,
        };
        let cases = [
            (
                before.line(None, 80, Colour::Off),
                "0 events/s  1,000 kept  0 lost  1 container  1 rule",
            ),
            (
                now.line(Some(&before), 80, Colour::Off),
                "2,468,000 events/s  1,235,000 kept  7 lost  12 containers  81 rules",
            ),
            (
                now.line(Some(&before), 20, Colour::Off),
                "2,468,000 events/s ",
            ),
            (before.line(Some(&before), 11, Colour::Off), "0 events/s"),
        ];
        for (line, expected) in cases {
            assert_eq!(line, expected);
        }
        let coloured = now.line(Some(&before), 80, Colour::On);
        assert!(
            coloured.contains("\u{1b}[1m\u{1b}[31m7 lost\u{1b}[0m"),
            "{coloured:?}"
        );
    }
}
