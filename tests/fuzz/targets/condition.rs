//! A condition, then NUL, then an event: compiled, and evaluated on it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_fuzz::Noise;
use monitor_policy::Condition;

fuzz_target!(|input: &[u8]| {
    let end = input
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(input.len());
    let Ok(text) = std::str::from_utf8(&input[..end]) else {
        return;
    };
    match Condition::parse(text) {
        Ok(condition) => _ = condition.matches(&Noise::new(&input[end..])),
        Err(diagnostic) => _ = diagnostic.to_string(),
    }
});
