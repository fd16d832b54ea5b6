//! An alert as Falco's text line, and the escaping that every text of ours goes through.

use std::fmt::Write as _;

use super::alert::Alert;
use super::time::TimeFormat;

/// `12:00:00.000000001: Warning text`, not escaped: the `output` of a JSON alert.
pub fn prefixed(alert: &Alert, format: &TimeFormat) -> String {
    format!(
        "{}: {} {}",
        format.format(alert.time),
        alert.priority,
        alert.output
    )
}

/// One line for one alert, without the line's end. Escaped as a JSON string's inside, as Falco
/// does, so that no field's value can start a line of its own.
pub fn line(alert: &Alert, format: &TimeFormat) -> String {
    let mut text = String::new();
    for character in prefixed(alert, format).chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            _ => push_visible(&mut text, character),
        }
    }
    text
}

/// Text that does nothing to a terminal but show itself: control characters, among them the C1
/// range, and characters that reorder what is shown are written as escapes.
pub fn visible(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        push_visible(&mut result, character);
    }
    result
}

fn push_visible(text: &mut String, character: char) {
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\u{8}' => text.push_str("\\b"),
        '\u{c}' => text.push_str("\\f"),
        _ if character.is_control() || is_reordering(character) => {
            _ = write!(text, "\\u{:04x}", u32::from(character));
        }
        _ => text.push(character),
    }
}

/// Line separators and the characters that let shown text differ from stored text ("Trojan
/// Source").
fn is_reordering(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::alert::tests::sample;
    use super::*;

    #[test]
    fn the_line_is_falcos() {
        let format = TimeFormat::TimeOfDay(TimeZone::UTC);
        assert_eq!(
            line(&sample(), &format),
            "12:00:00.000000001: Warning Shadow read | file=/etc/shadow parent=<NA> \
             container_name=web"
        );
        assert_eq!(
            line(
                &Alert {
                    output: "x".into(),
                    ..sample()
                },
                &TimeFormat::Iso8601
            ),
            "2026-01-31T12:00:00.000000001+0000: Warning x"
        );
    }

    #[test]
    fn values_cannot_leave_the_line() {
        let cases = [
            ("a\nb", r"a\nb"),
            ("a\r\t\u{8}\u{c}b", r"a\r\t\b\fb"),
            (r#"say "hi" c:\x"#, r#"say \"hi\" c:\\x"#),
            (
                "\u{1b}[2J\u{1b}]0;owned\u{7}",
                r"\u001b[2J\u001b]0;owned\u0007",
            ),
            (
                "nul\0del\u{7f}c1\u{9b}31m",
                r"nul\u0000del\u007fc1\u009b31m",
            ),
            ("\u{202e}txt.exe\u{2028}", r"\u202etxt.exe\u2028"),
            ("Grüße 漢字 \u{fffd}", "Grüße 漢字 \u{fffd}"),
        ];
        let format = TimeFormat::TimeOfDay(TimeZone::UTC);
        for (output, expected) in cases {
            let line = line(
                &Alert {
                    output: output.into(),
                    ..sample()
                },
                &format,
            );
            assert_eq!(line, format!("12:00:00.000000001: Warning {expected}"));
        }
        assert_eq!(visible("a\"b\\c\u{1b}"), "a\"b\\c\\u001b");
    }
}
