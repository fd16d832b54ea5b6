//! A flat event in JSON, as `eval` and the tests of rules read it: all fields are asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_policy::{Event as _, Field, FieldRef, FlatEvent, View};

fuzz_target!(|input: &[u8]| {
    let Ok(object) = serde_json::from_slice(input) else {
        return;
    };
    match FlatEvent::from_json(&object) {
        Ok(event) => {
            for field in Field::all() {
                event.value(&field.into(), View::Passed);
                event.value(&FieldRef::with_index(field, 2), View::Passed);
                event.value(&FieldRef::with_key(field, "HOME"), View::Passed);
                event.has_name(&field.into(), "localhost");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
