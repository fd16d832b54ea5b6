//! What a self-check waits for, and its verdict. Pure: told of records and outcomes, it judges.

use monitor_common::Kind;

use super::acts::{ACTS, Act};
use super::child::Outcome;
use super::proof;

/// What the child does by being there at all.
const LIFE: [Kind; 3] = [Kind::Exec, Kind::Fork, Kind::Exit];

/// Why nothing is said of a kind under load.
const BEHIND: &str = "under load: the daemon is too far behind to have read the record";
const LOSING: &str = "under load: records of this kind were lost meanwhile";

/// Whether what serves a kind does its work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// The record of our own act came.
    Delivers,
    /// It did not, although the act was done.
    Silent,
    /// It did, but not what these programs would have told of it.
    Lacking(Vec<Used>),
    /// No act was done, and why.
    Unchecked(String),
}

/// A program that serves a kind, perhaps with others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Used {
    /// The kind.
    pub kind: Kind,
    /// The program's name in the object.
    pub program: &'static str,
    /// Its hook, for people.
    pub hook: String,
}

impl From<(Kind, &'static str, String)> for Used {
    fn from((kind, program, hook): (Kind, &'static str, String)) -> Self {
        Self {
            kind,
            program,
            hook,
        }
    }
}

impl Delivery {
    /// Of a record that may not have been read yet.
    pub fn behind() -> Self {
        Self::Unchecked(BEHIND.to_owned())
    }

    /// Whether it is the load that kept the kind from being checked.
    pub fn is_for_load(&self) -> bool {
        matches!(self, Self::Unchecked(reason) if reason == BEHIND || reason == LOSING)
    }

    /// Whether something that is loaded tells nothing.
    pub const fn is_silent(&self) -> bool {
        matches!(self, Self::Silent | Self::Lacking(_))
    }

    /// The hooks that tell nothing, where others do.
    pub fn lacking(&self) -> &[Used] {
        match self {
            Self::Lacking(programs) => programs,
            _ => &[],
        }
    }

    /// In a word or a line, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Delivers => "delivers".to_owned(),
            Self::Silent => "SILENT: loaded, but no record of our own act came".to_owned(),
            Self::Lacking(programs) => format!(
                "SILENT: {}: loaded, but the records of our own acts lack what it tells",
                hooks(programs)
            ),
            Self::Unchecked(reason) => format!("not checked: {reason}"),
        }
    }
}

/// Hooks of programs, each once.
pub fn hooks(programs: &[Used]) -> String {
    let mut hooks: Vec<&str> = programs.iter().map(|used| used.hook.as_str()).collect();
    hooks.dedup();
    hooks.join(", ")
}

/// Records that were lost in the kernel since load, by kind; kinds that are missing have lost none.
pub type Lost = Vec<(Kind, u64)>;

/// Time from the child's end until its last record has come, ns.
const RECORD_TIME: u64 = 1_000_000_000;
/// How far whoever reads the records may be behind before nothing is waited for, ns.
const PATIENCE: u64 = 60_000_000_000;

/// How far the reading of records has come after the child's end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reading {
    /// Some of the child's records may still be in a ring.
    Under,
    /// Whatever has come of them was read.
    Over,
    /// It is too far behind to be waited for.
    Behind,
}

impl Reading {
    /// Of a child that ended at `ended`, when all records up to `reached` are read; all times
    /// `CLOCK_BOOTTIME` ns.
    pub(super) fn of(ended: u64, reached: u64, now: u64) -> Self {
        let due = ended.saturating_add(RECORD_TIME);
        if now >= due && reached >= due {
            Self::Over
        } else if now >= ended.saturating_add(PATIENCE) {
            Self::Behind
        } else {
            Self::Under
        }
    }
}

/// The acts that make records of `kinds`, where all of the calls that may do one are recorded.
pub fn plan(kinds: &[Kind], recorded: impl Fn(u32) -> bool) -> Vec<&'static Act> {
    let planned =
        |act: &&Act| kinds.contains(&act.kind) && act.calls.iter().all(|number| recorded(*number));
    ACTS.iter().filter(planned).collect()
}

/// One round: kinds that are to deliver, what was seen of them, and how the acts went.
#[derive(Clone, Debug)]
pub struct Check {
    kinds: Vec<Kind>,
    acts: Vec<&'static Act>,
    /// What serves them.
    used: Vec<Used>,
    seen: Vec<Kind>,
    /// Programs whose work was seen.
    proved: Vec<&'static str>,
    outcomes: Option<Vec<Outcome>>,
    /// What was lost before the acts.
    lost: Lost,
}

impl Check {
    /// A round in which `acts` are done, to judge `kinds` by and what is `used` for them; `lost` is
    /// what was lost before.
    pub fn new(kinds: Vec<Kind>, used: Vec<Used>, acts: Vec<&'static Act>, lost: Lost) -> Self {
        Self {
            kinds,
            acts,
            used,
            seen: Vec::new(),
            proved: Vec::new(),
            outcomes: None,
            lost,
        }
    }

