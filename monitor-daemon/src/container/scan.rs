//! The cgroups that exist: where their hierarchy is mounted, and a walk through it.
//!
//! Cgroup ids are those of the unified hierarchy (v2): on a hybrid host, too, every container has a
//! directory in it. Where only cgroup v1 is mounted they are those of one of its hierarchies, in
//! all of which every container has a directory. A cgroup that comes or goes during a walk may be
//! in the result or not.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::probe::Hierarchy;

/// Controllers of cgroup v1 that every runtime puts containers under, the best first.
const CONTROLLERS: [&str; 4] = ["pids", "memory", "cpu", "devices"];
/// Inode of the root of the hierarchy (`kernfs_create_root` of `fs/kernfs/dir.c`).
const ROOT_INODE: u64 = 1;
/// Most cgroups that one walk gives.
const WALK_MAX: usize = 65_536;

/// Why the cgroups cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The list of mounts could not be read.
    #[error("cannot read `{path}`")]
    Mounts {
        /// The list.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing is mounted that tells containers apart.
    #[error(
        "neither the unified cgroup hierarchy nor one of cgroup v1 that has a controller of \
         containers is mounted: mount it with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`"
    )]
    NoHierarchy,
    /// What is mounted is a part of the hierarchy.
    #[error(
        "`{mount}` shows only a part of the cgroup hierarchy: run the daemon in the host's cgroup \
         namespace (`--cgroupns=host` with Docker) and with the host's `/sys/fs/cgroup`"
    )]
    Partial {
        /// Where it is mounted.
        mount: PathBuf,
    },
    /// The mount point could not be opened.
    #[error("cannot open `{path}`")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A cgroup that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundCgroup {
    /// Its id: the inode of its directory.
    pub id: u64,
    /// Its path from the root of the hierarchy, beginning with `/`.
    pub path: Vec<u8>,
}

/// All cgroups of a walk.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Walk {
    /// What was found, the root first.
    pub cgroups: Vec<FoundCgroup>,
    /// Directories whose insides were left out: path too long, or too many of them.
    pub skipped: usize,
}

/// The hierarchy that tells containers apart, and where it is mounted.
pub fn hierarchy() -> Result<(Hierarchy, PathBuf), ScanError> {
    let read = |path: &str| {
        std::fs::read(path).map_err(|source| ScanError::Mounts {
            path: path.into(),
            source,
        })
    };
    let mounts = read("/proc/self/mountinfo")?;
    if let Some(mount) = mount_point(&mounts, None) {
        return Ok((Hierarchy::Unified, whole(mount)?));
    }
    let controllers = read("/proc/cgroups")?;
    let found = CONTROLLERS.iter().find_map(|controller| {
        let mount = mount_point(&mounts, Some(controller))?;
        Some((controller, number(&controllers, controller)?, mount))
    });
    let (controller, number, mount) = found.ok_or(ScanError::NoHierarchy)?;
    let controller = (*controller).to_owned();
    Ok((Hierarchy::V1 { controller, number }, whole(mount)?))
}

/// Where the unified hierarchy is mounted, if all of it is.
pub fn unified() -> Option<PathBuf> {
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    whole(mount_point(&mounts, None)?).ok()
}

/// The mount point, if it shows all of the hierarchy.
fn whole(mount: PathBuf) -> Result<PathBuf, ScanError> {
    let open = |source: Errno| ScanError::Open {
        path: mount.clone(),
        source: source.into(),
    };
    if rustix::fs::stat(&mount).map_err(open)?.st_ino == ROOT_INODE {
        Ok(mount)
    } else {
        Err(ScanError::Partial { mount })
    }
}

/// All cgroups below `root`, itself included.
pub fn walk(root: &Path) -> Result<Walk, ScanError> {
    let open = |source: Errno| ScanError::Open {
        path: root.to_owned(),
        source: source.into(),
    };
    let top = directory(CWD, root.as_os_str().as_bytes()).map_err(open)?;
    let id = rustix::fs::fstat(&top).map_err(open)?.st_ino;
    let mut found = Walk {
        cgroups: vec![FoundCgroup {
            id,
            path: b"/".to_vec(),
        }],
        skipped: 0,
    };
    let mut next = 0;
    while let Some(parent) = found.cgroups.get(next).map(|cgroup| cgroup.path.clone()) {
        next += 1;
        if found.cgroups.len() >= WALK_MAX || children(&top, &parent, &mut found.cgroups).is_err() {
            found.skipped += 1;
        }
    }
    Ok(found)
}

fn children(top: &OwnedFd, parent: &[u8], found: &mut Vec<FoundCgroup>) -> Result<(), Errno> {
    let below = parent.strip_prefix(b"/").unwrap_or(parent);
    let listed = match directory(top, if below.is_empty() { b"." } else { below }) {
        // Removed since its parent was read.
        Err(Errno::NOENT) => return Ok(()),
        other => Dir::new(other?)?,
    };
    for entry in listed.flatten() {
        let name = entry.file_name().to_bytes();
        if entry.file_type() == FileType::Directory && name != b"." && name != b".." {
            let slash: &[u8] = if below.is_empty() { b"" } else { b"/" };
            let path = [parent, slash, name].concat();
            found.push(FoundCgroup {
                id: entry.ino(),
                path,
            });
        }
    }
    Ok(())
}

fn directory(base: impl rustix::fd::AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(base, path, flags, Mode::empty())
}

/// The number of a controller's hierarchy in `/proc/cgroups`: `NAME NUMBER …`.
fn number(controllers: &[u8], controller: &str) -> Option<u32> {
    controllers.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = line.split(|byte| *byte == b'\t');
        (words.next()? == controller.as_bytes()).then_some(())?;
        std::str::from_utf8(words.next()?).ok()?.parse().ok()
    })
}

