//! The index told of cgroups and containers in every order that happens.

use super::super::Update;
use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const SECOND: u64 = 1_000_000_000;

fn metadata(id: &str, name: &str) -> Metadata {
    Metadata {
        id: id.to_owned(),
        name: name.to_owned(),
        pid: Some(1),
        ..Metadata::default()
    }
}

fn known(id: &str, name: &str) -> Update {
    Update::Known(Arc::new(metadata(id, name)))
}

/// An index whose Docker is up and has told all.
fn synced() -> Index {
    let mut index = Index::new(Settings::default());
    index.apply(Update::Up, 0);
    index.apply(Update::Synced, 0);
    index
}

fn docker(id: &str) -> Vec<u8> {
    format!("/docker/{id}").into_bytes()
}

/// What a rule author would see: the name, or why there is none.
fn seen(index: &mut Index, cgroup: u64) -> String {
    match index.lookup(cgroup) {
        Lookup::Host => "host".to_owned(),
        Lookup::UnknownCgroup => "unknown cgroup".to_owned(),
        Lookup::Lost => "lost".to_owned(),
        Lookup::Container(container) => match &container.state {
            State::Known(metadata) => metadata.name.clone(),
            State::Pending => format!("pending {}", container.short_id()),
            State::Unknown(reason) => format!("{} {}", reason.name(), container.short_id()),
        },
    }
}

fn requests(index: &mut Index) -> Vec<String> {
    let mut asked = Vec::new();
    index.take_requests(|id| {
        asked.push(id.to_string());
        true
    });
    asked
}

#[test]
fn cgroup_first_then_metadata() {
    let mut index = synced();
    assert_eq!(seen(&mut index, 7), "unknown cgroup");
    index.cgroup_made(7, &docker(A), 1);
    assert_eq!(seen(&mut index, 7), "pending aaaaaaaaaaaa");
    assert_eq!(
        (index.pending(), requests(&mut index)),
        (1, vec![A.to_owned()])
    );
    let version = index.version();
    index.apply(known(A, "web"), 2);
    assert!(index.version() > version);
    assert_eq!(
        (seen(&mut index, 7), index.pending()),
        ("web".to_owned(), 0)
    );
}

#[test]
fn name_and_image_are_there_while_the_rest_is_asked_for() {
    let mut index = synced();
    index.apply(Update::Early(Arc::new(metadata(A, "web"))), 0);
    index.cgroup_made(7, &docker(A), 1);
    let Lookup::Container(container) = index.lookup(7) else {
        panic!()
    };
    assert_eq!(
        (&container.state, container.metadata()),
        (&State::Pending, None)
    );
    assert_eq!(container.name_and_image().unwrap().0, "web");
    index.apply(known(A, "web"), 2);
    let Lookup::Container(container) = index.lookup(7) else {
        panic!()
    };
    assert_eq!(
        (
            container.early.is_none(),
            container.name_and_image().unwrap().0
        ),
        (true, "web")
    );
    index.apply(Update::Early(Arc::new(metadata(A, "stale"))), 3);
    assert_eq!(seen(&mut index, 7), "web");
}

#[test]
fn metadata_first_then_cgroup() {
    let mut index = synced();
    index.apply(known(A, "web"), 1);
    index.cgroup_made(7, &docker(A), 2);
    assert_eq!(seen(&mut index, 7), "web");
    assert!(requests(&mut index).is_empty());
    index.apply(known(A, "shop"), 3);
    assert_eq!(seen(&mut index, 7), "shop");
    assert_eq!(index.metadata(A).unwrap().name, "shop");
    assert_eq!(index.metadata(B), None);
}

