//! Kinds of events, a rule each: what the cases of `sockets` and `namespaces` share.
//!
//! An action is a piece of perl, whose `syscall` reaches every call. It runs in the same way on the
//! host and in a container.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{Daemon, is_from};
use monitor_tests::docker::Dockerd;
use monitor_tests::tree::Tree;
use serde_json::{Value, json};

use crate::actions::{Programs, succeed};
use crate::world::{PATIENCE, assert_fields, docker_settings, watch};

const FENCE: &str = "the fence";

/// One kind of event.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Name of its rule.
    pub(crate) rule: &'static str,
    pub(crate) condition: &'static str,
    /// Perl that the rule fires on, once.
    pub(crate) act: &'static str,
    /// Fields of the alert.
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// Perl that does nearly the same.
    pub(crate) innocent: &'static str,
}

/// A word in the arguments of what the rules are about, so that no other perl fires them.
pub(crate) fn word() -> String {
    format!("e2e-kinds-{}", std::process::id())
}

/// A rule for each case, and one for the fence.
fn rules(cases: &[Case]) -> String {
    let word = word();
    let mut text = format!(
        "- rule: {FENCE}\n  desc: the fence\n  condition: evt.type = execve and proc.args = \
         {word}-fence\n  output: fence\n  priority: NOTICE\n"
    );
    for case in cases {
        let fields = case.fields.iter().map(|(name, _)| format!("%{name}"));
        let fields: Vec<String> = fields.collect();
        let _ = writeln!(
            text,
            "- rule: {}\n  desc: a case\n  condition: {} and proc.cmdline endswith {word}\n  \
             output: it did {} | container=%container.name image=%container.image.repository\n  \
             priority: NOTICE",
            case.rule,
            case.condition,
            fields.join(" "),
        );
    }
    text
}

/// A program that does an action.
fn perl(action: &str) -> Command {
    let mut command = Command::new("perl");
    command.args(["-e", action, &word()]);
    command
}

/// Does what a case is about, then what it is not about; `run` makes the command of an action.
/// Gives the alert.
fn check(daemon: &mut Daemon, case: &Case, run: impl Fn(&str) -> Command) -> Result<Value> {
    let mark = daemon.mark()?;
    succeed(&mut run(case.innocent))?;
    succeed(&mut run(case.act))?;
    let alert =
        daemon.wait_for_since(mark, case.rule, PATIENCE, |alert| is_from(alert, case.rule))?;
    has_fields(&alert, case);
    let fence = format!("{}-fence", word());
    succeed(Command::new("/bin/true").arg(fence))?;
    daemon.wait_for_since(mark, FENCE, PATIENCE, |alert| is_from(alert, FENCE))?;
    let alerts = daemon.alerts_since(mark)?;
    let count = alerts
        .iter()
        .filter(|alert| is_from(alert, case.rule))
        .count();
    ensure!(count == 1, "{count} alerts of `{}`: {alerts:#?}", case.rule);
    Ok(alert)
}

#[track_caller]
fn has_fields(alert: &Value, case: &Case) {
    for (name, expected) in case.fields {
        let found = match &alert["output_fields"][*name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(found, *expected, "{name} of `{}` in {alert:#}", case.rule);
    }
}

/// All cases on this host, with a daemon of their own.
pub(crate) fn check_on_this_host(cases: &[Case]) -> Result<()> {
    let programs = Programs::new()?;
    let mut daemon = watch(&programs, &rules(cases), "rule_matching: all\n")?;
    for case in cases {
        check(&mut daemon, case, perl)?;
    }
    Ok(())
}

/// The same of some cases in a container of an image with perl; `options` are further ones of
/// `docker run`.
pub(crate) fn check_in_container(
    cases: &[Case],
    of_rules: &[&str],
    repository: &str,
    options: &[&str],
) -> Result<()> {
    let image = format!("{repository}:v1");
    let docker = Dockerd::start()?;
    let tree = Tree::busybox()?;
    tree.program("/usr/bin/perl", Path::new("/usr/bin/perl"))?;
    docker.import_image(&image, &tree)?;
    let programs = Programs::new()?;
    let settings = format!("rule_matching: all\n{}", docker_settings(&docker));
    let mut daemon = watch(&programs, &rules(cases), &settings)?;
    for rule in of_rules {
        let case = cases.iter().find(|case| case.rule == *rule);
        let case = case.with_context(|| format!("no case is about `{rule}`"))?;
        let name = format!("e2e-{rule}");
        let run = |action: &str| {
            let mut command = docker.command(&["run", "--rm", "--network", "none"]);
            command.args(options).args(["--name", &name, &image]);
            command.args(["perl", "-e", action, &word()]);
            command
        };
        let alert = check(&mut daemon, case, run)?;
        came_from(&alert, &name, repository);
    }
    Ok(())
}

/// Which container an alert came from.
#[track_caller]
fn came_from(alert: &Value, container: &str, repository: &str) {
    let fields = [
        ("container.name", json!(container)),
        ("container.image.repository", json!(repository)),
    ];
    assert_fields(alert, &fields);
}
