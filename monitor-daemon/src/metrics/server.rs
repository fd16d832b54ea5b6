//! Serves `/metrics`, `/healthz` and, to this host only, `/top` over HTTP on its own thread, so
//! that no scraper, however slow or hostile, can hold up the daemon: at most [`CONNECTIONS`] at a
//! time, one request each, every one over within [`CONNECTION_TIME`]. With more, the oldest gives
//! way: who says nothing must not keep a probe waiting, which would take the daemon for dead.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::Metrics;

const CONNECTIONS: usize = 32;
/// Bytes of a request.
const REQUEST_BYTES: usize = 16 << 10;
const CONNECTION_TIME: Duration = Duration::from_secs(10);
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Out of descriptors, mostly: trying at once again would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error(
        "cannot serve metrics on {address}: {source}; set `metrics.listen` to another address, or \
         to `off`"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server's thread cannot be started.
    #[error("cannot start the metrics server: {0}")]
    Start(#[source] io::Error),
}

/// A running server; it stops accepting when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _stop: oneshot::Sender<Infallible>,
}

impl Server {
    /// Listens on `address` (port 0: any free one) and serves from a thread of its own.
    ///
    /// # Errors
    ///
    /// The address is taken or not ours, or no thread can be started.
    pub fn start(address: SocketAddr, metrics: Arc<Metrics>) -> Result<Self, ServeError> {
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Start)?;
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || runtime.block_on(serve(listener, metrics, stopped)))
            .map_err(ServeError::Start)?;
        Ok(Self {
            address: bound,
            _stop: stop,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    mut stopped: oneshot::Receiver<Infallible>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "metrics are not served"),
    };
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        match accepted {
            Ok((stream, _)) => {
                open.retain(|task| !task.is_finished());
                if open.len() >= CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let metrics = Arc::clone(&metrics);
                let task = tokio::spawn(async move { connection(stream, &metrics).await });
                open.push_back(task.abort_handle());
            }
            Err(error) => {
                tracing::debug!(%error, "a metrics connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, metrics: &Metrics) {
    let from = caller(&stream);
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, from, metrics)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .keep_alive(false)
        .max_buf_size(REQUEST_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a metrics connection failed"),
        Err(_) => tracing::debug!("a metrics connection took too long"),
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Caller {
    ThisHost,
    Elsewhere,
}

fn caller(stream: &TcpStream) -> Caller {
    let peer = stream.peer_addr().map(|peer| peer.ip().to_canonical());
    let own = stream.local_addr().map(|own| own.ip().to_canonical());
    match (peer, own) {
        (Ok(peer), Ok(own)) if peer.is_loopback() || peer == own => Caller::ThisHost,
        _ => Caller::Elsewhere,
    }
}

fn answer<B>(request: &Request<B>, from: Caller, metrics: &Metrics) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => match metrics.encode() {
            Ok(body) => {
                let mut response = text(StatusCode::OK, body.into());
                let format = HeaderValue::from_static(prometheus::TEXT_FORMAT);
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
            Err(error) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{error}\n").into(),
            ),
        },
        "/healthz" => healthz(from, metrics),
        // Names of containers are nobody's business elsewhere.
        "/top" if from == Caller::Elsewhere => {
            text(StatusCode::FORBIDDEN, "only from this host\n".into())
        }
        "/top" => json(StatusCode::OK, &metrics.top()),
        _ => text(StatusCode::NOT_FOUND, "see /metrics and /healthz\n".into()),
    }
}

/// 200 when all is well, 503 when not.
fn healthz(from: Caller, metrics: &Metrics) -> Response<Full<Bytes>> {
    let health = metrics.health();
    let status = if health.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    match from {
        Caller::ThisHost => json(status, &health),
        Caller::Elsewhere => json(status, &health.without_details()),
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = text(status, body.into());
            let format = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, format);
            response
        }
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{error}\n").into(),
        ),
    }
}

fn text(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn server() -> Server {
        let metrics = Arc::new(Metrics::new().unwrap());
        Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), metrics).unwrap()
    }

    fn ask(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(CONNECTION_TIME)).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn answers_by_path_and_method() {
        let server = server();
        let cases = [
            (
                "GET /metrics",
                "HTTP/1.1 200 OK",
                "monitor_build_info{version=\"",
            ),
            (
                "GET /metrics?x=1",
                "HTTP/1.1 200 OK",
                "text/plain; version=0.0.4",
            ),
            (
                "GET /healthz",
                "HTTP/1.1 503 Service Unavailable",
                "\r\n\r\n{\"status\":\"starting\",",
            ),
            ("GET /top", "HTTP/1.1 200 OK", "{\"version\":\""),
            ("GET /", "HTTP/1.1 404 Not Found", "see /metrics"),
            (
                "POST /metrics",
                "HTTP/1.1 405 Method Not Allowed",
                "allow: GET, HEAD",
            ),
        ];
        for (request, status, contained) in cases {
            let answer = ask(&server, request);
            assert!(answer.starts_with(status), "{request}: {answer}");
            assert!(answer.contains(contained), "{request}: {answer}");
        }
    }

    #[test]
    fn idle_connections_do_not_shut_others_out() {
        let server = server();
        // Far more than the limit, that never end what they say.
        let idle: Vec<TcpStream> = (0..4 * CONNECTIONS)
            .map(|_| TcpStream::connect(server.address()).unwrap())
            .collect();
        for mut stream in &idle {
            drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nx: "));
        }
        let asked = std::time::Instant::now();
        assert!(ask(&server, "GET /healthz").contains("\"starting\""));
        assert!(asked.elapsed() < HEADER_TIME);
        drop(idle);
    }

    #[test]
    fn a_taken_address_is_an_error_that_says_what_to_do() {
        let server = server();
        let metrics = Arc::new(Metrics::new().unwrap());
        let error = Server::start(server.address(), metrics)
            .unwrap_err()
            .to_string();
        let expected = format!("cannot serve metrics on {}: Address", server.address());
        assert!(error.starts_with(&expected), "{error}");
        assert!(
            error.ends_with("set `metrics.listen` to another address, or to `off`"),
            "{error}"
        );
    }
}
