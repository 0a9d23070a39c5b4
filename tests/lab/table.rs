//! Our table and topic, at memory speed and counted: to measure with, not to race on.
//!
//! Whatever a condition asks for counts as met, so only one function at a time may
//! write. What is published goes nowhere.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use serde_json::{Map, Value, json};

use super::http::Server;

type Item = Map<String, Value>;
type Key = (String, String);

/// The most that DynamoDB gives in one page of a Query.
const PAGE_BYTES: usize = 1 << 20;

/// A running table and topic.
pub(crate) struct Table {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// What was asked since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    /// Requests, by operation.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Bytes of the requests that write items.
    pub(crate) written_bytes: u64,
    /// What DynamoDB would bill for the writes: for each item 1 a KB begun, twice that in a transaction.
    pub(crate) write_units: u64,
    /// What DynamoDB would bill for the reads, which are eventually consistent: for each page ½ for 4 KB begun.
    pub(crate) read_units: f64,
}

impl Counts {
    /// Requests of this operation.
    pub(crate) fn of(&self, operation: &str) -> u64 {
        self.requests.get(operation).copied().unwrap_or(0)
    }

    /// Requests that write items.
    pub(crate) fn writes(&self) -> u64 {
        WRITES.iter().map(|operation| self.of(operation)).sum()
    }
}

const WRITES: [&str; 5] = [
    "BatchWriteItem",
    "DeleteItem",
    "PutItem",
    "TransactWriteItems",
    "UpdateItem",
];

#[derive(Default)]
struct State {
    /// By partition and sort key.
    items: BTreeMap<Key, Item>,
    /// Answers to a Query by where it starts, until the next write: reading must cost next to nothing here.
    pages: HashMap<Key, (Bytes, f64)>,
    counts: Counts,
    latency: Duration,
}

