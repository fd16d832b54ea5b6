//! Reads files of tests.

use std::collections::HashMap;

use super::event::Facts;
use super::{Case, Silent};
use crate::diagnostic::Code;
use crate::nearest;
use crate::policy::Rule;
use crate::rules::{Entries, Finding, Read};
use crate::source::{Place, line_and_column};
use crate::yaml::{self, Content, Node};

const KEYS: &[&str] = &[
    "test", "like", "event", "fires", "silent", "output", "unless",
];

/// `fires: none`: all rules have to stay silent.
const NONE: &str = "none";

/// The cases of a file, or everything that is wrong with it.
pub(super) fn read(text: &str, rules: &[Rule]) -> Result<Vec<Case>, Vec<Finding>> {
    let documents = yaml::parse(text).map_err(|error| {
        let place = Place::new(0, &error.range);
        vec![Finding::new(Code::YamlParse, error.message, place)]
    })?;
    let mut reader = Reader {
        text,
        rules,
        events: HashMap::new(),
        cases: Vec::new(),
        findings: Vec::new(),
    };
    for document in documents {
        reader.document(&document);
    }
    if reader.findings.is_empty() {
        Ok(reader.cases)
    } else {
        Err(reader.findings)
    }
}

/// Something in a file of tests that is not as it has to be.
pub(super) fn invalid(message: impl Into<String>, place: Place) -> Finding {
    Finding::new(Code::YamlValidate, message, place)
}

struct Reader<'a> {
    text: &'a str,
    rules: &'a [Rule],
    /// The event of each test so far; `None` for one that is broken.
    events: HashMap<String, Option<Facts>>,
    cases: Vec<Case>,
    findings: Vec<Finding>,
}

/// What a test expects.
struct Expected {
    fires: Vec<String>,
    silent: Silent,
    output: Option<String>,
}

