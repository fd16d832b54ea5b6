//! Who makes the daemon load its rules anew: the control socket, SIGHUP, and files that are others
//! than before. On a thread of their own, so that a slow file system holds up nobody else.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::control::{self, Listener};
use super::{Asked, Trigger, WAITING, Watched};

/// Time between two looks at the files; a change is loaded after one to two of them.
const LOOK: Duration = Duration::from_millis(500);

/// Nobody can be listened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for reloads: {0}")]
pub struct TriggerError(#[from] io::Error);

/// The triggers; they end when this is dropped.
#[derive(Debug)]
pub struct Triggers {
    _listener: Option<Listener>,
    _stop: oneshot::Sender<Infallible>,
}

impl Triggers {
    /// Listens on `socket`, for SIGHUP and, if there are any, to files.
    ///
    /// A socket that cannot be made is told and done without: the other ways remain.
    ///
    /// # Errors
    /// The process has no room for a thread or a descriptor.
    pub fn start(
        socket: Option<&Path>,
        watched: Option<Watched>,
    ) -> Result<(Self, mpsc::Receiver<Asked>), TriggerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = socket.and_then(listen);
        let entered = runtime.enter();
        // From here on the signal ends nobody.
        let hangup = signal(SignalKind::hangup())?;
        let socket = listener
            .as_ref()
            .map(|listener| listener.socket.try_clone());
        let socket = socket
            .transpose()?
            .map(UnixListener::from_std)
            .transpose()?;
        drop(entered);
        let (sender, asked) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    if let Some(socket) = socket {
                        tokio::spawn(control::serve(socket, sender.clone()));
                    }
                    if let Some(watched) = watched {
                        tokio::spawn(look(watched, sender.clone()));
                    }
                    tokio::spawn(signals(hangup, sender));
                    // Ends with an error when the other end is dropped.
                    let _stopped: Result<Infallible, _> = stopped.await;
                });
            })?;
        let triggers = Self {
            _listener: listener,
            _stop: stop,
        };
        Ok((triggers, asked))
    }
}

fn listen(path: &Path) -> Option<Listener> {
    Listener::bind(path)
        .inspect_err(|error| {
            let path = path.display();
            tracing::warn!(%error, "`monitor-daemon reload` cannot reach this daemon at `{path}`");
        })
        .ok()
}

async fn signals(mut hangup: Signal, asked: mpsc::Sender<Asked>) {
    while hangup.recv().await.is_some() {
        request(&asked, Trigger::Signal);
    }
}

async fn look(watched: Watched, asked: mpsc::Sender<Asked>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looked = watched.clone();
        // The files may lie on a server that does not answer.
        let changed = tokio::task::spawn_blocking(move || looked.settled_otherwise()).await;
        if changed.is_ok_and(|changed| changed) {
            request(&asked, Trigger::Files);
        }
    }
}

/// Where there is no room, as many requests wait as could be wished for.
fn request(asked: &mpsc::Sender<Asked>, by: Trigger) {
    drop(asked.try_send(Asked { by, answer: None }));
}
