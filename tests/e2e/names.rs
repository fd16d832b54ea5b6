//! Names of calls that change what is at a path, in both readings: as passed, and as the kernel
//! found them. On this host, and in guests with the object tier.
//!
//! The folder has `real` and `link`, which leads to it. A tier that does not resolve has the passed
//! reading only.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, is_from};
use monitor_tests::{http, skip_if};
use serde_json::Value;

use crate::actions::{Programs, perl, succeed};
use crate::world::{PATIENCE, text, watch};

/// What one call reads as.
struct Row {
    /// The hook that has the name, or `""` where none does.
    hook: &'static str,
    /// Perl: the call, and what it needs before. `$f` is the folder, `$l` and `$r` what is in it.
    act: &'static str,
    call: &'static str,
    /// `evt.args` as passed; `$F`, `$L`, `$R` stand for the folder, `link` and `real`.
    passed: &'static str,
    /// The same as resolved.
    resolved: &'static str,
}

const UNLINK: &str = "security_path_unlink";
const RMDIR: &str = "security_path_rmdir";
const RENAME: &str = "security_path_rename";
const MKDIR: &str = "security_path_mkdir";
const MKNOD: &str = "security_path_mknod";
const CHMOD: &str = "security_path_chmod";
const CHOWN: &str = "chown_common";
const TRUNCATE: &str = "security_path_truncate";
const TIMES: &str = "vfs_utimes";
const CHDIR: &str = "set_fs_pwd";
const CHROOT: &str = "security_path_chroot";
const MOUNT: &str = "security_sb_mount";
const UMOUNT: &str = "security_sb_umount";
const MOVE_MOUNT: &str = "security_move_mount";
const PIVOT_ROOT: &str = "security_sb_pivotroot";
const LOOKUP: &str = "filename_lookup";
const FILE_OPEN: &str = "security_file_open";
const HOOKS: [&str; 17] = [
    UNLINK, RMDIR, RENAME, MKDIR, MKNOD, CHMOD, CHOWN, TRUNCATE, TIMES, CHDIR, CHROOT, MOUNT,
    UMOUNT, MOVE_MOUNT, PIVOT_ROOT, LOOKUP, FILE_OPEN,
];

