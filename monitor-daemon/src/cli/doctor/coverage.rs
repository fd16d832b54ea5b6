//! What serves each event kind on this kernel, found by trying.

use serde_json::{Value, json};

use crate::container::scan;
use crate::probe::{Coverage, ProbeError, Probes, Request, Tier};

/// Loads and attaches every provider as `run` would, and lets go of them again.
///
/// # Errors
///
/// The kernel lacks something without which no kind at all is served.
pub(super) fn probe() -> Result<Vec<Coverage>, ProbeError> {
    let request = Request {
        cgroups: scan::unified(),
        ..Request::default()
    };
    Ok(Probes::load(&request)?.coverage().to_vec())
}

pub(super) fn to_json(coverage: &Coverage) -> Value {
    let Coverage {
        kind,
        provider,
        tier,
        refused,
        blind,
    } = coverage;
    let refused: Vec<Value> = refused
        .iter()
        .map(|(provider, reason)| json!({"provider": provider, "reason": reason}))
        .collect();
    json!({
        "kind": kind.name(),
        "provider": provider,
        "tier": tier.map(Tier::name),
        "refused": refused,
        "blind": blind,
    })
}
