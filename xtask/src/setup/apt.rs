//! Debian packages: which are missing, and installing them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::source::Source;
use crate::shell;

const RELEASE: &str = "/etc/os-release";

/// Something a Debian package provides.
#[derive(Clone)]
pub(super) struct Need {
    package: Cow<'static, str>,
    check: Check,
}

#[derive(Clone)]
enum Check {
    /// The package itself is installed.
    Installed,
    /// The package is installed in this version or a later one.
    AtLeast(&'static str),
    /// A program of this name exists, from whatever source.
    Program(&'static str),
}

impl Need {
    /// The package in any version.
    pub(super) const fn package(name: &'static str) -> Self {
        Self {
            package: Cow::Borrowed(name),
            check: Check::Installed,
        }
    }

    /// The package in any version, for a name that is computed.
    pub(super) fn named(name: String) -> Self {
        Self {
            package: Cow::Owned(name),
            check: Check::Installed,
        }
    }

    /// The package in `version` or later.
    pub(super) const fn at_least(name: &'static str, version: &'static str) -> Self {
        Self {
            package: Cow::Borrowed(name),
            check: Check::AtLeast(version),
        }
    }

    /// A program that `package` brings where nobody else did. A machine may have Docker from
    /// elsewhere, and Debian's package would push that out.
    pub(super) const fn program(name: &'static str, package: &'static str) -> Self {
        Self {
            package: Cow::Borrowed(package),
            check: Check::Program(name),
        }
    }

    fn accepts(&self, version: &str) -> bool {
        match self.check {
            Check::AtLeast(wanted) => at_least(version, wanted),
            Check::Installed | Check::Program(_) => true,
        }
    }

    fn wanted(&self) -> String {
        match self.check {
            Check::AtLeast(version) => format!("{} {version} or later", self.package),
            Check::Installed | Check::Program(_) => self.package.to_string(),
        }
    }
}

/// Installs the packages behind those `needs` that are not met.
pub(super) fn install(needs: &[Need]) -> Result<()> {
    let missing = missing(needs)?;
    if missing.is_empty() {
        return Ok(());
    }
    let packages: BTreeSet<&str> = missing.iter().map(|need| need.package.as_ref()).collect();
    let list = packages.iter().copied().collect::<Vec<_>>().join(" ");
    if shell::find("apt-get").is_none() {
        bail!("this machine has no apt-get; install what these Debian packages hold: {list}");
    }
    if !shell::is_root() {
        bail!(
            "packages are missing and only root can install them; run as root:\n    \
             apt-get update\n    apt-get install --no-install-recommends {list}"
        );
    }
    let updated = !all_offered(&missing)?;
    if updated {
        update()?;
    }
    let mut done = shell::run(&mut install_command(&[], &packages));
    if done.is_err() && !updated {
        // Old package lists name files that the archive no longer has.
        update()?;
        done = shell::run(&mut install_command(&[], &packages));
    }
    if done.is_err() {
        install_beside_backports(&packages)?;
    }
    let still = self::missing(needs)?;
    if !still.is_empty() {
        let still: Vec<String> = still.into_iter().map(Need::wanted).collect();
        bail!(
            "this machine's package sources do not offer: {}",
            still.join(", ")
        );
    }
    Ok(())
}

/// Brings the package lists up to date.
pub(super) fn update() -> Result<()> {
    shell::run(&mut apt_get(&["update"]))
}

/// An `apt-get` command that asks nothing.
pub(super) fn apt_get(arguments: &[&str]) -> Command {
    let mut command = shell::without_outer_cargo("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn install_command(options: &[OsString], packages: &BTreeSet<&str>) -> Command {
    let mut command = apt_get(&["install", "--yes", "--no-remove", "--no-install-recommends"]);
    command.args(options).args(packages);
    command
}

/// Installs packages of which some would push out what the machine has from its release's backports
/// (another part of qemu, say): those come from there too.
fn install_beside_backports(packages: &BTreeSet<&str>) -> Result<()> {
    let goes = |package: &&str| {
        let mut command = install_command(&["--simulate".into()], &BTreeSet::from([*package]));
        shell::run(&mut command).is_ok()
    };
    let (plain, newer): (BTreeSet<_>, BTreeSet<_>) = packages.iter().copied().partition(goes);
    let backports = Source::backports(&format!("{}-backports", codename()?))?;
    if !newer.is_empty() {
        shell::run(&mut install_command(backports.options(), &newer))?;
    }
    shell::run(&mut install_command(&[], &plain))
}

/// The release's name in Debian's archive.
fn codename() -> Result<String> {
    let release = fs::read_to_string(RELEASE).with_context(|| format!("no `{RELEASE}`"))?;
    let mut lines = release.lines();
    let name = lines.find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name
        .with_context(|| format!("`{RELEASE}` has no VERSION_CODENAME"))?
        .to_owned())
}

fn missing(needs: &[Need]) -> Result<Vec<&Need>> {
    let installed = installed_versions(needs)?;
    let met = |need: &&Need| match need.check {
        Check::Program(program) => shell::find(program).is_some(),
        _ => installed
            .get(need.package.as_ref())
            .is_some_and(|version| need.accepts(version)),
    };
    Ok(needs.iter().filter(|need| !met(need)).collect())
}

fn installed_versions(needs: &[Need]) -> Result<HashMap<String, String>> {
    let names = needs
        .iter()
        .filter(|need| !matches!(need.check, Check::Program(_)));
    let names: Vec<_> = names.map(|need| need.package.as_ref()).collect();
    if names.is_empty() || shell::find("dpkg-query").is_none() {
        return Ok(HashMap::new());
    }
    // The exit status is not 0 as soon as one package is unknown; the others are printed.
    let mut command = Command::new("dpkg-query");
    command.args([
        "--showformat=${db:Status-Status} ${Package} ${Version}\\n",
        "--show",
    ]);
    command.args(names);
    shell::announce(&command);
    let output = command.output()?;
    Ok(parse_versions(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_versions(listing: &str) -> HashMap<String, String> {
    listing
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (status, package, version) = (words.next()?, words.next()?, words.next()?);
            (status == "installed").then(|| (package.to_owned(), version.to_owned()))
        })
        .collect()
}

/// Compares the leading numbers of a Debian version (`1.96.0+dfsg1-1`, `1:2.3`) with `wanted`.
fn at_least(version: &str, wanted: &str) -> bool {
    let upstream = version
        .split_once(':')
        .map_or(version, |(_, upstream)| upstream);
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit())
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(upstream) >= numbers(wanted)
}

/// Whether the package lists on this machine offer a fitting version of all that is missing.
fn all_offered(missing: &[&Need]) -> Result<bool> {
    let packages = missing.iter().map(|need| need.package.as_ref());
    let mut command = Command::new("apt-cache");
    let listing = shell::query(command.arg("policy").args(packages))?.unwrap_or_default();
    let candidates = parse_candidates(&listing);
    Ok(missing.iter().all(|need| {
        candidates
            .get(need.package.as_ref())
            .is_some_and(|version| need.accepts(version))
    }))
}

fn parse_candidates(policy: &str) -> HashMap<&str, &str> {
    let mut package = "";
    let mut candidates = HashMap::new();
    for line in policy.lines() {
        if let Some(version) = line.trim().strip_prefix("Candidate: ") {
            if version != "(none)" {
                candidates.insert(package, version);
            }
        } else if let Some(name) = line.strip_suffix(':') {
            package = name;
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fully_installed_packages_count() {
        let listing = "installed gcc 4:12.2.0-3\nconfig-files cpio 2.13\nnot-installed zstd \n";
        let versions = parse_versions(listing);
        assert_eq!(versions.len(), 1);
        assert_eq!(versions["gcc"], "4:12.2.0-3");
    }

    #[test]
    fn a_candidate_belongs_to_the_package_above_it() {
        let policy = "gcc:\n  Installed: (none)\n  Candidate: 4:12\n  Version table:\n     4:12 500\n\
                      nothing:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";
        assert_eq!(parse_candidates(policy), HashMap::from([("gcc", "4:12")]));
    }

    #[test]
    fn versions_compare_by_number() {
        for (version, wanted, met) in [
            ("1.96.0+dfsg1-1~deb12u2", "1.96", true),
            ("1.85.0+dfsg3-1~deb12u3", "1.96", false),
            ("1.100.0", "1.96", true),
            ("1:2.0", "1.96", true),
            ("2:1.0", "1.96", false),
        ] {
            assert_eq!(at_least(version, wanted), met, "{version} >= {wanted}");
        }
    }
}
