//! What a rule's tags say of MITRE ATT&CK: tactics as Falco's rules name them
//! (`mitre_credential_access`) or by their ids (`TA0006`), and techniques by theirs (`T1003`,
//! `T1003.008`). Tags are sorted, so which of several tactics a technique is of is not known.

use crate::output::Alert;

pub(super) const FRAMEWORK: &str = "MITRE ATT&CK";

/// Tactics of the matrix for enterprises: tag, id and name.
const TACTICS: [(&str, Tactic); 14] = [
    ("mitre_reconnaissance", ("TA0043", "Reconnaissance")),
    (
        "mitre_resource_development",
        ("TA0042", "Resource Development"),
    ),
    ("mitre_initial_access", ("TA0001", "Initial Access")),
    ("mitre_execution", ("TA0002", "Execution")),
    ("mitre_persistence", ("TA0003", "Persistence")),
    (
        "mitre_privilege_escalation",
        ("TA0004", "Privilege Escalation"),
    ),
    ("mitre_defense_evasion", ("TA0005", "Defense Evasion")),
    ("mitre_credential_access", ("TA0006", "Credential Access")),
    ("mitre_discovery", ("TA0007", "Discovery")),
    ("mitre_lateral_movement", ("TA0008", "Lateral Movement")),
    ("mitre_collection", ("TA0009", "Collection")),
    (
        "mitre_command_and_control",
        ("TA0011", "Command and Control"),
    ),
    ("mitre_exfiltration", ("TA0010", "Exfiltration")),
    ("mitre_impact", ("TA0040", "Impact")),
];

/// Id and name.
pub(super) type Tactic = (&'static str, &'static str);

/// The tactics, each once.
pub(super) fn tactics(alert: &Alert) -> Vec<Tactic> {
    let has = |tag: &str| alert.tags.iter().any(|other| other == tag);
    let told = TACTICS.iter().filter(|(tag, (id, _))| has(tag) || has(id));
    told.map(|(_, tactic)| *tactic).collect()
}

/// The techniques, each with its number below another (`T1003.008` of `T1003`) if it has one.
pub(super) fn techniques(alert: &Alert) -> impl Iterator<Item = (&str, Option<&str>)> {
    alert.tags.iter().filter_map(|tag| {
        let (technique, below) = match tag.split_once('.') {
            Some((technique, below)) => (technique, Some(below)),
            None => (tag.as_str(), None),
        };
        let digits = |text: &str, count| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_one =
            digits(technique.strip_prefix('T')?, 4) && below.is_none_or(|below| digits(below, 3));
        is_one.then_some((technique, below.map(|_| tag.as_str())))
    })
}
