//! More rules than a filter has room for: clauses are made one, tables lose pieces, texts and whole
//! kinds go. What a rule matches is kept all the same.

use std::net::Ipv4Addr;

use monitor_common::filter::STEPS;
use monitor_common::network::Connect;
use monitor_common::numbers::{PIECES, Pieces, UNKNOWN};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::sockets::{bytes, event};
use super::*;
use crate::event::NumberArgument;
use crate::filter::numbers::KINDS;

/// A rule about a path, and a path that it is about.
#[derive(Clone, Debug)]
struct Opened {
    condition: String,
    path: String,
    ret: i64,
    flags: u32,
}

fn of_path() -> impl Strategy<Value = Opened> {
    let field = prop::sample::select(vec![
        ("fd.name startswith ", "", "/x"),
        ("fd.name endswith ", "/srv", ""),
        ("fd.name = ", "", ""),
        ("fd.name contains ", "/a", "b"),
        ("fd.name pmatch ", "", "/x"),
        ("fd.directory = ", "", "/x"),
        ("fd.filename = ", "/etc", ""),
        ("fd.name in ", "", ""),
    ]);
    // Paths alone would leave all opens in, once there is no room for one of them.
    let more = prop::sample::select(vec![
        ("evt.is_open_write = true", 3, 1),
        ("evt.is_open_write = true and proc.name != x", 3, 2),
        ("evt.res = ENOENT", -2, 0),
        ("container.id = host", 3, 0),
    ]);
    let least = -1000..-1;
    (field, "/[a-z0-9A-Z._-]{40,70}", more, least).prop_map(|(field, text, more, least)| {
        let (more, ret, flags) = more;
        let (test, before, behind) = field;
        let asked = match test {
            "fd.filename = " => text.trim_start_matches('/').to_owned(),
            "fd.name in " | "fd.name pmatch " => format!("({text}, {text}a)"),
            _ => text.clone(),
        };
        Opened {
            condition: format!(
                "evt.type in (open, openat) and {more} and fd.num > {least} and {test}{asked}"
            ),
            path: format!("{before}{text}{behind}"),
            ret,
            flags,
        }
    })
}

/// A rule about connections, and one that it is about.
#[derive(Clone, Debug)]
struct Connection {
    condition: String,
    address: Ipv4Addr,
    port: u16,
    user: u32,
    ret: i64,
}

fn of_connection() -> impl Strategy<Value = Connection> {
    let which = prop::bits::u8::between(0, 5);
    let result = prop::sample::select(vec![0_i64, -111, -115, -13]);
    (which, any::<u32>(), any::<u16>(), 1_u32..100_000, result).prop_map(
        |(which, address, port, user, ret)| {
            let address = Ipv4Addr::from(address);
            let tests = [
                format!("fd.rport in ({port}, {})", port ^ 0x155),
                format!("fd.rip = {address}"),
                format!("user.uid = {user}"),
                format!("fd.rnet = {address}/24"),
                format!("evt.rawres = {ret}"),
            ];
            let asked = tests.iter().enumerate();
            let asked = asked.filter(|(bit, _)| which >> bit & 1 == 1 || *bit == 0);
            let asked: Vec<&str> = asked.map(|(_, test)| test.as_str()).collect();
            Connection {
                condition: format!("evt.type = connect and {}", asked.join(" and ")),
                address,
                port,
                user,
                ret,
            }
        },
    )
}

fn connect(of: &Connection) -> Vec<u8> {
    let mut body = Connect {
        ret: of.ret,
        family: 2,
        passed_family: 2,
        kind: 1,
        protocol: 6,
        remote_port: of.port,
        ..Connect::new_zeroed()
    };
    body.remote[..4].copy_from_slice(&of.address.octets());
    bytes(Kind::Connect, of.user, &body)
}

