//! The keys of an item: typed access, with the messages that the language prescribes.

use std::collections::HashSet;
use std::rc::Rc;

use super::finding::{Finding, ItemRef};
use super::item::Entry;
use crate::diagnostic::Code;
use crate::nearest;
use crate::source::{Place, Sourced};
use crate::yaml::{Content, Node, Pair};

/// A mapping of a rules file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    file: usize,
    text: &'a str,
    node: &'a Node,
    pairs: &'a [Pair],
}

/// A value or what is wrong with it.
pub(crate) type Read<T> = Result<T, Finding>;

impl<'a> Entries<'a> {
    /// The keys of a mapping in a file; `None` when the node is no mapping.
    pub(crate) fn new(file: usize, text: &'a str, node: &'a Node) -> Option<Self> {
        match &node.content {
            Content::Mapping(pairs) => Some(Self {
                file,
                text,
                node,
                pairs,
            }),
            _ => None,
        }
    }

    /// Where the mapping stands.
    pub(crate) fn place(&self) -> Place {
        self.place_of(self.node)
    }

    /// Where a node of the same file stands.
    pub(crate) fn place_of(&self, node: &Node) -> Place {
        node.place(self.file)
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    fn entry(&self, key: &str) -> Option<&'a Pair> {
        self.pairs.iter().find(|entry| entry.0.text() == Some(key))
    }

    /// The place of a key.
    pub(crate) fn key_place(&self, key: &str) -> Place {
        self.entry(key)
            .map_or_else(|| self.place(), |entry| self.place_of(&entry.0))
    }

    /// The value of a key that may be left out but not empty.
    pub(crate) fn node(&self, key: &str) -> Read<Option<&'a Node>> {
        match self.entry(key) {
            Some((name, value)) if matches!(value.content, Content::Null) => {
                let message = format!("Mapping for key '{key}' is empty");
                Err(Finding::new(
                    Code::YamlValidate,
                    message,
                    self.place_of(name),
                ))
            }
            entry => Ok(entry.map(|entry| &*entry.1)),
        }
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Read<Option<String>> {
        Ok(self.sourced(key)?.map(|text| text.text().to_owned()))
    }

    /// A text that knows where it stands.
    pub(crate) fn sourced(&self, key: &str) -> Read<Option<Sourced>> {
        let Some(node) = self.node(key)? else {
            return Ok(None);
        };
        let text = node.sourced(self.file, self.text);
        let refusal = || self.refuse(node, format!("'{key}' must be a text"));
        text.map(Some).ok_or_else(refusal)
    }

    /// A boolean, in any of YAML's spellings.
    pub(crate) fn boolean(&self, key: &str) -> Read<Option<bool>> {
        let Some(node) = self.node(key)? else {
            return Ok(None);
        };
        let value = node.text().and_then(boolean);
        value
            .map(Some)
            .ok_or_else(|| self.refuse(node, format!("'{key}' must be true or false")))
    }

    /// A number.
    pub(crate) fn number(&self, key: &str) -> Read<Option<u32>> {
        let Some(node) = self.node(key)? else {
            return Ok(None);
        };
        let value = node.text().and_then(|text| text.parse().ok());
        value
            .map(Some)
            .ok_or_else(|| self.refuse(node, format!("'{key}' must be a whole number")))
    }

    /// A sequence of texts.
    pub(crate) fn texts(&self, key: &str) -> Read<Option<Vec<Sourced>>> {
        let Some(nodes) = self.sequence(key)? else {
            return Ok(None);
        };
        let text = |node: &Rc<Node>| {
            let text = node.sourced(self.file, self.text);
            text.ok_or_else(|| self.refuse(node, "sequence value is not scalar".to_owned()))
        };
        nodes.iter().map(text).collect::<Read<Vec<_>>>().map(Some)
    }

