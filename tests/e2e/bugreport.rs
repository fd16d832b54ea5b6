//! `bugreport`, beside a daemon that watches: one archive, with its figures and without secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon;
use monitor_tests::{http, paths, skip_if};

use crate::actions::{Programs, succeed};
use crate::world::{WATCHING, configuration, is_watching};

#[test]
fn a_report_has_figures_and_no_secrets() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let port = http::free_port()?;
    let settings = format!(
        "metrics:\n  listen: 127.0.0.1:{port}\nstatic_fields: {{api_token: e2e-hidden, \
         site: e2e-shown, proxy: 'http://me:e2e-word@proxy/?key=e2e-word'}}\n"
    );
    let config = configuration(&programs, &settings)?;
    let policy = daemon::policy(programs.folder(), WATCHING)?;
    let arguments = ["--config".into(), config.clone(), "--policy".into(), policy];
    let mut daemon = daemon::Daemon::start(&arguments)?;
    is_watching(&mut daemon)?;

    let report = programs.folder().join("report.tar");
    let ask = || -> Result<Command> {
        let mut command = Command::new(paths::daemon()?);
        command.arg("bugreport").arg("--config").arg(&config);
        command.arg("--output").arg(&report);
        Ok(command)
    };
    let told = succeed(&mut ask()?)?;
    let told = String::from_utf8(told.stdout)?;
    println!("{told}");
    ensure!(told.ends_with("report.tar\n"), "{told}");
    let mode = fs::metadata(&report)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    let again = ask()?.output()?;
    ensure!(again.status.code() == Some(3), "it is not written over");

    let unpacked = tempfile::tempdir()?;
    let mut tar = Command::new("tar");
    tar.args(["--strip-components=1", "-xf"]).arg(&report);
    succeed(tar.arg("-C").arg(unpacked.path()))?;
    let text = |name: &str| fs::read_to_string(unpacked.path().join(name)).context(name.to_owned());
    ensure!(told.starts_with(&text("README.txt")?), "{told}");
    for (name, words) in [
        ("version.txt", "monitor-daemon 0."),
        ("doctor.txt", "exec"),
        ("config.yaml", "e2e-shown"),
        ("files.txt", "monitor.yaml: "),
        (
            "metrics.txt",
            "monitor_rule_matches_total{priority=\"Notice\",rule=\"needle\"} ",
        ),
        ("health.json", "\"status\":\""),
        ("kernel.txt", "== /proc/version\nLinux version "),
    ] {
        let text = text(name)?;
        ensure!(text.contains(words), "{name}:\n{text}");
        ensure!(told.contains(name), "{told}");
    }
    for file in fs::read_dir(unpacked.path())? {
        let text = fs::read_to_string(file?.path())?;
        ensure!(
            !text.contains("e2e-hidden") && !text.contains("e2e-word"),
            "{text}"
        );
    }
    daemon.stop().map(drop)
}
