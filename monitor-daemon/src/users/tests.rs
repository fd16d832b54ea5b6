//! The host's files as they change, and containers that try things.

use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use super::*;

fn name(accounts: &Accounts, uid: u32) -> Option<&str> {
    accounts.user(uid).map(|user| &*user.name)
}

#[test]
fn changes_on_the_host_are_seen_within_a_second() {
    let etc = tempfile::tempdir().unwrap();
    let passwd = etc.path().join("passwd");
    let mut users = Users::new(etc.path(), "/proc");
    assert_eq!(name(users.host(0), 7), None);
    let host = users.host(0);
    assert_eq!((name(host, 0), host.group(0)), (Some("root"), Some("root")));
    std::fs::write(&passwd, "seven:x:7:7::/home/seven:/bin/sh\n").unwrap();
    std::fs::write(etc.path().join("group"), "wheel:x:7:\n").unwrap();
    assert_eq!(name(users.host(INTERVAL - 1), 7), None);
    let host = users.host(INTERVAL);
    assert_eq!(
        (name(host, 7), host.group(7), host.group(8)),
        (Some("seven"), Some("wheel"), None)
    );
    let user = host.user(7).unwrap();
    assert_eq!((&*user.home, &*user.shell), ("/home/seven", "/bin/sh"));
    std::fs::remove_file(&passwd).unwrap();
    assert_eq!(name(users.host(2 * INTERVAL), 7), None);
}

/// Whether containers can be imitated here; says so if not.
fn can_make_jails() -> bool {
    let can = rustix::process::geteuid().is_root() && Path::new("/bin/busybox").exists();
    assert!(
        can || std::env::var("CI").as_deref() != Ok("true"),
        "needs root and busybox"
    );
    if !can {
        println!("SKIP: needs root and a static busybox");
    }
    can
}

/// A process whose root directory is `root`, which it made with `prepare` (a shell script that is
/// run in a mount namespace of its own, in `root`).
struct Jail(Child);

impl Jail {
    fn start(root: &Path, prepare: &str) -> Self {
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let wait = "exec chroot . /bin/busybox sh -c 'echo; read line'";
        let mut child = Command::new("unshare")
            // The root of a container is the root of a mount.
            .args(["--mount", "sh", "-e", "-c"])
            .arg(format!("mount --bind . .\ncd $PWD\n{prepare}\n{wait}"))
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        Self(child)
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn place(jail: &Jail) -> Place<'_> {
    Place {
        pid: jail.0.id(),
        layers: &[],
    }
}

/// A process that is no more.
const GONE: Place<'static> = Place {
    pid: u32::MAX,
    layers: &[],
};

const SEVEN: &str = "seven:x:7:7::/:/bin/sh\n";

/// The name of user 7 in a container whose root `prepare` made.
fn seventh(prepare: &str) -> Option<String> {
    let root = tempfile::tempdir().unwrap();
    let jail = Jail::start(root.path(), prepare);
    let mut users = Users::default();
    let accounts = users.container(&"id".into(), place(&jail), [], 0)?;
    name(accounts, 7).map(str::to_owned)
}

#[test]
fn a_container_has_its_own_users_however_it_arranges_them() {
    if !can_make_jails() {
        return;
    }
    let write = format!("printf '{}' > ", SEVEN.escape_default());
    for (what, prepare, expected) in [
        ("a plain file", format!("{write} etc/passwd"), Some("seven")),
        ("no file", String::new(), None),
        (
            "a link within",
            format!("{write} etc/p; ln -s /etc/p etc/passwd"),
            Some("seven"),
        ),
        (
            "a link out",
            "ln -s ../../../../../../etc/passwd etc/passwd".to_owned(),
            None,
        ),
        (
            "a link to a magic link",
            "mkdir proc; mount -t proc p proc; \
            ln -s /proc/self/root/etc/passwd etc/passwd"
                .to_owned(),
            None,
        ),
        (
            "mounted over",
            format!("{write} bin/p; touch etc/passwd; mount --bind bin/p etc/passwd"),
            Some("seven"),
        ),
        (
            "a mounted directory",
            format!("mount -t tmpfs t etc; {write} etc/passwd"),
            Some("seven"),
        ),
        ("a pipe", "mkfifo etc/passwd".to_owned(), None),
        ("a device", "mknod etc/passwd c 1 5".to_owned(), None),
        ("a directory", "mkdir etc/passwd".to_owned(), None),
        ("a loop", "ln -s passwd etc/passwd".to_owned(), None),
    ] {
        assert_eq!(seventh(&prepare).as_deref(), expected, "{what}");
    }
}

#[test]
fn a_process_that_changed_its_root_does_not_speak_for_its_container() {
    if !can_make_jails() {
        return;
    }
    let prepare = "mkdir -p j/etc j/bin; cp bin/busybox j/bin; cp /etc/passwd j/etc; cd j";
    assert_eq!(seventh(prepare), None);
}

