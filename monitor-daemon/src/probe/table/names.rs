//! Calls that their registers tell and that name what they act on: the object tier adds what the
//! kernel resolved the names to.

use monitor_common::Kind;

use super::super::provider::{Hook, Part, Provider, Tier};
use super::{FILE_NEEDS, RACE, URING_LATE, at_exit};

pub(super) const NAMES: &str = "names are read from the program's memory after the call, when they may have \
                     been changed, and not resolved";
const OWNERS: &str = "the names of chown(2) and its like are not resolved";
const TIMES: &str = "the names of utimensat(2) and its like are not resolved";
const DIRECTORIES: &str = "the name of chdir(2) is not resolved";
const ATTRIBUTES: &str = "the names of setxattr(2), removexattr(2) and their like are not resolved";
const SOURCES: &str = "what mount(2) mounts is a text, which is not resolved";
const TREES: &str = "the names of open_tree, fspick and mount_setattr are not resolved";
const OPENED: &str = "the names of swapon, swapoff and acct are not resolved";
/// Parameters of `filename_lookup`.
const LOOKUP: &[&str] = &["dfd", "name", "flags", "path", "root"];
const URING_OTHERS: &str = "operations of io_uring but ftruncate, setxattr and fsetxattr";
const UNLISTED: &str = "strings of calls that are not in the table of calls";

/// x86-64 number of `close`, which is told when it begins.
const CLOSE: u32 = 3;
const CLOSES: Part = Part::new("close_begin", Hook::Start(CLOSE)).spare("what close(2) closes");

pub(super) const REMOVES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::calls(Kind::Remove),
            Part::uring(Kind::Remove),
            Part::names(
                "unlink_name",
                "security_path_unlink",
                &["dir", "dentry"],
                &[87, 263],
            ),
            Part::names(
                "rmdir_name",
                "security_path_rmdir",
                &["dir", "dentry"],
                &[84, 263],
            ),
        ],
        blind: &[URING_LATE, RACE],
    },
    at_exit(
        FILE_NEEDS,
        &[Part::calls(Kind::Remove), Part::uring(Kind::Remove)],
        &[URING_LATE, NAMES],
    ),
];
pub(super) const RENAMES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::calls(Kind::Rename),
            Part::uring(Kind::Rename),
            Part::names(
                "rename_names",
                "security_path_rename",
                &["old_dir", "old_dentry", "new_dir", "new_dentry"],
                &[],
            ),
        ],
        blind: &[URING_LATE, RACE],
    },
    at_exit(
        FILE_NEEDS,
        &[Part::calls(Kind::Rename), Part::uring(Kind::Rename)],
        &[URING_LATE, NAMES],
    ),
];
pub(super) const MODES: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::calls(Kind::Mode),
            Part::names("chmod_name", "security_path_chmod", &["path"], &[]),
        ],
        blind: &[RACE],
    },
    at_exit(FILE_NEEDS, &[Part::calls(Kind::Mode)], &[NAMES]),
];
pub(super) const MKDIRS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::calls(Kind::Mkdir),
            Part::uring(Kind::Mkdir),
            Part::names("mkdir_name", "security_path_mkdir", &["dir", "dentry"], &[]),
        ],
        blind: &[URING_LATE, RACE],
    },
    at_exit(
        FILE_NEEDS,
        &[Part::calls(Kind::Mkdir), Part::uring(Kind::Mkdir)],
        &[URING_LATE, NAMES],
    ),
];
pub(super) const CALLS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::calls(Kind::Call),
            Part::uring(Kind::Call),
            CLOSES,
            Part::names("chown_name", "chown_common", &["path"], &[92, 93, 94, 260]).spare(OWNERS),
            Part::names(
                "truncate_name",
                "security_path_truncate",
                &["path"],
                &[76, 77],
            ),
            Part::names(
                "mknod_name",
                "security_path_mknod",
                &["dir", "dentry"],
                &[133, 259],
            ),
            Part::names("times_name", "vfs_utimes", &["path"], &[132, 235, 261, 280]).spare(TIMES),
            Part::names("chdir_name", "set_fs_pwd", &["fs", "path"], &[80, 81]).spare(DIRECTORIES),
            Part::names_after(
                "attribute_name",
                "filename_lookup",
                LOOKUP,
                &[188, 189, 197, 198, 463, 466, 469],
            )
            .spare(ATTRIBUTES),
        ],
        blind: &[URING_OTHERS, URING_LATE, RACE, UNLISTED],
    },
    at_exit(
        FILE_NEEDS,
        &[Part::calls(Kind::Call), Part::uring(Kind::Call), CLOSES],
        &[URING_OTHERS, URING_LATE, NAMES, UNLISTED],
    ),
];
pub(super) const CONTROLS: &[Provider] = &[
    Provider {
        tier: Tier::Object,
        needs: FILE_NEEDS,
        parts: &[
            Part::calls(Kind::Control),
            Part::names(
                "mount_names",
                "security_sb_mount",
                &["dev_name", "path"],
                &[165],
            ),
            Part::names("umount_name", "security_sb_umount", &["mnt"], &[166]),
            Part::names(
                "move_mount_names",
                "security_move_mount",
                &["from_path", "to_path"],
                &[429],
            ),
            Part::names(
                "pivot_root_names",
                "security_sb_pivotroot",
                &["old_path", "new_path"],
                &[155],
            ),
            Part::names("chroot_name", "security_path_chroot", &["path"], &[161]),
            Part::names_after(
                "tree_name",
                "filename_lookup",
                LOOKUP,
                &[428, 433, 442, 467],
            )
            .spare(TREES),
            Part::names(
                "opened_name",
                "security_file_open",
                &["file"],
                &[163, 167, 168],
            )
            .spare(OPENED),
        ],
        blind: &[RACE, SOURCES],
    },
    at_exit(FILE_NEEDS, &[Part::calls(Kind::Control)], &[NAMES]),
];
