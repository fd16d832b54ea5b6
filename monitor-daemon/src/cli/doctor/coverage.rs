//! What serves each event kind on this kernel, found by trying, and whether it delivers.

use monitor_common::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::clock;
use crate::container::scan;
use crate::probe::{Coverage, ProbeError, Probes, Request, Rings, Tier};
use crate::record::Record;
use crate::selfcheck::{Delivery, Round, Starter, plan};

/// Rounds of the self-check until a kind is called silent: a record may be lost.
const ROUNDS: u32 = 2;
/// Longest time between two looks at the rings and the child, in ns.
const LOOK: i64 = 10_000_000;

/// Between the hooks of a provider.
const BETWEEN: &str = " + ";

/// What serves a kind, and whether it delivers, if that was checked.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) coverage: Coverage,
    pub(super) delivery: Option<Delivery>,
}

impl Served {
    /// Hooks that no act of the self-check goes through, of a kind that delivers: what it says is
    /// true of the others.
    pub(super) fn untried(&self) -> Vec<&str> {
        if self.delivery != Some(Delivery::Delivers) {
            return Vec::new();
        }
        let hooks = self.coverage.provider.as_deref().unwrap_or_default();
        let kind = self.coverage.kind;
        hooks
            .split(BETWEEN)
            .enumerate()
            .filter(|(place, hook)| is_untried(kind, hook) || by_no_message(kind, *place))
            .map(|(_, hook)| hook)
            .collect()
    }
}

/// The only file that the acts pass comes by a message, which the first hook of any provider sees.
fn by_no_message(kind: Kind, place: usize) -> bool {
    kind == Kind::Passed && place > 0
}

/// Acts use neither io_uring nor IPv6 and get no answers to their questions; and nothing asks whether
/// what is removed or renamed came with the name that the object tier's hooks note.
fn is_untried(kind: Kind, hook: &str) -> bool {
    let notes_names = matches!(
        kind,
        Kind::Remove | Kind::Rename | Kind::Mode | Kind::Mkdir | Kind::Call | Kind::Control
    );
    hook.contains("io_uring")
        || hook.starts_with("cgroup/") && hook.ends_with('6')
        || hook == "cgroup_skb/ingress"
        || notes_names && (hook.starts_with("fentry/") || hook.starts_with("fexit/"))
}

/// Loads and attaches every provider as `run` would, and lets go of them again.
///
/// # Errors
///
/// The kernel lacks something without which no kind at all is served.
pub(super) fn probe() -> Result<Vec<Coverage>, ProbeError> {
    Ok(Probes::load(&request())?.coverage().to_vec())
}

/// Everything, with the kinds that hang on cgroups.
pub(super) fn request() -> Request {
    Request {
        cgroups: scan::unified(),
        ..Request::default()
    }
}

/// The same, and each kind that can be caused without harm is, and its record waited for; and why
/// the daemon could not be protected.
///
/// # Errors
///
/// As for [`probe`].
pub(super) fn check() -> Result<(Vec<Served>, Option<String>), ProbeError> {
    let mut probes = Probes::load(&Request {
        protect: true,
        ..request()
    })?;
    let mut rings = probes.rings()?;
    let mut deliveries = Vec::new();
    for _ in 0..ROUNDS {
        deliveries = round(&probes, &mut rings);
        let silent = |(_, delivery): &(Kind, Delivery)| *delivery == Delivery::Silent;
        if !deliveries.iter().any(silent) {
            break;
        }
    }
    let served = probes.coverage().iter().map(|coverage| Served {
        coverage: coverage.clone(),
        delivery: deliveries
            .iter()
            .find(|(kind, _)| *kind == coverage.kind)
            .map(|(_, delivery)| delivery.clone()),
    });
    let served = served.collect();
    Ok((served, probes.unprotected().map(str::to_owned)))
}

fn round(probes: &Probes, rings: &mut Rings) -> Vec<(Kind, Delivery)> {
    let kinds = probes.served();
    let acts = plan(&kinds, |number| probes.records(number));
    let mut round = match Round::start(&Starter::default(), kinds.clone(), acts, probes.lost()) {
        Ok(round) => round,
        Err(error) => {
            let reason = Delivery::Unchecked(format!("the self-check cannot start: {error}"));
            return kinds
                .into_iter()
                .map(|kind| (kind, reason.clone()))
                .collect();
        }
    };
    loop {
        while let Some(bytes) = rings.next() {
            if let Ok(record) = Record::parse(bytes) {
                round.saw(&record);
            }
        }
        if let Some(verdicts) = round.verdicts(clock::boot_ns(), || probes.lost()) {
            return verdicts;
        }
        if rings.arm() {
            continue;
        }
        let descriptors = rings.descriptors();
        let mut all = descriptors
            .each_ref()
            .map(|fd| PollFd::new(fd, PollFlags::IN));
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK,
        };
        // Interrupted or not, the next look tells.
        let _ready = poll(&mut all, Some(&time));
    }
}

pub(super) fn to_json(served: &Served) -> Value {
    let Coverage {
        kind,
        provider,
        tier,
        refused,
        blind,
    } = &served.coverage;
    let refused: Vec<Value> = refused
        .iter()
        .map(|(provider, reason)| json!({"provider": provider, "reason": reason}))
        .collect();
    let (delivers, unchecked) = match &served.delivery {
        Some(Delivery::Delivers) => (Some(true), None),
        Some(Delivery::Silent) => (Some(false), None),
        Some(Delivery::Unchecked(reason)) => (None, Some(reason.as_str())),
        None => (None, None),
    };
    json!({
        "kind": kind.name(),
        "provider": provider,
        "tier": tier.map(Tier::name),
        "delivers": delivers,
        "unchecked": unchecked,
        "untried": served.untried(),
        "refused": refused,
        "blind": blind,
    })
}
