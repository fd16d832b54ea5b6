//! Defaults, every key, and every error word for word.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monitor_policy::{
    AppendOutput, ExtraField, Matching, Options, Priority, Selected, SuggestedOutput, Switch,
};

use super::file_keys::FILE_KEYS;
use super::http_keys::HTTP_KEYS;
use super::kafka_keys::KAFKA_KEYS;
use super::nats_keys::NATS_KEYS;
use super::{
    Api, Config, HttpBody, KEYS, Login, StateFile, StdoutFormat, SyslogFormat, SyslogProtocol,
    reference,
};
use crate::output::{Format, Secret, Selection, TlsFiles};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("m.yaml"), text).map_err(|error| error.to_string())
}

#[test]
fn nothing_written_means_the_defaults() {
    for text in ["", "# only a comment\n", "---\n", "{}"] {
        assert_eq!(parse(text).unwrap(), Config::default(), "{text:?}");
    }
    let config = Config::default();
    assert_eq!(config.rules, Options::default());
    assert_eq!(config.metrics.unwrap().to_string(), "127.0.0.1:9464");
    assert_eq!(config.docker.metadata_wait, Duration::from_millis(500));
    assert_eq!(config.alerts.queue_bytes, 8 << 20);
    assert_eq!(config.rings.lifecycle.bytes(), 2 << 20);
    assert_eq!(config.rings.control.bytes(), 1 << 20);
    assert_eq!(config.rings.bulk.bytes(), 4 << 20);
    assert!(!config.accept_blind);
    assert_eq!(config.state_file, StateFile::Usual);
    assert!(!config.protect);
}

