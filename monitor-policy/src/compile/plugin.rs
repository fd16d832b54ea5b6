//! Fields of Falco's plugins: which plugin owns a prefix, and which source its events have.
//!
//! Prefixes as in the registry of Falco's plugins; those written for them by mistake beside them.

const K8S_AUDIT: (&str, &str) = ("k8saudit", "k8s_audit");
const CLOUDTRAIL: (&str, &str) = ("cloudtrail", "aws_cloudtrail");

/// Prefix of fields, and the plugin with its event source (the same as its own name when empty).
const OWNERS: &[(&str, (&str, &str))] = &[
    ("ka", K8S_AUDIT),
    ("k8saudit", K8S_AUDIT),
    ("jevt", ("json", "")),
    ("json", ("json", "")),
    ("ct", CLOUDTRAIL),
    ("cloudtrail", CLOUDTRAIL),
    ("aws", CLOUDTRAIL),
    ("anomaly", ("anomalydetection", "syscall")),
    ("box", ("box", "")),
    ("docker", ("docker", "")),
    ("dummy", ("dummy", "")),
    ("gcp", ("gcpaudit", "gcp_auditlog")),
    ("github", ("github", "")),
    ("gitlab", ("gitlab", "")),
    ("k8smeta", ("k8smeta", "syscall")),
    ("keycloak", ("keycloak", "")),
    ("krsi", ("krsi", "syscall")),
    ("nomad", ("nomad", "")),
    ("okta", ("okta", "")),
    ("salesforce", ("salesforce", "")),
    ("seccomp", ("seccompagent", "")),
    ("syslogsrv", ("syslogsrv", "")),
];

/// What to do about a field of a plugin; `None` when no plugin is known to own it.
pub(crate) fn owner(name: &str) -> Option<String> {
    let (prefix, _) = name.split_once('.')?;
    let (_, (plugin, source)) = OWNERS.iter().find(|owner| owner.0 == prefix)?;
    let source = if source.is_empty() { plugin } else { source };
    let fields = format!("`{prefix}.` belongs to the plugin `{plugin}`");
    Some(if *source == "syscall" {
        format!(
            "{fields}, which this build does not have: `skip-if-unknown-filter: true` skips such rules"
        )
    } else {
        format!(
            "{fields}, whose events this build does not read: with `source: {source}` the rule is \
             skipped with a warning"
        )
    })
}
