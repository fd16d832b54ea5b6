//! Skipping a test, so that it is seen: libtest would show it as passed.
//!
//! A skip is one line `SKIP: <test>: <reason>`; `cargo xtask test` counts these lines. Where
//! `CI=true` is set, a test that must run fails instead.

use anyhow::{Result, bail};

/// Skips the test that calls this when there is an obstacle (`Option<String>`), such as
/// `docker::obstacle()`. Under `CI=true` the test fails.
#[macro_export]
macro_rules! skip_if {
    ($obstacle:expr) => {
        if let Some(reason) = $obstacle {
            fn here() {}
            return $crate::skip::required(std::any::type_name_of_val(&here), &reason);
        }
    };
}

/// A test that must run in continuous integration cannot run here.
///
/// # Errors
///
/// Under `CI=true`.
pub fn required(test: &str, reason: &str) -> Result<()> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        bail!("this test must run where CI=true is set: {reason}");
    }
    optional(test, reason);
    Ok(())
}

/// A test cannot run here, and nothing can be done about it.
pub fn optional(test: &str, reason: &str) {
    println!("SKIP: {}: {reason}", test.trim_end_matches("::here"));
}

/// Why root's tests cannot run, if so.
pub fn not_root() -> Option<String> {
    (!rustix::process::geteuid().is_root()).then(|| "needs root".to_owned())
}

/// Why a test that calls these programs cannot run, if so.
pub fn without(programs: &[&str]) -> Option<String> {
    let missing = programs
        .iter()
        .find(|name| crate::paths::program(name).is_none())?;
    Some(format!(
        "needs `{missing}`; run `cargo xtask setup --level test`"
    ))
}