#[test]
fn host_cgroups_are_the_host_and_nested_ones_the_containers() {
    let mut index = synced();
    index.apply(known(A, "web"), 0);
    for (id, path, expected) in [
        (1, b"/".to_vec(), "host"),
        (2, b"/system.slice/docker.service".to_vec(), "host"),
        (3, docker(A), "web"),
        (4, [docker(A), b"/init.scope".to_vec()].concat(), "web"),
        (5, [docker(A), b"/docker/x/y".to_vec()].concat(), "web"),
        // The head of a cut path may have named a container.
        (6, b"deep/down".to_vec(), "unknown cgroup"),
    ] {
        index.cgroup_made(id, &path, 0);
        assert_eq!(
            seen(&mut index, id),
            expected,
            "{}",
            String::from_utf8_lossy(&path)
        );
    }
}

#[test]
fn containers_in_containers() {
    let inner = [docker(A), docker(B)].concat();
    let parent = |parent: &str| {
        let metadata = Metadata {
            cgroup_parent: parent.to_owned(),
            ..metadata(B, "inner")
        };
        Some(Update::Known(Arc::new(metadata)))
    };
    for (what, outer, nested, expected) in [
        ("nothing told yet", None, None, "pending aaaaaaaaaaaa"),
        (
            "only the outer known",
            Some(known(A, "outer")),
            None,
            "outer",
        ),
        (
            "the outer still asked for",
            None,
            parent(""),
            "pending aaaaaaaaaaaa",
        ),
        (
            "another's id borne below",
            Some(known(A, "outer")),
            parent(""),
            "outer",
        ),
        (
            "put there by Docker",
            Some(known(A, "outer")),
            parent(&format!("/docker/{A}")),
            "inner",
        ),
        (
            "Docker itself in a container",
            Some(Update::NotFound(A.into())),
            parent(""),
            "inner",
        ),
        (
            "strangers both",
            Some(Update::NotFound(A.into())),
            Some(Update::NotFound(B.into())),
            "not_found bbbbbbbbbbbb",
        ),
    ] {
        let mut index = synced();
        index.cgroup_made(7, &docker(A), 0);
        index.cgroup_made(8, &inner, 0);
        outer
            .into_iter()
            .chain(nested)
            .for_each(|update| index.apply(update, 1));
        assert_eq!(seen(&mut index, 8), expected, "{what}");
    }
}

#[test]
fn a_users_scope_never_gets_the_name_of_a_container() {
    let mut index = synced();
    index.cgroup_made(7, &docker(A), 0);
    index.apply(known(A, "web"), 0);
    let scope = format!("/user.slice/user-1000.slice/user@1000.service/docker-{A}.scope");
    index.cgroup_made(8, scope.as_bytes(), 0);
    assert_eq!(seen(&mut index, 8), "no_client aaaaaaaaaaaa");
    assert_eq!(seen(&mut index, 7), "web");
    assert!(
        requests(&mut index).len() == 1,
        "only the real one was asked for"
    );
}

#[test]
fn other_runtimes_do_not_wait_for_docker() {
    let mut index = synced();
    index.cgroup_made(7, format!("/machine.slice/libpod-{A}.scope").as_bytes(), 0);
    assert_eq!(seen(&mut index, 7), "no_client aaaaaaaaaaaa");
    let mut index = Index::new(Settings {
        docker: None,
        ..Settings::default()
    });
    index.cgroup_made(7, &docker(A), 0);
    index.apply(known(A, "web"), 0);
    assert_eq!(seen(&mut index, 7), "no_client aaaaaaaaaaaa");
}

