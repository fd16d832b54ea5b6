//! Changing what is recorded while the programs run.
//!
//! Two steps, so that nothing is missed in between: [`Probes::widen`] adds what new rules need, and
//! [`Probes::narrow`] takes away what no rule needs any more. What stays is not touched by either.

use monitor_common::Kind;
use monitor_common::syscall::Call;

use super::cover::Chooser;
use super::guard::Guard;
use super::provider::Part;
use super::served::{Needs, Served};
use super::{Coverage, KernelTypes, ProbeError, Probes, Request, table, take_seal};

/// The call by which kernel objects are changed, `bpf`, and the kind of its records. Whatever rules are
/// about, it is recorded where the ends of calls are looked at anyway: a program at every call's end
/// for its sake alone would cost every call.
pub const WATCHED: (Kind, u32) = (Kind::Control, 321);

/// Why a program does not serve although the kernel took it.
const SILENT: &str = "loaded, but delivered nothing";

/// What is to be recorded: the part of a [`Request`] that rules decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    /// As in [`Request::kinds`].
    pub kinds: Vec<Kind>,
    /// As in [`Request::calls`].
    pub calls: Option<Vec<u32>>,
    /// As in [`Request::environment`].
    pub environment: bool,
}

impl Wish {
    /// The kinds that another wish records otherwise.
    pub fn changed(&self, other: &Self) -> Vec<Kind> {
        let request = |wish: &Self| Request::default().with(wish.clone());
        let (one, other) = (request(self), request(other));
        let same = |kind: Kind| {
            one.kinds.contains(&kind) == other.kinds.contains(&kind)
                && numbers(&one, kind) == numbers(&other, kind)
        };
        Kind::ALL.into_iter().filter(|kind| !same(*kind)).collect()
    }

    fn union(&self, other: &Self) -> Self {
        let mut kinds = self.kinds.clone();
        kinds.extend(other.kinds.iter().filter(|kind| !self.kinds.contains(kind)));
        let calls = self.calls.as_ref().zip(other.calls.as_ref());
        let calls = calls.map(|(one, other)| {
            let mut calls = one.clone();
            calls.extend(other.iter().filter(|call| !one.contains(call)));
            calls
        });
        Self {
            kinds,
            calls,
            environment: self.environment || other.environment,
        }
    }
}

