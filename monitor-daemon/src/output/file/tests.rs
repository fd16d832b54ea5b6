//! Files: rotation by others and by ourselves, lines that were cut.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::super::alert::tests::{entry, sample};
use super::super::{Alert, Format, JsonFormat, TimeFormat};
use super::*;
use crate::config::JsonProperties;

fn encoder() -> Encoder {
    Encoder {
        format: Format::Text,
        json: JsonFormat {
            properties: JsonProperties::default(),
            time: TimeFormat::Iso8601,
        },
    }
}

fn file(path: &Path) -> AlertFile {
    let settings = config::File::grows(path.to_owned(), Format::Text);
    AlertFile::open(settings, encoder()).unwrap()
}

/// A file of two lines like `0001` at most, of which two old ones are kept.
fn small(path: &Path) -> AlertFile {
    let settings = config::File {
        max_bytes: Some(10),
        keep: 2,
        ..config::File::grows(path.to_owned(), Format::Text)
    };
    AlertFile::open(settings, encoder()).unwrap()
}

fn lines(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let lines = numbers.map(|number| format!("{number:04}\n"));
    lines.collect::<String>().into_bytes()
}

/// What is in the folder: `a` and then `a.1` and so on.
fn found(path: &Path) -> Vec<String> {
    let rotated = (1..9).map(|times| config::File::rotated(path, times));
    let paths = [path.to_owned()].into_iter().chain(rotated);
    let read = |path: PathBuf| Some(fs::read_to_string(path).ok()?.replace('\n', " "));
    paths.map_while(read).collect()
}

#[test]
fn appends_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    fs::write(&path, "old\n").unwrap();
    file(&path).append(b"new\n", &mut 0).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
    fs::remove_file(&path).unwrap();
    file(&path);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_line_that_an_earlier_daemon_left_unfinished_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "one\ntw").unwrap();
    let mut file = file(&path);
    file.append(b"three\n", &mut 0).unwrap();
    file.append(b"four\n", &mut 0).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\nfour\n");
}

#[test]
fn follows_a_rotation_and_starts_a_cut_line_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("a"), folder.path().join("a.1"));
    let mut file = file(&path);
    let text = b"one\ntwo\nthree\n";
    let mut written = 0;
    file.append(&text[..6], &mut written).unwrap();
    fs::rename(&path, &old).unwrap();
    file.append(text, &mut written).unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntw");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
    fs::remove_file(&path).unwrap();
    file.append(b"four\n", &mut 0).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
}

/// A disk that takes three bytes, then is full, then has room again.
struct Full {
    room: usize,
    text: Vec<u8>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= count;
        self.text.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn goes_on_inside_a_line_when_the_disk_has_room_again() {
    let mut disk = Full {
        room: 6,
        text: Vec::new(),
    };
    let mut written = 0;
    assert!(write_rest(&mut disk, b"one\ntwo\n", &mut written).is_err());
    disk.room = 100;
    write_rest(&mut disk, b"one\ntwo\n", &mut written).unwrap();
    assert_eq!(disk.text, b"one\ntwo\n");
}

#[test]
fn a_file_is_rotated_between_lines_before_it_is_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut file = small(&path);
    file.append(&lines(0..1), &mut 0).unwrap();
    assert_eq!(found(&path), ["0000 "]);
    // One goes into the file that is there, one batch is for several.
    file.append(&lines(1..5), &mut 0).unwrap();
    assert_eq!(found(&path), ["0004 ", "0002 0003 ", "0000 0001 "]);
    // What there was before a start counts.
    small(&path).append(&lines(5..7), &mut 0).unwrap();
    assert_eq!(found(&path), ["0006 ", "0004 0005 ", "0002 0003 "]);
    small(&path)
        .append(b"longer than a file\n0007\n", &mut 0)
        .unwrap();
    assert_eq!(found(&path), ["0007 ", "longer than a file ", "0006 "]);
}

#[test]
fn others_may_rotate_the_same_file_and_a_cut_line_stays_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut file = small(&path);
    file.append(&lines(0..1), &mut 0).unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    let text = lines(1..4);
    file.append(&text[..5], &mut 0).unwrap();
    // The disk was full amid the second line.
    let mut end = OpenOptions::new().append(true).open(&path).unwrap();
    end.write_all(&text[5..7]).unwrap();
    assert_eq!(found(&path), ["0001 00"]);
    file.append(&text, &mut 7).unwrap();
    assert_eq!(found(&path), ["0003 ", "0001 0002 "]);
}

#[test]
fn a_link_stays_and_what_cannot_be_rotated_grows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a"), folder.path().join("link"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    small(&link).append(&lines(0..3), &mut 0).unwrap();
    assert_eq!(found(&path), ["0002 ", "0000 0001 "]);
    assert!(link.is_symlink());
    // A folder stands in the way of the second, and stays.
    let (one, two) = (folder.path().join("a.1"), folder.path().join("a.2"));
    fs::remove_file(&one).unwrap();
    for path in [&one, &two] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("x"), "").unwrap();
    }
    let mut file = small(&path);
    file.append(&lines(3..6), &mut 0).unwrap();
    file.append(&lines(6..7), &mut 0).unwrap();
    let text = fs::read(&path).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "0002\n0003\n0004\n0005\n0006\n"
    );
    for path in [one, two] {
        fs::remove_dir_all(path).unwrap();
    }
    file.append(&lines(7..9), &mut 0).unwrap();
    assert_eq!(found(&path)[0], "0007 0008 ");
}

/// Between two attempts, after a full disk, the alert at which it failed may have been overtaken.
#[test]
fn a_line_that_was_cut_is_completed_or_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let numbered = |number: u64| {
        let alert = Alert {
            output: format!("number {number}"),
            ..sample()
        };
        entry(number, alert)
    };
    let cut = |next: u64| {
        fs::write(&path, "").unwrap();
        let mut file = file(&path);
        let mut text = Vec::new();
        file.encoder.line(&numbered(1), &mut text);
        file.append(&text[..20], &mut 0).unwrap();
        file.cut = Some((1, 20));
        let sent = file.send(&[numbered(next)]);
        assert_eq!((sent.taken, sent.trouble), (1, None));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(&format!(" number {next}\n")), "{text}");
        text.lines().count()
    };
    assert_eq!((cut(1), cut(2)), (1, 2));
}
