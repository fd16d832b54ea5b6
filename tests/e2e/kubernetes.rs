//! The Kubernetes manifests: what they grant, and that it suffices, with the same as options of
//! docker.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::docker::{Dockerd, MODERN_RUNTIME};
use monitor_tests::tree::Tree;
use monitor_tests::{daemon, docker, paths, skip_if, wait};
use serde::Deserialize as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::sandbox::{Sandbox, dockerd, is_in};
use crate::world::PATIENCE;

const IMAGE: &str = "monitor-daemon:test";
/// Beside what the manifest configures: other cases' daemons may have the port.
const ADDITION: &str = "metrics: {listen: off}\n";
const RULES: &str = "
- rule: needle
  desc: an open in a container
  condition: evt.type in (open, openat, openat2) and fd.name = /tmp/e2e-needle
  output: opened %fd.name user=%user.name name=%container.name
  priority: NOTICE
";

#[test]
fn the_daemon_set_may_little_and_sees_containers() -> Result<()> {
    let manifests = Manifests::read()?;
    manifests.grant_little()?;
    manifests.fit_together()?;
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    let docker = dockerd()?;
    import(&docker)?;
    let places = TempDir::with_prefix("kubernetes-")?;
    let mut options = manifests.options(places.path(), &docker)?;
    options.extend(
        [
            "--name",
            "e2e-daemon-set",
            "--entrypoint",
            "/usr/bin/monitor-daemon",
        ]
        .map(Into::into),
    );
    let arguments = manifests.container()?["args"]
        .as_array()
        .context("no arguments")?;
    let arguments = arguments.iter().filter_map(Value::as_str);
    let command: Vec<&str> = ["run", "--detach"]
        .into_iter()
        .chain(options.iter().map(String::as_str))
        .chain([IMAGE])
        .chain(arguments)
        .collect();
    docker.text(&command)?;
    let logs = || {
        let output = docker.cli(&["logs", "e2e-daemon-set"])?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        anyhow::Ok((text(&output.stdout), text(&output.stderr)))
    };
    let ready = wait::until("the line `ready`", PATIENCE, || {
        Ok(logs()?.1.lines().any(|line| line == "ready").then_some(()))
    });
    ready.with_context(|| format!("{:?}", logs()))?;

    sees_a_container(&docker, &logs)?;
    docker.text(&[
        "exec",
        "e2e-daemon-set",
        "/usr/bin/monitor-daemon",
        "reload",
    ])?;
    docker.text(&["stop", "--time", "15", "e2e-daemon-set"])?;
    let status = docker.text(&[
        "inspect",
        "--format",
        "{{.State.ExitCode}}",
        "e2e-daemon-set",
    ])?;
    ensure!(status == "0", "{:?}", logs()?);
    ensure!(places.path().join("var/lib/monitor/alerts.db").exists());
    Ok(())
}

/// The image: the program and the shipped policies.
fn import(docker: &Dockerd) -> Result<()> {
    let tree = Tree::empty()?;
    tree.program("usr/bin/monitor-daemon", &paths::daemon()?)?;
    tree.folder("usr/share/monitor-daemon")?;
    for file in fs::read_dir(paths::root().join("policies"))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if file.file_type()?.is_file() && !name.contains(".test.") {
            tree.file(
                &format!("usr/share/monitor-daemon/policies/{name}"),
                fs::read(file.path())?,
            )?;
        }
    }
    docker.import_image(IMAGE, &tree).map(drop)
}

fn sees_a_container(docker: &Dockerd, logs: &dyn Fn() -> Result<(String, String)>) -> Result<()> {
    let sandbox = Sandbox::start(docker, "e2e-watched", &[])?;
    sandbox.sh("echo >/tmp/e2e-needle")?;
    let alert = wait::until("the alert", PATIENCE, || {
        let (alerts, _) = logs()?;
        let mut alerts = alerts
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(alerts.find(|alert: &Value| alert["rule"] == "needle"))
    });
    let alert = alert.with_context(|| format!("{:?}", logs()))?;
    is_in(&alert, "e2e-watched", &sandbox.id);
    let (_, log) = logs()?;
    for complaint in ["ERROR", "confined", "capabilities", "helper"] {
        ensure!(!log.contains(complaint), "{log}");
    }
    Ok(())
}

