//! One connection to Docker, from the first request to the first failure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::errors::Error;
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::super::Update;
use super::Settings;
use super::convert;
use super::inspect::{Answer, Inspections, Outcome};

/// How far back events are asked for: a container may have been created just before, and be
/// locked for inspections until it has started.
const LOOK_BACK: Duration = Duration::from_secs(2);
/// How often a silent Docker is asked whether it is alive.
const PING: Duration = Duration::from_secs(5);
/// The events that say something about a container or an image's names.
const ACTIONS: [&str; 14] = [
    "connect", "create", "delete", "destroy", "die", "import", "load", "pull", "push", "rename",
    "start", "tag", "untag", "update",
];

/// Why a session is over.
pub(super) enum Ended {
    /// The receiver of the updates is gone.
    NobodyListens,
    /// Docker cannot be reached.
    Down { reason: String, was_up: bool },
}

/// What stops a session from within.
enum Stop {
    NobodyListens,
    Down(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Down(error_text(&error))
    }
}

/// Runs one session.
pub(super) async fn run(
    settings: &Settings,
    updates: &mpsc::Sender<Update>,
    requests: &mut mpsc::Receiver<Arc<str>>,
) -> Ended {
    let (docker, since) = match connect(settings).await {
        Ok(connected) => connected,
        Err(Stop::NobodyListens) => return Ended::NobodyListens,
        Err(Stop::Down(reason)) => {
            return Ended::Down {
                reason,
                was_up: false,
            };
        }
    };
    // What was asked for before is told by the list, or asked for again after it.
    while requests.try_recv().is_ok() {}
    let inspections = Inspections::new(docker.clone(), settings.timeout);
    let session = Session {
        docker,
        settings,
        updates,
        inspections,
        listed: HashSet::new(),
    };
    match session.follow(since, requests).await {
        Stop::NobodyListens => Ended::NobodyListens,
        Stop::Down(reason) => Ended::Down {
            reason,
            was_up: true,
        },
    }
}

async fn connect(settings: &Settings) -> Result<(Docker, Duration), Stop> {
    let path = settings.socket.to_string_lossy();
    // The real limit is `settings.timeout`; the client's own counts whole seconds.
    let seconds = settings.timeout.as_secs() + 1;
    let docker = Docker::connect_with_unix(&path, seconds, API_DEFAULT_VERSION)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let docker = within(settings.timeout, docker.negotiate_version()).await?;
    Ok((docker, now.saturating_sub(LOOK_BACK)))
}

/// A request with a time limit.
async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Stop> {
    match timeout(limit, request).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Stop::Down(format!("no answer within {limit:?}"))),
    }
}

/// A connection that answered.
struct Session<'a> {
    docker: Docker,
    settings: &'a Settings,
    updates: &'a mpsc::Sender<Update>,
    inspections: Inspections,
    /// Containers of the first list that are not told yet.
    listed: HashSet<Arc<str>>,
}

impl Session<'_> {
    async fn follow(mut self, since: Duration, requests: &mut mpsc::Receiver<Arc<str>>) -> Stop {
        match self.follow_events(since, requests).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn follow_events(
        &mut self,
        since: Duration,
        requests: &mut mpsc::Receiver<Arc<str>>,
    ) -> Result<std::convert::Infallible, Stop> {
        let docker = self.docker.clone();
        let mut events = std::pin::pin!(events(&docker, since));
        let mut ping = interval_at(Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.send(Update::Up).await?;
        self.list().await?;
        loop {
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(event) => self.event(event?).await?,
                    None => return Err(Stop::Down("the event stream ended".to_owned())),
                },
                Some(id) = requests.recv() => self.inspections.ask(id),
                outcome = self.inspections.next() => self.outcome(outcome).await?,
                _ = ping.tick() => {
                    within(self.settings.timeout, self.docker.ping()).await?;
                }
                () = self.updates.closed() => return Err(Stop::NobodyListens),
            }
        }
    }

    /// Asks for everything that runs. Events that come meanwhile wait in the stream, and those
    /// since before the list are in it, so there is no gap.
    async fn list(&mut self) -> Result<(), Stop> {
        let options = ListContainersOptionsBuilder::new().build();
        let running = within(
            self.settings.timeout,
            self.docker.list_containers(Some(options)),
        )
        .await?;
        for id in running.into_iter().filter_map(|container| container.id) {
            let id: Arc<str> = id.into();
            self.listed.insert(Arc::clone(&id));
            self.inspections.ask(id);
        }
        self.told_all().await
    }

    async fn told_all(&mut self) -> Result<(), Stop> {
        if self.listed.is_empty() {
            self.send(Update::Synced).await
        } else {
            Ok(())
        }
    }

    async fn outcome(&mut self, outcome: Outcome) -> Result<(), Stop> {
        let Outcome { id, answer } = outcome;
        match answer {
            Answer::Known(metadata) => self.send(Update::Known(Arc::new(*metadata))).await?,
            Answer::NotFound => self.send(Update::NotFound(Arc::clone(&id))).await?,
            Answer::Outdated => {}
            Answer::Failed(error) => return Err(error.into()),
        }
        if self.listed.remove(&id) {
            self.told_all().await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: EventMessage) -> Result<(), Stop> {
        let action = event.action.unwrap_or_default();
        let actor = event.actor.unwrap_or_default();
        match event.typ {
            Some(EventMessageTypeEnum::CONTAINER) => {
                let Some(id) = actor.id.map(Arc::from) else {
                    return Ok(());
                };
                if action == "create" {
                    let told = convert::early(&id, actor.attributes.unwrap_or_default());
                    self.send(Update::Early(Arc::new(told))).await?;
                }
                self.container_event(&action, id).await
            }
            Some(EventMessageTypeEnum::NETWORK) => {
                let id = actor
                    .attributes
                    .and_then(|mut named| named.remove("container"));
                if let Some(id) = id {
                    self.inspections.ask(id.into());
                }
                Ok(())
            }
            _ => {
                self.inspections.forget_images();
                Ok(())
            }
        }
    }

    async fn container_event(&mut self, action: &str, id: Arc<str>) -> Result<(), Stop> {
        match action {
            "die" => self.send(Update::Died(id)).await,
            "destroy" => {
                self.inspections.drop_container(&id);
                self.send(Update::Removed(id)).await
            }
            _ => {
                self.inspections.ask(id);
                Ok(())
            }
        }
    }

    async fn send(&self, update: Update) -> Result<(), Stop> {
        self.updates
            .send(update)
            .await
            .map_err(|_| Stop::NobodyListens)
    }
}

/// The events since `since` (after the epoch), which Docker keeps a while: so it does not matter
/// how long the subscription takes.
fn events(
    docker: &Docker,
    since: Duration,
) -> impl Stream<Item = Result<EventMessage, Error>> + use<> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let types = owned(&["container", "image", "network"]);
    let filters: HashMap<String, Vec<String>> = [
        ("type".to_owned(), types),
        ("event".to_owned(), owned(&ACTIONS)),
    ]
    .into();
    let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
    let options = EventsOptionsBuilder::new()
        .since(&since)
        .filters(&filters)
        .build();
    docker.events(Some(options))
}

/// The error with its causes, in one line.
pub(super) fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