/// Numbers of the calls that are to make records of a kind.
fn numbers(request: &Request, kind: Kind) -> Vec<u32> {
    let mut numbers: Vec<u32> = request.rows(kind).map(|call: Call| call.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl Request {
    /// The same for another wish.
    #[must_use]
    pub fn with(self, wish: Wish) -> Self {
        let Wish {
            kinds,
            calls,
            environment,
        } = wish;
        Self {
            kinds,
            calls,
            environment,
            ..self
        }
    }

    fn wish(&self) -> Wish {
        Wish {
            kinds: self.kinds.clone(),
            calls: self.calls.clone(),
            environment: self.environment,
        }
    }
}

impl Probes {
    /// What is recorded now.
    pub fn wish(&self) -> Wish {
        self.request.wish()
    }

    /// Records what is wished for, besides what is recorded already.
    ///
    /// # Errors
    /// What was recorded before still is, and some of what was wished for; [`Self::narrow`] takes
    /// that away.
    pub fn widen(&mut self, wish: &Wish) -> Result<(), ProbeError> {
        let before = self.wish();
        let wide = before.union(wish);
        let grown = before.changed(&wide);
        self.request = self.request.clone().with(wide);
        self.reseal(&[]);
        self.object.switch_environment(&self.request)?;
        if !grown.is_empty() {
            self.cover(&grown)?;
        }
        if let Some(wide) = self.watching(&self.wish()) {
            self.request = self.request.clone().with(wide);
            self.cover(&[WATCHED.0])?;
        }
        self.settle()
    }

    /// A wish with [`WATCHED`], if that is to be recorded too and is not yet.
    pub(super) fn watching(&self, wish: &Wish) -> Option<Wish> {
        let request = self.request.clone().with(wish.clone());
        if request.wants(WATCHED.1) && request.has(WATCHED.0) {
            return None;
        }
        let mut served = self.served.clone();
        served.retain(|served| request.has(served.kind));
        for one in &mut served {
            one.narrow(&request);
        }
        let needs = Needs::of(&served, &request);
        let watched = Wish {
            kinds: vec![WATCHED.0],
            calls: Some(vec![WATCHED.1]),
            environment: false,
        };
        (!needs.calls.is_empty()).then(|| wish.union(&watched))
    }

    /// Records what is wished for and nothing else.
    ///
    /// # Errors
    /// Perhaps more is recorded.
    pub fn narrow(&mut self, wish: &Wish) -> Result<(), ProbeError> {
        let wish = self.watching(wish).unwrap_or_else(|| wish.clone());
        self.request = self.request.clone().with(wish);
        let request = &self.request;
        self.served.retain(|served| request.has(served.kind));
        self.coverage.retain(|coverage| request.has(coverage.kind));
        for served in &mut self.served {
            served.narrow(request);
            let mut coverage = self.coverage.iter_mut();
            if let Some(coverage) = coverage.find(|coverage| coverage.kind == served.kind) {
                coverage.provider = served.name(self.object.turns);
            }
        }
        self.object.switch_environment(request)?;
        self.settle()
    }

    /// Replaces what serves a kind, because it delivers nothing, by the next that the kernel takes;
    /// false if there is none, and then what there is stays.
    ///
    /// # Errors
    /// The kernel's types could be read at load and cannot now.
    pub fn fall_back(&mut self, kind: Kind) -> Result<bool, ProbeError> {
        let all = table::providers(kind);
        let mut served = self.served.iter().filter(|served| served.kind == kind);
        let Some(number) = served.find_map(|served| served.number) else {
            return Ok(false);
        };
        let (Some(silent), true) = (all.get(number), number + 1 < all.len()) else {
            return Ok(false);
        };
        let known = self.silent.iter().position(|(one, _)| *one == kind);
        let known = known.map(|place| self.silent.swap_remove(place));
        self.silent.push((kind, number + 1));
        self.reseal(&[]);
        if let Err(error) = self.cover(&[kind]) {
            self.silent.pop();
            self.silent.extend(known);
            return match error {
                ProbeError::Unextended { .. } => Ok(false),
                error => Err(error),
            };
        }
        if let Some(coverage) = self.coverage.iter_mut().find(|one| one.kind == kind) {
            coverage
                .refused
                .insert(0, (silent.name(), SILENT.to_owned()));
        }
        self.settle()?;
        Ok(true)
    }

    /// Puts others in the place of programs for a kind that tell nothing, or does without them; false if
    /// neither can be, and then what there is stays.
    ///
    /// # Errors
    /// As for [`Self::fall_back`].
    pub fn do_without(&mut self, kind: Kind, programs: &[&str]) -> Result<bool, ProbeError> {
        let these = |part: &Part| programs.contains(&part.program);
        let Some(served) = self.served.iter_mut().find(|served| served.kind == kind) else {
            return Ok(false);
        };
        if served.all().any(|part| these(part) && part.spare.is_none()) {
            return self.fall_back(kind);
        }
        let silent: Vec<Part> = served.all().filter(|part| these(part)).copied().collect();
        served.parts.retain(|part| !these(part));
        served.failures.retain(|part| !these(part));
        let provider = served.name(self.object.turns);
        if let Some(coverage) = self.coverage.iter_mut().find(|one| one.kind == kind) {
            coverage.provider = provider;
            for part in silent {
                coverage.refused.push((part.name(), SILENT.to_owned()));
                coverage.blind.extend(part.spare);
            }
            coverage.blind.dedup();
        }
        self.reseal(&[]);
        self.settle()?;
        Ok(true)
    }

    /// Starts what serves these kinds, or goes on serving them, as the request says.
    pub(super) fn cover(&mut self, kinds: &[Kind]) -> Result<(), ProbeError> {
        let KernelTypes { layout, attachable } = KernelTypes::read(&self.request)?;
        self.object.resume(attachable);
        let mut failed = Ok(());
        let mut wanted = kinds.to_vec();
        wanted.retain(|kind| self.request.has(*kind));
        for kind in wanted {
            let chooser = Chooser {
                request: &self.request,
                layout: &layout,
                turns: self.object.turns,
            };
            let place = self.served.iter().position(|served| served.kind == kind);
            let before = place.and_then(|place| self.served.get(place)?.number);
            let silent = self.silent.iter().find(|(one, _)| *one == kind);
            let from = silent.map_or(0, |(_, number)| *number);
            let from = from.max(before.unwrap_or(0));
            let (coverage, served) = chooser.cover(&mut self.object, kind, from);
            if before.is_some() && served.number.is_none() {
                failed = Err(ProbeError::Unextended { kind });
                continue;
            }
            self.serve(coverage, served);
        }
        self.watch_functions();
        self.object.finish();
        failed
    }

    /// Takes note of what serves a kind now.
    pub(super) fn serve(&mut self, coverage: Coverage, served: Served) {
        let kind = served.kind;
        self.served.retain(|served| served.kind != kind);
        self.served.push(served);
        self.served.sort_by_key(|served| served.kind as usize);
        self.coverage.retain(|coverage| coverage.kind != kind);
        self.coverage.push(coverage);
        self.coverage.sort_by_key(|coverage| coverage.kind as usize);
    }

    /// Takes out of the kernel what serves nothing, and takes note of what there is now.
    pub(super) fn settle(&mut self) -> Result<(), ProbeError> {
        let gone = self.object.keep(&Needs::of(&self.served, &self.request))?;
        self.keep_standby()?;
        self.reseal(&gone);
        if let Some(Ok(_)) = self.guard
            && let Err(error) = Guard::own(&mut self.object)
        {
            tracing::warn!(%error, "new programs are not protected");
        }
        Ok(())
    }

    /// Looks at the kernel objects: what is other than before, but for programs that were taken out
    /// on purpose, somebody else did.
    pub(super) fn reseal(&mut self, gone: &[u32]) {
        let now = take_seal();
        if let (Some(before), Some(now)) = (&self.seal, &now) {
            self.breaches.extend(before.breaches(now, gone));
        }
        self.seal = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(kinds: &[Kind], calls: &[u32]) -> Wish {
        Wish {
            kinds: kinds.to_vec(),
            calls: Some(calls.to_vec()),
            environment: false,
        }
    }

    #[test]
    fn a_kind_changes_with_its_calls_only() {
        let one = wish(&[Kind::Exec, Kind::Open], &[59, 2, 257]);
        for (other, changed) in [
            (wish(&[Kind::Open, Kind::Exec], &[257, 59, 2, 2]), vec![]),
            (
                wish(&[Kind::Exec, Kind::Open], &[59, 257]),
                vec![Kind::Open],
            ),
            (wish(&[Kind::Exec], &[59, 2, 257]), vec![Kind::Open]),
            (
                wish(&[Kind::Exec, Kind::Open, Kind::Connect], &[59, 2, 257, 42]),
                vec![Kind::Connect],
            ),
        ] {
            assert_eq!(one.changed(&other), changed);
            assert_eq!(other.changed(&one), changed);
            let union = one.union(&other);
            assert!(other.changed(&union.union(&other)).len() <= 1);
            assert_eq!(union.changed(&union.union(&one)), []);
        }
    }
}
