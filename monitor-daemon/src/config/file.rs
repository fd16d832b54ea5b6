//! `alerts.files`: files that get alerts, by name; read and written down again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_yaml::Value;

use super::file_keys::FILE_KEYS;
use super::outputs::{self, selection};
use super::value::{Bounded, FileBytes, PriorityName, scalar};
use crate::output::{Format, Selection};

const DEFAULT_MAX_BYTES: u64 = 100 << 20;
const DEFAULT_KEEP: u64 = 9;

/// A file that gets alerts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// `path`: lines are appended here. Reopened when the file was rotated away.
    pub path: PathBuf,
    /// `format`: their shape. Default `falco`.
    pub format: Format,
    /// `max_bytes`: longer files are rotated; by nobody here without. Default 100 MiB.
    pub max_bytes: Option<u64>,
    /// `keep`: how many of them there are besides the one that is written to. Default 9.
    pub keep: u64,
    /// `priority`, `tags`, `rules`: which alerts it gets.
    pub selection: Selection,
}

impl File {
    /// One that gets all alerts and is rotated by others, if at all.
    pub fn grows(path: PathBuf, format: Format) -> Self {
        Self {
            path,
            format,
            max_bytes: None,
            keep: DEFAULT_KEEP,
            selection: Selection::default(),
        }
    }

    /// Where the file is after it was rotated so often.
    pub fn rotated(path: &Path, times: u64) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{times}"));
        name.into()
    }

    /// Whether writing to both goes wrong.
    fn collides_with(&self, path: &Path) -> bool {
        let kept = 1..=self.max_bytes.map_or(0, |_| self.keep);
        self.path == path
            || kept
                .into_iter()
                .any(|n| Self::rotated(&self.path, n) == path)
    }
}

/// A file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawFile {
    path: Option<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    format: Option<Format>,
    #[serde(deserialize_with = "scalar")]
    max_bytes: Option<FileBytes>,
    #[serde(deserialize_with = "scalar")]
    keep: Option<Bounded<1, 1000>>,
    #[serde(deserialize_with = "scalar")]
    priority: Option<PriorityName>,
    tags: Vec<String>,
    rules: Vec<String>,
}

/// The files, or what is wrong with one of them; `main` is the one without a name.
pub(super) fn check(
    raw: BTreeMap<String, RawFile>,
    main: Option<&Path>,
) -> Result<BTreeMap<String, File>, String> {
    let files = outputs::check("alerts.files", raw, RawFile::into_file)?;
    for (name, file) in &files {
        let others = files.iter().filter(|(other, _)| *other != name);
        let mut others = others.map(|(_, other)| &*other.path).chain(main);
        if let Some(path) = others.find(|path| file.collides_with(path)) {
            return Err(format!(
                "`alerts.files.{name}` and another output both write to `{}`: give each a file of \
                 its own",
                path.display()
            ));
        }
    }
    Ok(files)
}

impl RawFile {
    fn into_file(self) -> Result<File, &'static str> {
        let path = self.path.filter(|path| !path.as_os_str().is_empty());
        Ok(File {
            path: path.ok_or("has no `path`")?,
            format: self.format.unwrap_or_default(),
            max_bytes: self.max_bytes.map_or(Some(DEFAULT_MAX_BYTES), |max| max.0),
            keep: self.keep.map_or(DEFAULT_KEEP, |keep| keep.0),
            selection: selection(self.priority, self.tags, self.rules, None),
        })
    }
}

/// The files as they are written in a configuration.
pub(super) fn to_yaml(files: &BTreeMap<String, File>) -> Value {
    outputs::to_yaml(files, &FILE_KEYS.iter().map(|key| key.name), value)
}

/// The default of a key.
pub(super) fn default(key: &str) -> Value {
    match key {
        "path" => Value::Null,
        "max_bytes" => DEFAULT_MAX_BYTES.into(),
        _ => value(&File::grows(PathBuf::new(), Format::default()), key),
    }
}

fn value(file: &File, key: &str) -> Value {
    match key {
        "path" => outputs::path(Some(&file.path)),
        "format" => file.format.name().into(),
        "max_bytes" => file.max_bytes.map_or_else(|| "off".into(), Value::from),
        "keep" => file.keep.into(),
        _ => outputs::selected(&file.selection, key).unwrap_or_default(),
    }
}
