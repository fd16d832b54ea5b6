//! Alerts offered by the second, and what came out.

use serde_json::Value;

use super::*;
use crate::output::sample;

const SECOND: u64 = 1_000_000_000;

struct Bench {
    rollup: Rollup,
    out: Vec<Alert>,
    queue_is_full: bool,
}

fn settings() -> Settings {
    Settings {
        window_ns: 60 * SECOND,
        rule_alerts: 100,
        bytes: 1 << 20,
        ignored_fields: ["evt.time", "proc.pid", "proc.apid"]
            .map(str::to_owned)
            .into(),
    }
}

fn alert(rule: &str, fields: &[(&str, &str)]) -> Alert {
    let fields = fields.iter();
    Alert {
        rule: rule.into(),
        output: "o | x=1".to_owned(),
        fields: fields
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect(),
        ..sample()
    }
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self {
            rollup: Rollup::new(settings),
            out: Vec::new(),
            queue_is_full: false,
        }
    }

    /// Offers an alert of a rule that says `what`, at a second; what came out.
    fn offer(&mut self, second: u64, rule: &str, what: &str) -> Vec<Alert> {
        self.offer_alert(second, alert(rule, &[("fd.name", what)]), None)
    }

    fn offer_alert(&mut self, second: u64, alert: Alert, container: Option<&str>) -> Vec<Alert> {
        let mut out = Vec::new();
        let alert = Alert {
            time: second * SECOND,
            ..alert
        };
        let full = self.queue_is_full;
        self.rollup
            .offer(alert, container, second * SECOND, |alert, _| {
                out.push(alert);
                (!full).then(|| Uuid::of(crate::alert_log::LogId::default(), out.len() as u64, 0))
            });
        self.out.extend(out.iter().cloned());
        out
    }

    fn tick(&mut self, second: u64) -> Vec<Alert> {
        let mut out = Vec::new();
        self.rollup.tick(second.saturating_mul(SECOND), |alert, _| {
            out.push(alert);
            None
        });
        self.out.extend(out.iter().cloned());
        out
    }

    /// Alerts that went out by themselves and those told of by others, of a rule.
    fn told(&self, rule: &str) -> u64 {
        let of_rule = self.out.iter().filter(|alert| *alert.rule == *rule);
        of_rule.map(|alert| again(alert).unwrap_or(1)).sum()
    }
}

fn again(alert: &Alert) -> Option<u64> {
    alert.field("rollup.count")?.as_u64()
}

#[test]
fn the_first_goes_out_at_once_and_the_rest_is_told_when_the_window_closes() {
    let mut bench = Bench::new(settings());
    let first = bench.offer(10, "r", "/etc/shadow");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].output, "o | x=1");
    for second in 11..60 {
        assert!(bench.offer(second, "r", "/etc/shadow").is_empty());
        assert!(bench.tick(second).is_empty());
    }
    assert!(bench.tick(69).is_empty());
    let told = bench.tick(70);
    assert_eq!(told.len(), 1);
    let summary = &told[0];
    assert_eq!(
        summary.output,
        "o | x=1 again=49 first=1970-01-01T00:00:10.000000000Z \
         last=1970-01-01T00:00:59.000000000Z uuid=00000000-0000-8000-8000-000000000001"
    );
    let field = |name| summary.field(name).cloned().unwrap_or_default();
    assert_eq!(*summary.rule, *"r");
    assert_eq!(summary.time, 59 * SECOND);
    assert_eq!(field("rollup.count"), 49);
    assert_eq!(field("rollup.first"), 10 * SECOND);
    assert_eq!(field("rollup.last"), 59 * SECOND);
    assert_eq!(field("rollup.reason"), "same");
    assert_eq!(field("rollup.uuid"), "00000000-0000-8000-8000-000000000001");
    assert_eq!(field("fd.name"), "/etc/shadow");
    // And again.
    assert_eq!(bench.offer(71, "r", "/etc/shadow").len(), 1);
}

