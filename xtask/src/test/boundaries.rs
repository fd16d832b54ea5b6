//! The column "May not" of ARCHITECTURE.md, as a check: which module may name what, and which
//! crate may depend on which.
//!
//! Looks at paths in code, not at types: a module that wants a file has to write `std::fs`
//! somewhere. Tests are free, and so are comments.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{list, metadata, text};

/// What files below some paths may not name.
struct Boundary {
    /// Paths of files or folders.
    within: &'static [&'static str],
    /// Of those, what is exempt.
    except: &'static [&'static str],
    /// Starts of paths in code.
    forbidden: &'static [&'static str],
    why: &'static str,
}

const IO: [&str; 11] = [
    "aya",
    "rustix",
    "std::env",
    "std::fs",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "tokio",
    "std::{",
];

const CLOCKS: [&str; 4] = [
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
];

const PURE: &[&str] = &[
    "monitor-daemon/src/container/cgroup_path.rs",
    "monitor-daemon/src/container/index",
    "monitor-daemon/src/container/index.rs",
    "monitor-daemon/src/container/metadata.rs",
    "monitor-daemon/src/event",
    "monitor-daemon/src/process/mod.rs",
    "monitor-daemon/src/process/table.rs",
    "monitor-daemon/src/record.rs",
    "monitor-daemon/src/rollup",
    "monitor-policy/src",
];

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        within: PURE,
        except: &[],
        forbidden: &IO,
        why: "it is pure: input and output are done at the edges",
    },
    Boundary {
        within: PURE,
        except: &[],
        forbidden: &CLOCKS,
        why: "it is pure: the time is an argument",
    },
    Boundary {
        within: &["monitor-daemon/src"],
        except: &["monitor-daemon/src/probe"],
        forbidden: &["aya", "aya_obj"],
        why: "only `probe` knows aya",
    },
    Boundary {
        within: &["monitor-daemon/src"],
        except: &["monitor-daemon/src/alert_log"],
        forbidden: &["rusqlite"],
        why: "only `alert_log` knows SQLite",
    },
    Boundary {
        within: &["monitor-daemon/src"],
        except: &["monitor-daemon/src/cli/selftest"],
        forbidden: &["monitor_acts"],
        why: "only `selftest` acts as evading programs do",
    },
    Boundary {
        within: &["monitor-daemon/src/probe"],
        except: &[],
        forbidden: &["crate::record", "crate::event", "crate::process"],
        why: "`probe` does not interpret records",
    },
    Boundary {
        within: &["monitor-daemon/src/record.rs"],
        except: &[],
        forbidden: &["crate::"],
        why: "decoding knows nothing of what records mean",
    },
    Boundary {
        within: &["monitor-daemon/src/watch"],
        // Which lets records gather.
        except: &["monitor-daemon/src/watch/pace.rs"],
        forbidden: &["std::fs", "std::net", "std::thread::sleep", "thread::sleep"],
        why: "the loop waits for nobody",
    },
];

/// A crate of ours, and crates that it may not depend on; `monitor-` means all with that start.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("monitor-acts", &["aya", "monitor-", "tokio", "rustix"]),
    ("monitor-common", &["aya", "monitor-", "tokio", "rustix"]),
    ("monitor-freeze", &["aya", "monitor-", "tokio", "rustix"]),
    ("monitor-memory", &["aya", "monitor-", "tokio", "rustix"]),
    ("monitor-policy", &["aya", "monitor-", "tokio", "rustix"]),
    ("monitor-unacked", &["aya", "monitor-", "tokio", "rustix"]),
    ("monitor-daemon", &["monitor-tests"]),
    ("xtask", &["monitor-"]),
];

/// What a source file names although it may not.
pub(super) fn findings_in(path: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for boundary in BOUNDARIES
        .iter()
        .filter(|boundary| boundary.holds_for(path))
    {
        for (number, line) in code(text) {
            let named = boundary.forbidden.iter().find(|name| names(line, name));
            findings.extend(named.map(|name| {
                let path = path.display();
                format!("{path}:{number}: names `{name}`: {}", boundary.why)
            }));
        }
    }
    findings
}

