//! How many records come from which container, for `monitor-daemon top`.
//!
//! A record costs a comparison, or one look into a table of cgroup numbers; which container a
//! cgroup is of is asked once a second. Only what was active lately is kept, so the memory is
//! bounded.

use std::collections::HashMap;
use std::sync::Arc;

use crate::container::index::{Index, Lookup};
use crate::metrics::ContainerLoad;

/// Cgroups told apart between two publications.
const CGROUPS_MAX: usize = 4096;
/// Containers remembered.
const CONTAINERS_MAX: usize = 1024;
/// Publications, one a second, after which a silent container is forgotten.
const SILENT_MAX: u64 = 300;

const HOST: &str = "host";
/// What belongs to a container that is not known, or to one too many.
const OTHER: &str = "other";

/// Counts by container.
#[derive(Debug, Default)]
pub(super) struct Loads {
    /// The cgroup that the last record came from, and how many came since another did.
    cgroup: u64,
    run: u64,
    /// Counts since the last publication, by cgroup.
    counts: HashMap<u64, u64>,
    /// Counts beyond [`CGROUPS_MAX`].
    rest: u64,
    containers: HashMap<Arc<str>, Entry>,
    publications: u64,
}

#[derive(Debug)]
struct Entry {
    load: ContainerLoad,
    /// The publication at which it was last active.
    active: u64,
}

impl Loads {
    /// A record of a process whose container goes by `cgroup`.
    pub(super) fn count(&mut self, cgroup: u64) {
        if cgroup != self.cgroup {
            self.end_run();
            self.cgroup = cgroup;
        }
        self.run += 1;
    }

    /// Totals by container, for those active lately.
    pub(super) fn publish(&mut self, index: &mut Index) -> Vec<ContainerLoad> {
        self.end_run();
        self.publications += 1;
        for (cgroup, count) in std::mem::take(&mut self.counts) {
            match index.lookup(cgroup) {
                Lookup::Container(container) => {
                    let (name, image) = container
                        .name_and_image()
                        .map(|(name, image)| (name.to_owned(), image.reference.clone()))
                        .unwrap_or_default();
                    let load = ContainerLoad {
                        id: container.short_id().to_owned(),
                        name,
                        image,
                        events: count,
                    };
                    self.add(&container.id, load);
                }
                Lookup::Host => self.add_named(HOST, count),
                Lookup::Lost | Lookup::UnknownCgroup => self.add_named(OTHER, count),
            }
        }
        let rest = std::mem::take(&mut self.rest);
        if rest > 0 {
            self.add_named(OTHER, rest);
        }
        let since = self.publications.saturating_sub(SILENT_MAX);
        self.containers.retain(|_, entry| entry.active >= since);
        self.containers
            .values()
            .map(|entry| entry.load.clone())
            .collect()
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run == 0 {
            return;
        }
        if self.counts.len() < CGROUPS_MAX || self.counts.contains_key(&self.cgroup) {
            *self.counts.entry(self.cgroup).or_default() += run;
        } else {
            self.rest += run;
        }
    }

    fn add_named(&mut self, name: &str, events: u64) {
        let load = ContainerLoad {
            id: name.to_owned(),
            name: name.to_owned(),
            image: String::new(),
            events,
        };
        self.add(&Arc::from(name), load);
    }

    /// Adds to what is known of a container, whose name may have come meanwhile.
    fn add(&mut self, id: &Arc<str>, load: ContainerLoad) {
        let full = self.containers.len() >= CONTAINERS_MAX;
        if full && !self.containers.contains_key(id) && load.id != OTHER {
            return self.add_named(OTHER, load.events);
        }
        let active = self.publications;
        let before = self.containers.get(id).map_or(0, |entry| entry.load.events);
        let load = ContainerLoad {
            events: before + load.events,
            ..load
        };
        self.containers
            .insert(Arc::clone(id), Entry { load, active });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789abcdef";

    fn totals(loads: &mut Loads, index: &mut Index) -> Vec<(String, u64)> {
        let mut totals: Vec<(String, u64)> = loads
            .publish(index)
            .into_iter()
            .map(|load| (load.id, load.events))
            .collect();
        totals.sort();
        totals
    }

    fn expected(totals: &[(&str, u64)]) -> Vec<(String, u64)> {
        totals
            .iter()
            .map(|(id, events)| ((*id).to_owned(), *events))
            .collect()
    }

    fn index() -> Index {
        let mut index = Index::new(crate::container::index::Settings::default());
        index.cgroup_made(1, b"/system.slice", 0);
        index.cgroup_made(2, format!("/docker/{ID}").as_bytes(), 0);
        index
    }

    #[test]
    fn totals_grow_by_container() {
        let (mut loads, mut index) = (Loads::default(), index());
        for cgroup in [1, 1, 2, 1, 2, 9] {
            loads.count(cgroup);
        }
        assert_eq!(
            totals(&mut loads, &mut index),
            expected(&[("0123456789ab", 2), ("host", 3), ("other", 1)])
        );
        loads.count(2);
        assert_eq!(
            totals(&mut loads, &mut index),
            expected(&[("0123456789ab", 3), ("host", 3), ("other", 1)])
        );
    }

    #[test]
    fn what_is_silent_for_long_is_forgotten() {
        let (mut loads, mut index) = (Loads::default(), index());
        loads.count(2);
        for _ in 0..=SILENT_MAX {
            loads.count(1);
            loads.publish(&mut index);
        }
        assert_eq!(
            totals(&mut loads, &mut index),
            expected(&[("host", SILENT_MAX + 1)])
        );
    }

    #[test]
    fn too_many_cgroups_are_counted_together() {
        let (mut loads, mut index) = (Loads::default(), index());
        let last = CGROUPS_MAX as u64 + 10;
        for cgroup in 1..=last {
            loads.count(cgroup);
        }
        assert_eq!(
            totals(&mut loads, &mut index),
            expected(&[("0123456789ab", 1), ("host", 1), ("other", last - 2)])
        );
    }
}
