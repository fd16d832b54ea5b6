//! `bench`: what the daemon costs, how fast it tells, and how both grow; beside it another monitor,
//! when one is named.
//!
//! Prints tables, and leaves them with all figures (JSON) and plots (SVG) in `docs/benchmarks`. A
//! short run (`--quick`) shows that all works; what it measures says little, so it goes to
//! `target/bench`.

mod containers;
mod cost;
mod figures;
mod growth;
mod latency;
mod loops;
mod machine;
mod memory;
mod needle;
mod part;
mod plot;
mod programs;
mod rules;
mod speed;
mod start;
mod subject;
mod table;
mod usage;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::{shell, workspace};
use loops::{Length, Program};
use part::Part;
use rules::Rules;
use subject::Subject;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to measure; all when nothing is named
    #[arg(value_enum)]
    what: Vec<What>,
    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// One short round, to see that all works; leaves docs/benchmarks as it is
    #[arg(long)]
    quick: bool,
    /// Another monitor to run in the same rounds, by its command line; it has to print its alerts
    /// at once to standard output, with upstream's rules
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = Subject::peer)]
    peers: Vec<Subject>,
    /// Measure the daemon as it is in target/release
    #[arg(long)]
    no_build: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Loading and evaluation of rules; written to the table in README.md
    Rules,
    /// What each loop pays, and the monitor's CPU, memory and losses
    Cost,
    /// Time of each program in the kernel
    Programs,
    /// Where the memory goes
    Memory,
    /// Time to an alert, idle and under each loop
    Latency,
    /// Time from start to watching
    Start,
    /// More rules, containers and events
    Growth,
}

/// How much is measured.
struct Extent {
    rounds: u32,
    length: Length,
    idle: Duration,
    needles: u32,
}

/// Measures what is asked for, prints it, and keeps it.
pub(crate) fn bench(options: &Options) -> Result<()> {
    setup::setup(Level::Bench)?;
    let asked = |what| options.what.is_empty() || options.what.contains(&what);
    if asked(What::Rules) && !options.quick {
        speed::speed(options.rounds)?;
    }
    if options.what == [What::Rules] {
        return Ok(());
    }
    if !shell::is_root() {
        bail!("only root can start the daemon; `cargo xtask bench rules` works for others");
    }
    if !options.no_build {
        build::build(Profile::Release)?;
    }
    let folder = if options.quick {
        workspace::target().join("bench")
    } else {
        workspace::root().join("docs/benchmarks")
    };
    fs::create_dir_all(&folder)?;
    let report = Report {
        folder,
        machine: machine(options.quick)?,
    };
    let loops = Program::build()?;
    let extent = options.extent();
    let subjects = options.subjects();
    let rounds = (extent.rounds, extent.length);
    if asked(What::Cost) {
        let extent = (extent.rounds, extent.length, extent.idle);
        let mut subjects = subjects.clone();
        subjects.push(Subject::Ours(Rules::Execs));
        report.add(&cost::cost(&loops, &subjects, extent)?)?;
    }
    if asked(What::Programs) {
        let ours = [Rules::Stable, Rules::All].map(Subject::Ours);
        report.add(&programs::programs(&loops, &ours, extent.length)?)?;
    }
    if asked(What::Memory) {
        report.add(&memory::memory(&loops)?)?;
    }
    if asked(What::Latency) {
        report.add(&latency::latency(&loops, &subjects, extent.needles)?)?;
    }
    if asked(What::Start) {
        report.add(&start::start(&loops, &subjects, extent.rounds)?)?;
    }
    if asked(What::Growth) {
        let folder = report.folder.clone();
        report.add(&growth::rules(&loops, rounds, &folder)?)?;
        report.add(&growth::containers(&loops, rounds, &folder)?)?;
        report.add(&growth::events(&loops, extent.length, &folder)?)?;
    }
    println!("wrote {}", report.folder.display());
    Ok(())
}

/// A short run of all, of the daemon that was built.
pub(crate) fn short() -> Result<()> {
    bench(&Options {
        what: Vec::new(),
        rounds: 1,
        quick: true,
        peers: Vec::new(),
        no_build: true,
    })
}

/// Whether there are the rules that are measured.
pub(crate) fn has_rules() -> bool {
    Rules::All.files().is_ok()
}

impl Options {
    fn extent(&self) -> Extent {
        let (rounds, slices, slice_ms, idle, needles) = if self.quick {
            (1, 3, 100, 1, 5)
        } else {
            (self.rounds, 20, 100, 6, 100)
        };
        Extent {
            rounds,
            length: Length { slices, slice_ms },
            idle: Duration::from_secs(idle),
            needles,
        }
    }

    /// Nobody first: the others are compared with that.
    fn subjects(&self) -> Vec<Subject> {
        let ours = [Rules::Stable, Rules::All].map(Subject::Ours);
        let peers = self.peers.iter().cloned();
        std::iter::once(Subject::Nobody)
            .chain(ours)
            .chain(peers)
            .collect()
    }
}

/// Where results go.
struct Report {
    folder: PathBuf,
    /// What was measured on and when, a line.
    machine: String,
}

impl Report {
    /// Prints a part, and writes its two files.
    fn add(&self, part: &Part) -> Result<()> {
        let text = format!("# {}\n\n{}\n{}\n", part.title, part.text, self.machine);
        println!("\n{text}");
        let file = |ending| self.folder.join(format!("{}.{ending}", part.name));
        fs::write(file("md"), text)?;
        let json = json!({"machine": self.machine, "figures": part.json});
        Ok(fs::write(file("json"), format!("{json:#}\n"))?)
    }
}

fn machine(quick: bool) -> Result<String> {
    let date = shell::query(shell::without_outer_cargo("date").args(["-u", "+%F"]))?;
    let date = date.context("`date` does not run")?;
    let short = if quick {
        "; a short run, whose figures say little"
    } else {
        ""
    };
    Ok(format!(
        "On {}, {} MiB, {}, load average {} before it{short}.",
        machine::machine(),
        machine::memory_mib(),
        date.trim(),
        machine::load(),
    ))
}