#[test]
fn what_is_no_configuration_is_refused_without_reading_on() {
    let deep = format!("policies:\n  {}\n", "[".repeat(100_000));
    assert_eq!(
        parse(&deep).unwrap_err(),
        "m.yaml:2:67: more than 64 brackets are open: close some"
    );
    let error = Config::load(Some(Path::new("/dev/zero"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the configuration `/dev/zero`: it has more than 1048576 bytes, which is no \
         configuration"
    );
}

const EVERY_KEY: &str = "
policies: [/etc/monitor/policies, /opt/site.yaml]
rule_matching: all
priority: Warning
append_suggested_output: false
rules:
  - disable: { rule: '*' }
  - enable: { tag: network }
append_output:
  - match: { rule: R, source: syscall, tags: [b, a] }
    extra_output: on %static.site
    extra_fields: [proc.name, { who: 'by %user.name' }]
    suggested_output: true
static_fields: { site: west }
alerts:
  stdout: json
  stdout_priority: notice
  stdout_tags: [c]
  stdout_rules: ['*d']
  log: { path: /run/alerts.db, bytes: 1048576, days: 3, sync: true }
  rollup: { window_seconds: 5, rule_alerts: 7, bytes: 65536, ignored_fields: [fd.sport] }
  file: /var/log/alerts.jsonl
  file_format: ecs
  files:
    one:
      path: /var/log/one
      format: text
      max_bytes: 4096
      keep: 2
      priority: error
      tags: [a]
      rules: ['b*']
    two: { path: /var/log/two, max_bytes: off }
  queue_bytes: 65536
  syslog:
    address: 'log:6514'
    protocol: tls
    facility: local3
    format: structured
    timeout_ms: 100
    tls_ca: /ca.pem
    tls_certificate: /own.pem
    tls_key: credential:syslog-key
    priority: error
    tags: [a]
    rules: ['b*']
    newest_first: critical
    servers:
      second: { address: '[::1]:514', format: cef, priority: alert }
  http:
    one:
      url: https://siem.example.org/in?x=1
      api: splunk
      index: security
      sourcetype: monitor
      format: ocsf
      request_bytes: 2048
      headers: { X-Tenant: a }
      token: credential:siem
      token_scheme: ApiKey
      timeout_ms: 100
      retry_hours: 3
      tls_ca: /ca.pem
      tls_certificate: /own.pem
      tls_key: /own.key
      priority: error
      tags: [a]
      rules: ['b*']
      newest_first: critical
    two: { url: 'http://[::1]:8080/', body: ndjson, user: me, password: /run/secret }
    three: { url: 'http://loki:3100', api: loki, labels: { site: west } }
    four: { url: 'http://es:9200', api: elasticsearch, index: alerts }
    five: { url: 'http://otel:4318', api: otlp }
    seven: { url: 'https://api', token: /run/key, token_header: X-Api-Key }
    six: { url: 'https://otel:4317', api: otlp_grpc, tls_key: credential:otel, tls_certificate: /c }
  nats:
    one:
      servers: ['tls://nats.example.org', 'tls://[::1]:4223']
      subject: 'a.{rule}.{source}-x'
      stream: ALERTS
      format: cef
      in_flight: 1
      credentials: credential:nats
      timeout_ms: 100
      tls_ca: /ca.pem
      tls_certificate: /own.pem
      tls_key: /own.key
      priority: error
      tags: [a]
      rules: ['b*']
      newest_first: critical
    two: { servers: ['tls://b', 'nats://a'], user: me, password: /run/secret }
    three: { servers: ['nats://a'], token: /run/secret }
    four: { servers: ['nats://a'], nkey: /run/secret }
  kafka:
    one:
      brokers: ['a:9092', '[::1]:9093']
      topic: alerts
      key: container
      format: ocsf
      batch_bytes: 2048
      tls: true
      mechanism: scram-sha-512
      user: me
      password: credential:kafka
      timeout_ms: 100
      tls_ca: /ca.pem
      tls_certificate: /own.pem
      tls_key: /own.key
      priority: error
      tags: [a]
      rules: ['b*']
      newest_first: critical
    two: { brokers: ['a:1'], topic: b }
json:
  include_output_property: false
  include_output_fields_property: false
  include_tags_property: false
  include_id_property: false
  include_message_property: true
time_format_iso_8601: true
hostname: web-1
metrics: { listen: '0.0.0.0:9000', allow_remote: true }
docker: { socket: /run/docker.sock, metadata_wait_ms: 50 }
rings: { lifecycle_bytes: 65536, control_bytes: 262144, bulk_bytes: 131072 }
accept_blind: true
state_file: /run/state
protect: true
reload_on_change: false
kernel_filter: false
control: { socket: /run/other.sock }
";

#[test]
fn every_key_of_files_and_standard_output_is_taken() {
    let config = parse(EVERY_KEY).unwrap();
    let stdout = &config.alerts.stdout_selection;
    assert_eq!(stdout.priority, Priority::Notice);
    assert_eq!(
        (&*stdout.tags, &*stdout.rules),
        (&["c".to_owned()][..], &["*d".to_owned()][..])
    );
    let (one, two) = (&config.alerts.files["one"], &config.alerts.files["two"]);
    assert_eq!(
        (one.format, one.max_bytes, one.keep),
        (Format::Text, Some(4096), 2)
    );
    assert_eq!(one.selection.priority, Priority::Error);
    assert_eq!(
        (two.format, two.max_bytes, two.keep),
        (Format::Falco, None, 9)
    );
}

#[test]
fn every_key_is_taken() {
    let config = parse(EVERY_KEY).unwrap();
    assert_eq!(
        config.policies,
        ["/etc/monitor/policies", "/opt/site.yaml"].map(PathBuf::from)
    );
    assert_eq!(config.alerts.stdout, StdoutFormat::JSON);
    assert_eq!(
        config.alerts.file.as_deref(),
        Some(Path::new("/var/log/alerts.jsonl"))
    );
    assert_eq!(config.alerts.queue_bytes, 65536);
    let rollup = &config.alerts.rollup;
    assert_eq!(rollup.window, Duration::from_secs(5));
    assert_eq!((rollup.rule_alerts, rollup.bytes), (7, 65536));
    assert_eq!(rollup.ignored_fields, ["fd.sport"]);
    let syslog = config.alerts.syslog.as_ref().unwrap();
    assert_eq!(syslog.timeout, Duration::from_millis(100));
    assert_eq!(syslog.address, "log:6514");
    assert_eq!(syslog.protocol, SyslogProtocol::Tls);
    assert_eq!(syslog.facility.number(), 19);
    assert_eq!(syslog.format, SyslogFormat::Structured);
    let json = config.json;
    assert_eq!(
        (json.output, json.output_fields, json.tags, json.message),
        (false, false, false, true)
    );
    assert!(config.time_format_iso_8601);
    assert_eq!(config.hostname.as_deref(), Some("web-1"));
    assert_eq!(config.metrics.unwrap().to_string(), "0.0.0.0:9000");
    assert_eq!(config.docker.socket, Path::new("/run/docker.sock"));
    assert_eq!(config.docker.metadata_wait, Duration::from_millis(50));
    assert_eq!(
        [
            config.rings.lifecycle.bytes(),
            config.rings.control.bytes(),
            config.rings.bulk.bytes()
        ],
        [65536, 262_144, 131_072]
    );
    assert!(config.accept_blind);
    assert_eq!(config.state_file, StateFile::Path("/run/state".into()));
    assert!(config.protect);
    assert!(!config.reload_on_change);
    assert!(!config.kernel_filter);
    assert_eq!(config.control, Some("/run/other.sock".into()));
    assert_eq!(parse("control: {socket: off}\n").unwrap().control, None);
    assert!(parse("control: {socket: relative}\n").is_err());
    let default = Config::default();
    let other = parse("rules: [{disable: {tag: a}}]\ncontrol: {socket: off}\n").unwrap();
    assert_eq!(default.differences(&other), ["rules", "control.socket"]);
}

#[test]
fn every_key_about_outputs_is_taken() {
    let alerts = parse(EVERY_KEY).unwrap().alerts;
    let selection = Selection {
        priority: Priority::Error,
        tags: vec!["a".into()],
        rules: vec!["b*".into()],
        newest_first: Some(Priority::Critical),
    };
    let syslog = alerts.syslog.unwrap();
    assert_eq!(syslog.selection, selection);
    let tls = TlsFiles {
        ca: Some("/ca.pem".into()),
        identity: Some(("/own.pem".into(), "credential:syslog-key".into())),
    };
    assert_eq!(syslog.tls, tls);
    let second = &alerts.syslog_servers["second"];
    assert_eq!(
        (&*second.address, second.format),
        ("[::1]:514", SyslogFormat::Cef)
    );
    assert_eq!(second.selection.priority, Priority::Alert);
    let http = &alerts.http["one"];
    assert_eq!(http.url.to_string(), "https://siem.example.org/in?x=1");
    assert_eq!(
        (http.format, alerts.file_format),
        (Format::Ocsf, Format::Ecs)
    );
    assert_eq!((http.api, http.request_bytes), (Api::Splunk, 2048));
    assert_eq!(http.index.as_deref(), Some("security"));
    assert_eq!(http.sourcetype.as_deref(), Some("monitor"));
    assert_eq!(alerts.http["two"].body, HttpBody::Ndjson);
    let three = &alerts.http["three"];
    assert_eq!(three.url.path(), "/loki/api/v1/push");
    assert_eq!(three.labels["site"], "west");
    let four = &alerts.http["four"];
    assert_eq!((four.url.path(), four.format), ("/_bulk", Format::Ecs));
    assert_eq!(http.headers["X-Tenant"], "a");
    let login = Login::Token {
        scheme: "ApiKey".into(),
        token: Secret::Credential("siem".into()),
    };
    assert_eq!(http.login, login);
    assert_eq!(http.timeout, Duration::from_millis(100));
    assert_eq!(http.retry, Duration::from_hours(3));
    assert_eq!(http.tls.ca, Some("/ca.pem".into()));
    assert_eq!(
        http.tls.identity,
        Some(("/own.pem".into(), "/own.key".into()))
    );
    assert_eq!(http.selection, selection);
    let login = Login::Basic {
        user: "me".into(),
        password: Secret::File("/run/secret".into()),
    };
    assert_eq!(alerts.http["two"].login, login);
    let login = Login::Header {
        name: "X-Api-Key".into(),
        token: Secret::File("/run/key".into()),
    };
    assert_eq!(alerts.http["seven"].login, login);
}

#[test]
fn every_key_about_rules_is_taken() {
    let config = parse(EVERY_KEY).unwrap();
    assert_eq!(config.rules.matching, Matching::All);
    assert_eq!(config.rules.minimum_priority, Priority::Warning);
    assert_eq!(config.rules.suggested_output, SuggestedOutput::Omit);
    assert_eq!(
        config.rules.switches,
        [
            Switch {
                enabled: false,
                rules: Selected::Named("*".into()),
            },
            Switch {
                enabled: true,
                rules: Selected::Tagged("network".into()),
            },
        ]
    );
    assert_eq!(
        config.rules.append_output,
        [AppendOutput {
            rule: Some("R".into()),
            source: Some("syscall".into()),
            tags: ["a", "b"].map(str::to_owned).into(),
            text: Some("on %static.site".into()),
            fields: vec![
                ExtraField::Field("proc.name".into()),
                ExtraField::Formatted {
                    name: "who".into(),
                    format: "by %user.name".into(),
                },
            ],
            suggested: true,
        }]
    );
    assert_eq!(config.rules.static_fields["site"], "west");
}

#[test]
fn metrics_can_be_off() {
    assert_eq!(parse("metrics: {listen: off}").unwrap().metrics, None);
    assert_eq!(
        parse("metrics: {listen: '[::1]:1'}")
            .unwrap()
            .metrics
            .unwrap()
            .port(),
        1
    );
}

const WRONG_KEYS: &[(&str, &str)] = &[
    (
        "rule_matchin: all\n",
        "m.yaml:1:1: unknown key `rule_matchin`; did you mean `rule_matching`?",
    ),
    (
        "priority: debug\nmetrics:\n  listn: off\n",
        "m.yaml:3:3: unknown key `listn` in `metrics`; did you mean `listen`?",
    ),
    (
        "rings: {qqqq: 1}\n",
        "m.yaml:1:9: unknown key `qqqq` in `rings`; valid keys are `lifecycle_bytes`, `control_bytes`, \
             `bulk_bytes`",
    ),
    (
        "priority: debug\npriority: alert\n",
        "m.yaml:1:1: `priority` is given twice",
    ),
    (
        "- a\n",
        "m.yaml:1:1: invalid type: sequence, expected keys with values",
    ),
];

const WRONG_OUTPUTS: &[(&str, &str)] = &[
    (
        "alerts: {http: {a: {}}}",
        "m.yaml: `alerts.http.a` has no `url`",
    ),
    (
        "alerts: {http: {A b: {url: 'http://x/'}}}",
        "m.yaml: `alerts.http` has the name `A b`: give one of small letters, digits, `-` and `_`, \
             32 at most",
    ),
    (
        "alerts: {http: {a: {url: siem.example.org}}}",
        "m.yaml:1:26: alerts.http.a.url: expected a URL such as \
             `https://siem.example.org/alerts`, not `siem.example.org`",
    ),
    (
        "alerts: {http: {a: {url: 'http://me:it@x/'}}}",
        "m.yaml:1:26: alerts.http.a.url: expected a URL without user: give `user` and `password`",
    ),
    (
        "alerts: {http: {a: {token: s3cret}}}",
        "m.yaml:1:28: alerts.http.a.token: expected the absolute path of a file that holds it, or \
             `credential:NAME`",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', token_header: X-Api-Key}}}",
        "m.yaml: `alerts.http.a` has a `token_header` and no `token`",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', token: /a, token_header: X, token_scheme: Y}}}",
        "m.yaml: `alerts.http.a` has a `token_scheme`, which a `token_header` has not",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', token: /a, token_header: X, user: b}}}",
        "m.yaml: `alerts.http.a` has a `token` and a `user` or `password`: leave one out",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', token: /a, user: b, password: /c}}}",
        "m.yaml: `alerts.http.a` has a `token` and a `user` or `password`: leave one out",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', api: elasticsearch}}}",
        "m.yaml: `alerts.http.a` has no `index`, which Elasticsearch needs",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', api: loki, labels: {host: b}}}}",
        "m.yaml: `alerts.http.a` has `labels` that Loki does not take, or that every alert has",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', api: loki, body: array}}}",
        "m.yaml: `alerts.http.a` has a `body`, which only `api: post` leaves open",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', user: b}}}",
        "m.yaml: `alerts.http.a` has one of `user` and `password`: give both, or none",
    ),
    (
        "alerts: {http: {a: {url: 'https://x/', tls_key: /k}}}",
        "m.yaml: `alerts.http.a` has one of `tls_certificate` and `tls_key`: give both, or none",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', tls_ca: /c}}}",
        "m.yaml: `alerts.http.a` has keys that begin with `tls_`, which are for a `url` with \
         `https://`",
    ),
    (
        "alerts: {http: {a: {headers: {'a b': c}}}}",
        "m.yaml:1:30: alerts.http.a.headers: `a b` cannot be the name of a header",
    ),
    (
        "alerts: {http: {a: {url: 'http://x/', format: cef, body: array}}}",
        "m.yaml: `alerts.http.a` has a `format` that is no JSON: use another `body` than `array`",
    ),
    (
        "alerts: {nats: {a: {}}}",
        "m.yaml: `alerts.nats.a` has no `servers`",
    ),
    (
        "alerts: {nats: {A: {servers: ['nats://x']}}}",
        "m.yaml: `alerts.nats` has the name `A`: give one of small letters, digits, `-` and `_`, 32 \
         at most",
    ),
    (
        "alerts: {nats: {a: {servers: ['http://x']}}}",
        "m.yaml:1:30: alerts.nats.a.servers: expected a server such as \
         `tls://nats.example.org:4222`, not `http://x`",
    ),
    (
        "alerts: {nats: {a: {servers: ['nats://me:it@x']}}}",
        "m.yaml:1:30: alerts.nats.a.servers: expected a server without user: give `user` and \
         `password`",
    ),
    (
        "alerts: {nats: {a: {servers: ['nats://x'], token: /a, nkey: /b}}}",
        "m.yaml: `alerts.nats.a` has more than one of `user`, `token`, `nkey` and `credentials`: \
         give one",
    ),
    (
        "alerts: {nats: {a: {servers: ['tls://x', 'nats://y'], tls_ca: /c}}}",
        "m.yaml: `alerts.nats.a` has keys that begin with `tls_`, which are for servers with \
         `tls://` only",
    ),
    (
        "alerts: {nats: {a: {subject: 'alerts.{pid}'}}}",
        "m.yaml:1:30: alerts.nats.a.subject: expected a subject, not `alerts.{pid}`: in braces may \
         stand `host`, `priority`, `rule`, `source`",
    ),
    (
        "alerts: {nats: {a: {subject: 'alerts.>'}}}",
        "m.yaml:1:30: alerts.nats.a.subject: expected a subject, not `alerts.>`: it has to be one \
         subject, without `*`, `>` and single braces",
    ),
    (
        "alerts: {nats: {a: {subject: 'alerts..x'}}}",
        "m.yaml:1:30: alerts.nats.a.subject: expected a subject, not `alerts..x`: it has words with \
         `.` between them, without spaces",
    ),
    (
        "alerts: {nats: {a: {subject: '$JS.API.x'}}}",
        "m.yaml:1:30: alerts.nats.a.subject: expected a subject, not `$JS.API.x`: such subjects are \
         the server's own",
    ),
    (
        "alerts: {kafka: {a: {topic: b}}}",
        "m.yaml: `alerts.kafka.a` has no `brokers`",
    ),
    (
        "alerts: {kafka: {a: {brokers: ['x:1'], topic: 'a b'}}}",
        "m.yaml: `alerts.kafka.a` has a `topic` that cannot be the name of one",
    ),
    (
        "alerts: {kafka: {a: {brokers: [x]}}}",
        "m.yaml:1:31: alerts.kafka.a.brokers: expected a host with port such as `kafka-1:9092`, not \
         `x`",
    ),
    (
        "alerts: {kafka: {a: {brokers: ['x:1'], topic: b, tls_ca: /a}}}",
        "m.yaml: `alerts.kafka.a` has files for TLS, but no `tls: true`",
    ),
    (
        "alerts: {kafka: {a: {brokers: ['x:1'], topic: b, mechanism: plain}}}",
        "m.yaml: `alerts.kafka.a` has a `mechanism`, but no `user`",
    ),
    (
        "alerts: {file_format: xml}",
        "m.yaml:1:23: alerts.file_format: expected `falco`, `text`, `ecs`, `ocsf`, `cef` or `otlp`, not \
         `xml`",
    ),
    (
        "alerts: {http: {a: {body: xml}}}",
        "m.yaml:1:27: alerts.http.a.body: expected `single`, `array` or `ndjson`, not `xml`",
    ),
];

const WRONG_VALUES: &[(&str, &str)] = &[
    (
        "rules:\n  - enable: {}\n",
        "m.yaml:2:3: rules: expected one of `rule` and `tag`",
    ),
    (
        "rules:\n  - {enable: {rule: a}, disable: {rule: b}}\n",
        "m.yaml:2:3: rules: expected one of `enable` and `disable`",
    ),
    (
        "alerts: {syslog: {address: log}}\n",
        "m.yaml:1:28: alerts.syslog.address: expected a host with a port, such as \
             `log.example.org:514`, not `log`",
    ),
    (
        "alerts: {http: {a: {url: 'http://b', api: otlp_grpc, format: ecs}}}\n",
        "m.yaml: `alerts.http.a` has a `format`, which OTLP leaves no choice of",
    ),
    (
        "alerts: {http: {a: {url: 'http://b', api: otel}}}\n",
        "m.yaml:1:43: alerts.http.a.api: expected `post`, `elasticsearch`, `splunk`, `loki`, `otlp` \
         or `otlp_grpc`, not `otel`",
    ),
    (
        "alerts: {syslog: {protocol: tcp, tls_ca: /ca.pem}}\n",
        "m.yaml: `alerts.syslog` has keys that begin with `tls_`, which are for `protocol: tls`",
    ),
    (
        "alerts: {syslog: {servers: {a: {}}}}\n",
        "m.yaml: `alerts.syslog.servers.a` has no `address`",
    ),
    (
        "alerts: {syslog: {servers: {A: {}}}}\n",
        "m.yaml: `alerts.syslog.servers` has the name `A`: give one of small letters, digits, `-` \
         and `_`, 32 at most",
    ),
    (
        "alerts: {syslog: {servers: {a: {servers: {b: {}}}}}}\n",
        "m.yaml: `alerts.syslog.servers.a` has `servers` of its own: put them beside it",
    ),
    (
        "alerts: {syslog: {servers: {a: {adress: x}}}}\n",
        "m.yaml:1:33: unknown key `adress` in `alerts.syslog.servers.a`; did you mean `address`?",
    ),
    (
        "alerts: {syslog: {servers: {a: {protocol: ssl}}}}\n",
        "m.yaml:1:43: alerts.syslog.servers.a.protocol: expected `udp`, `tcp` or `tls`, not `ssl`",
    ),
    (
        "alerts: {syslog: {facility: loud}}\n",
        "m.yaml:1:29: alerts.syslog.facility: expected a facility such as `daemon`, `auth` or \
             `local0`, not `loud`",
    ),
    (
        "rule_matching: any\n",
        "m.yaml:1:16: rule_matching: expected `first` or `all`, not `any`",
    ),
    (
        "priority: loud\n",
        "m.yaml:1:11: priority: expected `emergency`, `alert`, `critical`, `error`, \
             `warning`, `notice`, `informational` or `debug`, not `loud`",
    ),
    (
        "alerts:\n  stdout: xml\n",
        "m.yaml:2:11: alerts.stdout: expected `text`, `json`, `ecs`, `ocsf`, `cef`, `otlp` or `off`, \
         not `xml`",
    ),
    (
        "alerts: {files: {a: {keep: 2}}}",
        "m.yaml: `alerts.files.a` has no `path`",
    ),
    (
        "alerts: {files: {A: {path: /a}}}",
        "m.yaml: `alerts.files` has the name `A`: give one of small letters, digits, `-` and `_`, 32 at \
         most",
    ),
    (
        "alerts: {files: {a: {path: /a, max_bytes: 1}}}",
        "m.yaml:1:43: alerts.files.a.max_bytes: expected a whole number from 4096 to 1099511627776, or \
         `off`, not `1`",
    ),
    (
        "alerts: {file: /a.2, files: {a: {path: /a, keep: 1}, b: {path: /a}}}",
        "m.yaml: `alerts.files.a` and another output both write to `/a`: give each a file of its own",
    ),
    (
        "alerts: {file: /a.2, files: {a: {path: /a, keep: 2}}}",
        "m.yaml: `alerts.files.a` and another output both write to `/a.2`: give each a file of its own",
    ),
    (
        "rings:\n  bulk_bytes: 100000\n",
        "m.yaml:2:15: rings.bulk_bytes: expected a power of two from 65536 (64 KiB) to \
             1073741824 (1 GiB), not `100000`",
    ),
    (
        "docker:\n  metadata_wait_ms: 1h\n",
        "m.yaml:2:21: docker.metadata_wait_ms: expected a whole number from 0 to 10000, not \
             `1h`",
    ),
    (
        "metrics:\n  listen: localhost\n",
        "m.yaml:2:11: metrics.listen: expected an address with a port, such as `127.0.0.1:9464`, or \
             `off`, not `localhost`",
    ),
    (
        "metrics: {listen: '0.0.0.0:9464'}\n",
        "m.yaml: `metrics.listen` is 0.0.0.0:9464, which other hosts can reach: use a \
             loopback address such as 127.0.0.1:9464, or set `metrics.allow_remote: true`",
    ),
    (
        "hostname: ' '\n",
        "m.yaml: `hostname` is empty: give a name, or leave the key out",
    ),
    (
        "accept_blind: maybe\n",
        "m.yaml:1:15: accept_blind: invalid type: string \"maybe\", expected a boolean",
    ),
    (
        "- a\n",
        "m.yaml:1:1: invalid type: sequence, expected keys with values",
    ),
    (
        "priority: debug\npriority: alert\n",
        "m.yaml:1:1: `priority` is given twice",
    ),
    (
        "policies: /etc/x\n",
        "m.yaml:1:11: policies: invalid type: string \"/etc/x\", expected a sequence",
    ),
];

#[test]
fn errors_say_where_and_what_to_do() {
    for (text, expected) in [WRONG_KEYS, WRONG_VALUES, WRONG_OUTPUTS].concat() {
        assert_eq!(parse(text).unwrap_err(), expected, "{text:?}");
    }
}

#[test]
fn a_named_file_must_exist() {
    let error = Config::load(Some(Path::new("/nonexistent/m.yaml")))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read the configuration `/nonexistent/m.yaml`: No such file"),
        "{error}"
    );
}

#[test]
fn what_is_written_down_reads_as_the_same() {
    for text in ["", EVERY_KEY, "metrics: {listen: off}"] {
        let config = parse(text).unwrap();
        let written = config.to_yaml().unwrap();
        assert_eq!(parse(&written).unwrap(), config, "{written}");
    }
}

/// Asks each section for a key that no section has; the error lists those it has.
#[test]
fn the_reference_has_the_keys_that_are_read() {
    let valid = |text: &str| -> Vec<String> {
        let error = parse(text).unwrap_err();
        let (_, list) = error.split_once("valid keys are ").unwrap();
        let names = list
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned());
        names.collect()
    };
    let mut read = valid("qqqq: 1");
    // A name that is no key is a section: its keys take its place.
    while let Some(index) = read
        .iter()
        .position(|name| KEYS.iter().all(|key| key.name != name))
    {
        let section = read.remove(index);
        let depth = section.split('.').count();
        let opened = format!(
            "{}: {{qqqq: 1{}",
            section.replace('.', ": {"),
            "}".repeat(depth)
        );
        let keys = valid(&opened);
        let keys = keys.iter().map(|key| format!("{section}.{key}"));
        read.splice(index..index, keys.collect::<Vec<_>>());
    }
    let written: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(read, written);
    let file: Vec<&str> = FILE_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(valid("alerts: {files: {a: {qqqq: 1}}}"), file);
    let http: Vec<&str> = HTTP_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(valid("alerts: {http: {a: {qqqq: 1}}}"), http);
    let nats: Vec<&str> = NATS_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(valid("alerts: {nats: {a: {qqqq: 1}}}"), nats);
    let kafka: Vec<&str> = KAFKA_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(valid("alerts: {kafka: {a: {qqqq: 1}}}"), kafka);
}

