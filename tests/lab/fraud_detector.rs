//! Our Fraud Detector: `GetBatchPredictionJobs` and `GetBatchImportJobs` over the service's own wire protocol,
//! from lists of jobs that a test sets, with the faults that it asks for.
//!
//! Jobs are JSON in the service's own member names, and are sent as they are: odd ones too.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Method;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::Server;

/// Before the operation's name.
const TARGET: &str = "AWSHawksNestServiceFacade.";
pub(crate) const PREDICTIONS: &str = "GetBatchPredictionJobs";
pub(crate) const IMPORTS: &str = "GetBatchImportJobs";
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
const MOST_RESULTS: usize = 50;

/// A running service. It ends when dropped, with all its connections.
pub(crate) struct FraudDetector {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl FraudDetector {
    /// Without jobs, and without faults.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start(move |request| {
            let state = shared.clone();
            async move {
                let (reply, latency) = {
                    let mut state = state.lock().unwrap();
                    (state.reply(&request), state.script.latency)
                };
                tokio::time::sleep(latency).await;
                match reply {
                    Reply::Answer(answer) => Some(answer),
                    Reply::HangUp => None,
                    Reply::Silence => std::future::pending().await,
                }
            }
        });
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The variable that sends an SDK here.
    pub(crate) fn env(&self) -> (String, String) {
        ("AWS_ENDPOINT_URL_FRAUDDETECTOR".to_owned(), self.url())
    }

    pub(crate) fn set_jobs(&self, jobs: Vec<Value>) {
        self.update(|all| *all = jobs);
    }

    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Vec<Value>) -> R) -> R {
        change(self.state().predictions.change())
    }

    pub(crate) fn set_imports(&self, jobs: Vec<Value>) {
        self.update_imports(|all| *all = jobs);
    }

    pub(crate) fn update_imports<R>(&self, change: impl FnOnce(&mut Vec<Value>) -> R) -> R {
        change(self.state().imports.change())
    }

    /// Lists so many batch predictions more, behind the others: each a COMPLETE one that ended so long ago. They are
    /// written out only when they are asked for, so that a million of them cost next to nothing.
    pub(crate) fn set_history(&self, count: usize, age: Duration) {
        self.state().predictions.history = History::new(count, age);
    }

    pub(crate) fn script<R>(&self, change: impl FnOnce(&mut Script) -> R) -> R {
        change(&mut self.state().script)
    }

    /// What was asked so far, in order. A request is here as soon as it has arrived.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// How many of them were of this operation.
    pub(crate) fn count_of(&self, operation: &str) -> u64 {
        let state = self.state();
        let requests = state.requests.iter();
        requests.filter(|it| it.operation == operation).count() as u64
    }

    pub(crate) fn clear_requests(&self) {
        self.state().requests.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// One request, as the service saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// Empty for one that is none of the service's.
    pub(crate) operation: &'static str,
    /// The page of a listing, from 1; a page that is asked for again keeps its number. 0 for one job,
    /// and for what could not be read.
    pub(crate) page: usize,
    /// The HTTP status answered; none if there was no answer.
    pub(crate) status: Option<u16>,
}

/// How the service behaves. Its hooks are called while the service is locked: they change what they
/// are given, and do not call the service.
#[derive(Default)]
pub(crate) struct Script {
    /// From a request's arrival, when the answer is decided, to the answer.
    pub(crate) latency: Duration,
    /// What befalls the next requests, one each.
    pub(crate) faults: VecDeque<Fault>,
    /// How many calls it allows. What is beyond is answered as [`Fault::Throttle`], before any fault.
    pub(crate) rate: Option<Rate>,
    /// What befalls any request that `faults` leaves alone.
    pub(crate) fault_when: Option<FaultWhen>,
    /// Called before a page of batch predictions is put together, with its number.
    pub(crate) before_page: Option<BeforePage>,
    /// The same of imports.
    pub(crate) before_import_page: Option<BeforePage>,
    /// Called before one job is looked up, with its id.
    pub(crate) before_ask: Option<BeforeAsk>,
    /// For an id that no job has, an empty list and no error: what the true service does is documented nowhere.
    pub(crate) unknown_id_is_empty: bool,
}

pub(crate) type FaultWhen = Box<dyn FnMut(&Request) -> Fault + Send>;
pub(crate) type BeforePage = Box<dyn FnMut(usize, &mut Vec<Value>) + Send>;
pub(crate) type BeforeAsk = Box<dyn FnMut(&str, &mut Vec<Value>) + Send>;

