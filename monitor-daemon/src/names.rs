//! The addresses of the host names that rules mention.
//!
//! One task asks the system's resolver for all of them again and again, and at once when there are
//! others; the owner of the state receives a whole new [`NameTable`] when something changed, so
//! reading it needs no lock and never waits. A name that cannot be resolved for a while keeps its
//! last addresses, and one that nobody answers for holds up no other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Most addresses kept of one name.
const ADDRESSES_MAX: usize = 256;
/// Names asked for at once: each takes a thread while it waits.
const AT_ONCE: usize = 4;

/// How names are resolved.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From the end of one round to the start of the next.
    pub refresh: Duration,
    /// Longest wait for one name.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The addresses as they are now. IPv4 addresses inside IPv6 ones count as IPv4.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameTable {
    by_name: BTreeMap<Arc<str>, BTreeSet<IpAddr>>,
    by_address: HashMap<IpAddr, Arc<str>>,
}

impl NameTable {
    /// Whether `name` has this address; `None` when the name was never resolved.
    pub fn has(&self, name: &str, address: IpAddr) -> Option<bool> {
        self.by_name
            .get(name)
            .map(|addresses| addresses.contains(&address.to_canonical()))
    }

    /// A name that has this address: of several the first in alphabetical order.
    pub fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.by_address
            .get(&address.to_canonical())
            .map(|name| &**name)
    }

    /// Forgets all names but these; whether there were others.
    fn keep(&mut self, names: &[Arc<str>]) -> bool {
        let before = self.by_name.len();
        self.by_name.retain(|name, _| names.contains(name));
        self.by_address.retain(|_, name| names.contains(name));
        self.by_name.len() != before
    }

    /// Replaces the addresses of one name; whether they were others.
    fn set(&mut self, name: &Arc<str>, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        let addresses = addresses.into_iter().map(|address| address.to_canonical());
        let addresses = addresses.take(ADDRESSES_MAX).collect();
        if self.by_name.get(name) == Some(&addresses) {
            return false;
        }
        self.by_name.insert(Arc::clone(name), addresses);
        self.by_address.clear();
        for (name, addresses) in &self.by_name {
            for address in addresses {
                self.by_address
                    .entry(*address)
                    .or_insert_with(|| Arc::clone(name));
            }
        }
        true
    }
}

/// The table has changed: this is the new one.
#[derive(Clone, Debug)]
pub struct NamesUpdate(pub Arc<NameTable>);

/// Resolves what `names` has for as long as somebody receives `updates`.
pub async fn resolve(
    names: watch::Receiver<Vec<Arc<str>>>,
    settings: Settings,
    updates: mpsc::Sender<NamesUpdate>,
) {
    let lookup = |name: Arc<str>| async move {
        // The port is of no importance, but the resolver wants one.
        let found = tokio::net::lookup_host((&*name, 0)).await.ok()?;
        Some(found.map(|address| address.ip()).collect())
    };
    resolve_with(names, settings, updates, lookup).await;
}

async fn resolve_with<F>(
    mut names: watch::Receiver<Vec<Arc<str>>>,
    settings: Settings,
    updates: mpsc::Sender<NamesUpdate>,
    lookup: impl Fn(Arc<str>) -> F,
) where
    F: Future<Output = Option<Vec<IpAddr>>> + Send + 'static,
{
    let mut table = NameTable::default();
    loop {
        let wanted = names.borrow_and_update().clone();
        let told = round(&wanted, settings.timeout, &lookup, &mut table, &updates).await;
        if told.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(settings.refresh), if !wanted.is_empty() => {}
            Ok(()) = names.changed() => {}
            () = updates.closed() => return,
        }
    }
}

