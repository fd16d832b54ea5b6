//! A process that changes its container by way of cgroups: the event `cgroup_move`.
//!
//! Runtimes put a process into its container's cgroup whenever they start one, and containers that
//! manage cgroups move processes below their own; neither is an event. These are:
//!
//! - a process of a container comes into a cgroup outside of that container's, whoever moves it,
//!   also by being forked there;
//! - a process of the host puts *itself* into a container's cgroup. A runtime does it to others.

use std::sync::Arc;

use monitor_common::Task;
use monitor_common::cgroup::Cgroup;

use crate::container::{Container, cgroup_path};

/// Its name in rules.
pub(crate) const NAME: &str = "cgroup_move";

/// What is told of a move.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Movement {
    /// The process that was moved.
    pub pid: u32,
    /// Its name.
    pub comm: Box<[u8]>,
    /// Short id of the container it belonged to before, or `host`.
    pub source: Arc<str>,
    /// Short id of the innermost container whose cgroup it is in now, or `host`.
    pub dest: Arc<str>,
    /// The cgroup it is in now, below the root of the hierarchy.
    pub path: Box<[u8]>,
}

/// Who is moved by whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moved<'a> {
    /// The process that is moved.
    pub pid: u32,
    /// Its name.
    pub comm: &'a [u8],
    /// It moves itself.
    pub itself: bool,
}

impl<'a> Moved<'a> {
    /// The process that a record of an attach tells of.
    pub fn attached(cgroup: &Cgroup, writer: &Task, comm: &'a [u8]) -> Self {
        Self {
            pid: cgroup.target_pid,
            comm,
            itself: cgroup.target_pid == writer.pid,
        }
    }
}

impl Movement {
    /// A process that belonged to `source` (`None`: the host) comes into the cgroup at `path`;
    /// `None` when that is no event.
    pub fn of(moved: Moved<'_>, source: Option<&Container>, path: &[u8]) -> Option<Self> {
        let stays = |container: &Container| {
            cgroup_path::containers(path).any(|found| {
                *found.id == *container.id
                    && found.owner == container.owner
                    && (found.is_unique() || found.runtime == container.runtime)
            })
        };
        let dest = cgroup_path::identify(path);
        let happens = match source {
            Some(container) => !stays(container),
            None => moved.itself && dest.is_some(),
        };
        let host = || Arc::from("host");
        happens.then(|| Self {
            pid: moved.pid,
            comm: moved.comm.into(),
            source: source.map_or_else(host, |container| container.short_id().into()),
            dest: dest.map_or_else(host, |found| cgroup_path::short_id(found.id).into()),
            path: path.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::State;
    use crate::container::cgroup_path::{Owner, Runtime};

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "b3123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";

    fn container(id: &str, owner: Owner) -> Container {
        Container {
            id: id.into(),
            runtime: Runtime::Docker,
            owner,
            state: State::Pending,
            early: None,
        }
    }

    /// Who it belonged to, who moves it, where to, and `source → dest` if that is an event.
    const CASES: &[(Option<Owner>, bool, &str, Option<&str>)] = &[
        // A runtime starts a container, or a process in it.
        (None, false, "/docker/{A}", None),
        (None, false, "/system.slice/docker-{A}.scope/init", None),
        // The host's own affairs.
        (None, true, "/system.slice/sshd.service", None),
        (None, false, "/", None),
        // A process of the host hides in a container.
        (None, true, "/docker/{A}", Some("host → 0123456789ab")),
        // A container's own affairs, a nested container among them.
        (Some(Owner::System), true, "/docker/{A}/workers", None),
        (Some(Owner::System), false, "/docker/{A}", None),
        (Some(Owner::System), false, "/docker/{A}/docker/{B}", None),
        // It leaves, by itself or with help.
        (Some(Owner::System), true, "/", Some("0123456789ab → host")),
        (
            Some(Owner::System),
            false,
            "/system.slice",
            Some("0123456789ab → host"),
        ),
        (
            Some(Owner::System),
            true,
            "/docker/{B}",
            Some("0123456789ab → b3123456789a"),
        ),
        // A user's cgroup of the same name is another container's.
        (
            Some(Owner::System),
            true,
            "/user.slice/user-1.slice/docker-{A}.scope",
            Some("0123456789ab → 0123456789ab"),
        ),
        // Nobody knows where to.
        (Some(Owner::System), true, "", Some("0123456789ab → host")),
    ];

    #[test]
    fn leaving_a_container_is_an_event_and_starting_one_is_none() {
        for (before, itself, path, expected) in CASES {
            let path = path.replace("{A}", A).replace("{B}", B);
            let before = before.map(|owner| container(A, owner));
            let moved = Moved {
                pid: 7,
                comm: b"sh",
                itself: *itself,
            };
            let found = Movement::of(moved, before.as_ref(), path.as_bytes());
            let found = found.map(|found| format!("{} → {}", found.source, found.dest));
            assert_eq!(found.as_deref(), *expected, "{path} {before:?} {itself}");
        }
    }
}
