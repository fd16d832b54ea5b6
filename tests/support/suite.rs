//! A suite of this checkout inside of a guest: the same test executable, below the same paths, with
//! the programs of this machine that its cases call.
//!
//! Cases need no change for that. What a guest has not (dockerd, QEMU, Prometheus) a case finds
//! out itself, and skips with its reason; [`Results`] counts those.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::tree::Tree;
use crate::wait::SLOWER;
use crate::{paths, skip, unrun, vm};

/// Packages whose programs the cases call; busybox stands in for all others.
const PACKAGES: [&str; 15] = [
    "bash",
    "dash",
    "coreutils",
    "findutils",
    "grep",
    "sed",
    "tar",
    "procps",
    "util-linux",
    "bsdutils",
    "mount",
    "perl-base",
    "iproute2",
    "logrotate",
    "bpftool",
];
const LEFT_OUT: [&str; 4] = ["/usr/share", "/etc/", "/var/", "/usr/sbin/agetty"];

/// Where the checkout lies before the guest mounts it where the executable looks for it.
const CHECKOUT: &str = "/checkout";
const RULES: &str = "/rules";

/// What the cases of a suite came to.
#[derive(Debug, Default)]
pub struct Results {
    /// Cases that did what they are about and passed.
    pub passed: Vec<String>,
    /// Cases that failed.
    pub failed: Vec<String>,
    /// Cases that skipped, with their reasons.
    pub skipped: BTreeMap<String, String>,
    /// Of cases in which the kernel left out runs of programs that tell of calls, how many.
    pub unrun: BTreeMap<String, u64>,
    /// What `doctor --programs --format json` said before.
    pub programs: Value,
    /// How long each case that ran took, the longest first.
    pub slowest: Vec<(Duration, String)>,
}

/// Why no suite can run in a guest with the kernel `series`, if so.
pub fn obstacle(series: &str) -> Option<String> {
    vm::obstacle(series)
        .or_else(|| skip::without(&["dpkg-query", "ldd", "strip", "perl"]))
        .or_else(|| paths::daemon().err().map(|error| error.to_string()))
}

/// The guest's files: `suite` is the test executable, beside whose folder the programs lie that
/// cases start.
///
/// # Errors
///
/// When something cannot be copied.
pub fn tree(suite: &Path) -> Result<Tree> {
    let tree = Tree::busybox()?;
    for package in PACKAGES {
        tree.package(package, &LEFT_OUT)?;
    }
    for file in ["/etc/passwd", "/etc/group", "/etc/services"] {
        if Path::new(file).is_file() {
            tree.file(file, std::fs::read(file)?)?;
        }
    }
    tree.file("/etc/hosts", "127.0.0.1 localhost\n")?
        .file("/etc/hostname", "guest\n")?
        .folder("/var/log")?
        .folder("/var/tmp")?;
    let folder = tempfile::tempdir()?;
    let stripped = folder.path().join("stripped");
    let daemon = paths::daemon()?;
    let programs = programs(suite)?;
    let all = programs.iter().map(PathBuf::as_path);
    for program in all.chain([daemon.as_path(), suite]) {
        // Debug information would be most of the guest's memory.
        let mut strip = Command::new("strip");
        let done = strip.arg("-o").arg(&stripped).arg(program).status();
        ensure!(done.context("cannot start strip")?.success(), "{strip:?}");
        tree.program(&in_checkout(program)?, &stripped)?;
    }
    for folder in ["policies", "packaging", "docs", "tests/e2e", "tests/bin"] {
        tree.copy(&format!("{CHECKOUT}/{folder}"), &paths::root().join(folder))?;
    }
    if let Some(rules) = paths::upstream_rules() {
        tree.copy(RULES, &rules)?;
    }
    Ok(tree)
}

/// Runs the suite in a guest with the kernel `series` and one CPU, one case after the other: those that have one
/// of `only` in their names, all if it is empty, but none of `left_out`.
///
/// # Errors
///
/// When the guest does not come to an end `within` the time, or the suite does not.
pub fn run(
    series: &str,
    tree: &Tree,
    suite: &Path,
    [only, left_out]: [&[&str]; 2],
    within: Duration,
) -> Result<Results> {
    let root = paths::root();
    let beside = root.parent().unwrap_or(root).join("shared/falco/rules");
    let skips = left_out.iter().map(|name| format!("--skip {name}"));
    let selection: Vec<String> = only
        .iter()
        .copied()
        .map(str::to_owned)
        .chain(skips)
        .collect();
    let script = format!(
        "mkdir -p {root} {beside}\n\
         mount --bind {CHECKOUT} {root}\n\
         [ ! -d {RULES} ] || mount --bind {RULES} {beside}\n\
         cd {root}/tests\n\
         monitor={root}/target/release/monitor-daemon\n\
         echo '== programs'; $monitor doctor --programs --format json\n\
         echo '== suite'\n\
         export PATH=/usr/sbin:/usr/bin:/sbin:/bin RUST_BACKTRACE=0 {SLOWER}=4\n\
         {suite} --test-threads=1 --show-output {selection}\n",
        root = root.display(),
        beside = beside.display(),
        suite = suite.display(),
        selection = selection.join(" "),
    );
    let output = vm::run_on(1, series, tree, &script, within)?;
    let (before, text) = output.text.split_once("== suite\n").unwrap_or_default();
    let (_, programs) = before.split_once("== programs\n").unwrap_or_default();
    ensure!(
        text.contains("test result: "),
        "the suite did not come to its end; the kernel's console:\n{}",
        output.console
    );
    let programs = serde_json::from_str(programs).with_context(|| programs.to_owned())?;
    Ok(Results {
        programs,
        slowest: slowest(&output.text, &output.times),
        ..read(text)
    })
}