const ROWS: &[Row] = &[
    // Through a symlinked folder, and out of one.
    Row {
        hook: UNLINK,
        act: "syscall(87, \"$l/a\")",
        call: "unlink",
        passed: "res=0 path=$L/a",
        resolved: "res=0 path=$R/a",
    },
    Row {
        hook: UNLINK,
        act: "syscall(87, \"$f/deep/../b\")",
        call: "unlink",
        passed: "res=0 path=$F/b",
        resolved: "res=0 path=$R/b",
    },
    // Relative to the working directory, and to a descriptor.
    Row {
        hook: CHDIR,
        act: "syscall(80, $l)",
        call: "chdir",
        passed: "res=0 path=$L",
        resolved: "res=0 path=$R",
    },
    Row {
        hook: UNLINK,
        act: "$n = 'c'; syscall(87, $n)",
        call: "unlink",
        passed: "res=0 path=$R/c",
        resolved: "",
    },
    Row {
        hook: UNLINK,
        act: "chdir('/'); $n = 'link/d'; syscall(263, $d, $n, 0)",
        call: "unlinkat",
        passed: "res=0 dirfd=<d>$F name=$L/d flags=0",
        resolved: "res=0 dirfd=<d>$F name=$R/d flags=0",
    },
    Row {
        hook: RMDIR,
        act: "syscall(263, -100, \"$l/e\", 0x200)",
        call: "unlinkat",
        passed: "res=0 dirfd=AT_FDCWD name=$L/e flags=AT_REMOVEDIR",
        resolved: "res=0 dirfd=AT_FDCWD name=$R/e flags=AT_REMOVEDIR",
    },
    // What fails before the kernel has found the name, and after.
    Row {
        hook: "",
        act: "syscall(87, \"$l/none\")",
        call: "unlink",
        passed: "res=ENOENT path=$L/none",
        resolved: "",
    },
    Row {
        hook: RMDIR,
        act: "syscall(84, \"$l/full\")",
        call: "rmdir",
        passed: "res=ENOTEMPTY path=$L/full",
        resolved: "res=ENOTEMPTY path=$R/full",
    },
    // The same again must not find what was noted before.
    Row {
        hook: "",
        act: "syscall(84, \"$l/none\")",
        call: "rmdir",
        passed: "res=ENOENT path=$L/none",
        resolved: "",
    },
    Row {
        hook: RENAME,
        act: "syscall(82, \"$l/f\", \"$l/sub/g\")",
        call: "rename",
        passed: "res=0 oldpath=$L/f newpath=$L/sub/g",
        resolved: "res=0 oldpath=$R/f newpath=$R/sub/g",
    },
    Row {
        hook: RENAME,
        act: "$n = 'out'; $m = 'link/in'; syscall(316, $d, $n, $d, $m, 1)",
        call: "renameat2",
        passed: "res=0 olddirfd=<d>$F oldpath=$F/out newdirfd=<d>$F newpath=$L/in \
                 flags=RENAME_NOREPLACE",
        resolved: "res=0 olddirfd=<d>$F oldpath=$F/out newdirfd=<d>$F newpath=$R/in \
                   flags=RENAME_NOREPLACE",
    },
    Row {
        hook: RENAME,
        act: "$n = 'link/full'; $m = 'link/sub/g'; syscall(264, $d, $n, $d, $m)",
        call: "renameat",
        passed: "res=ENOTDIR olddirfd=<d>$F oldpath=$L/full newdirfd=<d>$F newpath=$L/sub/g",
        resolved: "res=ENOTDIR olddirfd=<d>$F oldpath=$R/full newdirfd=<d>$F newpath=$R/sub/g",
    },
    Row {
        hook: MKDIR,
        act: "syscall(83, \"$l/made\", 0700)",
        call: "mkdir",
        passed: "res=0 path=$L/made mode=S_IXUSR|S_IWUSR|S_IRUSR",
        resolved: "res=0 path=$R/made mode=S_IXUSR|S_IWUSR|S_IRUSR",
    },
    Row {
        hook: MKDIR,
        act: "$n = 'deep/../again'; syscall(258, $d, $n, 0700)",
        call: "mkdirat",
        passed: "res=0 dirfd=<d>$F path=$F/again mode=S_IXUSR|S_IWUSR|S_IRUSR",
        resolved: "res=0 dirfd=<d>$F path=$R/again mode=S_IXUSR|S_IWUSR|S_IRUSR",
    },
    Row {
        hook: MKNOD,
        act: "syscall(133, \"$l/pipe\", 010600, 0)",
        call: "mknod",
        passed: "res=0 path=$L/pipe mode=S_IWUSR|S_IRUSR dev=0",
        resolved: "res=0 path=$R/pipe mode=S_IWUSR|S_IRUSR dev=0",
    },
    // Through a link to the file itself.
    Row {
        hook: CHMOD,
        act: "syscall(90, \"$l/alias\", 0600)",
        call: "chmod",
        passed: "res=0 filename=$L/alias mode=S_IWUSR|S_IRUSR",
        resolved: "res=0 filename=$R/x mode=S_IWUSR|S_IRUSR",
    },
    Row {
        hook: CHMOD,
        act: "$n = 'link/x'; syscall(268, $d, $n, 0600)",
        call: "fchmodat",
        passed: "res=0 dirfd=<d>$F filename=$L/x mode=S_IWUSR|S_IRUSR",
        resolved: "res=0 dirfd=<d>$F filename=$R/x mode=S_IWUSR|S_IRUSR",
    },
    Row {
        hook: CHOWN,
        act: "syscall(92, \"$l/alias\", 0, 0)",
        call: "chown",
        passed: "res=0 path=$L/alias uid=root gid=root",
        resolved: "res=0 path=$R/x uid=root gid=root",
    },
    Row {
        hook: CHOWN,
        act: "syscall(94, \"$l/alias\", 0, 0)",
        call: "lchown",
        passed: "res=0 path=$L/alias uid=root gid=root",
        resolved: "res=0 path=$R/alias uid=root gid=root",
    },
    Row {
        hook: TRUNCATE,
        act: "syscall(76, \"$l/alias\", 3)",
        call: "truncate",
        passed: "res=0 path=$L/alias length=3",
        resolved: "res=0 path=$R/x length=3",
    },
    Row {
        hook: TIMES,
        act: "syscall(280, -100, \"$l/alias\", 0, 0)",
        call: "utimensat",
        passed: "res=0 dirfd=AT_FDCWD path=$L/alias flags=0",
        resolved: "res=0 dirfd=AT_FDCWD path=$R/x flags=0",
    },
    // Refused after the name was found, by every kernel and file system.
    Row {
        hook: LOOKUP,
        act: "$n = 'none'; $m = 'v'; syscall(188, \"$l/alias\", $n, $m, 1, 0)",
        call: "setxattr",
        passed: "res=EOPNOTSUPP path=$L/alias name=none size=1",
        resolved: "res=EOPNOTSUPP path=$R/x name=none size=1",
    },
    Row {
        hook: LOOKUP,
        act: "$n = 'none'; syscall(198, \"$l/alias\", $n)",
        call: "lremovexattr",
        passed: "res=EOPNOTSUPP path=$L/alias name=none",
        resolved: "res=EOPNOTSUPP path=$R/alias name=none",
    },
    Row {
        hook: LOOKUP,
        act: "$n = 'link/sub'; syscall(433, $d, $n, 0)",
        call: "fspick",
        passed: "fd=EINVAL dirfd=<d>$F path=$L/sub flags=0",
        resolved: "fd=EINVAL dirfd=<d>$F path=$R/sub flags=0",
    },
    Row {
        hook: FILE_OPEN,
        act: "syscall(168, \"$l/alias\")",
        call: "swapoff",
        passed: "res=EINVAL path=$L/alias",
        resolved: "res=EINVAL path=$R/x",
    },
];