/// So many calls a second, and as many at once after a rest. A call that is refused counts as none.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    left: f64,
    counted_at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            left: per_second,
            counted_at: Instant::now(),
        }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let rest = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.left = (self.left + rest * self.per_second).min(self.per_second);
        self.counted_at = now;
        let allows = self.left >= 1.0;
        if allows {
            self.left -= 1.0;
        }
        allows
    }
}

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// ThrottlingException, which this service sends with HTTP 400.
    Throttle,
    /// InternalServerException, HTTP 500.
    Internal,
    /// AccessDeniedException, HTTP 400.
    AccessDenied,
    /// No answer, with the connection open.
    Hang,
    /// No answer, and the connection closed.
    Drop,
    /// The page comes with the token that it was asked by. The first page has none to repeat.
    RepeatToken,
    /// The page comes with the token of the second page, whatever page it is.
    LoopToken,
    /// No jobs, and a new token for the very same place.
    EmptyPageWithToken,
}

#[derive(Default)]
struct State {
    predictions: Listed,
    imports: Listed,
    script: Script,
    requests: Vec<Request>,
    tokens: u32,
    /// The latest token for a second page.
    second_page: Option<String>,
    answers: u64,
}

/// What one operation lists.
#[derive(Default)]
struct Listed {
    jobs: Vec<Value>,
    history: History,
    /// Where each id is, the last one if it is there twice. Made when first needed.
    places: Option<HashMap<String, usize>>,
}

impl Listed {
    fn change(&mut self) -> &mut Vec<Value> {
        self.places = None;
        &mut self.jobs
    }

    fn find(&mut self, id: &str) -> Option<&Value> {
        let jobs = &self.jobs;
        let places = self.places.get_or_insert_with(|| {
            let id = |job: &Value| job["jobId"].as_str().map(str::to_owned);
            let places = jobs.iter().enumerate();
            places.filter_map(|(n, job)| Some((id(job)?, n))).collect()
        });
        places.get(id).map(|place| &jobs[*place])
    }
}

enum Reply {
    Answer(hyper::Response<Full<Bytes>>),
    HangUp,
    Silence,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    job_id: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Jobs that differ by nothing but their number: the text around it, once for all.
#[derive(Default)]
struct History {
    count: usize,
    around_number: Vec<String>,
}

impl History {
    fn new(count: usize, age: Duration) -> Self {
        let number = "#number#";
        let then = ago(age);
        let ended = json!({"startTime": then, "lastHeartbeatTime": then, "completionTime": then});
        let text = with(job(&format!("history_{number}"), "COMPLETE"), ended).to_string();
        Self {
            count,
            around_number: text.split(number).map(str::to_owned).collect(),
        }
    }

    fn write(&self, numbers: Range<usize>, page: &mut String) {
        for number in numbers {
            let number = format!("{number:08}");
            if !page.ends_with('[') {
                page.push(',');
            }
            for (place, text) in self.around_number.iter().enumerate() {
                if place > 0 {
                    page.push_str(&number);
                }
                page.push_str(text);
            }
        }
    }
}

/// A request without a page.
enum Refusal {
    Error(u16, &'static str, String),
    HangUp,
    Silence,
}

fn refuse<T>(status: u16, kind: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Error(status, kind, message.into()))
}

impl State {
    fn reply(&mut self, http: &hyper::Request<Bytes>) -> Reply {
        let mut request = Request {
            operation: "",
            page: 0,
            status: None,
        };
        let reply = match self.decide(http, &mut request) {
            Ok(body) => self.answer(200, None, body),
            Err(Refusal::HangUp) => Reply::HangUp,
            Err(Refusal::Silence) => Reply::Silence,
            Err(Refusal::Error(status, kind, message)) => {
                let body = json!({"__type": kind, "message": message});
                self.answer(status, Some(kind), serde_json::to_vec(&body).unwrap())
            }
        };
        if let Reply::Answer(answer) = &reply {
            request.status = Some(answer.status().as_u16());
        }
        self.requests.push(request);
        reply
    }

    fn answer(&mut self, status: u16, error: Option<&str>, body: Vec<u8>) -> Reply {
        self.answers += 1;
        let mut answer = hyper::Response::builder()
            .status(status)
            .header("content-type", MEDIA_TYPE)
            .header(
                "x-amzn-requestid",
                format!("00000000-0000-4000-8000-{:012x}", self.answers),
            );
        if let Some(error) = error {
            answer = answer.header("x-amzn-errortype", error);
        }
        Reply::Answer(answer.body(Full::from(body)).unwrap())
    }

