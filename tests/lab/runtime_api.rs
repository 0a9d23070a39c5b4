//! Our Lambda Runtime API: hands events to function processes, and their answers back to the test.
//!
//! Each attached [`Function`](super::function::Function) has an address of its own, so that an event
//! is known to be lost when the process that took it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::function::Printed;
use super::http::Server;

/// The function that every event is for.
pub(crate) const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:watch";

/// Longer than this no test waits for a function, unless it gives it more time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const PATH: &str = "/2018-06-01/runtime";

/// A running Runtime API, with one queue of events for all the functions attached to it.
#[derive(Default)]
pub(crate) struct RuntimeApi {
    desk: Arc<Desk>,
}

impl RuntimeApi {
    /// One invocation: the answer, or the error that the function reported. If the function that took
    /// it ends, or none is left to take it, that is the error `Runtime.ExitError` with its `output`.
    /// Concurrent ones go to one waiting function each.
    ///
    /// # Panics
    /// Without an answer within the time given or [`PATIENCE`], whichever is longer.
    pub(crate) async fn invoke(
        &self,
        payload: Value,
        time_given: Duration,
    ) -> Result<Value, Value> {
        let deadline = SystemTime::now() + time_given;
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let invocation = self.desk.enqueue(payload, deadline);
        self.answer(invocation, time_given.max(PATIENCE)).await
    }

    /// [`invoke`](Self::invoke) with any deadline, in milliseconds since 1970.
    pub(crate) async fn invoke_until(
        &self,
        payload: Value,
        deadline_ms: u64,
    ) -> Result<Value, Value> {
        let invocation = self.desk.enqueue(payload, deadline_ms.into());
        self.answer(invocation, PATIENCE).await
    }

    async fn answer(
        &self,
        invocation: oneshot::Receiver<Result<Value, Value>>,
        patience: Duration,
    ) -> Result<Value, Value> {
        match tokio::time::timeout(patience, invocation).await {
            Ok(answer) => answer.expect("an invocation is answered or timed out"),
            Err(_) => panic!("no answer in {patience:?}\n{}", self.desk.output()),
        }
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }
}

/// Where events wait, and which function has which.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    invocations: u64,
    waiting: VecDeque<Invocation>,
    taken: HashMap<String, Taken>,
    /// Every function ever attached; its door is its place here, from 1.
    functions: Vec<Attached>,
}

struct Event {
    id: String,
    payload: Value,
    deadline_ms: u128,
}

struct Invocation {
    event: Event,
    answer: oneshot::Sender<Result<Value, Value>>,
}

struct Taken {
    door: usize,
    answer: oneshot::Sender<Result<Value, Value>>,
}

struct Attached {
    printed: Arc<Printed>,
    /// When it first asked for an event.
    first_asked: Option<Instant>,
    /// How it ended.
    ended: Option<String>,
}

impl Desk {
    /// A door for one more function, to be told of by [`ended`](Self::ended).
    pub(super) fn attach(self: &Arc<Self>, printed: Arc<Printed>) -> (usize, Server) {
        let door = {
            let mut state = self.state();
            state.functions.push(Attached {
                printed,
                first_asked: None,
                ended: None,
            });
            state.functions.len()
        };
        (door, self.serve(door))
    }

    /// When the function at this door first asked for an event.
    pub(super) fn first_asked(&self, door: usize) -> Option<Instant> {
        self.state().functions[door - 1].first_asked
    }

