//! Paths as the runtimes make them, and any others.

use super::*;
use proptest::prelude::*;

const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const B: &str = "b3123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
const STEP: &str = "v7u1rmjwwvrkoyy6lrhhs3sdo";

/// Paths with the ids in them.
type Paths = &'static [(&'static str, &'static str)];

/// Paths of containers' cgroups: the runtime, the owner, and the paths with the ids.
const CONTAINERS: &[(Runtime, Owner, Paths)] = &[
    (
        Runtime::Docker,
        Owner::System,
        &[
            ("/docker/{A}", A),
            ("/docker/{A}/init.scope", A),
            ("/docker/{A}/system.slice/sshd.service", A),
            ("/jobs/batch/{A}", A),
            ("/{A}", A),
            ("/ecs/0123456789abcdef0123456789abcdef/{A}", A),
            ("/system.slice/docker-{A}.scope", A),
            ("/my.slice/my-jobs.slice/docker-{A}.scope/deep/er", A),
            ("/docker/{A}/docker/{B}", B),
            ("/kubepods.slice/kubepods-podx.slice/docker-{A}.scope", A),
        ],
    ),
    (
        Runtime::Docker,
        Owner::User,
        &[(
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
            A,
        )],
    ),
    (
        Runtime::Containerd,
        Owner::System,
        &[
            (
                "/system.slice/docker-{A}.scope/kubelet/kubepods/besteffort/podx/{B}",
                B,
            ),
            (
                "/kubepods/burstable/pod4c0c3b5c-1b4c-4b4e-8b4e-1b4c4b4e8b4e/{A}",
                A,
            ),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-{A}.scope",
                A,
            ),
            (
                "/system.slice/containerd.service/kubepods-burstable-podx.slice:cri-containerd:{A}",
                A,
            ),
            ("/default/{A}", A),
            ("/default/web-1", "web-1"),
            ("/default/web-1/init", "web-1"),
            ("/system.slice/nerdctl-{A}.scope", A),
        ],
    ),
    (
        Runtime::Crio,
        Owner::System,
        &[
            (
                "/kubepods.slice/kubepods-podx.slice/crio-{A}.scope/container",
                A,
            ),
            ("/kubepods/podx/crio-{A}", A),
        ],
    ),
    (
        Runtime::Podman,
        Owner::System,
        &[
            ("/machine.slice/libpod-{A}.scope/container", A),
            (
                "/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
                A,
            ),
            ("/libpod_parent/{A}", A),
            ("/libpod_parent/libpod-{A}", A),
            ("/system.slice/web.service/libpod-payload-{A}", A),
        ],
    ),
    (
        Runtime::Podman,
        Owner::User,
        &[(
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
            A,
        )],
    ),
    (
        Runtime::BuildKit,
        Owner::System,
        &[
            ("/docker/buildkit/{STEP}", STEP),
            ("/system.slice/buildkit-{STEP}.scope", STEP),
        ],
    ),
    (
        Runtime::Lxc,
        Owner::System,
        &[
            ("/lxc/web", "web"),
            ("/lxc.payload.web/init.scope", "web"),
            ("/lxc.payload/web-1", "web-1"),
        ],
    ),
    (
        Runtime::Lxc,
        Owner::User,
        &[(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/lxc-1.scope/lxc.payload.web",
            "web",
        )],
    ),
    (
        Runtime::Nspawn,
        Owner::System,
        &[
            (
                "/machine.slice/systemd-nspawn@web.service/payload/system.slice/a.service",
                "web",
            ),
            (
                "/machine.slice/machine-deb\\x2d12.scope/payload",
                "deb\\x2d12",
            ),
        ],
    ),
];

