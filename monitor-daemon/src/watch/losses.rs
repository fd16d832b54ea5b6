//! Whose events were lost, and the alert that says so.
//!
//! The kernel counts losses by cgroup; here they are added up by container. The first loss of a
//! container is told at the next look, further ones once a [`PERIOD_NS`], so that a flood of events
//! is no flood of alerts. What the kernel could not keep apart is told as `unknown`. Pure: counts
//! and times are passed in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use monitor_common::Kind;
use monitor_policy::Priority;
use serde_json::Value;

use crate::container::cgroup_path::short_id;
use crate::container::index::{Index, Lookup};
use crate::output::{Alert, INTERNAL, OWN_TAG};
use crate::probe::{CgroupLoss, Loss};

/// Name of the alerts, where others have the name of their rule.
pub(super) const RULE: &str = "Monitor internal: events lost";
/// Priority of the alerts: what was lost may have been an attack, or its cover.
pub(super) const PRIORITY: Priority = Priority::Warning;
/// Shortest time between two alerts about one container, ns.
const PERIOD_NS: u64 = 30_000_000_000;
/// Containers told apart at a time.
const OWNERS_MAX: usize = 1024;

/// Where lost events came from, as metrics say it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Place {
    Container,
    Host,
    Unknown,
}

impl Place {
    const ALL: [Self; 3] = [Self::Container, Self::Host, Self::Unknown];

    const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Host => "host",
            Self::Unknown => "unknown",
        }
    }
}

/// Losses since load, and those not told yet.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// All, by kind, at the last look.
    totals: BTreeMap<Kind, u64>,
    /// Those that were found to be of some cgroup, or given up as unknown, by kind.
    assigned: BTreeMap<Kind, u64>,
    /// The kernel's counts at the last look.
    counts: HashMap<(u64, Kind), u64>,
    /// By whole id and place: users choose ids that begin alike, or are `host`.
    owners: HashMap<(Place, Arc<str>), Owner>,
    places: BTreeMap<Place, u64>,
    looked: u64,
}

/// One that lost events.
#[derive(Debug, Default)]
struct Owner {
    name: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    /// Lost and not told yet.
    kinds: BTreeMap<Kind, u64>,
    /// The look before the first of them, `CLOCK_BOOTTIME` ns.
    since: u64,
    told: Option<u64>,
}

impl Losses {
    /// Takes in the kernel's counts: `all`, and if they rose what `by_cgroup`, asked afterwards,
    /// tells.
    pub(super) fn look<E>(
        &mut self,
        all: &[Loss],
        by_cgroup: impl FnOnce() -> Result<Vec<CgroupLoss>, E>,
        index: &mut Index,
        now: u64,
    ) -> Result<(), E> {
        let mut totals = BTreeMap::new();
        for loss in all {
            *totals.entry(loss.kind).or_default() += loss.count;
        }
        if totals != self.totals {
            let counts = by_cgroup()?;
            self.totals = totals;
            self.assign(&counts, index);
        }
        self.looked = now;
        Ok(())
    }

    /// Records lost since load, by where they came from.
    pub(super) fn places(&self) -> Vec<(&'static str, u64)> {
        let count = |place| self.places.get(&place).copied().unwrap_or_default();
        Place::ALL.map(|place| (place.name(), count(place))).into()
    }

    /// The alerts that are due. `boot_to_epoch_ns` makes wall time of `now`.
    pub(super) fn due(
        &mut self,
        now: u64,
        boot_to_epoch_ns: u64,
        hostname: &Arc<str>,
    ) -> Vec<Alert> {
        self.tell(now, PERIOD_NS, boot_to_epoch_ns, hostname)
    }

    /// The alerts about all that was not told yet.
    pub(super) fn rest(
        &mut self,
        now: u64,
        boot_to_epoch_ns: u64,
        hostname: &Arc<str>,
    ) -> Vec<Alert> {
        self.tell(now, 0, boot_to_epoch_ns, hostname)
    }

    fn tell(
        &mut self,
        now: u64,
        period: u64,
        boot_to_epoch_ns: u64,
        hostname: &Arc<str>,
    ) -> Vec<Alert> {
        let over = |owner: &Owner| {
            let told = owner.told;
            told.is_none_or(|told| now.saturating_sub(told) >= period)
        };
        self.owners
            .retain(|_, owner| !owner.kinds.is_empty() || !over(owner));
        let mut alerts = Vec::new();
        for ((_, id), owner) in &mut self.owners {
            if !owner.kinds.is_empty() && over(owner) {
                let time = now.saturating_add(boot_to_epoch_ns);
                alerts.push(owner.alert(short_id(id), now, time, hostname));
                owner.kinds.clear();
                owner.told = Some(now);
            }
        }
        alerts
    }

