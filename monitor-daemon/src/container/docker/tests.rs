//! The client against sockets that are not, or not quite, Docker. (Against a real one:
//! `tests/docker.rs`.)

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn the_socket_is_the_configured_one_or_docker_hosts() {
    for (configured, host, expected) in [
        (None, None, Some(DEFAULT_SOCKET)),
        (None, Some(""), Some(DEFAULT_SOCKET)),
        (
            None,
            Some("unix:///run/user/1000/docker.sock"),
            Some("/run/user/1000/docker.sock"),
        ),
        (Some("/a.sock"), Some("tcp://x:1"), Some("/a.sock")),
        (None, Some("tcp://x:1"), None),
        (None, Some("ssh://x"), None),
    ] {
        let found = Settings::new(configured.map(Path::new), host).ok();
        assert_eq!(
            found.map(|s| s.socket),
            expected.map(PathBuf::from),
            "{host:?}"
        );
    }
}

#[test]
fn delays_grow_no_longer_than_said() {
    for _ in 0..100 {
        let delay = with_jitter(LAST_DELAY);
        assert!(delay >= LAST_DELAY / 2 && delay <= LAST_DELAY, "{delay:?}");
    }
}

/// What the client says first about a socket where `serve` answers each connection.
fn first_update(serve: Option<fn(std::os::unix::net::UnixStream)>) -> Update {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    if let Some(serve) = serve {
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    }
    let settings = Settings {
        socket,
        timeout: Duration::from_millis(200),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (sender, mut updates) = mpsc::channel(1);
        let (_requests, client) = client(settings, sender);
        let client = tokio::spawn(client);
        let first = updates.recv().await.unwrap();
        drop(updates);
        tokio::time::timeout(Duration::from_secs(10), client)
            .await
            .unwrap()
            .unwrap();
        first
    })
}

#[test]
fn whatever_is_wrong_is_said_and_the_client_ends_when_nobody_listens() {
    let silent = |stream: std::os::unix::net::UnixStream| std::mem::forget(stream);
    let rude = |stream: std::os::unix::net::UnixStream| drop(stream);
    let garbled = |mut stream: std::os::unix::net::UnixStream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"\0\xff nonsense\r\n\r\n");
    };
    let refusing = |mut stream: std::os::unix::net::UnixStream| {
        let _ = stream.read(&mut [0; 1024]);
        let body = "{\"message\":\"not today\"}";
        let head = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length:";
        let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
    };
    for (serve, expected) in [
        (None, "docker.sock"),
        (Some(silent as fn(_)), "no answer within 200ms"),
        (Some(rude), "connection"),
        (Some(garbled), "invalid HTTP"),
        (Some(refusing), "not today"),
    ] {
        match first_update(serve) {
            Update::Down(reason) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