#[test]
fn docker_that_goes_and_comes_back() {
    let mut index = Index::new(Settings::default());
    index.cgroup_made(7, &docker(A), 0);
    assert_eq!(seen(&mut index, 7), "pending aaaaaaaaaaaa");
    assert!(
        requests(&mut index).is_empty(),
        "the list that comes first answers it"
    );
    index.apply(Update::Down("refused".to_owned()), 1);
    assert_eq!(seen(&mut index, 7), "runtime_down aaaaaaaaaaaa");
    assert_eq!(index.pending(), 0, "nothing waits in vain");

    index.cgroup_made(8, &docker(B), 2);
    assert_eq!(seen(&mut index, 8), "pending bbbbbbbbbbbb");
    assert_eq!(requests(&mut index), [B], "Docker must be coming up");
    index.apply(Update::Down("still".to_owned()), 2);
    assert_eq!(seen(&mut index, 8), "runtime_down bbbbbbbbbbbb");

    index.apply(Update::Up, 3);
    assert_eq!(index.pending(), 2);
    index.apply(known(A, "web"), 3);
    index.apply(Update::Synced, 3);
    assert_eq!(seen(&mut index, 7), "web");
    assert_eq!(requests(&mut index), [B]);
    index.apply(Update::NotFound(B.into()), 4);
    assert_eq!(seen(&mut index, 8), "not_found bbbbbbbbbbbb");

    index.apply(Update::Down("gone".to_owned()), 5);
    assert_eq!(seen(&mut index, 7), "web", "what is known stays known");
}

#[test]
fn requests_that_find_no_room_are_kept() {
    let mut index = synced();
    index.cgroup_made(7, &docker(A), 0);
    index.cgroup_made(8, &docker(B), 0);
    let mut room = 1;
    index.take_requests(|_| {
        room -= 1;
        room >= 0
    });
    assert_eq!(requests(&mut index), [B]);
}

#[test]
fn a_container_that_is_gone_stays_for_the_grace_time() {
    let mut index = synced();
    index.cgroup_made(7, &docker(A), 0);
    index.apply(known(A, "web"), 0);
    index.apply(Update::Died(A.into()), SECOND);
    index.expire(100 * SECOND, |_| false);
    assert_eq!(seen(&mut index, 7), "web", "its cgroup is still there");
    index.cgroup_removed(7, 100 * SECOND);
    index.expire(159 * SECOND, |_| false);
    assert_eq!(seen(&mut index, 7), "web");
    index.expire(160 * SECOND, |_| false);
    assert_eq!(seen(&mut index, 7), "unknown cgroup");
    assert_eq!((index.stats().containers, index.stats().bytes), (0, 0));
}

#[test]
fn a_restarted_container_is_not_forgotten() {
    let mut index = synced();
    index.cgroup_made(7, &docker(A), 0);
    index.apply(known(A, "web"), 0);
    index.cgroup_removed(7, SECOND);
    index.apply(Update::Died(A.into()), SECOND);
    index.cgroup_made(8, &docker(A), 2 * SECOND);
    index.expire(100 * SECOND, |_| false);
    assert_eq!(seen(&mut index, 8), "web");
    assert_eq!(seen(&mut index, 7), "unknown cgroup");
}

#[test]
fn a_container_whose_processes_removed_its_cgroup_is_not_forgotten() {
    let mut index = synced();
    index.cgroup_made(7, &docker(A), 0);
    index.cgroup_made(8, &docker(B), 0);
    index.apply(known(A, "web"), 0);
    index.apply(known(B, "shop"), 0);
    index.cgroup_removed(7, SECOND);
    index.cgroup_removed(8, SECOND);
    index.expire(100 * SECOND, |cgroup| cgroup == 7);
    assert_eq!(seen(&mut index, 7), "web");
    assert_eq!(seen(&mut index, 8), "unknown cgroup");
    index.expire(101 * SECOND, |_| false);
    assert_eq!(index.stats(), Stats::default());
}

#[test]
fn a_removal_that_the_kernel_did_not_tell_of() {
    let mut index = synced();
    index.cgroup_made(7, &docker(A), 0);
    index.apply(known(A, "web"), 0);
    index.apply(Update::Removed(A.into()), SECOND);
    index.expire(61 * SECOND, |_| false);
    assert_eq!(index.stats(), Stats::default());
}

