//! The program that does the calls of a group, in each of the ways that a program can be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::paths;

use super::table::{Abi, Group};

/// Name of the program; a guest, which has no compiler, comes with it.
pub(crate) const PROGRAM: &str = "e2e-calls";

/// How the calls are done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// By a short-lived process of 64 bits.
    Wide,
    /// By `int $0x80`.
    Narrow,
    /// By a second thread.
    Thread,
    /// By a process that is older than the daemon.
    Older,
}

impl Way {
    pub(super) const fn abi(self) -> Abi {
        match self {
            Self::Narrow => Abi::Narrow,
            _ => Abi::Wide,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Wide => "64",
            Self::Narrow => "32",
            Self::Thread => "thread",
            Self::Older => "older",
        }
    }
}

/// A process that waits for its calls.
pub(super) struct Doer {
    way: Way,
    table: &'static str,
    group: Group,
    folder: PathBuf,
    process: Child,
    output: BufReader<ChildStdout>,
    pid: u32,
    tid: u32,
}

/// What one process did.
pub(super) struct Done {
    pub(super) group: Group,
    /// Where it was.
    pub(super) folder: PathBuf,
    pub(super) pid: u32,
    /// Of the thread that did the calls.
    pub(super) tid: u32,
    /// Of each line.
    pub(super) results: Vec<i64>,
    /// The program's arguments.
    pub(super) arguments: String,
}

/// Compiles the program, which runs without any library.
pub(crate) fn compile(program: &Path) -> Result<()> {
    let options = [
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fno-pic",
        "-no-pie",
        "-mgeneral-regs-only",
        "-fcf-protection=none",
    ];
    let source = paths::root().join("tests/bin/calls.c");
    monitor_tests::c::compile(&source, program, &options)
}

impl Doer {
    /// Starts the program in a folder of its own.
    pub(super) fn start(
        program: &Path,
        way: Way,
        table: &'static str,
        group: Group,
    ) -> Result<Self> {
        let folder = format!("{}-{table}-{}", way.name(), group.name.replace(' ', "-"));
        let folder = program.with_file_name(folder);
        std::fs::create_dir(&folder)?;
        let mut process = Command::new(program)
            .args([way.name(), &format!("{table}/{}", group.name)])
            .current_dir(&folder)
            .env("E2E_CALLS", "yes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        let mut output = BufReader::new(output);
        let mut number = || -> Result<u32> {
            let mut line = String::new();
            output.read_line(&mut line)?;
            line.trim().parse().context("the program did not begin")
        };
        let (pid, tid) = (number()?, number()?);
        Ok(Self {
            way,
            table,
            group,
            folder,
            process,
            output,
            pid,
            tid,
        })
    }

    /// Has it do its calls.
    pub(super) fn perform(mut self) -> Result<Done> {
        let lines = self.group.lines.iter().map(|line| line.script.as_str());
        let script = lines.collect::<Vec<_>>().join("\n") + "\n";
        let script = script.replace("$dir", &self.folder.display().to_string());
        let mut input = self.process.stdin.take().context("no standard input")?;
        input.write_all(script.as_bytes())?;
        drop(input);
        let results: Result<Vec<i64>> =
            self.output.lines().map(|line| Ok(line?.parse()?)).collect();
        let results = results?;
        let status = self.process.wait()?;
        let arguments = format!("{} {}/{}", self.way.name(), self.table, self.group.name);
        ensure!(
            results.len() == self.group.lines.len(),
            "{arguments} ended with {status} after {results:?} of {script}"
        );
        Ok(Done {
            group: self.group,
            folder: self.folder,
            pid: self.pid,
            tid: self.tid,
            results,
            arguments,
        })
    }
}