/// Every scope that the kernel may find somebody to be of who is the host's.
const OF_HOST: [Scope; 2] = [Scope::Host, Scope::Either];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::with_cases(3) })]

    #[test]
    fn paths_that_have_no_room_are_kept(rules in prop::collection::vec(of_path(), 80..300)) {
        let conditions: Vec<String> = rules.iter().map(|rule| rule.condition.clone()).collect();
        let policy = policy(&conditions);
        let filter = Filter::of_opens(&policy).unwrap();
        prop_assert!(filter.widened != 0 && filter.steps.len() <= STEPS);
        prop_assert!(filter.clauses.len() < conditions.len());
        for Opened { condition, path, ret, flags } in &rules {
            let open = Open { ret: *ret, flags: *flags, syscall: 257, ..Open::new_zeroed() };
            let resolved = if *ret < 0 { "" } else { path };
            let bytes = record(&open, 0, [resolved, path, "/", ""]);
            let record = Record::parse(&bytes).unwrap();
            let matched = matches(&policy, &record, None) > 0;
            // What was not opened has no `fd.filename`.
            prop_assert!(matched || *ret < 0, "{condition} {path}");
            for scope in OF_HOST {
                let kept = filter.keeps_of(&record, scope);
                prop_assert!(kept || !matched, "{scope:?} {condition} {path}");
            }
        }
    }

    #[test]
    fn numbers_that_have_no_room_are_kept(
        rules in prop::collection::vec(of_connection(), 80..300),
        others in prop::collection::vec(event(), 16),
    ) {
        let conditions: Vec<String> = rules.iter().map(|rule| rule.condition.clone()).collect();
        let policy = policy(&conditions);
        let numbers = Numbers::new(&policy).unwrap();
        let filter = numbers.of(Kind::Connect).unwrap();
        let is_full = |table: &Pieces| table.edges[PIECES - 2] != UNKNOWN;
        prop_assert!(filter.tables.iter().any(is_full) && filter.clauses.len() < rules.len());
        prop_assert!(filter.widened != 0 && filter.clauses.iter().any(|clause| clause.widened));
        let own = rules.iter().map(connect);
        for (number, bytes) in own.chain(others).enumerate() {
            let record = Record::parse(&bytes).unwrap();
            let Some(filter) = numbers.of(record.kind()) else { continue };
            let matched = matches(&policy, &record, None) > 0;
            prop_assert!(matched || number >= rules.len());
            for scope in OF_HOST {
                prop_assert!(!matched || filter.keeps(&record, scope), "{scope:?} {number}");
            }
        }
    }
}

/// Rules that ask of every kind all that can be asked of it.
fn of_every_kind() -> Vec<String> {
    const NUMBERS: [&str; 19] = [
        "cmd", "cpu", "dev", "domain", "entries", "flags", "how", "length", "mode", "op", "option",
        "proto", "prot", "request", "sig", "size", "type", "whence", "opcode",
    ];
    let sockets = "not fd.sockfamily = packet and not fd.l4proto = icmp and not fd.rip = 1.2.3.4
        and not fd.rport = 1 and not fd.lip = 1.2.3.4 and not fd.lport = 1";
    let types = KINDS.into_iter().flat_map(event_types);
    let types = types.filter_map(|name| EventType::from_name(name));
    let rule = |event: EventType| {
        let own = NUMBERS.iter();
        let own = own.filter(|name| NumberArgument::of(event, name).is_some());
        let own: Vec<String> = own
            .map(|name| format!(" and not evt.arg.{name} = 77"))
            .collect();
        let own = own.concat();
        let name = event.name();
        format!("evt.type = {name} and not user.uid = 7 and not evt.rawres = 9 and {sockets}{own}")
    };
    types.map(rule).collect()
}

/// Tables, of some hundred that would be needed.
const ROOM: usize = 60;

#[test]
fn kinds_that_have_no_room_are_kept() {
    let policy = policy(&of_every_kind());
    let filter = Numbers::within(&policy, ROOM).unwrap();
    let tables: usize = filter.kinds.iter().map(|kind| kind.tables.len()).sum();
    assert!(tables <= ROOM, "{tables}");
    let without = KINDS.iter().filter(|kind| filter.of(**kind).is_none());
    assert!(without.eq(&filter.no_room) && !filter.no_room.is_empty());
    let (mut matched, mut left_out) = (0, 0);
    let mut runner = TestRunner::deterministic();
    for _ in 0..600 {
        let bytes = event().new_tree(&mut runner).unwrap().current();
        let record = Record::parse(&bytes).unwrap();
        let Some(of_kind) = filter.of(record.kind()) else {
            continue;
        };
        let matches = matches(&policy, &record, None) > 0;
        for scope in OF_HOST {
            let kept = of_kind.keeps(&record, scope);
            assert!(kept || !matches, "{:?}", record.body());
            left_out += usize::from(!kept);
        }
        matched += usize::from(matches);
    }
    assert!(matched > 100 && left_out > 0, "{matched} {left_out}");
}
