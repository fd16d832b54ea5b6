//! Standard output as systemd's journal takes it: a line may start with its level in angle
//! brackets (sd-daemon(3)), which the journal strips and keeps as the entry's priority. So
//! `journalctl -p warning` shows what is at least that severe.

use std::os::fd::AsFd;

use rustix::fs::fstat;

/// Whether `stream` goes to the journal: systemd.exec(5) names its device and inode.
pub(super) fn is_behind(stream: impl AsFd) -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|named| is_named(&named, stream))
}

/// A level in front of a line: 0 (emergency) to 7 (debug).
pub(super) fn level(number: u8) -> String {
    format!("<{number}>")
}

/// Somebody may have connected the stream elsewhere and left the variable.
fn is_named(named: &str, stream: impl AsFd) -> bool {
    fstat(stream).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn only_the_stream_that_is_named_counts() {
        let file = tempfile::tempfile().unwrap();
        let other = tempfile::tempfile().unwrap();
        let stat = file.metadata().unwrap();
        let named = format!("{}:{}", stat.dev(), stat.ino());
        assert!(is_named(&named, &file));
        assert!(!is_named(&named, &other));
        assert!(!is_named("", &file));
    }
}
