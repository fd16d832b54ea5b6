//! Whether what watches is still watching: rounds of the self-check, at start and then again and
//! again, what follows from a kind that has gone silent, and looks at our own kernel objects.

use std::sync::Arc;
use std::time::{Duration, Instant};

use monitor_common::Kind;

use crate::probe::{Probes, WATCHED};
use crate::process::Process;
use crate::record::Record;
use crate::selfcheck::{Delivery, Round, Starter, Used, hooks, plan};

/// Time from the end of one round to the next: a round costs a process and some thirty calls.
const EVERY: Duration = Duration::from_secs(30);
/// Rounds in a row in which a kind has to be silent to be called so: a record may be lost, or late.
const ROUNDS: u32 = 2;

/// The kind of records of [`WATCHED`].
pub(super) const KIND: Kind = WATCHED.0;
/// Time between two looks at our kernel objects: one costs some two milliseconds. Who changes them by
/// a call that is recorded is found out at once.
const LOOK: Duration = Duration::from_secs(20);
/// The same where that call is not recorded, and after something was found.
const LOOK_BLIND: Duration = Duration::from_secs(5);

/// The self-check of a running daemon.
#[derive(Debug, Default)]
pub(super) struct Guard {
    starter: Starter,
    round: Option<Round>,
    next: Option<Instant>,
    kinds: Vec<Watched>,
    /// Kinds of which the round under way says nothing: their programs changed meanwhile.
    disturbed: Vec<Kind>,
    /// When our kernel objects are looked at next.
    look: Option<Instant>,
    suspect: Option<Suspect>,
}

/// Who last changed something by `bpf(2)`, and did so since all was well.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) process: Arc<Process>,
    /// `CLOCK_BOOTTIME` ns.
    pub(super) time: u64,
}

/// What is known of a kind.
#[derive(Debug)]
struct Watched {
    kind: Kind,
    delivery: Delivery,
    /// Rounds in a row in which no record came.
    silent: u32,
    /// It has delivered before.
    delivered: bool,
}

/// A kind went silent, or what some programs tell of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Silence {
    pub(super) kind: Kind,
    /// It delivered before, so that something was done to it.
    pub(super) delivered: bool,
    /// The programs, if records come without what they tell.
    pub(super) lacking: Vec<Used>,
}

impl Silence {
    /// What has happened, for people.
    pub(super) fn text(&self) -> String {
        let kind = self.kind.name();
        if self.lacking.is_empty() {
            return format!("{kind} events come no more, which they did before");
        }
        format!(
            "{kind} events come without what {} told of them before",
            hooks(&self.lacking)
        )
    }
}

impl Guard {
    /// One whose children `starter` starts.
    pub(super) fn new(starter: Starter) -> Self {
        Self {
            starter,
            ..Self::default()
        }
    }

    /// Starts the first round.
    pub(super) fn begin(&mut self, probes: &Probes) {
        self.start(probes);
        self.look = Some(Instant::now() + pause(probes));
    }

    /// Takes note of a call that may change our kernel objects, which are looked at soon then.
    pub(super) fn suspect(&mut self, record: &Record<'_>, process: &Arc<Process>) {
        let Some(call) = record.registers() else {
            return;
        };
        if call.syscall == WATCHED.1 && call.ret >= 0 && changes(call.args) {
            let time = record.header().time;
            let process = Arc::clone(process);
            self.suspect = Some(Suspect { process, time });
            self.look = Some(Instant::now());
        }
    }

    /// What somebody did to our kernel objects, and who it may have been.
    /// `strangers` gives the processes of containers, if there is a look at all.
    pub(super) fn look(
        &mut self,
        probes: &mut Probes,
        strangers: impl FnOnce() -> Vec<(u32, u64)>,
    ) -> (Vec<String>, Option<Suspect>) {
        if self.look.is_none_or(|time| time > Instant::now()) {
            return (Vec::new(), None);
        }
        let found = probes.tampered(strangers().into_iter());
        let mut wait = pause(probes);
        if !found.is_empty() {
            // Who has mapped a table makes no call to write to it again; and whether all of it is
            // right again is to be known soon.
            wait = LOOK_BLIND;
            self.next = self.next.map(|_| Instant::now());
        }
        self.look = Some(Instant::now() + wait);
        (found, self.suspect.take())
    }

    /// Takes note of a record; whether it is of our own making, so no user's event.
    pub(super) fn saw(&mut self, record: &Record<'_>) -> bool {
        self.round.as_mut().is_some_and(|round| round.saw(record))
    }

