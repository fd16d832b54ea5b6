//! What an answer means for the alerts of its request.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use super::Answer;
use crate::config::Api;
use crate::output::visible;

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
}

/// What `answer` means for `count` alerts.
pub(super) fn verdict(answer: &Answer, api: Api, count: usize) -> Verdict {
    let status = answer.status;
    if status.is_success() {
        return match api {
            Api::Elasticsearch => bulk(answer, count),
            Api::Post | Api::Splunk | Api::Loki => Verdict::Taken,
        };
    }
    let text = String::from_utf8_lossy(&answer.body);
    let why = format!("the server answered {status}: {}", shortened(&text));
    let is_set_up = api == Api::Splunk && is_splunk_set_up(&answer.body);
    judge(status.as_u16(), why, answer.retry_after, is_set_up)
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