    /// The body of the answer. Fills in what the request turns out to be.
    fn decide(
        &mut self,
        http: &hyper::Request<Bytes>,
        request: &mut Request,
    ) -> Result<Vec<u8>, Refusal> {
        let header = |name| http.headers().get(name).and_then(|v| v.to_str().ok());
        let target = header("x-amz-target").and_then(|target| target.strip_prefix(TARGET));
        let operation = [PREDICTIONS, IMPORTS]
            .into_iter()
            .find(|operation| target == Some(*operation));
        let Some(operation) = operation.filter(|_| {
            http.method() == Method::POST
                && http.uri().path() == "/"
                && header("content-type") == Some(MEDIA_TYPE)
        }) else {
            return refuse(400, "UnknownOperationException", "");
        };
        request.operation = operation;
        let asked: Asked =
            serde_json::from_slice(http.body()).map_err(|error| invalid(error.to_string()))?;
        let place = match &asked.next_token {
            None => Place { page: 1, start: 0 },
            Some(token) => Place::of(token).ok_or_else(|| invalid("Invalid nextToken"))?,
        };
        if asked.job_id.is_none() {
            request.page = place.page;
        }
        let most = match asked.max_results {
            None => MOST_RESULTS,
            Some(most) => usize::try_from(most)
                .ok()
                .filter(|most| (1..=MOST_RESULTS).contains(most))
                .ok_or_else(|| invalid("maxResults must be from 1 to 50"))?,
        };

        let is_allowed = |rate: &mut Rate| rate.allows(Instant::now());
        let mut fault = match self.script.rate.as_mut().is_none_or(is_allowed) {
            true => self.script.faults.pop_front().unwrap_or(Fault::None),
            false => Fault::Throttle,
        };
        if let (Fault::None, Some(fault_when)) = (fault, &mut self.script.fault_when) {
            fault = fault_when(request);
        }
        match fault {
            Fault::None | Fault::RepeatToken | Fault::LoopToken | Fault::EmptyPageWithToken => {}
            Fault::Throttle => return refuse(400, "ThrottlingException", "Rate exceeded"),
            Fault::Internal => {
                return refuse(500, "InternalServerException", "Internal server error");
            }
            Fault::AccessDenied => {
                let message =
                    format!("User is not authorized to perform: frauddetector:{operation}");
                return refuse(400, "AccessDeniedException", message);
            }
            Fault::Hang => return Err(Refusal::Silence),
            Fault::Drop => return Err(Refusal::HangUp),
        }
        match &asked.job_id {
            Some(id) => self.one(operation, id),
            None => Ok(self.page(operation, place, most, fault, asked.next_token)),
        }
    }

    fn listed(&mut self, operation: &str) -> (&mut Listed, &mut Script) {
        let listed = match operation {
            IMPORTS => &mut self.imports,
            _ => &mut self.predictions,
        };
        (listed, &mut self.script)
    }

    fn one(&mut self, operation: &str, id: &str) -> Result<Vec<u8>, Refusal> {
        let (listed, script) = self.listed(operation);
        if let Some(before_ask) = &mut script.before_ask {
            before_ask(id, listed.change());
        }
        let found = listed.find(id);
        if found.is_none() && !script.unknown_id_is_empty {
            let message = format!("Job {id} does not exist");
            return refuse(400, "ResourceNotFoundException", message);
        }
        let found = Vec::from_iter(found);
        let page = json!({ member(operation): found });
        Ok(serde_json::to_vec(&page).unwrap())
    }