    fn assign(&mut self, counts: &[CgroupLoss], index: &mut Index) {
        let before = std::mem::take(&mut self.counts);
        for loss in counts {
            let key = (loss.cgroup, loss.kind);
            self.counts.insert(key, loss.count);
            let known = before.get(&key).copied().unwrap_or_default();
            // Less than before: the kernel forgot it meanwhile and began anew.
            let new = loss.count.checked_sub(known).unwrap_or(loss.count);
            if new > 0 {
                self.assign_one(loss.cgroup, loss.kind, new, index);
            }
        }
        for (kind, total) in self.totals.clone() {
            let assigned = self.assigned.get(&kind).copied().unwrap_or_default();
            if let Some(rest) = total.checked_sub(assigned).filter(|rest| *rest > 0) {
                self.add(Place::Unknown, "unknown", Owner::default(), kind, rest);
            }
        }
    }

    fn assign_one(&mut self, cgroup: u64, kind: Kind, count: u64, index: &mut Index) {
        match index.lookup(cgroup) {
            Lookup::Container(container) => {
                let told = container.name_and_image();
                let owner = Owner {
                    name: told.map(|(name, _)| name.to_owned()),
                    repository: told.map(|(_, image)| image.repository.clone()),
                    tag: told.map(|(_, image)| image.tag.clone()),
                    ..Owner::default()
                };
                self.add(Place::Container, &container.id, owner, kind, count);
            }
            Lookup::Host => {
                let owner = Owner {
                    name: Some("host".to_owned()),
                    ..Owner::default()
                };
                self.add(Place::Host, "host", owner, kind, count);
            }
            Lookup::Lost | Lookup::UnknownCgroup => {
                self.add(Place::Unknown, "unknown", Owner::default(), kind, count);
            }
        }
    }

    /// Adds to what `id` lost; `owner` is what is known of it by now.
    fn add(&mut self, place: Place, id: &str, owner: Owner, kind: Kind, count: u64) {
        *self.places.entry(place).or_default() += count;
        *self.assigned.entry(kind).or_default() += count;
        let key = (place, Arc::from(id));
        let full = self.owners.len() >= OWNERS_MAX && !self.owners.contains_key(&key);
        let (key, owner) = if full {
            ((Place::Unknown, Arc::from("unknown")), Owner::default())
        } else {
            (key, owner)
        };
        let entry = self.owners.entry(key).or_default();
        if entry.kinds.is_empty() {
            entry.since = self.looked;
        }
        *entry.kinds.entry(kind).or_default() += count;
        if owner.name.is_some() {
            (entry.name, entry.repository, entry.tag) = (owner.name, owner.repository, owner.tag);
        }
    }
}

