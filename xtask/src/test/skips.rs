//! What may be left out on this machine where `CI=true`: everything else that is has failed, whether
//! the test itself heeds that variable or not.
//!
//! What guests leave out is in a list of its own (`tests/e2e/kernels.tsv`), and no skip here.

use super::further::BENCHMARKS;
use super::tally::Tally;

/// Names, and why nothing can be done about it.
const ALLOWED: [(&str, &str); 2] = [
    (
        "advisories",
        "their database is on a host that not every runner reaches",
    ),
    (BENCHMARKS, "upstream's rules do not come with the checkout"),
];

/// Counts as failed what was left out and may not be.
pub(super) fn judge(tally: &mut Tally) {
    let allowed = |skip: &String| {
        let name = skip.split_once(": ").map_or(&**skip, |(name, _)| name);
        ALLOWED.iter().any(|(known, _)| *known == name)
    };
    let missing: Vec<String> = tally.skips.extract_if(.., |skip| !allowed(skip)).collect();
    for skip in missing {
        tally.skipped = tally.skipped.saturating_sub(1);
        tally.fail(&format!("left out, and CI=true is set: {skip}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_without_leave_has_failed() {
        let mut tally = Tally::default();
        for line in [
            "test a ... ok",
            "test b ... SKIP: b: no docker",
            "test c::d ... ignored",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
        ] {
            tally.read(line);
        }
        tally.skip("advisories", "not reached");
        judge(&mut tally);
        assert_eq!(tally.to_string(), "1 passed, 2 failed, 1 skipped");
        assert_eq!(tally.skips, ["advisories: not reached"]);
        let names: Vec<_> = tally.failures.iter().map(|one| &*one.name).collect();
        assert_eq!(
            names,
            [
                "left out, and CI=true is set: b: no docker",
                "left out, and CI=true is set: c::d: ignored"
            ]
        );
    }
}
