//! Opens, and links.

use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use monitor_common::file::{Link, Open};
use monitor_common::{Flags, Kind, Slot};
use monitor_daemon::probe::Tier;
use monitor_daemon::record::Body;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};

use crate::support::{Seen, Watch, on_each_tier};

const AT_FDCWD: i32 = -100;
const HERE: &str = env!("CARGO_MANIFEST_DIR");
const O_CLOEXEC: u32 = 0o2_000_000;
/// `FMODE_*` of `include/linux/fs.h`.
const FMODE_READ: u32 = 1;
const FMODE_WRITE: u32 = 2;
const FMODE_CREATED: u32 = 0x10_0000;
/// Deep enough for more than 1,000 components, and within `PATH_MAX` below any temporary folder.
const LEVELS: usize = 1_250;

/// A folder whose name has no symbolic link in it.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

#[test]
fn opens() {
    on_each_tier(&[Kind::Open], |watch| {
        let (_keep, folder) = folder();
        fs::create_dir(format!("{folder}/real")).unwrap();
        fs::write(format!("{folder}/real/file"), "x").unwrap();
        symlink("real", format!("{folder}/alias")).unwrap();
        let at = File::open(&folder).unwrap();
        watch.forget();
        through_a_link(watch, &folder);
        of_nothing(watch, &folder);
        relative(watch, &at, &folder);
        by_structure(watch, &at, &folder);
    });
}

/// The next record of an open of this path, as passed.
#[track_caller]
fn open_of(watch: &mut Watch, passed: &str) -> Seen {
    let tid = watch.me.tid;
    watch.next_of(tid, passed, |record| {
        record.kind() == Kind::Open && record.string(Slot::Passed) == passed.as_bytes()
    })
}

/// What an open of a regular file at `AT_FDCWD` for reading says; a case changes what differs.
fn reading(path: &Path, fd: i32) -> Open {
    let file = fs::metadata(path).unwrap();
    Open {
        ret: fd.into(),
        inode: file.ino(),
        dev: rustix::fs::major(file.dev()) << 20 | rustix::fs::minor(file.dev()),
        flags: O_CLOEXEC,
        create_mode: 0,
        inode_mode: file.mode(),
        file_mode: FMODE_READ,
        layer: 0,
        syscall: 257,
        dirfd: AT_FDCWD,
    }
}

/// The found body with the access of its file's mode only: the other bits are the file system's.
fn with_mode(seen: &Seen, expected: Open, mask: u32) -> Body {
    let Body::Open(found) = *seen.record().body() else {
        panic!("an open has another body")
    };
    assert_eq!(found.file_mode & mask, expected.file_mode);
    Body::Open(Open {
        file_mode: found.file_mode,
        ..expected
    })
}

const ACCESS: u32 = FMODE_READ | FMODE_WRITE | FMODE_CREATED;

fn tier_flag(watch: &Watch) -> u16 {
    if watch.tier(Kind::Open) == Some(Tier::Object) {
        Flags::OBJECT_TIER
    } else {
        0
    }
}

fn through_a_link(watch: &mut Watch, folder: &str) {
    let path = format!("{folder}/alias/../alias/file");
    let file = File::open(&path).unwrap();
    let seen = open_of(watch, &path);
    let truth = format!("{folder}/real/file");
    let expected = reading(truth.as_ref(), file.as_raw_fd());
    let strings = [
        (Slot::Resolved, truth.as_str()),
        (Slot::Passed, &path),
        (Slot::Cwd, HERE),
    ];
    let body = with_mode(&seen, expected, ACCESS);
    seen.check(&watch.me, tier_flag(watch), &body, &strings);
}

fn of_nothing(watch: &mut Watch, folder: &str) {
    let path = format!("{folder}/real/none");
    assert!(File::open(&path).is_err());
    let seen = open_of(watch, &path);
    let body = Open {
        ret: -2,
        inode: 0,
        dev: 0,
        flags: O_CLOEXEC,
        create_mode: 0,
        inode_mode: 0,
        file_mode: 0,
        layer: 0,
        syscall: 257,
        dirfd: AT_FDCWD,
    };
    let strings = [(Slot::Passed, path.as_str()), (Slot::Cwd, HERE)];
    seen.check(&watch.me, tier_flag(watch), &Body::Open(body), &strings);
}

/// A file made, below a descriptor.
fn relative(watch: &mut Watch, at: &File, folder: &str) {
    let flags = OFlags::CREATE | OFlags::WRONLY;
    let file = rustix::fs::openat(at, "made", flags, Mode::from(0o640)).unwrap();
    let seen = open_of(watch, "made");
    let path = format!("{folder}/made");
    let expected = Open {
        // rustix asks for large files.
        flags: 0o100_101,
        create_mode: 0o640,
        file_mode: FMODE_WRITE | FMODE_CREATED,
        dirfd: at.as_raw_fd(),
        ..reading(path.as_ref(), file.as_raw_fd())
    };
    let strings = [
        (Slot::Resolved, path.as_str()),
        (Slot::Passed, "made"),
        (Slot::Cwd, HERE),
        (Slot::Base, folder),
    ];
    let body = with_mode(&seen, expected, ACCESS);
    seen.check(&watch.me, tier_flag(watch), &body, &strings);
}

