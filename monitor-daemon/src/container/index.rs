//! From a cgroup id to the container: the join of what the kernel tells with what Docker tells.
//!
//! Pure: cgroups, updates and times are passed in, and nothing ever waits. A container is known
//! from the moment its cgroup is made; its metadata may come before or after. What an event can
//! wait for is [`State::Pending`]; [`Index::version`] rises whenever waiting may have ended.
//!
//! **Nested containers.** A cgroup below a container's cgroup belongs to that container. When one
//! container's cgroup lies below another's (Docker in Docker), the outermost one that the watched
//! Docker knows is taken: the inner id is unknown to it, and an attacker with write access to his
//! cgroup could otherwise make one that bears another container's id. The inner one is taken only
//! if Docker says that it was put there on purpose (`--cgroup-parent`), or if Docker knows none.
//!
//! **Memory.** Containers that are gone stay for a grace time. All is kept within a byte budget:
//! those gone first leave first, then the least recently changed; every eviction is counted.

mod entry;
#[cfg(test)]
mod tests;
mod updates;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use std::time::Duration;

use super::cgroup_path::{Owner, Runtime, containers};
use super::{Container, Metadata, State, Unknown};
use entry::{Entry, Key};

/// Most cgroups remembered; further ones are counted and looked up by a scan.
const CGROUPS_MAX: usize = 65_536;
/// Most cgroups remembered below one container: it may be able to make more at will.
const CGROUPS_PER_CONTAINER: usize = 1_024;

/// What an index is made for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whose Docker is watched; `None` when none is, so that nothing ever waits for it.
    pub docker: Option<Owner>,
    /// How long a container that is gone is remembered.
    pub grace: Duration,
    /// Most bytes that containers and their metadata may take.
    pub budget: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            docker: Some(Owner::System),
            grace: Duration::from_mins(1),
            budget: 16 * 1024 * 1024,
        }
    }
}

/// What a cgroup id stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// No container.
    Host,
    /// This container.
    Container(Arc<Container>),
    /// Never heard of: find its path (see [`super::scan`]) and look again.
    UnknownCgroup,
    /// It was looked for and is not there any more.
    Lost,
}

/// Sizes and counts for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Containers remembered, those gone included.
    pub containers: usize,
    /// Containers with at least one cgroup.
    pub running: usize,
    /// Containers that wait for metadata.
    pub pending: usize,
    /// Cgroups remembered, the host's included.
    pub cgroups: usize,
    /// Bytes of the budget in use.
    pub bytes: usize,
    /// Containers or their metadata dropped to keep within the budget, since start.
    pub evicted: u64,
    /// Cgroups not remembered because there were too many, since start.
    pub cgroups_dropped: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Index {
    settings: Settings,
    docker: Docker,
    /// Asked for each event.
    cgroups: HashMap<u64, Cgroup, RandomState>,
    entries: HashMap<Key, Entry>,
    requests: VecDeque<Arc<str>>,
    version: u64,
    pending: usize,
    bytes: usize,
    evicted: u64,
    cgroups_dropped: u64,
}

/// How far the watched Docker is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Docker {
    /// Not heard of yet, or up and about to tell what runs.
    Starting,
    Synced,
    Down,
}

#[derive(Debug)]
struct Cgroup {
    /// Containers that it lies in, outermost first; none for the host, `None` when lost.
    chain: Option<Box<[Key]>>,
    made: u64,
    removed: Option<u64>,
    /// The answer, and the version that it is good for.
    answer: Option<(u64, Arc<Container>)>,
}

