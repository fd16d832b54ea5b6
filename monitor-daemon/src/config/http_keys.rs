//! Every key of a section of `alerts.http`, as [`super::KEYS`] has the others.

use super::keys::{Key, NEWEST_FIRST, PRIORITY, RULES, TAGS, TLS_KEY, key};

/// Keys of an output, in the order in which they are shown.
pub(super) const HTTP_KEYS: &[Key] = &[
    key(
        "url",
        "`http://` or `https://` URL",
        "Where requests (`POST`) go. Has to be given. Without a path, that of `api`: `/_bulk`, \
         `/services/collector/event`, `/loki/api/v1/push`, `/v1/logs`, and \
         that of the method. Redirections are not followed.",
    ),
    key(
        "api",
        "`post`, `elasticsearch`, `splunk`, `loki`, `otlp`, `otlp_grpc`",
        "What the server understands: alerts as they are; `_bulk` of Elasticsearch and OpenSearch; \
         Splunk's HTTP Event Collector; Loki's push; logs of OTLP by HTTP (as JSON) or by gRPC.",
    ),
    key(
        "index",
        "text",
        "For Elasticsearch the index or data stream, which has to be given; for Splunk the index, \
         without it the token's.",
    ),
    key("sourcetype", "text", "For Splunk; without it the token's."),
    key(
        "labels",
        "names with texts",
        "For Loki, besides `job` (`monitor-daemon`), `host`, `priority` and `source`.",
    ),
    key(
        "format",
        "`falco`, `text`, `ecs`, `ocsf`, `cef`, `otlp`",
        "The shape of alerts; docs/reference/formats.md has all of them. For Elasticsearch `ecs`, \
         if nothing else is said; for OTLP always `otlp`.",
    ),
    key(
        "body",
        "`single`, `array`, `ndjson`",
        "For `post`: whether a request holds one alert, up to 256 in a JSON array, or up to 256 as \
         lines.",
    ),
    key(
        "request_bytes",
        "1024 to 104857600",
        "Bytes that a request of several alerts may have. A longer alert goes alone.",
    ),
    key(
        "headers",
        "names with texts",
        "Headers of every request. Secrets do not belong here: see `token_header`.",
    ),
    key(
        "token",
        "absolute path, `credential:NAME`",
        "Where the token is that is sent as `Authorization`: a file, or a systemd credential \
         (`LoadCredential=`). Read for every request.",
    ),
    key(
        "token_scheme",
        "text",
        "What stands in front of the token, such as `ApiKey`. For Splunk `Splunk`, if nothing else \
         is said.",
    ),
    key(
        "token_header",
        "name of a header",
        "For servers that want the token in a header of its own, such as `X-Api-Key`: there it is sent \
         alone, without `token_scheme`.",
    ),
    key("user", "text", "User name of Basic authentication."),
    key(
        "password",
        "absolute path, `credential:NAME`",
        "Where the password for it is.",
    ),
    key(
        "timeout_ms",
        "100 to 600000",
        "How long a request with its answer may take, in ms. If the host has several addresses, each \
         is tried 0.25 s after the one before it, and the first that answers is taken.",
    ),
    key(
        "retry_hours",
        "1 to 8760",
        "For how long the same alerts are sent again to a server that answers each time that it \
         cannot take them for the time being.",
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
