//! What a NATS server says: lines, some with bytes behind them.

/// Longest line of a server's, which is its `INFO`.
const LINE_BYTES: usize = 1 << 20;
/// Longest message: those for us are acknowledgements.
const MESSAGE_BYTES: usize = 1 << 20;

/// A word of the server's.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// JSON about the server.
    Info(Vec<u8>),
    /// A message to one of our subjects; headers with their first line, empty without.
    Message {
        subject: String,
        headers: Vec<u8>,
        payload: Vec<u8>,
    },
    Ping,
    Pong,
    Fine,
    Error(String),
}

/// It is no NATS.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the server does not speak NATS")]
pub(super) struct NotNats;

/// Takes the first word out of `buffer`, if all of it is there.
pub(super) fn take(buffer: &mut Vec<u8>) -> Result<Option<Word>, NotNats> {
    let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") else {
        return if buffer.len() > LINE_BYTES {
            Err(NotNats)
        } else {
            Ok(None)
        };
    };
    let (line, rest) = buffer.split_at_checked(end).ok_or(NotNats)?;
    let line = std::str::from_utf8(line).map_err(|_| NotNats)?;
    let (verb, arguments) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let (word, bytes) = match verb.to_ascii_uppercase().as_str() {
        "INFO" => (Word::Info(arguments.trim().into()), 0),
        "PING" => (Word::Ping, 0),
        "PONG" => (Word::Pong, 0),
        "+OK" => (Word::Fine, 0),
        "-ERR" => (Word::Error(arguments.trim().trim_matches('\'').into()), 0),
        verb @ ("MSG" | "HMSG") => {
            let body = rest.get(2..).unwrap_or_default();
            match message(arguments, verb == "HMSG", body)? {
                Some(found) => found,
                None => return Ok(None),
            }
        }
        _ => return Err(NotNats),
    };
    buffer.drain(..end + 2 + bytes);
    Ok(Some(word))
}

/// The message at the start of `body`, and the bytes that it takes there.
fn message(
    arguments: &str,
    has_headers: bool,
    body: &[u8],
) -> Result<Option<(Word, usize)>, NotNats> {
    let mut arguments: Vec<&str> = arguments.split_ascii_whitespace().collect();
    let mut size = || -> Result<usize, NotNats> {
        let last = arguments.pop().ok_or(NotNats)?;
        let size = last.parse().map_err(|_| NotNats)?;
        if size > MESSAGE_BYTES {
            return Err(NotNats);
        }
        Ok(size)
    };
    let total = size()?;
    let head = if has_headers { size()? } else { 0 };
    let subject = arguments.first().ok_or(NotNats)?;
    let Some(whole) = body.get(..total + 2) else {
        return Ok(None);
    };
    let (headers, payload) = whole.split_at_checked(head).ok_or(NotNats)?;
    let payload = payload.strip_suffix(b"\r\n").ok_or(NotNats)?;
    let word = Word::Message {
        subject: (*subject).to_owned(),
        headers: headers.to_owned(),
        payload: payload.to_owned(),
    };
    Ok(Some((word, total + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_when_they_are_whole() {
        let all = b"INFO {\"a\":1} \r\nPING\r\n+OK\r\n-ERR 'Bad'\r\nMSG in.7 1 4\r\nabcd\r\n\
            HMSG in.8 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\nPONG\r\n";
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        for byte in all {
            buffer.push(*byte);
            found.extend(take(&mut buffer).unwrap());
        }
        assert!(buffer.is_empty());
        let message = |subject: &str, headers: &[u8], payload: &[u8]| Word::Message {
            subject: subject.into(),
            headers: headers.into(),
            payload: payload.into(),
        };
        let expected = [
            Word::Info(b"{\"a\":1}".into()),
            Word::Ping,
            Word::Fine,
            Word::Error("Bad".into()),
            message("in.7", b"", b"abcd"),
            message("in.8", b"NATS/1.0 503\r\n\r\n", b""),
            Word::Pong,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_nats_is_an_error() {
        let cases: [&[u8]; 6] = [
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\xff\xfe\r\n",
            b"MSG\r\n",
            b"MSG a 1 -4\r\n",
            b"MSG a 1 99999999999\r\n",
            b"HMSG a 1 9 2\r\nab\r\n",
        ];
        for case in cases {
            assert_eq!(take(&mut case.to_vec()), Err(NotNats), "{case:?}");
        }
    }
}
