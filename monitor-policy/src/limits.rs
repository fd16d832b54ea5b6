//! How much rules files may ask for: files come from many hands, and a mistake or malice in one
//! must not take the memory or the time of the host.

use crate::condition::Nesting;

/// Limits of loading. What goes over one is an error that names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoadLimits {
    /// Bytes of a file.
    pub file_bytes: usize,
    /// Nodes of a YAML document, those behind aliases counted each time, and each 16 bytes of a
    /// text counted as one more.
    pub yaml_nodes: usize,
    /// Nesting of a YAML document; rules need five.
    pub yaml_depth: usize,
    /// Rules, macros and lists of all files together.
    pub items: usize,
    /// Items of a list with those of the lists in it.
    pub list_items: usize,
    /// Bytes of a condition with its lists and exceptions put in.
    pub condition_bytes: usize,
    /// The same of all conditions and macros together.
    pub total_condition_bytes: usize,
    /// Different regular expressions; each may take 512 KiB of memory.
    pub regexes: usize,
    /// Nesting of parentheses in a condition, at most 1000, which is Falco's.
    pub nesting: usize,
    /// Nesting of transformers in a condition, at most 32.
    pub transformers: usize,
    /// Macros of which each uses the next, at most 1000.
    pub macro_chain: usize,
    /// Nesting of a condition with its macros, at most 1000: evaluation recurses that deep.
    pub height: usize,
    /// Errors of a file that are told, and as many warnings.
    pub diagnostics: usize,
}

impl LoadLimits {
    /// How deep conditions may be nested.
    pub(crate) fn of_conditions(&self) -> Nesting {
        Nesting {
            parentheses: self.nesting,
            transformers: self.transformers,
        }
    }
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 20,
            yaml_nodes: 1_000_000,
            yaml_depth: 32,
            items: 50_000,
            list_items: 100_000,
            condition_bytes: 2 << 20,
            total_condition_bytes: 32 << 20,
            regexes: 1000,
            nesting: 1000,
            transformers: 32,
            macro_chain: 1000,
            height: 1000,
            diagnostics: 200,
        }
    }
}
