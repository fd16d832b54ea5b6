//! `required_engine_version` and `required_plugin_versions`.

use super::entries::{Entries, Read};
use super::finding::Finding;
use crate::diagnostic::Code;
use crate::source::Place;

/// The engine version whose language this crate implements.
const ENGINE: Version = Version {
    major: 0,
    minor: 63,
    patch: 0,
};
/// Plugins whose fields this crate has, by name and version.
const PLUGINS: &[(&str, Version)] = &[(
    "container",
    Version {
        major: 0,
        minor: 7,
        patch: 0,
    },
)];

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = core.split('.').map(|part| part.parse().ok());
        let version = Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
        };
        parts.next().is_none().then_some(version)
    }

    /// Whether what asks for `required` can work with this version.
    fn satisfies(self, required: Self) -> bool {
        self.major == required.major && self >= required
    }
}

/// Checks `required_engine_version`.
pub(crate) fn check_engine(entries: &Entries<'_>) -> Read<()> {
    let Some(text) = entries.sourced("required_engine_version")? else {
        return Ok(());
    };
    let place = text.place(&(0..text.text().len()));
    let number = text.text().parse().ok().map(|minor| Version {
        major: 0,
        minor,
        patch: 0,
    });
    let Some(required) = number.or_else(|| Version::parse(text.text())) else {
        let message = format!("Unable to parse engine version '{}'", text.text());
        return Err(Finding::new(Code::YamlValidate, message, place)
            .with_help("write a version like 0.57.0"));
    };
    if ENGINE.satisfies(required) {
        return Ok(());
    }
    let message = format!(
        "Rules require engine version {}, but engine version is {}.{}.{}",
        text.text(),
        ENGINE.major,
        ENGINE.minor,
        ENGINE.patch
    );
    Err(Finding::new(Code::Validate, message, place))
}

/// Checks `required_plugin_versions`.
pub(crate) fn check_plugins(entries: &Entries<'_>) -> Read<()> {
    for node in entries
        .sequence("required_plugin_versions")?
        .unwrap_or_default()
    {
        let entry = entries.item(node)?;
        let mut choices = vec![Choice::read(&entry)?];
        for node in entry.sequence("alternatives")?.unwrap_or_default() {
            let choice = Choice::read(&entry.item(node)?)?;
            if choices.iter().any(|known| known.name == choice.name) {
                let message = format!("plugin '{}' is named twice in alternatives", choice.name);
                return Err(Finding::new(Code::Validate, message, choice.place));
            }
            choices.push(choice);
        }
        if !choices.iter().any(Choice::is_met) {
            return Err(unmet(&choices, entry.place()));
        }
    }
    Ok(())
}

struct Choice {
    name: String,
    version: Version,
    text: String,
    place: Place,
}

impl Choice {
    fn read(entries: &Entries<'_>) -> Read<Self> {
        let name = entries
            .text("name")?
            .ok_or_else(|| entries.missing("name"))?;
        let text = entries
            .sourced("version")?
            .ok_or_else(|| entries.missing("version"))?;
        let place = text.place(&(0..text.text().len()));
        let Some(version) = Version::parse(text.text()) else {
            let message = format!(
                "Unable to parse version '{}' of plugin '{name}'",
                text.text()
            );
            return Err(Finding::new(Code::Validate, message, place)
                .with_help("write a version like 0.4.0"));
        };
        Ok(Self {
            name,
            version,
            text: text.text().to_owned(),
            place,
        })
    }

    fn is_met(&self) -> bool {
        PLUGINS
            .iter()
            .any(|(name, has)| *name == self.name && has.satisfies(self.version))
    }
}

fn unmet(choices: &[Choice], place: Place) -> Finding {
    let wanted: Vec<_> = choices
        .iter()
        .map(|choice| format!("{} {}", choice.name, choice.text))
        .collect();
    let message = format!(
        "Rules require plugin {}, which is not there",
        wanted.join(" or ")
    );
    let has: Vec<_> = PLUGINS
        .iter()
        .map(|(name, has)| format!("{name} {}.{}.{}", has.major, has.minor, has.patch))
        .collect();
    Finding::new(Code::Validate, message, place).with_help(format!("built in: {}", has.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |text, expected: Option<bool>| {
            assert_eq!(
                Version::parse(text).map(|v| ENGINE.satisfies(v)),
                expected,
                "{text}"
            );
        };
        check("0.57.0", Some(true));
        check("0.63.0", Some(true));
        check("0.63.1", Some(false));
        check("1.0.0", Some(false));
        check("0.26.0-rc1", Some(true));
        check("0.57", None);
        check("abc", None);
    }
}
