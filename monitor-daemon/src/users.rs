//! Names of users and groups: the host's, and each container's own.
//!
//! The host's files are read again when they change, looked at once a second at most. A container's
//! are read once, through the root directory of one of its processes, or from the layers of its
//! image when none is left; their content is the container's to choose, so they are bounded in
//! every way and opened so that nothing in the container can hold the daemon up (see `open`). Ids
//! are those of the initial user namespace; a container's id map is applied before its file is
//! asked.
//!
//! Left out: directory services (LDAP, NIS), and changes of a container's files.

mod open;
mod parse;

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open::{Identity, Layered, Root};
use parse::IdMap;
pub use parse::User;

/// Where the files of a container can be read.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// A process of it, best its first one, for another may have made itself other mounts (one
    /// that used `chroot` is refused).
    pub pid: u32,
    /// Directories that its root is an overlay of, uppermost first; none if unknown. They are
    /// there when no process is any more.
    pub layers: &'a [PathBuf],
}

/// How often files are looked at, and a container that could not be read is tried again, ns.
const INTERVAL: u64 = 1_000_000_000;
/// Most bytes of a file that are read.
const FILE_MAX: usize = 1024 * 1024;
/// Most bytes that the accounts of all containers may take.
const BUDGET: usize = 8 * 1024 * 1024;

/// The users and groups of the host or of one container.
#[derive(Debug, Default)]
pub struct Accounts {
    users: HashMap<u32, User>,
    groups: HashMap<u32, Box<str>>,
    user_ids: IdMap,
    group_ids: IdMap,
}

impl Accounts {
    /// The user with this id. Id 0 (of the container) is `root` even where no file says so.
    pub fn user(&self, uid: u32) -> Option<&User> {
        let inside = self.user_ids.inside(uid)?;
        self.users
            .get(&inside)
            .or_else(|| (inside == 0).then(User::root))
    }

    /// The name of the group with this id; likewise.
    pub fn group(&self, gid: u32) -> Option<&str> {
        let inside = self.group_ids.inside(gid)?;
        self.groups
            .get(&inside)
            .map(|name| &**name)
            .or_else(|| (inside == 0).then_some("root"))
    }

    fn parse(passwd: &[u8], group: &[u8]) -> Self {
        let (users, groups) = (parse::users(passwd), parse::groups(group));
        Self {
            users,
            groups,
            ..Self::default()
        }
    }

    /// About how much memory they take, in bytes.
    fn size(&self) -> usize {
        const ENTRY: usize = 2 * (size_of::<u32>() + size_of::<User>());
        let users: usize = self.users.values().map(|user| ENTRY + user.size()).sum();
        let groups: usize = self.groups.values().map(|name| ENTRY + name.len()).sum();
        size_of::<Self>() + users + groups
    }
}

/// All names, kept current. Times are ns of any clock that does not go back.
#[derive(Debug)]
pub struct Users {
    host: Host,
    proc_root: PathBuf,
    /// The root directories of the host and of the daemon, which need not be the same: a kernel
    /// may also refuse to show the first process's. Neither changes while the daemon runs.
    host_roots: Vec<Identity>,
    containers: HashMap<Arc<str>, Cached>,
    bytes: usize,
    uses: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Cached {
    /// `None` when they could not be read.
    accounts: Option<Accounts>,
    /// Layers were among the places.
    had_layers: bool,
    size: usize,
    tried: u64,
    used: u64,
}

/// Whose root a process has.
enum Found {
    /// The host's, or the daemon's.
    Hosts,
    /// Another, which may be read.
    Own(Root),
}

impl Default for Users {
    fn default() -> Self {
        Self::new("/etc", "/proc")
    }
}

impl Users {
    /// `etc` holds the host's `passwd` and `group`; `proc_root` is a mounted procfs.
    pub fn new(etc: impl Into<PathBuf>, proc_root: impl Into<PathBuf>) -> Self {
        let proc_root = proc_root.into();
        let roots = ["1", "self"].into_iter();
        let roots = roots.filter_map(|process| Root::open(&proc_root.join(process)).ok());
        Self {
            host: Host::new(&etc.into()),
            host_roots: roots.filter_map(|root| root.identity().ok()).collect(),
            proc_root,
            containers: HashMap::new(),
            bytes: 0,
            uses: 0,
            evicted: 0,
        }
    }

    /// The host's accounts.
    pub fn host(&mut self, now: u64) -> &Accounts {
        self.host.refresh(now);
        &self.host.accounts
    }

