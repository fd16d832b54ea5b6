//! `docs/reference/formats.md`, made from the tables.

use std::fmt::Write as _;

use monitor_policy::Priority;

use super::mapping::Mapping;
use super::severity::Severity;
use super::{cef, ecs, ocsf, otlp};
use crate::output::{json, syslog_message};

const ABOUT: &str = "\
# Formats

<!-- Made by `monitor-daemon reference formats`; do not edit. -->

What `format` of an output gives. An alert has the fields that its rule's output prints, and those \
that `append_output` adds; a field that is missing is left out, but by `falco`. `append_output` with \
`extra_fields: [proc.pid, proc.exepath]` makes all of them richer.

`sequence` is the number of an alert on its host. An output without `priority`, `tags` and `rules` gets \
all of them; at one that has some, numbers are missing of alerts that are not for it.

## Priority and severity

`syslog` and `log.syslog.severity.code` have the number.

| Priority | Number | `event.severity` of ECS | `severity_id` of OCSF | Severity of CEF | `severity_number` of OTLP |
|---|---|---|---|---|---|
";

/// The reference, as Markdown.
pub(crate) fn markdown() -> String {
    let mut text = ABOUT.to_owned();
    severities(&mut text);
    text.push_str(
        "\n## falco\n\nFalco's own object, which falcosidekick takes, with `uuid` and `sequence` on top; keys \
         in alphabetical order, a line an alert. `json.*` of the configuration leaves keys out.\n\n",
    );
    table(&mut text, "", json::KEYS, &[]);
    text.push_str(
        "\n## text\n\nFalco's text line: time, priority and the rule's output, such as `12:00:00.000000001: \
         Warning Shadow read | file=/etc/shadow`. Nothing says which alert of the log it is. What \
         could end the line or move a terminal's cursor is escaped as in JSON.\n",
    );
    structured(&mut text);
    _ = write!(
        text,
        "\n## ecs\n\nElastic Common Schema {}. Fields that it has no name for are in `labels`, with \
         `_` for each dot. Fields of containers are left out for processes of the host. With \
         `orchestrator` come `orchestrator.type` `kubernetes` and `orchestrator.resource.type` \
         `pod`.\n\n",
        ecs::VERSION
    );
    table(
        &mut text,
        "",
        &[ecs::ALWAYS, ecs::TAGGED].concat(),
        ecs::FIELDS,
    );
    _ = write!(
        text,
        "\n## ocsf\n\nDetection Finding (class 2004) of OCSF {}, with the profile `container`. An \
         object that would lack what it has to have, such as the address of an end, is left out; \
         `evidences[].data` has it all. Which tactic a technique is of is known where the rule has one \
         tactic; several are objects of their own in `attacks`.\n\n",
        ocsf::VERSION
    );
    let told = [ocsf::ALWAYS, ocsf::TAGGED].concat();
    table(&mut text, "evidences[].", &told, ocsf::FIELDS);
    for (theirs, meaning) in ocsf::FILLED {
        _ = writeln!(text, "| `{theirs}` | {meaning} |");
    }
    text.push_str(
        "\n## cef\n\nCommon Event Format 0, a line of text. Custom texts have a label with the name \
         of our field.\n\n",
    );
    table(&mut text, "", cef::ALWAYS, cef::FIELDS);
    for (v4, v6, ours) in cef::ADDRESSES {
        _ = writeln!(text, "| `{v4}`, or `{v6}` for IPv6 | `{ours}` |");
    }
    _ = write!(
        text,
        "\n## otlp\n\nLog records of OTLP, with names of OpenTelemetry's semantic conventions {}. As \
         `format` it is a request with one record, in JSON; `api: otlp` and `otlp_grpc` send \
         requests of many. The resource is the host with the daemon; what the alert is about are \
         attributes of its record. Fields that the conventions have no name for are attributes \
         under their own. Fields of containers are left out for processes of the host.\n\n",
        otlp::VERSION
    );
    table(&mut text, "", otlp::ALWAYS, otlp::FIELDS);
    text
}

fn severities(text: &mut String) {
    for priority in Priority::ALL {
        let Severity {
            ecs,
            ocsf,
            cef,
            otlp,
        } = Severity::of(priority);
        let (number, name) = ocsf;
        _ = writeln!(
            text,
            "| {priority} | {} | {ecs} | {number} ({name}) | {cef} | {otlp} |",
            priority as u8
        );
    }
}

fn structured(text: &mut String) {
    _ = write!(
        text,
        "\n## structured\n\nOf syslog alone: the structured data of RFC 5424, one element `{}`, \
         in front of the alert's text with time and priority. 32473 is the number that RFC 5612 sets aside \
         for documentation: this project has none of its own. `\"`, `\\` and `]` in values are \
         escaped by `\\`; control characters are shown as text.\n\n",
        syslog_message::ELEMENT
    );
    table(text, "", syslog_message::PARAMETERS, &[]);
    _ = writeln!(
        text,
        "| the field's name | each field of the alert that has a value. RFC 5424 has no `=`, `]`, `\"` \
         and spaces in names, which are left out, and names of {} letters at most: `proc.aname[2]` is \
         `proc.aname[2` |",
        syslog_message::NAME_MAX
    );
}

fn table(text: &mut String, within: &str, always: &[(&str, &str)], fields: &[Mapping]) {
    text.push_str("| There | Here |\n|---|---|\n");
    for (theirs, meaning) in always {
        _ = writeln!(text, "| `{theirs}` | {meaning} |");
    }
    for Mapping { theirs, ours, .. } in fields {
        _ = writeln!(text, "| `{within}{theirs}` | `{ours}` |");
    }
}