/// All documents of `packaging/kubernetes`.
struct Manifests(Vec<Value>);

impl Manifests {
    fn read() -> Result<Self> {
        let folder = paths::root().join("packaging/kubernetes");
        let text = fs::read_to_string(folder.join("kustomization.yaml"))?;
        let kustomization: Value = serde_yaml::from_str(&text)?;
        let mut all = Vec::new();
        for name in kustomization["resources"]
            .as_array()
            .context("no resources")?
        {
            let text = fs::read_to_string(folder.join(name.as_str().unwrap_or_default()))?;
            for document in serde_yaml::Deserializer::from_str(&text) {
                all.push(Value::deserialize(document)?);
            }
        }
        Ok(Self(all))
    }

    fn of(&self, kind: &str, name: &str) -> Result<&Value> {
        let fits = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
        let found = self.0.iter().find(fits);
        found.with_context(|| format!("no {kind} `{name}`"))
    }

    fn pod(&self) -> Result<&Value> {
        Ok(&self.of("DaemonSet", "monitor-daemon")?["spec"]["template"]["spec"])
    }

    fn container(&self) -> Result<&Value> {
        Ok(&self.pod()?["containers"][0])
    }

    fn volume(&self, name: &Value) -> Result<&Value> {
        let volumes = self.pod()?["volumes"].as_array().context("no volumes")?;
        let found = volumes.iter().find(|volume| volume["name"] == *name);
        found.with_context(|| format!("no volume {name}"))
    }

    fn mounts(&self) -> Result<&Vec<Value>> {
        self.container()?["volumeMounts"]
            .as_array()
            .context("no mounts")
    }

    /// No more than the unit, and of the node's files one folder to write to.
    fn grant_little(&self) -> Result<()> {
        let context = &self.container()?["securityContext"];
        ensure!(context["privileged"] == false, "{context}");
        ensure!(context["allowPrivilegeEscalation"] == false, "{context}");
        ensure!(context["readOnlyRootFilesystem"] == true, "{context}");
        ensure!(context["capabilities"]["drop"][0] == "ALL", "{context}");
        ensure!(
            context["seccompProfile"]["type"] == "RuntimeDefault",
            "{context}"
        );
        let mut added = words(&context["capabilities"]["add"]);
        added.sort();
        let unit = paths::root().join("packaging/systemd/monitor-daemon.service");
        let unit = fs::read_to_string(unit)?;
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let line = line
            .context("the unit restricts no capabilities")?
            .replace("CAP_", "");
        let mut unit: Vec<&str> = line.split(' ').collect();
        unit.sort_unstable();
        ensure!(added == unit, "{added:?} here, {unit:?} in the unit");
        for mount in self.mounts()? {
            let of_node = self.volume(&mount["name"])?["hostPath"].is_object();
            let writable = mount["readOnly"] != true;
            ensure!(!of_node || !writable || mount["name"] == "state", "{mount}");
        }
        Ok(())
    }

