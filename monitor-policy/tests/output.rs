//! What a match prints, and how diagnostics look.

#![expect(clippy::expect_used, reason = "a test may panic")]

use monitor_policy::{
    AppendOutput, Color, ExtraField, FileReport, FlatEvent, Loaded, Matching, Options, Output,
    RulesFile, Scratch, SuggestedOutput, View, load,
};
use serde_json::{Value as Json, json};

/// The output of a rule with this output text for an event.
fn format(output: &str, event: &Json, suggested_output: SuggestedOutput) -> Output {
    let text = format!(
        "- rule: r\n  desc: d\n  priority: notice\n  condition: evt.type=open\n  output: \
         '{output}'\n"
    );
    let options = Options {
        suggested_output,
        ..Options::default()
    };
    let loaded = load(
        &[RulesFile {
            name: "r",
            text: &text,
        }],
        &options,
    );
    let said: String = loaded
        .files
        .iter()
        .map(|file| file.render(Color::Never))
        .collect();
    let policy = loaded.policy.expect(&said);
    let mut object = event.as_object().expect("an object").clone();
    object.insert("evt.type".to_owned(), "open".into());
    let event = FlatEvent::from_json(&object).expect("an event");
    let mut scratch = Scratch::default();
    let found = policy
        .evaluate(&event, &mut scratch)
        .first()
        .copied()
        .expect("a match");
    policy.format(found.rule, &event, found.view)
}

fn check(output: &str, event: &Json, text: &str, fields: &Json) {
    let found = format(output, event, SuggestedOutput::Omit);
    assert_eq!(found.text, text, "{output}");
    let found: serde_json::Map<String, Json> = found.fields.into_iter().collect();
    assert_eq!(&Json::Object(found), fields, "{output}");
}

/// Checks outputs of one event: the output, its text, its fields.
fn check_all(event: &Json, cases: &[(&str, &str, Json)]) {
    for (output, text, fields) in cases {
        check(output, event, text, fields);
    }
}

#[test]
fn values_in_place_of_fields() {
    let event = json!({
        "proc.name": "cat", "fd.num": 3, "evt.is_open_read": true, "fd.sip": "10.0.0.1",
        "proc.aname": ["bash", "sshd"], "fd.types": ["file", "pipe"], "fd.name": {"$hex": "2fff"},
    });
    let typed = json!({"fd.num": 3, "evt.is_open_read": true});
    let ancestors = json!({"proc.aname": "bash sshd", "proc.aname[2]": "sshd"});
    check_all(
        &event,
        &[
            ("a %proc.name b", "a cat b", json!({"proc.name": "cat"})),
            (
                "%proc.name,%proc.nameand",
                "cat,catand",
                json!({"proc.name": "cat"}),
            ),
            ("*%proc.pname.", "<NA>.", json!({"proc.pname": null})),
            ("%fd.num %evt.is_open_read", "3 true", typed),
            ("%fd.sip", "10.0.0.1", json!({"fd.sip": "10.0.0.1"})),
            ("%proc.aname %proc.aname[2]", "bash sshd sshd", ancestors),
            (
                "%fd.types",
                "(file,pipe)",
                json!({"fd.types": ["file", "pipe"]}),
            ),
            ("%fd.name", "/\u{fffd}", json!({"fd.name": "/\u{fffd}"})),
            (
                "[%5proc.name] [%2proc.name]",
                "[cat  ] [ca]",
                json!({"proc.name": "cat"}),
            ),
        ],
    );
}

#[test]
fn transformers_and_parameters() {
    let event = json!({"proc.name": "cat", "evt.arg.flags": "O_RDONLY", "evt.rawarg.fd": 3});
    let both = json!({"proc.name": "cat", "evt.arg.flags": "O_RDONLY"});
    let raw = json!({"evt.type": "open", "evt.arg.flags": "O_RDONLY", "evt.rawarg.fd": 3});
    check_all(
        &event,
        &[
            ("%toupper(proc.name)", "CAT", json!({"proc.name": "cat"})),
            ("%toupper(proc.pname)", "<NA>", json!({"proc.pname": null})),
            ("%concat(proc.name, evt.arg.flags)", "catO_RDONLY", both),
            (
                "%evt.type %evt.arg.flags. %evt.rawarg.fd",
                "open O_RDONLY. 3",
                raw,
            ),
        ],
    );
}

#[test]
fn suggested_fields_are_appended() {
    let event = json!({"container.id": "0123456789ab", "container.image.repository": "nginx"});
    let found = format("x %container.id", &event, SuggestedOutput::Append);
    assert_eq!(
        found.text,
        "x 0123456789ab container_id=0123456789ab container_name=<NA> \
         container_image_repository=nginx container_image_tag=<NA> k8s_pod_name=<NA> \
         k8s_ns_name=<NA>"
    );
    let keys: Vec<_> = found.fields.iter().map(|field| field.0.as_str()).collect();
    assert_eq!(
        keys,
        [
            "container.id",
            "container.name",
            "container.image.repository",
            "container.image.tag",
            "k8s.pod.name",
            "k8s.ns.name",
        ]
    );
}

