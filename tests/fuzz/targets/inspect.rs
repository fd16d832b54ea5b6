//! What Docker's inspection says of a container: taken over or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_daemon::container::docker::described;

fuzz_target!(|answer: &[u8]| {
    if let Ok(metadata) = described(answer) {
        metadata.ip();
    }
});
