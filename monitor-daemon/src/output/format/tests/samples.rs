//! Alerts between which every field of the tables has a value.

use monitor_policy::Priority;
use serde_json::{Value, json};

use crate::output::{Alert, sample};

type Fields = Vec<(&'static str, Value)>;

pub(super) fn samples() -> Vec<Alert> {
    let with = |fields: Fields, priority| Alert {
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        priority,
        ..sample()
    };
    let image = vec![("container.image.repository", json!("nginx"))];
    let mut all = vec![
        with(full(), Priority::Critical),
        with(connection("10.0.0.1", "192.0.2.7"), Priority::Debug),
        with(connection("fd00::1", "fd00::2"), Priority::Notice),
        with(ends(), Priority::Informational),
        with(halves(), Priority::Emergency),
        with(image, Priority::Alert),
        with(Vec::new(), Priority::Error),
    ];
    all.push(Alert {
        tags: ["T1003.008", "host", "mitre_credential_access"]
            .map(str::to_owned)
            .into(),
        ..sample()
    });
    for priority in Priority::ALL {
        all.push(Alert {
            priority,
            ..sample()
        });
    }
    all
}

fn full() -> Fields {
    vec![
        ("evt.type", json!("openat")),
        ("proc.pid", json!(77)),
        ("proc.name", json!("cat")),
        ("proc.exepath", json!("/usr/bin/cat")),
        ("proc.cmdline", json!("cat /etc/shadow a=b|c\\d\n")),
        ("proc.cwd", json!("/root/")),
        ("proc.pgid", json!(75)),
        ("proc.sid", json!(70)),
        ("proc.ppid", json!(76)),
        ("proc.pname", json!("bash")),
        ("proc.pexepath", json!("/usr/bin/bash")),
        ("proc.pcmdline", json!("bash -c x")),
        ("proc.vpid", json!(7)),
        ("proc.aname[2]", json!("sshd")),
        ("thread.tid", json!(78)),
        ("user.uid", json!(0)),
        ("user.name", json!("root")),
        ("group.gid", json!(0)),
        ("group.name", json!("root")),
        ("fd.name", json!("/etc/shadow")),
        ("fd.directory", json!("/etc")),
        ("fd.ino", json!(12345)),
        ("container.id", json!("3ad7b26ded6d")),
        ("container.full_id", json!("3ad7b26ded6d".repeat(5))),
        ("container.name", json!("web")),
        ("container.type", json!("docker")),
        ("container.image", json!("nginx:1")),
        ("container.image.id", json!("9b1a2c")),
        ("container.image.repository", json!("nginx")),
        ("container.image.tag", json!("1")),
        ("container.image.digest", json!("sha256:00")),
        ("container.privileged", json!(false)),
        ("k8s.ns.name", json!("shop")),
        ("k8s.pod.name", json!("web-0")),
        ("k8s.pod.uid", json!("0f5cbc5a-3a4e-4b6f-9a39-3f0f0c1fca9f")),
    ]
}

fn connection(client: &str, server: &str) -> Fields {
    vec![
        ("fd.name", json!(format!("{client}:4000->{server}:443"))),
        ("fd.cip", json!(client)),
        ("fd.cport", json!(4000)),
        ("fd.sip", json!(server)),
        ("fd.sport", json!(443)),
        ("fd.l4proto", json!("tcp")),
        ("container.id", json!("host")),
        ("container.name", json!("host")),
    ]
}

fn ends() -> Fields {
    vec![
        ("fd.lip", json!("10.0.0.1")),
        ("fd.lport", json!(4000)),
        ("fd.rip", json!("::1")),
        ("fd.rport", json!(443)),
        ("dns.question.name", json!("example.org")),
        ("dns.question.type", json!("A")),
        ("dns.rcode", json!("NOERROR")),
        ("dns.type", json!("answer")),
        ("fs.path.name", json!("/tmp/x/")),
        ("proc.name", json!("curl")),
        ("proc.pname", json!("sh")),
        ("container.id", json!("3ad7b26ded6d")),
        ("container.image.id", json!("9b1a2c")),
        ("k8s.pod.uid", json!("0123456789abcdef0123456789abcdef")),
    ]
}

/// Of what belongs together, one part.
fn halves() -> Fields {
    vec![
        ("container.name", json!("web")),
        ("container.image.tag", json!("1")),
        ("fd.sport", json!(443)),
        ("dns.question.type", json!("A")),
        ("proc.vpid", json!(1)),
    ]
}
