//! What the benchmarks measure: policies of three sizes, and events like those of the daemon.
//!
//! Upstream's rule files lie beside the checkout and are not part of the project; without them
//! there is nothing to measure.

pub(crate) mod sample;

use std::path::PathBuf;

use monitor_policy::{FlatEvent, Loaded, Options, Policy, RulesFile, load};
use sample::Sample;
use serde_json::{Value as Json, json};

/// Upstream's rule files.
pub(crate) struct Upstream {
    stable: String,
    incubating: String,
    sandbox: String,
}

impl Upstream {
    /// Reads them from beside the checkout; an error names the file that is not there.
    pub(crate) fn read() -> Result<Self, String> {
        let read = |name: &str| {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../shared/falco/rules")
                .join(name);
            std::fs::read_to_string(&path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        Ok(Self {
            stable: read("falco_rules.yaml")?,
            incubating: read("falco-incubating_rules.yaml")?,
            sandbox: read("falco-sandbox_rules.yaml")?,
        })
    }

    /// Loads so many rules: the stable file, all three, or all three and generated ones.
    pub(crate) fn load(&self, size: usize) -> Loaded {
        let generated = generated(size.saturating_sub(93));
        let all = [
            ("stable", &*self.stable),
            ("incubating", &self.incubating),
            ("sandbox", &self.sandbox),
            ("generated", &generated),
        ];
        let files = match size {
            25 => 1,
            93 => 3,
            _ => 4,
        };
        let files: Vec<_> = all
            .iter()
            .take(files)
            .map(|(name, text)| RulesFile { name, text })
            .collect();
        load(&files, &Options::default())
    }

    /// The policy of so many rules.
    pub(crate) fn policy(&self, size: usize) -> Policy {
        let policy = self.load(size).policy.expect("the rules load");
        assert_eq!(policy.rules().len(), size);
        policy
    }
}

/// Rules as people add them to upstream's: the same shapes, each about something else.
pub(crate) fn generated(count: usize) -> String {
    (0..count).map(rule).collect()
}

fn rule(n: usize) -> String {
    let condition = match n % 8 {
        0 => format!(
            "open_write and fd.name startswith /srv/site{n}/conf and not proc.name in (deploy{n}, rsync)"
        ),
        1 => format!("open_read and fd.name in (/var/lib/app{n}/key, /var/lib/app{n}/cert)"),
        2 => format!(
            "spawned_process and container and proc.name in (tool{n}, helper{n}) and not proc.pname = init{n}"
        ),
        3 => format!("spawned_process and proc.cmdline contains \"--token{n}=\" and proc.tty != 0"),
        4 => format!(
            "evt.type in (connect, sendto) and fd.typechar = 4 and fd.sport = {} and container",
            10_000 + n
        ),
        5 => format!("open_write and fd.name endswith .secret{n} and container"),
        6 => format!(
            "spawned_process and proc.pname = service{n} and proc.name in (sh, bash, dash) and user.name != root"
        ),
        _ => format!(
            "evt.type in (rename, renameat, unlink, unlinkat) and proc.exepath startswith /opt/vendor{n}/"
        ),
    };
    format!(
        "- rule: Generated {n}\n  desc: Generated\n  condition: {condition}\n  \
         output: Generated (file=%fd.name command=%proc.cmdline)\n  priority: NOTICE\n"
    )
}

/// An open, a `matching open` or an exec, with all that the daemon knows of such an event.
pub(crate) fn event(name: &str, policy: &Policy) -> Sample {
    let mut object = base();
    let more = match name {
        "open" => open(
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "/usr/lib/x86_64-linux-gnu",
            "libc.so.6",
        ),
        "matching open" => open("/etc/shadow", "/etc", "shadow"),
        _ => json!({ "evt.type": "execve", "evt.rawres": 0, "evt.res": "SUCCESS" }),
    };
    for (key, value) in more.as_object().expect("an object") {
        object.insert(key.clone(), value.clone());
    }
    Sample::of(&FlatEvent::from_json(&object).expect("an event"), policy)
}

fn open(path: &str, directory: &str, name: &str) -> Json {
    json!({
        "evt.type": "openat", "evt.rawres": 3, "evt.res": "SUCCESS",
        "evt.is_open_read": true, "evt.is_open_write": false, "evt.is_open_exec": false,
        "evt.arg.flags": "O_RDONLY|O_CLOEXEC", "evt.arg.name": path, "evt.arg.filename": path,
        "fd.num": 3, "fd.typechar": "f", "fd.type": "file", "fd.name": path, "fd.nameraw": path,
        "fd.directory": directory, "fd.filename": name,
    })
}

/// A program of a container.
fn base() -> serde_json::Map<String, Json> {
    let process = json!({
        "evt.num": 4711, "proc.name": "worker", "proc.pname": "supervisor", "proc.exe": "/app/bin/worker",
        "proc.exepath": "/app/bin/worker", "proc.pexe": "/app/bin/supervisor",
        "proc.pexepath": "/app/bin/supervisor", "proc.args": "--config /app/etc/worker.toml -v",
        "proc.cmdline": "worker --config /app/etc/worker.toml -v",
        "proc.pcmdline": "supervisor --workers 4", "proc.cwd": "/app/", "proc.tty": 0,
        "proc.env": "PATH=/usr/bin:/bin HOME=/app LANG=C.UTF-8", "proc.vpid": 7, "proc.pid": 4242,
        "proc.ppid": 4200, "proc.duration": 1_000_000_000_u64, "proc.is_exe_upper_layer": false,
        "proc.is_exe_from_memfd": false, "proc.is_vpgid_leader": false,
        "proc.aname": ["supervisor", "tini", "containerd-shim", "systemd"],
        "proc.aexe": ["/app/bin/supervisor", "/sbin/tini", "/usr/bin/containerd-shim-runc-v2", "/sbin/init"],
    });
    let rest = json!({
        "user.name": "app", "user.uid": 1000, "user.loginuid": -1,
        "thread.cap_effective": "", "thread.cap_permitted": "",
        "container.id": "3ad7b26ded6d", "container.name": "web-1", "container.privileged": false,
        "container.image.repository": "registry.example.org/team/web",
        "container.image.tag": "1.4", "k8s.ns.name": "shop", "k8s.pod.name": "web-7d4b9c",
    });
    let mut all = serde_json::Map::new();
    for part in [process, rest] {
        all.extend(part.as_object().expect("an object").clone());
    }
    all
}