impl Index {
    /// An empty index.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            docker: Docker::Starting,
            cgroups: HashMap::default(),
            entries: HashMap::new(),
            requests: VecDeque::new(),
            version: 1,
            pending: 0,
            bytes: 0,
            evicted: 0,
            cgroups_dropped: 0,
        }
    }

    /// The container of a cgroup, by its id in the unified hierarchy.
    pub fn lookup(&mut self, cgroup: u64) -> Lookup {
        let Some(node) = self.cgroups.get_mut(&cgroup) else {
            return Lookup::UnknownCgroup;
        };
        let Some(chain) = &node.chain else {
            return Lookup::Lost;
        };
        if let Some((version, container)) = &node.answer
            && *version == self.version
        {
            return Lookup::Container(Arc::clone(container));
        }
        match resolve(&self.entries, chain) {
            Some(container) => {
                node.answer = Some((self.version, Arc::clone(&container)));
                Lookup::Container(container)
            }
            None if chain.is_empty() => Lookup::Host,
            None => Lookup::UnknownCgroup,
        }
    }

    /// A cgroup was made, or found by a scan. `path` starts at the hierarchy's root with `/`; one
    /// that was cut at its head is ignored, for the missing part may name a container.
    pub fn cgroup_made(&mut self, cgroup: u64, path: &[u8], now: u64) {
        let known = self
            .cgroups
            .get(&cgroup)
            .is_some_and(|node| node.chain.is_some());
        if known || path.first() != Some(&b'/') {
            return;
        }
        if self.cgroups.len() >= CGROUPS_MAX {
            self.cgroups_dropped += 1;
            return;
        }
        let chain: Box<[Key]> = containers(path)
            .map(|found| self.enter(found.owner, found.id, found.runtime))
            .collect();
        if let Some(innermost) = chain.last() {
            self.attach(innermost, cgroup);
        }
        let node = Cgroup {
            chain: Some(chain),
            made: now,
            removed: None,
            answer: None,
        };
        self.cgroups.insert(cgroup, node);
        self.keep_budget();
    }

    /// A cgroup was removed. Records of its processes may still be on their way, so it is
    /// remembered for the grace time.
    pub fn cgroup_removed(&mut self, cgroup: u64, now: u64) {
        let Some(node) = self.cgroups.get_mut(&cgroup) else {
            return;
        };
        node.removed = Some(now);
        let Some(innermost) = node.chain.as_ref().and_then(|chain| chain.last()) else {
            return;
        };
        let innermost = innermost.clone();
        self.change(&innermost, |entry| entry.leave(cgroup, now));
    }

    /// The result of a scan that began at `began`: every cgroup that is there, as (id, path).
    /// Those that were known before and are not in it are taken for removed.
    pub fn scanned<'a>(
        &mut self,
        found: impl IntoIterator<Item = (u64, &'a [u8])>,
        began: u64,
        now: u64,
    ) {
        let mut seen = HashSet::new();
        for (cgroup, path) in found {
            seen.insert(cgroup);
            self.cgroup_made(cgroup, path, now);
        }
        let missed: Vec<u64> = self
            .cgroups
            .iter()
            .filter(|(id, node)| node.removed.is_none() && node.made < began && !seen.contains(*id))
            .map(|(id, _)| *id)
            .collect();
        for cgroup in missed {
            self.cgroup_removed(cgroup, now);
        }
    }

    /// A cgroup that [`Lookup::UnknownCgroup`] was answered for could not be found: it is
    /// [`Lookup::Lost`] from now on, for the grace time.
    pub fn cgroup_lost(&mut self, cgroup: u64, now: u64) {
        if self.cgroups.len() >= CGROUPS_MAX {
            self.cgroups_dropped += 1;
            return;
        }
        self.cgroups.entry(cgroup).or_insert(Cgroup {
            chain: None,
            made: now,
            removed: Some(now),
            answer: None,
        });
    }

    /// Hands the ids that Docker should be asked for to `ask`, until it answers `false`: then that
    /// one and the rest are kept for the next time.
    pub fn take_requests(&mut self, mut ask: impl FnMut(&Arc<str>) -> bool) {
        while let Some(id) = self.requests.front() {
            if !ask(id) {
                return;
            }
            self.requests.pop_front();
        }
    }

    /// Forgets what is gone for longer than the grace time, but no cgroup that is `used`: a process
    /// can leave a container's cgroup and remove it. Call it about once a second.
    pub fn expire(&mut self, now: u64, used: impl Fn(u64) -> bool) {
        let grace = u64::try_from(self.settings.grace.as_nanos()).unwrap_or(u64::MAX);
        let over = |since: Option<u64>| since.is_some_and(|t| now.saturating_sub(t) >= grace);
        self.cgroups
            .retain(|id, node| !over(node.removed) || used(*id) && node.chain.is_some());
        let kept: HashSet<&Key> = self
            .cgroups
            .values()
            .filter(|node| over(node.removed))
            .filter_map(|node| node.chain.as_deref())
            .flatten()
            .collect();
        let gone: Vec<Key> = self
            .entries
            .iter()
            .filter(|(key, entry)| over(entry.gone) && !kept.contains(key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.drop_entry(&key);
        }
    }

    /// Rises whenever the answer for some cgroup may have changed: events that wait look again.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many containers wait for metadata.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Metadata by full id, for example of a pod's sandbox.
    pub fn metadata(&self, id: &str) -> Option<&Metadata> {
        let key = Key {
            owner: self.settings.docker?,
            id: id.into(),
        };
        self.entries.get(&key)?.container.metadata()
    }

    /// All containers remembered, in no order.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.entries.values().map(|entry| &entry.container)
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        Stats {
            containers: self.entries.len(),
            running: self
                .entries
                .values()
                .filter(|entry| entry.is_live())
                .count(),
            pending: self.pending,
            cgroups: self.cgroups.len(),
            bytes: self.bytes,
            evicted: self.evicted,
            cgroups_dropped: self.cgroups_dropped,
        }
    }

    /// Makes sure that there is an entry for a container named in a cgroup path.
    fn enter(&mut self, owner: Owner, id: &str, runtime: Runtime) -> Key {
        let key = Key {
            owner,
            id: id.into(),
        };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.gone = None;
            return key;
        }
        let state = self.first_state(owner, runtime);
        if state == State::Pending && self.docker == Docker::Synced {
            self.requests.push_back(Arc::clone(&key.id));
        }
        let id = Arc::clone(&key.id);
        self.insert(
            key.clone(),
            Entry::new(Container {
                id,
                runtime,
                owner,
                state,
                early: None,
            }),
        );
        key
    }

    fn first_state(&self, owner: Owner, runtime: Runtime) -> State {
        match self.docker {
            _ if !self.asks_docker(owner, runtime) => State::Unknown(Unknown::NoClient),
            Docker::Down => State::Unknown(Unknown::RuntimeDown),
            Docker::Starting | Docker::Synced => State::Pending,
        }
    }

    /// A bare id below `kubepods` can be Docker's as well.
    fn asks_docker(&self, owner: Owner, runtime: Runtime) -> bool {
        self.settings.docker == Some(owner)
            && matches!(runtime, Runtime::Docker | Runtime::Containerd)
    }

    fn insert(&mut self, key: Key, mut entry: Entry) {
        self.version += 1;
        entry.changed = self.version;
        self.bytes += entry.size();
        self.pending += entry.pending();
        self.entries.insert(key, entry);
    }

    /// Changes an entry and keeps the books.
    fn change<T>(&mut self, key: &Key, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(key)?;
        let (size, pending) = (entry.size(), entry.pending());
        let result = change(entry);
        self.bytes = self.bytes.saturating_sub(size) + entry.size();
        self.pending = self.pending.saturating_sub(pending) + entry.pending();
        Some(result)
    }

    /// Notes a cgroup as the container's; with too many, the oldest nested one is forgotten.
    fn attach(&mut self, key: &Key, cgroup: u64) {
        let forgotten = self.change(key, |entry| {
            let over = entry.cgroups.len() >= CGROUPS_PER_CONTAINER;
            // The first is the container's own.
            let forgotten = if over { entry.cgroups.remove(1) } else { None };
            entry.cgroups.push_back(cgroup);
            forgotten
        });
        if let Some(old) = forgotten.flatten() {
            self.cgroups.remove(&old);
            self.cgroups_dropped += 1;
        }
    }

    fn keep_budget(&mut self) {
        while self.bytes > self.settings.budget {
            let Some((key, entry)) = self.entries.iter().min_by_key(|(_, entry)| entry.worth())
            else {
                return;
            };
            let (key, only_metadata) = (key.clone(), entry.has_live_metadata());
            self.evicted += 1;
            self.version += 1;
            if only_metadata {
                self.change(&key, |entry| {
                    entry.set_state(State::Unknown(Unknown::Evicted));
                });
            } else {
                self.drop_entry(&key);
            }
        }
    }

    fn drop_entry(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.size());
        self.pending = self.pending.saturating_sub(entry.pending());
        self.version += 1;
        for cgroup in entry.cgroups {
            self.cgroups.remove(&cgroup);
        }
    }
}

/// The container that a cgroup inside all of `chain` belongs to (see the module).
fn resolve(entries: &HashMap<Key, Entry>, chain: &[Key]) -> Option<Arc<Container>> {
    let mut best: Option<&Container> = None;
    let mut found = None;
    for entry in chain.iter().filter_map(|key| entries.get(key)) {
        let container = &entry.container;
        let taken = match (best, &container.state) {
            (None, State::Known(_) | State::Pending) => true,
            (Some(outer), State::Known(metadata)) => metadata.cgroup_parent.contains(&*outer.id),
            _ => false,
        };
        if taken {
            best = Some(container);
        }
        if taken || best.is_none() {
            found = Some(container);
        }
    }
    found.map(Arc::clone)
}
