//! What is written about the configuration, made from [`KEYS`]: the reference and a file to start
//! from.

use std::fmt::Write as _;

use serde_yaml::Value;

use super::file_keys::FILE_KEYS;
use super::http_keys::HTTP_KEYS;
use super::kafka_keys::KAFKA_KEYS;
use super::nats_keys::NATS_KEYS;
use super::{Config, DEFAULT_PATH, KEYS, Key, file, http, kafka, nats};

/// The reference, as Markdown.
pub fn markdown() -> String {
    let mut text = format!(
        "# Configuration\n\n\
         <!-- Made by `monitor-daemon reference configuration`; do not edit. -->\n\n\
         One YAML file, `{DEFAULT_PATH}` unless `--config` names another, and after it every \
         `*.yaml` and `*.yml` of the folder `conf.d` beside it, in order of name. Later files win \
         key by key; lists are replaced, not joined. Every key may be left out, and so may every \
         file. An unknown key is an error that names the nearest valid one.\n\n\
         `monitor-daemon config` prints what is in effect.\n\n\
         | Key | Values | Default | Meaning |\n|---|---|---|---|\n"
    );
    let default = Config::default();
    for key in KEYS {
        row(&mut text, key, &default.value(key.name));
    }
    section(&mut text, "files", FILE_KEYS, file::default);
    text.push_str(FILES);
    text.push_str(SYSLOG);
    section(&mut text, "http", HTTP_KEYS, http::default);
    text.push_str(HTTP);
    section(&mut text, "nats", NATS_KEYS, nats::default);
    text.push_str(NATS);
    section(&mut text, "kafka", KAFKA_KEYS, kafka::default);
    text.push_str(KAFKA);
    text.push_str(SELECTION);
    text.push_str(NEWEST_FIRST);
    text.push_str(
        "\nA dotted name is a key in a section:\n\n\
         ```yaml\nalerts:\n  file: /var/log/monitor/alerts.jsonl\n```\n",
    );
    text
}

/// What the keys do not say of which alerts an output gets.
const SELECTION: &str = "
Every output but `alerts.file` may have `priority`, `tags` and `rules`, which all have to hold; those \
of standard output are `alerts.stdout_priority` and so on. Alerts of the daemon itself (`source` is `internal`, one of the tags \
`monitor`) are left out by `priority` alone, never by `tags` and `rules`: they tell that other alerts \
were lost, are late or may be missing. Whoever does not want them drops them by their `source`.

`sequence` numbers all alerts of a host. So at an output with one of these keys, numbers are missing of \
alerts that are not for it, and a hole proves nothing. To see by numbers whether one is missing, leave the \
keys out and choose at the server. Or ask the host: `monitor-daemon alerts verify` says whether its log is \
whole, `monitor_alerts_waiting` how much an output lacks, `monitor_alerts_lost_total` what it never gets.
";

/// What its key does not say of the order after an outage.
const NEWEST_FIRST: &str = "
With `newest_first`, which servers by syslog, HTTP, NATS and Kafka may have, alerts that are at least \
so severe are out of order when more than 256 wait: the newest comes first, also before what was being \
tried while the server was away, and those raised while a backlog is worked off come before what is \
left of it. All others are in order. As ever none is left out, none is sent twice but after a failure, and an end \
of the daemon changes nothing: the alert log knows which went ahead. Nobody who reads them should \
take the last `sequence` for how far an output is then. After 65536 that went ahead, some of the others \
are sent before it goes on so. Files and standard output are always in order.
";

/// What the keys do not say of files.
const FILES: &str = "
```yaml
alerts:
  files:
    all: {path: /var/log/monitor/all.log, format: text, keep: 3}
    siem: {path: /var/log/monitor/siem.log, format: ecs, priority: warning, tags: [network]}
```

A file is made readable and writable by its owner alone. Lines are never split between two files, and \
none is lost or there twice when a file is rotated, whoever does it; names in `*.log` are not in the \
rules that are shipped for logrotate. One that cannot be rotated, as where the folder is not the \
daemon's to write to, is logged and grows. What cannot be written, as on a full disk, is tried again \
after 0.5 s to 10 s, doubled each time, less up to half of that by chance, and alerts wait in the alert \
log.
";

/// What the keys do not say of syslog.
const SYSLOG: &str = "
Syslog has no receipts. Over TCP and TLS an alert counts as delivered when the server's kernel has \
acknowledged all of it; what a server had not read when it died may be lost, and so may any datagram. \
A connection on which nothing is acknowledged for `timeout_ms`, as where a firewall has forgotten it or the \
server has lost its power, is given up, and what was not acknowledged is sent again by the next: an \
alert can come twice then. Over TLS the server is given 0.5 s after each handshake to refuse us before \
anything is sent, as some look at our certificate only then. A server that is away, whose certificate \
is not of an authority of `tls_ca` or not for the host of `address`, or that refuses us, is tried again \
after 0.5 s to 60 s, doubled each time, less up to half of that by chance, and alerts wait in the alert \
log. One that is too long for a datagram is lost for this output: logged, counted with the reason \
`refused`, and told by an alert. Certificates and keys are read again for each connection.
";

/// What the keys do not say of outputs by HTTP.
const HTTP: &str = "
```yaml
alerts:
  http:
    siem:
      url: https://siem.example.org/alerts
      body: ndjson
      token: credential:siem-token
      priority: warning
```

An output has an alert when the server answered 2xx to the request that held it. What it answers \
else decides what is done:

| Answer | What is done |
|---|---|
| none: no connection, no valid certificate, no whole answer within `timeout_ms` | Sent again, for as long as it takes. |
| 408, 425, 429, 503 | Sent again, for as long as it takes: the server is busy. |
| 3xx, 401, 403, 404, 405, 407 | Sent again: the output is not set up right, or its token is no \
longer good, which is not for alerts to pay. With the limit below. |
| any other 5xx | Sent again, with the limit below. |
| any other | The request is sent again in halves. An alert that is refused alone is lost for this \
output: logged, counted in `monitor_alerts_lost_total` with the reason `refused`, and told within a \
minute by an alert (`Monitor internal: alerts were lost`) that the other outputs get too. |

Elasticsearch answers for each alert, by the same table; 409 means that it has it. Alerts are sent \
with `create` and their `uuid` as id, so one that comes twice is there once. Splunk's 400 for a wrong \
index or channel counts as not set up right.

Between two attempts are 0.5 s to 60 s, doubled each time, less up to half of that by chance; with \
`Retry-After`, what that says, 15 minutes at most. Alerts that come meanwhile wait in the alert \
log. So that an alert at which a server fails each time does not block the others for ever, after \
`retry_hours` up to 256 alerts from that request on are sent alone. Where the server takes some, those \
that it does not take, even a second time, are lost, as above. Where it takes none, it is the server, and it is \
waited for again. Only an alert behind which no other waits is lost.

An alert can come twice, after an answer that got lost or an end of the daemon; it has the same \
`uuid` then. Files and secrets are read again while the daemon runs: certificates for each \
connection, tokens and passwords for each request.
";

/// What the keys do not say of NATS.
const NATS: &str = "
```yaml
alerts:
  nats:
    bus:
      servers: [tls://nats-1.example.org, tls://nats-2.example.org]
      stream: ALERTS
      credentials: credential:nats
```

NATS 2.2 or later, with a JetStream stream that has the subjects; the daemon makes none. An output \
has an alert when the stream has acknowledged it. Until then it is published again, in order, after \
pauses of 0.5 s to 60 s: when the connection fails, when an acknowledgement does not come, when no \
stream has the subject, when the stream is full, when the server does not know the user. Only an \
alert longer than the server or the stream takes is lost for this output, which is logged and \
counted with the reason `refused`.

An alert is named by its `uuid` (`Nats-Msg-Id`). One that comes twice within the stream's \
`duplicate_window` (2 minutes, unless it says otherwise) is there once. Alerts are in order, also \
where a server ends; only when the leader of a stream changes may one be behind up to `in_flight` \
later ones. With `in_flight: 1` never.

The user needs the right to publish to the subjects and to subscribe to `_INBOX.>`.
";

/// What the keys do not say of Kafka.
const KAFKA: &str = "
```yaml
alerts:
  kafka:
    bus:
      brokers: ['kafka-1.example.org:9093', 'kafka-2.example.org:9093']
      topic: alerts
      tls: true
      mechanism: scram-sha-512
      user: monitor
      password: credential:kafka
```

Kafka 0.11 or later. An output has an alert when all replicas in sync have it (`acks=all`). Until \
then it is sent again, in order, after pauses of 0.5 s to 60 s, whatever the broker says, and to \
whichever broker leads the partition by then. Only an alert that the topic takes in no case, too long or \
with a time that it does not accept, is lost for this output, which is logged and counted with the \
reason `refused`.

The producer is idempotent: what is sent twice is there once. An alert can come twice only after \
an end of the daemon, or when the broker has forgotten the producer; it has the same `uuid` then, \
which is a header of the message too. Alerts with the same key are in one partition, in order. The \
partition of a key is the one that Kafka's own clients choose. The user needs the right to write to \
the topic, and before Kafka 3.0 the cluster's `IdempotentWrite`.
";

/// The keys of an output that is one of many.
fn section(text: &mut String, name: &str, keys: &[Key], default: fn(&str) -> Value) {
    let _ = write!(
        text,
        "\nKeys of a section of `alerts.{name}`:\n\n\
         | Key | Values | Default | Meaning |\n|---|---|---|---|\n"
    );
    for key in keys {
        row(text, key, &default(key.name));
    }
}

fn row(text: &mut String, key: &Key, default: &Value) {
    let Key {
        name,
        values,
        meaning,
    } = key;
    let default = match default {
        Value::Null => "none".to_owned(),
        value => format!("`{}`", inline(value)),
    };
    let _ = writeln!(text, "| `{name}` | {values} | {default} | {meaning} |");
}

/// A configuration file that says nothing: every key commented out, with its default.
pub fn commented() -> String {
    let mut text = String::from(
        "# Configuration of monitor-daemon. All keys are shown with their defaults, commented out.\n\
         # Files in conf.d beside this one are read after it, in order of name; later ones win.\n\
         # `monitor-daemon config` prints what is in effect.\n",
    );
    let default = Config::default();
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let mut parts: Vec<&str> = key.name.split('.').collect();
        let name = parts.pop().unwrap_or_default();
        text.push('\n');
        for (depth, section) in parts.iter().enumerate() {
            if open.get(depth) != Some(section) {
                let _ = writeln!(text, "#{:1$}{section}:", "", 2 * depth);
                open.truncate(depth);
                open.push(section);
            }
        }
        open.truncate(parts.len());
        let indent = " ".repeat(2 * parts.len());
        for line in wrap(key.meaning) {
            let _ = writeln!(text, "#{indent} {line}");
        }
        let _ = writeln!(text, "#{indent} Values: {}", key.values.replace('`', ""));
        let value = inline(&default.value(key.name));
        let _ = writeln!(text, "#{indent}{name}: {value}");
    }
    text
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        value => serde_yaml::to_string(value)
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}

fn wrap(text: &str) -> Vec<String> {
    const WIDTH: usize = 90;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
