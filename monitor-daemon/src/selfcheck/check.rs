//! What a self-check waits for, and its verdict. Pure: told of records and outcomes, it judges.

use monitor_common::Kind;

use super::acts::{ACTS, Act};
use super::child::Outcome;

/// What the child does by being there at all.
const LIFE: [Kind; 3] = [Kind::Exec, Kind::Fork, Kind::Exit];

/// Whether what serves a kind does its work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// The record of our own act came.
    Delivers,
    /// It did not, although the act was done.
    Silent,
    /// No act was done, and why.
    Unchecked(String),
}

impl Delivery {
    /// In a word or a line, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Delivers => "delivers".to_owned(),
            Self::Silent => "SILENT: loaded, but no record of our own act came".to_owned(),
            Self::Unchecked(reason) => format!("not checked: {reason}"),
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
    seen: Vec<Kind>,
    outcomes: Option<Vec<Outcome>>,
}

impl Check {
    /// A round in which `acts` are done, to judge `kinds` by.
    pub fn new(kinds: Vec<Kind>, acts: Vec<&'static Act>) -> Self {
        Self {
            kinds,
            acts,
            seen: Vec::new(),
            outcomes: None,
        }
    }

    /// A record of the child came.
    pub fn saw(&mut self, kind: Kind) {
        if !self.seen.contains(&kind) {
            self.seen.push(kind);
        }
    }

    /// How the acts went, in the words of the child.
    pub fn done(&mut self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.outcomes = Some(outcomes.into_iter().collect());
    }

    /// Whether all that can come has come.
    pub fn complete(&self) -> bool {
        self.outcomes.is_some() && !self.verdicts().any(|(_, found)| found == Delivery::Silent)
    }

    /// What is known of each kind.
    pub fn verdicts(&self) -> impl Iterator<Item = (Kind, Delivery)> {
        self.kinds.iter().map(|kind| (*kind, self.verdict(*kind)))
    }

    fn verdict(&self, kind: Kind) -> Delivery {
        if self.seen.contains(&kind) {
            return Delivery::Delivers;
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
        Check::new(kinds.to_vec(), plan(kinds, |_| true))
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
    fn what_cannot_be_caused_is_not_called_silent() {
        let mut check = check(&[Kind::Clone, Kind::Exit]);
        check.done([]);
        let harmful = Delivery::Unchecked("nothing harmless makes such a record".to_owned());
        assert_eq!(verdict(&check, Kind::Clone), harmful);
        assert_eq!(verdict(&check, Kind::Exit), Delivery::Silent);
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