/// In a root of their own.
const IN_A_ROOT: &[Row] = &[
    Row {
        hook: CHROOT,
        act: "syscall(161, $l)",
        call: "chroot",
        passed: "res=0 path=$L",
        resolved: "res=0 path=$R",
    },
    Row {
        hook: UNLINK,
        act: "$n = '/e2e-h'; syscall(87, $n)",
        call: "unlink",
        passed: "res=0 path=/e2e-h",
        resolved: "res=0 path=$R/e2e-h",
    },
];

/// In mounts of their own.
const IN_MOUNTS: &[Row] = &[
    Row {
        hook: MOUNT,
        act: "$n = 'tmpfs'; syscall(165, $n, \"$l/from\", $n, 0, 0)",
        call: "mount",
        passed: "res=0 dev=tmpfs dir=$L/from type=tmpfs flags=0",
        resolved: "res=0 dev=tmpfs dir=$R/from type=tmpfs flags=0",
    },
    Row {
        hook: MKDIR,
        act: "syscall(83, \"$l/from/y\", 0700)",
        call: "mkdir",
        passed: "res=0 path=$L/from/y mode=S_IXUSR|S_IWUSR|S_IRUSR",
        resolved: "res=0 path=$R/from/y mode=S_IXUSR|S_IWUSR|S_IRUSR",
    },
    Row {
        hook: MOVE_MOUNT,
        act: "$n = 'link/from'; $m = 'link/to'; syscall(429, $d, $n, $d, $m, 0)",
        call: "move_mount",
        passed: "res=0 olddirfd=<d>$F oldpath=$L/from newdirfd=<d>$F newpath=$L/to flags=0",
        resolved: "res=0 olddirfd=<d>$F oldpath=$R/from newdirfd=<d>$F newpath=$R/to flags=0",
    },
    Row {
        hook: MOUNT,
        act: "$n = 'none'; syscall(165, $n, \"$l/to\", 0, 0x100000, 0)",
        call: "mount",
        passed: "res=0 dev=none dir=$L/to type=<NA> flags=SHARED",
        resolved: "res=0 dev=none dir=$R/to type=<NA> flags=SHARED",
    },
    // A shared mount becomes nobody's root.
    Row {
        hook: PIVOT_ROOT,
        act: "syscall(155, \"$l/to\", \"$l/to/y\")",
        call: "pivot_root",
        passed: "res=EINVAL new_root=$L/to put_old=$L/to/y",
        resolved: "res=EINVAL new_root=$R/to put_old=$R/to/y",
    },
    Row {
        hook: UMOUNT,
        act: "syscall(166, \"$l/to\", 0)",
        call: "umount2",
        passed: "res=0 name=$L/to flags=0",
        resolved: "res=0 name=$R/to flags=0",
    },
];

/// What a process does before its calls, and these.
const PROCESSES: [(&str, &[Row]); 3] = [
    ("", ROWS),
    ("", IN_A_ROOT),
    (
        "syscall(272, 0x20000); $n = 'none'; $m = '/'; syscall(165, $n, $m, 0, 0x44000, 0);",
        IN_MOUNTS,
    ),
];

const PASSED: &str = "as passed";
const RESOLVED: &str = "as resolved";
const FENCE: &str = "e2e-names-fence";

fn rules() -> String {
    let rows = PROCESSES.iter().flat_map(|(_, rows)| *rows);
    let mut calls: Vec<&str> = rows.map(|row| row.call).collect();
    calls.sort_unstable();
    calls.dedup();
    let calls = calls.join(", ");
    format!(
        "- rule: {PASSED}\n  desc: every call on the folder\n  condition: >\n    evt.type in ({calls}) \
         and proc.name = perl and evt.args contains /e2e-\n  output: it | %evt.type %evt.args\n  \
         priority: NOTICE\n\
         - rule: {RESOLVED}\n  desc: what is done to the folder behind the link\n  condition: >\n    \
         evt.type in ({calls}) and proc.name = perl and evt.args contains /real\n  \
         output: it | %evt.type %evt.args\n  priority: NOTICE\n\
         - rule: {FENCE}\n  desc: the fence\n  condition: evt.type = execve and proc.args contains \
         {FENCE}\n  output: fence\n  priority: NOTICE\n"
    )
}

