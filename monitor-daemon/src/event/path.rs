//! The readings of a path: as passed, as the kernel resolved it, and where a file lies that a mount
//! shows elsewhere.
//!
//! As passed means made absolute from the working directory or the descriptor's directory and
//! cleaned of `.`, `..` and `//` without looking at the disk: what Falco shows. A rule that holds
//! in any reading fires.

use std::borrow::Cow;

use monitor_common::Slot;
use monitor_policy::{View, text};

use super::ends::is_unix;
use crate::record::{Body, Record};

/// x86-64 numbers of `mount` and `chdir`.
const MOUNT: u32 = 165;
const CHDIR: u32 = 80;

/// Paths of one event, per view.
#[derive(Debug, Default)]
pub(super) struct Paths<'a> {
    /// The path acted on; for links the new name.
    main: Views<'a>,
    /// Target of a link.
    target: Views<'a>,
}

#[derive(Debug, Default)]
struct Views<'a> {
    passed: Cow<'a, [u8]>,
    /// `None` when it does not differ.
    resolved: Option<Cow<'a, [u8]>>,
    /// `None` when it does not differ from the others.
    original: Option<&'a [u8]>,
}

impl Views<'_> {
    fn get(&self, view: View) -> &[u8] {
        match (view, &self.original, &self.resolved) {
            (View::Original, Some(original), _) => original,
            (View::Original | View::Resolved, _, Some(resolved)) => resolved,
            _ => &self.passed,
        }
    }

    const fn differ(&self, view: View) -> bool {
        match view {
            View::Passed => true,
            View::Resolved => self.resolved.is_some(),
            View::Original => self.original.is_some(),
        }
    }
}

impl<'a> Paths<'a> {
    pub(super) fn of(record: &Record<'a>) -> Self {
        match record.body() {
            Body::Open(_) | Body::Passed(_) => Self {
                main: main(record),
                target: Views::default(),
            },
            // What is mounted need not be a file.
            Body::Control(body) if body.syscall == MOUNT => Self {
                main: main(record),
                target: Views {
                    passed: Cow::Borrowed(record.string(Slot::Target)),
                    resolved: other(record, record.string(Slot::Target)),
                    original: None,
                },
            },
            Body::Call(body) if body.syscall == CHDIR && body.ret >= 0 => Self {
                main: entered(record),
                target: Views::default(),
            },
            Body::Link(_)
            | Body::Remove(_)
            | Body::Rename(_)
            | Body::Mode(_)
            | Body::Mkdir(_)
            | Body::Call(_)
            | Body::Control(_) => {
                let target = absolute(record, Slot::TargetBase, Slot::Target);
                Self {
                    main: main(record),
                    target: Views {
                        resolved: other(record, &target),
                        passed: target,
                        original: None,
                    },
                }
            }
            Body::Symlink(_) => symlink(record),
            Body::Connect(body) if is_unix(body) => Self {
                main: socket_file(record),
                target: Views::default(),
            },
            _ => Self::default(),
        }
    }

    /// Whether any path reads differently in a view than in those before it.
    pub(super) const fn differ(&self, view: View) -> bool {
        self.main.differ(view) || self.target.differ(view)
    }

    pub(super) fn main(&self, view: View) -> &[u8] {
        self.main.get(view)
    }

    pub(super) fn target(&self, view: View) -> &[u8] {
        self.target.get(view)
    }
}

/// The second path as the kernel had it, where that is another one.
fn other<'a>(record: &Record<'a>, passed: &[u8]) -> Option<Cow<'a, [u8]>> {
    let resolved = record.string(Slot::TargetResolved);
    let differs = !resolved.is_empty() && resolved != passed;
    differs.then_some(Cow::Borrowed(resolved))
}

/// The file of the socket that was connected to. As passed it is the text of the address, as in
/// Falco.
fn socket_file<'a>(record: &Record<'a>) -> Views<'a> {
    let passed = record.string(Slot::Passed);
    let resolved = record.string(Slot::Resolved);
    let differs = !resolved.is_empty() && resolved != passed;
    Views {
        passed: Cow::Borrowed(passed),
        resolved: differs.then_some(Cow::Borrowed(resolved)),
        original: None,
    }
}

