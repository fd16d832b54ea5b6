//! Whether the files that rules come from are other files now.
//!
//! By looking, twice a second, not by inotify: what matters is which file a path leads to in the
//! end, and a look follows it through every link, as reading does. Watches would have to be put on
//! each folder on the way and moved when a link is; they are not told of changes on network and
//! some container file systems; and they run out. A look at thirty files takes some 50 µs.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files and folders of rules and configuration, and what they were like when they were last read.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<Looked>>);

#[derive(Debug, Default)]
struct Looked {
    paths: Vec<PathBuf>,
    /// What they were like when they were last read.
    read: u64,
    /// What they were like at the last look.
    seen: u64,
}

impl Watched {
    /// All of them are about to be read.
    pub fn reading(&self) {
        let paths = self.lock().paths.clone();
        self.replace(paths);
    }

    /// It is these that are about to be read.
    pub fn reading_these(&self, paths: Vec<PathBuf>) {
        if self.lock().paths != paths {
            self.replace(paths);
        }
    }

    fn replace(&self, paths: Vec<PathBuf>) {
        let print = fingerprint(&paths);
        *self.lock() = Looked {
            paths,
            read: print,
            seen: print,
        };
    }

    /// Whether they are others than those that were read, and nobody is about to write more: they
    /// were the same at the last look.
    pub fn settled_otherwise(&self) -> bool {
        let paths = self.lock().paths.clone();
        let print = fingerprint(&paths);
        let mut looked = self.lock();
        if looked.paths != paths {
            // Read anew meanwhile.
            return false;
        }
        let settled = std::mem::replace(&mut looked.seen, print) == print;
        settled && print != looked.read
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that changes when a file does, or a folder's list of YAML files.
fn fingerprint(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        path.hash(&mut hasher);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => folder(path, &mut hasher),
            Ok(found) => file(&found, &mut hasher),
            Err(error) => error.raw_os_error().hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn folder(path: &Path, hasher: &mut DefaultHasher) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_yaml = |path: &PathBuf| {
        let end = path.extension();
        end.is_some_and(|end| end == "yaml" || end == "yml")
    };
    let mut paths: Vec<PathBuf> = paths.filter(is_yaml).collect();
    paths.sort();
    for path in paths {
        path.hash(hasher);
        if let Ok(found) = fs::metadata(&path) {
            file(&found, hasher);
        }
    }
}

/// The time of the last change of the inode too: others can be set at will.
fn file(found: &Metadata, hasher: &mut DefaultHasher) {
    let facts = [found.dev(), found.ino(), found.size()];
    let times = [
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ];
    (facts, times).hash(hasher);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    type Change<'a> = (&'a str, &'a dyn Fn());

    #[test]
    fn every_way_to_change_a_file_is_seen_once_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let put = |name: &str, text: &str| fs::write(at(name), text).unwrap();
        fs::create_dir(at("rules")).unwrap();
        // As Kubernetes mounts a ConfigMap: a link to a link to a folder that is replaced.
        for data in ["data-1", "data-2"] {
            fs::create_dir(at(data)).unwrap();
            put(&format!("{data}/map.yaml"), data);
        }
        symlink("data-1", at("..data")).unwrap();
        symlink("..data/map.yaml", at("map.yaml")).unwrap();
        put("one.yaml", "a");
        put("rules/b.yaml", "b");
        let paths = || {
            ["one.yaml", "rules", "map.yaml", "missing.yaml"]
                .map(at)
                .into()
        };
        let watched = Watched::default();
        watched.reading_these(paths());
        assert!(!watched.settled_otherwise());
        let changes: [Change<'_>; 8] = [
            ("written over", &|| put("one.yaml", "c")),
            ("renamed over", &|| {
                put("one.tmp", "d");
                fs::rename(at("one.tmp"), at("one.yaml")).unwrap();
            }),
            ("added to the folder", &|| put("rules/a.yml", "a")),
            ("changed in the folder", &|| put("rules/b.yaml", "e")),
            ("removed from the folder", &|| {
                fs::remove_file(at("rules/a.yml")).unwrap();
            }),
            ("link swapped", &|| {
                symlink("data-2", at("..new")).unwrap();
                fs::rename(at("..new"), at("..data")).unwrap();
            }),
            ("there after all", &|| put("missing.yaml", "f")),
            ("gone", &|| fs::remove_file(at("one.yaml")).unwrap()),
        ];
        for (how, change) in changes {
            change();
            assert!(!watched.settled_otherwise(), "{how}: not settled yet");
            assert!(watched.settled_otherwise(), "{how}");
            watched.reading();
            assert!(!watched.settled_otherwise(), "{how}: read");
        }
        put("rules/.b.yaml.swp", "an editor's own");
        assert!(!watched.settled_otherwise() && !watched.settled_otherwise());
    }
}
