//! The one loop that owns all state.
//!
//! Whatever can wake it is records in a ring or an [`Input`]. It reads records in order of time,
//! applies them to the [`Host`], puts events aside that wait for metadata, and hands the rest to
//! the [`Judge`]. It never waits for anybody: Docker, name resolution, outputs and scrapes run in
//! other threads behind bounded queues.

mod canary;
mod guard;
mod host;
mod judge;
mod judges;
mod loads;
mod losses;
mod pace;
mod refusals;
mod reload;
mod services;
mod stalls;
mod state;
mod streams;
mod supervisor;
mod tampering;
mod ticks;
mod waiting;

pub(crate) use tampering::RULE as TAMPERED;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Instant;

use monitor_common::Kind;
use monitor_policy::Policy;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;

use crate::clock;
use crate::config::Config;
use crate::confine;
use crate::container::{Update, scan};
use crate::filter::{Filters, may_fail};
use crate::metrics::Metrics;
use crate::names::NamesUpdate;
use crate::output::AlertQueue;
use crate::probe::{Hierarchy, Loader, ProbeError, Probes, Request, Rings, Wish};
use crate::reload::Reload;
use crate::selfcheck::Starter;
use reload::{Reloader, Step};
use state::State;
use supervisor::Supervisor;
use ticks::Ticks;

use judge::Judge;
use pace::Pace;

/// Records handled before the loop looks at its other inputs again.
const BATCH: usize = 1024;

/// What can wake the loop, other than records.
#[derive(Debug)]
pub enum Input {
    /// The container runtime said something.
    Container(Update),
    /// Names that rules mention were resolved anew.
    Names(NamesUpdate),
}

/// The daemon cannot watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A loaded rule needs what this kernel does not give.
    #[error(
        "rules need {} events, which nothing on this kernel provides; see `monitor-daemon doctor`, \
         or set `accept_blind: true` to run without them",
        kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    )]
    Blind {
        /// The kinds without a provider.
        kinds: Vec<Kind>,
    },
    /// The event loop could not be set up.
    #[error("cannot set up the event loop: {0}")]
    Runtime(#[from] io::Error),
}

/// Everything a run needs, checked.
#[derive(Debug)]
pub struct Settings {
    /// Checked configuration, with the command line's changes.
    pub config: Config,
    /// The rules.
    pub policy: Policy,
    /// How others may take their place while the daemon runs.
    pub reload: Reload,
    /// Name of this host in alerts.
    pub hostname: Arc<str>,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// Where alerts, lines and the status go; flushed and closed by the caller afterwards.
    pub alerts: AlertQueue,
    /// Starts the children of the self-check.
    pub starter: Starter,
}

/// Watches until SIGTERM or SIGINT, then drains what the kernel has already recorded.
///
/// `loader` was begun for [`request`], before the rules were loaded.
pub fn run(settings: Settings, loader: Loader) -> Result<(), WatchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(watch(settings, loader))
}

async fn watch(settings: Settings, loader: Loader) -> Result<(), WatchError> {
    let (probes, filters) = load(&settings, loader);
    let mut probes = probes?;
    let mut rings = probes.rings()?;
    refuse_blindness(&settings, &probes)?;
    if let Some(reason) = probes.unprotected() {
        tracing::error!(
            reason,
            "`protect` is on, but this kernel cannot keep others off"
        );
    }
    Judge::warn(&settings.policy);
    let names = settings.policy.host_names().map(Arc::from).collect();
    let (services, inputs) = services::start(&settings.config, names)?;
    let Settings {
        config,
        policy,
        reload,
        hostname,
        metrics,
        alerts,
        starter,
    } = settings;
    let probes = Arc::new(Mutex::new(probes));
    let (reloader, steps) = Reloader::new(
        reload,
        &config,
        (&policy, filters),
        Arc::clone(&hostname),
        Arc::clone(&metrics),
        Arc::clone(&probes),
    );
    // From here on the state file says that the daemon runs, so that its end has to be told there.
    let signals = Signals::take()?;
    reloader.narrow();
    let mut state = State::new(
        &config, policy, hostname, metrics, alerts, services, starter,
    );
    with(&probes, |probes| state.begin(probes));
    give_back_program();
    confine::calls();
    state.say_ready();
    let mut supervisor = Supervisor::ready();
    with(&probes, |probes| state.guard(probes));
    state.send_canary();
    thread::Builder::new()
        .name("policy".to_owned())
        .spawn(move || reloader.run())?;
    let others = Others {
        inputs,
        steps,
        signals,
    };
    let result = follow(&mut state, &probes, &mut rings, others, &mut supervisor).await;
    supervisor::stopping();
    let probes = probes.try_lock();
    state.finish(probes.as_deref().ok(), &mut rings);
    result
}

/// What the kernel may leave out, and the programs, whose object may still be on its way.
fn load(settings: &Settings, loader: Loader) -> (Result<Probes, ProbeError>, Option<Filters>) {
    let filters = reload::filters(&settings.config, &settings.policy);
    let request = request(&settings.config).with(wish(&settings.policy));
    (Probes::load_with(&request, loader), filters)
}

/// Most of the program is needed to start only.
fn give_back_program() {
    if let Err(error) = monitor_memory::give_back_program() {
        tracing::debug!(%error, "code that is not needed any more stays in memory");
    }
}

