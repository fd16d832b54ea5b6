//! The inspections under way: at most a few at once, one a container.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::Metadata;
use super::convert;
use super::image::Names;
use super::session::error_text;

/// Inspections at once.
const AT_ONCE: usize = 16;
/// Tries at a container whose inspection takes too long: Docker keeps a container locked while it
/// starts.
const TRIES: u32 = 5;
/// Images whose names are remembered.
const IMAGES_MAX: usize = 256;

/// The end of one inspection.
pub(super) struct Outcome {
    pub(super) id: Arc<str>,
    pub(super) answer: Answer,
}

/// What Docker answered.
pub(super) enum Answer {
    Known(Box<Metadata>),
    /// Not there, or nothing that can be understood.
    NotFound,
    /// The container was removed meanwhile.
    Outdated,
    /// The connection failed.
    Failed(Error),
}

pub(super) struct Inspections {
    docker: Docker,
    limit: Duration,
    images: Arc<Mutex<HashMap<String, Arc<Names>>>>,
    running: JoinSet<Outcome>,
    waiting: VecDeque<Arc<str>>,
    wanted: HashMap<Arc<str>, Wanted>,
}

/// What is to be done with a container that is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    /// In the queue.
    Waits,
    /// Under way.
    Runs,
    /// Under way, and changed meanwhile.
    RunsAgain,
    /// Under way, but the container is gone.
    Dropped,
}

impl Inspections {
    pub(super) fn new(docker: Docker, limit: Duration) -> Self {
        Self {
            docker,
            limit,
            images: Arc::default(),
            running: JoinSet::new(),
            waiting: VecDeque::new(),
            wanted: HashMap::new(),
        }
    }

    /// Wants a container told as it is from now on.
    pub(super) fn ask(&mut self, id: Arc<str>) {
        match self.wanted.get_mut(&id) {
            None => {
                self.wanted.insert(Arc::clone(&id), Wanted::Waits);
                self.waiting.push_back(id);
                self.fill();
            }
            Some(Wanted::Waits) => {}
            Some(state) => *state = Wanted::RunsAgain,
        }
    }

    /// A container is gone: an answer about it would be outdated.
    pub(super) fn drop_container(&mut self, id: &str) {
        match self.wanted.get_mut(id) {
            None | Some(Wanted::Waits) => {}
            Some(state) => *state = Wanted::Dropped,
        }
    }

    /// Image names may have changed.
    pub(super) fn forget_images(&self) {
        self.images
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The next answer; never ends while nothing is under way. May be cancelled.
    pub(super) async fn next(&mut self) -> Outcome {
        loop {
            let Some(joined) = self.running.join_next().await else {
                return std::future::pending().await;
            };
            // A task of ours neither panics nor is cancelled.
            let Ok(mut outcome) = joined else { continue };
            let state = self.wanted.remove(&outcome.id);
            if state == Some(Wanted::RunsAgain) {
                self.ask(Arc::clone(&outcome.id));
            }
            if state == Some(Wanted::Dropped) {
                outcome.answer = Answer::Outdated;
            }
            self.fill();
            return outcome;
        }
    }

    fn fill(&mut self) {
        while self.running.len() < AT_ONCE
            && let Some(id) = self.waiting.pop_front()
        {
            self.wanted.insert(Arc::clone(&id), Wanted::Runs);
            let (docker, images) = (self.docker.clone(), Arc::clone(&self.images));
            let limit = self.limit;
            self.running.spawn(async move {
                let answer = inspect(&docker, limit, &images, &id).await;
                Outcome { id, answer }
            });
        }
    }
}

type Images = Mutex<HashMap<String, Arc<Names>>>;

async fn inspect(docker: &Docker, limit: Duration, images: &Images, id: &str) -> Answer {
    for _ in 0..TRIES {
        match timeout(limit, docker.inspect_container(id, None)).await {
            Err(_) => {}
            Ok(Err(error)) => return failure(error, id),
            Ok(Ok(told)) => {
                let image = told.image.as_deref().unwrap_or_default();
                let names = image_names(docker, limit, images, image).await;
                return Answer::Known(Box::new(convert::metadata(told, &names)));
            }
        }
    }
    tracing::warn!(container = id, "Docker does not answer an inspection");
    Answer::NotFound
}

/// A refusal concerns this container only, anything else the connection.
fn failure(error: Error, id: &str) -> Answer {
    match &error {
        Error::DockerResponseServerError {
            status_code: 404, ..
        } => Answer::NotFound,
        Error::DockerResponseServerError { .. }
        | Error::JsonDataError { .. }
        | Error::JsonSerdeError { .. } => {
            let error = error_text(&error);
            tracing::warn!(container = id, %error, "Docker's inspection is of no use");
            Answer::NotFound
        }
        _ => Answer::Failed(error),
    }
}

/// The names of an image by its id; none when Docker has lost it or is too slow.
async fn image_names(docker: &Docker, limit: Duration, images: &Images, id: &str) -> Arc<Names> {
    let known = images
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(id)
        .cloned();
    if let Some(names) = known {
        return names;
    }
    let Ok(Ok(told)) = timeout(limit, docker.inspect_image(id)).await else {
        return Arc::default();
    };
    let names = Arc::new(Names {
        tags: told.repo_tags.unwrap_or_default(),
        digests: told.repo_digests.unwrap_or_default(),
    });
    let mut images = images.lock().unwrap_or_else(PoisonError::into_inner);
    if images.len() >= IMAGES_MAX {
        images.clear();
    }
    images.insert(id.to_owned(), Arc::clone(&names));
    names
}
