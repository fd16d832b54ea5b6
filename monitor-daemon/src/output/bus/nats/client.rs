//! One connection to a server of the cluster: opened when there is something to publish, kept for
//! the next.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::Message;
use super::login::{self, LoginError};
use super::protocol::{self, NotNats, Word};
use crate::config::{Nats, NatsServer};
use crate::output::bus::stream::{Stream, StreamError};
use crate::output::bus::{Sent, Trouble};

/// The number that `JetStream` gives a message too large for its stream.
const TOO_LARGE: u64 = 10_054;
/// How long is looked for what a server asked meanwhile.
const GLANCE: Duration = Duration::from_millis(1);

/// Publishes to one cluster.
#[derive(Debug)]
pub(in crate::output) struct Client {
    settings: Nats,
    /// Which of the servers is tried first.
    server: usize,
    open: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    read: Vec<u8>,
    /// Where acknowledgements go, less their number.
    inbox: String,
    /// How many messages were published.
    published: u64,
    /// Bytes of the longest message that the server takes, with its headers.
    longest: usize,
}

/// Nothing can be published.
#[derive(Debug, thiserror::Error)]
enum NatsError {
    #[error("{0}")]
    Stream(#[from] StreamError),
    #[error("{0}")]
    Login(#[from] LoginError),
    #[error("{0}")]
    Protocol(#[from] NotNats),
    #[error("the connection failed: {0}")]
    Exchange(#[source] io::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Time(Duration),
    #[error("the server says: {0}")]
    Server(String),
    #[error("the server is too old: it knows no headers")]
    NoHeaders,
    #[error("the server sent more than it may before TLS")]
    BeforeTls,
}

/// What a stream says of a message.
#[derive(Debug, Eq, PartialEq)]
enum Answer {
    Kept,
    /// No stream has its subject.
    Nobody,
    Later(String),
    Refused(String),
}

impl Client {
    pub(in crate::output) fn new(settings: Nats) -> Self {
        Self {
            settings,
            server: 0,
            open: None,
        }
    }

    /// Publishes `messages` in one go; which of the first are kept, and why the next is not.
    pub(super) fn publish(&mut self, messages: &[Message]) -> Sent {
        let reused = self.open.is_some();
        let mut round = self.round(messages);
        // A server may have gone while there was nothing to send, which is no trouble.
        if reused && matches!(round, (0, Some(NatsError::Exchange(_)), _)) {
            round = self.round(messages);
        }
        let (taken, error, answer) = round;
        let trouble = match (error, answer) {
            (Some(error), _) => Some(Trouble::Later(self.told(&error))),
            (None, Some(Answer::Nobody)) => {
                let subject = messages.get(taken).map(|message| message.subject.as_str());
                Some(Trouble::Later(format!(
                    "no stream takes the subject `{}`, or the one that does has no leader",
                    subject.unwrap_or_default()
                )))
            }
            (None, Some(Answer::Later(why))) => Some(Trouble::Later(why)),
            (None, Some(Answer::Refused(why))) => Some(Trouble::Refused(why)),
            (None, Some(Answer::Kept) | None) => None,
        };
        Sent { taken, trouble }
    }

    /// Answers the server's question whether somebody is there.
    pub(super) fn tend(&mut self) {
        if let Some(mut connection) = self.open.take()
            && connection.tend().is_ok()
        {
            self.open = Some(connection);
        }
    }

    fn told(&self, error: &NatsError) -> String {
        match self.settings.servers.get(self.server) {
            Some(server) => format!("{server}: {error}"),
            None => error.to_string(),
        }
    }

    /// How many are kept, and what is wrong with the connection or with the next one.
    fn round(&mut self, messages: &[Message]) -> (usize, Option<NatsError>, Option<Answer>) {
        let mut connection = match self.open.take().map_or_else(|| self.connect(), Ok) {
            Ok(connection) => connection,
            Err(error) => return (0, Some(error), None),
        };
        let fits = |message: &&Message| message.size() <= connection.longest;
        let fitting = messages.iter().take_while(fits).count();
        let (now, later) = messages.split_at(fitting);
        let mut answers = Vec::new();
        let result = connection.publish(now, &mut answers, self.settings.timeout);
        let taken = answers
            .iter()
            .take_while(|kept| **kept == Some(Answer::Kept));
        let taken = taken.count();
        match result {
            Ok(()) => {
                let longest = connection.longest;
                self.open = Some(connection);
                let answer = match answers.into_iter().nth(taken).flatten() {
                    None => later.first().map(|message| {
                        let size = message.size();
                        Answer::Refused(format!("{size} bytes, and the server takes {longest}"))
                    }),
                    answer => answer,
                };
                (taken, None, answer)
            }
            // The connection is given up, and with it what may still come over it.
            Err(error) => (taken, Some(error), None),
        }
    }

    /// A connection to the first server that can be had.
    fn connect(&mut self) -> Result<Connection, NatsError> {
        let count = self.settings.servers.len();
        let mut result = Err(NatsError::Exchange(io::ErrorKind::NotFound.into()));
        for step in 0..count {
            let index = (self.server + step) % count;
            let Some(server) = self.settings.servers.get(index) else {
                continue;
            };
            let opened = Connection::open(server, &self.settings);
            if opened.is_ok() {
                self.server = index;
                return opened;
            }
            // What the first says is told, for the log not to change with each attempt.
            if result.is_err() && step == 0 {
                result = opened;
            }
        }
        result
    }
}

impl Connection {
    fn open(server: &NatsServer, settings: &Nats) -> Result<Self, NatsError> {
        let stream = Stream::connect(&server.broker, settings.timeout)?;
        // Of who answers, also where another address took its time not to.
        let deadline = Instant::now() + settings.timeout;
        let mut connection = Self {
            stream,
            read: Vec::new(),
            // Keys of the standard library's hasher come from the kernel's random numbers.
            inbox: format!("_INBOX.{:016x}", RandomState::new().hash_one("inbox")),
            published: 0,
            longest: usize::MAX,
        };
        let Word::Info(text) = connection.word(deadline, settings.timeout)? else {
            return Err(NotNats.into());
        };
        let about: Value = serde_json::from_slice(&text).map_err(|_| NotNats)?;
        let says = |name: &str| about.get(name).and_then(Value::as_bool) == Some(true);
        if !says("headers") {
            return Err(NatsError::NoHeaders);
        }
        if server.is_secure || says("tls_required") {
            // Somebody between could have put it there.
            if !connection.read.is_empty() {
                return Err(NatsError::BeforeTls);
            }
            let stream = connection.stream;
            connection.stream = stream.secure(&server.broker.host, &settings.tls)?;
        }
        let longest = about.get("max_payload").and_then(Value::as_u64);
        connection.longest = longest.map_or(usize::MAX, |bytes| bytes as usize);
        let nonce = about.get("nonce").and_then(Value::as_str);
        let options = connection.options(settings, nonce)?;
        let inbox = &connection.inbox;
        let hello = format!("CONNECT {options}\r\nSUB {inbox}.* 1\r\nPING\r\n");
        connection.write(hello.as_bytes())?;
        loop {
            match connection.word(deadline, settings.timeout)? {
                Word::Pong => return Ok(connection),
                Word::Error(why) => return Err(NatsError::Server(why)),
                _ => {}
            }
        }
    }

    fn options(&self, settings: &Nats, nonce: Option<&str>) -> Result<Value, LoginError> {
        let mut options = Map::new();
        login::add(&settings.login, nonce, &mut options)?;
        let own = json!({
            "verbose": false, "pedantic": false, "tls_required": self.stream.is_secure(),
            "name": "monitor-daemon", "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1, "headers": true, "no_responders": true,
        });
        if let Value::Object(own) = own {
            options.extend(own);
        }
        Ok(options.into())
    }

    /// Publishes, and waits for what the stream says of each, until the first that is not kept by
    /// the deadline.
    fn publish(
        &mut self,
        messages: &[Message],
        answers: &mut Vec<Option<Answer>>,
        limit: Duration,
    ) -> Result<(), NatsError> {
        let deadline = Instant::now() + limit;
        let first = self.published;
        let mut out = Vec::new();
        for message in messages {
            message.write(&format!("{}.{}", self.inbox, self.published), &mut out);
            self.published += 1;
            answers.push(None);
        }
        self.write(&out)?;
        let mut left = messages.len();
        while left > 0 {
            match self.word(deadline, limit)? {
                Word::Message {
                    subject,
                    headers,
                    payload,
                } => {
                    let number = subject
                        .rsplit('.')
                        .next()
                        .and_then(|last| last.parse().ok());
                    let index = number.and_then(|number: u64| number.checked_sub(first));
                    let place = index.and_then(|index| answers.get_mut(index as usize));
                    if let Some(place @ None) = place {
                        *place = Some(answer(&headers, &payload));
                        left -= 1;
                    }
                }
                // No permission, for one: who is told that gets no acknowledgement.
                Word::Error(why) => return Err(NatsError::Server(why)),
                _ => {}
            }
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<(), NatsError> {
        match self.word(Instant::now() + GLANCE, GLANCE) {
            Ok(Word::Error(why)) => Err(NatsError::Server(why)),
            Ok(_) | Err(NatsError::Time(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NatsError> {
        let written = self.stream.write_all(bytes);
        let written = written.and_then(|()| self.stream.flush());
        written.map_err(|error| self.last_words(error))
    }

    /// A server that closes says why before.
    fn last_words(&mut self, error: io::Error) -> NatsError {
        let deadline = Instant::now() + GLANCE;
        while self.stream.read_more(&mut self.read, deadline).is_ok() {}
        while let Ok(Some(word)) = protocol::take(&mut self.read) {
            if let Word::Error(why) = word {
                return NatsError::Server(why);
            }
        }
        NatsError::Exchange(error)
    }

    /// The server's next word; pings are answered on the way.
    fn word(&mut self, deadline: Instant, limit: Duration) -> Result<Word, NatsError> {
        loop {
            match protocol::take(&mut self.read)? {
                Some(Word::Ping) => self.write(b"PONG\r\n")?,
                Some(word) => return Ok(word),
                None => {
                    let more = self.stream.read_more(&mut self.read, deadline);
                    more.map_err(|error| match error.kind() {
                        io::ErrorKind::TimedOut => NatsError::Time(limit),
                        _ => NatsError::Exchange(error),
                    })?;
                }
            }
        }
    }
}

impl Message {
    fn size(&self) -> usize {
        self.headers.len() + self.payload.len()
    }
}

fn answer(headers: &[u8], payload: &[u8]) -> Answer {
    if headers.starts_with(b"NATS/1.0 503") {
        return Answer::Nobody;
    }
    let Ok(said) = serde_json::from_slice::<Value>(payload) else {
        return Answer::Later("what took the alert is no stream: it does not acknowledge".into());
    };
    let Some(error) = said.get("error") else {
        return match said.get("seq") {
            Some(_) => Answer::Kept,
            None => Answer::Later("what took the alert is no stream".into()),
        };
    };
    let text = error.get("description").and_then(Value::as_str);
    let number = error.get("err_code").and_then(Value::as_u64);
    let why = format!("the stream says: {}", text.unwrap_or("an error"));
    if number == Some(TOO_LARGE) {
        Answer::Refused(why)
    } else {
        Answer::Later(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_says_decides() {
        let check = |headers: &str, payload: &str, expected: Answer| {
            assert_eq!(answer(headers.as_bytes(), payload.as_bytes()), expected);
        };
        check("", r#"{"stream":"A","seq":4}"#, Answer::Kept);
        check(
            "",
            r#"{"stream":"A","seq":4,"duplicate":true}"#,
            Answer::Kept,
        );
        check("NATS/1.0 503\r\n\r\n", "", Answer::Nobody);
        let full =
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#;
        let later = Answer::Later("the stream says: maximum bytes exceeded".into());
        check("", full, later);
        let large = r#"{"error":{"code":400,"err_code":10054,"description":"too big"}}"#;
        check(
            "",
            large,
            Answer::Refused("the stream says: too big".into()),
        );
        let deaf = "what took the alert is no stream: it does not acknowledge";
        check("", "thanks", Answer::Later(deaf.into()));
    }
}
