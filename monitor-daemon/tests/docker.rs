//! Docker's client and the container index against a real Docker daemon, which each test starts
//! for itself. Needs root and dockerd; skips with the reason printed, or fails when `CI=true`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use monitor_daemon::container::docker::{Requests, Settings, client};
use monitor_daemon::container::index::{Index, Lookup};
use monitor_daemon::container::{Metadata, State, Update, scan};
use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for anything: everything here takes a second or two.
const PATIENCE: Duration = Duration::from_mins(1);
const RUN_WEB: [&str; 6] = ["run", "--detach", "--network", "none", "--name", "web"];

/// A Docker daemon of our own, without network and with everything below one directory.
struct Dockerd {
    directory: tempfile::TempDir,
    child: Child,
}

impl Dockerd {
    /// `None` (after saying why) where it cannot run.
    fn start() -> Option<Self> {
        let missing = ["/usr/sbin/dockerd", "/usr/bin/docker", "/bin/busybox"]
            .into_iter()
            .find(|path| !Path::new(path).exists());
        let reason = match missing {
            Some(path) => format!("`{path}` is not installed"),
            None if !rustix::process::geteuid().is_root() => "not root".to_owned(),
            None => {
                let directory = tempfile::tempdir().unwrap();
                let child = spawn(directory.path());
                let dockerd = Self { directory, child };
                dockerd.wait_until_up();
                dockerd.import_image();
                return Some(dockerd);
            }
        };
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
        println!("SKIP: {reason}");
        None
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()));
        command
    }

    /// Runs `docker ARGS` and returns what it prints.
    fn docker(&self, args: &[&str]) -> String {
        let output = self.command().args(args).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {args:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn wait_until_up(&self) {
        let start = Instant::now();
        let up = || {
            let mut ping = self.command();
            ping.arg("version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            ping.status().unwrap().success()
        };
        while !up() {
            let log = self.directory.path().join("log");
            let log = || std::fs::read_to_string(&log).unwrap();
            assert!(
                start.elapsed() < PATIENCE,
                "dockerd does not come up: {}",
                log()
            );
            std::thread::yield_now();
        }
    }

    /// `busybox:1`: one static program, with a port and a volume declared.
    fn import_image(&self) {
        let root = self.directory.path().join("image");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", root.join("bin/sleep")).unwrap();
        let archive = self.directory.path().join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".");
        assert!(tar.status().unwrap().success());
        let archive = archive.to_str().unwrap();
        let changes = ["--change", "EXPOSE 80", "--change", "VOLUME /data"];
        self.docker(&[&["import"], &changes[..], &[archive, "busybox:1"]].concat());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = spawn(self.directory.path());
        self.wait_until_up();
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let list = self
            .command()
            .args(["ps", "--all", "--quiet"])
            .output()
            .unwrap();
        let ids = String::from_utf8(list.stdout).unwrap();
        let mut remove = self.command();
        remove
            .args(["rm", "--force", "--volumes"])
            .args(ids.split_whitespace());
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
        self.stop();
    }
}

fn spawn(directory: &Path) -> Child {
    let below = |name: &str| directory.join(name).display().to_string();
    let log = std::fs::File::create(directory.join("log")).unwrap();
    Command::new("/usr/sbin/dockerd")
        .args(["--data-root", &below("data"), "--exec-root", &below("exec")])
        .args([
            "--pidfile",
            &below("pid"),
            "--host",
            &format!("unix://{}", below("docker.sock")),
        ])
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The client in a thread of its own, and what it tells.
struct Client {
    requests: Requests,
    updates: Receiver<Update>,
}

impl Client {
    fn start(socket: PathBuf) -> Self {
        let settings = Settings {
            timeout: Duration::from_secs(2),
            socket,
        };
        let (sender, mut received) = tokio::sync::mpsc::channel(16);
        let (requests, task) = client(settings, sender);
        let (forward, updates) = channel();
        std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(async {
                let task = tokio::spawn(task);
                while let Some(update) = received.recv().await {
                    if forward.send(update).is_err() {
                        break;
                    }
                }
                drop(received);
                task.await.unwrap();
            });
        });
        Self { requests, updates }
    }

    fn next(&mut self) -> Update {
        self.updates.recv_timeout(PATIENCE).expect("no update came")
    }

    /// The first update that `wanted` takes; those before it are passed over.
    fn until<T>(&mut self, wanted: impl Fn(&Update) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next()) {
                return found;
            }
        }
    }

    fn until_known(&mut self, wanted: impl Fn(&Metadata) -> bool) -> Arc<Metadata> {
        self.until(|update| match update {
            Update::Known(metadata) if wanted(metadata) => Some(Arc::clone(metadata)),
            _ => None,
        })
    }

    fn until_is(&mut self, wanted: &Update) {
        self.until(|update| (update == wanted).then_some(()));
    }
}

/// Makes a container with something of everything.
const CREATE_SHOP: &[&str] = &[
    "create",
    "--name",
    "shop",
    "--network",
    "none",
    "--label",
    "team=a b",
    "--privileged",
    "--user",
    "1000:1000",
    "--volume",
    "/tmp:/host:ro",
    "--pid",
    "host",
    "--memory",
    "64m",
    "--cap-add",
    "SYS_ADMIN",
    "busybox:1",
    "sleep",
    "1000",
];

