//! The loops: built from `loops.c`, run, and what they print.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::figures::Samples;
use crate::{shell, workspace};

/// What the loops do, with their bars: ns added to an operation, and ns of the daemon's CPU.
pub(super) const LOOPS: [Loop; 5] = [
    Loop::new("getppid", "getppid", 100.0, 0.0),
    Loop::new("read", "read 1 byte", 110.0, 0.0),
    Loop::new("open", "open + close", 500.0, 20.0),
    Loop::new("exec", "fork + exec + exit", 15_000.0, 20_000.0),
    Loop::new("connect", "TCP connect + accept + close", 1_500.0, 1_000.0),
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    /// As `loops.c` has it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) added: f64,
    pub(super) daemon: f64,
}

impl Loop {
    const fn new(name: &'static str, title: &'static str, added: f64, daemon: f64) -> Self {
        Self {
            name,
            title,
            added,
            daemon,
        }
    }
}

/// How long a loop runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) slices: u32,
    pub(super) slice_ms: u32,
}

/// What a run of a loop came to.
#[derive(Debug, PartialEq)]
pub(super) struct Timing {
    pub(super) operations: u64,
    /// Of one operation, in the slice in the middle.
    pub(super) ns: f64,
    /// Of all slices.
    pub(super) total_ns: u64,
}

/// The program, built.
#[derive(Clone, Debug)]
pub(super) struct Program(PathBuf);

impl Program {
    pub(super) fn build() -> Result<Self> {
        let program = workspace::target().join("bench/loops");
        std::fs::create_dir_all(workspace::target().join("bench"))?;
        let source = workspace::root().join("xtask/src/bench/loops.c");
        let mut gcc = shell::without_outer_cargo("gcc");
        // Static, so that an exec of it opens no libraries.
        gcc.args(["-O2", "-static", "-o"]).arg(&program).arg(source);
        shell::run(&mut gcc)?;
        Ok(Self(program))
    }

    /// Another program that takes the same words.
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The program with these words; its standard output is to be read.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = shell::without_outer_cargo(&self.0);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    /// Runs a loop to its end; `rate` is of operations a second, none is as many as possible.
    pub(super) fn time(&self, name: &str, length: Length, rate: Option<u64>) -> Result<Timing> {
        Timing::of(self.start(name, length, rate)?)
    }

    /// Starts a loop.
    pub(super) fn start(&self, name: &str, length: Length, rate: Option<u64>) -> Result<Child> {
        let slices = length.slices.to_string();
        let slice = length.slice_ms.to_string();
        let mut command = self.command(&[name, &slices, &slice]);
        command.args(rate.map(|rate| rate.to_string()));
        Ok(command.spawn()?)
    }
}

impl Timing {
    /// Waits for a loop to end.
    pub(super) fn of(running: Child) -> Result<Self> {
        let output = running.wait_with_output()?;
        ensure!(output.status.success(), "a loop failed ({})", output.status);
        Self::parse(&String::from_utf8(output.stdout)?)
    }

    fn parse(lines: &str) -> Result<Self> {
        let mut times = Vec::new();
        let (mut operations, mut total_ns) = (0, 0);
        for line in lines.lines() {
            let (done, ns) = line.split_once(' ').context("a loop printed no slice")?;
            let (done, ns): (u64, u64) = (done.parse()?, ns.parse()?);
            ensure!(done > 0, "a slice of a loop did nothing");
            times.push(ns as f64 / done as f64);
            operations += done;
            total_ns += ns;
        }
        ensure!(operations > 0, "a loop did nothing");
        let ns = Samples::of(times).median();
        Ok(Self {
            operations,
            ns,
            total_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_slice_does_not_count() {
        let timing = Timing::parse("10 1000\n10 1010\n2 100000\n").unwrap();
        let expected = Timing {
            operations: 22,
            ns: 101.0,
            total_ns: 102_010,
        };
        assert_eq!(timing, expected);
    }

    #[test]
    fn what_is_no_slice_is_refused() {
        for text in ["", "10", "10 x\n", "0 10\n"] {
            assert!(Timing::parse(text).is_err(), "{text:?}");
        }
    }
}