    /// What is known of each kind so far.
    pub(super) fn deliveries(&self) -> Vec<(Kind, Delivery)> {
        let known = self.kinds.iter();
        known.map(|one| (one.kind, one.delivery.clone())).collect()
    }

    /// Takes note that other rules need other programs: what the round under way says of these
    /// `changed` kinds does not count, and nothing is known any more of what is not `wanted`.
    pub(super) fn programs_changed(&mut self, changed: &[Kind], wanted: &[Kind]) {
        self.disturbed.extend(changed);
        let gone = |kind: Kind| changed.contains(&kind) && !wanted.contains(&kind);
        self.kinds.retain(|known| !gone(known.kind));
    }

    /// Ends a round that is over and starts one that is due; kinds that have gone silent, once
    /// each time they do. All records up to `reached` (`CLOCK_BOOTTIME` ns) are read.
    pub(super) fn tick(&mut self, probes: &mut Probes, reached: u64) -> Vec<Silence> {
        if self.next.is_some_and(|time| time <= Instant::now()) {
            self.start(probes);
        }
        let round = self.round.as_mut();
        let verdicts = round.and_then(|round| round.verdicts(reached, || probes.lost()));
        let Some(mut verdicts) = verdicts else {
            return Vec::new();
        };
        verdicts.retain(|(kind, _)| !self.disturbed.contains(kind));
        tell_load(&verdicts);
        self.round = None;
        self.next = Some(Instant::now() + EVERY);
        let silences = self.learn(verdicts);
        let mut replaced = false;
        for silence in &silences {
            if replace(probes, silence) {
                replaced = true;
                self.forget(silence.kind);
            }
        }
        if replaced
            || self
                .kinds
                .iter()
                .any(|one| (1..=ROUNDS).contains(&one.silent))
        {
            // Whether it was chance, or what the next provider does, is to be known soon.
            self.next = Some(Instant::now());
        }
        silences
    }

    fn start(&mut self, probes: &Probes) {
        let kinds = probes.served();
        let acts = plan(&kinds, |number| probes.records(number));
        self.next = None;
        self.disturbed.clear();
        let used = probes.used().map(Used::from).collect();
        match Round::start(&self.starter, kinds, used, acts, probes.lost()) {
            Ok(round) => self.round = Some(round),
            Err(error) => {
                tracing::warn!(%error, "the self-check cannot start: programs are not checked");
                self.next = Some(Instant::now() + EVERY);
            }
        }
    }

    /// What serves now may be silent as well, which is to be found likewise.
    fn forget(&mut self, kind: Kind) {
        let mut known = self.kinds.iter_mut().filter(|one| one.kind == kind);
        if let Some(known) = known.next() {
            known.silent = 0;
        }
    }

    fn learn(&mut self, verdicts: Vec<(Kind, Delivery)>) -> Vec<Silence> {
        let mut silences = Vec::new();
        for (kind, delivery) in verdicts {
            let place = self.kinds.iter().position(|one| one.kind == kind);
            let place = place.unwrap_or_else(|| {
                self.kinds.push(Watched::new(kind));
                self.kinds.len() - 1
            });
            let Some(known) = self.kinds.get_mut(place) else {
                continue;
            };
            let lacking = delivery.lacking().to_vec();
            if known.learn(delivery) {
                silences.push(Silence {
                    kind,
                    delivered: std::mem::take(&mut known.delivered),
                    lacking,
                });
            }
        }
        silences
    }
}

impl Watched {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            delivery: Delivery::Unchecked("not yet".to_owned()),
            silent: 0,
            delivered: false,
        }
    }

    /// Whether it has just gone silent.
    fn learn(&mut self, delivery: Delivery) -> bool {
        match delivery {
            silent @ (Delivery::Silent | Delivery::Lacking(_)) => {
                self.silent = self.silent.saturating_add(1);
                if self.silent >= ROUNDS {
                    self.delivery = silent;
                }
                return self.silent == ROUNDS;
            }
            Delivery::Delivers => {
                if self.silent >= ROUNDS {
                    tracing::info!(kind = self.kind.name(), "records come again");
                }
                self.delivered = true;
            }
            // Load says nothing of the kind, neither good nor bad.
            load @ Delivery::Unchecked(_) if load.is_for_load() => {
                if self.silent < ROUNDS {
                    self.delivery = load;
                }
                return false;
            }
            Delivery::Unchecked(_) => {}
        }
        self.silent = 0;
        self.delivery = delivery;
        false
    }
}