    /// A record of the child came.
    pub fn saw(&mut self, kind: Kind) {
        if !self.seen.contains(&kind) {
            self.seen.push(kind);
        }
    }

    /// A record of the child showed that a program works.
    pub fn proved(&mut self, program: &'static str) {
        if !self.proved.contains(&program) {
            self.proved.push(program);
        }
    }

    /// Whether a program's work was seen, where it is one of those that show by more than a record.
    pub fn shows(&self, program: &str) -> Option<bool> {
        proof::of(program).map(|_| self.proved.contains(&program))
    }

    /// How the acts went, in the words of the child.
    pub fn done(&mut self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.outcomes = Some(outcomes.into_iter().collect());
    }

    /// Whether all that can come has come.
    pub fn complete(&self) -> bool {
        self.outcomes.is_some() && !self.verdicts().any(|(_, found)| found.is_silent())
    }

    /// The verdicts when the reading is over or given up: a record that is missing tells nothing
    /// where some of its kind were `lost` since, or not all were read.
    pub(super) fn conclude(&self, reading: Reading, lost: &Lost) -> Vec<(Kind, Delivery)> {
        let count = |lost: &Lost, kind| lost.iter().find(|(one, _)| *one == kind).map(|one| one.1);
        let judge = |(kind, found): (Kind, Delivery)| {
            let load = match reading {
                _ if !found.is_silent() => return (kind, found),
                Reading::Under | Reading::Behind => BEHIND,
                Reading::Over if count(lost, kind) > count(&self.lost, kind) => LOSING,
                Reading::Over => return (kind, found),
            };
            (kind, Delivery::Unchecked(load.to_owned()))
        };
        self.verdicts().map(judge).collect()
    }

    /// What is known of each kind.
    pub fn verdicts(&self) -> impl Iterator<Item = (Kind, Delivery)> {
        self.kinds.iter().map(|kind| (*kind, self.verdict(*kind)))
    }

    /// The programs for a kind whose work did not show although their act was done.
    fn silent(&self, kind: Kind) -> Vec<Used> {
        let outcomes = self.outcomes.as_deref().unwrap_or_default();
        let done = |used: &&Used| {
            let act = proof::of(used.program).map(|proof| proof.act);
            let mut went = outcomes.iter().filter(|(_, error)| error.is_none());
            went.any(|(name, _)| Some(name.as_str()) == act)
        };
        let of_kind = self.used.iter().filter(|used| used.kind == kind);
        let unseen = of_kind.filter(|used| self.shows(used.program) == Some(false));
        unseen.filter(done).cloned().collect()
    }

