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
//! those gone first leave first, then the least recently changed; every eviction is counted. Who
//! can make cgroups (users of the host below `user.slice`, containers below their own) can make
//! any number that look like containers: further ones than a bound are taken for a plain part of
//! what they lie in, so that nobody else's leave for them.

mod entry;
#[cfg(test)]
mod tests;
mod updates;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use monitor_common::filter::Scope;

use super::cgroup_path::{CgroupContainer, ID_LEN, Owner, Runtime, containers};
use super::{Container, Metadata, State, Unknown};
use entry::{Crowd, Entry, Key, resolve};

/// Most cgroups remembered; what is dropped for it is counted, and looked up when it matters.
const CGROUPS_MAX: usize = 65_536;
/// Most cgroups remembered below one container: it may be able to make more at will.
const CGROUPS_PER_CONTAINER: usize = 1_024;

/// Most containers remembered that one user's or one container's own doing can be.
const CROWD_MAX: usize = 1_024;

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
    crowds: HashMap<Crowd, usize>,
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
    /// It decides the container of some process, so it must not be forgotten.
    is_origin: bool,
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
            crowds: HashMap::new(),
        }
    }

    /// The container of a cgroup, by its id in the hierarchy that tells containers apart.
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

    /// Whose each cgroup is that is there, where that is known. A container that is called as the
    /// host is in rules is left out.
    pub fn scopes(&self) -> impl Iterator<Item = (u64, Scope)> {
        let there = self.cgroups.iter();
        let there = there.filter(|(_, node)| node.removed.is_none());
        there.filter_map(|(id, node)| {
            let chain = node.chain.as_deref()?;
            if chain.is_empty() {
                return Some((*id, Scope::Host));
            }
            let container = resolve(&self.entries, chain)?;
            (container.short_id() != "host").then_some((*id, Scope::Container))
        })
    }

    /// Whether a cgroup lies in that of a container, at any depth, as far as is known.
    pub fn lies_in(&self, cgroup: u64, container: &Container) -> bool {
        let key = Key::new(container.owner, &container.id, container.runtime);
        let node = self.cgroups.get(&cgroup);
        let chain = node.and_then(|node| node.chain.as_deref());
        chain.is_some_and(|chain| chain.contains(&key))
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
        let mut chain: Vec<Key> = Vec::new();
        for found in containers(path) {
            let Some(key) = self.enter(found, chain.first()) else {
                break;
            };
            chain.push(key);
        }
        if self.cgroups.len() >= CGROUPS_MAX && !self.forget_host_cgroups() {
            self.cgroups_dropped += 1;
            return;
        }
        if let Some(innermost) = chain.last()
            && !self.attach(innermost, cgroup)
        {
            self.cgroups_dropped += 1;
            return;
        }
        let node = Cgroup {
            chain: Some(chain.into()),
            made: now,
            removed: None,
            is_origin: false,
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
            is_origin: false,
            answer: None,
        });
    }

    /// A cgroup decides the container of a process from now on: it is not forgotten for others,
    /// until [`Self::expire`] is told that it does no more.
    pub fn hold(&mut self, cgroup: u64) {
        if let Some(node) = self.cgroups.get_mut(&cgroup) {
            node.is_origin = true;
        }
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
        self.cgroups.retain(|id, node| {
            node.is_origin = used(*id);
            !over(node.removed) || node.is_origin && node.chain.is_some()
        });
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
        let key = Key::new(self.settings.docker?, id, Runtime::Docker);
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

    /// Makes sure that there is an entry for a container named in a cgroup path, below `outer`;
    /// `None` when whoever made it has made too many.
    fn enter(&mut self, found: CgroupContainer<'_>, outer: Option<&Key>) -> Option<Key> {
        let CgroupContainer { id, runtime, owner } = found;
        let key = Key::new(owner, id, runtime);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.gone = None;
            return Some(key);
        }
        let crowd = match (outer, owner) {
            (Some(outer), _) => Crowd::Inside(outer.clone()),
            (None, Owner::User) => Crowd::Users,
            (None, Owner::System) => Crowd::Trusted,
        };
        if self
            .crowds
            .get(&crowd)
            .is_some_and(|count| *count >= CROWD_MAX)
        {
            self.cgroups_dropped += 1;
            return None;
        }
        let state = self.first_state(&key, runtime);
        // One that comes up while Docker tells what runs is in the list or asked for after it.
        if state == State::Pending && self.docker != Docker::Starting {
            self.requests.push_back(Arc::clone(&key.id));
        }
        let id = Arc::clone(&key.id);
        self.insert(
            key.clone(),
            Entry::new(
                Container {
                    id,
                    runtime,
                    owner,
                    state,
                    early: None,
                },
                crowd,
            ),
        );
        Some(key)
    }

    /// Makes room at the cost of the host's cgroups, which count for less than containers': one
    /// that is not known is looked up when something happens in it. `false` if there are none.
    fn forget_host_cgroups(&mut self) -> bool {
        let is_host = |node: &Cgroup| {
            !node.is_origin && node.chain.as_ref().is_none_or(|chain| chain.is_empty())
        };
        let known = self.cgroups.iter();
        let host = known.filter_map(|(id, node)| is_host(node).then_some(*id));
        // Not one by one: each time all are looked at.
        let some: Vec<u64> = host.take(CGROUPS_MAX / 16).collect();
        for id in &some {
            self.cgroups.remove(id);
        }
        self.cgroups_dropped += some.len() as u64;
        !some.is_empty()
    }

    fn first_state(&self, key: &Key, runtime: Runtime) -> State {
        // Also while Docker is down: who made the cgroup, if not Docker? The client hurries then,
        // and says if it was in vain.
        if self.asks_docker(key, runtime) {
            State::Pending
        } else {
            State::Unknown(Unknown::NoClient)
        }
    }

    /// A bare id below `kubepods` can be Docker's as well. One that a user chose cannot, and
    /// Docker would take it for the name of another container.
    fn asks_docker(&self, key: &Key, runtime: Runtime) -> bool {
        self.settings.docker == Some(key.owner)
            && matches!(runtime, Runtime::Docker | Runtime::Containerd)
            && key.id.len() == ID_LEN
    }

    fn insert(&mut self, key: Key, mut entry: Entry) {
        self.version += 1;
        entry.changed = self.version;
        self.bytes += entry.size();
        self.pending += entry.pending();
        if entry.crowd != Crowd::Trusted {
            *self.crowds.entry(entry.crowd.clone()).or_default() += 1;
        }
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

    /// Notes a cgroup as the container's; with too many, the oldest nested one that nobody belongs
    /// to is forgotten. Whether there is room.
    fn attach(&mut self, key: &Key, cgroup: u64) -> bool {
        let cgroups = &self.cgroups;
        let is_held = |id: &u64| cgroups.get(id).is_some_and(|node| node.is_origin);
        let Some(entry) = self.entries.get(key) else {
            return true;
        };
        let forgotten = if entry.cgroups.len() >= CGROUPS_PER_CONTAINER {
            // The first is the container's own.
            let mut nested = entry.cgroups.iter().enumerate().skip(1);
            match nested.find(|(_, id)| !is_held(id)) {
                Some((at, _)) => Some(at),
                None => return false,
            }
        } else {
            None
        };
        let forgotten = self.change(key, |entry| {
            let forgotten = forgotten.and_then(|at| entry.cgroups.remove(at));
            entry.cgroups.push_back(cgroup);
            forgotten
        });
        if let Some(old) = forgotten.flatten() {
            self.cgroups.remove(&old);
            self.cgroups_dropped += 1;
        }
        true
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
            if only_metadata && self.change(&key, Entry::drop_labels) == Some(true) {
                // Nobody gets rid of what rules know of his container by giving it labels.
            } else if only_metadata {
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
        if let Some(count) = self.crowds.get_mut(&entry.crowd) {
            *count -= 1;
            if *count == 0 {
                self.crowds.remove(&entry.crowd);
            }
        }
        for cgroup in entry.cgroups {
            self.cgroups.remove(&cgroup);
        }
    }
}
