//! Docker's client: keeps the index told of every container, come what may.
//!
//! One task follows Docker's events, then lists what runs, so nothing falls between the two; each
//! container is inspected when it is created, which is before its first program runs. Docker may
//! be absent, restart, hang or answer nonsense: every request has a timeout, a `ping` finds out
//! about a silent daemon, [`Update::Down`] says so, and the task connects again with growing
//! delays and tells everything anew. It never panics and never blocks the caller.
//!
//! Left out: Docker over TCP or SSH, whose containers run on another host.

mod convert;
mod image;
mod inspect;
mod session;

use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cgroup_path::Owner;
use super::{Metadata, Update};
use session::Ended;

/// Where Docker listens when nothing else is said.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Ids asked for that may wait.
const REQUESTS: usize = 256;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(2);
/// Whoever asks for a container while Docker is away has seen its cgroup being made: if there is a
/// socket, Docker is about to answer on it. So long it is tried, at this pace, before it is called
/// down again.
const EAGER: Duration = Duration::from_secs(1);
const EAGER_DELAY: Duration = Duration::from_millis(20);

/// `DOCKER_HOST` names something that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error(
    "`DOCKER_HOST` is `{0}`: only a local socket can be watched, as in `unix:///run/docker.sock`"
)]
pub struct NotALocalSocket(String);

/// How Docker is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of its socket.
    pub socket: PathBuf,
    /// Longest time for one request.
    pub timeout: Duration,
}

impl Settings {
    /// The `configured` socket, else the one that `docker_host` (the environment's `DOCKER_HOST`)
    /// names, else [`DEFAULT_SOCKET`]; two seconds a request.
    pub fn new(
        configured: Option<&Path>,
        docker_host: Option<&str>,
    ) -> Result<Self, NotALocalSocket> {
        let socket = match (configured, docker_host) {
            (Some(path), _) => path.to_owned(),
            (None, None | Some("")) => DEFAULT_SOCKET.into(),
            (None, Some(host)) => match host.strip_prefix("unix://") {
                Some(path) => path.into(),
                None => return Err(NotALocalSocket(host.to_owned())),
            },
        };
        Ok(Self {
            socket,
            timeout: Duration::from_secs(2),
        })
    }

    /// Whose Docker it is: a user's own (rootless) one has a socket that belongs to him. As long
    /// as there is no socket it is taken for the system's.
    pub fn owner(&self) -> Owner {
        match std::fs::metadata(&self.socket) {
            Ok(socket) if socket.uid() != 0 => Owner::User,
            _ => Owner::System,
        }
    }
}

/// Asks the client's task for containers.
#[derive(Clone, Debug)]
pub struct Requests(mpsc::Sender<Arc<str>>);

impl Requests {
    /// Asks for the container with this full id; the answer is an [`Update`]. `false` when too
    /// many wait already: try again later. Never blocks.
    pub fn ask(&self, id: &Arc<str>) -> bool {
        self.0.try_send(Arc::clone(id)).is_ok()
    }
}

/// Makes the client: `updates` receives what it finds out. The future is to be spawned; it ends
/// when the receiver of `updates` is dropped.
pub fn client(
    settings: Settings,
    updates: mpsc::Sender<Update>,
) -> (Requests, impl Future<Output = ()> + Send) {
    let (sender, requests) = mpsc::channel(REQUESTS);
    (Requests(sender), follow(settings, updates, requests))
}

/// What the API's answer to an inspection says.
///
/// # Errors
///
/// When it is no such answer.
pub fn described(answer: &[u8]) -> Result<Metadata, serde_json::Error> {
    Ok(convert::metadata(
        serde_json::from_slice(answer)?,
        &image::Names::default(),
    ))
}

async fn follow(
    settings: Settings,
    updates: mpsc::Sender<Update>,
    mut requests: mpsc::Receiver<Arc<str>>,
) {
    let mut delay = FIRST_DELAY;
    let mut said = String::new();
    let mut eager_until = Instant::now();
    loop {
        let reason = match session::run(&settings, &updates, &mut requests).await {
            Ended::NobodyListens => return,
            Ended::Down { reason, was_up } => {
                if was_up {
                    delay = FIRST_DELAY;
                    said.clear();
                } else if Instant::now() < eager_until && settings.socket.exists() {
                    tokio::time::sleep(EAGER_DELAY).await;
                    continue;
                }
                reason
            }
        };
        if reason != said {
            tracing::warn!(socket = %settings.socket.display(), %reason, "Docker is not there");
            said.clone_from(&reason);
        }
        if updates.send(Update::Down(reason)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(with_jitter(delay)) => {}
            Some(_) = requests.recv() => eager_until = Instant::now() + EAGER,
            () = updates.closed() => return,
        }
        delay = (delay * 2).min(LAST_DELAY);
    }
}

/// Between half of `delay` and all of it, so that many hosts do not come at once.
fn with_jitter(delay: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) as u32;
    delay / 2 + (delay / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
