//! Project tasks: `cargo xtask <command>`.
//!
//! One command a file. Each leaves the tree in a state that the next can build on, prints the
//! commands it runs, and does nothing that is already done. Depends on no other crate of the
//! workspace, so that it runs where nothing else builds yet.

mod bench;
mod build;
mod chaos;
mod dist;
mod fuzz;
mod kernels;
mod run;
mod setup;
mod shell;
mod soak;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::build::Profile;
use crate::setup::Level;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Sets up, builds, runs and tests the project"
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing for building, and with `--test` for testing
    Setup {
        /// What the machine shall be able to do
        #[arg(long, value_enum, default_value_t = Level::Build)]
        level: Level,
    },
    /// Build the kernel programs into target/bpf/monitor.o, and print what each costs
    BuildEbpf {
        /// Do not build the daemon and ask it what this machine's verifier says, which root can
        #[arg(long)]
        only: bool,
    },
    /// Build the kernel programs and the daemon
    Build {
        /// Leave target/debug/monitor-daemon instead of target/release/monitor-daemon
        #[arg(long)]
        debug: bool,
        /// For aarch64, static: leave target/aarch64-unknown-linux-musl/…/monitor-daemon
        #[arg(long)]
        arm: bool,
    },
    /// Build the archive to install: target/dist/monitor-daemon-VERSION-x86_64.tar.gz
    Dist,
    /// Set up, build, and watch this host live
    Run {
        /// Arguments of `monitor-daemon run`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up, build, and run all tests or the suites named
    Test {
        /// `tidy`, `unit`, or a test target of the `monitor-tests` crate
        suites: Vec<String>,
    },
    /// Measure what the daemon costs and how fast it tells, and write docs/benchmarks
    Bench(bench::Options),
    /// Run a command in a virtual machine with another kernel
    Vm(vm::Options),
    /// Write or compare the tables of kernels and programs
    Kernels(kernels::Options),
    /// Feed the fuzz targets for a while
    Fuzz(fuzz::Options),
    /// Watch the daemon's memory and losses under mixed load
    Soak(soak::Options),
    /// Kill the daemon and its log server, fill its disk and damage its log, and count alerts
    Chaos(chaos::Options),
    /// All there is to check: every test, skipping nothing that must run, dependencies, fuzzing
    Ci {
        /// Instead of every test: suites as of `test`
        suites: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let outcome = match Arguments::parse().command {
        Task::Setup { level } => setup::setup(level).map(done),
        Task::BuildEbpf { only } => build::build_ebpf()
            .and_then(|()| kernels::sizes())
            .map(|sizes| print!("{sizes}"))
            .and_then(|()| if only { Ok(()) } else { build::verify() })
            .map(done),
        Task::Build { debug, arm } => {
            let profile = if debug {
                Profile::Debug
            } else {
                Profile::Release
            };
            let build = if arm { build::build_arm } else { build::build };
            build(profile).map(done)
        }
        Task::Dist => dist::dist().map(done),
        Task::Run { arguments } => run::run(&arguments).map(done),
        Task::Test { suites } => test::test(&suites),
        Task::Bench(options) => bench::bench(&options).map(done),
        Task::Vm(options) => vm::vm(&options).map(done),
        Task::Kernels(options) => kernels::kernels(&options).map(done),
        Task::Fuzz(options) => fuzz::fuzz(&options).map(done),
        Task::Soak(options) => soak::soak(&options).map(done),
        Task::Chaos(options) => chaos::chaos(&options).map(done),
        Task::Ci { suites } => test::ci(&suites),
    };
    match outcome {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
