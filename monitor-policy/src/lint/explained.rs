//! What each code means, with an example that brings it about.

use Example as E;

use crate::diagnostic::Code;

/// A code, for the reference.
#[derive(Clone, Copy, Debug)]
pub struct ExplainedCode {
    /// The code.
    pub code: Code,
    /// What it means and what to do.
    pub meaning: &'static str,
    /// What brings it about.
    pub example: Example,
}

/// A piece of a rules file.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// Nothing that a rules file could hold.
    None,
    /// The condition of a rule.
    Condition(&'static str),
    /// The output of a rule.
    Output(&'static str),
    /// Further keys of a rule.
    Keys(&'static str),
    /// A whole file.
    File(&'static str),
    /// A second file after a first.
    Files(&'static str, &'static str),
}

const fn row(code: Code, meaning: &'static str, example: Example) -> ExplainedCode {
    ExplainedCode {
        code,
        meaning,
        example,
    }
}

/// All codes, in the order of [`Code::ALL`].
pub const EXPLAINED_CODES: &[ExplainedCode] = &[
    row(
        Code::FileRead,
        "The file cannot be read: it is not there, not readable, or no UTF-8.",
        E::None,
    ),
    row(
        Code::YamlParse,
        "The file is no YAML, or more of it than the limits allow.",
        E::File("- rule: [unclosed"),
    ),
    row(
        Code::YamlValidate,
        "A key is missing, or its value has the wrong form.",
        E::Keys("enabled: maybe"),
    ),
    row(
        Code::CompileCondition,
        "A condition does not parse, or does not make sense: unknown fields, operators that do not \
         fit, values of the wrong type.",
        E::Condition("proc.nmae = sh"),
    ),
    row(
        Code::CompileOutput,
        "An output prints something that does not exist.",
        E::Output("started %proc.nmae"),
    ),
    row(
        Code::Validate,
        "Items do not fit each other: undefined macros, changes of what is not there, versions that \
         are not met, limits.",
        E::Condition("undefined_macro"),
    ),
    row(
        Code::Extension,
        "Kept for Falco's extensions; nothing here brings it about.",
        E::None,
    ),
    row(
        Code::UnknownSource,
        "The rule is for events that this build does not read, and is skipped.",
        E::Keys("source: k8s_audit"),
    ),
    row(
        Code::UnsafeNaCheck,
        "`<NA>` compared with a field of the Kubernetes audit log; such rules are skipped here, so \
         that it does not arise.",
        E::None,
    ),
    row(
        Code::NoEventType,
        "The condition holds for more than 100 event types, so it is tried on nearly all events. \
         Also silenced by `warn_evttypes: false`.",
        E::Condition("proc.name = sh"),
    ),
    row(
        Code::UnknownFilter,
        "`skip-if-unknown-filter` skips the rule: it names a field or event type that does not \
         exist.",
        E::Keys("condition: evt.type = openat and no.field = x\n  skip-if-unknown-filter: true"),
    ),
    row(
        Code::UnusedMacro,
        "No rule and no macro uses the macro.",
        E::File("- macro: unused\n  condition: evt.type = openat"),
    ),
    row(
        Code::UnusedList,
        "Nothing uses the list.",
        E::File("- list: unused\n  items: [a, b]"),
    ),
    row(
        Code::UnknownItem,
        "An item that is neither rule, macro, list nor requirement is ignored.",
        E::File("- rulle: Typo"),
    ),
    row(
        Code::UnknownKey,
        "A key that the item does not have is ignored, and so is a key given twice.",
        E::Keys("prioritty: low"),
    ),
    row(
        Code::DeprecatedItem,
        "`append: true`, `enabled` alone, or a field that is out of use.",
        E::Condition("evt.type = openat and evt.dir = <"),
    ),
    row(
        Code::WarningExtension,
        "Kept for Falco's extensions; nothing here brings it about.",
        E::None,
    ),
    row(
        Code::AppendNoValues,
        "An exception is appended without values, which changes nothing.",
        E::Files(
            "- rule: R\n  desc: d\n  priority: notice\n  output: o\n  condition: evt.type = openat\n  \
             exceptions: [{name: e, fields: proc.name}]",
            "- rule: R\n  exceptions: [{name: e}]\n  override: {exceptions: append}",
        ),
    ),
    row(
        Code::ExceptionNameNotUnique,
        "Two exceptions of a rule have the same name.",
        E::Keys("exceptions: [{name: e, fields: proc.name}, {name: e, fields: fd.name}]"),
    ),
    row(
        Code::InvalidMacroName,
        "A macro's name has characters with which it cannot be used in a condition.",
        E::File("- macro: a-b\n  condition: evt.type = openat"),
    ),
    row(
        Code::InvalidListName,
        "A list's name has characters with which it cannot be used in a condition.",
        E::File("- list: a b\n  items: [x]"),
    ),
    row(
        Code::ConditionWarning,
        "A value is the name of a field (`val()` was meant), or a regular expression does no more \
         than a plain comparison.",
        E::Condition("evt.type = openat and proc.name = proc.pname"),
    ),
    row(
        Code::LintRedefined,
        "A macro or list takes the place of another file's, and changes the rules that use it \
         there. Also silenced by `override: {condition: replace}` (`items` for a list), which says \
         that it is meant.",
        E::Files(
            "- list: shells\n  items: [sh, bash]",
            "- list: shells\n  items: [zsh]",
        ),
    ),
    row(
        Code::LintLongName,
        "The kernel keeps 15 bytes of a process's name: a longer one is never equal.",
        E::Condition("evt.type = openat and proc.name = systemd-journald"),
    ),
    row(
        Code::LintExecFd,
        "The rule looks at nothing but started programs, and those events have no file descriptor.",
        E::Condition("evt.type in (execve, execveat) and fd.name startswith /etc"),
    ),
    row(
        Code::LintOpenAlone,
        "C libraries open files by `openat`: a rule on `open` alone sees hardly anything.",
        E::Condition("evt.type = open and fd.name = /etc/passwd"),
    ),
    row(
        Code::LintNoPercent,
        "The output has the name of a field without `%`, and nowhere its value.",
        E::Output("by user.name"),
    ),
    row(
        Code::LintPatternInList,
        "`in` and `intersects` compare whole values: `*` and `?` stand for themselves.",
        E::Condition("evt.type = openat and fd.name in (/etc/*)"),
    ),
    row(
        Code::LintMissingValue,
        "A field without a value is equal to nothing, so comparing it with `<NA>` or `null` does \
         not find it: `exists` does.",
        E::Condition("evt.type = openat and proc.pname != null"),
    ),
    row(
        Code::LintNeverTrue,
        "No event fulfils the condition: tests contradict each other, a list is empty, a number is \
         out of reach, or the event types exclude each other. `evt.num = 0`, the way to switch \
         something off on purpose, is left alone.",
        E::Condition("evt.type = openat and proc.name = a and proc.name = b"),
    ),
    row(
        Code::LintEmptyList,
        "The condition can only be true when a list that is empty is filled.",
        E::File(
            "- rule: R\n  desc: d\n  priority: notice\n  output: o\n  condition: evt.type = openat \
             and proc.name in (mine)\n- list: mine\n  items: []",
        ),
    ),
    row(
        Code::LintUnfilledField,
        "The field is one of the language, and this build never gives it a value, so that every \
         test of it is false. `monitor-daemon fields` lists which are filled.",
        E::Condition("evt.type = openat and k8s.rc.name = x"),
    ),
    row(
        Code::LintUntoldParameter,
        "The parameter is one of the language, but no event type that the rule can match has it \
         here, so that the test is always false.",
        E::Condition("evt.type = openat and evt.arg.nstype = CLONE_NEWNS"),
    ),
    row(
        Code::LintAllow,
        "A comment `# monitor: allow …` names a warning that does not exist, or an error, and so \
         silences nothing.",
        E::Keys("# monitor: allow LINT_REDEFIND"),
    ),
    row(
        Code::LintMixed,
        "`and` binds before `or`; without parentheses it is hard to see what belongs together.",
        E::Condition("evt.type = openat and fd.num > 2 or evt.type = creat"),
    ),
];

impl Example {
    /// The example as it is shown; `None` for nothing.
    pub fn shown(self) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::Condition(text) => format!("condition: {text}"),
            Self::Output(text) => format!("output: {text}"),
            Self::Keys(text) => text.replace("\n  ", "\n"),
            Self::File(text) => text.to_owned(),
            Self::Files(first, second) => {
                format!("# one file\n{first}\n# a later file\n{second}")
            }
        })
    }

    /// The example as files.
    pub fn files(self) -> Vec<String> {
        let rule = |condition: &str, output: &str, keys: &str| {
            let condition = if keys.contains("condition:") {
                String::new()
            } else {
                format!("  condition: {condition}\n")
            };
            format!(
                "- rule: R\n  desc: d\n  priority: notice\n  output: {output}\n{condition}  {keys}\n"
            )
        };
        match self {
            Self::None => Vec::new(),
            Self::Condition(condition) => vec![rule(condition, "o", "")],
            Self::Output(output) => vec![rule("evt.type = openat", output, "")],
            Self::Keys(keys) => vec![rule("evt.type = openat", "o", keys)],
            Self::File(text) => vec![text.to_owned()],
            Self::Files(first, second) => vec![first.to_owned(), second.to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::lint::{LintGroup, LintOptions, Told};
    use crate::load::{Options, RulesFile, load};

    /// The codes that the example files bring about.
    fn codes(files: &[String]) -> Vec<Code> {
        let files: Vec<_> = files
            .iter()
            .map(|text| RulesFile { name: "f", text })
            .collect();
        let lint = LintOptions {
            group: LintGroup::All,
            unfilled: &[],
            told: Some(Told(|_, name| name != "nstype")),
        };
        let options = Options {
            lint,
            ..Options::default()
        };
        let files = load(&files, &options).files;
        let all = files
            .iter()
            .flat_map(|file| file.errors().iter().chain(file.warnings()));
        all.map(|found| found.code).collect()
    }

    #[test]
    fn every_code_is_explained() {
        let explained: Vec<_> = EXPLAINED_CODES.iter().map(|row| row.code).collect();
        assert_eq!(explained, Code::ALL);
    }

    #[test]
    fn examples_bring_their_code_about_and_a_comment_silences_it() {
        for ExplainedCode { code, example, .. } in EXPLAINED_CODES {
            let files = example.files();
            if files.is_empty() {
                continue;
            }
            assert!(codes(&files).contains(code), "{code}: {files:?}");
            if code.severity() == Severity::Warning && *code != Code::UnknownItem {
                let silent = |text: &String| format!("# monitor: allow {code}\n{text}");
                let files: Vec<_> = files.iter().map(silent).collect();
                assert!(!codes(&files).contains(code), "{code}: {files:?}");
            }
        }
    }
}
