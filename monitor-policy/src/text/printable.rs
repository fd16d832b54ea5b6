//! Bytes as text that a line of output can carry.

use std::fmt::Write as _;

/// Printable ASCII as it is, dots for the rest.
pub fn printable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| {
        if matches!(byte, b' '..=b'~') {
            char::from(*byte)
        } else {
            '.'
        }
    };
    bytes.iter().map(shown).collect()
}

/// Text as the inside of a JSON string: quotes, backslashes and control characters escaped,
/// invalid UTF-8 replaced by U+FFFD.
pub fn escape_json(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\u{8}' => escaped.push_str("\\b"),
            '\u{c}' => escaped.push_str("\\f"),
            control if u32::from(control) < 0x20 || control == '\u{7f}' => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(printable(b"a b\n\xff~"), "a b..~");
        assert_eq!(
            escape_json(b"say \"hi\"\\\n\x1b[0m"),
            "say \\\"hi\\\"\\\\\\n\\u001b[0m"
        );
        assert_eq!(escape_json(b"\xff"), "\u{fffd}");
    }
}
