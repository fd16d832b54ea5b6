//! `limits`: how much rules files may ask for.

use monitor_policy::LoadLimits;
use serde::Deserialize;
use serde_yaml::Value;

use super::value::{Bounded, scalar};

/// Limits as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawLimits {
    #[serde(deserialize_with = "scalar")]
    file_bytes: Option<Bounded<1024, 1_073_741_824>>,
    #[serde(deserialize_with = "scalar")]
    yaml_nodes: Option<Bounded<100, 100_000_000>>,
    #[serde(deserialize_with = "scalar")]
    yaml_depth: Option<Bounded<8, 200>>,
    #[serde(deserialize_with = "scalar")]
    items: Option<Bounded<1, 1_000_000>>,
    #[serde(deserialize_with = "scalar")]
    list_items: Option<Bounded<1, 10_000_000>>,
    #[serde(deserialize_with = "scalar")]
    condition_bytes: Option<Bounded<1024, 1_073_741_824>>,
    #[serde(deserialize_with = "scalar")]
    total_condition_bytes: Option<Bounded<1024, 1_073_741_824>>,
    #[serde(deserialize_with = "scalar")]
    regexes: Option<Bounded<1, 100_000>>,
    #[serde(deserialize_with = "scalar")]
    nesting: Option<Bounded<1, 1000>>,
    #[serde(deserialize_with = "scalar")]
    transformers: Option<Bounded<1, 32>>,
    #[serde(deserialize_with = "scalar")]
    macro_chain: Option<Bounded<1, 1000>>,
    #[serde(deserialize_with = "scalar")]
    height: Option<Bounded<1, 1000>>,
    #[serde(deserialize_with = "scalar")]
    diagnostics: Option<Bounded<1, 100_000>>,
}

impl RawLimits {
    pub(super) fn into_limits(self) -> LoadLimits {
        let default = LoadLimits::default();
        LoadLimits {
            file_bytes: or(self.file_bytes, default.file_bytes),
            yaml_nodes: or(self.yaml_nodes, default.yaml_nodes),
            yaml_depth: or(self.yaml_depth, default.yaml_depth),
            items: or(self.items, default.items),
            list_items: or(self.list_items, default.list_items),
            condition_bytes: or(self.condition_bytes, default.condition_bytes),
            total_condition_bytes: or(self.total_condition_bytes, default.total_condition_bytes),
            regexes: or(self.regexes, default.regexes),
            nesting: or(self.nesting, default.nesting),
            transformers: or(self.transformers, default.transformers),
            macro_chain: or(self.macro_chain, default.macro_chain),
            height: or(self.height, default.height),
            diagnostics: or(self.diagnostics, default.diagnostics),
        }
    }
}

fn or<const MIN: u64, const MAX: u64>(given: Option<Bounded<MIN, MAX>>, default: usize) -> usize {
    given
        .and_then(|number| usize::try_from(number.0).ok())
        .unwrap_or(default)
}

/// The value of a limit by its key.
pub(super) fn value(limits: &LoadLimits, name: &str) -> Value {
    let number = match name {
        "file_bytes" => limits.file_bytes,
        "yaml_nodes" => limits.yaml_nodes,
        "yaml_depth" => limits.yaml_depth,
        "items" => limits.items,
        "list_items" => limits.list_items,
        "condition_bytes" => limits.condition_bytes,
        "total_condition_bytes" => limits.total_condition_bytes,
        "regexes" => limits.regexes,
        "nesting" => limits.nesting,
        "transformers" => limits.transformers,
        "macro_chain" => limits.macro_chain,
        "height" => limits.height,
        "diagnostics" => limits.diagnostics,
        _ => return Value::Null,
    };
    number.into()
}
