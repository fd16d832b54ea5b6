//! Anonymous files and kernel modules.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use monitor_common::{Flags, Kind, Slot};
use monitor_daemon::probe::Tier;
use monitor_daemon::record::Body;
use rustix::fs::MemfdFlags;

use crate::support::on_each_tier;

#[test]
fn anonymous_files() {
    on_each_tier(&[Kind::Memfd], |watch| {
        watch.forget();
        let file = rustix::fs::memfd_create("secret", MemfdFlags::CLOEXEC).unwrap();
        let seen = watch.next(Kind::Memfd);
        let body = seen.registers(319, &[(1, 1)], file.as_raw_fd().into());
        seen.check(&watch.me, 0, &Body::Memfd(body), &[(Slot::Args, "secret")]);
    });
}

/// What is no module is refused, and seen.
#[test]
fn modules() {
    on_each_tier(&[Kind::Module], |watch| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("x.ko");
        std::fs::write(&path, "no module").unwrap();
        let file = File::open(&path).unwrap();
        watch.forget();
        let by_file = rustix::system::finit_module(&file, c"a=1", 4).unwrap_err();
        let by_image = rustix::system::init_module(b"no module", c"b=2").unwrap_err();
        let flags = if watch.tier(Kind::Module) == Some(Tier::Object) {
            Flags::OBJECT_TIER
        } else {
            0
        };
        let seen = watch.next(Kind::Module);
        let known = [(0, file.as_raw_fd() as u64), (2, 4)];
        let body = seen.registers(313, &known, -i64::from(by_file.raw_os_error()));
        let strings = [
            (Slot::Resolved, path.to_str().unwrap()),
            (Slot::Args, "a=1"),
        ];
        seen.check(&watch.me, flags, &Body::Module(body), &strings);
        let seen = watch.next(Kind::Module);
        let body = seen.registers(175, &[(1, 9)], -i64::from(by_image.raw_os_error()));
        seen.check(
            &watch.me,
            flags,
            &Body::Module(body),
            &[(Slot::Args, "b=2")],
        );
    });
}
