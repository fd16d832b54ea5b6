//! The table of maps in `docs/reference/maps.md` against those that the daemon makes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::{daemon, paths, skip_if};
use serde_json::Value;

use crate::actions::succeed;

/// Bytes of a name in the kernel.
const NAME: usize = 15;
/// What all maps may take, with rings of their usual sizes: a memory budget of a host knows it.
const BYTES: u64 = 48 << 20;

#[test]
fn every_map_is_in_the_table() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut doctor = std::process::Command::new(paths::daemon()?);
    doctor.args(["doctor", "--programs", "--format", "json"]);
    let told = succeed(&mut doctor)?;
    check(&serde_json::from_slice(&told.stdout)?)
}

/// On whichever kernel: the object has the names of all.
#[test]
fn every_row_is_of_a_map_that_there_is() -> Result<()> {
    let object = paths::root().join("target/bpf/monitor.o");
    let object = std::fs::read(object).context("`cargo xtask build-ebpf` makes it")?;
    let rows = std::fs::read_to_string(paths::root().join("docs/reference/maps.md"))?;
    let is_name = |bytes: &&[u8]| {
        bytes.len() < 32
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'/')
    };
    let texts: BTreeSet<&[u8]> = object.split(|byte| *byte == 0).filter(is_name).collect();
    let names = rows.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some(name)
    });
    // Linkers put names that end alike into one place.
    let is_there = |name: &str| texts.iter().any(|text| text.ends_with(name.as_bytes()));
    let (there, gone): (Vec<&str>, Vec<&str>) = names.partition(|name| is_there(name));
    ensure!(there.len() > 20, "only {there:?}");
    ensure!(gone.is_empty(), "{gone:?}");
    Ok(())
}

/// Holds what `doctor --programs` says to the table.
pub(crate) fn check(told: &Value) -> Result<()> {
    let table = std::fs::read_to_string(paths::root().join("docs/reference/maps.md"))?;
    let rows: BTreeMap<String, &str> = table.lines().filter_map(row).collect();
    let maps = told["maps"].as_array().context("no maps")?;
    for map in maps {
        let name = map["name"].as_str().context("a map has no name")?;
        let row = rows.get(name);
        let entries = row.with_context(|| format!("maps.md has no `{name}`"))?;
        // Others go by the configuration or the number of CPUs.
        if let Ok(entries) = entries.parse::<u64>() {
            ensure!(map["entries"] == entries, "maps.md: {entries}, but {map}");
        }
    }
    let bytes = told["map_bytes"].as_u64().context("no sum")?;
    ensure!(bytes < BYTES, "all maps take {bytes} bytes");
    Ok(())
}

/// Name, as far as the kernel keeps it, and entries.
fn row(line: &str) -> Option<(String, &str)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    let name = cells.next()?.trim_end_matches('`');
    Some((name.chars().take(NAME).collect(), cells.nth(1)?))
}
