//! Rules files, two where the input holds a form feed: loaded, reported on, and what loads is
//! evaluated and printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_fuzz::Noise;
use monitor_policy::{Color, Matching, Options, RulesFile, Scratch, View, load};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let names = ["a.yaml", "b.yaml"];
    let files: Vec<RulesFile<'_>> = names
        .into_iter()
        .zip(text.splitn(2, '\x0c'))
        .map(|(name, text)| RulesFile { name, text })
        .collect();
    let options = Options {
        matching: Matching::All,
        ..Options::default()
    };
    let loaded = load(&files, &options);
    for file in &loaded.files {
        file.render(Color::Always);
        file.to_json();
    }
    let Some(policy) = loaded.policy else {
        return;
    };
    let mut scratch = Scratch::default();
    for event_type in policy.event_types().iter().take(4) {
        let event = Noise::new(input).with_type(event_type);
        for found in policy.evaluate(&event, &mut scratch) {
            policy.format(found.rule, &event, found.view);
        }
    }
    policy.format(0, &Noise::new(input), View::Resolved);
});
