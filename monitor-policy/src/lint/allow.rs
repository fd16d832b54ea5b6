//! Comments that silence warnings: `# monitor: allow CODE, CODE`.
//!
//! Directly above an item, or indented within it, such a comment silences the codes in this item.
//! Falco sees a comment. Words behind the codes may say why; one that looks like a code and is none
//! is told, since what it was to silence is not.

use std::ops::Range;

use crate::diagnostic::{Code, Severity};
use crate::nearest;
use crate::rules::{Finding, ItemRef};
use crate::source::Place;

/// What begins the comment, behind `#` and blanks.
const MARK: &str = "monitor:";
/// What follows it.
const VERB: &str = "allow";

/// What the comments of a file silence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    file: usize,
    /// Stretches of the file, and what is silenced there.
    items: Vec<(Range<usize>, Vec<Code>)>,
    /// Comments that say something else than their author means.
    findings: Vec<Finding>,
}

impl Allowed {
    /// Reads the comments of file number `file`, whose items begin at `starts`.
    pub(crate) fn new(file: usize, text: &str, starts: &[usize]) -> Self {
        let mut items = Vec::new();
        let mut findings = Vec::new();
        if memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).is_none() {
            return Self {
                file,
                items,
                findings,
            };
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
            if let Some(words) = comment(line) {
                let at = |word: Word<'_>| {
                    let start = range.start + word.0;
                    Place::new(file, &(start..start + word.1.len()))
                };
                let (codes, wrong) = codes(&words);
                waiting.extend(codes);
                findings.extend(wrong.into_iter().map(|(word, message, help)| {
                    Finding::new(Code::LintAllow, message, at(word)).with_hint(help)
                }));
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
        Self {
            file,
            items,
            findings,
        }
    }

    /// What is wrong with the comments themselves.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
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

/// A word and its offset in its line.
type Word<'t> = (usize, &'t str);

/// The words behind the mark, of a line that is such a comment.
fn comment(line: &str) -> Option<Vec<Word<'_>>> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start();
    let rest = rest.strip_prefix(MARK)?;
    let mut words = Vec::new();
    let mut offset = line.len() - rest.len();
    for word in rest.split([',', ' ', '\t', '\r', '\n']) {
        if !word.is_empty() {
            words.push((offset, word));
        }
        offset += word.len() + 1;
    }
    Some(words)
}

/// A word that is wrong, what is wrong with it, and what to write.
type Wrong<'t> = (Word<'t>, String, Option<String>);

/// The warnings that a comment silences, and what is wrong with it.
fn codes<'t>(words: &[Word<'t>]) -> (Vec<Code>, Vec<Wrong<'t>>) {
    let Some((verb, words)) = words.split_first() else {
        return (Vec::new(), Vec::new());
    };
    if verb.1 != VERB {
        let message = format!("`{}` is nothing that a comment can ask for", verb.1);
        let near = nearest::hint(verb.1, [VERB].into_iter());
        // Others may write comments that begin so.
        let wrong = near.map(|help| (*verb, message, Some(help)));
        return (Vec::new(), wrong.into_iter().collect());
    }
    let mut known = Vec::new();
    let mut wrong = Vec::new();
    for word in words {
        let name = word.1;
        match Code::from_name(name) {
            Some(code) if code.severity() == Severity::Warning => known.push(code),
            Some(_) => {
                let message = format!("`{name}` is an error, which cannot be silenced");
                wrong.push((*word, message, None));
            }
            None => wrong.extend(unknown(*word)),
        }
    }
    if known.is_empty() && wrong.is_empty() {
        let at = words.first().unwrap_or(verb);
        let message = "the comment names no warning, so that it silences none".to_owned();
        let help = "write `# monitor: allow CODE`; each warning shows its code".to_owned();
        wrong.push((*at, message, Some(help)));
    }
    (known, wrong)
}

/// A word that is not a code, unless it is part of a sentence.
fn unknown(word: Word<'_>) -> Option<Wrong<'_>> {
    let name = word.1;
    let shaped = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let looks_so = name.contains('_') && name.bytes().all(shaped);
    let warnings = Code::ALL.iter().map(|code| code.name());
    let near = nearest::hint(name, warnings);
    (looks_so || near.is_some()).then(|| (word, format!("there is no warning `{name}`"), near))
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
        assert!(allowed.findings().is_empty());
    }

    #[test]
    fn comments_that_silence_nothing_are_told() {
        let check = |comment: &str, expected: &[(&str, Option<&str>)]| {
            let text = format!("- a: b\n  {comment}\n");
            let allowed = Allowed::new(0, &text, &[0]);
            let found = allowed.findings().iter().map(|finding| {
                let Place { at, length } = finding.place;
                let start = at.offset as usize;
                (
                    text.get(start..start + length as usize).unwrap(),
                    finding.help.as_deref(),
                )
            });
            assert_eq!(found.collect::<Vec<_>>(), expected, "{comment}");
        };
        let meant = "did you mean `LINT_REDEFINED`?";
        check("# monitor: allow LINT_REDEFINED", &[]);
        check("# monitor: allow LINT_REDEFINED,LINT_EXEC_FD since X", &[]);
        check("#monitor: allow LINT_REDEFINED", &[]);
        check(
            "# monitor: allow LINT_REDEFINE",
            &[("LINT_REDEFINE", Some(meant))],
        );
        check("# é monitor: allow LINT_REDEFINE", &[]);
        check(
            "# monitor: allow lint_redefined",
            &[("lint_redefined", Some(meant))],
        );
        check(
            "# monitor: allow LINT_EXEC_FD, LINT_REDEFIND, OTHER_THING",
            &[("LINT_REDEFIND", Some(meant)), ("OTHER_THING", None)],
        );
        check(
            "# monitor: allow LOAD_ERR_VALIDATE",
            &[("LOAD_ERR_VALIDATE", None)],
        );
        check(
            "# monitor: alow LINT_EXEC_FD",
            &[("alow", Some("did you mean `allow`?"))],
        );
        check("# monitor: watches this host", &[]);
        let help = "write `# monitor: allow CODE`; each warning shows its code";
        check("# monitor: allow", &[("allow", Some(help))]);
        check("# monitor: allow this please", &[("this", Some(help))]);
    }
}
