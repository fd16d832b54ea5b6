//! `bugreport`: what somebody needs who is to find out why the daemon does not do its work, in one
//! archive that people can read before they send it.

mod parts;
mod program;
mod secrets;
mod tar;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::Error;
use super::print::print;
use crate::clock;
use crate::config::DEFAULT_PATH;
use crate::output::rfc3339;
use parts::Part;

const HELP: &str = "\
Nothing is asked and nothing is sent. The archive holds plain text files, README.txt tells which.
Alerts, command lines, and names of containers are not in it. Values of keys named like secrets,
names, passwords and all behind a `?` in addresses, and what servers said to alerts are removed; look
through it all the same before you pass it on.

Examples:
  sudo monitor-daemon bugreport
  sudo monitor-daemon bugreport --output - | tar -xO | less";

/// Write one archive with what is needed to find out why the daemon does not do its work.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// The archive, which must not exist; `-` is standard output. Without it,
    /// `monitor-bugreport-TIME.tar` in this folder.
    #[arg(long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    #[arg(
        long,
        value_name = "FILE",
        help = format!("Configuration; without it {DEFAULT_PATH} if it exists, else defaults")
    )]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let now = clock::epoch_ns();
    let name = name(now);
    let gather = || {
        let parts = parts::gather(arguments.config.as_deref());
        (readme(&parts, now), parts)
    };
    if arguments.output.as_deref() == Some(Path::new("-")) {
        let (readme, parts) = gather();
        let mut out = io::stdout().lock();
        return write(&mut out, &name, &readme, &parts, now).map_err(Error::Print);
    }
    let usual = || PathBuf::from(format!("{name}.tar"));
    let path = arguments.output.clone().unwrap_or_else(usual);
    let failed = |source| Error::WriteReport {
        path: path.clone(),
        source,
    };
    // First, as it takes a while to gather all.
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let (readme, parts) = gather();
    write(&mut file, &name, &readme, &parts, now).map_err(failed)?;
    print(&format!("{readme}\n{}\n", path.display()))
}

/// The folder in the archive, after its time.
fn name(now: u64) -> String {
    let time: String = rfc3339(now)
        .chars()
        .take(19)
        .filter(|sign| *sign != ':')
        .collect();
    format!("monitor-bugreport-{time}")
}

fn readme(parts: &[Part], now: u64) -> String {
    let mut text = format!(
        "Report of monitor-daemon {}, made {}\n\n\
         Alerts, command lines and names of containers are not in it. Secrets were removed as far \
         as their names tell them; look through the files before you pass them on.\n\n",
        env!("CARGO_PKG_VERSION"),
        rfc3339(now)
    );
    for Part {
        name,
        about,
        text: found,
    } in parts
    {
        let _ = match found {
            Ok(found) => writeln!(text, "{name:<12} {} bytes: {about}", found.len()),
            Err(error) => writeln!(text, "{name:<12} not to be had ({error}): {about}"),
        };
    }
    text
}

fn write(
    out: &mut impl Write,
    folder: &str,
    readme: &str,
    parts: &[Part],
    now: u64,
) -> io::Result<()> {
    let time = now / 1_000_000_000;
    let found = parts
        .iter()
        .filter_map(|part| Some((part.name, part.text.as_ref().ok()?.as_str())));
    for (name, text) in [("README.txt", readme)].into_iter().chain(found) {
        tar::file(out, &format!("{folder}/{name}"), time, text.as_bytes())?;
    }
    tar::end(out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// By `tar` itself.
    #[test]
    fn the_archive_is_one_that_tar_reads() {
        let part = |name, text| Part {
            name,
            about: "a",
            text,
        };
        let parts = [
            part("a.txt", Ok("x".repeat(512))),
            part("b.txt", Ok("line\nmore\n".to_owned())),
            part("c.txt", Err("no".to_owned())),
        ];
        let now = 1_769_860_800_000_000_001;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.tar");
        let mut file = File::create(&path).unwrap();
        let readme = readme(&parts, now);
        assert!(
            readme.contains("c.txt        not to be had (no): a"),
            "{readme}"
        );
        write(&mut file, &name(now), &readme, &parts, now).unwrap();
        let tar = |arguments: &[&str]| {
            let mut tar = Command::new("tar");
            tar.args(arguments).arg(&path).env("TZ", "UTC");
            let output = tar.output().unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{output:?}"
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let listed = tar(&["-tvf"]);
        let lines: Vec<Vec<&str>> = listed
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let folder = "monitor-bugreport-2026-01-31T120000";
        let expected = [("README.txt", readme.len()), ("a.txt", 512), ("b.txt", 10)];
        assert_eq!(lines.len(), expected.len(), "{listed}");
        for (line, (name, size)) in lines.iter().zip(expected) {
            let shown = format!("-rw------- root/root {size} 2026-01-31 12:00 {folder}/{name}");
            assert_eq!(line.join(" "), shown);
        }
        assert!(tar(&["-xOf"]).ends_with("line\nmore\n"));
    }
}