/// Asks for every name once, and tells what has changed whenever there is an answer to wait for.
/// What does not answer in time keeps its addresses. An error says that nobody listens any more.
async fn round<F>(
    names: &[Arc<str>],
    limit: Duration,
    lookup: &impl Fn(Arc<str>) -> F,
    table: &mut NameTable,
    updates: &mpsc::Sender<NamesUpdate>,
) -> Result<(), SendError<NamesUpdate>>
where
    F: Future<Output = Option<Vec<IpAddr>>> + Send + 'static,
{
    // What is only forgotten is told with the first answer.
    let (mut changed, mut answered) = (table.keep(names), false);
    let mut waiting = names.iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(name) = waiting.next()
        {
            let (name, found) = (Arc::clone(name), lookup(Arc::clone(name)));
            running.spawn(async move { (name, timeout(limit, found).await) });
        }
        let mut answer = running.try_join_next();
        if answer.is_none() {
            if changed && (answered || running.is_empty()) {
                updates.send(NamesUpdate(Arc::new(table.clone()))).await?;
                changed = false;
            }
            answer = running.join_next().await;
        }
        match answer {
            Some(Ok((name, Ok(Some(addresses))))) => {
                changed |= table.set(&name, addresses);
                answered = true;
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_table_answers_both_ways() {
        let mut table = NameTable::default();
        table.set(&"b.example".into(), [ip("192.0.2.1"), ip("192.0.2.2")]);
        table.set(
            &"a.example".into(),
            [ip("::ffff:192.0.2.1"), ip("2001:db8::1")],
        );
        for (name, address, expected) in [
            ("b.example", "192.0.2.1", Some(true)),
            ("b.example", "::ffff:192.0.2.2", Some(true)),
            ("b.example", "192.0.2.3", Some(false)),
            ("a.example", "192.0.2.1", Some(true)),
            ("c.example", "192.0.2.1", None),
        ] {
            assert_eq!(table.has(name, ip(address)), expected, "{name} {address}");
        }
        assert_eq!(table.name_of(ip("192.0.2.1")), Some("a.example"));
        assert_eq!(table.name_of(ip("192.0.2.2")), Some("b.example"));
        assert_eq!(table.name_of(ip("192.0.2.3")), None);
        table.set(&"b.example".into(), []);
        assert_eq!(table.name_of(ip("192.0.2.2")), None);
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(future)
    }

    const SETTINGS: Settings = Settings {
        refresh: Duration::from_millis(1),
        timeout: Duration::from_millis(50),
    };

    #[test]
    fn a_name_that_moves_fails_and_hangs_keeps_its_last_addresses() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let lookup = |name: Arc<str>| async move {
            match (&*name, ASKED.fetch_add(1, Ordering::Relaxed)) {
                ("silent.example", _) => std::future::pending().await,
                (_, 0..4) => Some(vec![ip("192.0.2.1")]),
                (_, 4..8) => None,
                _ => Some(vec![ip("192.0.2.2")]),
            }
        };
        block_on(async {
            let (sender, mut updates) = mpsc::channel(1);
            let names = vec!["moving.example".into(), "silent.example".into()];
            let (_names, names) = watch::channel(names);
            let task = tokio::spawn(resolve_with(names, SETTINGS, sender, lookup));
            let NamesUpdate(first) = updates.recv().await.unwrap();
            assert_eq!(first.has("moving.example", ip("192.0.2.1")), Some(true));
            assert_eq!(first.has("silent.example", ip("192.0.2.1")), None);
            // The failures in between changed nothing, so nothing was told.
            let NamesUpdate(second) = updates.recv().await.unwrap();
            assert_eq!(second.has("moving.example", ip("192.0.2.1")), Some(false));
            assert_eq!(second.has("moving.example", ip("192.0.2.2")), Some(true));
            assert!(ASKED.load(Ordering::Relaxed) > 8);
            drop(updates);
            task.await.unwrap();
        });
    }

    #[test]
    fn a_name_that_nobody_answers_for_holds_up_no_other() {
        let lookup = |name: Arc<str>| async move {
            if name.starts_with("silent") {
                std::future::pending::<()>().await;
            }
            Some(vec![ip("192.0.2.1")])
        };
        let settings = Settings {
            timeout: Duration::from_hours(1),
            ..SETTINGS
        };
        block_on(async {
            let (sender, mut updates) = mpsc::channel(1);
            let names = ["silent.example", "one.example", "other.example"].map(Arc::from);
            let (_names, names) = watch::channel(names.to_vec());
            tokio::spawn(resolve_with(names, settings, sender, lookup));
            let both = |table: &NameTable| {
                ["one.example", "other.example"]
                    .iter()
                    .all(|name| table.has(name, ip("192.0.2.1")) == Some(true))
            };
            while !both(&updates.recv().await.unwrap().0) {}
        });
    }

    #[test]
    fn the_systems_resolver_knows_localhost() {
        block_on(async {
            let (sender, mut updates) = mpsc::channel(1);
            let (_names, names) = watch::channel(vec!["localhost".into()]);
            tokio::spawn(resolve(names, Settings::default(), sender));
            let NamesUpdate(table) = updates.recv().await.unwrap();
            let loopback = [ip("127.0.0.1"), ip("::1")];
            assert!(
                loopback
                    .iter()
                    .any(|it| table.has("localhost", *it) == Some(true))
            );
        });
    }

    #[test]
    fn other_names_are_asked_for_at_once_and_old_ones_forgotten() {
        let lookup = |_| async { Some(vec![ip("192.0.2.1")]) };
        let settings = Settings {
            refresh: Duration::from_hours(1),
            ..SETTINGS
        };
        block_on(async {
            let (sender, mut updates) = mpsc::channel(1);
            let (names, known) = watch::channel(Vec::new());
            tokio::spawn(resolve_with(known, settings, sender, lookup));
            for name in ["a.example", "b.example"] {
                names.send(vec![name.into()]).unwrap();
                let NamesUpdate(table) = updates.recv().await.unwrap();
                assert_eq!(table.name_of(ip("192.0.2.1")), Some(name));
                assert_eq!(table.by_name.len(), 1);
            }
        });
    }
}
