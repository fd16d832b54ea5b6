//! OTLP: servers that read requests with the published definitions, by HTTP and by gRPC.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::codegen::Service as _;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::server::{Act, PATIENCE, Server};
use super::tls::Authority;
use super::{numbers, settings, start};

/// The numbers of the alerts in a request.
fn all(request: &ExportLogsServiceRequest) -> Vec<usize> {
    let logs = request.resource_logs.iter();
    let scopes = logs.flat_map(|logs| &logs.scope_logs);
    let records = scopes.flat_map(|scope| &scope.log_records);
    let found = records.flat_map(|record| match &record.body.as_ref().unwrap().value {
        Some(Any::StringValue(text)) => numbers(text),
        other => panic!("{other:?}"),
    });
    found.collect()
}

#[test]
fn http_counts_what_a_server_says_that_it_has_refused() {
    let mut asked = 0;
    let server = Server::judging(None, move |_| {
        asked += 1;
        let said = match asked {
            // What comes meanwhile goes together then.
            1 => return Act::Answer(503, "Retry-After: 1\r\n", "{}".into()),
            2 => json!({"partialSuccess": {"errorMessage": "a word of warning"}}),
            3 => json!({"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "old"}}),
            _ => json!({}),
        };
        Act::Answer(200, "", said.to_string())
    });
    let keys = format!("url: 'http://{}', api: otlp", server.address);
    let subject = start(&settings(&keys, None));
    subject.push([0]);
    let received = server.next();
    assert_eq!(received.line, "POST /v1/logs HTTP/1.1");
    assert_eq!(received.headers["content-type"], "application/json");
    subject.push(1..6);
    for expected in [vec![0], vec![1, 2, 3, 4, 5]] {
        let request = serde_json::from_str(&server.next().body).unwrap();
        assert_eq!(all(&request), expected);
    }
    // Nothing is sent again.
    subject.wait(4, 2);
    subject.push([6]);
    // What tells of the two comes too.
    let mut found = std::iter::repeat_with(|| {
        let request = serde_json::from_str(&server.next().body).unwrap();
        all(&request)
    });
    let found = found.find(|numbers| !numbers.is_empty());
    assert_eq!(found, Some(vec![6]));
    subject.wait(5, 2);
}

type Judge = Box<dyn FnMut(&[usize]) -> Result<i64, Status> + Send>;

/// A collector that says for each request how many records it does not take.
#[derive(Clone)]
struct Collector {
    judge: Arc<Mutex<Judge>>,
    seen: Sender<(Vec<usize>, MetadataMap)>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let (about, _, request) = request.into_parts();
        let numbers = all(&request);
        let judged = (self.judge.lock().unwrap())(&numbers);
        self.seen.send((numbers, about)).unwrap();
        let partial_success = judged.map(|rejected| {
            (rejected > 0).then(|| ExportLogsPartialSuccess {
                rejected_log_records: rejected,
                error_message: "old".into(),
            })
        })?;
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

struct Calls {
    address: SocketAddr,
    seen: Receiver<(Vec<usize>, MetadataMap)>,
}

impl Calls {
    fn next(&self) -> (Vec<usize>, MetadataMap) {
        self.seen.recv_timeout(PATIENCE).unwrap()
    }
}

fn collector(
    tls: Option<ServerConfig>,
    judge: impl FnMut(&[usize]) -> Result<i64, Status> + Send + 'static,
) -> Calls {
    let (sender, seen) = channel();
    let service = LogsServiceServer::new(Collector {
        judge: Arc::new(Mutex::new(Box::new(judge))),
        seen: sender,
    });
    let (told, address) = channel();
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (service, tls) = (service.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, service).await,
                        Some(tls) => serve(tls.accept(stream).await.unwrap(), service).await,
                    }
                });
            }
        });
    });
    Calls {
        address: address.recv_timeout(PATIENCE).unwrap(),
        seen,
    }
}

async fn serve<S>(stream: S, service: LogsServiceServer<Collector>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request| {
        let mut service = service.clone();
        async move { Ok::<_, Infallible>(service.call(request).await.unwrap()) }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // A client that goes away is no failure.
    let _ended = builder.serve_connection(TokioIo::new(stream), answer).await;
}

#[test]
fn grpc_sends_again_what_may_be_taken_later_and_nothing_else() {
    let mut was_away = false;
    let server = collector(None, move |numbers| {
        if numbers == [0] {
            return Ok(0);
        }
        if !std::mem::replace(&mut was_away, true) {
            return Err(Status::unavailable("starting"));
        }
        if numbers.contains(&3) {
            return Err(Status::invalid_argument("3 is not liked"));
        }
        Ok(0)
    });
    let keys = format!("url: 'http://{}', api: otlp_grpc", server.address);
    let subject = start(&settings(&keys, None));
    subject.push([0]);
    let (first, about) = server.next();
    assert_eq!(first, [0]);
    let agent = about.get("user-agent").unwrap().to_str().unwrap();
    assert!(agent.starts_with("monitor-daemon/"), "{agent}");
    subject.push(1..6);
    subject.wait(5, 1);
    let mut taken = Vec::new();
    while let Ok((numbers, _)) = server.seen.try_recv() {
        if !numbers.contains(&3) {
            taken.extend(numbers);
        }
    }
    // What came while it was away came twice.
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken, [1, 2, 4, 5]);
}

#[test]
fn grpc_over_tls_tells_who_it_is_and_counts_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let authority = Authority::new();
    let ca = authority.file(folder.path());
    let mut config = super::tls::config(&authority, "localhost", None);
    // As servers of gRPC do: who does not ask for it is turned away.
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = collector(Some(config), |numbers| Ok(i64::from(numbers.contains(&1))));
    let keys = format!(
        "url: 'https://localhost:{}', api: otlp_grpc, tls_ca: {}, token: {}",
        server.address.port(),
        ca.display(),
        secret.display()
    );
    let subject = start(&settings(&keys, None));
    subject.push([0]);
    let (numbers, about) = server.next();
    assert_eq!(numbers, [0]);
    assert_eq!(about.get("authorization").unwrap(), "Bearer s3cret");
    subject.wait(1, 0);
    subject.push([1]);
    subject.wait(1, 1);
    subject.push([2]);
    subject.wait(2, 1);
}
