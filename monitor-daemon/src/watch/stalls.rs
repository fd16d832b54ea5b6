//! Which outputs do not get on: there are alerts for them, and for some time they took none. Pure.

use std::collections::HashMap;

use crate::metrics::Stall;
use crate::output::Progress;

/// Time without progress after which an output is told of, ms.
const STALLED_MS: u64 = 60_000;

/// How far outputs were.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    /// By name: the last alert that an output has and how many behind it, and since when that is so,
    /// ms.
    known: HashMap<String, ((u64, u64), u64)>,
}

impl Stalls {
    /// Takes in how far outputs are now (ms since boot); those that do not get on.
    pub(super) fn look(&mut self, outputs: Vec<Progress>, now_ms: u64) -> Vec<Stall> {
        let mut stalls = Vec::new();
        for Progress {
            output,
            has,
            ahead,
            newest,
        } in outputs
        {
            let reached = (has, ahead);
            let known = self
                .known
                .entry(output.clone())
                .or_insert((reached, now_ms));
            if known.0 != reached || has >= newest {
                *known = (reached, now_ms);
            }
            let ms = now_ms.saturating_sub(known.1);
            if ms >= STALLED_MS {
                stalls.push(Stall {
                    output,
                    alerts: newest.saturating_sub(has + ahead),
                    seconds: ms / 1000,
                });
            }
        }
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_output_that_does_not_get_on_is_told_of() {
        let mut stalls = Stalls::default();
        let mut look = |second: u64, has, newest| {
            let progress = Progress {
                output: "file".to_owned(),
                has,
                ahead: 0,
                newest,
            };
            let found = stalls.look(vec![progress], second * 1000);
            let found: Vec<_> = found.iter().map(|one| (one.alerts, one.seconds)).collect();
            found
        };
        assert_eq!(look(0, 5, 5), []);
        assert_eq!(look(500, 5, 5), [], "nothing to do");
        assert_eq!(look(510, 5, 9), []);
        assert_eq!(look(560, 5, 9), [(4, 60)]);
        assert_eq!(look(600, 5, 90), [(85, 100)]);
        assert_eq!(look(601, 6, 90), [], "slow, but it gets on");
        assert_eq!(look(661, 6, 90), [(84, 60)]);
        assert_eq!(look(662, 90, 90), []);
    }
}