/// What Docker must tell of it.
fn check_shop(made: &Metadata) {
    assert_eq!(
        (&*made.name, &*made.user, made.pid),
        ("shop", "1000:1000", None)
    );
    let image = (
        &*made.image.reference,
        &*made.image.repository,
        &*made.image.tag,
    );
    assert_eq!(image, ("busybox:1", "busybox", "1"));
    assert!(made.image.id.starts_with("sha256:"));
    assert_eq!(made.labels.get("team").map(String::as_str), Some("a b"));
    assert!(made.privileged && made.host_pid && !made.host_network);
    assert_eq!(
        (made.limits.memory, &made.cap_add[..]),
        (64 << 20, &["CAP_SYS_ADMIN".to_owned()][..])
    );
    let mount = made
        .mounts
        .iter()
        .find(|mount| mount.destination == "/host")
        .unwrap();
    assert_eq!((&*mount.source, mount.writable), ("/tmp", false));
}

#[test]
fn every_change_of_a_container_is_told() {
    let Some(dockerd) = Dockerd::start() else {
        return;
    };
    let before = dockerd.docker(&[&RUN_WEB[..], &["busybox:1", "sleep", "1000"]].concat());
    let mut client = Client::start(dockerd.socket());
    assert_eq!(client.next(), Update::Up);
    let told = client.until_known(|metadata| metadata.id == before);
    assert!(told.pid.is_some() && told.started.is_some());
    client.until_is(&Update::Synced);

    let id = dockerd.docker(CREATE_SHOP);
    let made = client.until_known(|metadata| metadata.id == id);
    check_shop(&made);
    dockerd.docker(&["start", "shop"]);
    client.until_known(|metadata| metadata.id == id && metadata.pid.is_some());
    dockerd.docker(&["rename", "shop", "store"]);
    client.until_known(|metadata| metadata.name == "store");
    dockerd.docker(&["update", "--memory", "32m", "store"]);
    client.until_known(|metadata| metadata.limits.memory == 32 << 20);
    dockerd.docker(&["rm", "--force", "store"]);
    client.until_is(&Update::Died(id.as_str().into()));
    client.until_is(&Update::Removed(id.as_str().into()));

    let stranger: Arc<str> = "ab".repeat(32).into();
    assert!(client.requests.ask(&stranger));
    client.until_is(&Update::NotFound(stranger));
    assert!(client.requests.ask(&before.as_str().into()));
    client.until_known(|metadata| metadata.id == before);
}

#[test]
fn a_docker_that_hangs_or_restarts_is_caught_up_with() {
    let Some(mut dockerd) = Dockerd::start() else {
        return;
    };
    let mut client = Client::start(dockerd.socket());
    client.until_is(&Update::Synced);
    let down = |update: &Update| matches!(update, Update::Down(_)).then_some(());

    dockerd.signal(Signal::STOP);
    client.until(down);
    dockerd.signal(Signal::CONT);
    client.until_is(&Update::Synced);

    dockerd.stop();
    client.until(down);
    dockerd.start_again();
    // Whether the client comes back before or after this, it tells of it.
    let id = dockerd.docker(&[&RUN_WEB[..], &["busybox:1", "sleep", "1000"]].concat());
    client.until_known(|metadata| metadata.id == id && metadata.pid.is_some());
}

#[test]
fn the_cgroup_of_a_container_leads_to_its_name() {
    let Some(dockerd) = Dockerd::start() else {
        return;
    };
    let (_, root) = scan::hierarchy().unwrap();
    let id = dockerd.docker(&[&RUN_WEB[..], &["busybox:1", "sleep", "1000"]].concat());
    let walk = scan::walk(&root).unwrap();
    // True on hybrid hosts as well: the container has a directory in the unified hierarchy.
    let cgroup = walk
        .cgroups
        .iter()
        .find(|cgroup| {
            cgroup
                .path
                .windows(id.len())
                .any(|part| part == id.as_bytes())
        })
        .expect("the container has no cgroup in the unified hierarchy");

    let mut index = Index::new(monitor_daemon::container::index::Settings::default());
    let found = walk.cgroups.iter().map(|cgroup| (cgroup.id, &*cgroup.path));
    index.scanned(found, 0, 0);
    let Lookup::Container(container) = index.lookup(cgroup.id) else {
        panic!("not a container")
    };
    assert_eq!(
        (&*container.id, &container.state),
        (id.as_str(), &State::Pending)
    );

    let mut client = Client::start(dockerd.socket());
    while index.pending() > 0 || index.stats().containers == 0 {
        index.apply(client.next(), 0);
        index.take_requests(|id| client.requests.ask(id));
    }
    let Lookup::Container(container) = index.lookup(cgroup.id) else {
        panic!("not a container")
    };
    let metadata = container.metadata().unwrap();
    assert_eq!(
        (&*metadata.name, &*metadata.image.repository),
        ("web", "busybox")
    );
    let host = walk.cgroups.iter().find(|cgroup| cgroup.path == b"/docker");
    assert!(host.is_none_or(|cgroup| index.lookup(cgroup.id) == Lookup::Host));

    let process = monitor_daemon::process::snapshot::Reader::new("/proc", Some(root))
        .read(metadata.pid.unwrap())
        .unwrap();
    assert_eq!((process.task.cgroup, process.task.vpid), (cgroup.id, 1));
    assert_eq!(process.args, b"sleep\x001000\0");
}
