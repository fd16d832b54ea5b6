//! A connection to one broker: a request, then its answer.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::sasl::{self, SaslError, Scram};
use super::wire::{self, NotKafka, Reader};
use crate::config::{Broker, Kafka, KafkaLogin, Mechanism};
use crate::output::bus::stream::{Stream, StreamError};

/// Longest answer.
const ANSWER_BYTES: usize = 16 << 20;
const CLIENT: &str = "monitor-daemon";

/// A kind of request, with the version of it that is spoken: the oldest that all brokers know,
/// those of Kafka 4 too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    number: i16,
    version: i16,
}

pub(super) const PRODUCE: Api = Api {
    number: 0,
    version: 3,
};
pub(super) const METADATA: Api = Api {
    number: 3,
    version: 1,
};
const SASL_HANDSHAKE: Api = Api {
    number: 17,
    version: 1,
};
pub(super) const INIT_PRODUCER_ID: Api = Api {
    number: 22,
    version: 0,
};
const SASL_AUTHENTICATE: Api = Api {
    number: 36,
    version: 0,
};

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokerError {
    #[error("{0}")]
    Stream(#[from] StreamError),
    #[error("{0}")]
    Protocol(#[from] NotKafka),
    #[error("{0}")]
    Sasl(#[from] SaslError),
    #[error("{0}")]
    Secret(#[source] io::Error),
    #[error("the connection failed: {0}")]
    Exchange(#[source] io::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Time(Duration),
    #[error("the broker does not take {wanted}, but {offered}")]
    Mechanism {
        wanted: &'static str,
        offered: String,
    },
    #[error("the broker refuses user or password: {0}")]
    Login(String),
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    read: Vec<u8>,
    /// Number of the last request.
    number: i32,
    limit: Duration,
}

impl Connection {
    pub(super) fn open(broker: &Broker, settings: &Kafka) -> Result<Self, BrokerError> {
        let mut stream = Stream::connect(broker, settings.timeout)?;
        if settings.is_secure {
            stream = stream.secure(&broker.host, &settings.tls)?;
        }
        let mut connection = Self {
            stream,
            read: Vec::new(),
            number: 0,
            limit: settings.timeout,
        };
        if let Some(login) = &settings.login {
            connection.log_in(login)?;
        }
        Ok(connection)
    }

    /// The answer to a request.
    pub(super) fn ask(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>, BrokerError> {
        let deadline = Instant::now() + self.limit;
        self.number = self.number.wrapping_add(1);
        let mut request = Vec::new();
        request.extend_from_slice(&api.number.to_be_bytes());
        request.extend_from_slice(&api.version.to_be_bytes());
        request.extend_from_slice(&self.number.to_be_bytes());
        wire::text(CLIENT, &mut request);
        request.extend_from_slice(body);
        let mut framed = Vec::new();
        wire::bytes(&request, &mut framed);
        let written = self.stream.write_all(&framed);
        let written = written.and_then(|()| self.stream.flush());
        written.map_err(BrokerError::Exchange)?;
        let answer = self.frame(deadline)?;
        let mut reader = Reader(&answer);
        if reader.i32()? != self.number {
            return Err(NotKafka.into());
        }
        Ok(reader.0.to_owned())
    }

    fn frame(&mut self, deadline: Instant) -> Result<Vec<u8>, BrokerError> {
        loop {
            if let Some((head, rest)) = self.read.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*head) as usize;
                if length > ANSWER_BYTES {
                    return Err(NotKafka.into());
                }
                if let Some(frame) = rest.get(..length) {
                    let frame = frame.to_owned();
                    self.read.drain(..4 + length);
                    return Ok(frame);
                }
            }
            let more = self.stream.read_more(&mut self.read, deadline);
            more.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => BrokerError::Time(self.limit),
                _ => BrokerError::Exchange(error),
            })?;
        }
    }

    fn log_in(&mut self, login: &KafkaLogin) -> Result<(), BrokerError> {
        let wanted = sasl::name(login.mechanism);
        let mut body = Vec::new();
        wire::text(wanted, &mut body);
        let answer = self.ask(SASL_HANDSHAKE, &body)?;
        let mut answer = Reader(&answer);
        let refused = answer.i16()? != 0;
        let offered = answer.several(Reader::text)?;
        if refused {
            let offered = offered.join(", ");
            return Err(BrokerError::Mechanism { wanted, offered });
        }
        let password = login.password.read().map_err(BrokerError::Secret)?;
        if login.mechanism == Mechanism::Plain {
            return self.prove(&sasl::plain(&login.user, &password)).map(drop);
        }
        let scram = Scram::new(login.mechanism, &login.user)?;
        let challenge = self.prove(scram.first().as_bytes())?;
        let challenge = String::from_utf8(challenge).map_err(|_| SaslError::Scram)?;
        let proof = scram.proof(&challenge, &password)?;
        let answer = self.prove(proof.message.as_bytes())?;
        // So that nobody else takes alerts in the broker's name.
        if answer != proof.answer.as_bytes() {
            return Err(SaslError::Impostor.into());
        }
        Ok(())
    }

    fn prove(&mut self, message: &[u8]) -> Result<Vec<u8>, BrokerError> {
        let mut body = Vec::new();
        wire::bytes(message, &mut body);
        let answer = self.ask(SASL_AUTHENTICATE, &body)?;
        let mut answer = Reader(&answer);
        let refused = answer.i16()? != 0;
        let why = answer.text()?;
        if refused {
            return Err(BrokerError::Login(why));
        }
        Ok(answer.bytes()?.to_owned())
    }
}