#[test]
fn files_of_file_systems_that_may_hang_are_left_alone() {
    if !can_make_jails() {
        return;
    }
    // procfs stands for FUSE: not a local one either, and an argument makes a file of it a good
    // list of users.
    let prepare = format!(
        "exec 3<&0; sh -c 'read line <&3' zero '\n{SEVEN}' &\n\
         until grep -q seven /proc/$!/cmdline; do kill -0 $!; done\n\
         touch etc/passwd; mount --bind /proc/$!/cmdline etc/passwd"
    );
    assert_eq!(seventh(&prepare), None);
}

/// runc is in the container's cgroup while its root is still the host's.
#[test]
fn a_process_with_the_hosts_root_does_not_speak_for_a_container() {
    let mut users = Users::default();
    let id: Arc<str> = "id".into();
    let runc = Place {
        pid: std::process::id(),
        layers: &[],
    };
    assert!(users.container(&id, runc, [], 0).is_none());
    // Nor is it a reason not to look at the next one.
    assert!(users.is_empty());
}

#[test]
fn a_container_that_is_gone_is_read_from_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    let layers: Vec<PathBuf> = ["gone", "upper", "middle", "lower"]
        .iter()
        .map(|name| folder.path().join(name))
        .collect();
    for layer in layers.iter().skip(1) {
        std::fs::create_dir_all(layer.join("etc")).unwrap();
    }
    let write = |layer: &str, file: &str, text: &str| {
        std::fs::write(folder.path().join(layer).join("etc").join(file), text).unwrap();
    };
    write("middle", "passwd", SEVEN);
    write(
        "lower",
        "passwd",
        "lower:x:7:7::/:/bin/sh\nlower:x:8:8::/:\n",
    );
    write("lower", "group", "wheel:x:7:\n");
    let place = Place {
        layers: &layers,
        ..GONE
    };
    let id: Arc<str> = "id".into();
    let mut users = Users::default();
    // That there are layers may be known later than the first try.
    assert!(users.container(&id, GONE, [], 0).is_none());
    let accounts = users.container(&id, place, [], 1).unwrap();
    let found = (name(accounts, 7), name(accounts, 8), accounts.group(7));
    assert_eq!(found, (Some("seven"), None, Some("wheel")));

    // What an upper layer has instead of a file hides those below it.
    std::fs::create_dir(layers[1].join("etc/passwd")).unwrap();
    let mut users = Users::default();
    let accounts = users.container(&id, place, [], 0).unwrap();
    assert_eq!((name(accounts, 7), name(accounts, 0)), (None, Some("root")));
    let nowhere = Place {
        layers: &layers[..1],
        ..GONE
    };
    assert!(Users::default().container(&id, nowhere, [], 0).is_none());
}

#[test]
fn a_container_is_read_once_and_tried_again_when_it_could_not_be() {
    if !can_make_jails() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let passwd = root.path().join("etc/passwd");
    let jail = Jail::start(root.path(), ":");
    std::fs::write(&passwd, SEVEN).unwrap();
    let id: Arc<str> = "id".into();
    let mut users = Users::default();
    assert!(users.container(&id, GONE, [], 0).is_none());
    assert!(
        users
            .container(&id, place(&jail), [], INTERVAL - 1)
            .is_none()
    );
    // Who started it may be there when it is gone.
    let mut others = Users::default();
    let accounts = others.container(&id, GONE, [u32::MAX, jail.0.id()], 0);
    assert_eq!(name(accounts.unwrap(), 7), Some("seven"));
    let name_of = |users: &mut Users, now| {
        users
            .container(&id, place(&jail), [], now)
            .and_then(|a| name(a, 7))
            .map(str::to_owned)
    };
    assert_eq!(name_of(&mut users, INTERVAL).as_deref(), Some("seven"));
    std::fs::remove_file(&passwd).unwrap();
    symlink("/nowhere", &passwd).unwrap();
    assert_eq!(name_of(&mut users, 9 * INTERVAL).as_deref(), Some("seven"));
    users.forget(&id);
    assert_eq!(name_of(&mut users, 9 * INTERVAL), None);
}

#[test]
fn many_large_containers_stay_within_the_budget() {
    if !can_make_jails() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let jail = Jail::start(root.path(), ":");
    let mut text = String::new();
    (0..16_000).for_each(|uid| writeln!(text, "user{uid}:x:{uid}:0::/home:/bin/sh").unwrap());
    std::fs::write(root.path().join("etc/passwd"), text).unwrap();
    let mut users = Users::default();
    for number in 0..20 {
        let id: Arc<str> = number.to_string().into();
        let accounts = users.container(&id, place(&jail), [], 0).unwrap();
        assert_eq!(name(accounts, 7), Some("user7"));
        assert!(users.bytes <= BUDGET);
    }
    assert!(users.containers.len() < 20 && users.containers.contains_key("19"));
    assert_eq!(users.evicted(), 20 - users.len() as u64);
}