impl Owner {
    fn alert(&self, id: &str, now: u64, time: u64, hostname: &Arc<str>) -> Alert {
        let lost: u64 = self.kinds.values().sum();
        let kinds = self.kinds.iter();
        let kinds: Vec<String> = kinds
            .map(|(kind, count)| format!("{}:{count}", kind.name()))
            .collect();
        let ms = now.saturating_sub(self.since) / 1_000_000;
        let text = |value: &Option<String>| value.clone().map_or(Value::Null, Value::from);
        let known = |name, value: &Value| (String::from(name), value.clone());
        let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
        let fields = [
            ("lost.events", Value::from(lost)),
            ("lost.kinds", Value::from(kinds.join(","))),
            ("lost.seconds", Value::from(ms as f64 / 1000.0)),
            ("container.id", Value::from(id)),
            ("container.name", text(&self.name)),
            ("container.image.repository", text(&self.repository)),
            ("container.image.tag", text(&self.tag)),
        ];
        let plain = |value: &Option<String>| value.clone().unwrap_or_else(|| "<NA>".to_owned());
        Alert {
            rule: RULE.into(),
            priority: PRIORITY,
            source: INTERNAL.into(),
            tags: [OWN_TAG.to_owned()].into(),
            time,
            hostname: Arc::clone(hostname),
            output: format!(
                "Events were lost before any rule was tried on them | events={lost} kinds={} \
                 seconds={seconds} container_id={id} container_name={} \
                 container_image_repository={} container_image_tag={}",
                kinds.join(","),
                plain(&self.name),
                plain(&self.repository),
                plain(&self.tag),
            ),
            fields: fields.map(|(name, value)| known(name, &value)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use monitor_common::loss::LossReason;

    use super::*;

    const ID: &str = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789abcdef";
    const SECOND: u64 = 1_000_000_000;

    struct Bench {
        losses: Losses,
        index: Index,
    }

    impl Bench {
        fn new() -> Self {
            let mut index = Index::new(crate::container::index::Settings::default());
            index.cgroup_made(1, b"/system.slice", 0);
            index.cgroup_made(2, format!("/docker/{ID}").as_bytes(), 0);
            for (cgroup, name) in [
                (3, "production-db-one"),
                (4, "production-db-two"),
                (5, "host"),
            ] {
                index.cgroup_made(cgroup, format!("/lxc.payload.{name}").as_bytes(), 0);
            }
            let losses = Losses::default();
            Self { losses, index }
        }

        /// Alerts by container: what was lost, and in how many seconds.
        fn look(
            &mut self,
            second: u64,
            total: u64,
            counts: &[(u64, u64)],
        ) -> Vec<(String, Value, Value)> {
            let all = [Loss {
                kind: Kind::Open,
                reason: LossReason::RingFull,
                cpu: 0,
                count: total,
            }];
            let counts = counts.iter().map(|(cgroup, count)| CgroupLoss {
                cgroup: *cgroup,
                kind: Kind::Open,
                count: *count,
            });
            let counts: Vec<CgroupLoss> = counts.collect();
            let now = second * SECOND;
            let looked =
                self.losses
                    .look(&all, || Ok::<_, Infallible>(counts), &mut self.index, now);
            looked.unwrap();
            let field = |alert: &Alert, name| alert.field(name).cloned().unwrap_or_default();
            let alerts = self.losses.due(now, 0, &Arc::from("h"));
            let mut told: Vec<_> = alerts
                .iter()
                .map(|alert| {
                    let id = field(alert, "container.id");
                    let id = id.as_str().unwrap_or_default().to_owned();
                    (id, field(alert, "lost.kinds"), field(alert, "lost.seconds"))
                })
                .collect();
            told.sort_by(|one, other| one.0.cmp(&other.0));
            told
        }
    }

    fn alert(id: &str, lost: u64, seconds: f64) -> (String, Value, Value) {
        (id.to_owned(), format!("open:{lost}").into(), seconds.into())
    }

    #[test]
    fn the_first_loss_is_told_at_once_and_more_once_a_period() {
        let mut bench = Bench::new();
        let container = "0123456789ab";
        assert_eq!(bench.look(1, 0, &[]), []);
        assert_eq!(bench.look(2, 7, &[(2, 7)]), [alert(container, 7, 1.0)]);
        for second in 3..32 {
            assert_eq!(bench.look(second, 4 + second, &[(2, 4 + second)]), []);
        }
        assert_eq!(bench.look(32, 36, &[(2, 36)]), [alert(container, 29, 29.0)]);
        assert_eq!(bench.look(70, 36, &[(2, 36)]), []);
        assert!(bench.losses.owners.is_empty(), "forgotten");
        assert_eq!(bench.look(71, 37, &[(2, 37)]), [alert(container, 1, 1.0)]);
    }

    #[test]
    fn losses_are_told_apart_and_none_is_left_out() {
        let mut bench = Bench::new();
        let counts = [(1, 5), (2, 6), (99, 7)];
        let expected = [
            alert("0123456789ab", 6, 1.0),
            alert("host", 5, 1.0),
            alert("unknown", 9, 1.0),
        ];
        assert_eq!(bench.look(1, 20, &counts), expected);
        let places = [("container", 6), ("host", 5), ("unknown", 9)];
        assert_eq!(bench.losses.places(), places);
        // The kernel forgot the container's count for others'.
        assert_eq!(
            bench.look(40, 23, &[(2, 3)]),
            [alert("0123456789ab", 3, 39.0)]
        );
    }

    #[test]
    fn containers_whose_ids_begin_alike_are_told_apart() {
        let mut bench = Bench::new();
        let expected = [
            alert("host", 1, 1.0),
            alert("host", 4, 1.0),
            alert("production-d", 2, 1.0),
            alert("production-d", 3, 1.0),
        ];
        let mut told = bench.look(1, 10, &[(1, 1), (3, 2), (4, 3), (5, 4)]);
        told.sort_by_key(|told| (told.0.clone(), told.1.to_string()));
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_counted_while_we_look_is_counted_once() {
        let mut bench = Bench::new();
        assert_eq!(bench.look(1, 5, &[(2, 8)]), [alert("0123456789ab", 8, 1.0)]);
        assert_eq!(bench.look(40, 8, &[(2, 8)]), []);
        assert_eq!(
            bench.look(80, 9, &[(2, 9)]),
            [alert("0123456789ab", 1, 40.0)]
        );
    }

    #[test]
    fn what_was_not_told_is_told_at_the_end() {
        let mut bench = Bench::new();
        bench.look(1, 5, &[(1, 5)]);
        assert_eq!(bench.look(2, 6, &[(1, 6)]), []);
        let rest = bench.losses.rest(2 * SECOND, 0, &Arc::from("h"));
        let expected = "Events were lost before any rule was tried on them | events=1 kinds=open:1 \
             seconds=1.000 container_id=host container_name=host \
             container_image_repository=<NA> container_image_tag=<NA>";
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].output, expected);
    }
}