    fn verdict(&self, kind: Kind) -> Delivery {
        if self.seen.contains(&kind) {
            let silent = self.silent(kind);
            return if silent.is_empty() {
                Delivery::Delivers
            } else {
                Delivery::Lacking(silent)
            };
        }
        let Some(outcomes) = &self.outcomes else {
            return Delivery::Unchecked("the self-check did not end".to_owned());
        };
        if LIFE.contains(&kind) {
            return Delivery::Silent;
        }
        let mut reason = None;
        for act in self.acts.iter().filter(|act| act.kind == kind) {
            match outcomes.iter().find(|(name, _)| name == act.name) {
                Some((_, None)) => return Delivery::Silent,
                Some((_, Some(error))) => reason = reason.or(Some(error.clone())),
                None => reason = reason.or(Some("the self-check ended early".to_owned())),
            }
        }
        let other = if ACTS.iter().any(|act| act.kind == kind) {
            "the self-check makes none of the calls that rules name"
        } else {
            "nothing harmless makes such a record"
        };
        Delivery::Unchecked(reason.unwrap_or_else(|| other.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kinds: &[Kind]) -> Check {
        let used = [
            (Kind::Remove, "unlink_name"),
            (Kind::Remove, "sys_exit"),
            (Kind::Mkdir, "mkdir_name"),
        ];
        let used = used.map(|(kind, program)| Used {
            kind,
            program,
            hook: format!("fentry/{program}"),
        });
        Check::new(
            kinds.to_vec(),
            used.to_vec(),
            plan(kinds, |_| true),
            vec![(Kind::Open, 5)],
        )
    }

    fn verdict(check: &Check, kind: Kind) -> Delivery {
        check.verdicts().find(|(one, _)| *one == kind).unwrap().1
    }

    #[test]
    fn a_kind_delivers_when_its_record_comes() {
        let mut check = check(&[Kind::Exec, Kind::Open, Kind::Remove, Kind::Mkdir]);
        check.saw(Kind::Exec);
        check.saw(Kind::Open);
        check.saw(Kind::Socket);
        assert!(!check.complete(), "the child is not done");
        check.done(
            [
                ("open", None),
                ("remove", Some("Operation not permitted")),
                ("remove_directory", None),
                ("mkdir", Some("Read-only file system")),
            ]
            .map(|(name, error)| (name.to_owned(), error.map(str::to_owned))),
        );
        assert_eq!(verdict(&check, Kind::Exec), Delivery::Delivers);
        assert_eq!(verdict(&check, Kind::Open), Delivery::Delivers);
        assert_eq!(verdict(&check, Kind::Remove), Delivery::Silent);
        let refused = Delivery::Unchecked("Read-only file system".to_owned());
        assert_eq!(verdict(&check, Kind::Mkdir), refused);
        assert!(!check.complete(), "a removal is missing");
        check.saw(Kind::Remove);
        assert!(check.complete());
        assert_eq!(check.verdicts().count(), 4, "only what is asked for");
    }

    #[test]
    fn a_program_beside_others_is_silent_alone() {
        let mut check = check(&[Kind::Remove, Kind::Mkdir]);
        check.saw(Kind::Remove);
        check.saw(Kind::Mkdir);
        let refused = Some("Read-only file system".to_owned());
        check.done([("remove".to_owned(), None), ("mkdir".to_owned(), refused)]);
        let silent = verdict(&check, Kind::Remove);
        assert_eq!(silent.lacking().len(), 1);
        assert!(
            silent.text().starts_with("SILENT: fentry/unlink_name: "),
            "{}",
            silent.text()
        );
        assert_eq!(
            verdict(&check, Kind::Mkdir),
            Delivery::Delivers,
            "its act was not done"
        );
        assert!(!check.complete(), "what it tells may come");
        check.proved("unlink_name");
        assert_eq!(verdict(&check, Kind::Remove), Delivery::Delivers);
        assert!(check.complete());
        let shown = ["unlink_name", "mkdir_name", "sys_exit"].map(|name| check.shows(name));
        assert_eq!(shown, [Some(true), Some(false), None]);
    }

    #[test]
    fn what_cannot_be_caused_is_not_called_silent() {
        let mut check = check(&[Kind::Clone, Kind::Exit]);
        check.done([]);
        let harmful = Delivery::Unchecked("nothing harmless makes such a record".to_owned());
        assert_eq!(verdict(&check, Kind::Clone), harmful);
        assert_eq!(verdict(&check, Kind::Exit), Delivery::Silent);
    }

    #[test]
    fn nothing_is_called_silent_for_load() {
        const S: u64 = 1_000_000_000;
        let silent = Delivery::Silent.text();
        // The child ended at 100 s, with five opens lost before; reached (s), now (s), lost since of
        // opens and of execs, and what is said.
        let cases = [
            (100, 100, [0, 0], None),
            (101, 101, [0, 0], Some(silent.as_str())),
            (101, 101, [0, 9], Some(&silent)),
            // Twenty seconds behind, then up to it.
            (90, 110, [0, 0], None),
            (100, 120, [0, 0], None),
            (102, 122, [0, 0], Some(&silent)),
            (102, 122, [1, 0], Some(LOSING)),
            (99, 160, [0, 0], Some(BEHIND)),
        ];
        let mut check = check(&[Kind::Open, Kind::Dup]);
        check.saw(Kind::Dup);
        check.done([("open", None), ("dup", None)].map(|(name, why)| (name.to_owned(), why)));
        for (reached, now, [opens, execs], said) in cases {
            let lost = vec![(Kind::Exec, execs), (Kind::Open, 5 + opens)];
            let reading = Reading::of(100 * S, reached * S, now * S);
            let verdicts = (reading != Reading::Under).then(|| check.conclude(reading, &lost));
            let text = verdicts.map(|verdicts| {
                assert_eq!(
                    verdicts[1],
                    (Kind::Dup, Delivery::Delivers),
                    "what came has come"
                );
                let open = &verdicts[0].1;
                assert_eq!(open.is_for_load(), *open != Delivery::Silent);
                open.text()
            });
            assert_eq!(
                text.as_deref()
                    .map(|text| text.trim_start_matches("not checked: ")),
                said,
                "reached {reached} at {now}, lost {lost:?}"
            );
        }
    }

    #[test]
    fn only_acts_whose_calls_are_all_recorded_are_planned() {
        let names = |recorded: &[u32]| -> Vec<&str> {
            plan(&[Kind::Remove], |number| recorded.contains(&number))
                .iter()
                .map(|act| act.name)
                .collect()
        };
        assert_eq!(names(&[84, 87, 263]), ["remove", "remove_directory"]);
        assert_eq!(names(&[84, 263]), ["remove_directory"]);
        assert!(names(&[87]).is_empty(), "the C library may use another");
    }
}