#[test]
fn a_scan_adds_what_is_new_and_ends_what_is_gone() {
    let mut index = synced();
    index.cgroup_made(1, b"/", 0);
    index.cgroup_made(7, &docker(A), 0);
    // Made after the scan began: it need not be in it.
    index.cgroup_made(9, b"/new", 20 * SECOND);
    let found = [(1, b"/".as_slice()), (8, &docker(B))];
    index.scanned(found, 10 * SECOND, 21 * SECOND);
    assert_eq!(seen(&mut index, 8), "pending bbbbbbbbbbbb");
    index.expire(90 * SECOND, |_| false);
    assert_eq!(seen(&mut index, 7), "unknown cgroup");
    assert_eq!(seen(&mut index, 9), "host");
    assert_eq!(seen(&mut index, 1), "host");
}

#[test]
fn a_cgroup_that_no_scan_finds_is_lost_until_it_is_told_of() {
    let mut index = synced();
    index.cgroup_lost(7, 0);
    assert_eq!(seen(&mut index, 7), "lost");
    index.cgroup_made(7, &docker(A), 1);
    assert_eq!(seen(&mut index, 7), "pending aaaaaaaaaaaa");
    index.cgroup_lost(8, 0);
    index.expire(60 * SECOND, |_| false);
    assert_eq!(seen(&mut index, 8), "unknown cgroup");
}

/// An id that ends in `number`.
fn id(number: usize) -> String {
    format!("{number:064x}")
}

#[test]
fn the_budget_holds_and_those_gone_leave_first() {
    let budget = 40_000;
    let mut index = Index::new(Settings {
        budget,
        ..Settings::default()
    });
    index.apply(Update::Up, 0);
    index.apply(Update::Synced, 0);
    let labels = || [("key".to_owned(), "x".repeat(2_000))].into();
    for number in 0..40 {
        let cgroup = number as u64;
        index.cgroup_made(cgroup, &docker(&id(number)), cgroup);
        let metadata = Metadata {
            labels: labels(),
            ..metadata(&id(number), "web")
        };
        index.apply(Update::Known(Arc::new(metadata)), cgroup);
        // Number 0 goes on, the others end.
        if number > 0 {
            index.cgroup_removed(cgroup, cgroup);
        }
        assert!(index.stats().bytes <= budget);
    }
    assert_eq!(
        (seen(&mut index, 0), seen(&mut index, 39)),
        ("web".to_owned(), "web".to_owned())
    );
    assert_eq!(seen(&mut index, 1), "unknown cgroup");
    assert_eq!(
        index.stats().evicted as usize,
        40 - index.stats().containers
    );
}

#[test]
fn running_containers_lose_metadata_only() {
    let mut index = Index::new(Settings {
        budget: 10_000,
        ..Settings::default()
    });
    index.apply(Update::Up, 0);
    index.apply(Update::Synced, 0);
    for number in 0..8 {
        index.cgroup_made(number as u64, &docker(&id(number)), 0);
        let name = "n".repeat(1_500);
        index.apply(Update::Known(Arc::new(metadata(&id(number), &name))), 0);
    }
    assert_eq!(seen(&mut index, 0), "evicted 000000000000");
    assert_eq!(seen(&mut index, 7).len(), 1_500);
    assert!(index.stats().evicted > 0 && index.stats().containers == 8);
}

/// Rules that ask for an image or a privileged container have to hold whatever neighbours do.
#[test]
fn containers_with_many_labels_cost_others_nothing_and_themselves_only_those() {
    let mut index = Index::new(Settings {
        budget: 40_000,
        ..Settings::default()
    });
    index.apply(Update::Up, 0);
    index.apply(Update::Synced, 0);
    let own = |number: usize, bytes: usize| Metadata {
        labels: [("key".to_owned(), "x".repeat(bytes))].into(),
        privileged: true,
        ..metadata(&id(number), "web")
    };
    for number in 0..20 {
        let bytes = if number == 0 { 10 } else { 10_000 };
        index.cgroup_made(number as u64, &docker(&id(number)), 0);
        index.apply(Update::Known(Arc::new(own(number, bytes))), 0);
    }
    for number in 0..20 {
        let Lookup::Container(found) = index.lookup(number as u64) else {
            panic!("{number} is not known");
        };
        let known = found.metadata().unwrap();
        assert!(known.privileged && known.name == "web", "{number}");
        assert!(number > 0 || known.labels.len() == 1);
    }
    let stats = index.stats();
    assert!(stats.bytes <= 40_000 && stats.evicted > 0, "{stats:?}");
}

