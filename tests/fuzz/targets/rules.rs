//! Rules files, two where the input holds a form feed: loaded, reported on, and what loads is
//! evaluated and printed; the matches are those that trying each rule by itself
//! finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_fuzz::Noise;
use monitor_policy::{
    Color, Event, Match, Matching, Options, Policy, RulesFile, Scratch, View, load,
};

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
        let matches = policy.evaluate(&event, &mut scratch);
        for found in matches {
            policy.format(found.rule, &event, found.view);
        }
        assert_eq!(matches, plainly(&policy, &event));
    }
    policy.format(0, &Noise::new(input), View::Resolved);
});

/// The rules that match, each tried by itself.
fn plainly(policy: &Policy, event: &Noise<'_>) -> Vec<Match> {
    let has = |view: &View| *view == View::Passed || event.has_view(*view);
    let rules = policy.rules().iter().enumerate();
    let enabled = rules.filter(|(_, rule)| rule.enabled);
    enabled
        .filter_map(|(rule, _)| {
            let mut views = View::ALL.into_iter().filter(has);
            let view = views.find(|view| policy.holds(rule, event, *view))?;
            Some(Match { rule, view })
        })
        .collect()
}
