//! Accepts flow collections that are indented less than YAML 1.2 asks for, as yaml-cpp does:
//!
//! ```yaml
//! - list: browsers
//!   items: [
//!     firefox
//!   ]
//! ```

/// The text with the line of `offset` joined to the one before it, length and offsets unchanged;
/// `None` when there is no line before it.
///
/// Within a flow collection a line end is as good as a blank. A comment before it would swallow
/// what follows and is blanked out.
pub(super) fn join_line(text: &str, offset: usize) -> Option<String> {
    let line_end = text.get(..offset)?.rfind('\n')?;
    let line_start = text.get(..line_end)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(line_start..line_end)?;
    let code = line.get(..comment(line).unwrap_or(line.trim_end_matches('\r').len()))?;
    let mut joined = String::with_capacity(text.len());
    joined.push_str(text.get(..line_start)?);
    joined.push_str(code);
    // Blanks take one byte where a comment's characters may take more: offsets count bytes.
    joined.extend(std::iter::repeat_n(' ', line.len() - code.len() + 1));
    joined.push_str(text.get(line_end + 1..)?);
    Some(joined)
}

/// Where a comment begins: at a `#` behind a blank, outside of quotes.
fn comment(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut previous = ' ';
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, '#') if previous.is_whitespace() => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character && previous != '\\' => quote = None,
            _ => {}
        }
        previous = character;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins() {
        let check = |text: &str, offset: usize, expected: Option<&str>| {
            assert_eq!(join_line(text, offset).as_deref(), expected, "{text:?}");
        };
        check("a: [b,\n]", 7, Some("a: [b, ]"));
        check("x\na: [b, # é\n]", 14, Some("x\na: [b,      ]"));
        check("a: [b,\r\n]", 8, Some("a: [b,  ]"));
        check("a: ['b # c',\n]", 13, Some("a: ['b # c', ]"));
        check("a", 0, None);
    }
}
