//! The control socket: a line of JSON with what is wanted, a line of JSON with what came of it.
//!
//! It lies in a folder of root's, and who is neither root nor the daemon's own user is refused.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::answer::Answer;
use super::{Asked, Trigger};

const CONNECTIONS: usize = 8;
/// Time for the request to arrive.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Longest that rules may take to load; a big policy on a busy machine takes seconds.
const ANSWER_TIME: Duration = Duration::from_mins(5);
/// Bytes of a request.
const REQUEST_MAX: u64 = 4096;
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is wanted.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "lowercase")]
enum Request {
    Reload,
}

/// The daemon cannot be asked, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error(
        "no daemon answers at `{}`: {source}; is it running, with the same `control.socket`?",
        path.display()
    )]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It said nothing, or nothing that can be understood.
    #[error("the daemon's answer cannot be read: {0}; its log says what came of the request")]
    Answer(#[source] io::Error),
}

/// Asks the daemon behind a socket to load its rules anew.
///
/// # Errors
/// No daemon is there, or its answer does not come.
pub fn ask(path: &Path) -> Result<Answer, AskError> {
    let connect = |source| AskError::Connect {
        path: path.to_owned(),
        source,
    };
    let stream = UnixStream::connect(path).map_err(connect)?;
    let talk = || {
        stream.set_read_timeout(Some(ANSWER_TIME + REQUEST_TIME))?;
        let mut request = serde_json::to_vec(&Request::Reload)?;
        request.push(b'\n');
        (&stream).write_all(&request)?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        if line.is_empty() {
            // Who may not ask is told nothing.
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(serde_json::from_str(&line)?)
    };
    talk().map_err(AskError::Answer)
}

/// A socket that is listened on; the file is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    path: PathBuf,
    pub(super) socket: UnixListener,
}

impl Listener {
    /// Makes the socket, in the place of one that a daemon before left behind.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket {
            if UnixStream::connect(path).is_ok() {
                let text = "another daemon answers there";
                return Err(io::Error::new(ErrorKind::AddrInUse, text));
            }
            fs::remove_file(path)?;
        }
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        let path = path.to_owned();
        Ok(Self { path, socket })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Whoever removed it before did the same.
        drop(fs::remove_file(&self.path));
    }
}

/// Answers for as long as the runtime lives.
pub(super) async fn serve(listener: tokio::net::UnixListener, asked: mpsc::Sender<Asked>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let asked = asked.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, &asked).await {
                        tracing::warn!(%error, "a request on the control socket was not answered");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a control connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    mut stream: tokio::net::UnixStream,
    asked: &mpsc::Sender<Asked>,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        let text = format!("user {peer} may not ask");
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(REQUEST_MAX));
    let read = reader.read_line(&mut line);
    if tokio::time::timeout(REQUEST_TIME, read).await?? == 0 {
        // Somebody looked whether a daemon is there.
        return Ok(());
    }
    let Request::Reload = serde_json::from_str(&line)?;
    let (sender, answer) = oneshot::channel();
    let request = Asked {
        by: Trigger::Command,
        answer: Some(sender),
    };
    let gone = || io::Error::new(ErrorKind::BrokenPipe, "the daemon is about to end");
    asked.send(request).await.map_err(|_| gone())?;
    let answer = tokio::time::timeout(ANSWER_TIME, answer).await?;
    let mut text = serde_json::to_vec(&answer.map_err(|_| gone())?)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded() -> Answer {
        let text = r#"{"result":"loaded","rules":1,"checksum":"","added":{"count":0,"names":[]},
            "removed":{"count":0,"names":[]},"changed":{"count":0,"names":[]},"needs_restart":[],
            "diagnostics":""}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn who_asks_is_answered_and_nonsense_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/control.sock");
        let refused = ask(&path).unwrap_err();
        assert!(matches!(refused, AskError::Connect { .. }));
        let listener = Listener::bind(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let twice = Listener::bind(&path).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::AddrInUse);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (sender, mut asked) = mpsc::channel(1);
        let client = path.clone();
        let client = std::thread::spawn(move || {
            let mut garbage = UnixStream::connect(&client).unwrap();
            garbage.write_all(b"{\"command\":\"dance\"}\n").unwrap();
            let mut said = String::new();
            BufReader::new(garbage).read_line(&mut said).unwrap();
            (said, ask(&client).unwrap())
        });
        runtime.block_on(async {
            let socket = listener.socket.try_clone().unwrap();
            let socket = tokio::net::UnixListener::from_std(socket).unwrap();
            tokio::spawn(serve(socket, sender));
            let request = asked.recv().await.unwrap();
            assert_eq!(request.by, Trigger::Command);
            request.answer.unwrap().send(loaded()).unwrap();
            let client = tokio::task::spawn_blocking(|| client.join().unwrap());
            assert_eq!(client.await.unwrap(), (String::new(), loaded()));
        });
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_daemon_left_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