    /// A sequence of anything.
    pub(crate) fn sequence(&self, key: &str) -> Read<Option<&'a [Rc<Node>]>> {
        match self.node(key)? {
            None => Ok(None),
            Some(Node {
                content: Content::Sequence(nodes),
                ..
            }) => Ok(Some(nodes)),
            Some(node) => Err(self.refuse(node, format!("'{key}' must be a sequence"))),
        }
    }

    /// A text or a sequence of them, nested as written.
    pub(crate) fn nested(&self, key: &str) -> Read<Option<Entry>> {
        self.node(key)?
            .map(|node| self.nested_node(node))
            .transpose()
    }

    /// A node as a text or a sequence of them.
    pub(crate) fn nested_node(&self, node: &Node) -> Read<Entry> {
        match &node.content {
            Content::Scalar(_) => node
                .sourced(self.file, self.text)
                .map(Entry::One)
                .ok_or_else(|| self.refuse(node, "value is not scalar".to_owned())),
            Content::Sequence(nodes) => {
                let entries = nodes.iter().map(|node| self.nested_node(node));
                Ok(Entry::Many(
                    entries.collect::<Read<_>>()?,
                    self.place_of(node),
                ))
            }
            Content::Null | Content::Mapping(_) => {
                Err(self.refuse(node, "value is neither scalar nor sequence".to_owned()))
            }
        }
    }

    /// The mapping behind a key.
    pub(crate) fn mapping(&self, key: &str) -> Read<Option<Entries<'a>>> {
        let Some(node) = self.node(key)? else {
            return Ok(None);
        };
        let mapping = Entries::new(self.file, self.text, node);
        mapping
            .map(Some)
            .ok_or_else(|| self.refuse(node, format!("'{key}' must be a mapping")))
    }

    /// The mapping in a sequence.
    pub(crate) fn item(&self, node: &'a Node) -> Read<Entries<'a>> {
        Entries::new(self.file, self.text, node)
            .ok_or_else(|| self.refuse(node, "expected a mapping".to_owned()))
    }

    /// Name and place of this item: the value of the key that tells its kind.
    pub(crate) fn item_ref(&self, kind: &'static str) -> Read<ItemRef> {
        let name = self.sourced(kind)?.unwrap_or_default();
        if name.text().is_empty() {
            let message = format!("the name of the {kind} is empty");
            return Err(Finding::new(
                Code::YamlValidate,
                message,
                self.key_place(kind),
            ));
        }
        let place = name.place(&(0..name.text().len()));
        Ok(ItemRef {
            kind,
            name: name.text().to_owned(),
            place,
        })
    }

    /// All keys, with their nodes.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'a Node, &'a Node)> {
        self.pairs.iter().map(|(key, value)| (&**key, &**value))
    }

    /// A missing key.
    pub(crate) fn missing(&self, key: &str) -> Finding {
        let message = format!("Item has no mapping for key '{key}'");
        Finding::new(Code::YamlValidate, message, self.place())
    }

    /// Warnings for keys that are not known, and for known ones that repeat.
    pub(crate) fn unknown_keys(&self, known: &[&str]) -> Vec<Finding> {
        let mut seen = HashSet::new();
        let mut findings = Vec::new();
        for (node, _) in self.pairs {
            let key = node.text().unwrap_or_default();
            let message = if !known.contains(&key) {
                format!("Unknown key '{key}' is ignored")
            } else if !seen.insert(key) {
                format!("Key '{key}' is given twice, only the first counts")
            } else {
                continue;
            };
            let finding = Finding::new(Code::UnknownKey, message, self.place_of(node));
            let candidates = known.iter().copied().filter(|name| *name != key);
            findings.push(finding.with_hint(nearest::hint(key, candidates)));
        }
        findings
    }

    /// A value of the wrong form.
    pub(crate) fn refuse(&self, node: &Node, message: String) -> Finding {
        Finding::new(Code::YamlValidate, message, self.place_of(node))
    }
}

/// A YAML 1.1 boolean, in lower case, upper case or capitalised.
fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let first = text.get(..1).unwrap_or_default().to_ascii_uppercase();
    let capitalised = format!("{first}{}", lower.get(1..).unwrap_or_default());
    if text != lower && text != capitalised && text != text.to_ascii_uppercase() {
        return None;
    }
    match lower.as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "n" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        let check = |text, expected| assert_eq!(boolean(text), expected, "{text}");
        for text in ["y", "Y", "yes", "Yes", "YES", "true", "on", "On"] {
            check(text, Some(true));
        }
        for text in ["n", "no", "False", "OFF"] {
            check(text, Some(false));
        }
        for text in ["yEs", "1", "", "truE", "enabled"] {
            check(text, None);
        }
    }
}
