//! The function in events/README.md that opens and closes alerts at a pager, run by Python on what is really published.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fraud_job_watch::message::Message;
use fraud_job_watch::watch::Kind;
use serde_json::{Value, json};

use crate::messages::{closing, digest, message, notice, smallest};

/// Runs `handler` on each event that standard input holds, with a listener on this computer in the pager's place, and
/// prints what that was sent.
const DRIVER: &str = r#"
import http.server, json, sys, threading

sent = []

class Pager(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.headers["Content-Type"] == "application/json", self.headers
        sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass

pager = http.server.HTTPServer(("127.0.0.1", 0), Pager)
threading.Thread(target=pager.serve_forever, daemon=True).start()
given = json.load(sys.stdin)
module = {}
exec(compile(given["code"], "events/README.md", "exec"), module)
assert module["URL"] == "https://events.pagerduty.com/v2/enqueue"
module["URL"] = f"http://127.0.0.1:{pager.server_port}/v2/enqueue"
for event in given["events"]:
    module["handler"](event, None)
print(json.dumps(sent))
"#;

fn code() -> &'static str {
    let readme = include_str!("../events/README.md");
    let (_, code) = readme.split_once("```python\n").expect("an example");
    code.split_once("```").expect("its end").0
}

/// What SNS invokes a function with, in what matters here.
fn delivered(message: &Message) -> Value {
    let attribute = |(key, value): &(&'static str, String)| {
        let value = json!({"Type": "String", "Value": value});
        ((*key).to_owned(), value)
    };
    let attributes = message.attributes.iter().map(attribute);
    let attributes: serde_json::Map<_, _> = attributes.collect();
    json!({"Records": [{
        "EventSource": "aws:sns",
        "Sns": {
            "Type": "Notification",
            "TopicArn": "arn:aws:sns:us-east-2:123456789012:fraud-jobs-urgent",
            "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
            "Message": message.form("lambda"),
            "MessageAttributes": attributes,
        },
    }]})
}

/// What the pager is sent of these messages.
fn sent(messages: &[Message]) -> Vec<Value> {
    let mut python = Command::new("python3")
        .args(["-c", DRIVER])
        .env("PAGERDUTY_ROUTING_KEY", "key")
        // A proxy would be asked for what is on this computer.
        .env("no_proxy", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let events: Vec<_> = messages.iter().map(delivered).collect();
    let given = json!({"code": code(), "events": events}).to_string();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(given.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Action and key of each, after it was seen to be what the pager takes:
/// <https://developer.pagerduty.com/docs/send-alert-event>.
fn actions(messages: &[Message]) -> Vec<(String, String)> {
    let action = |body: Value| {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap();
        assert_eq!(text("/routing_key"), "key");
        assert!((1..=1_024).contains(&text("/payload/summary").chars().count()));
        assert!(["error", "info"].contains(&text("/payload/severity")));
        assert!(!text("/payload/source").is_empty());
        let (action, key) = (text("/event_action"), text("/dedup_key"));
        assert!(key.len() <= 255);
        (action.to_owned(), key.to_owned())
    };
    sent(messages).into_iter().map(action).collect()
}

#[test]
fn an_alert_is_opened_and_closed_by_event() {
    let thread = notice(Kind::Stalled).thread.unwrap();
    let opens = || ("trigger".to_owned(), thread.clone());
    let closes = || ("resolve".to_owned(), thread.clone());
    for (notices, expected) in [
        (vec![notice(Kind::Stalled)], vec![opens()]),
        (vec![notice(Kind::Reminder)], vec![opens()]),
        (vec![notice(Kind::Recovered)], vec![closes()]),
        (vec![notice(Kind::Vanished)], vec![opens()]),
        (vec![notice(Kind::Completed)], vec![]),
        (vec![notice(Kind::Failed)], vec![]),
        (vec![notice(Kind::Began)], vec![]),
        (vec![notice(Kind::Test)], vec![]),
        (vec![closing(notice(Kind::Completed))], vec![closes()]),
        (vec![closing(notice(Kind::Failed))], vec![closes()]),
        // A digest.
        (
            vec![
                notice(Kind::Stalled),
                notice(Kind::Completed),
                closing(notice(Kind::Ended)),
            ],
            vec![opens(), closes()],
        ),
    ] {
        assert_eq!(actions(&[digest(&notices)]), expected, "{notices:?}");
    }
}

#[test]
fn a_whole_story_is_one_alert() {
    let story = [Kind::Stalled, Kind::Reminder, Kind::Recovered].map(|kind| message(&notice(kind)));
    let actions = actions(&story);
    let done: Vec<_> = actions.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(done, ["trigger", "trigger", "resolve"]);
    assert!(actions.iter().all(|(_, key)| *key == actions[0].1));
}

/// It is no event, so nothing can close what it opens but a person.
#[test]
fn the_smallest_form_of_something_bad_opens_an_alert_of_its_own() {
    let smallest = |kind| smallest(&[notice(kind)]);
    let actions = actions(&[smallest(Kind::Stalled), smallest(Kind::Completed)]);
    let id = "95df01b4-ee98-5cb9-9903-4c221d41eb5e";
    assert_eq!(actions, [("trigger".to_owned(), id.to_owned())]);
}
