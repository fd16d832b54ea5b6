//! Every key of a section of `alerts.nats`, as [`super::KEYS`] has the others.

use super::keys::{Key, NEWEST_FIRST, PRIORITY, RULES, TAGS, TLS_KEY, key};

/// Keys of an output, in the order in which they are shown.
pub(super) const NATS_KEYS: &[Key] = &[
    key(
        "servers",
        "list of `nats://` or `tls://` URLs",
        "Servers of one cluster, tried in this order. Has to be given. With `tls://` there is TLS \
         or no connection; with `nats://` there is if the server wants it, so somebody between can \
         keep it away. Without a port, 4222.",
    ),
    key(
        "subject",
        "text",
        "What alerts are published to. `{host}`, `{priority}`, `{rule}` and `{source}` stand for \
         the alert's, with `_` for every character but letters, digits, `-` and `_`.",
    ),
    key(
        "stream",
        "text",
        "Name of the stream: alerts that another one would take are not given to it.",
    ),
    key(
        "format",
        "`falco`, `text`, `ecs`, `ocsf`, `cef`, `otlp`",
        "The shape of alerts; docs/reference/formats.md has all of them.",
    ),
    key(
        "in_flight",
        "1 to 256",
        "How many alerts are published before the first is acknowledged.",
    ),
    key("user", "text", "Name of the user."),
    key(
        "password",
        "absolute path, `credential:NAME`",
        "Where the password for it is: a file, or a systemd credential (`LoadCredential=`). Read \
         for every connection, as are the others.",
    ),
    key(
        "token",
        "absolute path, `credential:NAME`",
        "Where the token is, where servers want one.",
    ),
    key(
        "nkey",
        "absolute path, `credential:NAME`",
        "Where the seed of the user's nkey is.",
    ),
    key(
        "credentials",
        "absolute path, `credential:NAME`",
        "Where the user's JWT and seed are, as `nsc generate creds` writes them.",
    ),
    key(
        "timeout_ms",
        "100 to 600000",
        "How long connecting to a server may take, over all its addresses, how long it may take to \
         greet us, and how long is waited for acknowledgements, in ms.",
    ),
    key(
        "tls_ca",
        "path, `credential:NAME`",
        "PEM file of authorities, of which one must have signed the server's certificate. Without \
         it, those that the system trusts.",
    ),
    key(
        "tls_certificate",
        "path, `credential:NAME`",
        "PEM file of our own certificate and those between it and its authority, for servers that \
         ask for one.",
    ),
    TLS_KEY,
    PRIORITY,
    TAGS,
    RULES,
    NEWEST_FIRST,
];
