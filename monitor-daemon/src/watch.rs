//! (being written by the lead: the loop that joins records to events and evaluates them)

use std::sync::Arc;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::output::AlertQueue;

/// What the loop needs.
#[derive(Debug)]
pub struct Settings {
    /// Checked configuration, with the command line's changes.
    pub config: Config,
    /// Compiled rules.
    pub policy: monitor_policy::Policy,
    /// Name of this host in alerts.
    pub hostname: Arc<str>,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// Where alerts, lines and the status go.
    pub alerts: AlertQueue,
}

/// Why watching ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {}

/// Watches until told to stop.
///
/// # Errors
///
/// The kernel lacks something.
pub fn run(settings: Settings) -> Result<(), WatchError> {
    drop(settings);
    Ok(())
}