    /// The function at this door has ended, and printed its last.
    pub(super) fn ended(&self, door: usize, how: &str) {
        let mut state = self.state();
        state.functions[door - 1].ended = Some(how.to_owned());
        let error = state.exit_error(door);
        for (_, taken) in state.taken.extract_if(|_, taken| taken.door == door) {
            let _ = taken.answer.send(Err(error.clone()));
        }
        if state.deserted() {
            for invocation in state.waiting.drain(..) {
                let _ = invocation.answer.send(Err(error.clone()));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn enqueue(
        &self,
        payload: Value,
        deadline_ms: u128,
    ) -> oneshot::Receiver<Result<Value, Value>> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.deserted() {
            let last = state.functions.len();
            let _ = answer.send(Err(state.exit_error(last)));
            return answered;
        }
        state.invocations += 1;
        let id = format!("00000000-0000-4000-9000-{:012x}", state.invocations);
        let event = Event {
            id,
            payload,
            deadline_ms,
        };
        state.waiting.push_back(Invocation { event, answer });
        drop(state);
        self.arrived.notify_waiters();
        answered
    }

    fn output(&self) -> String {
        let state = self.state();
        let mut output = String::new();
        for attached in &state.functions {
            for line in attached.printed.all() {
                output.push_str(&line);
                output.push('\n');
            }
        }
        output
    }

    fn serve(self: &Arc<Self>, door: usize) -> Server {
        let desk = self.clone();
        Server::start(move |request| {
            let desk = desk.clone();
            async move { Some(desk.reply(door, request).await) }
        })
    }

    async fn reply(&self, door: usize, request: Request<Bytes>) -> Response<Full<Bytes>> {
        let path = request.uri().path().strip_prefix(PATH).unwrap_or_default();
        let path: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next(door).await,
            (&Method::POST, ["invocation", id, "response"]) => {
                let answer = serde_json::from_slice(request.body()).map_err(|error| {
                    let message = format!("the function's answer is no JSON: {error}");
                    json!({"errorType": "Runtime.MalformedResponse", "errorMessage": message})
                });
                self.settle(id, answer)
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                self.settle(id, Err(error(request.body())))
            }
            (&Method::POST, ["init", "error"]) => {
                let error = error(request.body());
                for invocation in self.state().waiting.drain(..) {
                    let _ = invocation.answer.send(Err(error.clone()));
                }
                reply(202, json!({"status": "OK"}))
            }
            _ => reply(404, json!({"errorType": "NotFound"})),
        }
    }

    async fn next(&self, door: usize) -> Response<Full<Bytes>> {
        self.state().functions[door - 1]
            .first_asked
            .get_or_insert_with(Instant::now);
        let event = loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            if let Some(event) = self.take(door) {
                break event;
            }
            arrived.await;
        };
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &event.id)
            .header("lambda-runtime-deadline-ms", event.deadline_ms.to_string())
            .header("lambda-runtime-invoked-function-arn", FUNCTION_ARN)
            .header(
                "lambda-runtime-trace-id",
                "Root=1-69a57f40-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0",
            )
            .body(Full::from(event.payload.to_string()))
            .unwrap()
    }

    fn take(&self, door: usize) -> Option<Event> {
        let mut state = self.state();
        // A dead process' connection may still seem open.
        if state.functions[door - 1].ended.is_some() {
            return None;
        }
        loop {
            let invocation = state.waiting.pop_front()?;
            // The test may have given up on it.
            if invocation.answer.is_closed() {
                continue;
            }
            let taken = Taken {
                door,
                answer: invocation.answer,
            };
            state.taken.insert(invocation.event.id.clone(), taken);
            return Some(invocation.event);
        }
    }

    fn settle(&self, id: &str, answer: Result<Value, Value>) -> Response<Full<Bytes>> {
        match self.state().taken.remove(id) {
            Some(taken) => {
                let _ = taken.answer.send(answer);
                reply(202, json!({"status": "OK"}))
            }
            None => reply(
                400,
                json!({"errorType": "InvalidRequestID", "errorMessage": "Invalid request ID"}),
            ),
        }
    }
}

impl State {
    /// No function is left.
    fn deserted(&self) -> bool {
        !self.functions.is_empty() && self.functions.iter().all(|f| f.ended.is_some())
    }

    fn exit_error(&self, door: usize) -> Value {
        let attached = &self.functions[door - 1];
        json!({
            "errorType": "Runtime.ExitError",
            "errorMessage": attached.ended,
            "output": attached.printed.all(),
        })
    }
}

/// The error that a function reported, whatever it sent.
fn error(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()))
}

fn reply(status: u16, body: Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap()
}