const BAD: &str = "- rule: shells\n  desc: d\n  priority: notice\n  output: o\n  condition: >\n    \
                   evt.type = execve\n    and proc.nmae = sh\n";

#[test]
fn diagnostics_show_the_source() {
    let loaded = load(
        &[RulesFile {
            name: "my.yaml",
            text: BAD,
        }],
        &Options::default(),
    );
    assert!(loaded.policy.is_none());
    let file = loaded.files.first().expect("a report");
    assert_eq!(
        file.render(Color::Never),
        "\
error[LOAD_ERR_COMPILE_CONDITION]: nonexistent field `proc.nmae`
 --> my.yaml:7:9
  |
7 |     and proc.nmae = sh
  |         ^^^^^^^^^
  |
  = note: in rule `shells`
  = help: did you mean `proc.name`?

"
    );
    assert!(file.render(Color::Always).contains("\u{1b}["));
}

#[test]
fn results_are_machine_readable() {
    let loaded = load(
        &[RulesFile {
            name: "my.yaml",
            text: BAD,
        }],
        &Options::default(),
    );
    let file = loaded.files.first().expect("a report");
    assert_eq!(
        file.to_json(),
        json!({
            "name": "my.yaml",
            "successful": false,
            "schema_valid": true,
            "schema_warnings": [],
            "errors": [{
                "code": "LOAD_ERR_COMPILE_CONDITION",
                "codedesc": "Error compiling condition",
                "message": "nonexistent field `proc.nmae`",
                "context": {
                    "locations": [
                        {
                            "item_type": "rule",
                            "item_name": "shells",
                            "position": {"name": "my.yaml", "line": 1, "column": 9, "offset": 8},
                        },
                        {
                            "item_type": "condition expression",
                            "item_name": "",
                            "position": {"name": "my.yaml", "line": 7, "column": 9, "offset": BAD.find("proc.nmae")},
                        },
                    ],
                    "snippet": "    and proc.nmae = sh\n        ^\n",
                },
            }],
            "warnings": [],
        })
    );
    let loaded = load(
        &[RulesFile {
            name: "e",
            text: "",
        }],
        &Options::default(),
    );
    let file = loaded.files.first().expect("a report");
    assert_eq!(file.to_json()["successful"], true);
    assert_eq!(file.render(Color::Never), "");
}

/// Two rules, `one` with the tags a and b and `two` with a.
const TWO_RULES: &str = "
- rule: one
  desc: d
  priority: debug
  output: '%proc.name on %static.site%4static.site|'
  condition: evt.type = open
  tags: [a, b]
- rule: two
  desc: d
  priority: debug
  output: '%proc.name on %static.site%4static.site|'
  condition: evt.type = open
  tags: [a]
";

fn appended(text: &str) -> AppendOutput {
    AppendOutput {
        text: Some(text.to_owned()),
        ..AppendOutput::default()
    }
}

fn load_appending(append_output: Vec<AppendOutput>) -> Loaded {
    let options = Options {
        matching: Matching::All,
        suggested_output: SuggestedOutput::Omit,
        append_output,
        static_fields: [("site".to_owned(), "west".to_owned())].into(),
        ..Options::default()
    };
    let file = RulesFile {
        name: "a",
        text: TWO_RULES,
    };
    load(&[file], &options)
}

#[test]
fn configurations_add_to_outputs() {
    let who = ExtraField::Formatted {
        name: "who".to_owned(),
        format: "%fd.num is %proc.name".to_owned(),
    };
    let tagged = AppendOutput {
        tags: ["b".to_owned()].into(),
        fields: vec![ExtraField::Field("fd.num".to_owned()), who],
        ..appended("tagged %fd.num")
    };
    let named = AppendOutput {
        rule: Some("two".to_owned()),
        source: Some("syscall".to_owned()),
        ..appended("named")
    };
    let elsewhere = AppendOutput {
        source: Some("k8s_audit".to_owned()),
        ..appended("elsewhere")
    };
    let loaded = load_appending(vec![tagged, named, elsewhere, appended("%static.site")]);
    let policy = loaded.policy.expect("it loads");
    let event = json!({"evt.type": "open", "proc.name": "cat", "fd.num": 3});
    let event = FlatEvent::from_json(event.as_object().expect("an object")).expect("an event");
    let output = |rule: usize| policy.format(rule, &event, View::Passed);
    assert_eq!(output(0).text, "cat on westwest| tagged 3 west");
    assert_eq!(output(1).text, "cat on westwest| named west");
    let fields: serde_json::Map<_, _> = output(0).fields.into_iter().collect();
    assert_eq!(
        Json::from(fields),
        json!({"proc.name": "cat", "static.site": "west", "fd.num": 3, "who": "3 is cat"})
    );
}

#[test]
fn what_is_appended_is_checked() {
    let loaded = load_appending(vec![appended("%no.field")]);
    let found = loaded.files.iter().flat_map(FileReport::errors);
    let found: Vec<String> = found.map(ToString::to_string).collect();
    let expected = "a:2:9: what is appended to the output: invalid formatting token";
    assert!(
        found.iter().any(|found| found.starts_with(expected)),
        "{found:?}"
    );
}
