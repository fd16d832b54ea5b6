//! Servers with an API of their own, each as strict as the real one about what it takes.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use super::server::{Act, Received, Server, answer};
use super::{numbers, settings, start};

fn said(status: u16, body: &Value) -> Act {
    Act::Answer(status, "", body.to_string())
}

/// Documents by their ids; what is no request of `_bulk` fails the test.
fn documents(request: &Received) -> Vec<(String, Value)> {
    assert_eq!(request.line, "POST /_bulk HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/x-ndjson");
    assert!(request.body.ends_with('\n'));
    let lines: Vec<Value> = request
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let pairs = lines.chunks(2).map(|pair| {
        let action = pair[0].as_object().unwrap();
        assert_eq!(action.len(), 1);
        assert_eq!(action["create"]["_index"], "alerts");
        let id = action["create"]["_id"].as_str().unwrap().to_owned();
        assert_eq!(pair[1]["event"]["id"], *id);
        (id, pair[1].clone())
    });
    pairs.collect()
}

/// An Elasticsearch that does not like 3, is busy with 5 the first time, and loses an answer.
#[test]
fn elasticsearch_decides_for_each_alert() {
    let mut taken: BTreeMap<String, Value> = BTreeMap::new();
    let mut was_busy = false;
    let mut has_hung = false;
    let (seen, kept) = channel();
    let server = Server::judging(None, move |request| {
        let mut items = Vec::new();
        for (id, document) in documents(request) {
            let number = numbers(document["message"].as_str().unwrap())[0];
            let (status, error) = if taken.contains_key(&id) {
                (409, "version_conflict_engine_exception")
            } else if number == 3 {
                (400, "document_parsing_exception")
            } else if number == 5 && !was_busy {
                was_busy = true;
                (429, "es_rejected_execution_exception")
            } else {
                seen.send(number).unwrap();
                taken.insert(id.clone(), document);
                (201, "")
            };
            let mut item = json!({"_id": id, "status": status});
            if !error.is_empty() {
                item["error"] = json!({"type": error, "reason": "so"});
            }
            items.push(json!({ "create": item }));
        }
        if !has_hung {
            has_hung = true;
            return Act::CloseHalfway;
        }
        let errors = items
            .iter()
            .any(|item| item["create"].get("error").is_some());
        said(200, &json!({"took": 1, "errors": errors, "items": items}))
    });
    let keys = format!(
        "url: 'http://{}', api: elasticsearch, index: alerts",
        server.address
    );
    let subject = start(&settings(&keys, None));
    subject.push(0..10);
    subject.wait(9, 1);
    let mut kept: Vec<usize> = kept.try_iter().collect();
    kept.sort_unstable();
    assert_eq!(kept, [0, 1, 2, 4, 5, 6, 7, 8, 9], "each once");
}

#[test]
fn what_is_no_answer_of_elasticsearch_acknowledges_nothing() {
    let strange = [
        said(200, &json!({"tagline": "You Know, for Search"})),
        said(200, &json!({"errors": true, "items": []})),
        said(
            200,
            &json!({"errors": true, "items": [{"create": {"status": 404}}]}),
        ),
    ];
    for act in strange {
        let server = Server::acting([act, said(200, &json!({"errors": false}))]);
        let keys = format!(
            "url: 'http://{}', api: elasticsearch, index: alerts",
            server.address
        );
        let subject = start(&settings(&keys, None));
        subject.push([1]);
        assert_eq!(documents(&server.next()), documents(&server.next()));
        subject.wait(1, 0);
        assert_eq!(subject.metrics.write_errors.get(), 1);
    }
}

#[test]
fn splunk_gets_events() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0000-1111").unwrap();
    for (format, is_text) in [("falco", false), ("cef", true)] {
        let wrong_index = said(400, &json!({"text": "Incorrect index", "code": 7}));
        let server = Server::acting([
            wrong_index,
            said(200, &json!({"text": "Success", "code": 0})),
        ]);
        let keys = format!(
            "url: 'http://{}', api: splunk, index: security, sourcetype: monitor, token: {}, \
             format: {format}",
            server.address,
            token.display()
        );
        let subject = start(&settings(&keys, None));
        subject.push(0..5);
        // A wrong index is for somebody to set right, not for alerts to pay.
        server.next();
        let mut found: Vec<usize> = Vec::new();
        while found.len() < 5 {
            let request = server.next();
            assert_eq!(request.line, "POST /services/collector/event HTTP/1.1");
            assert_eq!(request.headers["authorization"], "Splunk 0000-1111");
            let events = serde_json::Deserializer::from_str(&request.body).into_iter::<Value>();
            for event in events.map(Result::unwrap) {
                let mut names: Vec<&String> = event.as_object().unwrap().keys().collect();
                names.sort();
                assert_eq!(
                    names,
                    ["event", "host", "index", "source", "sourcetype", "time"]
                );
                assert_eq!(event["time"], json!(1_769_860_800.0));
                assert_eq!(
                    (&event["host"], &event["index"]),
                    (&json!("web-1"), &json!("security"))
                );
                assert_eq!(event["event"].is_string(), is_text);
                found.extend(numbers(&event["event"].to_string())[..1].iter());
            }
        }
        assert_eq!(found, [0, 1, 2, 3, 4]);
        subject.wait(5, 0);
    }
    let refused = said(400, &json!({"text": "Invalid data format", "code": 6}));
    let server = Server::acting([refused]);
    let keys = format!("url: 'http://{}', api: splunk", server.address);
    let subject = start(&settings(&keys, None));
    subject.push([1]);
    subject.wait(0, 1);
}

/// What Loki takes: streams with labels and lines with ns as text, in order of time.
fn lines(request: &Received) -> Vec<(Value, usize)> {
    assert_eq!(request.line, "POST /loki/api/v1/push HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let mut all = Vec::new();
    let mut seen = Vec::new();
    for stream in body["streams"].as_array().unwrap() {
        let labels = &stream["stream"];
        assert!(!seen.contains(labels), "a stream twice");
        seen.push(labels.clone());
        assert!(labels.as_object().unwrap().values().all(Value::is_string));
        for value in stream["values"].as_array().unwrap() {
            let [time, line] = &value.as_array().unwrap()[..] else {
                panic!("{value}");
            };
            assert_eq!(time, "1769860800000000001");
            all.push((labels.clone(), numbers(line.as_str().unwrap())[0]));
        }
    }
    all
}

#[test]
fn loki_gets_streams_of_few_labels() {
    let server = Server::acting([answer(429), answer(204)]);
    let keys = format!(
        "url: 'http://{}', api: loki, labels: {{site: west}}",
        server.address
    );
    let subject = start(&settings(&keys, None));
    subject.push(0..5);
    server.next();
    let mut found = Vec::new();
    while found.len() < 5 {
        for (labels, number) in lines(&server.next()) {
            let expected = json!({
                "job": "monitor-daemon", "host": "web-1", "priority": "warning",
                "source": "syscall", "site": "west",
            });
            assert_eq!(labels, expected);
            found.push(number);
        }
    }
    assert_eq!(found, [0, 1, 2, 3, 4]);
    subject.wait(5, 0);
}
