//! Rules files and the tests beside them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use monitor_policy::RulesFile;

use crate::cli::error::Error;
use crate::cli::policies::{self, Source};
use crate::default_policies;

/// A file with its name in messages.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) name: String,
    text: String,
}

/// Rules, in load order, and their tests.
#[derive(Debug)]
pub(super) struct Files {
    rules: Vec<Text>,
    pub(super) tests: Vec<Text>,
}

impl Text {
    /// The file as the policy crate takes it.
    pub(super) fn as_rules(&self) -> RulesFile<'_> {
        RulesFile {
            name: &self.name,
            text: &self.text,
        }
    }
}

impl Files {
    /// Reads `paths` and the tests beside what they name; without any the built-in policies. A
    /// file of tests stands for the rules beside it.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        if paths.is_empty() {
            return Ok(Self::built_in());
        }
        let paths: Vec<PathBuf> = paths.iter().map(|path| rules_of(path)).collect();
        let mut files = Self {
            rules: Vec::new(),
            tests: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for Source { path, text } in policies::read(&paths, policies::MOST_BYTES)? {
            let text = text.map_err(|source| Error::ReadPolicy {
                path: path.clone(),
                source,
            })?;
            let name = path.display().to_string();
            files.rules.push(Text { name, text });
            let tests = tests_of(&path);
            if tests.is_file() && seen.insert(tests.clone()) {
                files.tests.push(read(&tests)?);
            }
        }
        Ok(files)
    }

    fn built_in() -> Self {
        let texts = |files: &[RulesFile<'_>]| {
            let text = |file: &RulesFile<'_>| Text {
                name: file.name.to_owned(),
                text: file.text.to_owned(),
            };
            files.iter().map(text).collect()
        };
        Self {
            rules: texts(default_policies::FILES),
            tests: texts(default_policies::TESTS),
        }
    }

    /// The rules files as the policy crate takes them.
    pub(super) fn rules(&self) -> Vec<RulesFile<'_>> {
        self.rules.iter().map(Text::as_rules).collect()
    }
}

fn read(path: &Path) -> Result<Text, Error> {
    let text = fs::read(path).and_then(policies::decode);
    let text = text.map_err(|source| Error::ReadPolicy {
        path: path.to_owned(),
        source,
    })?;
    Ok(Text {
        name: path.display().to_string(),
        text,
    })
}

/// `NAME.test.yaml` for `NAME.yaml`, and the same for `yml`.
fn tests_of(rules: &Path) -> PathBuf {
    let end = rules.extension().unwrap_or("yaml".as_ref());
    rules.with_extension(Path::new("test").with_extension(end))
}

/// The rules that a file of tests is for; any other path is what it is.
fn rules_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = |end: &str| name.strip_suffix(end).map(str::to_owned);
    match (stem(".test.yaml"), stem(".test.yml")) {
        (Some(stem), _) => path.with_file_name(format!("{stem}.yaml")),
        (None, Some(stem)) => path.with_file_name(format!("{stem}.yml")),
        (None, None) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_tests_find_each_other() {
        for (rules, tests) in [("a/b.yaml", "a/b.test.yaml"), ("b.yml", "b.test.yml")] {
            assert_eq!(tests_of(Path::new(rules)), Path::new(tests));
            assert_eq!(rules_of(Path::new(tests)), Path::new(rules));
            assert_eq!(rules_of(Path::new(rules)), Path::new(rules));
        }
    }

    #[test]
    fn each_file_of_tests_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "a.test.yaml", "b.yaml"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let tests = folder.path().join("a.test.yaml");
        let files = Files::read(&[folder.path().to_owned(), tests.clone()]).unwrap();
        let names = |texts: &[Text]| -> Vec<String> {
            texts.iter().map(|text| text.text.clone()).collect()
        };
        assert_eq!(names(&files.rules), ["a.yaml", "b.yaml", "a.yaml"]);
        assert_eq!(names(&files.tests), ["a.test.yaml"]);
        fs::remove_file(tests).unwrap();
        let files = Files::read(&[folder.path().to_owned()]).unwrap();
        assert!(files.tests.is_empty());
    }
}
