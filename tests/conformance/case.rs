//! One case: what it gives and what it expects.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::KernelValue;
use anyhow::{Context as _, Result, bail, ensure};
use monitor_policy::{
    Condition, Diagnostic, EventType, EventTypes, FileReport, FlatEvent, Format, Loaded, Matching,
    Options, RulesFile, Scratch, load,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A line of a data file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The section of the specification that it proves.
    pub(crate) section: String,
    #[expect(dead_code, reason = "for whoever reads the data")]
    note: Option<String>,
    condition: Option<String>,
    format: Option<String>,
    files: Option<Vec<String>>,
    event: Option<Map<String, Value>>,
    /// Whether the event fulfils the condition.
    r#match: Option<bool>,
    /// Whether the text is a condition by its syntax.
    parses: Option<bool>,
    /// That it compiles.
    compiles: Option<bool>,
    /// The code with which it is refused, though it parses.
    refused: Option<String>,
    /// The event types for which it can hold.
    evttypes: Option<Types>,
    /// What the format prints.
    text: Option<String>,
    /// The format's fields with typed values.
    json: Option<Map<String, Value>>,
    /// All codes that loading the files gives, sorted.
    codes: Option<Vec<String>>,
    /// The rules that the event makes fire, in order.
    fires: Option<Vec<String>>,
    /// `all` for every rule; else the first that matches.
    matching: Option<String>,
    /// The tags of rules, sorted.
    tags: Option<BTreeMap<String, Vec<String>>>,
    /// A value of the kernel, and how the language prints it.
    value: Option<KernelValue>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Types {
    mode: String,
    names: Vec<String>,
}

impl Case {
    /// Tries the case; the error says in what the result differs.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(value) = &self.value {
            return value.check();
        }
        match (&self.condition, &self.format, &self.files) {
            (Some(condition), None, None) => self.check_condition(condition),
            (None, Some(format), None) => self.check_format(format),
            (None, None, Some(files)) => self.check_files(files),
            _ => bail!("a case has one condition, one format or files"),
        }
    }

    fn check_condition(&self, text: &str) -> Result<()> {
        if let Some(parses) = self.parses {
            let result = Condition::check_syntax(text);
            ensure!(
                result.is_ok() == parses,
                "expected it {}: {result:?}",
                if parses { "to parse" } else { "not to parse" }
            );
            return Ok(());
        }
        let compiled = Condition::parse(text);
        if let Some(code) = &self.refused {
            return expect_refused(code, compiled);
        }
        let condition = compiled?;
        if let Some(expected) = &self.evttypes {
            let found = types(condition.event_types());
            ensure!(found == *expected, "found {found:?}");
            return Ok(());
        }
        match self.r#match {
            None => ensure!(self.compiles == Some(true), "the case expects nothing"),
            Some(expected) => {
                let found = condition.matches(&self.event()?);
                ensure!(found == expected, "expected {expected}, found {found}");
            }
        }
        Ok(())
    }

    fn check_format(&self, text: &str) -> Result<()> {
        let parsed = Format::parse(text);
        if let Some(code) = &self.refused {
            return expect_refused(code, parsed);
        }
        let (format, event) = (parsed?, self.event()?);
        ensure!(
            self.text.is_some() || self.json.is_some(),
            "the case expects nothing"
        );
        if let Some(expected) = &self.text {
            let found = format.text(&event);
            ensure!(found == *expected, "expected {expected:?}, found {found:?}");
        }
        if let Some(expected) = &self.json {
            let found: BTreeMap<_, _> = format.values(&event).into_iter().collect();
            let expected: BTreeMap<_, _> = expected.clone().into_iter().collect();
            ensure!(found == expected, "expected {expected:?}, found {found:?}");
        }
        Ok(())
    }

    fn check_files(&self, files: &[String]) -> Result<()> {
        let names = ["a.yaml", "b.yaml", "c.yaml"];
        let files: Vec<_> = names
            .iter()
            .zip(files)
            .map(|(name, text)| RulesFile { name, text })
            .collect();
        let options = Options {
            matching: match self.matching.as_deref() {
                Some("all") => Matching::All,
                _ => Matching::First,
            },
            ..Options::default()
        };
        let loaded = load(&files, &options);
        let found = codes(&loaded);
        let expected = self.codes.as_ref().context("no codes are expected")?;
        let said: Vec<_> = loaded.files.iter().flat_map(complaints).collect();
        ensure!(found == *expected, "expected {expected:?}, found {said:#?}");
        self.check_tags(&loaded)?;
        let Some(expected) = &self.fires else {
            return Ok(());
        };
        let found = fires(&loaded, &self.event()?)?;
        ensure!(found == *expected, "expected {expected:?}, found {found:?}");
        Ok(())
    }

    fn check_tags(&self, loaded: &Loaded) -> Result<()> {
        for (name, expected) in self.tags.iter().flatten() {
            let policy = loaded.policy.as_ref().context("it does not load")?;
            let rule = policy.rules().iter().find(|rule| rule.name == *name);
            let tags: BTreeSet<_> = expected.iter().cloned().collect();
            ensure!(rule.context("no such rule")?.tags == tags, "other tags");
        }
        Ok(())
    }

    fn event(&self) -> Result<FlatEvent> {
        let event = self.event.as_ref().context("the case has no event")?;
        Ok(FlatEvent::partial(event)?)
    }
}

/// Refused with this code, but never by its syntax alone when a type is at fault.
fn expect_refused<T>(code: &str, result: Result<T, Box<Diagnostic>>) -> Result<()> {
    match result {
        Ok(_) => bail!("expected {code}, but it is accepted"),
        Err(found) => ensure!(found.code.name() == code, "expected {code}, found {found}"),
    }
    Ok(())
}

fn types(found: &EventTypes) -> Types {
    let (mode, set) = match found {
        EventTypes::Only(set) => ("only", set),
        EventTypes::Except(set) => ("except", set),
    };
    let names: BTreeSet<_> = set.iter().map(EventType::name).collect();
    Types {
        mode: mode.to_owned(),
        names: names.into_iter().map(str::to_owned).collect(),
    }
}

fn codes(loaded: &Loaded) -> Vec<String> {
    let found = loaded
        .files
        .iter()
        .flat_map(|file| file.errors().iter().chain(file.warnings()));
    let mut codes: Vec<_> = found.map(|found| found.code.name().to_owned()).collect();
    codes.sort();
    codes
}

fn complaints(file: &FileReport) -> Vec<String> {
    let all = file.errors().iter().chain(file.warnings());
    all.map(ToString::to_string).collect()
}

fn fires(loaded: &Loaded, event: &FlatEvent) -> Result<Vec<String>> {
    let policy = loaded.policy.as_ref().context("it does not load")?;
    let mut scratch = Scratch::default();
    let found = policy.evaluate(event, &mut scratch);
    let name = |index: usize| policy.rules().get(index).map(|rule| rule.name.clone());
    Ok(found.iter().filter_map(|found| name(found.rule)).collect())
}
