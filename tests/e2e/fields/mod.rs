//! Every field that upstream's rules use, in conditions or outputs, has the right value: for new
//! processes, other threads than the main one, processes that are gone before the daemon looks, and
//! processes older than it; on the host and in containers.
//!
//! What is right comes from `/proc`, from files and from what the case does (`process.rs`); `rows.rs`
//! has a row for each field, `acts.rs` what the processes do. The arguments of all calls are
//! `records`' subject.

mod acts;
mod process;
mod rows;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, ensure};
use monitor_policy::{FieldArg, FieldRef, Options, RulesFile, Selected, Switch, load};
use monitor_tests::daemon::{self, Daemon, Mark, field, is_from};
use monitor_tests::docker::{self, Dockerd};
use monitor_tests::tree::Tree;
use monitor_tests::{c, paths, skip, skip_if, wait};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::actions::Programs;
use crate::records;
use crate::world::{PATIENCE, docker_settings, watch};
use acts::{ACTS, BEGIN, EXEC, Script};
use process::{Container, Facts, Place, Situation};
use rows::{At, ROWS, TESTED};

const REPOSITORY: &str = "registry.example/team/fields";
const POD: [&str; 2] = ["shop", "web-1"];

/// One rule an act, which prints all fields, and one a test of what cannot be printed.
fn rules() -> String {
    let fields: BTreeSet<&str> = ROWS.iter().map(|row| row.field).collect();
    let fields: Vec<String> = fields.iter().map(|name| format!("%{name}")).collect();
    let condition = |name: &str| {
        let act = ACTS.iter().find(|act| act.name == name);
        let by = match name {
            BEGIN | EXEC => "",
            _ => " and proc.exepath endswith /e2e-calls",
        };
        format!("{}{by}", act.map_or("", |act| act.condition))
    };
    let mut text = String::new();
    let mut rule = |name: &str, condition: &str, fields: &str| {
        let _ = writeln!(
            text,
            "- rule: {name}\n  desc: an act\n  condition: {condition}\n  output: it did %thread.tid \
             {fields}\n  priority: NOTICE",
        );
    };
    for act in &ACTS {
        rule(act.name, &condition(act.name), &fields.join(" "));
    }
    for (field, act, tested) in TESTED {
        rule(field, &format!("{} and {tested}", condition(act)), "");
    }
    text
}

/// A folder with the programs and scripts of the processes.
fn stage() -> Result<Programs> {
    let programs = Programs::new()?;
    let folder = programs.folder();
    open_to_all(folder)?;
    let program = folder.join(records::PROGRAM);
    c::provide(&program, records::compile)?;
    fs::copy(&program, folder.join("e2e-last"))?;
    programs.copy("sh")?;
    let fifo = |name: &str| -> Result<()> {
        mkfifoat(CWD, folder.join(name), Mode::from_raw_mode(0o666))?;
        open_to_all(&folder.join(name))
    };
    fifo("end")?;
    for situation in [&Situation::NEW[..], &[Situation::Older]].concat() {
        let name = situation.name();
        fs::create_dir(folder.join(name))?;
        open_to_all(&folder.join(name))?;
        fifo(&format!("{name}/start"))?;
        fifo(&format!("{name}/go"))?;
    }
    Ok(programs)
}

fn open_to_all(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o777),
    )?)
}

/// Writes what the two shells run that start these processes, and gives the outer one's script. It
/// stays until it is killed, for a container's users are read from its files, which go with it.
fn shells(place: &Place, name: &str, situations: &[Situation]) -> Result<String> {
    let inside = &place.inside;
    let lines = situations
        .iter()
        .map(|situation| Facts::line_of_shell(*situation, place));
    let inner: String = lines.collect();
    fs::write(place.folder.join(format!("{name}-inner")), inner)?;
    let (shell, before) = match place.container {
        // By its path: what is asked for by name busybox runs as `exe`, and renames itself then.
        Some(_) => ("/bin/sh".to_owned(), "cp /bin/e2e-calls /home/e2e-last; "),
        None => (format!("{inside}/sh"), ""),
    };
    let outer = format!("{before}{shell} {inside}/{name}-inner; read x < {inside}/end\n");
    fs::write(place.folder.join(name), outer)?;
    Ok(format!("{inside}/{name}"))
}