/// Dependencies between crates that may not be.
pub(super) fn findings_between_crates() -> Result<Vec<String>> {
    Ok(between_crates(&metadata()?))
}

fn between_crates(metadata: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(package, "name").unwrap_or_default();
        let rules = DEPENDENCIES.iter().filter(|(of, _)| *of == name);
        for forbidden in rules.flat_map(|(_, forbidden)| forbidden.iter()) {
            let fits = |found: &&str| match forbidden.strip_suffix('-') {
                Some(_) => found.starts_with(forbidden),
                None => found == forbidden,
            };
            let dependencies = list(package, "dependencies").iter();
            let found = dependencies
                .filter_map(|one| text(one, "name"))
                .filter(fits);
            findings.extend(found.map(|found| format!("{name} may not depend on {found}")));
        }
    }
    findings
}

impl Boundary {
    fn holds_for(&self, path: &Path) -> bool {
        let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        let is_test = path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
        below(self.within) && !below(self.except) && !is_test
    }
}

/// The lines of a file without comments, up to its own tests; tests in a file of their own may be
/// declared anywhere.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| *line != "mod tests {")
        .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
}

/// Whether a line of code has `name` as the start of a path.
fn names(line: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ends_open = name.ends_with(|c: char| !part_of_name(c));
    line.match_indices(name).any(|(start, _)| {
        let (before, found) = line.split_at(start);
        let after = found.strip_prefix(name).unwrap_or_default();
        let fresh = !before.ends_with(part_of_name) && !before.ends_with(['"', '`', '.']);
        // A crate's name alone may be any word: only a path or an import counts.
        let is_path = name.contains(':')
            || after.starts_with("::")
            || (before.trim_end().ends_with("use") && after.starts_with([';', ' ']));
        fresh && is_path && (ends_open || !after.starts_with(part_of_name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        findings_in(Path::new(path), text)
    }

    #[test]
    fn what_is_pure_names_no_files_and_no_clock() {
        let text = "//! Says `std::fs`.\nuse std::fs;\n// std::fs\nlet now = Instant::now();\n";
        assert_eq!(
            check("monitor-daemon/src/record.rs", text),
            [
                "monitor-daemon/src/record.rs:2: names `std::fs`: it is pure: input and output \
                 are done at the edges",
                "monitor-daemon/src/record.rs:4: names `Instant::now`: it is pure: the time is an \
                 argument",
            ]
        );
        assert!(check("monitor-daemon/src/users.rs", text).is_empty());
        assert_eq!(
            check("monitor-policy/src/a/b.rs", "use std::{fs, io};\n").len(),
            1
        );
    }

    #[test]
    fn tests_are_free() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    use tokio::sync;\n}\n";
        assert!(check("monitor-daemon/src/event/filled.rs", text).is_empty());
        let text = "#[cfg(test)]\nmod tests;\n\nuse tokio::sync;\n";
        assert_eq!(check("monitor-daemon/src/event/mod.rs", text).len(), 1);
        assert!(check("monitor-daemon/src/event/tests/calls.rs", "use std::fs;\n").is_empty());
    }

    #[test]
    fn only_one_module_knows_aya() {
        assert_eq!(
            check("monitor-daemon/src/watch/mod.rs", "use aya::Ebpf;\n").len(),
            1
        );
        assert!(check("monitor-daemon/src/probe/mod.rs", "use aya::Ebpf;\n").is_empty());
        for line in ["let aya = 1;", "let my_aya::x", "print(\"aya::x\")"] {
            assert!(
                check("monitor-daemon/src/watch/mod.rs", line).is_empty(),
                "{line}"
            );
        }
    }

    #[test]
    fn crates_depend_in_one_direction() {
        let metadata = serde_json::json!({"packages": [
            {"name": "monitor-policy", "dependencies": [{"name": "tokio"}, {"name": "tokio-x"}]},
            {"name": "xtask", "dependencies": [{"name": "monitor-common"}, {"name": "clap"}]},
        ]});
        assert_eq!(
            between_crates(&metadata),
            [
                "monitor-policy may not depend on tokio",
                "xtask may not depend on monitor-common"
            ]
        );
    }
}
