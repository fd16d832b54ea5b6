//! The cases, by what they hide: one file a family.

mod daemon;
mod host;
mod names;
mod network;
mod paths;
mod process;
mod races;
mod uring;

use crate::case::Case;

/// All cases, those of a daemon of their own last.
pub(crate) fn all() -> Vec<&'static Case> {
    let families = [
        races::CASES,
        paths::CASES,
        names::CASES,
        uring::CASES,
        process::CASES,
        network::CASES,
        host::CASES,
        daemon::CASES,
    ];
    families.into_iter().flatten().collect()
}

/// Those that `EVASIONS` names, a comma between them; without it all.
pub(crate) fn chosen() -> Vec<&'static Case> {
    let Ok(names) = std::env::var("EVASIONS") else {
        return all();
    };
    let mut cases = all();
    cases.retain(|case| names.split(',').any(|name| name == case.name));
    cases
}