fn pause(probes: &Probes) -> Duration {
    if probes.records(WATCHED.1) {
        LOOK
    } else {
        LOOK_BLIND
    }
}

/// Says which kinds could not be checked for load.
fn tell_load(verdicts: &[(Kind, Delivery)]) {
    let kinds = verdicts.iter().filter(|(_, found)| found.is_for_load());
    let kinds: Vec<&str> = kinds.map(|(kind, _)| kind.name()).collect();
    if !kinds.is_empty() {
        let kinds = kinds.join(", ");
        tracing::warn!(
            kinds,
            "the self-check cannot say whether records come: too much load"
        );
    }
}

/// Whether a call of `bpf(2)`, by its arguments, changes a map, a program's place or a link:
/// `enum bpf_cmd` of `include/uapi/linux/bpf.h`.
fn changes(args: [u64; 6]) -> bool {
    const COMMANDS: [u64; 12] = [
        2,  // MAP_UPDATE_ELEM
        3,  // MAP_DELETE_ELEM
        8,  // PROG_ATTACH
        9,  // PROG_DETACH
        21, // MAP_LOOKUP_AND_DELETE_ELEM
        22, // MAP_FREEZE
        25, // MAP_LOOKUP_AND_DELETE_BATCH
        26, // MAP_UPDATE_BATCH
        27, // MAP_DELETE_BATCH
        29, // LINK_UPDATE
        34, // LINK_DETACH
        35, // PROG_BIND_MAP
    ];
    let [command, ..] = args;
    COMMANDS.contains(&(command & 0xffff_ffff))
}

/// Puts the next provider in the place of one that delivers nothing, or does without what tells nothing;
/// whether something else serves now.
fn replace(probes: &mut Probes, silence: &Silence) -> bool {
    let kind_name = silence.kind.name();
    let lacking = &silence.lacking;
    let programs: Vec<&str> = lacking.iter().map(|used| used.program).collect();
    let done = if lacking.is_empty() {
        probes.fall_back(silence.kind)
    } else {
        probes.do_without(silence.kind, &programs)
    };
    match &done {
        Ok(true) if !lacking.is_empty() => tracing::warn!(
            kind = kind_name,
            hooks = hooks(lacking),
            "records of the self-check came without what these programs tell: the daemon does \
             without them now"
        ),
        Ok(true) => tracing::warn!(
            kind = kind_name,
            "no record of the self-check came: the next provider serves this kind now"
        ),
        Ok(false) => tracing::error!(
            kind = kind_name,
            "no record of the self-check came, and nothing else serves this kind: the daemon may \
             be blind for it"
        ),
        Err(error) => tracing::error!(
            kind = kind_name,
            %error,
            "no record of the self-check came, and the next provider cannot be tried"
        ),
    }
    matches!(done, Ok(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_neither_clears_nor_condemns() {
        let load = Delivery::behind();
        let mut guard = Guard::default();
        let rounds = [
            (Delivery::Delivers, 0),
            (load.clone(), 0),
            (Delivery::Silent, 0),
            (load.clone(), 0),
            (load, 0),
            (Delivery::Silent, 1),
        ];
        for (number, (delivery, told)) in rounds.into_iter().enumerate() {
            let found = guard.learn(vec![(Kind::Open, delivery)]);
            assert_eq!(found.len(), told, "round {number}");
        }
    }

    #[test]
    fn a_kind_is_silent_after_two_rounds_and_told_once() {
        use Delivery::{Delivers, Silent};
        let mut guard = Guard::default();
        let refused = || Delivery::Unchecked("refused".to_owned());
        let told = |delivered| {
            vec![Silence {
                kind: Kind::Open,
                delivered,
                lacking: vec![],
            }]
        };
        let rounds = [
            (Silent, vec![], "not yet"),
            (Delivers, vec![], "delivers"),
            (Silent, vec![], "delivers"),
            (Silent, told(true), "SILENT"),
            (Silent, vec![], "SILENT"),
            (Delivers, vec![], "delivers"),
            (refused(), vec![], "refused"),
            (Silent, vec![], "refused"),
            (Silent, told(true), "SILENT"),
            (refused(), vec![], "refused"),
            (Silent, vec![], "refused"),
            (Silent, told(false), "SILENT"),
        ];
        for (number, (delivery, silences, known)) in rounds.into_iter().enumerate() {
            let found = guard.learn(vec![(Kind::Open, delivery)]);
            assert_eq!(found, silences, "round {number}");
            let text = guard.deliveries().pop().unwrap().1.text();
            assert!(text.contains(known), "round {number}: {text}");
        }
    }
}