/// `openat2`, whose flags are in memory.
fn by_structure(watch: &mut Watch, at: &File, folder: &str) {
    let no = ResolveFlags::empty();
    let file: OwnedFd =
        rustix::fs::openat2(at, "real/../made", OFlags::RDWR, Mode::empty(), no).unwrap();
    let seen = open_of(watch, "real/../made");
    let path = format!("{folder}/made");
    // The object tier has the kernel's flags, to which it adds large files itself.
    let object = watch.tier(Kind::Open) == Some(Tier::Object);
    let expected = Open {
        flags: if object { 2 } else { 0o100_002 },
        file_mode: FMODE_READ | FMODE_WRITE,
        syscall: 437,
        dirfd: at.as_raw_fd(),
        ..reading(path.as_ref(), file.as_raw_fd())
    };
    let strings = [
        (Slot::Resolved, path.as_str()),
        (Slot::Passed, "real/../made"),
        (Slot::Cwd, HERE),
        (Slot::Base, folder),
    ];
    let body = with_mode(&seen, expected, ACCESS);
    seen.check(&watch.me, tier_flag(watch), &body, &strings);
}

/// More than 1,000 components, and then more than `PATH_MAX`.
#[test]
fn deep_files() {
    on_each_tier(&[Kind::Open], |watch| {
        let (_keep, mut expected) = folder();
        let mut at: OwnedFd = File::open(&expected).unwrap().into();
        let directory = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let down = |at: &OwnedFd, name: &str| {
            rustix::fs::mkdirat(at, name, Mode::from(0o755)).unwrap();
            rustix::fs::openat(at, name, directory, Mode::empty()).unwrap()
        };
        for _ in 0..LEVELS {
            at = down(&at, "ab");
            expected.push_str("/ab");
            // So that the ring never holds more than a few of these records.
            drop(open_of(watch, "ab"));
        }
        let create = OFlags::CREATE | OFlags::CLOEXEC;
        rustix::fs::openat(&at, "deep", create, Mode::from(0o600)).unwrap();
        let seen = open_of(watch, "deep");
        assert_eq!(seen.text(Slot::Resolved), format!("{expected}/deep"));
        assert_eq!(seen.text(Slot::Base), expected);
        assert_eq!(seen.record().header().flags & Flags::PATH_TRUNCATED, 0);

        let name = "n".repeat(200);
        for _ in 0..3 {
            at = down(&at, &name);
        }
        rustix::fs::openat(&at, "deeper", create, Mode::from(0o600)).unwrap();
        let seen = open_of(watch, "deeper");
        assert!(seen.record().flag(Flags::PATH_TRUNCATED));
        let resolved = seen.text(Slot::Resolved);
        assert!(
            resolved.ends_with(&format!("/ab/{name}/{name}/{name}/deeper")),
            "{resolved}"
        );
    });
}

#[test]
fn links() {
    on_each_tier(&[Kind::Symlink, Kind::Link], |watch| {
        let (_keep, folder) = folder();
        let at = File::open(&folder).unwrap();
        fs::write(format!("{folder}/file"), "x").unwrap();
        let resolved = watch.tier(Kind::Symlink) == Some(Tier::Object);
        watch.forget();
        rustix::fs::symlinkat("/etc/shadow", &at, "soft").unwrap();
        rustix::fs::linkat(&at, "file", CWD, format!("{folder}/hard"), AtFlags::empty()).unwrap();
        let (soft, hard) = (format!("{folder}/soft"), format!("{folder}/hard"));
        let flags = if resolved { Flags::OBJECT_TIER } else { 0 };

        let seen = watch.next(Kind::Symlink);
        let body = Link {
            ret: 0,
            syscall: 266,
            dirfd: at.as_raw_fd(),
            target_dirfd: AT_FDCWD,
            flags: 0,
        };
        let mut strings = vec![
            (Slot::Passed, "soft"),
            (Slot::Cwd, HERE),
            (Slot::Base, &*folder),
            (Slot::Target, "/etc/shadow"),
        ];
        if resolved {
            strings.push((Slot::Resolved, &soft));
        }
        seen.check(&watch.me, flags, &Body::Symlink(body), &strings);

        let seen = watch.next(Kind::Link);
        let target = format!("{folder}/file");
        let mut body = Link {
            syscall: 265,
            dirfd: AT_FDCWD,
            target_dirfd: at.as_raw_fd(),
            ..body
        };
        let mut strings = vec![(Slot::Passed, &*hard), (Slot::Cwd, HERE)];
        if resolved {
            body.target_dirfd = AT_FDCWD;
            strings.extend([(Slot::Resolved, &*hard), (Slot::Target, &target)]);
        } else {
            strings.extend([(Slot::Target, "file"), (Slot::TargetBase, &folder)]);
        }
        seen.check(&watch.me, flags, &Body::Link(body), &strings);
    });
}
