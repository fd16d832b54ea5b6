//! What is wrong with a rules file, and where.

use std::fmt;

/// One error or warning, at one place of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// What kind of problem it is.
    pub code: Code,
    /// The problem, for the author of the rule.
    pub message: String,
    /// What to do about it, where that can be guessed.
    pub help: Option<String>,
    /// The name of the file, as it was given to [`load`](crate::load).
    pub file: String,
    /// Line of the problem, from 1.
    pub line: usize,
    /// Column of the problem in characters, from 1.
    pub column: usize,
    /// Byte offset of the problem in the file.
    pub offset: usize,
    /// Length in bytes of the text that is wrong, at least 1.
    pub length: usize,
    /// The item that it concerns.
    pub item: Option<Item>,
    /// Other places that have to do with it, in the order in which they are worth a look.
    pub related: Vec<Related>,
}

/// A place that helps to understand a diagnostic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// The name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte offset in the file.
    pub offset: usize,
    /// Length in bytes, at least 1.
    pub length: usize,
}

/// An item of a rules file, as diagnostics name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// `rule`, `macro`, `list` or a requirement.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// Line of its name, from 1.
    pub line: usize,
    /// Column of its name in characters, from 1.
    pub column: usize,
    /// Byte offset of its name in the file.
    pub offset: usize,
}

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Severity {
    /// The file does not load.
    Error,
    /// The file loads.
    Warning,
}

macro_rules! codes {
    ($($variant:ident = $code:literal, $severity:ident, $description:literal;)*) => {
        /// The kinds of problem, by the names that Falco gives them; those that it does not look
        /// for begin with `LINT_`.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`: `", $description, "`")] $variant,)*
        }

        impl Code {
            /// Its name: `LOAD_ERR_COMPILE_CONDITION`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// All codes: errors, Falco's warnings, lints.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }

            /// A short description.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)* }
            }

            /// Whether it fails the load.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    FileRead = "LOAD_ERR_FILE_READ", Error, "Error reading file";
    YamlParse = "LOAD_ERR_YAML_PARSE", Error, "Error parsing YAML";
    YamlValidate = "LOAD_ERR_YAML_VALIDATE", Error, "Error validating YAML";
    CompileCondition = "LOAD_ERR_COMPILE_CONDITION", Error, "Error compiling condition";
    CompileOutput = "LOAD_ERR_COMPILE_OUTPUT", Error, "Error compiling output";
    Validate = "LOAD_ERR_VALIDATE", Error, "Error validating rule, macro, list or exception";
    Extension = "LOAD_ERR_EXTENSION", Error, "Error in an extension item";
    UnknownSource = "LOAD_UNKNOWN_SOURCE", Warning, "Unknown event source";
    UnsafeNaCheck = "LOAD_UNSAFE_NA_CHECK", Warning, "Unsafe comparison with <NA>";
    NoEventType = "LOAD_NO_EVTTYPE", Warning, "Condition does not restrict the event type";
    UnknownFilter = "LOAD_UNKNOWN_FILTER", Warning, "Unknown field, event type or output token";
    UnusedMacro = "LOAD_UNUSED_MACRO", Warning, "Unused macro";
    UnusedList = "LOAD_UNUSED_LIST", Warning, "Unused list";
    UnknownItem = "LOAD_UNKNOWN_ITEM", Warning, "Unknown item";
    UnknownKey = "LOAD_UNKNOWN_KEY", Warning, "Unknown key";
    DeprecatedItem = "LOAD_DEPRECATED_ITEM", Warning, "Deprecated item";
    WarningExtension = "LOAD_WARNING_EXTENSION", Warning, "Warning in an extension item";
    AppendNoValues = "LOAD_APPEND_NO_VALUES", Warning, "Appended exception has no values";
    ExceptionNameNotUnique = "LOAD_EXCEPTION_NAME_NOT_UNIQUE", Warning,
        "Several exceptions with the same name";
    InvalidMacroName = "LOAD_INVALID_MACRO_NAME", Warning, "Macro name is not an identifier";
    InvalidListName = "LOAD_INVALID_LIST_NAME", Warning, "List name is not a bare string";
    ConditionWarning = "LOAD_COMPILE_CONDITION", Warning, "Condition is probably not what was meant";
    LintRedefined = "LINT_REDEFINED", Warning, "Macro or list of another file is replaced";
    LintLongName = "LINT_LONG_PROC_NAME", Warning, "Process name longer than the kernel keeps";
    LintExecFd = "LINT_EXEC_FD", Warning, "File descriptor tested where there is none";
    LintOpenAlone = "LINT_OPEN_ALONE", Warning, "open without openat";
    LintNoPercent = "LINT_NO_PERCENT", Warning, "Field without % in the output";
    LintPatternInList = "LINT_PATTERN_IN_LIST", Warning, "Pattern compared as plain text";
    LintMissingValue = "LINT_MISSING_VALUE", Warning, "Missing value compared as text";
    LintNeverTrue = "LINT_NEVER_TRUE", Warning, "Condition can never be true";
    LintEmptyList = "LINT_EMPTY_LIST", Warning, "Condition waits for a list to be filled";
    LintUnfilledField = "LINT_UNFILLED_FIELD", Warning, "Field never has a value";
    LintUntoldParameter = "LINT_UNTOLD_PARAMETER", Warning,
        "Parameter that the events of the rule do not have";
    LintAllow = "LINT_UNKNOWN_ALLOW", Warning, "Comment that silences no warning there is";
    LintMixed = "LINT_MIXED_AND_OR", Warning, "and and or without parentheses";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Diagnostic {
    /// Whether it fails the load.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            message,
            help,
            file,
            line,
            column,
            ..
        } = self;
        write!(f, "{file}:{line}:{column}: {message} ({code})")?;
        match help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}
