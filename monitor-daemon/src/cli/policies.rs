//! Reading rules files for the policy crate, which does no I/O itself.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use monitor_policy::{FileReport, Loaded, Options, Policy, RulesFile};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::print::color;
use crate::config::Config;

/// A rules file that could be found; its text, or why it cannot be read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: io::Result<String>,
}

/// Most bytes that a configuration can allow a rules file.
pub(super) const MOST_BYTES: usize = 1 << 30;
/// How long a pipe may take to give its text.
const PIPE_TIME: Duration = Duration::from_secs(5);

/// All rules files behind `paths`: files as they are, folders as their `*.yaml` and `*.yml` sorted
/// by name, without tests (`*.test.yaml`) and subfolders. One with more than `limit` bytes cannot be
/// read.
pub(super) fn read(paths: &[PathBuf], limit: usize) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for path in paths {
        let files = if path.is_dir() {
            rules_files(path)?
        } else {
            vec![path.clone()]
        };
        sources.extend(files.into_iter().map(|path| {
            let text = bytes(&path, limit).and_then(decode);
            Source { path, text }
        }));
    }
    Ok(sources)
}

/// The bytes of a file, or of a pipe. A file of any size, a device, or a pipe that nobody writes to
/// must take neither the daemon's memory nor, for ever, the thread that loads rules.
fn bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let is_file = file.metadata()?.is_file();
    let end = Instant::now() + PIPE_TIME;
    let mut source = (&file).take(limit as u64 + 1);
    let mut bytes = Vec::new();
    loop {
        if !is_file {
            wait(&file, end.saturating_duration_since(Instant::now()))?;
        }
        match source.read_to_end(&mut bytes) {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    if bytes.len() > limit {
        let text = format!("it has more than {limit} bytes, which `limits.file_bytes` allows");
        return Err(io::Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Waits for something to read, or for the end of it.
fn wait(file: &File, time: Duration) -> io::Result<()> {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    if time == Timespec::default() || poll(&mut polled, Some(&time))? == 0 {
        let text = format!("nobody wrote all of it within {PIPE_TIME:?}");
        return Err(io::Error::new(ErrorKind::TimedOut, text));
    }
    Ok(())
}

/// Bytes that are no text.
#[derive(Debug, thiserror::Error)]
#[error("byte 0x{byte:02x} in line {line}, column {column} is no UTF-8; save the file as UTF-8")]
pub(super) struct NoText {
    pub(super) byte: u8,
    /// Where it is, in bytes.
    pub(super) offset: usize,
    line: usize,
    column: usize,
    /// The file with a `?` for each byte that belongs to no character.
    pub(super) shown: String,
}

/// The text of a rules file, or of its tests. Old files have authors' names in other encodings: in
/// lines that are comments these bytes do not matter, anywhere else a rule would silently mean
/// something else.
pub(super) fn decode(bytes: Vec<u8>) -> io::Result<String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    let mut start = 0;
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let offset = start;
        start += line.len();
        let Err(error) = str::from_utf8(line) else {
            continue;
        };
        if line.trim_ascii_start().starts_with(b"#") {
            continue;
        }
        let (good, bad) = line
            .split_at_checked(error.valid_up_to())
            .unwrap_or_default();
        let found = NoText {
            byte: bad.first().copied().unwrap_or_default(),
            offset: offset + good.len(),
            line: number,
            column: String::from_utf8_lossy(good).chars().count() + 1,
            shown: masked(&bytes),
        };
        return Err(io::Error::new(ErrorKind::InvalidData, found));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text with a `?` for each byte that belongs to no character, so that offsets stay.
fn masked(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks();
    let text = chunks.map(|chunk| chunk.valid().to_owned() + &"?".repeat(chunk.invalid().len()));
    text.collect()
}

/// The report of a file that cannot be read.
pub(super) fn unreadable(name: &str, error: &io::Error) -> FileReport {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(NoText {
            byte,
            offset,
            shown,
            ..
        }) => FileReport::no_text(name, shown, *offset, *byte),
        None => FileReport::unreadable(name, &error.to_string()),
    }
}

/// Names and texts of all rules files behind `paths`; without any, of the built-in policies.
pub(super) fn texts(paths: &[PathBuf], limit: usize) -> Result<Vec<(String, String)>, Error> {
    if paths.is_empty() {
        let files = crate::default_policies::FILES.iter();
        let texts = files.map(|file| (file.name.to_owned(), file.text.to_owned()));
        return Ok(texts.collect());
    }
    let mut files = Vec::new();
    for Source { path, text } in read(paths, limit)? {
        let text = text.map_err(|source| Error::ReadPolicy {
            path: path.clone(),
            source,
        })?;
        files.push((path.display().to_string(), text));
    }
    Ok(files)
}

/// How rules files are loaded for a look at them: within the limits of the configuration, with its
/// static fields and with what it appends to outputs. What it drops by priority or switches off is
/// looked at too.
pub(super) fn options(config: Option<&Path>) -> Result<Options, Error> {
    let Options {
        suggested_output,
        append_output,
        static_fields,
        limits,
        ..
    } = Config::load(config)?.rules;
    Ok(Options {
        suggested_output,
        append_output,
        static_fields,
        limits,
        ..Options::default()
    })
}

/// Loads `paths`, or without any the built-in policies. Warnings go to standard error; so do
/// errors, and then there is no policy.
pub(super) fn load(paths: &[PathBuf], options: &Options) -> Result<Policy, Error> {
    finish(load_texts(
        &texts(paths, options.limits.file_bytes)?,
        options,
    ))
}

/// SHA-256 of texts one after the other, in hexadecimal digits.
pub(super) fn checksum(texts: &[(String, String)]) -> String {
    let mut hasher = Sha256::new();
    for (_, text) in texts {
        hasher.update(text.as_bytes());
    }
    let mut digits = String::new();
    for byte in hasher.finalize() {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Loads texts.
pub(super) fn load_texts(texts: &[(String, String)], options: &Options) -> Loaded {
    let file = |(name, text)| RulesFile { name, text };
    let pairs = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let files: Vec<RulesFile<'_>> = pairs.map(file).collect();
    monitor_policy::load(&files, options)
}

/// The policy of a load; its warnings and errors go to standard error.
pub(super) fn finish(loaded: Loaded) -> Result<Policy, Error> {
    let color = color(&io::stderr());
    let rendered: String = loaded
        .files
        .iter()
        .map(|file| FileReport::render(file, color))
        .collect();
    let _ = io::Write::write_all(&mut io::stderr(), rendered.as_bytes());
    loaded.policy.ok_or(Error::Refused)
}

fn rules_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::ReadPolicy {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_rules_file(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::EmptyFolder {
            path: folder.to_owned(),
        });
    }
    files.sort();
    Ok(files)
}

/// Kubernetes mounts files as links, so links are followed.
fn is_rules_file(path: &Path) -> bool {
    let is_yaml = path
        .extension()
        .is_some_and(|end| end == "yaml" || end == "yml");
    let is_test =
        path.file_stem().map(Path::new).and_then(Path::extension) == Some("test".as_ref());
    is_yaml && !is_test && path.is_file()
}

#[cfg(test)]
mod tests {
    use monitor_policy::Color;

    use super::*;

    #[test]
    fn comments_may_be_in_any_encoding() {
        let latin = |text: &str| text.chars().map(|letter| letter as u8).collect::<Vec<u8>>();
        assert_eq!(
            decode(latin("# René\n  # é\n- list: a\n")).unwrap(),
            "# Ren\u{fffd}\n  # \u{fffd}\n- list: a\n"
        );
        let error = decode(latin("# René\r\n- list: café\r\n")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "byte 0xe9 in line 2, column 12 is no UTF-8; save the file as UTF-8"
        );
        let report = unreadable("r.yaml", &error);
        let found = &report.errors()[0];
        assert_eq!((found.line, found.column, found.offset), (2, 12, 19));
        assert!(
            report
                .render(Color::Never)
                .contains("2 | - list: caf?\n  |            ^"),
            "{}",
            report.render(Color::Never)
        );
    }

    #[test]
    fn folders_give_their_rules_files_in_order_of_name() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "b.yml",
            "a.yaml",
            "c.test.yaml",
            "notes.md",
            ".yaml",
            "d.yaml.bak",
        ];
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("e.yaml")).unwrap();
        let single = folder.path().join("notes.md");
        let sources = read(&[single, folder.path().to_owned()], 100).unwrap();
        let texts: Vec<String> = sources
            .into_iter()
            .map(|source| source.text.unwrap())
            .collect();
        assert_eq!(texts, ["notes.md", "a.yaml", "b.yml"]);
    }

    #[test]
    fn the_checksum_is_that_of_the_files_one_after_the_other() {
        let text = |text: &str| (String::new(), text.to_owned());
        // As `printf abc | sha256sum` says.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(checksum(&[text("ab"), text("c")]), known);
    }

    #[test]
    fn what_has_no_end_is_refused_and_a_pipe_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        fs::write(path("sparse"), "x").unwrap();
        let sparse = File::options().write(true).open(path("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        for (endless, expected) in [
            (path("sparse"), "more than 100 bytes"),
            ("/dev/zero".into(), "more than 100 bytes"),
        ] {
            let found = read(&[endless], 100).unwrap().remove(0);
            let error = found.text.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), Mode::RWXU).unwrap();
        let error = bytes(&path("pipe"), 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let pipe = path("pipe");
        let writer = std::thread::spawn(move || fs::write(pipe, "text"));
        let read = loop {
            match bytes(&path("pipe"), 100) {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                read => break read.unwrap(),
            }
        };
        writer.join().unwrap().unwrap();
        assert_eq!(read, b"text");
    }

    #[test]
    fn an_empty_folder_is_probably_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(&[folder.path().to_owned()], 100)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("has no rules file (*.yaml, *.yml)"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_is_found_out_when_it_is_read() {
        let sources = read(&["/nonexistent.yaml".into()], 100).unwrap();
        assert!(sources[0].text.is_err());
        let error = load(&["/nonexistent.yaml".into()], &Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read `/nonexistent.yaml`: No such file or directory (os error 2)"
        );
    }
}