impl Table {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start(move |request| {
            let state = shared.clone();
            async move {
                let (answer, latency) = {
                    let mut state = state.lock().unwrap();
                    (state.reply(&request), state.latency)
                };
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                Some(answer)
            }
        });
        Self { server, state }
    }

    /// Sends a function here.
    pub(crate) fn env(&self) -> [(String, String); 4] {
        let url = format!("http://{}", self.server.address());
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
            ("AWS_ENDPOINT_URL_SNS", url.as_str()),
            ("STATE_TABLE", "state"),
            ("TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:jobs"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// From a request's arrival to its answer, from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// What was asked since the last look.
    pub(crate) fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    /// Takes everything out of it.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.pages.clear();
        state.items.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn reply(&mut self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let target = request.headers().get("x-amz-target");
        let Some(operation) = target.and_then(|target| target.to_str().ok()?.split('.').nth(1))
        else {
            return self.topic(request.body());
        };
        let operation = operation.to_owned();
        *self.counts.requests.entry(operation.clone()).or_default() += 1;
        if WRITES.contains(&operation.as_str()) {
            self.counts.written_bytes += request.body().len() as u64;
            self.pages.clear();
        }
        let asked: Value = serde_json::from_slice(request.body()).unwrap();
        let answer = match operation.as_str() {
            "Query" => self.query(&asked),
            "GetItem" => {
                let item = self.items.get(&key_of(object(&asked["Key"])));
                json!({ "Item": item }).to_string().into()
            }
            "TransactWriteItems" => {
                for part in asked["TransactItems"].as_array().unwrap() {
                    let (operation, part) = object(part).iter().next().unwrap();
                    self.write(operation, part, 2);
                }
                Bytes::from_static(b"{}")
            }
            operation => {
                self.write(operation.trim_end_matches("Item"), &asked, 1);
                Bytes::from_static(b"{}")
            }
        };
        reply("application/x-amz-json-1.0", answer)
    }

    fn query(&mut self, asked: &Value) -> Bytes {
        let start = asked["ExclusiveStartKey"]["item"]["S"]
            .as_str()
            .unwrap_or_default();
        let start = (partition(asked), start.to_owned());
        let items = &self.items;
        let (page, units) = self.pages.entry(start.clone()).or_insert_with(|| {
            let mut bytes = 0;
            let mut page = Vec::new();
            let mut last = None;
            let after = (Bound::Excluded(&start), Bound::Unbounded);
            let rest = items.range::<Key, _>(after);
            for ((_, key), item) in rest.take_while(|((partition, _), _)| *partition == start.0) {
                if bytes > PAGE_BYTES {
                    last = page
                        .last()
                        .map(|item: &&Item| json!({"watch": item["watch"], "item": item["item"]}));
                    break;
                }
                bytes += key.len() + item_bytes(item);
                page.push(item);
            }
            let mut answer = json!({"Items": page, "Count": page.len()});
            if let Some(last) = last {
                answer["LastEvaluatedKey"] = last;
            }
            (
                answer.to_string().into(),
                bytes.div_ceil(4096).max(1) as f64 / 2.0,
            )
        });
        self.counts.read_units += *units;
        page.clone()
    }

    /// One write; `price` is what one unit of it costs.
    fn write(&mut self, operation: &str, asked: &Value, price: u64) {
        let key = object(asked.get("Key").unwrap_or(&asked["Item"]));
        let name = key_of(key);
        let before = self.items.get(&name).map_or(0, item_bytes);
        match operation {
            "Put" => {
                self.items
                    .insert(name.clone(), object(&asked["Item"]).clone());
            }
            "Delete" => {
                self.items.remove(&name);
            }
            "Update" => {
                let item = self
                    .items
                    .entry(name.clone())
                    .or_insert_with(|| key.clone());
                update(item, asked);
            }
            other => panic!("no {other} here"),
        }
        let after = self.items.get(&name).map_or(0, item_bytes);
        self.counts.write_units += price * before.max(after).div_ceil(1024).max(1) as u64;
    }

    fn topic(&mut self, form: &[u8]) -> Response<Full<Bytes>> {
        let form = String::from_utf8_lossy(form);
        let operation = form
            .split('&')
            .find_map(|field| field.strip_prefix("Action="))
            .unwrap_or("unknown")
            .to_owned();
        let result = match operation.as_str() {
            "Publish" => "<MessageId>00000000-0000-4000-8000-000000000000</MessageId>",
            "GetTopicAttributes" => {
                "<Attributes>\
                 <entry><key>SubscriptionsConfirmed</key><value>1</value></entry>\
                 <entry><key>SubscriptionsPending</key><value>0</value></entry>\
                 <entry><key>SubscriptionsDeleted</key><value>0</value></entry>\
                 </Attributes>"
            }
            _ => "",
        };
        let answer = format!(
            "<{operation}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
             <{operation}Result>{result}</{operation}Result>\
             <ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{operation}Response>"
        );
        *self.counts.requests.entry(operation).or_default() += 1;
        reply("text/xml", answer.into())
    }
}

/// `SET #a = :b, … REMOVE #c, …`, with or without either.
fn update(item: &mut Item, asked: &Value) {
    let expression = asked["UpdateExpression"].as_str().unwrap();
    let name = |name: &str| {
        let real = asked["ExpressionAttributeNames"][name.trim()].as_str();
        real.unwrap_or(name.trim()).to_owned()
    };
    let (set, remove) = match expression.split_once("REMOVE ") {
        Some((set, remove)) => (set, remove),
        None => (expression, ""),
    };
    for pair in set.trim().trim_start_matches("SET ").split(',') {
        if let Some((attribute, value)) = pair.split_once('=') {
            let value = &asked["ExpressionAttributeValues"][value.trim()];
            item.insert(name(attribute), value.clone());
        }
    }
    for attribute in remove.split(',') {
        item.remove(&name(attribute));
    }
}

fn object(value: &Value) -> &Item {
    value.as_object().unwrap()
}

fn key_of(item: &Item) -> Key {
    let text = |name: &str| item[name]["S"].as_str().unwrap().to_owned();
    (text("watch"), text("item"))
}

/// Of a Query: its condition begins with `watch = :value`.
fn partition(asked: &Value) -> String {
    let condition = asked["KeyConditionExpression"].as_str().unwrap();
    let value = condition.split('=').nth(1).unwrap().trim();
    let value = value.split_whitespace().next().unwrap();
    let value = &asked["ExpressionAttributeValues"][value];
    value["S"].as_str().unwrap().to_owned()
}

fn item_bytes(item: &Item) -> usize {
    let members = item.iter();
    members
        .map(|(name, value)| name.len() + value_bytes(value))
        .sum()
}

/// The size of an attribute's value as DynamoDB counts it, or near enough.
fn value_bytes(value: &Value) -> usize {
    let (kind, value) = object(value).iter().next().unwrap();
    match (kind.as_str(), value) {
        ("S" | "B", Value::String(text)) => text.len(),
        ("N", Value::String(digits)) => digits.len() / 2 + 1,
        ("M", Value::Object(members)) => 3 + members.len() + item_bytes(members),
        ("L", Value::Array(values)) => {
            3 + values.len() + values.iter().map(value_bytes).sum::<usize>()
        }
        _ => 1,
    }
}

fn reply(media_type: &str, body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", media_type)
        .header("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")
        .body(Full::from(body))
        .unwrap()
}