/// Lets one that opens a fifo go on.
fn pass(fifo: &Path) -> Result<()> {
    wait::until(&format!("somebody at {}", fifo.display()), PATIENCE, || {
        let mut options = fs::File::options();
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        match options.write(true).custom_flags(flags).open(fifo) {
            Ok(_) => Ok(Some(())),
            Err(error) if error.raw_os_error() == Some(NO_READER) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

/// Whether what was read of a process could not be for it had ended: `/proc` says either.
fn is_gone(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
    )
}

/// `ENXIO`
const NO_READER: i32 = 6;

/// A process that waits for its acts.
struct Waiting {
    facts: Facts,
    script: Script,
}

impl Waiting {
    /// Lets the shell start it, and looks at it once it waits.
    fn start(situation: Situation, place: &Place) -> Result<Self> {
        let mut facts = Facts::expected(situation, place);
        let script = Script::of(&facts);
        let folder = facts.folder();
        fs::write(folder.join("script"), &script.text)?;
        pass(&folder.join("start"))?;
        wait::until("the process at its fifo", PATIENCE, || {
            let printed = fs::read_to_string(folder.join("results")).unwrap_or_default();
            Ok((printed.lines().count() >= script.before).then_some(()))
        })?;
        // What it started before may be about to end, and is not there then when it is looked at.
        let mut gone = None;
        wait::until("a look at the process", PATIENCE, || match facts.look() {
            Ok(()) => Ok(Some(())),
            Err(error) if is_gone(&error) => {
                gone = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        })
        .with_context(|| format!("{gone:?}"))?;
        Ok(Self { facts, script })
    }

    /// Has it act, to its end.
    fn act(mut self) -> Result<Facts> {
        let folder = self.facts.folder();
        pass(&folder.join("go")).with_context(|| {
            let script = &self.script.text;
            let printed = fs::read_to_string(folder.join("results"));
            format!("{printed:?} of {script}")
        })?;
        let own = format!("/proc/{}", self.facts.pid);
        wait::until("the end of the process", PATIENCE, || {
            Ok((!Path::new(&own).exists()).then_some(()))
        })?;
        let printed = fs::read_to_string(folder.join("results"))?;
        self.facts.results = self.script.results(&printed);
        Ok(self.facts)
    }
}

/// The new processes of a place, one after the other.
fn act_new(place: &Place, daemon: &Daemon) -> Result<Vec<Facts>> {
    let pid = Pid::from_raw(daemon.pid().cast_signed()).context("no pid")?;
    let mut all = Vec::new();
    for situation in Situation::NEW {
        let unseen = situation == Situation::Short;
        if unseen {
            kill_process(pid, Signal::STOP)?;
        }
        let done = Waiting::start(situation, place).and_then(Waiting::act);
        if unseen {
            kill_process(pid, Signal::CONT)?;
        }
        all.push(done.with_context(|| format!("{situation:?}"))?);
    }
    Ok(all)
}

/// Compares what was told of the processes with what is true of them.
fn compare(daemon: &mut Daemon, mark: Mark, all: &[Facts]) -> Result<()> {
    let is = |alert: &Value, rule: &str, thread: u32| {
        is_from(alert, rule) && field(alert, "thread.tid") == Some(thread.to_string())
    };
    for facts in all {
        let what = format!("the last of {:?}", facts.situation);
        daemon.wait_for_since(mark, &what, PATIENCE, |alert| is(alert, EXEC, facts.pid))?;
    }
    let alerts = daemon.alerts_since(mark)?;
    let mut wrong = Vec::new();
    for facts in all {
        let after = facts.afterwards();
        let acts = ACTS.iter().map(|act| act.name);
        for rule in acts.chain(TESTED.iter().map(|(field, _, _)| *field)) {
            if rule == BEGIN && facts.situation == Situation::Older {
                continue;
            }
            let thread = if rule == BEGIN { facts.pid } else { facts.tid };
            let facts = if rule == EXEC { &after } else { facts };
            let thread = if rule == EXEC { after.tid } else { thread };
            match alerts.iter().find(|alert| is(alert, rule, thread)) {
                Some(alert) => differences(alert, facts, rule, &mut wrong),
                None => wrong.push(format!("no alert of {rule} of {:?}", facts.situation)),
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn differences(alert: &Value, facts: &Facts, act: &str, wrong: &mut Vec<String>) {
    let time = alert["output_fields"]["evt.time"].as_u64().unwrap_or(0);
    let printed = ACTS.iter().any(|known| known.name == act);
    let rows = ROWS.iter().filter(|row| match row.at {
        At::All => printed,
        At::Later => printed && act != BEGIN,
        At::These(acts) => acts.contains(&act),
    });
    for row in rows {
        let expected = (row.expected)(facts);
        let found = field(alert, row.field);
        if !expected.fits(found.as_deref(), time.into()) {
            let situation = facts.situation;
            wrong.push(format!(
                "{} at {act} of {situation:?}: {found:?}, not {expected:?}",
                row.field
            ));
        }
    }
}

/// A group of processes of the host that ends with the case.
struct Outer(Child);

impl Drop for Outer {
    fn drop(&mut self) {
        // The inner shell too; both may have come to their ends by themselves.
        let _ended = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _status = self.0.wait();
    }
}

#[test]
fn each_field_is_right_on_the_host() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["busybox", "setsid"]));
    skip_if!(c::obstacle(records::PROGRAM));
    let programs = stage()?;
    let mut place = Place {
        folder: programs.folder().to_owned(),
        inside: programs.folder().display().to_string(),
        container: None,
        outer: 0,
    };
    let outer = |place: &mut Place, name: &str, situations: &[Situation]| -> Result<Outer> {
        let script = shells(place, name, situations)?;
        let outer = programs.copy("e2e-outer")?;
        // A session of its own, for that of these tests may have no leader any more.
        let mut shell = Command::new("setsid");
        shell.args(["busybox", "sh", "-c", "exec -a sh \"$0\" \"$1\""]);
        let child = shell.arg(outer).arg(script).spawn()?;
        place.outer = child.id();
        Ok(Outer(child))
    };
    let _old = outer(&mut place, "old", &[Situation::Older])?;
    let older = Waiting::start(Situation::Older, &place)?;
    let mut daemon = watch(&programs, &rules(), "rule_matching: all\n")?;
    let mark = daemon.mark()?;
    let _new = outer(&mut place, "new", &Situation::NEW)?;
    let mut all = act_new(&place, &daemon)?;
    all.push(older.act()?);
    compare(&mut daemon, mark, &all)
}

/// A container whose shell starts the processes of these situations.
fn container(
    docker: &Dockerd,
    place: &Place,
    name: &str,
    situations: &[Situation],
    options: &[&str],
) -> Result<Place> {
    let mut place = place.clone();
    let script = shells(&place, name, situations)?;
    let volume = format!("{}:/e2e", place.folder.display());
    let label = format!("e2e-fields-{name}");
    let mut arguments = vec!["run", "-d", "--network", "none", "--name", &label];
    arguments.extend(["--volume", &volume]);
    arguments.extend(options);
    let image = format!("{REPOSITORY}:v1");
    arguments.extend([&*image, "sh", &script]);
    let id = docker.text(&arguments)?;
    place.outer = docker
        .text(&["inspect", "-f", "{{.State.Pid}}", &label])?
        .parse()?;
    let known = place.container.as_mut().context("the host")?;
    known.id = id;
    known.privileged = options.contains(&"--privileged");
    known.pod = (!known.privileged).then_some(POD);
    known.start = process::start(place.outer)?;
    Ok(place)
}

#[test]
fn each_field_is_right_in_containers() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(docker::obstacle());
    skip_if!(skip::without(&["gcc"]));
    let docker = Dockerd::start()?;
    let programs = stage()?;
    let tree = Tree::busybox()?;
    tree.file(
        "/bin/e2e-calls",
        fs::read(programs.folder().join("e2e-calls"))?,
    )?
    .mode("/bin/e2e-calls", 0o755)?;
    docker.import_image(&format!("{REPOSITORY}:v1"), &tree)?;
    let place = Place {
        folder: programs.folder().to_owned(),
        inside: "/e2e".to_owned(),
        container: Some(Container::default()),
        outer: 0,
    };
    let options = ["--runtime", docker::LEAN_RUNTIME, "--privileged"];
    let old = container(&docker, &place, "old", &[Situation::Older], &options)?;
    let older = Waiting::start(Situation::Older, &old)?;
    let settings = format!("rule_matching: all\n{}", docker_settings(&docker));
    let mut daemon = watch(&programs, &rules(), &settings)?;
    let mark = daemon.mark()?;
    let labels = ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name"];
    let labels: Vec<String> = labels
        .iter()
        .zip(POD)
        .map(|(label, value)| format!("--label={label}={value}"))
        .collect();
    let options: Vec<&str> = labels.iter().map(String::as_str).collect();
    let new = container(&docker, &place, "new", &Situation::NEW, &options)?;
    let mut all = act_new(&new, &daemon)?;
    all.push(older.act()?);
    compare(&mut daemon, mark, &all)
}

/// Each field that upstream's rules use today, rules that are off included, has a row.
#[test]
fn every_field_of_upstream_rules_has_a_row() -> Result<()> {
    let Some(folder) = paths::upstream_rules() else {
        skip_if!(Some(
            "upstream's rules are not beside the checkout".to_owned()
        ));
        return Ok(());
    };
    let rows = ROWS.iter().map(|row| row.field);
    let tested = TESTED.iter().map(|(field, _, _)| *field);
    // An index or key stands for all of them.
    let known: BTreeSet<&str> = rows
        .chain(tested)
        .map(|field| field.split('[').next().unwrap_or(field))
        .collect();
    let options = Options {
        switches: vec![Switch {
            enabled: true,
            rules: Selected::Named("*".to_owned()),
        }],
        ..Options::default()
    };
    let mut used = BTreeSet::new();
    for tier in ["falco", "falco-incubating", "falco-sandbox"] {
        let name = format!("{tier}_rules.yaml");
        let text = fs::read_to_string(folder.join(&name))?;
        let files = [RulesFile {
            name: &name,
            text: &text,
        }];
        let policy = load(&files, &options).policy.context(name.clone())?;
        used.extend(policy.fields().map(name_of));
    }
    println!("{} fields of upstream's rules", used.len());
    let missing: Vec<&String> = used
        .iter()
        .filter(|field| !known.contains(field.as_str()))
        .collect();
    ensure!(missing.is_empty(), "no row for {missing:?}");
    Ok(())
}

/// A field with the name of an argument of a call, but without index or key.
fn name_of(field: &FieldRef) -> String {
    match &field.arg {
        Some(FieldArg::Key(key)) if field.field.name().starts_with("evt.") => {
            format!("{}.{key}", field.field.name())
        }
        _ => field.field.name().to_owned(),
    }
}