#[test]
fn a_container_that_makes_cgroups_at_will_hurts_only_itself() {
    let mut index = synced();
    index.apply(known(A, "web"), 0);
    index.cgroup_made(1, &docker(A), 0);
    for number in 2..5_000 {
        index.cgroup_made(number, format!("/docker/{A}/{number}").as_bytes(), 0);
    }
    assert_eq!(index.stats().cgroups, CGROUPS_PER_CONTAINER);
    assert_eq!(
        index.stats().cgroups_dropped,
        4_999 - CGROUPS_PER_CONTAINER as u64
    );
    assert_eq!(
        (seen(&mut index, 1), seen(&mut index, 4_999)),
        ("web".to_owned(), "web".to_owned())
    );
    assert_eq!(seen(&mut index, 2), "unknown cgroup");
}

#[test]
fn a_cgroup_that_a_process_belongs_to_is_not_forgotten_for_others() {
    let mut index = synced();
    index.apply(known(A, "web"), 0);
    index.cgroup_made(1, &docker(A), 0);
    // Where some runtimes put what they start.
    index.cgroup_made(2, format!("/docker/{A}/init").as_bytes(), 0);
    index.hold(2);
    let flood = |index: &mut Index, cgroups: std::ops::Range<u64>| {
        for number in cgroups {
            index.cgroup_made(number, format!("/docker/{A}/{number}").as_bytes(), 0);
        }
    };
    flood(&mut index, 3..5_000);
    assert_eq!(seen(&mut index, 2), "web");
    index.expire(SECOND, |cgroup| cgroup == 2);
    flood(&mut index, 5_000..10_000);
    assert_eq!(seen(&mut index, 2), "web");
    assert_eq!(index.stats().cgroups, CGROUPS_PER_CONTAINER);

    index.expire(2 * SECOND, |_| false);
    flood(&mut index, 10_000..15_000);
    assert_eq!(seen(&mut index, 2), "unknown cgroup");
}

/// Cgroups that look like containers, made by whom `path` says; `N` stands for an id.
fn flood(index: &mut Index, path: &str, number: usize) -> u64 {
    let cgroup = 1_000_000 + number as u64;
    let path = path.replace('N', &id(1_000_000 + number));
    index.cgroup_made(cgroup, path.as_bytes(), 0);
    cgroup
}

#[test]
fn cgroups_that_look_like_containers_cost_nobody_elses() {
    for (path, last) in [
        (format!("/docker/{A}/docker/N"), "web"),
        (
            "/user.slice/user-7.slice/user@7.service/docker-N.scope".to_owned(),
            "host",
        ),
    ] {
        let mut index = synced();
        index.apply(known(A, "web"), 0);
        index.apply(known(B, "shop"), 0);
        index.cgroup_made(1, &docker(A), 0);
        index.cgroup_made(2, &docker(B), 0);
        for number in 0..100_000 {
            flood(&mut index, &path, number);
        }
        let newest = flood(&mut index, &path, 100_000);
        assert_eq!(seen(&mut index, newest), last, "{path}");
        let stats = index.stats();
        assert_eq!(
            (stats.evicted, stats.containers),
            (0, CROWD_MAX + 2),
            "{path}"
        );
        assert!(stats.cgroups <= CGROUPS_MAX && stats.cgroups_dropped > 0);
        assert!(requests(&mut index).len() <= CROWD_MAX);
        // Known ones stay, new ones are seen.
        index.cgroup_made(3, &docker(&id(3)), 0);
        index.apply(known(&id(3), "new"), 0);
        for (cgroup, name) in [(1, "web"), (2, "shop"), (3, "new")] {
            assert_eq!(seen(&mut index, cgroup), name, "{path}");
        }
        // Room is given back.
        index.expire(0, |_| false);
        let ids: Vec<u64> = index.cgroups.keys().copied().collect();
        for cgroup in ids {
            index.cgroup_removed(cgroup, 0);
        }
        index.expire(100 * SECOND, |_| false);
        assert!(index.crowds.is_empty(), "{path}");
    }
}

