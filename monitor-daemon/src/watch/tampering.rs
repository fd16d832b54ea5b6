//! The alert about somebody who laid hands on the daemon.
//!
//! It is no rule's, so no rules file can turn it off; it looks like one, so that whatever handles
//! alerts handles it.

use std::sync::Arc;

use monitor_policy::Priority;
use serde_json::{Value, json};

use super::guard::Suspect;
use crate::output::{Alert, INTERNAL, OWN_TAG};

/// Its rule.
pub(crate) const RULE: &str = "Monitor tampered with";

/// What happened, who may have done it, when (ns since the epoch) and where.
pub(super) struct Tampering<'a> {
    pub(super) what: &'a str,
    pub(super) suspect: Option<&'a Suspect>,
    /// Id of the suspect's container.
    pub(super) container: Option<&'a str>,
    pub(super) time: u64,
    pub(super) hostname: &'a Arc<str>,
}

impl Tampering<'_> {
    pub(super) fn alert(&self) -> Alert {
        let process = self.suspect.map(|suspect| &suspect.process);
        let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
        let by = process.map_or(Value::Null, |process| text(process.name()));
        let line = process.map_or(Value::Null, |process| text(process.command_line()));
        let pid = process.map_or(Value::Null, |process| json!(process.task.pid));
        let shown = |value: &Value| match value {
            Value::Null => "<NA>".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let container = self.container.map_or(Value::Null, Value::from);
        let output = format!(
            "{RULE}: {} | process={} pid={} command={} container_id={}",
            self.what,
            shown(&by),
            shown(&pid),
            shown(&line),
            shown(&container)
        );
        let exe = process.map_or(Value::Null, |process| text(&process.image.exe));
        let user = process.map_or(Value::Null, |process| json!(process.task.uid));
        let fields = [
            ("monitor.tampering", Value::from(self.what)),
            ("proc.name", by),
            ("proc.pid", pid),
            ("proc.cmdline", line),
            ("proc.exepath", exe),
            ("user.uid", user),
            ("container.id", container),
        ];
        Alert {
            rule: RULE.into(),
            priority: Priority::Critical,
            source: INTERNAL.into(),
            tags: ["T1562.001", "mitre_defense_evasion", OWN_TAG]
                .map(str::to_owned)
                .into(),
            time: self.time,
            hostname: Arc::clone(self.hostname),
            output,
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::Task;

    use super::*;
    use crate::process::{Image, Process};

    fn alert(suspect: Option<&Suspect>, container: Option<&str>) -> Alert {
        let tampering = Tampering {
            what: "link 9 was changed",
            suspect,
            container,
            time: 5,
            hostname: &"host".into(),
        };
        tampering.alert()
    }

    #[test]
    fn the_alert_says_what_and_who() {
        let task = Task {
            pid: 42,
            uid: 7,
            comm: *b"bpftool\0\0\0\0\0\0\0\0\0",
            ..Task::default()
        };
        let image = Image {
            exe: (*b"/usr/sbin/bpftool").into(),
            args: (*b"bpftool\0link\0detach\0").into(),
            ..Image::default()
        };
        let process = Arc::new(Process::new(task, Arc::new(image), b"/"[..].into(), None));
        let suspect = Suspect { process, time: 5 };
        let known = alert(Some(&suspect), Some("0123456789ab"));
        assert_eq!(
            known.output,
            "Monitor tampered with: link 9 was changed | process=bpftool pid=42 command=bpftool \
             link detach container_id=0123456789ab"
        );
        assert_eq!(
            known.field("proc.exepath"),
            Some(&json!("/usr/sbin/bpftool"))
        );
        assert_eq!(known.field("user.uid"), Some(&json!(7)));
        let unknown = alert(None, None);
        assert!(
            unknown
                .output
                .ends_with("process=<NA> pid=<NA> command=<NA> container_id=<NA>")
        );
        assert_eq!(unknown.field("proc.name"), Some(&Value::Null));
        assert_eq!(unknown.priority, Priority::Critical);
    }
}
