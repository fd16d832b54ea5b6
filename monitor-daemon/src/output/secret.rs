//! Secrets of outputs: never in the configuration, only where they are.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a secret is. It is read each time it is used, so that a new one needs no restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Secret {
    /// In this file.
    File(PathBuf),
    /// In the systemd credential of this name (`LoadCredential=`).
    Credential(String),
}

/// In front of a credential's name.
const CREDENTIAL: &str = "credential:";

impl Secret {
    /// The secret, without the line's end that editors leave.
    ///
    /// # Errors
    ///
    /// It cannot be read; the error names the file.
    pub fn read(&self) -> io::Result<String> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Credential(name) => credential(name)?,
        };
        let text = fs::read_to_string(&path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot read the secret `{}`: {error}", path.display()),
            )
        })?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// The file that `path` means: itself, or the credential of which it is the name.
pub(super) fn file(path: &Path) -> io::Result<PathBuf> {
    let name = path.to_str().and_then(|text| text.strip_prefix(CREDENTIAL));
    name.map_or_else(|| Ok(path.to_owned()), credential)
}

fn credential(name: &str) -> io::Result<PathBuf> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        let message =
            format!("there is no credential `{name}`: systemd gives them to services only");
        io::Error::new(io::ErrorKind::NotFound, message)
    })?;
    Ok(PathBuf::from(folder).join(name))
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(CREDENTIAL) {
            Some(name) if !name.is_empty() && !name.contains('/') => {
                Ok(Self::Credential(name.to_owned()))
            }
            None if text.starts_with('/') => Ok(Self::File(text.into())),
            // It may be the secret itself, which is not for a log.
            _ => Err(
                "expected the absolute path of a file that holds it, or `credential:NAME`"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Credential(name) => write!(formatter, "{CREDENTIAL}{name}"),
        }
    }
}
