//! The tables' form: groups of calls, which one process each does in order.
//!
//! ```text
//! == group
//! label: [6.6] name 268 306 ARGUMENT …
//! <tab>ENOENT|0 evt.args, as the record has to tell them
//! <tab>& field=value; field=value
//! <tab>~ KIND: evt.args, or nothing -- why
//! ```
//!
//! The last is what is told in place of it where the object tier serves that kind of records.
//!
//! The numbers are those of x86-64 and of i386, `-` for none. Arguments are as in `bin/calls.c`,
//! with labels for lines. `{a|b}` is `a` for 64 bits and `b` for 32. A version is the kernel's
//! first with that call: before, the result is ENOSYS. Results are errors, numbers, or `+` for any
//! success. Expected text has `$res` for the result, `$dir` for the working directory, `$pid`,
//! `@label` for a result, `%label` for one in hexadecimal, and `*` for anything. A name `-` is that
//! of a call that no rule asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};

/// Which calls: those of programs of 64 bits, or of 32.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Abi {
    Wide,
    Narrow,
}

/// The calls of one process.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) lines: Vec<Line>,
}

/// One line of the process's script.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) label: Option<String>,
    /// Name of the call, if it is one.
    pub(super) call: Option<String>,
    /// What the program reads.
    pub(super) script: String,
    /// What has to be told of it; `None` for what no rule asks for.
    pub(super) expected: Option<Expected>,
}

#[derive(Debug)]
pub(super) struct Expected {
    /// The first kernel that has the call.
    pub(super) since: Option<(u32, u32)>,
    results: Vec<String>,
    arguments: String,
    pub(super) fields: Vec<(String, String)>,
    /// What is told on the object tier, if it is something else.
    object: Option<Object>,
}

#[derive(Debug)]
struct Object {
    /// The kind of records that has to be that tier's.
    kind: String,
    /// `None` for nothing at all.
    arguments: Option<String>,
}

impl Expected {
    /// Whether a call may end so, in a kernel of this version.
    pub(super) fn allows(&self, kernel: (u32, u32), result: &str) -> bool {
        if self.since.is_some_and(|since| kernel < since) {
            return result == "ENOSYS";
        }
        let allowed =
            |allowed: &String| allowed == result || (allowed == "+" && is_success(result));
        self.results.iter().any(allowed)
    }

    /// What `evt.args` has to tell; `None` when nothing is told at all.
    pub(super) fn arguments(&self, objects: &Objects) -> Option<&str> {
        let object = self.object.as_ref();
        match object.filter(|object| objects.served.contains(&object.kind)) {
            Some(object) => match &object.arguments {
                None if objects.made_up_for.contains(&object.kind) => Some(&self.arguments),
                arguments => arguments.as_deref(),
            },
            None => Some(&self.arguments),
        }
    }

    /// Whether it is a row of a call's success.
    pub(super) fn may_succeed(&self) -> bool {
        self.results.iter().any(|result| is_success(result))
    }

    /// Whether it is a row of a call's failure.
    pub(super) fn may_fail(&self) -> bool {
        self.results.iter().any(|result| !is_success(result))
    }
}

fn is_success(result: &str) -> bool {
    result == "+" || result.bytes().all(|byte| byte.is_ascii_digit())
}

/// The kinds that the object tier serves, and those of them where the ends of calls tell what it did
/// not.
pub(super) struct Objects {
    pub(super) served: Vec<String>,
    pub(super) made_up_for: Vec<String>,
}

/// Names of the calls that a table asks for.
pub(super) fn calls(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| is_row(line));
    let names = rows.filter_map(|line| {
        let mut words = line.split(' ').filter(|word| !is_mark(word));
        words.next().filter(|name| !["-", "="].contains(name))
    });
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn is_row(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['#', '\t']) && !line.starts_with("== ")
}

fn is_mark(word: &str) -> bool {
    word.ends_with(':') || word.starts_with('[')
}

