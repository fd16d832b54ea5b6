//! What gRPC puts around a message and says about a call: as much as one call of OTLP needs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use hyper::HeaderMap;

use crate::output::protobuf::{Fields, Value, bytes, number};

/// Bytes in front of a message: whether it is compressed, which ours are not, and its length.
const PREFIX: usize = 5;
const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::output) struct Status {
    /// One of gRPC's codes; 0 is well.
    pub(super) code: u16,
    pub(super) message: String,
    /// When the server wants to be asked again, if it says.
    pub(super) retry_after: Option<Duration>,
}

/// `message` as the body of a request.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    // Limits of requests are far below 4 GiB.
    let length = (message.len() as u32).to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

/// The message in the body of an answer; empty where there is none.
pub(super) fn unframed(body: &Bytes) -> Bytes {
    if body.len() < PREFIX {
        return Bytes::new();
    }
    body.slice(PREFIX..)
}

/// What the trailers say, or the headers of an answer that has nothing else.
pub(super) fn status(fields: &HeaderMap) -> Option<Status> {
    let text = |name| fields.get(name).and_then(|value| value.to_str().ok());
    let details = text("grpc-status-details-bin").map(|text| text.trim_end_matches('='));
    let details = details.and_then(|text| STANDARD_NO_PAD.decode(text).ok());
    Some(Status {
        code: text("grpc-status")?.parse().ok()?,
        message: text("grpc-message").unwrap_or_default().to_owned(),
        retry_after: details.and_then(|details| retry_after(&details)),
    })
}

/// `RetryInfo` among the details of a `google.rpc.Status`.
fn retry_after(status: &[u8]) -> Option<Duration> {
    let details = Fields(status).filter_map(|field| match field {
        (3, Value::Bytes(detail)) => Some(detail),
        _ => None,
    });
    let mut wanted = details.filter(|detail| bytes(detail, 1) == Some(RETRY_INFO));
    let delay = bytes(bytes(wanted.next()?, 2)?, 1)?;
    Some(Duration::from_secs(number(delay, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::protobuf::Message;

    #[test]
    fn a_status_may_say_when_to_come_again() {
        let delay = Message::new().varint(1, 7).varint(2, 5);
        let info = Message::new().message(1, &delay);
        let other = Message::new().text(1, "type.googleapis.com/google.rpc.Help");
        let detail = Message::new().bytes(1, RETRY_INFO).message(2, &info);
        let details = Message::new().varint(1, 14).messages(3, [other, detail]);
        let mut fields = HeaderMap::new();
        assert_eq!(status(&fields), None);
        fields.insert("grpc-status", "14".parse().unwrap());
        fields.insert("grpc-message", "full".parse().unwrap());
        let text = STANDARD_NO_PAD.encode(details.into_bytes());
        let expected = Status {
            code: 14,
            message: "full".to_owned(),
            retry_after: Some(Duration::from_secs(7)),
        };
        for padding in ["", "=", "=="] {
            let text = format!("{text}{padding}");
            fields.insert("grpc-status-details-bin", text.parse().unwrap());
            assert_eq!(status(&fields), Some(expected.clone()));
        }
        fields.insert("grpc-status-details-bin", "%%".parse().unwrap());
        assert_eq!(status(&fields).unwrap().retry_after, None);
    }
}
