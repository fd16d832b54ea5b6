//! `dist`: the daemon as one archive, to be unpacked into the root of any Linux host of this
//! architecture.
//!
//! The program is static, so it asks nothing of the host's C library. The archive holds plain
//! files in the places of a system package; folders that belong to the host are left out, so that
//! unpacking changes none of their modes. The same sources give the same bytes: names are sorted,
//! owner, times and modes fixed, paths of the building machine cut off.

mod deb;
mod licences;
mod rpm;
mod stage;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::{shell, workspace};
use stage::Stage;

/// Where packages put what is only read.
const SHARE: &str = "usr/share/monitor-daemon";
const DOCUMENTS: &str = "usr/share/doc/monitor-daemon";

/// Makes a package of what is staged, in a folder.
type Pack = fn(&Stage, &Path) -> Result<PathBuf>;

/// Leaves `target/dist/monitor-daemon-VERSION-x86_64.tar.gz` and its checksum, and where there is
/// `dpkg-deb` or `rpmbuild` the same as a package of theirs.
pub(crate) fn dist() -> Result<()> {
    setup::setup(Level::Build)?;
    build::build(Profile::Release)?;
    let program = workspace::daemon();
    let folder = workspace::target().join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let stage = Stage::new(folder.join("root"))?;
    fill(&stage, &program)?;
    let name = format!("monitor-daemon-{}-x86_64.tar.gz", env!("CARGO_PKG_VERSION"));
    pack(&stage, &folder.join(&name))?;
    checksum(&folder, &name)?;
    // Debian's last, as it adds to the stage.
    for (tool, pack) in [("rpmbuild", rpm::pack as Pack), ("dpkg-deb", deb::pack)] {
        if shell::query(Command::new(tool).arg("--version")).is_ok_and(|said| said.is_some()) {
            let package = pack(&stage, &folder)?;
            let name = package.file_name().unwrap_or_default().to_string_lossy();
            checksum(&folder, &name)?;
        } else {
            println!("one package less: `{tool}` is missing");
        }
    }
    fs::remove_dir_all(folder.join("root"))?;
    Ok(())
}

/// Writes the checksum of a file beside it.
fn checksum(folder: &Path, name: &str) -> Result<()> {
    let sum = shell::query(Command::new("sha256sum").arg(name).current_dir(folder))?;
    let sum = sum.context("`sha256sum` failed")?;
    fs::write(folder.join(format!("{name}.sha256")), &sum)?;
    println!("{}\n{}", folder.join(name).display(), sum.trim_end());
    Ok(())
}

/// Puts everything in its place.
fn fill(stage: &Stage, program: &Path) -> Result<()> {
    let root = workspace::root();
    let packaging = root.join("packaging");
    stage
        .program("usr/bin/monitor-daemon", program)?
        .copy(
            "usr/lib/systemd/system/monitor-daemon.service",
            &packaging.join("systemd/monitor-daemon.service"),
        )?
        .copy(
            "usr/lib/sysusers.d/monitor-daemon.conf",
            &packaging.join("systemd/sysusers.conf"),
        )?
        .copy(
            "etc/logrotate.d/monitor-daemon",
            &packaging.join("logrotate/monitor-daemon"),
        )?
        .folder("etc/monitor/conf.d")?
        .file("etc/monitor/monitor.yaml", &configuration(program)?)?
        .copy(
            &format!("{DOCUMENTS}/INSTALL.md"),
            &packaging.join("INSTALL.md"),
        )?
        .copy(
            &format!("{DOCUMENTS}/fleet.md"),
            &root.join("docs/fleet.md"),
        )?
        .copy(&format!("{DOCUMENTS}/LICENSE"), &root.join("LICENSE"))?;
    beside(stage, &packaging)?;
    for name in ["LICENSE-MIT", "LICENSE-GPL"] {
        let source = root.join("monitor-ebpf").join(name);
        stage.copy(&format!("{DOCUMENTS}/kernel-programs/{name}"), &source)?;
    }
    stage.file(
        &format!("{DOCUMENTS}/THIRD-PARTY.txt"),
        licences::of_dependencies()?.as_bytes(),
    )?;
    policies(stage)?;
    completions(stage, program)?;
    manuals(stage, program)
}