/// A symlink's target is text until somebody follows it. As passed it is that text; the resolved
/// view reads it from where the link lies.
fn symlink<'a>(record: &Record<'a>) -> Paths<'a> {
    let main = main(record);
    let target = record.string(Slot::Target);
    let directory = parent(main.get(View::Resolved));
    let followed = text::clean_path(directory, target);
    let resolved = (followed != target).then_some(Cow::Owned(followed));
    Paths {
        main,
        target: Views {
            passed: Cow::Borrowed(target),
            resolved,
            original: None,
        },
    }
}

fn main<'a>(record: &Record<'a>) -> Views<'a> {
    let resolved = record.string(Slot::Resolved);
    let mut passed = absolute(record, Slot::Base, Slot::Passed);
    if passed.is_empty() {
        passed = Cow::Borrowed(resolved);
    }
    let differs = !resolved.is_empty() && resolved != &*passed;
    let original = record.string(Slot::Original);
    let lies_elsewhere = !original.is_empty() && original != resolved && original != &*passed;
    Views {
        resolved: differs.then_some(Cow::Borrowed(resolved)),
        passed,
        original: lies_elsewhere.then_some(original),
    }
}

/// The directory that a process is in since the call.
fn entered<'a>(record: &Record<'a>) -> Views<'a> {
    let (passed, now) = (record.string(Slot::Passed), record.string(Slot::Cwd));
    if !passed.starts_with(b"/") {
        return Views {
            passed: Cow::Borrowed(now),
            ..Views::default()
        };
    }
    let passed = text::clean_path(b"", passed);
    Views {
        resolved: (passed != now).then_some(Cow::Borrowed(now)),
        passed: Cow::Owned(passed),
        original: None,
    }
}

/// The passed path made absolute; empty when nothing was passed or it could not be read.
fn absolute<'a>(record: &Record<'a>, base: Slot, path: Slot) -> Cow<'a, [u8]> {
    let path = record.string(path);
    let base = record.string(base);
    if path.is_empty() {
        return Cow::Borrowed(base);
    }
    let start = if base.is_empty() {
        record.string(Slot::Cwd)
    } else {
        base
    };
    let resolved = record.string(Slot::Resolved);
    if is_clean(path) {
        Cow::Borrowed(path)
    } else if is_clean(resolved) && is_joined(resolved, start, path) {
        // Most paths below a working directory are what they resolve to: no new text is made.
        Cow::Borrowed(resolved)
    } else {
        Cow::Owned(text::clean_path(start, path))
    }
}

/// Whether a path is absolute and cleaning would leave it as it is.
fn is_clean(path: &[u8]) -> bool {
    let Some(below) = path.strip_prefix(b"/") else {
        return false;
    };
    let mut components = below.split(|byte| *byte == b'/');
    below.is_empty() || components.all(|name| !matches!(name, b"" | b"." | b".."))
}

/// Whether a path is another one below a directory, letter by letter.
fn is_joined(whole: &[u8], directory: &[u8], path: &[u8]) -> bool {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    let below = whole.strip_prefix(directory);
    below.and_then(|below| below.strip_prefix(b"/")) == Some(path)
}

/// Everything before the last `/`; `/` itself for files in the root.
pub(super) fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        None => b"",
        Some(0) => b"/",
        Some(end) => path.get(..end).unwrap_or_default(),
    }
}

/// Everything after the last `/`.
pub(super) fn basename(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_paths_are_those_that_cleaning_leaves_alone() {
        for path in [
            "/", "/a", "/a/b", "/a/..b", "", "a", "/a/", "//a", "/a//b", "/.", "/a/../b",
        ] {
            let clean = text::clean_path(b"", path.as_bytes());
            assert_eq!(
                is_clean(path.as_bytes()),
                clean == path.as_bytes(),
                "{path}"
            );
        }
    }

    #[test]
    fn joined_paths_are_the_directory_and_the_path() {
        let check = |whole: &str, directory: &str, path: &str, expected: bool| {
            let joined = is_joined(whole.as_bytes(), directory.as_bytes(), path.as_bytes());
            assert_eq!(joined, expected, "{whole} {directory} {path}");
        };
        check("/srv/a", "/srv", "a", true);
        check("/srv/a", "/srv/", "a", true);
        check("/a", "/", "a", true);
        check("/srva", "/srv", "a", false);
        check("/srv/b", "/srv", "a", false);
    }
}
