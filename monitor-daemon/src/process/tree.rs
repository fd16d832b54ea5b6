//! Whose tree of mounts the path of an executable is one in.
//!
//! Who may mount chooses what its programs' paths are, and anybody may in a user namespace of their
//! own. So a path counts as that of its host or container only where nobody but their root made it.

use monitor_common::process::{ExeFlags, Exec};

use super::Image;

/// The initial user namespace: `PROC_USER_INIT_INO` of `include/linux/proc_ns.h`.
const INITIAL: u32 = 0xefff_fffd;
/// How the kernel marks paths that lead nowhere; no rule's path begins so.
const MARK: &[u8] = b"(unreachable)";

/// The tree of mounts that the path of an executable is one in.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// Whether it is in any mount namespace.
    reachable: bool,
    /// User namespace (inode number) that the mount namespace is owned by; 0 when unknown.
    owner: u32,
    /// Whether the mount namespace is the host's own.
    is_host: bool,
    /// Whether the path is the same in the host's tree, whoever made this one.
    is_plain: bool,
}

impl Default for Tree {
    /// Nothing is known against it.
    fn default() -> Self {
        Self {
            reachable: true,
            owner: INITIAL,
            is_host: true,
            is_plain: true,
        }
    }
}

impl Tree {
    /// That of a new program. `host` is the host's mount namespace (inode number), `root_device` the
    /// device of its root file system as the kernel writes it.
    pub fn of(exec: &Exec, host: Option<u32>, root_device: Option<u32>) -> Self {
        Self {
            reachable: exec.exe_flags & ExeFlags::UNREACHABLE == 0,
            owner: exec.tree_owner,
            is_host: host == Some(exec.tree),
            is_plain: exec.exe_flags & ExeFlags::PLAIN != 0 && root_device == Some(exec.dev),
        }
    }

    /// Who owns the trees of a process's host or container, given what was known of that: the first
    /// program that a container starts in a tree that is not the host's tells it. Before, runtimes run
    /// there.
    pub const fn owner(self, known: u32) -> u32 {
        if known == 0 && self.reachable && !self.is_host {
            self.owner
        } else {
            known
        }
    }

    /// Whether the path is one that the owner of a host's or container's trees answers for.
    pub const fn is_of(self, owner: u32) -> bool {
        self.reachable
            && (self.is_plain
                || matches!(self.owner, 0 | INITIAL)
                || owner == 0
                || owner == self.owner)
    }
}

impl Image {
    /// Says that the path is one in a tree of mounts of somebody else's.
    pub(super) fn mark(&mut self) {
        let path = self.original.as_deref().unwrap_or(&self.exe);
        self.original = Some([MARK, path].concat().into());
    }
}
