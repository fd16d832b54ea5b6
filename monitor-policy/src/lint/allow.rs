//! Comments that silence warnings: `# monitor: allow CODE, CODE`.
//!
//! Directly above an item, or indented within it, such a comment silences the codes in this item.
//! Falco sees a comment.

use std::ops::Range;

use crate::diagnostic::{Code, Severity};
use crate::rules::{Finding, ItemRef};
use crate::source::Place;

/// What begins the comment, behind `#` and blanks.
const MARK: &str = "monitor: allow ";

/// What the comments of a file silence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    file: usize,
    /// Stretches of the file, and what is silenced there.
    items: Vec<(Range<usize>, Vec<Code>)>,
}

impl Allowed {
    /// Reads the comments of file number `file`, whose items begin at `starts`.
    pub(crate) fn new(file: usize, text: &str, starts: &[usize]) -> Self {
        let mut items = Vec::new();
        if memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).is_none() {
            return Self { file, items };
        }
        let mut offset = 0;
        let mut waiting: Vec<Code> = Vec::new();
        let mut next = 0;
        for line in text.split_inclusive('\n') {
            let range = offset..offset + line.len();
            offset = range.end;
            while starts.get(next).is_some_and(|start| range.contains(start)) {
                let whole = stretch(starts, next, text.len());
                items.push((whole, std::mem::take(&mut waiting)));
                next += 1;
            }
            let trimmed = line.trim();
            if let Some(codes) = comment(trimmed) {
                waiting.extend(codes);
            } else if !trimmed.is_empty() && !trimmed.starts_with('#') {
                // The comments above stand within an item.
                if let Some((_, codes)) = items.last_mut() {
                    codes.append(&mut waiting);
                }
            }
        }
        if let Some((_, codes)) = items.last_mut() {
            codes.append(&mut waiting);
        }
        items.retain(|(_, codes)| !codes.is_empty());
        Self { file, items }
    }

    /// Whether a comment silences a finding.
    pub(crate) fn covers(&self, finding: &Finding) -> bool {
        let item = finding.item.as_deref().map(|item: &ItemRef| item.place);
        finding.code.severity() == Severity::Warning
            && [Some(finding.place), item]
                .into_iter()
                .flatten()
                .any(|place| self.covers_place(finding.code, place))
    }

    fn covers_place(&self, code: Code, place: Place) -> bool {
        let offset = place.at.offset as usize;
        place.file() == self.file
            && self
                .items
                .iter()
                .any(|(range, codes)| range.contains(&offset) && codes.contains(&code))
    }
}

fn stretch(starts: &[usize], index: usize, end: usize) -> Range<usize> {
    let start = starts.get(index).copied().unwrap_or(end);
    start..starts.get(index + 1).copied().unwrap_or(end)
}

/// The codes of a line that is such a comment.
fn comment(line: &str) -> Option<impl Iterator<Item = Code>> {
    let codes = line.strip_prefix('#')?.trim_start().strip_prefix(MARK)?;
    let words = codes.split([',', ' ']);
    Some(words.filter_map(|word| Code::from_name(word.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_items() {
        let text = "\
# monitor: allow LINT_NO_PERCENT, LOAD_UNUSED_LIST
# another word
- a: b

# monitor: allow LINT_NEVER_TRUE

- c: d
  # monitor: allow LINT_EXEC_FD
  e: f
- g: h
";
        let starts: Vec<usize> = ["a: b", "c: d", "g: h"]
            .iter()
            .map(|item| text.find(item).unwrap())
            .collect();
        let allowed = Allowed::new(0, text, &starts);
        let codes: Vec<_> = allowed.items.iter().map(|item| item.1.clone()).collect();
        assert_eq!(
            codes,
            [
                vec![Code::LintNoPercent, Code::UnusedList],
                vec![Code::LintNeverTrue, Code::LintExecFd],
            ]
        );
        assert_eq!(allowed.items[1].0, starts[1]..starts[2]);
    }
}
