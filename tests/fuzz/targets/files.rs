//! Files that a container or a process can fill: `passwd` and `group`, and its own folder in
//! `/proc`. The input holds them one after another, parted by 0xff.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use monitor_daemon::process::snapshot::Reader;
use monitor_daemon::users::Users;

const FILES: [&str; 8] = [
    "passwd",
    "group",
    "1/stat",
    "1/status",
    "1/cmdline",
    "1/environ",
    "1/cgroup",
    "1/loginuid",
];

/// In memory.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(format!("/dev/shm/monitor-fuzz-{}", std::process::id()));
    fs::create_dir_all(folder.join("1")).expect("memory can be written to");
    folder
});

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0xff);
    for name in FILES {
        fs::write(FOLDER.join(name), parts.next().unwrap_or_default()).expect("it can be written");
    }
    let mut users = Users::new(&*FOLDER, &*FOLDER);
    let accounts = users.host(1);
    for id in [0, 1000, u32::MAX] {
        accounts.user(id);
        accounts.group(id);
    }
    Reader::new(&*FOLDER, None).read(1);
});
