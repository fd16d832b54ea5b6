//! What a rule author sees: each `diagnostics/NAME.yaml` has a mistake, `NAME.txt` what is said
//! about it, word for word.
//!
//! `# file: NAME` within a case begins another file that is loaded after the ones before. With
//! `UPDATE_EXPECT=1` the texts are written anew; they are to be read before they are committed.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use monitor_policy::{Color, Field, LintGroup, LintOptions, Options, RulesFile, load};

/// The files of a case: name and text.
fn files(case: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in case.split_inclusive('\n') {
        match (line.strip_prefix("# file: "), files.last_mut()) {
            (Some(name), _) => files.push((name.trim().to_owned(), String::new())),
            (None, Some((_, text))) => text.push_str(line),
            (None, None) => files.push(("rules.yaml".to_owned(), line.to_owned())),
        }
    }
    files
}

fn rendered(case: &str) -> String {
    let files = files(case);
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    let options = Options {
        lint: LintOptions {
            group: LintGroup::Likely,
            unfilled: &[Field::ProcStdinName],
            told: None,
        },
        ..Options::default()
    };
    let loaded = load(&files, &options);
    loaded
        .files
        .iter()
        .map(|file| file.render(Color::Never))
        .collect()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = fs::read_dir(folder).expect("the folder");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    cases.sort();
    cases
}

#[test]
fn what_is_said() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let case = fs::read_to_string(&path).expect("a case");
        let found = rendered(&case);
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, found).expect("the expected text");
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
