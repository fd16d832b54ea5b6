//! Reads a rules file into items.

use std::rc::Rc;

use super::entries::{Entries, Read};
use super::finding::Finding;
use super::item::{Item, ListItem, MacroItem};
use super::overrides::{self, Overridable};
use super::{requirement, rule_item};
use crate::condition::is_bare;
use crate::diagnostic::Code;
use crate::limits::LoadLimits;
use crate::lint::FileKind;
use crate::nearest;
use crate::source::Place;
use crate::yaml::{self, Content, Node};

/// What a file holds.
#[derive(Debug)]
pub(crate) struct FileItems {
    /// The items that could be read, in order.
    pub(crate) items: Vec<Item>,
    /// What is wrong with the file.
    pub(crate) findings: Vec<Finding>,
    /// Kinds and names of items that could not be read; uses of them are not worth a message.
    pub(crate) broken: Vec<(&'static str, String)>,
    /// Where the items begin, as offsets in the file.
    pub(crate) starts: Vec<usize>,
    /// Whom the file is made for.
    pub(crate) kind: FileKind,
}

/// The keys that tell an item's kind, in the order in which they are looked for.
pub(crate) const KINDS: [&str; 5] = [
    "required_engine_version",
    "required_plugin_versions",
    "list",
    "macro",
    "rule",
];

/// Reads file number `file`.
pub(crate) fn read(file: usize, text: &str, limits: &LoadLimits) -> FileItems {
    let mut result = FileItems {
        items: Vec::new(),
        findings: Vec::new(),
        broken: Vec::new(),
        starts: Vec::new(),
        kind: FileKind::Local,
    };
    let documents = match yaml::parse_within(text, limits) {
        Ok(documents) => documents,
        Err(error) => {
            let place = Place::new(file, &error.range);
            result
                .findings
                .push(Finding::new(Code::YamlParse, error.message, place));
            return result;
        }
    };
    for document in &documents {
        result.document(file, text, document);
    }
    result
}

impl FileItems {
    fn document(&mut self, file: usize, text: &str, document: &Rc<Node>) {
        let message = match &document.content {
            Content::Null => return,
            Content::Sequence(nodes) => {
                for node in nodes {
                    self.node(file, text, node);
                }
                return;
            }
            Content::Scalar(_) => "Rules content is not yaml",
            Content::Mapping(_) => "Rules content is not yaml array of objects",
        };
        let place = document.place(file);
        let finding = Finding::new(Code::YamlValidate, message, place);
        self.findings
            .push(finding.with_help("a rules file is a sequence: each item begins with `- `"));
    }

    fn node(&mut self, file: usize, text: &str, node: &Node) {
        if matches!(node.content, Content::Null) {
            return;
        }
        let Some(entries) = Entries::new(file, text, node) else {
            let message = "Rules content is not yaml array of objects";
            self.findings
                .push(Finding::new(Code::YamlValidate, message, node.place(file)));
            return;
        };
        let Some(kind) = KINDS.into_iter().find(|kind| entries.has(kind)) else {
            self.findings.push(unknown_item(&entries));
            return;
        };
        self.starts.push(node.range.start);
        let start = self.findings.len();
        let result = self.item(kind, &entries);
        if result.is_err() {
            let name = entries.text(kind).ok().flatten();
            self.broken.extend(name.map(|name| (kind, name)));
        }
        self.findings.extend(result.err());
        if let Ok(item) = entries.item_ref(kind)
            && matches!(kind, "rule" | "macro" | "list")
        {
            for finding in self.findings.iter_mut().skip(start) {
                *finding = finding.clone().within(&item);
            }
        }
    }

    fn item(&mut self, kind: &str, entries: &Entries<'_>) -> Read<()> {
        match kind {
            "required_engine_version" => {
                self.kind = FileKind::Published;
                self.findings
                    .extend(entries.unknown_keys(&["required_engine_version"]));
                requirement::check_engine(entries)
            }
            "required_plugin_versions" => {
                self.findings
                    .extend(entries.unknown_keys(&["required_plugin_versions"]));
                requirement::check_plugins(entries)
            }
            "list" => {
                self.findings.extend(entries.unknown_keys(LIST_KEYS));
                self.items
                    .push(Item::List(list(entries, &mut self.findings)?));
                Ok(())
            }
            "macro" => {
                self.findings.extend(entries.unknown_keys(MACRO_KEYS));
                let item = macro_item(entries, &mut self.findings)?;
                self.items.push(Item::Macro(item));
                Ok(())
            }
            _ => {
                self.findings.extend(entries.unknown_keys(rule_item::KEYS));
                let item = rule_item::read(entries, &mut self.findings)?;
                self.items.push(Item::Rule(Box::new(item)));
                Ok(())
            }
        }
    }
}

/// What `override` of a list may name.
pub(crate) const LIST_OVERRIDABLE: Overridable = Overridable {
    append: &["items"],
    replace: &["items"],
};
/// What `override` of a macro may name.
pub(crate) const MACRO_OVERRIDABLE: Overridable = Overridable {
    append: &["condition"],
    replace: &["condition"],
};
/// The keys of a list.
pub(crate) const LIST_KEYS: &[&str] = &["list", "items", "append", "override"];
/// The keys of a macro.
pub(crate) const MACRO_KEYS: &[&str] = &["macro", "condition", "append", "override"];

fn unknown_item(entries: &Entries<'_>) -> Finding {
    let key = entries
        .keys()
        .next()
        .and_then(|(key, _)| key.text())
        .unwrap_or_default();
    let finding = Finding::new(Code::UnknownItem, "Unknown top level item", entries.place());
    if key == "test" {
        return finding.with_help(
            "tests are in NAME.test.yaml beside NAME.yaml; `monitor-daemon test` runs them",
        );
    }
    finding.with_hint(nearest::hint(key, KINDS.into_iter()))
}

fn list(entries: &Entries<'_>, warnings: &mut Vec<Finding>) -> Read<ListItem> {
    let item = entries.item_ref("list")?;
    if !is_bare(&item.name) {
        let message = "List has an invalid name. List names should match a bare string: no \
                       blanks, parentheses, quotes, `=` or commas";
        warnings.push(Finding::new(Code::InvalidListName, message, item.place));
    }
    let mode = overrides::mode(entries, LIST_OVERRIDABLE, warnings)?;
    let items = entries
        .texts("items")?
        .ok_or_else(|| entries.missing("items"))?;
    Ok(ListItem { item, mode, items })
}

fn macro_item(entries: &Entries<'_>, warnings: &mut Vec<Finding>) -> Read<MacroItem> {
    let item = entries.item_ref("macro")?;
    if !is_identifier(&item.name) {
        let message = "Macro has an invalid name. Macro names should match a regular expression: \
                       [a-zA-Z]+[a-zA-Z0-9_]*";
        warnings.push(Finding::new(Code::InvalidMacroName, message, item.place));
    }
    let mode = overrides::mode(entries, MACRO_OVERRIDABLE, warnings)?;
    let condition = entries
        .sourced("condition")?
        .ok_or_else(|| entries.missing("condition"))?;
    Ok(MacroItem {
        item,
        mode,
        condition: condition.trimmed(),
    })
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