#[test]
fn what_was_not_repeated_is_not_told_again() {
    let mut bench = Bench::new(settings());
    bench.offer(1, "r", "a");
    assert!(bench.tick(100).is_empty());
    bench.offer(101, "r", "a");
    // Closed by the next of the rule, without a tick.
    bench.offer(102, "r", "a");
    let out = bench.offer(170, "r", "b");
    assert_eq!(out.iter().map(again).collect::<Vec<_>>(), [Some(1), None]);
}

#[test]
fn only_alerts_that_say_the_same_are_rolled_up() {
    let mut bench = Bench::new(settings());
    let shell = [("proc.name", "sh"), ("proc.pid", "7"), ("evt.time.s", "1")];
    let goes_out = |bench: &mut Bench, rule, fields: &[(&str, &str)], container| {
        !bench
            .offer_alert(1, alert(rule, fields), container)
            .is_empty()
    };
    assert!(goes_out(&mut bench, "r", &shell, Some("c1")));
    assert!(!goes_out(&mut bench, "r", &shell, Some("c1")));
    assert!(goes_out(&mut bench, "r", &shell, Some("c2")), "elsewhere");
    assert!(goes_out(&mut bench, "r", &shell, None), "on the host");
    assert!(goes_out(&mut bench, "other", &shell, Some("c1")));
    let other = [("proc.name", "zsh"), ("proc.pid", "7"), ("evt.time.s", "1")];
    assert!(goes_out(&mut bench, "r", &other, Some("c1")));
    let again = [
        ("proc.name", "sh"),
        ("proc.pid", "8"),
        ("evt.time.s", "2"),
        ("proc.apid[1]", "9"),
    ];
    assert!(!goes_out(&mut bench, "r", &again, Some("c1")));
    let more = [("proc.name", "sh"), ("proc.pidfile", "x")];
    assert!(goes_out(&mut bench, "r", &more, Some("c1")));
}

#[test]
fn a_rule_over_its_budget_is_counted_and_stops_no_other() {
    let mut bench = Bench::new(settings());
    for number in 0..1000 {
        let noise = alert("noisy", &[("fd.name", &number.to_string())]);
        let place = if number % 2 == 0 { "c1" } else { "c2" };
        bench.offer_alert(1, noise, Some(place));
        assert_eq!(
            bench.offer(1, "calm", &format!("{}", number % 10)).len(),
            usize::from(number < 10)
        );
    }
    // Two thirds of the budget for either, and one more.
    let noisy = bench.out.iter().filter(|alert| *alert.rule == *"noisy");
    assert_eq!(noisy.count(), 136);
    let told = bench.tick(61);
    let rest: Vec<&Alert> = told
        .iter()
        .filter(|alert| *alert.rule == *"noisy")
        .collect();
    assert_eq!(rest.len(), 2);
    for alert in rest {
        assert_eq!(again(alert), Some(432));
        assert_eq!(alert.field("rollup.reason"), Some(&Value::from("budget")));
        assert_eq!(alert.field("fd.name"), None, "not true of the others");
    }
    assert_eq!((bench.told("noisy"), bench.told("calm")), (1000, 1000));
    let mut counts = bench.rollup.take_counts();
    counts.sort();
    let expected = [
        ("calm".into(), Reason::Same, 990),
        ("noisy".into(), Reason::Budget, 864),
    ];
    assert_eq!(counts, expected);
    assert!(bench.rollup.take_counts().is_empty());
    // With the next window comes the next budget.
    assert_eq!(bench.offer(62, "noisy", "x").len(), 1);
}

#[test]
fn memory_is_bounded_and_what_is_closed_early_is_told() {
    let mut bench = Bench::new(Settings {
        bytes: 64 << 10,
        rule_alerts: 1_000_000,
        ..settings()
    });
    bench.offer(1, "calm", "a");
    for number in 0..5000_u32 {
        let what = format!("{number}");
        // Each is repeated, so that its window has something to tell.
        for _ in 0..3 {
            bench.offer(2, "noisy", &what);
        }
        assert!(bench.rollup.figures().bytes <= 64 << 10);
    }
    assert!(bench.rollup.figures().closed_early > 4000);
    assert!(bench.offer(3, "calm", "a").is_empty(), "its window is open");
    bench.tick(u64::MAX);
    assert_eq!((bench.told("noisy"), bench.told("calm")), (15_000, 2));
    let left = bench.rollup.figures();
    assert_eq!((left.windows, left.bytes), (0, 0));
    bench.rollup.take_counts();
    bench.tick(u64::MAX);
    assert!(bench.rollup.rules.is_empty(), "forgotten");
}