mod any_order {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Made(u64, usize, bool),
        Removed(u64),
        Lost(u64),
        Lookup(u64),
        Expire,
        Told(usize, usize),
        Early(usize, usize),
        Ends(u8, usize),
        Docker(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..9_u64, 0..4_usize, any::<bool>()).prop_map(|(c, i, n)| Step::Made(c, i, n)),
            (0..9_u64).prop_map(Step::Removed),
            (0..9_u64).prop_map(Step::Lost),
            (0..9_u64).prop_map(Step::Lookup),
            Just(Step::Expire),
            (0..4_usize, 0..3_000_usize).prop_map(|(i, size)| Step::Told(i, size)),
            (0..4_usize, 0..3_000_usize).prop_map(|(i, size)| Step::Early(i, size)),
            (0..3_u8, 0..4_usize).prop_map(|(what, i)| Step::Ends(what, i)),
            (0..3_u8).prop_map(Step::Docker),
        ]
    }

    fn take(index: &mut Index, step: &Step, now: u64) {
        match *step {
            Step::Made(cgroup, i, nested) => {
                let inner = if nested {
                    docker(&id(i + 1))
                } else {
                    Vec::new()
                };
                index.cgroup_made(cgroup, &[docker(&id(i)), inner].concat(), now);
            }
            Step::Removed(cgroup) => index.cgroup_removed(cgroup, now),
            Step::Lost(cgroup) => index.cgroup_lost(cgroup, now),
            Step::Lookup(cgroup) => drop(index.lookup(cgroup)),
            Step::Expire => index.expire(now, |_| false),
            Step::Told(i, size) => index.apply(known(&id(i), &"n".repeat(size)), now),
            Step::Early(i, size) => {
                index.apply(
                    Update::Early(Arc::new(metadata(&id(i), &"n".repeat(size)))),
                    now,
                );
            }
            Step::Ends(what, i) => {
                let id = id(i).as_str().into();
                let ends = [Update::Died, Update::Removed, Update::NotFound];
                index.apply(ends[usize::from(what)](id), now);
            }
            Step::Docker(0) => index.apply(Update::Up, now),
            Step::Docker(1) => index.apply(Update::Synced, now),
            Step::Docker(_) => index.apply(Update::Down(String::new()), now),
        }
    }

    proptest! {
        #[test]
        fn books_are_kept(steps in prop::collection::vec(step(), 0..200)) {
            let mut index = Index::new(Settings { budget: 5_000, ..Settings::default() });
            for (number, step) in steps.into_iter().enumerate() {
                take(&mut index, &step, number as u64 * SECOND);
                let bytes: usize = index.entries.values().map(Entry::size).sum();
                prop_assert_eq!(index.bytes, bytes);
                let crowds = index.entries.values().filter(|entry| entry.crowd != Crowd::Trusted);
                prop_assert_eq!(index.crowds.values().sum::<usize>(), crowds.count());
                let pending: usize = index.entries.values().map(Entry::pending).sum();
                prop_assert_eq!(index.pending, pending);
                prop_assert!(bytes <= 5_000);
                let cached: Vec<u64> = index.cgroups.keys().copied().collect();
                for cgroup in cached {
                    let fast = index.lookup(cgroup);
                    index.cgroups.get_mut(&cgroup).unwrap().answer = None;
                    prop_assert_eq!(fast, index.lookup(cgroup));
                }
            }
        }
    }
}
