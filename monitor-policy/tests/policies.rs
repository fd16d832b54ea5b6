//! The policies that are shipped: they load without a warning, one by one and together, their
//! tests pass, and every rule has tests that could fail.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use monitor_policy::{
    Color, EventType, Matching, Options, Policy, RulesFile, Scratch, Silent, SuggestedOutput, load,
    read_cases,
};

/// Names and texts of the files whose names end so, in the order in which they are loaded.
fn files(end: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut files: Vec<(String, String)> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let fits = name.strip_suffix(end)?.find('.').is_none();
            fits.then(|| (name, std::fs::read_to_string(&path).expect("its text")))
        })
        .collect();
    files.sort();
    files
}

fn policies() -> Vec<(String, String)> {
    files(".yaml")
}

fn load_quietly(files: &[(String, String)]) -> Policy {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    let options = Options {
        matching: Matching::All,
        suggested_output: SuggestedOutput::Omit,
        ..Options::default()
    };
    let loaded = load(&files, &options);
    let said: String = loaded
        .files
        .iter()
        .map(|file| file.render(Color::Never))
        .collect();
    assert_eq!(said, "");
    loaded.policy.expect("it loads")
}

#[test]
fn load_without_warnings() {
    let files = policies();
    let single: usize = files
        .iter()
        .map(|file| load_quietly(std::slice::from_ref(file)).rules().len())
        .sum();
    let all = load_quietly(&files);
    assert_eq!(all.rules().len(), single, "no rule replaces another");
    assert!(single >= 40);
}

/// Each file loads alone, so files define the same macros and lists; loaded together, the last
/// definition goes for all.
#[test]
fn say_the_same_under_the_same_name() {
    let mut known: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (file, text) in policies() {
        for item in text.split("\n- ").skip(1) {
            let (head, body) = item.split_once('\n').unwrap_or((item, ""));
            if head.starts_with("rule: ") {
                continue;
            }
            let body: Vec<&str> = body
                .lines()
                .take_while(|line| line.starts_with(' '))
                .collect();
            let body = body.join("\n");
            let (first, same) = known
                .entry(head.to_owned())
                .or_insert_with(|| (file.clone(), body.clone()));
            assert_eq!(same, &body, "`{head}` in {first} and {file}");
        }
    }
    assert!(known.contains_key("macro: in_container"));
}

/// Event types that every supported kernel delivers.
const EVENTS: &[&str] = &[
    "execve",
    "execveat",
    "open",
    "openat",
    "openat2",
    "creat",
    "open_by_handle_at",
    "connect",
    "socket",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "truncate",
    "ftruncate",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "mknod",
    "mknodat",
    "chdir",
    "chroot",
    "mount",
    "fsmount",
    "move_mount",
    "open_tree",
    "init_module",
    "finit_module",
    "setns",
    "unshare",
    "clone",
    "clone3",
    "ptrace",
    "process_vm_writev",
    "cgroup_move",
    "dns",
    "fd_receive",
    "bpf",
];

#[test]
fn ask_only_for_what_is_delivered() {
    let policy = load_quietly(&policies());
    let known: BTreeSet<_> = EVENTS.iter().copied().collect();
    let used: BTreeSet<_> = policy.event_types().iter().map(EventType::name).collect();
    assert!(used.is_subset(&known), "{used:?}");
    for rule in policy.rules() {
        let tagged = |start: &str| rule.tags.iter().any(|tag| tag.starts_with(start));
        assert!(tagged("mitre_") && tagged("T1"), "{}", rule.name);
        assert!(rule.description.len() > 40, "{}", rule.name);
    }
}

#[test]
fn pass_their_tests() {
    let files_of_rules = policies();
    let policy = load_quietly(&files_of_rules);
    let mut scratch = Scratch::default();
    let mut fired = BTreeSet::new();
    let mut silent = BTreeSet::new();
    let tests = files(".test.yaml");
    assert_eq!(tests.len(), files_of_rules.len());
    for (name, text) in &tests {
        let file = RulesFile { name, text };
        let cases = read_cases(file, &policy).map_err(|report| report.render(Color::Never));
        for case in cases.expect("tests that can be read") {
            let mismatches = case.judge(&policy, &mut scratch);
            assert_eq!(mismatches, [], "{name}:{}: {}", case.line, case.name);
            fired.extend(case.fires);
            if let Silent::These(rules) = case.silent {
                silent.extend(rules);
            }
        }
    }
    let rules: BTreeSet<String> = policy
        .rules()
        .iter()
        .map(|rule| rule.name.clone())
        .collect();
    assert_eq!(fired, rules, "every rule has an event that makes it fire");
    assert_eq!(silent, rules, "every rule has a near miss");
}
