//! Files that one daemon at a time has for itself: the lock goes with the process.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Opens and locks a file, and makes it and its folder where they are missing.
///
/// # Errors
///
/// Of the kind [`WouldBlock`](io::ErrorKind::WouldBlock) where another daemon has it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Rules see what the daemon does: no call that is not needed.
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o750).create(folder)?;
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o600).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => {
            io::Error::new(io::ErrorKind::WouldBlock, "another daemon uses it")
        }
        other => other.into(),
    })?;
    Ok(file)
}
