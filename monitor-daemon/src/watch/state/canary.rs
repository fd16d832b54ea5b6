//! The daemon's own event on its way: sent, tried on all rules when it comes, told of when not.

use std::sync::Arc;

use super::super::canary::{PRIORITY, RULE, Sighting};
use super::{State, accounts};
use crate::clock;
use crate::event::{Actor, Event, World};
use crate::process::Process;
use crate::record::Record;

impl State {
    /// Sends a canary if one is due, and tells when one is missing.
    pub(in crate::watch) fn send_canary(&mut self) {
        let now = clock::boot_ns();
        let Some(missing) = self.canary.tick(now, self.reached) else {
            return;
        };
        let time = now.saturating_add(self.boot_to_epoch_ns);
        let alert = missing.alert(time, &self.hostname);
        tracing::error!("{}", alert.output);
        self.metrics.canary.missing.inc();
        self.metrics.rule(RULE, PRIORITY).inc();
        // A full queue has counted the loss.
        let _lost = self.alerts.push(alert);
    }

    /// Takes note of a canary's record; whether it is one, so no user's event.
    pub(super) fn is_canary(&mut self, record: &Record<'_>, process: &Arc<Process>) -> bool {
        match self.canary.saw(record) {
            Sighting::Other => return false,
            Sighting::Own => return true,
            Sighting::Canary => {}
        }
        self.try_out(record, process);
        self.canary.came();
        let now = clock::boot_ns();
        let taken = now.saturating_sub(record.header().time);
        self.canary_ms = Some(now / 1_000_000);
        let came = now.saturating_add(self.boot_to_epoch_ns);
        let seconds = |ns: u64| (ns / 1000) as f64 / 1e6;
        self.metrics.canary.came(seconds(came), seconds(taken));
        true
    }

    /// Does all that is done with an event, and raises no alert.
    fn try_out(&mut self, record: &Record<'_>, process: &Arc<Process>) {
        let actor = Actor::live(Arc::clone(process));
        let container = self.host.container(process, record.header().time);
        let container = container.as_deref();
        let table = &self.host.table;
        let world = World {
            table,
            accounts: accounts(&mut self.users, table, record, process, container),
            names: &self.names,
            hostname: &self.hostname,
            boot_to_epoch_ns: self.boot_to_epoch_ns,
        };
        if let Some(event) = Event::join(*record, &actor, container, world, self.number) {
            self.judges.of(u64::MAX).try_out(&event);
        }
    }
}
