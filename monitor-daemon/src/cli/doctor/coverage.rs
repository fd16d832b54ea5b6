//! What serves each event kind on this kernel, found by trying, and whether it delivers.

use monitor_common::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::clock;
use crate::container::scan;
use crate::probe::{Coverage, ProbeError, Probes, Request, Rings, Tier};
use crate::record::Record;
use crate::selfcheck::{Delivery, Round, Starter, Used, plan};

/// Rounds of the self-check until a kind is called silent: a record may be lost.
const ROUNDS: u32 = 2;
/// Longest time between two looks at the rings and the child, in ns.
const LOOK: i64 = 10_000_000;

/// For files that come otherwise than by a message, which is how the acts pass theirs.
const BY_NO_MESSAGE: [&str; 2] = ["passed_alone", "passed_instead"];

/// What serves a kind, and whether it delivers, if that was checked.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) coverage: Coverage,
    pub(super) delivery: Option<Delivery>,
    /// Hooks of which it says nothing.
    pub(super) untried: Vec<String>,
}

impl Served {
    /// Hooks that no act of the self-check goes through, of a kind that delivers: what it says is
    /// true of the others.
    pub(super) fn untried(&self) -> &[String] {
        if self.delivery == Some(Delivery::Delivers) {
            &self.untried
        } else {
            &[]
        }
    }
}

/// Whether nothing is known of a program for itself, after a round that `shows` whether it works, if
/// something can.
fn is_untried(used: &Used, shows: Option<bool>) -> bool {
    let hook = used.hook.as_str();
    let notes_names = matches!(
        used.kind,
        Kind::Remove | Kind::Rename | Kind::Mode | Kind::Mkdir | Kind::Call | Kind::Control
    );
    let function = hook.starts_with("fentry/") || hook.starts_with("fexit/");
    match shows {
        Some(shown) => !shown,
        // Acts use no io_uring and get no answers to their questions; and calls have functions of their
        // own, one for each form.
        None => {
            hook.contains("io_uring")
                || hook.starts_with("cgroup/")
                || hook == "cgroup_skb/ingress"
                || function && (notes_names || hook.contains("_sys_"))
                || BY_NO_MESSAGE.contains(&used.program)
        }
    }
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
    let (mut deliveries, mut untried) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        (deliveries, untried) = round(&probes, &mut rings);
        if !deliveries.iter().any(|(_, delivery)| delivery.is_silent()) {
            break;
        }
    }
    let untried = |kind: Kind| {
        let of_kind = untried.iter().filter(|used| used.kind == kind);
        let mut hooks: Vec<String> = of_kind.map(|used| used.hook.clone()).collect();
        hooks.dedup();
        hooks
    };
    let served = probes.coverage().iter().map(|coverage| Served {
        coverage: coverage.clone(),
        delivery: deliveries
            .iter()
            .find(|(kind, _)| *kind == coverage.kind)
            .map(|(_, delivery)| delivery.clone()),
        untried: untried(coverage.kind),
    });
    let served = served.collect();
    Ok((served, probes.unprotected().map(str::to_owned)))
}

/// What is found of each kind, and the programs that were not tried.
fn round(probes: &Probes, rings: &mut Rings) -> (Vec<(Kind, Delivery)>, Vec<Used>) {
    let kinds = probes.served();
    let acts = plan(&kinds, |number| probes.records(number));
    let used: Vec<Used> = probes.used().map(Used::from).collect();
    let started = Round::start(
        &Starter::default(),
        kinds.clone(),
        used.clone(),
        acts,
        probes.lost(),
    );
    let mut round = match started {
        Ok(round) => round,
        Err(error) => {
            let reason = Delivery::Unchecked(format!("the self-check cannot start: {error}"));
            let kinds = kinds.into_iter().map(|kind| (kind, reason.clone()));
            return (kinds.collect(), Vec::new());
        }
    };
    loop {
        while let Some(bytes) = rings.next() {
            if let Ok(record) = Record::parse(bytes) {
                round.saw(&record);
            }
        }
        if let Some(verdicts) = round.verdicts(clock::boot_ns(), || probes.lost()) {
            let untried = |used: &Used| is_untried(used, round.shows(used.program));
            return (verdicts, used.into_iter().filter(untried).collect());
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
        Some(Delivery::Silent | Delivery::Lacking(_)) => (Some(false), None),
        Some(Delivery::Unchecked(reason)) => (None, Some(reason.as_str())),
        None => (None, None),
    };
    let lacking = served.delivery.as_ref().map_or(&[][..], Delivery::lacking);
    let silent: Vec<&str> = lacking.iter().map(|used| used.hook.as_str()).collect();
    json!({
        "kind": kind.name(),
        "provider": provider,
        "tier": tier.map(Tier::name),
        "delivers": delivers,
        "silent": silent,
        "unchecked": unchecked,
        "untried": served.untried(),
        "refused": refused,
        "blind": blind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_that_no_act_goes_through_are_not_said_to_deliver() {
        let check = |kind, hook: &str, shows, expected| {
            let used = Used {
                kind,
                program: "a",
                hook: hook.to_owned(),
            };
            assert_eq!(is_untried(&used, shows), expected, "{hook}");
        };
        check(Kind::Connect, "tp_btf/sys_exit", None, false);
        check(Kind::Connect, "tp_btf/io_uring_complete", None, true);
        check(Kind::Connect, "cgroup/connect4", Some(true), false);
        check(Kind::Connect, "cgroup/connect6", Some(false), true);
        check(Kind::Dns, "cgroup_skb/egress", None, false);
        check(Kind::Dns, "cgroup_skb/ingress", None, true);
        check(Kind::Dns, "cgroup/sock_release", None, true);
        check(
            Kind::Remove,
            "fentry/security_path_unlink",
            Some(true),
            false,
        );
        check(Kind::Control, "fentry/security_sb_mount", None, true);
        check(Kind::Open, "fentry/security_file_open", None, false);
        check(Kind::Symlink, "fexit/__x64_sys_symlink", None, true);
    }
}
