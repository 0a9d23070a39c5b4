//! A proxy between a function and the services: it counts the calls, and lets something befall one of them,
//! before or after it takes effect.

use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};

use super::http::{Server, send};

/// The doors to the services, one each. They close when dropped.
pub(crate) struct Proxy {
    doors: Vec<(&'static str, Server)>,
    state: Arc<Mutex<State>>,
}

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The function is killed, and the call never arrives.
    KillBefore,
    /// The call arrives, and the function is killed.
    KillAfter,
    /// The service throttles it.
    Throttle,
    /// The service has an internal error.
    Internal,
    /// The connection is closed, and the call never arrives.
    DropBefore,
    /// The call arrives, and the connection is closed without an answer.
    DropAfter,
    /// No answer comes, and the call never arrives.
    HangBefore,
    /// The call arrives, and no answer comes.
    HangAfter,
}

impl Mishap {
    fn is_before(self) -> bool {
        !matches!(self, Self::KillAfter | Self::DropAfter | Self::HangAfter)
    }
}

/// Which calls it befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// This one, from 1, counted from the script on.
    Nth(usize),
    /// This one and all after it.
    From(usize),
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    script: Option<(Which, Mishap)>,
    victim: Option<Box<dyn Fn() + Send>>,
}

impl Proxy {
    /// In front of these endpoints: for each, the variable that sends an SDK there, and its address.
    pub(crate) fn start(endpoints: &[(&'static str, &str)]) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let door = |(variable, endpoint): &(&'static str, &str)| {
            let address = endpoint.strip_prefix("http://").unwrap().to_owned();
            let state = state.clone();
            let server =
                Server::start(move |request| handle(state.clone(), address.clone(), request));
            (*variable, server)
        };
        let doors = endpoints.iter().map(door).collect();
        Self { doors, state }
    }

    /// What sends a function's calls through here.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let url = |server: &Server| format!("http://{}", server.address());
        let doors = self.doors.iter();
        doors
            .map(|(variable, server)| ((*variable).to_owned(), url(server)))
            .collect()
    }

    /// From now on: calls are counted anew, and this befalls them. Whoever is to be killed is killed by `victim`.
    pub(crate) fn script(
        &self,
        script: Option<(Which, Mishap)>,
        victim: impl Fn() + Send + 'static,
    ) {
        let mut state = self.state();
        state.calls.clear();
        state.script = script;
        state.victim = Some(Box::new(victim));
    }

    /// The operations that were called since, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn handle(
    state: Arc<Mutex<State>>,
    address: String,
    request: Request<Bytes>,
) -> Option<Response<Full<Bytes>>> {
    let mishap = {
        let mut state = state.lock().unwrap();
        state.calls.push(operation(&request));
        let number = state.calls.len();
        let script = state.script.filter(|(which, _)| match which {
            Which::Nth(nth) => number == *nth,
            Which::From(nth) => number >= *nth,
        });
        script.map(|(_, mishap)| mishap)
    };
    let is_query = !request.headers().contains_key("x-amz-target");
    let mut answer = None;
    if mishap.is_none_or(|mishap| !mishap.is_before()) {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, Full::new(body));
        let (head, body) = send(&address, request).await.into_parts();
        answer = Some(Response::from_parts(head, Full::new(body)));
    }
    match mishap {
        None => answer,
        Some(Mishap::Throttle) => Some(error(400, "ThrottlingException", is_query)),
        Some(Mishap::Internal) => Some(error(500, "InternalFailure", is_query)),
        Some(Mishap::DropBefore | Mishap::DropAfter) => None,
        Some(Mishap::HangBefore | Mishap::HangAfter) => std::future::pending().await,
        Some(Mishap::KillBefore | Mishap::KillAfter) => {
            if let Some(kill) = &state.lock().unwrap().victim {
                kill();
            }
            std::future::pending().await
        }
    }
}

/// The operation's name: in a header, or in the form of the services that take forms.
fn operation(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok()?.rsplit('.').next());
    let body = String::from_utf8_lossy(request.body());
    let action = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="));
    target.or(action).unwrap_or("unknown").to_owned()
}

/// An error as the services put it.
fn error(status: u16, code: &str, is_query: bool) -> Response<Full<Bytes>> {
    let body = match is_query {
        true => format!(
            "<ErrorResponse><Error><Type>Receiver</Type><Code>{code}</Code><Message>as scripted</Message></Error>\
             <RequestId>r</RequestId></ErrorResponse>"
        ),
        false => format!(r#"{{"__type":"{code}","message":"as scripted"}}"#),
    };
    Response::builder()
        .status(status)
        .body(Full::from(body))
        .unwrap()
}
