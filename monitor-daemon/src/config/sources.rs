//! Where a configuration comes from: the main file and, beside it, `conf.d`.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::error::{ConfigError, Place};
use super::raw::RawConfig;

/// Folder of additions, beside the main file.
pub const FOLDER: &str = "conf.d";
/// Most bytes of a file: a hundred times what one with every key takes.
const SIZE_MAX: u64 = 1024 * 1024;
/// Most brackets open at once. No key needs more than two, and the parser's time grows with the
/// square of them.
const DEPTH_MAX: usize = 64;

/// A file that was read and is right on its own.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    values: Mapping,
}

impl Source {
    /// Reads `text`.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        check_depth(file, text)?;
        // Read twice: once for errors that say where, once for what can be merged.
        RawConfig::parse(file, text)?;
        let values: Option<Mapping> =
            serde_yaml::from_str(text).map_err(|error| ConfigError::from_yaml(file, &error))?;
        Ok(Self {
            file: file.to_owned(),
            values: values.unwrap_or_default(),
        })
    }

    /// Whether it gives a value to a dotted key.
    pub(super) fn sets(&self, key: &str) -> bool {
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        match self.values.get(section) {
            Some(Value::Mapping(section)) if !name.is_empty() => section.contains_key(name),
            found => found.is_some(),
        }
    }
}

/// Reads the main file and what lies beside it, in the order in which later ones win. `path`
/// must exist if it was `named`.
pub(super) fn read(path: &Path, named: Named) -> Result<Vec<Source>, ConfigError> {
    let mut sources = Vec::new();
    match read_text(path) {
        Ok(text) => sources.push(Source::parse(path, &text)?),
        Err(error) if named == Named::Default && error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(unreadable(path, source)),
    }
    for file in additions(&path.with_file_name(FOLDER))? {
        let text = read_text(&file).map_err(|source| unreadable(&file, source))?;
        sources.push(Source::parse(&file, &text)?);
    }
    Ok(sources)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    file.take(SIZE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        let limit = format!("it has more than {SIZE_MAX} bytes, which is no configuration");
        return Err(io::Error::new(ErrorKind::FileTooLarge, limit));
    }
    Ok(text)
}

fn check_depth(file: &Path, text: &str) -> Result<(), ConfigError> {
    let mut depth = 0_usize;
    for (number, line) in (1..).zip(text.lines()) {
        for (column, character) in (1..).zip(line.chars()) {
            match character {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEPTH_MAX {
                return Err(ConfigError::Text {
                    file: file.to_owned(),
                    place: Place(Some((number, column))),
                    message: format!("more than {DEPTH_MAX} brackets are open: close some"),
                });
            }
        }
    }
    Ok(())
}

/// Who chose the main file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Named {
    /// The user: it must exist.
    ByUser,
    /// Nobody: without it there are defaults.
    Default,
}

/// All sources as one: key by key the last one wins, lists are replaced.
pub(super) fn merge(sources: &[Source]) -> Result<RawConfig, ConfigError> {
    let mut merged = Mapping::new();
    for source in sources {
        add(&mut merged, &source.values);
    }
    // Each part was read before; there is no place in the whole that an error could name.
    let file = sources
        .first()
        .map_or(Path::new(FOLDER), |source| &source.file);
    serde_yaml::from_value(merged.into()).map_err(|error| ConfigError::from_yaml(file, &error))
}

fn add(merged: &mut Mapping, values: &Mapping) {
    for (key, value) in values {
        match (merged.get_mut(key), value) {
            (Some(Value::Mapping(section)), Value::Mapping(values)) => add(section, values),
            _ => _ = merged.insert(key.clone(), value.clone()),
        }
    }
}

fn additions(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => return Err(unreadable(folder, source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let end = path.extension().unwrap_or_default();
        if (end == "yaml" || end == "yml") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(file: &Path, source: io::Error) -> ConfigError {
    ConfigError::Read {
        file: file.to_owned(),
        source,
    }
}
