//! Where things are: the repository's root and what the tasks leave below `target/`.

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    // The manifest of this crate is one folder below the root.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// `target/` of the workspace, whatever the caller's cargo settings say: other tasks, the tests
/// and the documentation name it.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The kernel programs' object file, which the daemon's build embeds.
pub(crate) fn bpf_object() -> PathBuf {
    target().join("bpf/monitor.o")
}

/// The daemon, as delivered.
pub(crate) fn daemon() -> PathBuf {
    target().join("release/monitor-daemon")
}

/// Programs built for the tasks' own use.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// The kernel image for virtual machines running `version` (such as `6.1`).
pub(crate) fn guest_kernel(version: &str) -> PathBuf {
    target().join("vm/kernels").join(version).join("vmlinuz")
}

/// The kernel modules that guests running `version` may load.
pub(crate) fn guest_modules(version: &str) -> PathBuf {
    target().join("vm/kernels").join(version).join("modules")
}
