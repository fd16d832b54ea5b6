//! What runs beside the loop: the Docker client and the resolver, on a thread of their own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;

use super::Input;
use crate::config::Config;
use crate::container::docker;
use crate::names;

/// Longest time for one request to Docker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Inputs that may wait for the loop.
const INPUTS: usize = 1024;

/// Handles to the services. They end when the receiver of their inputs is dropped.
#[derive(Debug)]
pub(super) struct Services {
    requests: docker::Requests,
    host_names: watch::Sender<Vec<Arc<str>>>,
    /// Whose Docker is watched.
    pub(super) owner: crate::container::cgroup_path::Owner,
}

impl Services {
    /// Asks Docker for a container; `false` when too many requests wait.
    pub(super) fn inspect(&self, id: &Arc<str>) -> bool {
        self.requests.ask(id)
    }

    /// Has these names resolved from now on, and no others.
    pub(super) fn resolve(&self, names: Vec<Arc<str>>) {
        self.host_names.send_replace(names);
    }
}

/// Starts the services; what they find out comes through the receiver.
pub(super) fn start(
    config: &Config,
    host_names: Vec<Arc<str>>,
) -> std::io::Result<(Services, Receiver<Input>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (inputs, receiver) = mpsc::channel(INPUTS);
    let settings = docker::Settings {
        socket: config.docker.socket.clone(),
        timeout: REQUEST_TIMEOUT,
    };
    let owner = settings.owner();
    let (updates, told) = mpsc::channel(INPUTS);
    let (requests, client) = docker::client(settings, updates);
    let (names, resolved) = mpsc::channel(1);
    let (host_names, wanted) = watch::channel(host_names);
    let resolver = names::resolve(wanted, names::Settings::default(), names);
    std::thread::Builder::new()
        .name("services".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::join!(
                    client,
                    resolver,
                    pass_on(told, inputs.clone(), Input::Container),
                    pass_on(resolved, inputs, Input::Names),
                );
            });
        })?;
    let services = Services {
        requests,
        host_names,
        owner,
    };
    Ok((services, receiver))
}

async fn pass_on<T>(mut from: Receiver<T>, to: Sender<Input>, wrap: impl Fn(T) -> Input) {
    while let Some(item) = from.recv().await {
        if to.send(wrap(item)).await.is_err() {
            return;
        }
    }
}
