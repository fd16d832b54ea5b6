//! The tables themselves: what they say, and how they are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

const BEGIN: &str = "<!-- written by `cargo xtask kernels --write` -->\n";
const END: &str = "<!-- end of what `cargo xtask kernels --write` writes -->\n";

/// How much a number of instructions may differ from the table, in percent: compilers change.
const OBJECT_MARGIN: u64 = 10;
/// How much more the verifier may have to look at, in percent: kernels of a series change.
const VERIFIED_MARGIN: u64 = 25;
/// Stands for functions whose names the compiler made up.
const INNER: &str = "inner functions";
/// Bytes of an instruction.
const INSTRUCTION: u64 = 8;

const HEAD: &str = "\
# Programs in the kernel

Written by `cargo xtask kernels --write`; `cargo xtask test` compares. *Instructions* are those of
the object, of which each kernel leaves out what it has no use for; the other columns are those that
the verifier of a kernel looks at (it refuses a program at 1,000,000), and behind them how long it
took to load the program, in ms: the verifier's time above all. Most of these kernels are emulated,
so times are not compared. `?` is for kernels that do not tell; an empty cell for programs that are
not loaded there, because the kernel takes none of their kind or has a better one.
`monitor-daemon doctor --programs` tells the same of any host.

";

/// Where a kernel runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine itself, whatever it is.
    #[default]
    Native,
    /// In a guest, of a series that the table has.
    Guest,
    /// In a guest, whichever is the newest today.
    Newest,
}

/// What the suite and `doctor --programs` said on a kernel.
#[derive(Debug, Default)]
pub(super) struct Run {
    place: Place,
    kernel: String,
    passed: u64,
    failed: u64,
    skipped: u64,
    /// How many kinds each tier serves; the last are served by none.
    tiers: [u64; 4],
    /// Verified instructions by program, `None` where the kernel does not tell.
    verified: BTreeMap<String, Option<u64>>,
    /// Time to load each, ms.
    times: BTreeMap<String, f64>,
    /// Time to load all, ms.
    time: f64,
}

impl Run {
    pub(super) fn new(place: Place, report: &Value) -> Self {
        let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or_default();
        let of_doctor = |name: &str| report.pointer(&format!("/programs/{name}"));
        let mut run = Self {
            place,
            kernel: of_doctor("kernel")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            passed: count("passed"),
            failed: count("failed"),
            skipped: count("skipped"),
            ..Self::default()
        };
        let kinds = of_doctor("kinds").and_then(Value::as_object);
        for tier in kinds.into_iter().flatten().map(|(_, tier)| tier.as_str()) {
            let [tracepoint, object, syscall, none] = &mut run.tiers;
            *match tier {
                Some("tracepoint") => tracepoint,
                Some("object") => object,
                Some(_) => syscall,
                None => none,
            } += 1;
        }
        let programs = of_doctor("programs").and_then(Value::as_array);
        for program in programs.into_iter().flatten() {
            let name = program
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let verified = program.get("verified").and_then(Value::as_u64);
            if let Some(time) = program.get("load_ms").and_then(Value::as_f64) {
                run.times.insert(name.to_owned(), time);
            }
            run.verified.insert(name.to_owned(), verified);
            run.time += program
                .get("ms")
                .and_then(Value::as_f64)
                .unwrap_or_default();
        }
        run
    }

    /// The first two numbers of the release, and the machine where it is another:
    /// `6.12` of `6.12.95+deb12-cloud-amd64`.
    fn series(&self) -> String {
        let mut points = self.kernel.match_indices('.');
        let end = points.nth(1).map_or(self.kernel.len(), |(at, _)| at);
        let numbers = self.kernel.get(..end).unwrap_or_default();
        let machine = if self.kernel.ends_with("-arm64") {
            " aarch64"
        } else {
            ""
        };
        format!("{numbers}{machine}")
    }

    /// What the table says of a program.
    fn cell(&self, name: &str) -> String {
        let count = match self.verified.get(name) {
            Some(Some(count)) => count.to_string(),
            Some(None) => "?".to_owned(),
            None => return String::new(),
        };
        match self.times.get(name) {
            Some(time) => format!("{count} ({time:.1})"),
            None => count,
        }
    }

    /// The cells that are compared.
    fn tiers(&self) -> String {
        self.tiers.map(|count| count.to_string()).join(" | ")
    }
}