/// What else than records wakes the loop.
struct Others {
    inputs: Receiver<Input>,
    steps: Receiver<Step>,
    signals: Signals,
}

/// Those that end the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Keeps them from ending the process; they are told of instead.
    fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Whether one has come; does not wait for it.
    async fn have_come(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.come() => true,
            () = tokio::task::yield_now() => false,
        }
    }
}

/// Does something with the programs, unless they are being changed: the loop waits for nobody.
fn with<T>(probes: &Mutex<Probes>, act: impl FnOnce(&mut Probes) -> T) -> Option<T> {
    match probes.try_lock() {
        Ok(mut probes) => Some(act(&mut probes)),
        Err(TryLockError::Poisoned(poisoned)) => Some(act(&mut poisoned.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
}

async fn follow(
    state: &mut State,
    probes: &Mutex<Probes>,
    rings: &mut Rings,
    others: Others,
    supervisor: &mut Supervisor,
) -> Result<(), WatchError> {
    let Others {
        mut inputs,
        mut steps,
        mut signals,
    } = others;
    let [lifecycle, control, bulk] = rings.descriptors().map(wakeups);
    let (lifecycle, control, bulk) = (lifecycle?, control?, bulk?);
    let (mut pace, mut ticks) = (Pace::default(), Ticks::new());
    loop {
        let records = tokio::select! {
            biased;
            () = signals.come() => return Ok(()),
            Some(input) = inputs.recv() => { state.input(input); false }
            Some(step) = steps.recv() => { state.step(step); false }
            () = ticks.due() => { ticks.tick(state, probes); false }
            ready = lifecycle.readable() => { ready?.clear_ready(); true }
            ready = control.readable() => { ready?.clear_ready(); true }
            ready = bulk.readable() => { ready?.clear_ready(); true }
        };
        if records {
            pace.woken(Instant::now());
        }
        supervisor.alive();
        // A ring that is armed wakes us once when it stops being empty, so it is emptied before the
        // next wait; signals and other inputs get their turn between batches.
        while more(state, rings, &mut pace) {
            while let Ok(input) = inputs.try_recv() {
                state.input(input);
            }
            if let Ok(step) = steps.try_recv() {
                state.step(step);
            }
            if !ticks.are_due() {
                continue;
            }
            ticks.tick(state, probes);
            supervisor.alive();
            if signals.have_come().await {
                return Ok(());
            }
        }
        ticks.keep_pace_with(state);
    }
}

/// Wake-ups of a ring, on a descriptor of their own.
#[expect(
    deprecated,
    reason = "made for borrowed descriptors; this one is owned by what waits on it"
)]
fn wakeups(ring: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(ring.try_clone_to_owned()?)
}

/// Handles a batch of records; whether there may be more before the next one wakes us.
fn more(state: &mut State, rings: &mut Rings, pace: &mut Pace) -> bool {
    let began = clock::boot_ns();
    let handled = drain(state, rings);
    if handled == BATCH {
        return true;
    }
    state.drained(began);
    pace.looked(handled);
    if pace.is_busy() {
        Pace::gather();
        return true;
    }
    rings.arm()
}

/// Handles at most [`BATCH`] records; how many it did.
fn drain(state: &mut State, rings: &mut Rings) -> usize {
    let mut handled = 0;
    let mut reached = None;
    while handled < BATCH {
        let Some(bytes) = rings.next() else { break };
        reached = state.record(bytes);
        handled += 1;
    }
    if let Some(time) = reached {
        state.reached(time);
    }
    handled
}

/// What is to be recorded for a policy.
fn wish(policy: &Policy) -> Wish {
    let environment = policy.environment_names();
    let mut kinds = Judge::kinds(policy);
    // Execs that succeed are recorded anyway; those that fail may take a program at every call's end.
    if !may_fail(policy, Kind::Exec) {
        kinds.retain(|kind| *kind != Kind::Exec);
    }
    Wish {
        kinds,
        calls: Some(Judge::calls(policy)),
        environment: environment.whole || !environment.names.is_empty(),
    }
}

/// What is to be loaded, whatever the policy.
pub fn request(config: &Config) -> Request {
    Request {
        lifecycle_bytes: config.rings.lifecycle.bytes(),
        control_bytes: config.rings.control.bytes(),
        bulk_bytes: config.rings.bulk.bytes(),
        skip_process: Some(std::process::id()),
        protect: config.protect,
        // What keeps it from being found is said where cgroups are listed.
        hierarchy: scan::hierarchy().map_or_else(|_| Hierarchy::default(), |found| found.0),
        cgroups: scan::unified(),
        ..Request::default()
    }
}

/// Kinds of these that nothing serves.
fn blind(wanted: &[Kind], probes: &Probes) -> Vec<Kind> {
    let unserved = probes
        .coverage()
        .iter()
        .filter(|kind| kind.provider.is_none());
    unserved
        .map(|coverage| coverage.kind)
        .filter(|kind| wanted.contains(kind))
        .collect()
}

fn refuse_blindness(settings: &Settings, probes: &Probes) -> Result<(), WatchError> {
    let kinds = blind(&Judge::kinds(&settings.policy), probes);
    if kinds.is_empty() || settings.config.accept_blind {
        return Ok(());
    }
    Err(WatchError::Blind { kinds })
}