/// The groups of a table, with the lines that an ABI has.
pub(super) fn groups(table: &str, abi: Abi) -> Result<Vec<Group>> {
    let table = chosen(table, abi);
    let mut groups: Vec<Group> = Vec::new();
    let mut labels = BTreeMap::new();
    let mut left_out = false;
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            labels.clear();
            groups.push(Group {
                name: name.to_owned(),
                lines: Vec::new(),
            });
            continue;
        }
        if let Some(expected) = line.strip_prefix('\t') {
            if !left_out {
                let lines = &mut groups.last_mut().context("no group")?.lines;
                expect(lines.last_mut().context(expected.to_owned())?, expected)?;
            }
            continue;
        }
        if !is_row(line) {
            continue;
        }
        let lines = &mut groups.last_mut().context("no group")?.lines;
        let row = row(line, abi, &labels).with_context(|| line.to_owned())?;
        left_out = row.is_none();
        if let Some(row) = row {
            if let Some(label) = &row.label {
                labels.insert(label.clone(), lines.len());
            }
            lines.push(row);
        }
    }
    groups.retain(|group| group.lines.iter().any(|line| line.expected.is_some()));
    Ok(groups)
}

/// One side of each `{a|b}`.
fn chosen(table: &str, abi: Abi) -> String {
    let mut parts = table.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (choice, rest) = part.split_once('}').unwrap_or((part, ""));
        let (wide, narrow) = choice.split_once('|').unwrap_or((choice, choice));
        text.push_str(if abi == Abi::Wide { wide } else { narrow });
        text.push_str(rest);
    }
    text
}

/// One call; `None` when the ABI does not have it.
fn row(line: &str, abi: Abi, labels: &BTreeMap<String, usize>) -> Result<Option<Line>> {
    let (label, rest) = match line.split_once(": ") {
        Some((label, rest)) => (Some(label.to_owned()), rest),
        None => (None, line),
    };
    if let Some(value) = rest.strip_prefix("= ") {
        let script = format!("= {}", with_labels(value, labels)?);
        return Ok(Some(Line {
            label,
            call: None,
            script,
            expected: None,
        }));
    }
    let (silent, rest) = match rest.strip_prefix("- ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (since, rest) = match rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((version, rest)) => (Some(self::version(version)?), rest),
        None => (None, rest),
    };
    let mut words = rest.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (call, wide, narrow, arguments) = (word(), word(), word(), word());
    let number = if abi == Abi::Wide { wide } else { narrow };
    if number == "-" {
        return Ok(None);
    }
    ensure!(
        number.parse::<u32>().is_ok(),
        "no number of a call: {number}"
    );
    let script = format!("{number} {}", with_labels(arguments, labels)?);
    let expected = (!silent).then(|| Expected {
        since,
        results: Vec::new(),
        arguments: String::new(),
        fields: Vec::new(),
        object: None,
    });
    Ok(Some(Line {
        label,
        call: Some(call.to_owned()),
        script: script.trim_end().to_owned(),
        expected,
    }))
}

/// What a row has to tell, or more of it.
fn expect(line: &mut Line, text: &str) -> Result<()> {
    let expected = line.expected.as_mut().context("nothing is asked for")?;
    if let Some(fields) = text.strip_prefix("& ") {
        for field in fields.split("; ") {
            let (name, value) = field.split_once('=').context(field.to_owned())?;
            expected.fields.push((name.to_owned(), value.to_owned()));
        }
        return Ok(());
    }
    if let Some(other) = text.strip_prefix("~ ") {
        let (other, _why) = other.split_once(" -- ").context("no reason")?;
        let (kind, arguments) = other.split_once(": ").context("no kind")?;
        expected.object = Some(Object {
            kind: kind.to_owned(),
            arguments: (arguments != "nothing").then(|| arguments.to_owned()),
        });
        return Ok(());
    }
    let (results, arguments) = text.split_once(' ').unwrap_or((text, ""));
    expected.results = results.split('|').map(str::to_owned).collect();
    arguments.clone_into(&mut expected.arguments);
    Ok(())
}

/// Replaces labels by the numbers of their lines.
fn with_labels(arguments: &str, labels: &BTreeMap<String, usize>) -> Result<String> {
    let mut parts = arguments.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([' ', ']']).unwrap_or(part.len());
        let (label, rest) = part.split_at(end);
        let Some(number) = labels.get(label) else {
            bail!("no line before has the label `{label}`");
        };
        let _ = write!(text, "@{number}{rest}");
    }
    Ok(text)
}

/// Major and minor number.
pub(super) fn version(text: &str) -> Result<(u32, u32)> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    let version = number().zip(number());
    version.with_context(|| format!("no version: {text}"))
}