#[test]
fn a_first_that_was_lost_silences_nobody() {
    let mut bench = Bench::new(settings());
    bench.queue_is_full = true;
    assert_eq!(bench.offer(1, "r", "a").len(), 1);
    bench.queue_is_full = false;
    assert_eq!(bench.offer(2, "r", "a").len(), 1);
    assert!(bench.offer(3, "r", "a").is_empty());
}

#[test]
fn without_a_window_every_alert_goes_out() {
    let mut bench = Bench::new(Settings {
        window_ns: 0,
        ..settings()
    });
    for _ in 0..3 {
        assert_eq!(bench.offer(1, "r", "a").len(), 1);
    }
    assert_eq!(bench.rollup.figures(), Figures::default());
}

#[test]
fn at_the_end_all_is_told() {
    let mut bench = Bench::new(settings());
    for _ in 0..5 {
        bench.offer(1, "r", "a");
    }
    let mut told = Vec::new();
    bench.rollup.finish(|alert, _| {
        told.push(again(&alert));
        None
    });
    assert_eq!(told, [Some(4)]);
}

/// Who may choose ids (LXC) may choose some that begin like another's: alerts show 12 characters of them.
#[test]
fn containers_whose_ids_begin_alike_are_counted_apart() {
    let mut bench = Bench::new(settings());
    let same = || alert("r", &[("container.id", "production-d"), ("fd.name", "/a")]);
    for id in ["production-db-one", "production-db-two"] {
        assert_eq!(bench.offer_alert(1, same(), Some(id)).len(), 1, "{id}");
        assert_eq!(bench.offer_alert(2, same(), Some(id)).len(), 0, "{id}");
    }
    assert_eq!(bench.tick(70).len(), 2);
}

/// Whoever floods a rule in one container must not hide what goes on in another.
#[test]
fn what_one_container_raises_leaves_room_for_another() {
    let mut bench = Bench::new(settings());
    for number in 0..1_000_u64 {
        let flood = alert("r", &[("proc.cmdline", &number.to_string())]);
        bench.offer_alert(1, flood, Some("a"));
    }
    let steps = ["curl x", "sh y", "cat /etc/shadow"];
    for step in steps {
        let out = bench.offer_alert(2, alert("r", &[("proc.cmdline", step)]), Some("b"));
        let told: Vec<_> = out.iter().filter_map(|a| a.field("proc.cmdline")).collect();
        assert_eq!(told, [step]);
    }
    // All together have an end too.
    for container in 0..100_u64 {
        for number in 0..1_000_u64 {
            let flood = alert("r", &[("proc.cmdline", &number.to_string())]);
            bench.offer_alert(3, flood, Some(&container.to_string()));
        }
    }
    assert!(bench.out.len() <= 200 + 102, "{}", bench.out.len());
}

#[test]
fn a_flood_leaves_half_of_the_queue_to_others() {
    let mut rollup = Rollup::new(settings());
    let mut offer = |number: u64, container| {
        let mut rooms = Vec::new();
        let alert = alert("r", &[("proc.cmdline", &number.to_string())]);
        rollup.offer(alert, Some(container), SECOND, |_, room| {
            rooms.push(room);
            Some(Uuid::of(crate::alert_log::LogId::default(), number, 0))
        });
        rooms
    };
    for number in 0..64 {
        assert_eq!(offer(number, "a"), [Room::All]);
    }
    for number in 64..100 {
        assert_eq!(offer(number, "a"), [Room::Half]);
    }
    assert_eq!(offer(0, "b"), [Room::All]);
}
