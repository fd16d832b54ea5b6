//! A path of a cgroup: the containers in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_daemon::container::cgroup_path::{containers, identify};

fuzz_target!(|path: &[u8]| {
    let last = containers(path)
        .inspect(|found| assert!(!found.id.is_empty()))
        .last();
    assert_eq!(last, identify(path));
});
