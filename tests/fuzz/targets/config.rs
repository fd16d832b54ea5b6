//! A configuration file: checked or refused with an error that can be shown.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use monitor_daemon::config::Config;

fuzz_target!(|text: &str| {
    match Config::parse(Path::new("monitor.yaml"), text) {
        Ok(config) => _ = format!("{config:?}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
