//! Every key of the configuration with its values and meaning: what the reference, the commented
//! default file and the effective configuration are made from. Tests hold it to what is read.

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted name: `alerts.file` is `file` within `alerts`.
    pub name: &'static str,
    /// What may be written.
    pub values: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

pub(super) const fn key(name: &'static str, values: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        values,
        meaning,
    }
}

/// Keys that outputs have in common.
pub(super) const TLS_KEY: Key = key(
    "tls_key",
    "path, `credential:NAME`",
    "PEM file of the key for it.",
);
pub(super) const PRIORITY: Key = key(
    "priority",
    "`emergency` to `debug`",
    "Less severe alerts are not for this output.",
);
pub(super) const TAGS: Key = key(
    "tags",
    "list of texts",
    "Only alerts with one of these tags are for this output, and those of the daemon itself. Empty: \
     all.",
);
pub(super) const RULES: Key = key(
    "rules",
    "list of texts",
    "Only alerts of these rules are for this output, and those of the daemon itself; `*` stands for \
     anything. Empty: all.",
);

pub(super) const NEWEST_FIRST: Key = key(
    "newest_first",
    "`emergency` to `debug`, `off`",
    "When more than 256 alerts wait for this output, as after an outage: those at least this severe go \
     first, the newest of them in front, and then the rest in order. Needs the alert log.",
);