/// The table of the README.
pub(super) fn kernels(runs: &[Run]) -> String {
    let mut text = String::from(
        "| Kernel | by tracepoints | object tier | syscall tier | unseen | cases passed | failed \
         | cannot run there | programs | loaded in |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for run in runs {
        let emulated = match run.place {
            Place::Native => "",
            Place::Guest | Place::Newest => ", emulated",
        };
        let _infallible = writeln!(
            text,
            "| {} ({}) | {} | {} | {} | {} | {} | {:.0} ms{emulated} |",
            run.series(),
            run.kernel,
            run.tiers(),
            run.passed,
            run.failed,
            run.skipped,
            run.verified.len(),
            run.time,
        );
    }
    text
}

/// The text with the table between its marks.
pub(super) fn replace(text: &str, table: &str) -> Result<String> {
    let marks = || format!("README.md needs the lines {BEGIN}and {END}");
    let (before, rest) = text.split_once(BEGIN).with_context(marks)?;
    let (_, after) = rest.split_once(END).with_context(marks)?;
    Ok([before, BEGIN, table, END, after].concat())
}

/// Kernels of which the README says other tiers than those found.
pub(super) fn other_tiers(readme: &str, runs: &[Run]) -> Vec<String> {
    let wrong = |run: &&Run| {
        let row = readme
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {} (", run.series())));
        // Not every machine has a kernel of the table, and tomorrow's newest is in none.
        match row.and_then(|row| row.split_once(") | ")) {
            Some((_, cells)) => !cells.starts_with(&format!("{} |", run.tiers())),
            None => run.place == Place::Guest,
        }
    };
    let wrong = runs.iter().filter(wrong);
    wrong
        .map(|run| {
            format!(
                "README.md: on {}, the tiers serve {} kinds",
                run.kernel,
                run.tiers()
            )
        })
        .collect()
}

/// The table of programs.
pub(super) fn programs(runs: &[Run], object: &BTreeMap<String, u64>) -> String {
    let mut text = String::from(HEAD);
    let series: Vec<String> = runs.iter().map(Run::series).collect();
    let _infallible = writeln!(
        text,
        "| Program | instructions | {} |\n|---|---|{}",
        series.join(" | "),
        "---|".repeat(runs.len())
    );
    for (name, size) in object {
        let cells = runs.iter().map(|run| run.cell(name));
        let cells: Vec<String> = cells.collect();
        let _infallible = writeln!(text, "| `{name}` | {size} | {} |", cells.join(" | "));
    }
    text
}

/// What differs from the table of programs.
pub(super) fn growth(known: &str, runs: &[Run], object: &BTreeMap<String, u64>) -> Vec<String> {
    let known = Known::read(known);
    let mut complaints = Vec::new();
    let names: BTreeSet<&String> = known.cells.keys().chain(object.keys()).collect();
    for name in names {
        match (known.number(name, "instructions"), object.get(name)) {
            (Some(told), Some(found)) if found.abs_diff(told) * 100 <= told * OBJECT_MARGIN => {}
            (told, found) => complaints.push(format!(
                "`{name}` has {} instructions, and {} by docs/reference/programs.md",
                found.map_or("no".to_owned(), u64::to_string),
                told.map_or("none".to_owned(), |told| told.to_string()),
            )),
        }
    }
    for run in runs {
        for (name, found) in &run.verified {
            // What this machine's own kernel takes is its own affair.
            if run.place != Place::Native && known.cell(name, &run.series()) == Some("") {
                complaints.push(format!(
                    "on {}, `{name}` is loaded, and not by docs/reference/programs.md",
                    run.kernel
                ));
            }
            if let (Some(told), Some(found)) = (known.number(name, &run.series()), found)
                && *found * 100 > told * (100 + VERIFIED_MARGIN)
            {
                complaints.push(format!(
                    "on {}, the verifier looks at {found} instructions of `{name}`, and at {told} \
                     by docs/reference/programs.md",
                    run.kernel
                ));
            }
        }
    }
    complaints
}

/// The table of programs as it was read.
struct Known<'t> {
    columns: Vec<&'t str>,
    cells: BTreeMap<String, Vec<&'t str>>,
}

impl<'t> Known<'t> {
    fn read(text: &'t str) -> Self {
        let mut rows = text.lines().filter_map(|line| {
            let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
            Some(row.split(" | ").map(str::trim).collect::<Vec<_>>())
        });
        let columns = rows.next().unwrap_or_default();
        let cells =
            rows.filter_map(|row| Some((row.first()?.trim_matches('`').to_owned(), row.clone())));
        Self {
            columns,
            cells: cells.collect(),
        }
    }

