//! The licences of the crates that are linked into the program: most ask that their text goes
//! with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::setup::STATIC_TARGET;
use crate::shell;

/// Names of the files that hold a crate's licence, in capitals.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// All linked crates with their licences, and every text once.
pub(super) fn of_dependencies() -> Result<String> {
    let linked = linked()?;
    let mut list = String::from(
        "monitor-daemon contains musl (MIT), Rust's standard library (MIT OR Apache-2.0), and these \
         crates:\n\n",
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages()? {
        let field = |name| {
            package
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let name = format!("{} {}", field("name"), field("version"));
        // Crates of the workspace have no source.
        if field("source").is_empty() || !linked.contains(&name) {
            continue;
        }
        let _ = writeln!(list, "{name}: {}", field("license"));
        let folder = Path::new(field("manifest_path")).parent();
        for text in texts_in(folder.context("a manifest has no folder")?)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<(Vec<String>, String)> = texts
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    texts.sort();
    for (names, text) in texts {
        let _ = write!(
            list,
            "\n{}\n{}:\n\n{text}",
            "-".repeat(80),
            names.join(", ")
        );
    }
    Ok(list)
}

/// `name version` of the crates that are in the program.
fn linked() -> Result<BTreeSet<String>> {
    let mut command = shell::cargo();
    command
        .args(["tree", "--locked", "--package=monitor-daemon"])
        .args(["--edges=normal", "--prefix=none", "--format={p}"])
        .args(["--target", STATIC_TARGET]);
    let tree = shell::query(&mut command)?.context("`cargo tree` failed")?;
    let name = |line: &str| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?);
        Some(format!("{name} {}", version.strip_prefix('v')?))
    };
    Ok(tree.lines().filter_map(name).collect())
}

fn packages() -> Result<Vec<Value>> {
    let mut command = shell::cargo();
    command.args(["metadata", "--locked", "--format-version=1"]);
    let metadata = shell::query(&mut command)?.context("`cargo metadata` failed")?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let mut packages = packages
        .context("`cargo metadata` names no packages")?
        .clone();
    packages.sort_by_key(|package| package.get("id").map(Value::to_string));
    Ok(packages)
}

fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_uppercase();
        if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            let text = String::from_utf8_lossy(&fs::read(&path)?).replace('\r', "");
            texts.push(format!("{}\n", text.trim()));
        }
    }
    Ok(texts)
}
