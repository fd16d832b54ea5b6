//! The output of a rule, then NUL, then an event: parsed, and printed with its values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_fuzz::Noise;
use monitor_policy::{Options, RulesFile, View, load};

fuzz_target!(|input: &[u8]| {
    let end = input
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(input.len());
    let Ok(output) = std::str::from_utf8(&input[..end]) else {
        return;
    };
    // A text of JSON is one of YAML.
    let output = serde_json::Value::from(output);
    let text = format!(
        "- rule: r\n  desc: d\n  condition: evt.type = open\n  priority: debug\n  output: {output}\n"
    );
    let files = [RulesFile {
        name: "r",
        text: &text,
    }];
    let Some(policy) = load(&files, &Options::default()).policy else {
        return;
    };
    let event = Noise::new(&input[end..]);
    for view in View::ALL {
        policy.format(0, &event, view);
    }
});