/// As the user would: without the comment signs in front of keys.
#[test]
fn the_commented_file_holds_the_defaults() {
    let text = reference::commented();
    assert_eq!(parse(&text).unwrap(), Config::default());
    // Explanations stand one column further right than keys.
    let is_key = |line: &&str| (line.len() - line.trim_start().len()).is_multiple_of(2);
    let uncommented: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(is_key)
        .collect();
    assert_eq!(
        parse(&uncommented.join("\n")).unwrap(),
        Config::default(),
        "{uncommented:#?}"
    );
    assert!(uncommented.len() > KEYS.len(), "keys and sections");
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn files_of_the_folder_beside_win_key_by_key_in_order_of_name() {
    let folder = folder(&[
        (
            "m.yaml",
            "policies: [a, b]\npriority: notice\nalerts: {file: one, stdout: off}\n",
        ),
        ("conf.d/20.yml", "alerts: {file: three}\n"),
        (
            "conf.d/10.yaml",
            "policies: [c]\nalerts: {file: two, queue_bytes: 65536}\n",
        ),
        ("conf.d/30.yaml.bak", "nonsense\n"),
        ("conf.d/40.yaml", "# nothing yet\n"),
    ]);
    let config = Config::load(Some(&folder.path().join("m.yaml"))).unwrap();
    assert_eq!(config.policies, [PathBuf::from("c")]);
    assert_eq!(config.rules.minimum_priority, Priority::Notice);
    assert_eq!(config.alerts.file, Some("three".into()));
    assert_eq!(config.alerts.queue_bytes, 65536);
    assert_eq!(config.alerts.stdout, StdoutFormat::Off);
}

#[test]
fn errors_name_the_file_that_is_wrong() {
    let cases = [
        (
            "priorty: debug\n",
            ":1:1: unknown key `priorty`; did you mean `priority`?",
        ),
        (
            "metrics: {listen: '0.0.0.0:1'}\n",
            ": `metrics.listen` is 0.0.0.0:1, which other hosts can reach: use a loopback \
             address such as 127.0.0.1:1, or set `metrics.allow_remote: true`",
        ),
        (
            "hostname: ''\n",
            ": `hostname` is empty: give a name, or leave the key out",
        ),
    ];
    for (text, expected) in cases {
        let folder = folder(&[("m.yaml", "hostname: x\n"), ("conf.d/a.yaml", text)]);
        let error = Config::load(Some(&folder.path().join("m.yaml"))).unwrap_err();
        let file = folder.path().join("conf.d/a.yaml");
        assert_eq!(error.to_string(), format!("{}{expected}", file.display()));
    }
}