    fn page(
        &mut self,
        operation: &str,
        place: Place,
        most: usize,
        fault: Fault,
        token: Option<String>,
    ) -> Vec<u8> {
        let (listed, script) = self.listed(operation);
        let before_page = match operation {
            IMPORTS => &mut script.before_import_page,
            _ => &mut script.before_page,
        };
        if let Some(before_page) = before_page {
            before_page(place.page, listed.change());
        }
        let count = match fault {
            Fault::EmptyPageWithToken => 0,
            _ => most,
        };
        // The list may have become shorter since the token was given.
        let all = listed.jobs.len() + listed.history.count;
        let start = place.start.min(all);
        let end = start.saturating_add(count).min(all);
        self.tokens += 1;
        let next = Place {
            page: place.page + 1,
            start: end,
        };
        let fresh = next.token(self.tokens);
        if place.page == 1 {
            self.second_page = Some(fresh.clone());
        }
        let next_token = match fault {
            Fault::RepeatToken if token.is_some() => token,
            Fault::LoopToken if self.second_page.is_some() => self.second_page.clone(),
            Fault::EmptyPageWithToken => Some(fresh),
            _ => (end < all).then_some(fresh),
        };
        let (listed, _) = self.listed(operation);
        let own = listed.jobs.len();
        let mut page = format!(r#"{{"{}":["#, member(operation));
        for job in &listed.jobs[start.min(own)..end.min(own)] {
            if !page.ends_with('[') {
                page.push(',');
            }
            page.push_str(&job.to_string());
        }
        listed
            .history
            .write(start.max(own) - own..end.max(own) - own, &mut page);
        page.push(']');
        if let Some(token) = next_token {
            page.push_str(&format!(r#","nextToken":{}"#, Value::from(token)));
        }
        page.push('}');
        page.into_bytes()
    }
}

/// The member of an answer that has the jobs.
fn member(operation: &str) -> &'static str {
    match operation {
        IMPORTS => "batchImports",
        _ => "batchPredictions",
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::Error(400, "ValidationException", message.into())
}

/// Where a page starts, and which one it is in its listing.
struct Place {
    page: usize,
    start: usize,
}

/// Turns a token into what tells nobody anything.
const VEIL: u128 = 0x5e1f_0a77_9c3b_42d1_8a6e_f013_d4b5_2c99;

impl Place {
    /// Two tokens for one place differ by their number.
    fn token(&self, number: u32) -> String {
        let page = u32::try_from(self.page).unwrap();
        let packed = (u128::from(number) << 96) | (u128::from(page) << 64) | self.start as u128;
        format!("{:032x}", packed.rotate_left(37) ^ VEIL)
    }

    fn of(token: &str) -> Option<Self> {
        let packed = u128::from_str_radix(token, 16).ok()? ^ VEIL;
        let packed = packed.rotate_right(37);
        let page = usize::try_from((packed >> 64) & 0xffff_ffff).ok()?;
        let start = usize::try_from(packed & 0xffff_ffff_ffff_ffff).ok()?;
        // No list of jobs is that long: such a token was made up.
        (token.len() == 32 && page >= 2 && start <= 1 << 32).then_some(Self { page, start })
    }
}

/// A job as the service would list it now: started 20 minutes ago, alive a minute ago, and with what
/// its status implies.
pub(crate) fn job(id: &str, status: &str) -> Value {
    let minutes_ago = |minutes: u64| ago(Duration::from_secs(60 * minutes));
    let base = json!({
        "jobId": id,
        "status": status,
        "startTime": minutes_ago(20),
        "lastHeartbeatTime": minutes_ago(1),
        "inputPath": format!("s3://example-bucket/{id}.csv"),
        "outputPath": "s3://example-bucket",
        "eventTypeName": "customer_registration",
        "detectorName": "signup_detector",
        "detectorVersion": "1",
        "iamRoleArn": "arn:aws:iam::123456789012:role/service-role/FraudDetectorBatch",
        "arn": format!("arn:aws:frauddetector:us-east-1:123456789012:batch-prediction/{id}"),
        "processedRecordsCount": 2500,
        "totalRecordsCount": 5000,
    });
    let status_implies = match status {
        "IN_PROGRESS_INITIALIZING" => json!({
            "lastHeartbeatTime": minutes_ago(20),
            "processedRecordsCount": 0,
            "totalRecordsCount": null,
        }),
        "COMPLETE" => json!({
            "completionTime": minutes_ago(1),
            "processedRecordsCount": 5000,
        }),
        "FAILED" => json!({
            "completionTime": minutes_ago(1),
            "failureReason": "The input file has no column named EVENT_TIMESTAMP.",
        }),
        "CANCELED" => json!({ "completionTime": minutes_ago(1) }),
        _ => json!({}),
    };
    with(base, status_implies)
}

/// The same of an import, which has no heartbeat and no detector, and tells how many records failed.
pub(crate) fn import(id: &str, status: &str) -> Value {
    let is_initializing = status == "IN_PROGRESS_INITIALIZING";
    let none_of_an_import = json!({
        "lastHeartbeatTime": null,
        "detectorName": null,
        "detectorVersion": null,
        "arn": format!("arn:aws:frauddetector:us-east-1:123456789012:batch-import/{id}"),
        // Large files are validated first.
        "processedRecordsCount": (!is_initializing).then_some(2500),
        "failedRecordsCount": (!is_initializing).then_some(0),
    });
    let whole = match status {
        "COMPLETE" => json!({"processedRecordsCount": 5000, "failedRecordsCount": 1}),
        _ => json!({}),
    };
    with(with(job(id, status), none_of_an_import), whole)
}

/// The value with these members in place of its own; a null takes one away.
pub(crate) fn with(mut value: Value, members: Value) -> Value {
    let (Value::Object(all), Value::Object(members)) = (&mut value, members) else {
        panic!("two objects are needed");
    };
    for (name, member) in members {
        match member {
            Value::Null => all.remove(&name),
            member => all.insert(name, member),
        };
    }
    value
}

/// A time in the service's form, so long ago by the computer's clock.
pub(crate) fn ago(age: Duration) -> String {
    let then = Timestamp::now() - age;
    then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