    /// The accounts of the container `id`, which are read at the first call; `others` are asked for
    /// when the process of `place` is gone. `None` when they cannot be read, as when all are; a
    /// later call tries again.
    pub fn container(
        &mut self,
        id: &Arc<str>,
        place: Place<'_>,
        others: impl IntoIterator<Item = u32>,
        now: u64,
    ) -> Option<&Accounts> {
        self.uses += 1;
        let uses = self.uses;
        let had_layers = !place.layers.is_empty();
        let fresh = |cached: &Cached| {
            let tried = now.saturating_sub(cached.tried) < INTERVAL;
            cached.accounts.is_some() || (tried && (cached.had_layers || !had_layers))
        };
        if !self.containers.get(id).is_some_and(fresh) {
            self.forget(id);
            let root = std::iter::once(place.pid).chain(others).find_map(|pid| {
                let process = self.proc_root.join(pid.to_string());
                Some((self.root(&process)?, process))
            });
            // The runtime's own process is in the container's cgroup before it has the container's
            // root.
            let root = match root {
                Some((Found::Hosts, _)) => return None,
                Some((Found::Own(root), process)) => Some((root, process)),
                None => None,
            };
            let accounts = root.and_then(|(root, process)| read_process(&root, &process));
            let accounts = accounts.or_else(|| read_layers(place.layers));
            let size = accounts.as_ref().map_or(0, Accounts::size) + size_of::<Cached>() + id.len();
            self.make_room(size);
            self.bytes += size;
            let cached = Cached {
                accounts,
                had_layers,
                size,
                tried: now,
                used: uses,
            };
            self.containers.insert(Arc::clone(id), cached);
        }
        let cached = self.containers.get_mut(id)?;
        cached.used = uses;
        cached.accounts.as_ref()
    }

    /// Drops what is known of a container, for example because it is gone.
    pub fn forget(&mut self, id: &str) {
        if let Some(cached) = self.containers.remove(id) {
            self.bytes = self.bytes.saturating_sub(cached.size);
        }
    }

    /// How many containers' accounts are kept.
    pub fn len(&self) -> usize {
        self.containers.len()
    }

    /// Whether no container's are.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// About how much memory they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many containers' accounts were dropped for lack of room, since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The root of a process, if it can be read. Every event of a runtime that makes a container
    /// asks, and of a container that shares the host's root: what costs most comes last.
    fn root(&self, process: &Path) -> Option<Found> {
        let root = Root::open(process).ok()?;
        let identity = root.identity().ok()?;
        if self.host_roots.contains(&identity) {
            return Some(Found::Hosts);
        }
        root.check().ok()?;
        Some(Found::Own(root))
    }

    /// Drops the longest unused until `size` more bytes fit.
    fn make_room(&mut self, size: usize) {
        while self.bytes + size > BUDGET {
            let oldest = self.containers.iter().min_by_key(|(_, cached)| cached.used);
            let Some(id) = oldest.map(|(id, _)| Arc::clone(id)) else {
                return;
            };
            self.evicted += 1;
            self.forget(&id);
        }
    }
}

/// The accounts below the root of the process behind `process` (`/proc/PID`).
fn read_process(root: &Root, process: &Path) -> Option<Accounts> {
    // A container without users has no such file.
    let read = |name| root.read_etc(name, FILE_MAX).unwrap_or_default();
    let map = |name| {
        std::fs::read(process.join(name))
            .ok()
            .map(|text| IdMap::parse(&text))
    };
    Some(Accounts {
        user_ids: map("uid_map")?,
        group_ids: map("gid_map")?,
        ..Accounts::parse(&read("passwd"), &read("group"))
    })
}

/// The accounts in the layers of a container that is gone. How its ids were mapped is gone with it:
/// where they were, no name is found, never a wrong one of the lower ids.
fn read_layers(layers: &[PathBuf]) -> Option<Accounts> {
    let roots: Vec<Root> = layers
        .iter()
        .filter_map(|layer| Root::of_layer(layer).ok())
        .collect();
    let read = |name| {
        for root in &roots {
            match root.layered_etc(name, FILE_MAX) {
                Layered::File(bytes) => return bytes,
                Layered::Absent => {}
                Layered::Hidden => break,
            }
        }
        Vec::new()
    };
    (!roots.is_empty()).then(|| Accounts::parse(&read("passwd"), &read("group")))
}

/// The host's files.
#[derive(Debug)]
struct Host {
    passwd: PathBuf,
    group: PathBuf,
    accounts: Accounts,
    seen: [Option<Version>; 2],
    checked: Option<u64>,
}

/// What changes when a file does: (device, inode, size, mtime).
type Version = (u64, u64, u64, (i64, i64));

impl Host {
    fn new(etc: &Path) -> Self {
        Self {
            passwd: etc.join("passwd"),
            group: etc.join("group"),
            accounts: Accounts::default(),
            seen: [None; 2],
            checked: None,
        }
    }

    fn refresh(&mut self, now: u64) {
        if self
            .checked
            .is_some_and(|checked| now.saturating_sub(checked) < INTERVAL)
        {
            return;
        }
        let first = self.checked.replace(now).is_none();
        let current = [version(&self.passwd), version(&self.group)];
        if current != self.seen || first {
            self.seen = current;
            let read = |path: &Path| std::fs::read(path).unwrap_or_default();
            self.accounts = Accounts::parse(&read(&self.passwd), &read(&self.group));
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let version = |file: Metadata| {
        (
            file.dev(),
            file.ino(),
            file.size(),
            (file.mtime(), file.mtime_nsec()),
        )
    };
    std::fs::metadata(path).ok().map(version)
}

#[cfg(test)]
mod tests;