/// What a host may use beside the daemon: rules for Prometheus, a dashboard, manifests, and the script
/// that fetches policies.
fn beside(stage: &Stage, packaging: &Path) -> Result<()> {
    for name in [
        "monitor-daemon.rules.yaml",
        "monitor-daemon.rules.test.yaml",
    ] {
        let source = packaging.join("prometheus").join(name);
        stage.copy(&format!("{SHARE}/prometheus/{name}"), &source)?;
    }
    stage.program(
        &format!("{SHARE}/fleet/monitor-policies"),
        &packaging.join("fleet/monitor-policies"),
    )?;
    for name in ["monitor-policies.service", "monitor-policies.timer"] {
        let source = packaging.join("fleet").join(name);
        stage.copy(&format!("{SHARE}/fleet/{name}"), &source)?;
    }
    stage.copy(
        &format!("{SHARE}/grafana/monitor-daemon.json"),
        &packaging.join("grafana/monitor-daemon.json"),
    )?;
    for entry in fs::read_dir(packaging.join("kubernetes"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        stage.copy(&format!("{SHARE}/kubernetes/{name}"), &path)?;
    }
    Ok(())
}

/// The default configuration; as a service the daemon prints JSON, which is what collectors of
/// the journal expect.
fn configuration(program: &Path) -> Result<Vec<u8>> {
    let text = output(program, &["reference", "default-configuration"])?;
    let mut text = String::from_utf8(text)?;
    for (commented, written) in [
        ("#alerts:\n", "alerts:\n"),
        ("#  stdout: text\n", "  stdout: json\n"),
    ] {
        ensure!(
            text.matches(commented).count() == 1,
            "the default configuration has not one line `{}`",
            commented.trim_end()
        );
        text = text.replace(commented, written);
    }
    Ok(text.into_bytes())
}

/// For reading, and to copy from: the program has the same inside.
fn policies(stage: &Stage) -> Result<()> {
    for entry in fs::read_dir(workspace::root().join("policies"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            stage.copy(&format!("{SHARE}/policies/{name}"), &path)?;
        }
    }
    Ok(())
}

fn completions(stage: &Stage, program: &Path) -> Result<()> {
    for (shell, path) in [
        (
            "bash",
            "usr/share/bash-completion/completions/monitor-daemon",
        ),
        ("zsh", "usr/share/zsh/site-functions/_monitor-daemon"),
        // Debian's zsh does not look at the above.
        ("zsh", "usr/share/zsh/vendor-completions/_monitor-daemon"),
        (
            "fish",
            "usr/share/fish/vendor_completions.d/monitor-daemon.fish",
        ),
    ] {
        stage.file(path, &output(program, &["completion", shell])?)?;
    }
    Ok(())
}

fn manuals(stage: &Stage, program: &Path) -> Result<()> {
    let folder = workspace::target().join("dist/man");
    let path = folder
        .to_str()
        .context("the target folder's path is no text")?;
    output(program, &["man", path])?;
    for entry in fs::read_dir(&folder)? {
        let page = entry?.path();
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let packed = output(Path::new("gzip"), &["-9nc", &page.to_string_lossy()])?;
        stage.file(&format!("usr/share/man/man1/{name}.gz"), &packed)?;
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Packs the files of the stage, and those folders that are ours.
fn pack(stage: &Stage, archive: &Path) -> Result<()> {
    let ours = |name: &&String| !name.ends_with('/') || name.contains("monitor");
    let names: Vec<String> = stage.names()?.iter().filter(ours).cloned().collect();
    let list = archive.with_extension("list");
    fs::write(&list, names.join("\n"))?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=gnu", "--no-recursion", "--mtime=@0"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        .arg("--directory")
        .arg(stage.root())
        .arg("--file")
        .arg(archive.with_extension(""))
        .args(["--verbatim-files-from", "--files-from"])
        .arg(&list);
    shell::run(&mut tar)?;
    shell::run(
        Command::new("gzip")
            .arg("-9n")
            .arg(archive.with_extension("")),
    )?;
    fs::remove_file(list)?;
    Ok(())
}

/// What a program prints; it must succeed.
fn output(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = shell::without_outer_cargo(program);
    command.args(arguments).stdin(Stdio::null());
    shell::announce(&command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", program.display()))?;
    if !output.status.success() {
        let signal = output
            .status
            .signal()
            .map(|signal| format!(" by signal {signal}"));
        bail!(
            "`{}` failed{}",
            shell::line(&command),
            signal.unwrap_or_default()
        );
    }
    Ok(output.stdout)
}