impl Reader<'_> {
    fn document(&mut self, document: &Node) {
        let help = "begin each test with `- test: NAME`";
        match &document.content {
            Content::Null => {}
            Content::Sequence(tests) => {
                for node in tests {
                    match Entries::new(0, self.text, node) {
                        Some(entries) => {
                            let read = self.test(&entries);
                            self.findings.extend(read.err());
                        }
                        None => self.complain(
                            invalid("a test is a mapping", node.place(0)).with_help(help),
                        ),
                    }
                }
            }
            Content::Mapping(_) | Content::Scalar(_) => {
                let place = document.place(0);
                self.complain(invalid("tests are a sequence", place).with_help(help));
            }
        }
    }

    fn complain(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn test(&mut self, entries: &Entries<'_>) -> Read<()> {
        self.check_keys(entries);
        let item = entries.item_ref("test")?;
        let event = self.event(entries).map_err(|finding| vec![finding]);
        let event = event.and_then(|event| {
            let with_facts = |facts: Facts| Ok((facts.flat()?, facts));
            event.map(with_facts).transpose()
        });
        let known = event.as_ref().ok().and_then(Option::as_ref);
        let known = known.map(|(_, facts)| facts.clone());
        if self.events.insert(item.name.clone(), known).is_some() {
            let message = format!("two tests are called '{}'", item.name);
            self.complain(invalid(message, item.place));
        }
        let expected = self.expected(entries);
        let (Ok(Some((event, facts))), Ok(expected)) = (&event, &expected) else {
            self.findings.extend(event.err().into_iter().flatten());
            self.findings.extend(expected.err());
            return Ok(());
        };
        self.cases.push(Case {
            name: item.name.clone(),
            line: self.line(item.place),
            event: event.clone(),
            fires: expected.fires.clone(),
            silent: expected.silent.clone(),
            output: expected.output.clone(),
        });
        self.changes(entries, &item.name, facts, &expected.fires)
    }

    fn check_keys(&mut self, entries: &Entries<'_>) {
        for mut finding in entries.unknown_keys(KEYS) {
            finding.code = Code::YamlValidate;
            finding.message = finding.message.replace(" is ignored", "");
            self.complain(finding);
        }
    }

    /// The event of a test; `None` when it is like one that is broken.
    fn event(&self, entries: &Entries<'_>) -> Read<Option<Facts>> {
        let base = match entries.sourced("like")? {
            None => Facts::new(entries.key_place("event")),
            Some(name) => match self.events.get(name.text()) {
                Some(Some(event)) => event.clone(),
                Some(None) => return Ok(None),
                None => {
                    let names = self.events.keys().map(String::as_str);
                    let place = name.place(&(0..name.text().len()));
                    let message = format!("no test above is called '{}'", name.text());
                    return Err(
                        invalid(message, place).with_hint(nearest::hint(name.text(), names))
                    );
                }
            },
        };
        match entries.node("event")? {
            Some(node) => base.with(node).map(Some),
            None if entries.has("like") => Ok(Some(base)),
            None => Err(entries.missing("event")),
        }
    }

    fn expected(&self, entries: &Entries<'_>) -> Read<Expected> {
        let nothing = entries.node("fires")?.and_then(Node::text) == Some(NONE);
        let fires = if nothing {
            Vec::new()
        } else {
            self.rules(entries, "fires")?
        };
        let silent = self.rules(entries, "silent")?;
        let output = entries.text("output")?;
        if output.is_some() && fires.len() != 1 {
            let message = "'output' needs one rule under 'fires'";
            return Err(invalid(message, entries.key_place("output")));
        }
        if !nothing && fires.is_empty() && silent.is_empty() {
            let message = "the test expects nothing";
            return Err(invalid(message, entries.key_place("test"))
                .with_help("name rules under `fires` or `silent`, or write `fires: none`"));
        }
        Ok(Expected {
            fires,
            silent: if nothing {
                Silent::All
            } else {
                Silent::These(silent)
            },
            output: output.map(|text| text.trim_end().to_owned()),
        })
    }

    /// Names of rules: one, or a sequence of them.
    fn rules(&self, entries: &Entries<'_>, key: &str) -> Read<Vec<String>> {
        let Some(node) = entries.node(key)? else {
            return Ok(Vec::new());
        };
        let one = [node];
        let nodes: Vec<&Node> = match &node.content {
            Content::Sequence(nodes) => nodes.iter().map(AsRef::as_ref).collect(),
            _ => one.to_vec(),
        };
        nodes.into_iter().map(|node| self.rule(node)).collect()
    }

    fn rule(&self, node: &Node) -> Read<String> {
        let place = node.place(0);
        let name = node
            .text()
            .ok_or_else(|| invalid("the name of a rule is a text", place))?;
        let names = || self.rules.iter().map(|rule| rule.name.as_str());
        if names().any(|known| known == name) {
            return Ok(name.to_owned());
        }
        let message = format!("no rule is called '{name}'");
        Err(invalid(message, place).with_hint(nearest::hint(name, names())))
    }

    /// A case for each change under `unless`.
    fn changes(
        &mut self,
        entries: &Entries<'_>,
        name: &str,
        event: &Facts,
        rules: &[String],
    ) -> Read<()> {
        let Some(changes) = entries.sequence("unless")? else {
            return Ok(());
        };
        if rules.is_empty() {
            let message = "'unless' needs rules under 'fires'";
            return Err(invalid(message, entries.key_place("unless")));
        }
        for change in changes {
            let event = event.clone().with(change);
            let event = event.map_err(|finding| vec![finding]);
            let event = match event.and_then(|event| event.flat()) {
                Ok(event) => event,
                Err(findings) => {
                    self.findings.extend(findings);
                    continue;
                }
            };
            let written = self.text.get(change.range.clone()).unwrap_or_default();
            let written: Vec<&str> = written.split_whitespace().collect();
            self.cases.push(Case {
                name: format!("{name}, unless {}", written.join(" ")),
                line: self.line(change.place(0)),
                event,
                fires: Vec::new(),
                silent: Silent::These(rules.to_vec()),
                output: None,
            });
        }
        Ok(())
    }

    fn line(&self, place: Place) -> usize {
        line_and_column(self.text, place.at.offset as usize).0
    }
}
