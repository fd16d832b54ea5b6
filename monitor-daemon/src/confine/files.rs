//! What is done by a thread that may open no file.

use std::collections::BTreeMap;
use std::thread;

use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::calls::{OWN, number};

/// How files are opened.
const OPENS: [&str; 3] = ["open", "openat", "openat2"];

/// Does something that opens files in a thread that cannot (`ENOENT`), and then ends; `None` where
/// there is no such thread to be had.
pub(crate) fn without_files<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let program = program().ok()?;
    let confined = move || {
        seccompiler::apply_filter(&program).ok()?;
        Some(work())
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("no-files".to_owned());
        thread.spawn_scoped(scope, confined).ok()?.join().ok()?
    })
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let numbers = OPENS.iter().filter_map(|name| number(name));
    let rules: BTreeMap<i64, _> = numbers
        .map(|number| (i64::from(number), Vec::new()))
        .collect();
    let refused = SeccompAction::Errno(Errno::NOENT.raw_os_error() as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refused, OWN)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn no_file_is_there_for_it_and_all_are_for_others() {
        let open = || File::open("/proc/self/stat").map_err(|error| error.kind());
        assert_eq!(
            without_files(|| open().err()),
            Some(Some(ErrorKind::NotFound))
        );
        assert!(open().is_ok());
    }
}
