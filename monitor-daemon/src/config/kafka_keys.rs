//! Every key of a section of `alerts.kafka`, as [`super::KEYS`] has the others.

use super::keys::{Key, NEWEST_FIRST, PRIORITY, RULES, TAGS, TLS_KEY, key};

/// Keys of an output, in the order in which they are shown.
pub(super) const KAFKA_KEYS: &[Key] = &[
    key(
        "brokers",
        "list of hosts with ports",
        "Brokers that are asked for the others, in this order. Has to be given.",
    ),
    key("topic", "text", "The topic. Has to be given."),
    key(
        "key",
        "`host`, `container`",
        "The key of a message, by which its partition is chosen: the host's name, or the id of the \
         container, and for alerts without one the host's name.",
    ),
    key(
        "format",
        "`falco`, `text`, `ecs`, `ocsf`, `cef`, `otlp`",
        "The shape of alerts; docs/reference/formats.md has all of them.",
    ),
    key(
        "batch_bytes",
        "1024 to 104857600",
        "Bytes that are sent at once; 256 alerts at most. A longer alert goes alone. Brokers take 1 \
         MiB in one batch unless they are told otherwise (`message.max.bytes`).",
    ),
    key(
        "tls",
        "`true`, `false`",
        "Whether brokers are spoken to by TLS.",
    ),
    key(
        "mechanism",
        "`plain`, `scram-sha-256`, `scram-sha-512`",
        "How the password is proved to brokers (SASL). With `plain` it is sent: use `tls` then.",
    ),
    key(
        "user",
        "text",
        "Name of the user. Without, there is no SASL.",
    ),
    key(
        "password",
        "absolute path, `credential:NAME`",
        "Where the password for it is: a file, or a systemd credential (`LoadCredential=`). Read \
         for every connection.",
    ),
    key(
        "timeout_ms",
        "100 to 600000",
        "How long connecting to a broker, over all its addresses, and each answer may take, in ms.",
    ),
    key(
        "tls_ca",
        "path, `credential:NAME`",
        "PEM file of authorities, of which one must have signed the brokers' certificates. Without \
         it, those that the system trusts.",
    ),
    key(
        "tls_certificate",
        "path, `credential:NAME`",
        "PEM file of our own certificate and those between it and its authority, for brokers that \
         ask for one.",
    ),
    TLS_KEY,
    PRIORITY,
    TAGS,
    RULES,
    NEWEST_FIRST,
];
