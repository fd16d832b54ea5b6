//! What the maps of this process's programs cost the kernel, from `/proc/self/fdinfo`.
//!
//! How many bytes a map takes is the kernel's own account, exact since 6.4 and an estimate from its
//! entries before; for hashes that take memory as they need it, that of all they may hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use aya::maps::{Array, Map, MapData, MapError, MapInfo};

use super::dispatch;

/// A map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapCost {
    /// Name in the kernel, which has room for 15 bytes.
    pub name: String,
    /// How many entries it may have; bytes, for a ring.
    pub entries: u64,
    /// Bytes of kernel memory.
    pub bytes: u64,
}

/// The maps that this process holds, by name.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn costs() -> io::Result<Vec<MapCost>> {
    let name = |id| {
        let told = MapInfo::from_id(id).ok()?;
        told.name_as_str().map(str::to_owned)
    };
    let held = held(Path::new("/proc/self/fdinfo"))?;
    let mut costs: Vec<MapCost> = held
        .into_iter()
        .map(|(id, [entries, bytes])| MapCost {
            name: name(id).unwrap_or_else(|| id.to_string()),
            entries,
            bytes,
        })
        .collect();
    costs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(costs)
}

/// Changes the table of calls of another daemon, as who wants it to be blind would: the first call
/// that it records is taken out.
///
/// # Errors
///
/// When there is no such daemon, or the kernel or the daemon's guard keeps us off.
pub fn tamper(daemon: u32) -> io::Result<()> {
    let held = held(&Path::new("/proc").join(daemon.to_string()).join("fdinfo"))?;
    let named = |id: &&u32| {
        MapInfo::from_id(**id).is_ok_and(|map| map.name_as_str() == Some(dispatch::OPERATIONS))
    };
    let id = held.keys().find(named).ok_or(io::ErrorKind::NotFound)?;
    let change = || -> Result<bool, MapError> {
        let mut table: Array<_, u64> = Map::from_map_data(MapData::from_id(*id)?)?.try_into()?;
        let mut recorded = None;
        for number in 0..table.len() {
            if table.get(&number, 0)? != 0 {
                recorded = Some(number);
                break;
            }
        }
        recorded.map_or(Ok(false), |number| table.set(number, 0, 0).map(|()| true))
    };
    if change().map_err(io::Error::other)? {
        Ok(())
    } else {
        Err(io::Error::other("the table of calls is empty"))
    }
}

/// By id, entries and bytes.
fn held(folder: &Path) -> io::Result<BTreeMap<u32, [u64; 2]>> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        // The descriptor of this very listing is gone by the time that it is read.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let fact = |name: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))?;
            value.trim().parse::<u64>().ok()
        };
        if let Some(id) = fact("map_id") {
            let facts = ["max_entries", "memlock"];
            maps.insert(id as u32, facts.map(|name| fact(name).unwrap_or_default()));
        }
    }
    Ok(maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_map_once_whatever_else_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let map = "pos:\t0\nmap_type:\t1\nmax_entries:\t1024\nmemlock:\t98304\nmap_id:\t7\n";
        for (number, text) in [("3", "pos:\t0\nflags:\t02\n"), ("4", map), ("5", map)] {
            fs::write(folder.path().join(number), text).unwrap();
        }
        let expected = BTreeMap::from([(7, [1024, 98304])]);
        assert_eq!(held(folder.path()).unwrap(), expected);
    }
}
