//! A function: a real binary, in the environment that Lambda would give it, at our Runtime API.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::http::Server;
use super::runtime_api::{Desk, PATIENCE, RuntimeApi};

/// A running function process. It is killed when dropped.
pub(crate) struct Function {
    child: Arc<Mutex<Child>>,
    id: u32,
    started: Instant,
    desk: Arc<Desk>,
    door: usize,
    printed: Arc<Printed>,
    exit: watch::Receiver<Option<ExitStatus>>,
    _door: Server,
}

impl Function {
    /// Starts the binary with what Lambda sets, test credentials, and `env`, which comes last and wins.
    /// Nothing of this process' own environment reaches it but PATH and HOME.
    pub(crate) fn start<K, V>(
        api: &RuntimeApi,
        binary: impl AsRef<Path>,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        Self::run(api, Command::new(binary.as_ref()), env)
    }

    /// [`start`](Self::start), with arguments.
    pub(crate) fn run<K, V>(
        api: &RuntimeApi,
        mut command: Command,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let binary = PathBuf::from(command.get_program());
        let printed = Arc::new(Printed::default());
        let (door, server) = api.desk().attach(printed.clone());
        command.env_clear();
        // The last one is where a coverage run collects.
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let address = server.address().to_string();
        command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .envs(LAMBDA)
            .env("LAMBDA_TASK_ROOT", binary.parent().unwrap_or(&binary))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in env {
            command.env(name.as_ref(), value.as_ref());
        }
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));

        let stdout = collect(child.stdout.take().unwrap(), printed.clone(), |p| &p.stdout);
        let stderr = collect(child.stderr.take().unwrap(), printed.clone(), |p| &p.stderr);
        let id = child.id();
        let child = Arc::new(Mutex::new(child));
        let (exited, exit) = watch::channel(None);
        let (desk, process) = (api.desk().clone(), child.clone());
        std::thread::spawn(move || {
            // Its output ends when it does. Until then the lock is free for a kill.
            stdout.join().unwrap();
            stderr.join().unwrap();
            let status = process.lock().unwrap().wait().unwrap();
            exited.send_replace(Some(status));
            desk.ended(door, &status.to_string());
        });
        Self {
            child,
            id,
            started,
            desk: api.desk().clone(),
            door,
            printed,
            exit,
            _door: server,
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// From its start until it asked for its first event; none if it has not yet.
    pub(crate) fn start_to_ready(&self) -> Option<Duration> {
        Some(self.desk.first_asked(self.door)? - self.started)
    }

    /// The lines printed so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.printed.stdout.lock().unwrap().clone()
    }

    /// Ends it without warning, as Lambda does when the time is up.
    pub(crate) fn kill(&self) {
        let _ = self.child.lock().unwrap().kill();
    }

    /// What kills it, for somebody else to do.
    pub(crate) fn killer(&self) -> impl Fn() + Send + 'static {
        let child = self.child.clone();
        move || {
            let _ = child.lock().unwrap().kill();
        }
    }

    /// How it ended, once it has, and all its lines are there.
    ///
    /// # Panics
    /// If it still runs after [`PATIENCE`].
    pub(crate) async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match tokio::time::timeout(PATIENCE, exit.wait_for(Option::is_some)).await {
            Ok(status) => status.unwrap().unwrap(),
            Err(_) => panic!("still running after {PATIENCE:?}: {:?}", self.printed),
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the Lambda service sets, and a stop to what a laptop's own files would add.
const LAMBDA: [(&str, &str); 15] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_SESSION_TOKEN", "test"),
    ("AWS_LAMBDA_FUNCTION_NAME", "watch"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/watch"),
    (
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "2026/03/02/[$LATEST]0123456789abcdef0123456789abcdef",
    ),
    ("_HANDLER", "bootstrap"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// What a process has printed so far, line by line.
#[derive(Debug, Default)]
pub(super) struct Printed {
    stdout: Mutex<Vec<String>>,
    stderr: Mutex<Vec<String>>,
}

impl Printed {
    /// Both, first what went to standard output.
    pub(super) fn all(&self) -> Vec<String> {
        let mut all = self.stdout.lock().unwrap().clone();
        all.extend_from_slice(&self.stderr.lock().unwrap());
        all
    }
}

fn collect(
    pipe: impl Read + Send + 'static,
    printed: Arc<Printed>,
    lines: fn(&Printed) -> &Mutex<Vec<String>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            lines(&printed).lock().unwrap().push(line);
        }
    })
}
