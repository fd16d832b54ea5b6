//! An HTTP server that is strict about requests and does to them what a test wants.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) line: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A status with further header lines and a body.
    Answer(u16, &'static str, String),
    /// Nothing, until the client closes.
    Hang,
    /// Half of an answer, then the end.
    CloseHalfway,
    /// An answer, then the end, which the answer does not tell.
    AnswerAndClose,
}

pub(super) fn answer(status: u16) -> Act {
    Act::Answer(status, "", "{}".into())
}

type Judge = Box<dyn FnMut(&Received) -> Act + Send>;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) received: Receiver<Received>,
}

impl Server {
    /// Does `acts` one after the other, then answers 200.
    pub(super) fn acting(acts: impl IntoIterator<Item = Act>) -> Self {
        let mut acts: VecDeque<Act> = acts.into_iter().collect();
        Self::judging(None, move |_| acts.pop_front().unwrap_or(answer(200)))
    }

    /// Does what `judge` says, over TLS if there is a configuration for it.
    pub(super) fn judging(
        tls: Option<Arc<ServerConfig>>,
        judge: impl FnMut(&Received) -> Act + Send + 'static,
    ) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), tls, judge)
    }

    pub(super) fn at(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        judge: impl FnMut(&Received) -> Act + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = channel();
        let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Box::new(judge)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, judge, tls) = (sender.clone(), Arc::clone(&judge), tls.clone());
                thread::spawn(move || accept(stream, tls, &sender, &judge));
            }
        });
        Self { address, received }
    }

    pub(super) fn next(&self) -> Received {
        self.received.recv_timeout(PATIENCE).unwrap()
    }
}

fn accept(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    sender: &Sender<Received>,
    judge: &Mutex<Judge>,
) {
    match tls {
        None => serve(stream, sender, judge),
        Some(config) => {
            let connection = ServerConnection::new(config).unwrap();
            serve(StreamOwned::new(connection, stream), sender, judge);
        }
    }
}

/// Request after request, until the client ends or an act does.
fn serve(stream: impl Read + Write, sender: &Sender<Received>, judge: &Mutex<Judge>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let act = (judge.lock().unwrap())(&request);
        // The test may be over.
        let _over = sender.send(request);
        let stream = stream.get_mut();
        let _gone = match act {
            Act::Answer(status, headers, body) => write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}",
                body.len()
            ),
            Act::AnswerAndClose => {
                let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                return;
            }
            Act::CloseHalfway => {
                let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a");
                return;
            }
            Act::Hang => {
                let _end = stream.read(&mut [0]);
                return;
            }
        };
    }
}

fn read(stream: &mut BufReader<impl Read>) -> Option<Received> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        Some(line.strip_suffix("\r\n")?.to_owned())
    };
    let first = line()?;
    let mut headers = HashMap::new();
    loop {
        let next = line()?;
        let Some((name, value)) = next.split_once(": ") else {
            assert_eq!(next, "");
            break;
        };
        let twice = headers.insert(name.to_lowercase(), value.to_owned());
        assert_eq!(twice, None, "{name}");
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Received {
        line: first,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
