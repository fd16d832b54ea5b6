//! Loading side by side: what is going to be attached is loaded on all CPUs beforehand, for the
//! verifier takes its time with each program.
//!
//! Which programs are needed depends on which are refused, so the next one is asked for when a CPU
//! has nothing to do. What comes of each is noted, and is what attaching goes by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use aya::Btf;
use aya::programs::Program;

use super::object::{load, refusal, unload};
use super::provider::Hook;

/// More at once would only take memory: few programs take long.
const THREADS_MAX: usize = 4;
/// Takes longer than all others, so it is begun first.
const LONGEST: &str = "uring_complete";

/// What came of the programs that were loaded, and how long each took; else why it is refused.
pub(super) type Outcomes = BTreeMap<&'static str, Result<Duration, String>>;

/// A program and what it is loaded for.
pub(super) type Wanted = (&'static str, Hook);

/// What the threads share.
struct Board<'object> {
    programs: HashMap<&'object str, &'object mut Program>,
    outcomes: Outcomes,
    running: BTreeSet<&'static str>,
}

/// Loads programs for as long as `wanted`, given what came of those before, names others.
pub(super) fn load_all<'object>(
    programs: impl Iterator<Item = (&'object str, &'object mut Program)>,
    btf: &Btf,
    wanted: impl Fn(&Outcomes) -> Vec<Wanted> + Sync,
) -> Outcomes {
    let board = Mutex::new(Board {
        programs: programs.collect(),
        outcomes: Outcomes::new(),
        running: BTreeSet::new(),
    });
    let changed = Condvar::new();
    let work = || {
        let mut state = lock(&board);
        loop {
            if let Some((name, hook)) = state.next(&wanted) {
                state.running.insert(name);
                let program = state.programs.remove(name);
                drop(state);
                let outcome = load_one(program, hook, btf);
                state = lock(&board);
                state.running.remove(name);
                state.outcomes.insert(name, outcome);
                changed.notify_all();
            } else if state.running.is_empty() {
                return;
            } else {
                // What is loading may turn out to be refused, and something else be needed then.
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..threads.min(THREADS_MAX) {
            // This thread does it alone if need be.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let board = board.into_inner();
    board.unwrap_or_else(PoisonError::into_inner).outcomes
}

impl Board<'_> {
    fn next(&self, wanted: impl Fn(&Outcomes) -> Vec<Wanted>) -> Option<Wanted> {
        let wanted = wanted(&self.outcomes).into_iter();
        let mut free = wanted
            .filter(|(name, _)| !self.running.contains(name) && !self.outcomes.contains_key(name));
        let first = free.next()?;
        let longest = (first.0 != LONGEST).then(|| free.find(|(name, _)| *name == LONGEST));
        Some(longest.flatten().unwrap_or(first))
    }
}

fn load_one(program: Option<&mut Program>, hook: Hook, btf: &Btf) -> Result<Duration, String> {
    let program = program.ok_or("the object has no such program")?;
    let begin = Instant::now();
    match load(program, hook, btf) {
        Ok(()) => Ok(begin.elapsed()),
        Err(error) => {
            unload(program);
            Err(refusal(&error))
        }
    }
}

fn lock<'a, 'object>(board: &'a Mutex<Board<'object>>) -> MutexGuard<'a, Board<'object>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(outcomes: &[&'static str], running: &[&'static str]) -> Board<'static> {
        let loaded = |name: &&'static str| (*name, Ok(Duration::ZERO));
        Board {
            programs: HashMap::new(),
            outcomes: outcomes.iter().map(loaded).collect(),
            running: running.iter().copied().collect(),
        }
    }

    #[test]
    fn the_longest_is_first_and_none_is_loaded_twice() {
        let wanted = |_: &Outcomes| {
            ["exec", "fork", LONGEST]
                .map(|name| (name, Hook::Tracepoint(name)))
                .to_vec()
        };
        for (done, running, next) in [
            (&[][..], &[][..], Some(LONGEST)),
            (&[], &[LONGEST], Some("exec")),
            (&["exec"], &[LONGEST], Some("fork")),
            (&["exec", LONGEST], &["fork"], None),
        ] {
            let found = board(done, running).next(wanted).map(|(name, _)| name);
            assert_eq!(found, next, "{done:?} {running:?}");
        }
    }

    #[test]
    fn what_the_object_does_not_have_is_refused_and_asked_for_once() {
        let btf = Btf::parse(&empty_btf(), aya::Endianness::Little);
        let Ok(btf) = btf else { panic!("{btf:?}") };
        let wanted = |outcomes: &Outcomes| {
            // The second is needed because the first is refused.
            let second = matches!(outcomes.get("one"), Some(Err(_)));
            let all = [("one", Hook::Passed), ("two", Hook::Passed)];
            all.into_iter().take(1 + usize::from(second)).collect()
        };
        let outcomes = load_all(std::iter::empty(), &btf, wanted);
        let refused: Vec<_> = outcomes
            .iter()
            .map(|(name, one)| (*name, one.is_err()))
            .collect();
        assert_eq!(refused, [("one", true), ("two", true)]);
    }

    /// A header, no types, and the empty string.
    fn empty_btf() -> Vec<u8> {
        let words = [0x0001_eb9f_u32, 24, 0, 0, 0, 1];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.push(0);
        bytes
    }
}
