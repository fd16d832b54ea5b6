//! A log server that takes connections and reads nothing.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use anyhow::{Result, ensure};
use monitor_tests::{daemon, skip_if, wait};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::{RULES, Subject, needle};
use crate::actions::Programs;
use crate::world::PATIENCE;

const PADDING: usize = 3000;
const LOST: &str = "monitor_alerts_lost_total{output=\"syslog\",reason=\"queue_full\"}";

#[test]
fn a_log_server_that_does_not_read_delays_no_other_output() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // Inherited by what is accepted: little fits before the sender has to wait.
    set_socket_recv_buffer_size(&listener, 4096)?;
    let address = listener.local_addr()?;
    // Connections are held until the tests end.
    thread::spawn(move || {
        listener
            .incoming()
            .map_while(Result::ok)
            .collect::<Vec<_>>()
    });
    let alerts = programs.folder().join("alerts.jsonl");
    let settings = format!(
        "  log: {{path: off}}\n  queue_bytes: 262144\n  syslog:\n    address: {address}\n    protocol: tcp\n"
    );
    let subject = Subject::start(&programs, RULES, &alerts, &settings)?;
    let mut sent = 0;
    wait::until("a loss for syslog", 3 * PATIENCE, || {
        needle(sent, PADDING)?;
        sent += 1;
        Ok((subject.metric(LOST)? > 0).then_some(()))
    })?;
    needle(sent, 0)?;
    subject.wait_for(sent)?;
    let subject = subject.stop()?;
    let needles = subject.needles()?;
    ensure!(needles == (0..=sent).collect::<Vec<_>>(), "{needles:?}");
    Ok(())
}