/// The programs of this package, as far as they are built.
fn programs(suite: &Path) -> Result<Vec<PathBuf>> {
    let built = suite.parent().and_then(Path::parent);
    let built = built.context("the suite has no folder")?;
    let manifest = std::fs::read_to_string(paths::root().join("tests/Cargo.toml"))?;
    let sections = manifest.split("[[bin]]").skip(1);
    let names = sections.filter_map(|section| {
        let (_, name) = section.split_once("name = \"")?;
        Some(name.split_once('"')?.0)
    });
    let paths = names.map(|name| built.join(name));
    Ok(paths.filter(|path| path.is_file()).collect())
}

/// Where a file of the target folder lies in the guest's copy.
fn in_checkout(program: &Path) -> Result<String> {
    let inner: PathBuf = program.strip_prefix(paths::root())?.to_owned();
    Ok(format!("{CHECKOUT}/{}", inner.display()))
}

/// What libtest printed, with the lines of cases that skip.
fn read(text: &str) -> Results {
    let mut results = Results::default();
    let mut speaks = None;
    for line in text.lines() {
        let heading = line.strip_prefix("---- ");
        if let Some(name) = heading.and_then(|rest| rest.strip_suffix(" stdout ----")) {
            speaks = Some(name);
        }
        if let (Some(count), Some(name)) = (unrun::told(line), speaks) {
            *results.unrun.entry(name.to_owned()).or_default() += count;
        }
        if let Some((_, skip)) = line.split_once("SKIP: ") {
            if let Some((path, reason)) = skip.split_once(": ") {
                // The first part is the suite's own name.
                let name = path.split_once("::").map_or(path, |(_, name)| name);
                results.skipped.insert(name.to_owned(), reason.to_owned());
            }
        } else if let Some(case) = line.strip_prefix("test ") {
            match case.rsplit_once(" ... ") {
                Some((name, "ok")) => results.passed.push(name.to_owned()),
                Some((name, "FAILED")) => results.failed.push(name.to_owned()),
                _ => {}
            }
        }
    }
    let skipped = &results.skipped;
    results.passed.retain(|name| !skipped.contains_key(name));
    results
}

/// From one case's line to the next.
fn slowest(text: &str, times: &[Duration]) -> Vec<(Duration, String)> {
    let mut before = Duration::ZERO;
    let mut slowest = Vec::new();
    for (line, time) in text.lines().zip(times) {
        if let Some((name, _)) = line
            .strip_prefix("test ")
            .and_then(|case| case.split_once(" ... "))
        {
            slowest.push((time.saturating_sub(before), name.to_owned()));
        }
        before = *time;
    }
    slowest.sort_by(|one, other| other.cmp(one));
    slowest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_no_passes() {
        let text = "running 3 tests\n\
                    test a::one ... ok\n\
                    test a::two ... ok\n\
                    test b::three ... FAILED\n\
                    ---- a::two stdout ----\n\
                    SKIP: e2e::a::two: needs `dockerd`; run this: that\n\
                    ---- b::three stdout ----\n\
                    runs left out by the kernel: 200\n\
                    runs left out by the kernel: 28\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored\n";
        let results = read(text);
        assert_eq!(results.unrun, [("b::three".to_owned(), 228)].into());
        assert_eq!(results.passed, ["a::one"]);
        assert_eq!(results.failed, ["b::three"]);
        let reason = "needs `dockerd`; run this: that".to_owned();
        assert_eq!(results.skipped, [("a::two".to_owned(), reason)].into());
    }

    #[test]
    fn a_case_takes_what_is_between_two_lines() {
        let text = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\ntest result: FAILED.\n";
        let times = [1, 3, 9, 20, 21].map(Duration::from_secs);
        let found = slowest(text, &times);
        let expected = [(6, "b"), (2, "a")]
            .map(|(seconds, name)| (Duration::from_secs(seconds), name.to_owned()));
        assert_eq!(found, expected);
    }
}
