//! Loading rules files: text in, a policy and a report a file out.

use std::collections::{BTreeMap, HashSet};

use crate::append::AppendOutput;
use crate::compile;
use crate::diagnostic::{Code, Severity};
use crate::limits::LoadLimits;
use crate::lint::{Allowed, FileKind, LintOptions};
use crate::policy::Policy;
use crate::priority::Priority;
use crate::report::FileReport;
use crate::rules::{self, FileItems, Finding, Store};
use crate::switch::Switch;

/// A rules file, read by the caller.
#[derive(Clone, Copy, Debug)]
pub struct RulesFile<'a> {
    /// Its name in diagnostics.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// How many rules an event may match.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Matching {
    /// The first rule that matches ends the search.
    #[default]
    First,
    /// Every rule that matches is reported.
    All,
}

/// Whether the fields that Falco suggests are appended to every output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SuggestedOutput {
    /// Container and pod fields follow the rule's own output.
    #[default]
    Append,
    /// The output is the rule's own.
    Omit,
}

/// How to load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// Rules less severe than this are dropped.
    pub minimum_priority: Priority,
    /// How many rules an event may match.
    pub matching: Matching,
    /// Whether suggested fields are appended to outputs.
    pub suggested_output: SuggestedOutput,
    /// What is looked for beyond what Falco does.
    pub lint: LintOptions,
    /// What else is appended.
    pub append_output: Vec<AppendOutput>,
    /// Texts that outputs can print as `%static.NAME`.
    pub static_fields: BTreeMap<String, String>,
    /// Which rules are on or off, whatever their files say.
    pub switches: Vec<Switch>,
    /// How much the files may ask for.
    pub limits: LoadLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minimum_priority: Priority::Debug,
            matching: Matching::First,
            suggested_output: SuggestedOutput::Append,
            lint: LintOptions::default(),
            append_output: Vec::new(),
            static_fields: BTreeMap::new(),
            switches: Vec::new(),
            limits: LoadLimits::default(),
        }
    }
}

/// What loading brought.
#[derive(Debug)]
pub struct Loaded {
    /// The policy; `None` when a file has an error.
    pub policy: Option<Policy>,
    /// One report a file, in the order of the files.
    pub files: Vec<FileReport>,
}

/// Loads rules files in order: later ones may change what earlier ones define.
///
/// As in Falco every file has to load with those before it: what it uses must be defined there or
/// in itself. Errors of all files are reported; the policy is there when no file has one.
pub fn load(files: &[RulesFile<'_>], options: &Options) -> Loaded {
    let mut store = Store::default();
    let mut reported = HashSet::new();
    let mut allowed: Vec<Allowed> = Vec::new();
    let mut kinds: Vec<FileKind> = Vec::new();
    let mut reports = Vec::new();
    let mut compiled = None;
    for (index, file) in files.iter().enumerate() {
        let Applied {
            mut findings,
            starts,
            kind,
        } = apply(&mut store, index, file.text, &options.limits);
        let comments = Allowed::new(index, file.text, &starts);
        findings.extend_from_slice(comments.findings());
        allowed.push(comments);
        kinds.push(kind);
        let result = compile::compile(&store, options);
        // A warning belongs to the file it is in; an error to the file that brings it about.
        findings.extend(
            result
                .findings
                .iter()
                .filter(|finding| {
                    let item = finding.item.as_ref().map(|item| item.place.file());
                    finding.place.file() == index
                        || item == Some(index)
                        || finding.code.severity() == Severity::Error
                })
                .cloned(),
        );
        // What is unused cannot be said when something could not be read.
        let broken = findings
            .iter()
            .any(|finding| finding.code.severity() == Severity::Error);
        let unused = |code| matches!(code, Code::UnusedMacro | Code::UnusedList);
        findings.retain(|finding| !(broken && unused(finding.code)));
        findings.retain(|finding| {
            let kind = kinds
                .get(finding.place.file())
                .copied()
                .unwrap_or(FileKind::Local);
            finding.code.lint_group_in(kind) <= Some(options.lint.group)
        });
        findings.retain(|finding| !allowed.iter().any(|allowed| allowed.covers(finding)));
        findings.retain(|finding| {
            reported.insert((finding.code, finding.place, finding.message.clone()))
        });
        let omitted = truncate(&mut findings, options.limits.diagnostics);
        let diagnostics = findings
            .iter()
            .map(|finding| finding.locate(files))
            .collect();
        reports.push(FileReport::new(index, files, diagnostics).with_omitted(omitted));
        compiled = Some(result);
    }
    let successful = reports.iter().all(FileReport::is_successful);
    let compiled = compiled.unwrap_or_else(|| compile::compile(&store, options));
    let policy = successful.then(|| Policy::new(compiled, options.matching));
    Loaded {
        policy,
        files: reports,
    }
}

/// Drops what is more than so many errors and so many warnings; how many that were.
fn truncate(findings: &mut Vec<Finding>, limit: usize) -> usize {
    let before = findings.len();
    let (mut errors, mut warnings) = (0, 0);
    findings.retain(|finding| {
        let count = match finding.code.severity() {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
        };
        *count += 1;
        *count <= limit.max(1)
    });
    before - findings.len()
}

/// The definitions of files, whatever is wrong with them.
pub(crate) fn store(files: &[RulesFile<'_>], limits: &LoadLimits) -> Store {
    let mut store = Store::default();
    for (index, file) in files.iter().enumerate() {
        apply(&mut store, index, file.text, limits);
    }
    store
}

/// What is known of a file whose items were applied.
struct Applied {
    findings: Vec<Finding>,
    /// Where its items begin.
    starts: Vec<usize>,
    kind: FileKind,
}

/// Reads a file and applies its items.
fn apply(store: &mut Store, index: usize, text: &str, limits: &LoadLimits) -> Applied {
    let FileItems {
        items,
        mut findings,
        broken,
        starts,
        kind,
    } = rules::read(index, text, limits);
    if findings.iter().any(|found| found.code == Code::YamlParse) {
        store.add_broken_file();
    }
    for (kind, name) in broken {
        store.add_broken(kind, name);
    }
    let mut errors = 0;
    for item in items {
        if store.len() >= limits.items {
            let message = format!("more than {} rules, macros and lists", limits.items);
            findings.push(Finding::new(Code::Validate, message, item.place()));
            break;
        }
        let result = store.apply(item, &mut findings);
        errors += usize::from(result.is_err());
        findings.extend(result.err());
        if errors > limits.diagnostics {
            break;
        }
    }
    Applied {
        findings,
        starts,
        kind,
    }
}