/// The mount point of a whole cgroup2 file system, or of the hierarchy of cgroup v1 that has a
/// controller, in `/proc/PID/mountinfo`:
/// `ID PARENT DEV ROOT POINT OPTIONS [TAGS…] - TYPE SOURCE SUPER`.
fn mount_point(mounts: &[u8], controller: Option<&str>) -> Option<PathBuf> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        let root = words.nth(3)?;
        let point = words.next()?;
        words.find(|word| *word == b"-")?;
        let kind = words.next()?;
        let mut options = words.nth(1)?.split(|byte| *byte == b',');
        let wanted = match controller {
            None => kind == b"cgroup2",
            Some(name) => kind == b"cgroup" && options.any(|option| option == name.as_bytes()),
        };
        (wanted && root == b"/")
            .then(|| PathBuf::from(std::ffi::OsString::from_vec(unescape(point))))
    })
}

/// Undoes the kernel's `\040` for blanks and the like (`mangle` of `fs/proc_namespace.c`).
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(octal.unwrap_or(*first));
        rest = if octal.is_some() {
            tail.get(3..).unwrap_or_default()
        } else {
            tail
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";

    #[test]
    fn the_unified_hierarchy_is_found_wherever_it_is_mounted() {
        for (line, expected) in [
            ("", None),
            (
                "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
                Some("/sys/fs/cgroup/unified"),
            ),
            (
                "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw",
                Some("/sys/fs/cgroup"),
            ),
            (
                "29 23 0:26 / /my\\040cgroups\\134 rw - cgroup2 none rw",
                Some("/my cgroups\\"),
            ),
            ("29 23 0:26 /docker/x /bound rw - cgroup2 none rw", None),
            ("29 23 0:26 / /cgroup2 rw - ext4 cgroup2 rw", None),
        ] {
            let found = mount_point([V1, line].concat().as_bytes(), None);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{line}");
        }
    }

    #[test]
    fn a_hierarchy_of_v1_is_found_by_its_controller() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,pids\n\
            32 31 0:29 /docker /bound rw - cgroup cgroup rw,pids\n\
            33 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
            34 31 0:30 / /sys/fs/cgroup/pids rw shared:3 - cgroup cgroup rw,pids\n";
        let listed = b"#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t1\t1\n\
            cpu\t4\t1\t1\npids\t12\t7\t1\n";
        for (controller, mount, hierarchy) in [
            ("pids", Some("/sys/fs/cgroup/pids"), Some(12)),
            ("cpu", Some("/sys/fs/cgroup/cpu"), Some(4)),
            ("cpuset", None, Some(5)),
            ("memory", None, None),
        ] {
            let found = mount_point(mounts.as_bytes(), Some(controller));
            assert_eq!(found.as_deref(), mount.map(Path::new), "{controller}");
            assert_eq!(number(listed, controller), hierarchy, "{controller}");
        }
    }

    #[test]
    fn a_walk_gives_ids_and_paths() {
        let root = tempfile::tempdir().unwrap();
        for path in ["docker/one/init", "system.slice", "docker/two"] {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        }
        std::fs::write(root.path().join("cgroup.procs"), "").unwrap();
        std::os::unix::fs::symlink("/", root.path().join("link")).unwrap();
        let walk = walk(root.path()).unwrap();
        let mut paths: Vec<_> = walk
            .cgroups
            .iter()
            .map(|cgroup| {
                let path = String::from_utf8(cgroup.path.clone()).unwrap();
                let inode = rustix::fs::stat(root.path().join(path.trim_start_matches('/')))
                    .unwrap()
                    .st_ino;
                assert_eq!(cgroup.id, inode, "{path}");
                path
            })
            .collect();
        paths.sort_unstable();
        let expected = [
            "/",
            "/docker",
            "/docker/one",
            "/docker/one/init",
            "/docker/two",
            "/system.slice",
        ];
        assert_eq!(paths, expected);
        assert_eq!(walk.skipped, 0);
    }

    #[test]
    fn a_walk_holds_while_cgroups_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        let kept = "docker/kept/init";
        std::fs::create_dir_all(root.path().join(kept)).unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let passing = root.path().join("docker/passing");
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    std::fs::create_dir_all(passing.join("a/b/c")).unwrap();
                    std::fs::remove_dir_all(&passing).unwrap();
                }
            });
            for _ in 0..200 {
                let walk = walk(root.path()).unwrap();
                let found = |path: &[u8]| walk.cgroups.iter().any(|cgroup| cgroup.path == path);
                assert!(found(b"/docker/kept/init") && found(b"/docker"));
                assert_eq!(walk.skipped, 0);
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn the_running_host_has_its_own_cgroup_in_the_walk() {
        let (hierarchy, root) = match hierarchy() {
            Ok(found) => found,
            Err(error) => return println!("SKIP: {error}"),
        };
        let own = crate::process::snapshot::Reader::new("/proc", Some(root.clone()))
            .of_controller(hierarchy.controller())
            .read(std::process::id())
            .unwrap();
        let walk = walk(&root).unwrap();
        let found = walk
            .cgroups
            .iter()
            .find(|cgroup| cgroup.id == own.task.cgroup)
            .unwrap();
        assert_eq!(found.path, own.cgroup_path);
    }

    #[test]
    fn no_directory_is_an_error_with_its_path() {
        let error = walk(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.to_string(), "cannot open `/nonexistent`");
    }

    proptest! {
        #[test]
        fn no_mount_list_makes_it_panic(mounts: Vec<u8>) {
            let _ = (mount_point(&mounts, None), mount_point(&mounts, Some("pids")));
            let _ = number(&mounts, "pids");
            prop_assert!(unescape(&mounts).len() <= mounts.len());
        }
    }
}
