//! What an answer means for the alerts of its request.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use super::Answer;
use super::grpc::Status;
use crate::config::Api;
use crate::output::{protobuf, visible};

/// Letters of an answer that are logged.
const SAID: usize = 200;
/// What Splunk says where it is the set-up that is wrong: the index, or the channel that a token with
/// acknowledgements needs.
const SPLUNK_SET_UP: [u64; 3] = [7, 10, 11];

/// What an attempt came to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The server has the alerts.
    Taken,
    /// It does not want them.
    Refused(String),
    /// It may want them later.
    Later {
        why: String,
        /// When it says.
        asked: Option<Duration>,
        /// Whether it may be for what is in the request. A server that is away or busy says
        /// nothing about that.
        perhaps_never: bool,
    },
    /// Something else for each of several alerts.
    Each(Vec<Self>),
    /// It has taken several, but for so many of them, and does not say which.
    Partly(u64, String),
}

/// What `answer` means for `count` alerts.
pub(super) fn verdict(answer: &Answer, api: Api, count: usize) -> Verdict {
    let status = answer.status;
    if let Some(grpc) = answer.grpc.as_ref().filter(|grpc| grpc.code != 0) {
        return call(grpc);
    }
    if api == Api::OtlpGrpc && status.is_success() && answer.grpc.is_none() {
        return Verdict::Later {
            why: "that is no answer of gRPC".to_owned(),
            asked: None,
            perhaps_never: true,
        };
    }
    if status.is_success() {
        return match api {
            Api::Elasticsearch => bulk(answer, count),
            Api::Otlp => json_partly(&answer.body, count),
            Api::OtlpGrpc => partly(&answer.body, count),
            Api::Post | Api::Splunk | Api::Loki => Verdict::Taken,
        };
    }
    let text = String::from_utf8_lossy(&answer.body);
    let why = format!("the server answered {status}: {}", shortened(&text));
    let is_set_up = api == Api::Splunk && is_splunk_set_up(&answer.body);
    judge(status.as_u16(), why, answer.retry_after, is_set_up)
}

/// What a code of gRPC means, by the same rules as those of HTTP: what OTLP says to be worth another
/// try, and what says that the output is not set up right.
fn call(status: &Status) -> Verdict {
    let Status { code, message, .. } = status;
    let why = format!(
        "the server answered with gRPC status {code}: {}",
        shortened(message)
    );
    let http = match code {
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        1 | 4 | 10 | 11 | 14 | 15 => 503,
        // Resources exhausted: for the time being only if it says for how long.
        8 if status.retry_after.is_some() => 429,
        // Invalid argument, exists, precondition.
        3 | 6 | 9 => 400,
        // Not found, not permitted, not implemented, nobody it knows.
        5 | 7 | 12 | 16 => 404,
        _ => 500,
    };
    judge(http, why, status.retry_after, false)
}

/// OTLP takes a request and says how many of its records it does not take.
fn json_partly(body: &[u8], count: usize) -> Verdict {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = body.get("partialSuccess").unwrap_or(&Value::Null);
    let refused = match said.get("rejectedLogRecords") {
        Some(Value::String(number)) => number.parse().unwrap_or_default(),
        number => number.and_then(Value::as_u64).unwrap_or_default(),
    };
    let message = said.get("errorMessage").and_then(Value::as_str);
    refused_of(refused, message.unwrap_or_default(), count)
}

fn partly(body: &[u8], count: usize) -> Verdict {
    let said = protobuf::bytes(body, 1).unwrap_or_default();
    let message = protobuf::bytes(said, 2).unwrap_or_default();
    let refused = protobuf::number(said, 1);
    refused_of(refused, &String::from_utf8_lossy(message), count)
}

fn refused_of(refused: u64, message: &str, count: usize) -> Verdict {
    let refused = refused.min(count as u64);
    let why = format!(
        "the server took all but {refused} of {count}: {}",
        shortened(message)
    );
    match refused {
        0 => Verdict::Taken,
        1 if count == 1 => Verdict::Refused(why),
        _ => Verdict::Partly(refused, why),
    }
}

fn judge(status: u16, why: String, asked: Option<Duration>, is_set_up: bool) -> Verdict {
    let is_busy = matches!(status, 408 | 425 | 429 | 503);
    let is_set_up_wrongly = is_set_up || matches!(status, 401 | 403 | 404 | 405 | 407);
    if (400..500).contains(&status) && !is_busy && !is_set_up_wrongly {
        return Verdict::Refused(why);
    }
    Verdict::Later {
        why,
        asked,
        perhaps_never: !is_busy,
    }
}

fn shortened(text: &str) -> String {
    let said: String = text.trim().chars().take(SAID).collect();
    visible(&said)
}

fn is_splunk_set_up(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body.get("code").and_then(Value::as_u64);
    code.is_some_and(|code| SPLUNK_SET_UP.contains(&code))
}

/// `_bulk` answers for each alert.
fn bulk(answer: &Answer, count: usize) -> Verdict {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if body.get("errors") == Some(&Value::Bool(false)) {
        return Verdict::Taken;
    }
    let items = body.get("items").and_then(Value::as_array);
    let Some(items) = items.filter(|items| items.len() == count) else {
        let text = String::from_utf8_lossy(&answer.body);
        return Verdict::Later {
            why: format!("that is no answer of `_bulk`: {}", shortened(&text)),
            asked: None,
            perhaps_never: true,
        };
    };
    let mut verdicts: Vec<Verdict> = items.iter().map(item).collect();
    let is_for_later = |verdict: &Verdict| matches!(verdict, Verdict::Later { .. });
    if verdicts.len() == 1 || verdicts.iter().all(is_for_later) {
        return verdicts.swap_remove(0);
    }
    Verdict::Each(verdicts)
}

fn item(item: &Value) -> Verdict {
    let item = item.get("create").unwrap_or(&Value::Null);
    let status = item.get("status").and_then(Value::as_u64).unwrap_or(500) as u16;
    let is_success = StatusCode::from_u16(status).is_ok_and(|status| status.is_success());
    // A conflict: it has come before, and the answer got lost.
    if is_success || status == 409 {
        return Verdict::Taken;
    }
    let why = item.get("error").map(Value::to_string).unwrap_or_default();
    judge(
        status,
        format!("the server answered {status}: {}", shortened(&why)),
        None,
        false,
    )
}