/// All keys, in the order in which they are shown; those of a section stand together.
pub const KEYS: &[Key] = &[
    key(
        "policies",
        "list of paths",
        "Rules files, and folders of `*.yaml` and `*.yml`, loaded together in this order. Empty: the \
         policies built into the binary.",
    ),
    key(
        "rule_matching",
        "`first`, `all`",
        "Whether the first rule that matches an event ends the search, or every rule that matches \
         alerts.",
    ),
    key(
        "priority",
        "`emergency`, `alert`, `critical`, `error`, `warning`, `notice`, `informational`, `debug`",
        "Rules less severe than this are not loaded.",
    ),
    key(
        "rules",
        "list of sections",
        "Rules that are switched on or off whatever their files say: `enable` or `disable`, each \
         with a `rule` (its name; `*` stands for anything) or a `tag`. The last entry that \
         concerns a rule decides.",
    ),
    key(
        "append_suggested_output",
        "`true`, `false`",
        "Whether container and pod fields are appended to every rule's output.",
    ),
    key(
        "append_output",
        "list of sections",
        "What else is appended to outputs, entry by entry: `extra_output` (text with fields), \
         `extra_fields` (fields, or `name: format`, for JSON alone), `suggested_output` (`true`: \
         container and pod fields). `match` restricts an entry to a `rule`, a `source`, or to \
         rules that have all of `tags`.",
    ),
    key(
        "static_fields",
        "names with texts",
        "Texts that outputs print as `%static.NAME`.",
    ),
    key(
        "alerts.stdout",
        "`text`, `json`, `ecs`, `ocsf`, `cef`, `otlp`, `off`",
        "What standard output gets; `json` is Falco's. On a terminal `text` is a readable form, with \
         colours.",
    ),
    key(
        "alerts.stdout_priority",
        "`emergency` to `debug`",
        "Less severe alerts are not for standard output.",
    ),
    key(
        "alerts.stdout_tags",
        "list of texts",
        "Only alerts with one of these tags are for it, and those of the daemon itself. Empty: all.",
    ),
    key(
        "alerts.stdout_rules",
        "list of texts",
        "Only alerts of these rules are for it, and those of the daemon itself; `*` stands for \
         anything. Empty: all.",
    ),
    key(
        "alerts.log.path",
        "absolute path, `off`",
        "Every alert is kept in this file before any output gets it, and what an output could not \
         take, or had not got when the daemon ended, it gets later. Without it, `alerts.db` in the \
         folder that systemd's `StateDirectory=` gives, else in `/var/lib/monitor`. \
         `monitor-daemon alerts` shows what is in it.",
    ),
    key(
        "alerts.log.bytes",
        "1048576 to 1099511627776",
        "Bytes that alerts may take there. When they are more, the oldest of the least severe are \
         removed; what an output has not got by then is counted as lost, and told by an alert.",
    ),
    key(
        "alerts.log.days",
        "1 to 36500",
        "How long an alert is kept at most that all outputs have; one that an output has still to get \
         is not removed for its age. No alert is, for an hour after the daemon's start and for a day \
         after the clock was set by more than a minute.",
    ),
    key(
        "alerts.log.sync",
        "`true`, `false`",
        "Whether every alert waits until the disk has it. Without, one that is kept survives every \
         end of the daemon, but a failing host may cost those of its last seconds.",
    ),
    key(
        "alerts.rollup.window_seconds",
        "0 to 86400",
        "For how long alerts of one rule and container that say the same as one before are counted. \
         The first goes out at once; when the time is over, one more tells how many there were \
         since, and when (`rollup.count`, `rollup.first`, `rollup.last`, and in `rollup.uuid` the \
         first one's). 0: every alert goes out, as with `run --every-alert`.",
    ),
    key(
        "alerts.rollup.rule_alerts",
        "1 to 10000000",
        "How many different alerts a rule may raise in that time in a container; in all together \
         twice as many, of which each may take half of what others have left. Further ones are \
         counted by container, so that one noisy rule cannot keep the alerts of others from their \
         outputs.",
    ),
    key(
        "alerts.rollup.bytes",
        "65536 to 1073741824",
        "Bytes of memory for what is counted. Without room, the oldest count of the rule that takes \
         most is told early.",
    ),
    key(
        "alerts.rollup.ignored_fields",
        "list of fields",
        "Fields by which alerts do not differ, with those below them: `evt.time` is also \
         `evt.time.s`. All others in a rule's output are what an alert says.",
    ),
    key(
        "alerts.file",
        "path",
        "All alerts are appended here as lines. Reopened when it was rotated away, which is left to \
         others, such as logrotate; no signal is needed.",
    ),
    key(
        "alerts.file_format",
        "`falco`, `text`, `ecs`, `ocsf`, `cef`, `otlp`",
        "The shape of alerts there; docs/reference/formats.md has all of them.",
    ),
    key(
        "alerts.files",
        "names with sections",
        "Files, each under a name of your choice, that get the alerts of your choice and are rotated \
         by the daemon. The keys of a section are in a table of docs/reference/configuration.md.",
    ),
    key(
        "alerts.queue_bytes",
        "65536 to 1073741824",
        "Bytes of alerts that each output may hold in memory while it is slow or failing. What does \
         not fit waits in the alert log; without one it is counted as lost.",
    ),
    key(
        "alerts.syslog.address",
        "host with port",
        "A syslog server that gets every alert as a message of RFC 5424.",
    ),
    key(
        "alerts.syslog.protocol",
        "`udp`, `tcp`, `tls`",
        "How messages travel. Over TCP they have their length in front (octet counting), and \
         wait while the server is away; over TLS (RFC 5425) the same, and the server has to prove \
         that it is the host of `address`. Datagrams may be lost, and long alerts do not fit one.",
    ),
    key(
        "alerts.syslog.facility",
        "`kern`, `user`, `daemon`, `auth`, `authpriv`, `audit`, `local0` to `local7`, …",
        "The facility of the messages; their severity is the rule's priority.",
    ),
    key(
        "alerts.syslog.format",
        "`json`, `structured`, `ecs`, `ocsf`, `cef`",
        "Whether the text of a message is the alert as Falco's JSON, its text line with the fields \
         as structured data, or the alert in another shape (docs/reference/formats.md).",
    ),
    key(
        "alerts.syslog.timeout_ms",
        "100 to 600000",
        "For `tcp` and `tls`: how long connecting may take, over all addresses, and after how long \
         a server that acknowledges nothing is given up, in ms.",
    ),
    key(
        "alerts.syslog.tls_ca",
        "path, `credential:NAME`",
        "For `tls`: PEM file of authorities, of which one must have signed the server's \
         certificate. Without it, those that the system trusts.",
    ),
    key(
        "alerts.syslog.tls_certificate",
        "path, `credential:NAME`",
        "PEM file of our own certificate and those between it and its authority, for servers that \
         ask for one.",
    ),
    key(
        "alerts.syslog.tls_key",
        "path, `credential:NAME`",
        "PEM file of the key for it.",
    ),
    key(
        "alerts.syslog.priority",
        "`emergency` to `debug`",
        "Less severe alerts are not sent there.",
    ),
    key(
        "alerts.syslog.tags",
        "list of texts",
        "Only alerts with one of these tags are sent there, and those of the daemon itself. Empty: \
         all.",
    ),
    key(
        "alerts.syslog.rules",
        "list of texts",
        "Only alerts of these rules are sent there, and those of the daemon itself; `*` stands for \
         anything. Empty: all.",
    ),
    key(
        "alerts.syslog.newest_first",
        "`emergency` to `debug`, `off`",
        "When more than 256 alerts wait for this server, as after an outage: those at least this \
         severe go first, the newest of them in front, and then the rest in order. Needs the alert \
         log.",
    ),
    key(
        "alerts.syslog.servers",
        "names with sections",
        "More syslog servers, each under a name of your choice, with the keys above, such as \
         `address`.",
    ),
    key(
        "alerts.http",
        "names with sections",
        "Servers that get alerts by HTTP, each under a name of your choice, by which metrics and \
         the alert log know it. The keys of a section are in the second table of \
         docs/reference/configuration.md.",
    ),
    key(
        "alerts.nats",
        "names with sections",
        "Streams of NATS JetStream that get alerts, in the same way.",
    ),
    key(
        "alerts.kafka",
        "names with sections",
        "Topics of Kafka that get alerts, in the same way.",
    ),
    key(
        "json.include_output_property",
        "`true`, `false`",
        "Whether JSON alerts have `output`: the text with time and priority.",
    ),
    key(
        "json.include_output_fields_property",
        "`true`, `false`",
        "Whether they have `output_fields`: the fields of the output with typed values.",
    ),
    key(
        "json.include_tags_property",
        "`true`, `false`",
        "Whether they have `tags`: those of the rule, sorted.",
    ),
    key(
        "json.include_message_property",
        "`true`, `false`",
        "Whether they have `message`: the text without time and priority.",
    ),
    key(
        "json.include_id_property",
        "`true`, `false`",
        "Whether they have `uuid`, which stays the same when an alert is sent twice, and `sequence`, \
         the number on this host, in which a hole is an alert that is missing, unless the output \
         has `priority`, `tags` or `rules` that leave it out.",
    ),
    key(
        "time_format_iso_8601",
        "`true`, `false`",
        "Whether the time in front of an alert's text is UTC with its date, not the local time of \
         day.",
    ),
    key(
        "hostname",
        "text",
        "Name of this host in alerts; without it the kernel's node name.",
    ),
    key(
        "metrics.listen",
        "address with port, `off`",
        "Where Prometheus finds `/metrics`.",
    ),
    key(
        "metrics.allow_remote",
        "`true`, `false`",
        "Whether that address may be one that other hosts can reach.",
    ),
    key("docker.socket", "path", "Socket of the Docker API."),
    key(
        "docker.metadata_wait_ms",
        "0 to 10000",
        "How long, in ms, an event waits for the name and image of its container.",
    ),
    key(
        "rings.lifecycle_bytes",
        "power of two, 65536 to 1073741824",
        "Size of the kernel's buffer for processes and cgroups.",
    ),
    key(
        "rings.control_bytes",
        "power of two, 65536 to 1073741824",
        "Size of the kernel's buffer for ids, namespaces, modules, execs that fail and rare calls.",
    ),
    key(
        "rings.bulk_bytes",
        "power of two, 65536 to 1073741824",
        "Size of the kernel's buffer for files, sockets and other calls.",
    ),
    key(
        "accept_blind",
        "`true`, `false`",
        "Whether the daemon starts although a rule needs a kind of event that nothing on this \
         kernel provides.",
    ),
    key(
        "state_file",
        "path, `off`",
        "Where the daemon keeps when it was last alive, so that the next start can tell for how \
         long nothing was watched. Without it, `state.json` in the folder that systemd's \
         `StateDirectory=` gives, else in `/var/lib/monitor`.",
    ),
    key(
        "protect",
        "`true`, `false`",
        "Whether the kernel refuses signals to the daemon, tracing it, and descriptors of its maps, \
         programs and links, to all but itself and the host's first process (systemd). Each \
         refusal is an alert. Root can still end it by its cgroup (`cgroup.kill`, `cgroup.freeze`), \
         by its limits and by the machine; the next start tells of the gap. Needs `bpf` among the \
         security modules (`doctor` tells); without, the daemon says so and goes on.",
    ),
    key(
        "reload_on_change",
        "`true`, `false`",
        "Whether rules are loaded anew when one of their files changes, or the configuration. Of the \
         configuration, a reload takes what decides about rules: `policies`, `rule_matching`, \
         `priority`, `rules`, `append_suggested_output`, `append_output`, `static_fields`, \
         `accept_blind`, `kernel_filter` and `limits`; the rest takes effect at the next start.",
    ),
    key(
        "kernel_filter",
        "`true`, `false`",
        "Whether the kernel leaves out events that no rule can match (`explain --kernel` tells \
         which). For finding out whether an alert is missing because of it: without, all are \
         recorded, at several times the cost, with the same alerts.",
    ),
    key(
        "control.socket",
        "absolute path, `off`",
        "Where `monitor-daemon reload` reaches the daemon; only root and the user that it runs as can.",
    ),
    key(
        "limits.file_bytes",
        "1024 to 1073741824",
        "Bytes of a rules file. What goes over a limit does not load, with an error that names it.",
    ),
    key(
        "limits.yaml_nodes",
        "100 to 100000000",
        "Nodes of a YAML document, those behind aliases counted each time; 16 bytes of text count \
         as one more.",
    ),
    key(
        "limits.yaml_depth",
        "8 to 200",
        "Nesting of a YAML document.",
    ),
    key(
        "limits.items",
        "1 to 1000000",
        "Rules, macros and lists of all files together.",
    ),
    key(
        "limits.list_items",
        "1 to 10000000",
        "Items of a list with those of the lists in it; all lists together may have ten times as \
         many.",
    ),
    key(
        "limits.condition_bytes",
        "1024 to 1073741824",
        "Bytes of a condition with its lists and exceptions put in.",
    ),
    key(
        "limits.total_condition_bytes",
        "1024 to 1073741824",
        "The same of all conditions and macros together.",
    ),
    key(
        "limits.regexes",
        "1 to 100000",
        "Different regular expressions of all rules; each may take 512 KiB of memory.",
    ),
    key(
        "limits.nesting",
        "1 to 1000",
        "Nesting of parentheses in a condition.",
    ),
    key(
        "limits.transformers",
        "1 to 32",
        "Nesting of transformers in a condition.",
    ),
    key(
        "limits.macro_chain",
        "1 to 1000",
        "Macros of which each uses the next.",
    ),
    key(
        "limits.height",
        "1 to 1000",
        "Nesting of a condition with its macros.",
    ),
    key(
        "limits.diagnostics",
        "1 to 100000",
        "Errors of a rules file that are told, and as many warnings.",
    ),
];