/// The folder, before the calls.
fn prepare(folder: &Path) -> Result<()> {
    let real = folder.join("real");
    for name in ["sub/deep", "full/x", "e", "from", "to"] {
        fs::create_dir_all(real.join(name))?;
    }
    for name in ["a", "b", "c", "d", "f", "x", "e2e-h"] {
        fs::write(real.join(name), name)?;
    }
    fs::write(folder.join("out"), "out")?;
    symlink("real", folder.join("link"))?;
    symlink("real/sub", folder.join("deep"))?;
    symlink("x", real.join("alias"))?;
    Ok(())
}

/// The calls of all processes, one after the other.
fn act(folder: &str) -> Result<()> {
    for (before, rows) in PROCESSES {
        let mut script = format!(
            "{before} ($f, $l, $r) = ('{folder}', '{folder}/link', '{folder}/real'); \
             opendir($h, $f); $d = fileno($h);\n"
        );
        for row in rows {
            let _ = writeln!(script, "{};", row.act);
        }
        succeed(&mut perl(&script))?;
    }
    succeed(Command::new("/bin/true").arg(FENCE)).map(drop)
}

/// What rules fire on where the kernel takes these hooks: in the one reading, and in the other.
fn expected(folder: &str, hooks: &[&str]) -> [Vec<String>; 2] {
    let text = |row: &Row, arguments: &str| {
        let arguments = arguments.replace("$F", folder);
        let arguments = arguments.replace("$L", &format!("{folder}/link"));
        let arguments = arguments.replace("$R", &format!("{folder}/real"));
        format!("{} {arguments}", row.call)
    };
    let (mut passed, mut resolved) = (Vec::new(), Vec::new());
    for row in PROCESSES.iter().flat_map(|(_, rows)| *rows) {
        passed.push(text(row, row.passed));
        if row.passed.contains("$R") {
            resolved.push(text(row, row.passed));
        // Where a process is after a chdir is told without a hook, too.
        } else if hooks.contains(&row.hook) || row.hook == CHDIR {
            resolved.push(text(row, row.resolved));
        }
    }
    [passed, resolved]
}

/// The hooks that the daemon has in the kernel.
fn hooks(port: u16) -> Result<Vec<&'static str>> {
    let metrics = http::fetch(port, "/metrics")?;
    let lines = metrics.lines();
    let providers: String = lines
        .filter(|line| line.starts_with("monitor_provider{"))
        .collect();
    let found = |hook: &&str| {
        ["fentry", "fexit"]
            .iter()
            .any(|place| providers.contains(&format!("{place}/{hook}")))
    };
    let found: Vec<&str> = HOOKS.into_iter().filter(found).collect();
    // A kernel that takes one takes all.
    ensure!(
        found.is_empty() || found.len() == HOOKS.len(),
        "only {found:?} in\n{providers}"
    );
    Ok(found)
}

#[test]
fn names_in_both_readings() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let folder = programs.folder().canonicalize()?.join("e2e-names");
    prepare(&folder)?;
    let folder = folder.to_str().context("the folder's path is no text")?;
    let port = http::free_port()?;
    let settings = format!("rule_matching: all\nmetrics:\n  listen: 127.0.0.1:{port}\n");
    let mut daemon = watch(&programs, &rules(), &settings)?;
    let hooks = hooks(port)?;
    println!("resolved by {hooks:?}");
    let mark = daemon.mark()?;
    act(folder)?;
    daemon.wait_for("the fence", PATIENCE, |alert| is_from(alert, FENCE))?;
    let found = |daemon: &mut Daemon, rule: &str| -> Result<Vec<String>> {
        let alerts = daemon.alerts_since(mark)?;
        let of_rule = alerts.iter().filter(|alert| is_from(alert, rule));
        let text = |alert: &Value| {
            let fields = &alert["output_fields"];
            format!("{} {}", text(fields, "evt.type"), text(fields, "evt.args"))
        };
        Ok(of_rule.map(text).collect())
    };
    let [passed, resolved] = expected(folder, &hooks);
    same(&found(&mut daemon, PASSED)?, &passed)?;
    same(&found(&mut daemon, RESOLVED)?, &resolved)
}

/// The same texts in the same order.
fn same(found: &[String], expected: &[String]) -> Result<()> {
    for (found, expected) in found.iter().zip(expected) {
        ensure!(found == expected, "found    {found}\nexpected {expected}");
    }
    ensure!(
        found.len() == expected.len(),
        "found {found:#?}\nexpected {expected:#?}"
    );
    Ok(())
}