    /// What names something names what is there.
    fn fit_together(&self) -> Result<()> {
        let set = self.of("DaemonSet", "monitor-daemon")?;
        let labels = &set["spec"]["selector"]["matchLabels"];
        ensure!(labels.is_object() && *labels == set["spec"]["template"]["metadata"]["labels"]);
        self.of(
            "ServiceAccount",
            self.pod()?["serviceAccountName"]
                .as_str()
                .unwrap_or_default(),
        )?;
        let namespace = self.of("Namespace", "monitor")?;
        for one in &self.0 {
            ensure!(
                one["kind"] == "Namespace"
                    || one["metadata"]["namespace"] == namespace["metadata"]["name"],
                "{one}"
            );
        }
        for mount in self.mounts()? {
            if let Some(name) = self.volume(&mount["name"])?["configMap"]["name"].as_str() {
                self.of("ConfigMap", name)?;
            }
        }
        let text = &self.of("ConfigMap", "monitor-config")?["data"]["monitor.yaml"];
        let config: Value = serde_yaml::from_str(text.as_str().context("no configuration")?)?;
        let mounted = |path: &Value, writable: bool| {
            let path = Path::new(path.as_str().unwrap_or_default());
            let mut mounts = self.mounts().into_iter().flatten();
            let below =
                |mount: &&Value| path.starts_with(mount["mountPath"].as_str().unwrap_or("-"));
            mounts.any(|mount| below(&mount) && (!writable || mount["readOnly"] != true))
        };
        ensure!(mounted(&config["alerts"]["log"]["path"], true), "{config}");
        ensure!(mounted(&config["state_file"], true), "{config}");
        ensure!(mounted(&config["docker"]["socket"], false), "{config}");
        ensure!(mounted(&config["policies"][1], false), "{config}");
        for probe in ["startupProbe", "readinessProbe"] {
            let asked = &self.container()?[probe]["httpGet"];
            let asked = format!(
                "{}:{}",
                asked["host"].as_str().unwrap_or_default(),
                asked["port"]
            );
            ensure!(config["metrics"]["listen"] == asked.as_str(), "{asked}");
        }
        Ok(())
    }

    /// The same as options of `docker run`, with what is written below `places`.
    fn options(&self, places: &Path, docker: &Dockerd) -> Result<Vec<String>> {
        // What containerd does on a host with cgroup v2 alone, and on others.
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let mut options: Vec<String> = vec![
            format!("--cgroupns={}", if unified { "private" } else { "host" }),
            format!("--runtime={MODERN_RUNTIME}"),
        ];
        let (pod, context) = (self.pod()?, &self.container()?["securityContext"]);
        if pod["hostPID"] == true {
            options.push("--pid=host".into());
        }
        if pod["hostNetwork"] == true {
            options.extend(["--network=host", "--uts=host"].map(Into::into));
        }
        options.extend(["--read-only", "--security-opt=no-new-privileges"].map(Into::into));
        options.push(format!(
            "--user={}:{}",
            context["runAsUser"], context["runAsGroup"]
        ));
        for (option, key) in [("--cap-drop", "drop"), ("--cap-add", "add")] {
            let names = words(&context["capabilities"][key]);
            // The runtime adds those that docker may not know.
            let names = names
                .iter()
                .filter(|name| !["BPF", "PERFMON"].contains(&name.as_str()));
            options.extend(names.map(|name| format!("{option}={name}")));
        }
        for mount in self.mounts()? {
            let target = mount["mountPath"].as_str().context("no path")?;
            let volume = self.volume(&mount["name"])?;
            let source = if volume["emptyDir"].is_object() {
                options.push(format!("--tmpfs={target}"));
                continue;
            } else if let Some(name) = volume["configMap"]["name"].as_str() {
                self.unfold(name, &places.join(name))?
            } else {
                match volume["hostPath"]["path"].as_str().context("no path")? {
                    "/run" => docker.socket().parent().context("no folder")?.to_owned(),
                    path if mount["readOnly"] == true => PathBuf::from(path),
                    path => places.join(path.trim_start_matches('/')),
                }
            };
            if !source.exists() {
                fs::create_dir_all(&source)?;
            }
            let mode = if mount["readOnly"] == true { ":ro" } else { "" };
            options.push(format!("--volume={}:{target}{mode}", source.display()));
        }
        Ok(options)
    }

    /// The files of a `ConfigMap`, with the case's own.
    fn unfold(&self, name: &str, folder: &Path) -> Result<PathBuf> {
        let data = &self.of("ConfigMap", name)?["data"];
        fs::create_dir_all(folder.join("conf.d"))?;
        for (file, text) in data.as_object().context("no data")? {
            fs::write(folder.join(file), text.as_str().unwrap_or_default())?;
        }
        fs::write(folder.join("conf.d/case.yaml"), ADDITION)?;
        if name == "monitor-rules" {
            fs::write(folder.join("case.yaml"), RULES)?;
        }
        Ok(folder.to_owned())
    }
}

fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
