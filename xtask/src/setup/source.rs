//! Package lists beside the machine's own, below `target/vm/apt`: nothing else there reads them.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::apt;
use crate::{shell, workspace};

pub(super) const ARCHIVE: &str = "http://deb.debian.org";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MACHINES_OWN: &str = "/etc/apt/sources.list";

/// Package lists to look in.
#[derive(Default)]
pub(super) struct Source {
    /// Options for apt's programs; none for the machine's own lists.
    options: Vec<OsString>,
}

impl Source {
    /// One suite of Debian's archive, brought up to date.
    pub(super) fn archive(suite: &str, architecture: &str) -> Result<Self> {
        let name = suite.rsplit(' ').next().unwrap_or(suite);
        let name = format!("{name}-{architecture}");
        let line = format!("deb [arch={architecture} signed-by={KEYS}] {ARCHIVE}/{suite} main\n");
        let mut source = Self::listed(&name, &line)?;
        source.option("Dir::Etc::SourceParts", "/dev/null");
        source.option("APT::Architecture", architecture);
        source.option("APT::Architectures", architecture);
        source.update()
    }

    /// The machine's own lists and those of `backports`, a suite, brought up to date; packages come
    /// from the latter wherever it has them.
    pub(super) fn backports(backports: &str) -> Result<Self> {
        let own = fs::read_to_string(MACHINES_OWN).unwrap_or_default();
        let line = format!("deb [signed-by={KEYS}] {ARCHIVE}/debian {backports} main");
        let mut source = Self::listed(backports, &format!("{own}\n{line}\n"))?;
        source.option("APT::Default-Release", backports);
        source.update()
    }

    pub(super) fn options(&self) -> &[OsString] {
        &self.options
    }

    fn listed(name: &str, lines: &str) -> Result<Self> {
        let folder = workspace::target().join("vm/apt").join(name);
        for inner in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(inner))?;
        }
        let sources = folder.join("sources.list");
        fs::write(&sources, lines)
            .with_context(|| format!("cannot write `{}`", sources.display()))?;
        let mut source = Self::default();
        source.option("Dir::Etc::SourceList", &sources);
        source.option("Dir::State::Lists", folder.join("lists"));
        source.option("Dir::Cache", folder.join("cache"));
        // Neither translations nor icons.
        source.option("Acquire::Languages", "none");
        source.option("APT::Sandbox::User", "root");
        Ok(source)
    }

    fn option(&mut self, name: &str, value: impl AsRef<Path>) {
        let mut text = OsString::from(name);
        text.push("=");
        text.push(value.as_ref());
        self.options.extend([OsString::from("-o"), text]);
    }

    fn update(self) -> Result<Self> {
        let mut update = apt::apt_get(&[]);
        shell::run(update.args(&self.options).arg("update"))?;
        Ok(self)
    }
}