/// Paths of the host's cgroups.
const HOST: &[&str] = &[
    "",
    "/",
    "//",
    "/init.scope",
    "/system.slice/docker.service",
    "/system.slice/containerd.service",
    "/system.slice/docker.socket",
    "/docker",
    "/docker/buildkit",
    "/user.slice/user-1000.slice/session-1.scope",
    // A user can make these: no runtime does.
    "/user.slice/foo-{A}",
    "/user.slice/foo-{A}.scope",
    "/user.slice/user-1000.slice/user@1000.service/{A}",
    "/user.slice/user-1000.slice/user@1000.service/app.slice/{A}",
    "/user.slice/user-1000.slice/user@1000.service/app.slice/run-{A}.scope",
    "/system.slice/foo-{A}.scope",
    "/system.slice/my-docker-{A}.scope",
    "/system.slice/docker-{A}.service",
    "/system.slice/docker-{A}.slice",
    "/system.slice/docker-{A}",
    // Not delimited exactly.
    "/docker/{A}0",
    "/docker/0{A}",
    "/docker/{A}.scope",
    "/docker/{A}-x",
    "/docker/0123456789ab",
    "/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
    "/docker/g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "/system.slice/docker-{A}0.scope",
    "/system.slice/docker-{A}.scope.scope",
    "/system.slice/docker-{A}.scope ",
    "/system.slice/docker-.scope",
    "/system.slice/docker-0123456789ab.scope",
    // Helpers that run on the host, and groups of containers.
    "/machine.slice/libpod-conmon-{A}.scope",
    "/kubepods.slice/crio-conmon-{A}.scope",
    "/kubepods/podx/crio-conmon-{A}",
    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podx.slice",
    "/kubepods/burstable/pod4c0c3b5c-1b4c-4b4e-8b4e-1b4c4b4e8b4e",
    "/machine.slice/machine-libpod_pod_{A}.slice",
    "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
    "/machine.slice/systemd-nspawn@web.service/supervisor",
    "/machine.slice/systemd-nspawn@web.service",
    "/machine.slice/systemd-nspawn@.service/payload",
    "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt",
    "/system.slice/systemd-nspawn@web.service/payload",
    "/user.slice/machine.slice/machine-web.scope/payload",
    "/default",
    "/default/a b",
    "/other/web-1",
    "/user.slice/default/web-1",
    "/user.slice/user-1000.slice/user@1000.service/lxc.monitor.web",
    "/lxc.monitor.web",
    "/lxc",
    "/lxc.payload",
    "/lxc.payload.",
    "/home/lxc.payload.web",
    "/home/lxc/web",
    "/system.slice/x:evil:{A}",
    "/system.slice/x:cri-containerd:{A}",
    "/system.slice/cri-containerd:{A}",
    "/docker/buildkit/short",
    "/docker/buildkit/V7U1RMJWWVRKOYY6LRHHS3SDO",
];

/// `A`, `B` and `STEP` in `path` stand for ids.
fn expand(path: &str) -> String {
    path.replace("{A}", A)
        .replace("{B}", B)
        .replace("{STEP}", STEP)
}

#[test]
fn names_of_runtimes_are_containers() {
    let cases = CONTAINERS
        .iter()
        .flat_map(|(runtime, owner, paths)| paths.iter().map(move |case| (*runtime, *owner, case)));
    for (runtime, owner, (path, id)) in cases {
        let path = expand(path);
        let found = identify(path.as_bytes());
        assert_eq!(
            found,
            Some(CgroupContainer { id, runtime, owner }),
            "{path}"
        );
    }
}

#[test]
fn everything_else_is_the_host() {
    for path in HOST {
        let path = expand(path);
        assert_eq!(identify(path.as_bytes()), None, "{path}");
    }
}

#[test]
fn nested_containers_come_outermost_first() {
    let path = expand("/docker/{A}/docker/{B}/init.scope");
    let ids: Vec<_> = containers(path.as_bytes()).map(|found| found.id).collect();
    assert_eq!(ids, [A, B]);
}

proptest! {
    #[test]
    fn any_bytes_give_at_most_ids_that_stand_in_them(path: Vec<u8>) {
        for found in containers(&path) {
            prop_assert!(path.windows(found.id.len()).any(|part| part == found.id.as_bytes()));
        }
    }

    #[test]
    fn pieces_of_real_paths_never_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "/", "docker", "docker-", A, B, ".scope", ":", "cri-containerd", "kubepods",
                "user.slice", "lxc.payload.", "buildkit", STEP, "-", "\u{e4}",
            ]),
            0..12,
        )
    ) {
        let path = parts.concat();
        for found in containers(path.as_bytes()) {
            prop_assert!(path.contains(found.id));
        }
    }
}