    fn cell(&self, program: &str, column: &str) -> Option<&'t str> {
        let at = self.columns.iter().position(|name| *name == column)?;
        self.cells.get(program)?.get(at).copied()
    }

    /// The number that a cell begins with.
    fn number(&self, program: &str, column: &str) -> Option<u64> {
        let words = self.cell(program, column)?.split(' ').next();
        words?.parse().ok()
    }
}

/// Functions and their instructions, from a listing of symbols; those without a name of their own,
/// which are parts of the others, in one sum.
pub(super) fn functions(listing: &str) -> BTreeMap<String, u64> {
    let function = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, size, "FUNC", .., name] = words.as_slice() else {
            return None;
        };
        let size: u64 = size.parse().ok()?;
        Some(((*name).to_owned(), size / INSTRUCTION))
    };
    let mut functions = BTreeMap::new();
    for (name, size) in listing.lines().filter_map(function) {
        let name = if name.starts_with("_R") { INNER } else { &name };
        *functions.entry(name.to_owned()).or_default() += size;
    }
    functions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(verified: u64) -> Run {
        let programs = json!({
            "kernel": "6.12.95+deb12-cloud-amd64",
            "kinds": {"exec": "tracepoint", "open": "object", "call": "syscall", "keys": null},
            "programs": [{"name": "exec", "verified": verified, "load_ms": 1.9, "ms": 2.4}],
        });
        let report = json!({"passed": 30, "failed": 0, "skipped": 4, "programs": programs});
        Run::new(Place::Guest, &report)
    }

    #[test]
    fn a_row_of_the_readme() {
        let row = "| 6.12 (6.12.95+deb12-cloud-amd64) | 1 | 1 | 1 | 1 | 30 | 0 | 4 | 1 \
                   | 2 ms, emulated |\n";
        let table = kernels(&[run(10)]);
        assert!(table.ends_with(row), "{table}");
        assert_eq!(other_tiers(&table, &[run(10)]), Vec::<String>::new());
        assert_eq!(
            other_tiers(&table.replace("| 1 | 1", "| 2 | 0"), &[run(10)]).len(),
            1
        );
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(
            replace(&text, "new\n").unwrap(),
            format!("a\n{BEGIN}new\n{END}b\n")
        );
    }

    #[test]
    fn a_kernel_that_has_no_row_may_be_the_newest() {
        for (place, complaints) in [(Place::Guest, 1), (Place::Newest, 0), (Place::Native, 0)] {
            let found = other_tiers("", &[Run { place, ..run(10) }]);
            assert_eq!(found.len(), complaints, "{place:?}: {found:?}");
        }
    }

    #[test]
    fn another_machine_has_rows_of_its_own() {
        let arm = Run {
            kernel: "6.12.95+deb12-cloud-arm64".to_owned(),
            ..run(10)
        };
        assert_eq!(
            (arm.series().as_str(), run(10).series().as_str()),
            ("6.12 aarch64", "6.12")
        );
    }

    #[test]
    fn growth_is_seen_beyond_the_margins() {
        let object = |size| BTreeMap::from([("exec".to_owned(), size)]);
        let table = programs(&[run(1000)], &object(100));
        for (size, verified, complaints) in [
            (100, 1000, 0),
            (110, 1250, 0),
            (111, 1000, 1),
            (89, 1000, 1),
            (100, 1251, 1),
        ] {
            let found = growth(&table, &[run(verified)], &object(size));
            assert_eq!(found.len(), complaints, "{size} {verified}: {found:?}");
        }
        let row = "| `exec` | 100 | 1000 (1.9) |\n";
        assert!(table.ends_with(row), "{table}");
        let unloaded = table.replace("1000 (1.9)", "");
        assert_eq!(growth(&unloaded, &[run(1000)], &object(100)).len(), 1);
        let native = Run {
            place: Place::Native,
            ..run(1000)
        };
        assert_eq!(growth(&unloaded, &[native], &object(100)).len(), 0);
        let mut more = object(100);
        more.insert("new".to_owned(), 5);
        assert_eq!(growth(&table, &[], &more).len(), 1);
        assert_eq!(growth(&table, &[], &BTreeMap::new()).len(), 1);
    }

    #[test]
    fn symbols_that_are_functions() {
        let listing = "   Num:    Value          Size Type    Bind   Vis       Ndx Name\n\
                       12: 0000000000000000  1600 FUNC    GLOBAL DEFAULT     3 sys_exit\n\
                       13: 0000000000000000     4 OBJECT  GLOBAL DEFAULT     4 HOME\n";
        assert_eq!(
            functions(listing),
            BTreeMap::from([("sys_exit".to_owned(), 200)])
        );
    }
}
