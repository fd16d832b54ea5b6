//! One connection to a server, one request at a time: opened when there is something to send, kept
//! for the next.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, TE, USER_AGENT,
};
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio_rustls::TlsConnector;

use super::grpc;
use crate::config::{Api, Http, Login};
use crate::output::{TlsError, backoff, tcp};

/// Bytes of an answer's body: enough for what servers say about each alert of a request.
const ANSWER_BYTES: usize = 4 << 20;

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The secret is not to be had.
    #[error("{0}")]
    Secret(#[source] io::Error),
    /// It cannot be sent.
    #[error("the secret cannot be a header's text: {0}")]
    Header(#[from] hyper::header::InvalidHeaderValue),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The URL's host is neither a name nor an address.
    #[error("the URL's host cannot be in a certificate: {0}")]
    Host(#[from] InvalidDnsNameError),
    /// There is no connection, or it is not what it should be.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The connection failed.
    #[error("the request failed: {0}")]
    Exchange(#[source] hyper::Error),
    /// The answer was cut off or too long.
    #[error("the answer cannot be read: {0}")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no whole answer within {} ms", .0.as_millis())]
    Time(Duration),
    /// The request is not one.
    #[error("no request can be made: {0}")]
    Request(#[from] hyper::http::Error),
    /// The thread has no event loop.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

/// What a server said.
#[derive(Debug)]
pub(in crate::output) struct Answer {
    pub(in crate::output) status: StatusCode,
    pub(in crate::output) retry_after: Option<Duration>,
    pub(in crate::output) body: Bytes,
    /// How the call ended, where it is one of gRPC.
    pub(in crate::output) grpc: Option<grpc::Status>,
}

/// Sends requests to one server.
#[derive(Debug)]
pub(in crate::output) struct Client {
    settings: Http,
    runtime: Runtime,
    open: Option<Sender>,
}

/// An open connection.
#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2, which gRPC wants.
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Looks whether certificates and secrets are there.
    pub(in crate::output) fn new(settings: Http) -> Result<Self, HttpError> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let client = Self {
            runtime: runtime.enable_all().build().map_err(HttpError::Start)?,
            settings,
            open: None,
        };
        if client.is_secure() {
            client.settings.tls.load()?;
        }
        authorization(&client.settings.login)?;
        Ok(client)
    }

    /// Sends `body` and waits for the answer.
    pub(in crate::output) fn post(
        &mut self,
        body: &Bytes,
        content_type: &'static str,
    ) -> Result<Answer, HttpError> {
        let request = self.request(body, content_type)?;
        let Self {
            settings,
            runtime,
            open,
        } = self;
        let is_secure = settings.url.scheme() == Some(&Scheme::HTTPS);
        let limit = settings.timeout;
        let exchange = async {
            let (mut sender, reused) = match open.take() {
                Some(sender) => (sender, true),
                None => (connect(settings, is_secure).await?, false),
            };
            let mut answer = exchange(&mut sender, request.clone()).await;
            // A server may close what was idle, which is no trouble.
            if reused && matches!(answer, Err(HttpError::Exchange(_))) {
                sender = connect(settings, is_secure).await?;
                answer = exchange(&mut sender, request).await;
            }
            if answer.is_ok() {
                *open = Some(sender);
            }
            answer
        };
        runtime.block_on(async {
            let answer = tokio::time::timeout(limit, exchange).await;
            answer.unwrap_or(Err(HttpError::Time(limit)))
        })
    }

    fn is_secure(&self) -> bool {
        self.settings.url.scheme() == Some(&Scheme::HTTPS)
    }

    fn request(
        &self,
        body: &Bytes,
        content_type: &'static str,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let Http { url, headers, .. } = &self.settings;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let host = url.authority().map_or("", |authority| authority.as_str());
        let agent = concat!("monitor-daemon/", env!("CARGO_PKG_VERSION"));
        let request = if wants_http2(&self.settings) {
            Request::post(url.clone()).header(TE, "trailers")
        } else {
            Request::post(path).header(HOST, host)
        };
        let mut request = request
            .header(USER_AGENT, agent)
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(body.clone()))?;
        let all = request.headers_mut();
        for (name, text) in headers {
            all.insert(header_name(name)?, HeaderValue::from_str(text)?);
        }
        if let Some(value) = authorization(&self.settings.login)? {
            let name = match &self.settings.login {
                Login::Header { name, .. } => header_name(name)?,
                _ => AUTHORIZATION,
            };
            all.insert(name, value);
        }
        Ok(request)
    }
}

fn header_name(name: &str) -> Result<HeaderName, HttpError> {
    Ok(HeaderName::try_from(name).map_err(hyper::http::Error::from)?)
}

fn authorization(login: &Login) -> Result<Option<HeaderValue>, HttpError> {
    let text = match login {
        Login::None => return Ok(None),
        Login::Token { scheme, token } => {
            format!("{scheme} {}", token.read().map_err(HttpError::Secret)?)
        }
        Login::Header { token, .. } => token.read().map_err(HttpError::Secret)?,
        Login::Basic { user, password } => {
            let password = password.read().map_err(HttpError::Secret)?;
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
    };
    let mut value = HeaderValue::from_str(&text)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn wants_http2(settings: &Http) -> bool {
    settings.api == Api::OtlpGrpc
}

async fn connect(settings: &Http, is_secure: bool) -> Result<Sender, HttpError> {
    let host = settings.url.host().unwrap_or_default();
    // An IPv6 address stands in brackets in a URL only.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = settings.url.port_u16();
    let port = port.unwrap_or(if is_secure { 443 } else { 80 });
    let stream = tcp::race(host, port, settings.timeout).await;
    let stream = stream.map_err(HttpError::Connect)?;
    let is_two = wants_http2(settings);
    if !is_secure {
        return speak(TokioIo::new(stream), is_two).await;
    }
    let mut tls = settings.tls.load()?;
    if is_two {
        Arc::make_mut(&mut tls).alpn_protocols = vec![b"h2".to_vec()];
    }
    let connector = TlsConnector::from(tls);
    let name = ServerName::try_from(host.to_owned())?;
    let stream = connector.connect(name, stream).await;
    speak(TokioIo::new(stream.map_err(HttpError::Connect)?), is_two).await
}

async fn speak<S>(stream: S, is_two: bool) -> Result<Sender, HttpError>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    // Who sends is told how a connection ended.
    if is_two {
        let opened = http2::handshake(TokioExecutor::new(), stream).await;
        let (sender, connection) = opened.map_err(HttpError::Exchange)?;
        tokio::spawn(connection);
        return Ok(Sender::Two(sender));
    }
    let opened = http1::handshake(stream).await;
    let (sender, connection) = opened.map_err(HttpError::Exchange)?;
    tokio::spawn(connection);
    Ok(Sender::One(sender))
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
    // So that the connection sees what came since the last request: its end, mostly.
    yield_now().await;
    let answer = sender.send(request).await;
    let (head, body) = answer.map_err(HttpError::Exchange)?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await;
    let body = body.map_err(HttpError::Answer)?;
    let retry_after = head.headers.get(RETRY_AFTER);
    let trailers = body.trailers().unwrap_or(&head.headers);
    let grpc = match sender {
        Sender::One(_) => None,
        Sender::Two(_) => grpc::status(trailers),
    };
    let body = body.to_bytes();
    Ok(Answer {
        status: head.status,
        retry_after: retry_after.and_then(|value| backoff::asked(value, SystemTime::now())),
        body: grpc
            .as_ref()
            .map_or(body.clone(), |_| grpc::unframed(&body)),
        grpc,
    })
}
