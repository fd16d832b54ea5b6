//! One container in the index: its current value, its cgroups, and when it may be forgotten.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::super::cgroup_path::{ID_LEN, Owner, Runtime};
use super::super::{Container, Metadata, State};

/// Two runtimes of different owners may bear the same id only if one of them lies. Ids that users
/// choose are unique within their runtime only.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) owner: Owner,
    pub(super) id: Arc<str>,
    chosen_for: Option<Runtime>,
}

impl Key {
    pub(super) fn new(owner: Owner, id: &str, runtime: Runtime) -> Self {
        Self {
            owner,
            id: id.into(),
            chosen_for: (id.len() != ID_LEN).then_some(runtime),
        }
    }
}

/// Who can have made so many containers that others suffer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Crowd {
    /// Nobody but the system's administrator.
    Trusted,
    /// A user of the host, below `user.slice`.
    Users,
    /// This container, in its own cgroup.
    Inside(Key),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) container: Arc<Container>,
    pub(super) crowd: Crowd,
    /// Its cgroups that exist; the first is its own.
    pub(super) cgroups: VecDeque<u64>,
    /// Since when it is gone.
    pub(super) gone: Option<u64>,
    /// Docker told of it since it was last connected.
    pub(super) told: bool,
    /// Version of the index at its last change.
    pub(super) changed: u64,
}

impl Entry {
    pub(super) fn new(container: Container, crowd: Crowd) -> Self {
        Self {
            container: Arc::new(container),
            crowd,
            cgroups: VecDeque::new(),
            gone: None,
            told: false,
            changed: 0,
        }
    }

    pub(super) fn set_state(&mut self, state: State) {
        let container = Container {
            state,
            ..Container::clone(&self.container)
        };
        self.container = Arc::new(container);
    }

    /// Docker knows it, so Docker runs it.
    pub(super) fn know(&mut self, metadata: Arc<Metadata>, version: u64, now: u64) {
        self.changed = version;
        self.told = true;
        match (metadata.pid, metadata.started) {
            (Some(_), _) => self.gone = None,
            // It ran before and does not now.
            (None, Some(_)) => self.died(now),
            (None, None) => {}
        }
        self.container = Arc::new(Container {
            runtime: Runtime::Docker,
            state: State::Known(metadata),
            early: None,
            ..Container::clone(&self.container)
        });
    }

    /// It is being created; the whole metadata follows.
    pub(super) fn know_early(&mut self, metadata: Arc<Metadata>) {
        self.told = true;
        let early = Some(metadata).filter(|_| self.container.metadata().is_none());
        self.container = Arc::new(Container {
            runtime: Runtime::Docker,
            early,
            ..Container::clone(&self.container)
        });
    }

    /// 1 when it waits for metadata, else 0.
    pub(super) fn pending(&self) -> usize {
        usize::from(self.container.state == State::Pending)
    }

    pub(super) fn is_live(&self) -> bool {
        !self.cgroups.is_empty()
    }

    pub(super) fn leave(&mut self, cgroup: u64, now: u64) {
        self.cgroups.retain(|id| *id != cgroup);
        self.died(now);
    }

    /// Its process is gone: unless a cgroup is still there, the grace time begins.
    pub(super) fn died(&mut self, now: u64) {
        if !self.is_live() {
            self.gone.get_or_insert(now);
        }
    }

    /// It was removed: whatever cgroup is still noted, its removal was missed.
    pub(super) fn removed(&mut self, now: u64) {
        self.gone.get_or_insert(now);
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        const CGROUP: usize = 96;
        let fixed = size_of::<Self>() + size_of::<Container>() + 2 * self.container.id.len();
        fixed + self.metadata_size() + self.cgroups.len() * CGROUP
    }

    fn metadata_size(&self) -> usize {
        let container = &self.container;
        let told = container.metadata().or(container.early.as_deref());
        told.map_or(0, Metadata::size)
    }

    pub(super) fn has_live_metadata(&self) -> bool {
        self.is_live() && self.container.metadata().is_some()
    }

    /// What is evicted first comes first: gone ones by time, then those without a cgroup, then
    /// those whose eviction frees metadata. Of these who takes most, so that nobody can take the
    /// room of others; then the longest unchanged.
    pub(super) fn worth(&self) -> (u8, Reverse<usize>, u64) {
        let any = Reverse(0);
        match self.gone {
            Some(since) => (0, any, since),
            None if !self.is_live() => (1, any, self.changed),
            None if self.has_live_metadata() => (2, Reverse(self.metadata_size()), self.changed),
            None => (3, any, self.changed),
        }
    }

    /// Forgets the labels: of what is known of a container they alone may be many. Whether there
    /// were any.
    pub(super) fn drop_labels(&mut self) -> bool {
        let Some(known) = self.container.metadata() else {
            return false;
        };
        if known.labels.is_empty() {
            return false;
        }
        let metadata = Metadata {
            labels: BTreeMap::new(),
            ..known.clone()
        };
        self.set_state(State::Known(Arc::new(metadata)));
        true
    }
}

/// The container that a cgroup inside all of `chain` belongs to (see [`super`]).
pub(super) fn resolve(entries: &HashMap<Key, Entry>, chain: &[Key]) -> Option<Arc<Container>> {
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
