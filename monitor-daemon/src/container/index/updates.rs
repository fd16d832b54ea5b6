//! What Docker's client tells, taken into the index.

use std::sync::Arc;

use super::super::cgroup_path::Runtime;
use super::super::{Container, Metadata, State, Unknown, Update};
use super::entry::{Crowd, Entry, Key};
use super::{Docker, Index};

impl Index {
    /// Takes in what Docker's client tells.
    pub fn apply(&mut self, update: Update, now: u64) {
        match update {
            Update::Up => self.docker_up(),
            Update::Synced => self.docker_synced(now),
            Update::Down(_) => self.docker_down(),
            Update::Early(metadata) => self.early_metadata_came(metadata),
            Update::Known(metadata) => self.metadata_came(metadata, now),
            Update::NotFound(id) => self.not_found(&id),
            Update::Died(id) => self.ended(&id, |entry| entry.died(now)),
            Update::Removed(id) => self.ended(&id, |entry| entry.removed(now)),
        }
        self.keep_budget();
    }

    fn docker_up(&mut self) {
        self.docker = Docker::Starting;
        let mut changed = false;
        for entry in self.entries.values_mut() {
            entry.told = false;
            if entry.container.state == State::Unknown(Unknown::RuntimeDown) {
                entry.set_state(State::Pending);
                self.pending += 1;
                changed = true;
            }
        }
        self.version += u64::from(changed);
    }

    fn docker_synced(&mut self, now: u64) {
        self.docker = Docker::Synced;
        self.requests.clear();
        for (key, entry) in &mut self.entries {
            if entry.container.state == State::Pending {
                self.requests.push_back(Arc::clone(&key.id));
            }
            // It went while nobody listened.
            if !entry.told {
                entry.died(now);
            }
        }
    }

    fn docker_down(&mut self) {
        self.docker = Docker::Down;
        self.requests.clear();
        for entry in self.entries.values_mut() {
            if entry.container.state == State::Pending {
                entry.set_state(State::Unknown(Unknown::RuntimeDown));
            }
        }
        self.pending = 0;
        self.version += 1;
    }

    fn early_metadata_came(&mut self, metadata: Arc<Metadata>) {
        if let Some(key) = self.enter_told(&metadata.id) {
            self.change(&key, |entry| entry.know_early(metadata));
        }
    }

    fn metadata_came(&mut self, metadata: Arc<Metadata>, now: u64) {
        if let Some(key) = self.enter_told(&metadata.id) {
            let version = self.version;
            self.change(&key, |entry| entry.know(metadata, version, now));
        }
    }

    /// The entry of a container that Docker told of.
    fn enter_told(&mut self, id: &str) -> Option<Key> {
        let key = Key::new(self.settings.docker?, id, Runtime::Docker);
        if !self.entries.contains_key(&key) {
            let container = Container {
                id: Arc::clone(&key.id),
                runtime: Runtime::Docker,
                owner: key.owner,
                state: State::Pending,
                early: None,
            };
            self.insert(key.clone(), Entry::new(container, Crowd::Trusted));
        }
        self.version += 1;
        Some(key)
    }

    fn not_found(&mut self, id: &Arc<str>) {
        self.ended(id, |entry| {
            if entry.container.state == State::Pending {
                entry.set_state(State::Unknown(Unknown::NotFound));
            }
        });
        self.version += 1;
    }

    fn ended(&mut self, id: &Arc<str>, change: impl FnOnce(&mut Entry)) {
        let Some(owner) = self.settings.docker else {
            return;
        };
        self.change(&Key::new(owner, id, Runtime::Docker), change);
    }
}
