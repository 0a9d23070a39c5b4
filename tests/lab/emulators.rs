//! The emulators: ministack for SNS, SQS and DynamoDB, moto for a second opinion on SNS. Each starts
//! when a test first needs it, once per test process, and ends with that process.
//!
//! A [`World`] is one test's own part of them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use http_body_util::Full;
use hyper::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::http::{Server, send};

/// The endpoint of ministack.
///
/// # Panics
/// If `tests/run` has not made its environment, or it does not start.
pub(crate) fn ministack() -> &'static str {
    static RUNNING: OnceLock<Emulator> = OnceLock::new();
    &RUNNING
        .get_or_init(|| {
            Emulator::start("ministack", "/_ministack/health", |port| {
                let mut command = Command::new(of_environment("ministack", "ministack"));
                command.envs([
                    ("GATEWAY_PORT", port),
                    // It would listen on every interface, and at fixed ports for what nobody uses.
                    ("BIND_HOST", "127.0.0.1"),
                    ("IOT_MTLS_ENABLED", "0"),
                    ("SFTP_ENABLED", "0"),
                    ("MINISTACK_ACCOUNT_ID", "123456789012"),
                    ("MINISTACK_REGION", "us-east-1"),
                ]);
                command
            })
        })
        .endpoint
}

/// The endpoint of moto. It loses races between conditional writes: ask it about SNS only.
///
/// # Panics
/// As [`ministack`].
pub(crate) fn moto() -> &'static str {
    static RUNNING: OnceLock<Emulator> = OnceLock::new();
    &RUNNING
        .get_or_init(|| {
            Emulator::start("moto", "/moto-api/data.json", |port| {
                let mut command = Command::new(of_environment("moto", "moto_server"));
                command.args(["--host", "127.0.0.1", "--port", port]);
                command
            })
        })
        .endpoint
}

/// A Python that has boto3.
///
/// # Panics
/// If `tests/run` has not made its environment.
pub(crate) fn python_boto3() -> PathBuf {
    of_environment("boto3", "python")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn of_environment(name: &str, program: &str) -> PathBuf {
    let program = root().join(".envs").join(name).join("bin").join(program);
    assert!(
        program.exists(),
        "{} is missing: run tests/run once: it sets up the emulators",
        program.display()
    );
    program
}

struct Emulator {
    endpoint: String,
    /// Holds the pipe whose end is the emulator's end.
    _leash: Mutex<Child>,
}

impl Emulator {
    /// Starts what `command` makes of a port, and waits until it answers at `health`.
    fn start(name: &str, health: &str, command: impl Fn(&str) -> Command) -> Self {
        // Whatever else it prints or keeps ends up there, too.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let log = directory.join(format!("{name}-{}.log", std::process::id()));
        // Between choosing a port and listening on it, another process may take it.
        for _ in 0..3 {
            let port = free_port();
            let command = command(&port.to_string());
            let output = File::create(&log).unwrap();
            let mut leash = Command::new(root().join("tests/lab/leash"));
            leash
                .arg(command.get_program())
                .args(command.get_args())
                .env_clear()
                .env("TMPDIR", directory)
                .envs(["PATH", "HOME"].into_iter().filter_map(from_here))
                .envs(
                    command
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                )
                .current_dir(directory)
                .stdin(Stdio::piped())
                .stdout(output.try_clone().unwrap())
                .stderr(output);
            let mut leash = leash.spawn().unwrap();
            if ready(&mut leash, port, health) {
                // It is only for those who want to know why it did not start.
                let _ = std::fs::remove_file(&log);
                return Self {
                    endpoint: format!("http://127.0.0.1:{port}"),
                    _leash: Mutex::new(leash),
                };
            }
            drop(leash.stdin.take());
            let _ = leash.wait();
        }
        let output = std::fs::read_to_string(&log).unwrap_or_default();
        panic!("{name} does not start:\n{output}");
    }
}

fn from_here(name: &str) -> Option<(&str, OsString)> {
    Some((name, std::env::var_os(name)?))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether it answers within a minute, and is still there then.
fn ready(leash: &mut Child, port: u16, health: &str) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if leash.try_wait().unwrap().is_some() {
            return false;
        }
        if answers(port, health) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn answers(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    let mut head = [0; 12];
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read_exact(&mut head))
        .is_ok_and(|()| head.ends_with(b" 200"))
}

/// A test's own topic, a queue that is subscribed to it, and a table.
pub(crate) struct World {
    sns: aws_sdk_sns::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    endpoint: &'static str,
    dynamodb_endpoint: String,
    topic_arn: String,
    queue_url: String,
    table: String,
}

impl World {
    /// In ministack; the table where `SECOND_OPINION_DYNAMODB` says, if it is set.
    pub(crate) async fn new() -> Self {
        Self::at(ministack()).await
    }

    /// With topic and queue in moto, which knows more of SNS's rules. The table is where it always is.
    pub(crate) async fn with_moto_topic() -> Self {
        Self::at(moto()).await
    }

    async fn at(endpoint: &'static str) -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("watch-{}-{number}", std::process::id());

        let sns = aws_sdk_sns::Client::new(&sdk_config(endpoint));
        let topic = sns.create_topic().name(&name).send().await.unwrap();
        let topic_arn = topic.topic_arn().unwrap().to_owned();
        let queue = sqs(endpoint, "CreateQueue", &json!({"QueueName": name})).await;
        let queue_url = queue["QueueUrl"].as_str().unwrap().to_owned();
        let attributes = sqs(
            endpoint,
            "GetQueueAttributes",
            &json!({"QueueUrl": queue_url, "AttributeNames": ["QueueArn"]}),
        )
        .await;
        sns.subscribe()
            .topic_arn(&topic_arn)
            .protocol("sqs")
            .endpoint(attributes["Attributes"]["QueueArn"].as_str().unwrap())
            .send()
            .await
            .unwrap();

        let elsewhere = std::env::var("SECOND_OPINION_DYNAMODB");
        let dynamodb_endpoint = elsewhere.unwrap_or_else(|_| ministack().to_owned());
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk_config(&dynamodb_endpoint));
        create_table(&dynamodb, &name).await;
        Self {
            sns,
            dynamodb,
            endpoint,
            dynamodb_endpoint,
            topic_arn,
            queue_url,
            table: name,
        }
    }

    pub(crate) fn topic_arn(&self) -> &str {
        &self.topic_arn
    }

    /// Moves a time in a job's record two minutes back: what the record says of two looks is then told apart.
    pub(crate) async fn back_date(&self, job: &str, attribute: &str) {
        let (dynamodb, table) = (self.dynamodb(), self.table());
        let scan = dynamodb.scan().table_name(table).send().await.unwrap();
        let name = AttributeValue::S(format!("job#{job}"));
        let items = scan.items.unwrap();
        let item = items.iter().find(|item| item["item"] == name).unwrap();
        let time: Timestamp = item[attribute].as_s().unwrap().parse().unwrap();
        let earlier = (time - SignedDuration::from_mins(2)).to_string();
        let update = dynamodb
            .update_item()
            .table_name(table)
            .key("watch", item["watch"].clone())
            .key("item", name)
            .update_expression("SET #time = :earlier")
            .expression_attribute_names("#time", attribute)
            .expression_attribute_values(":earlier", AttributeValue::S(earlier));
        update.send().await.unwrap();
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn sns(&self) -> aws_sdk_sns::Client {
        self.sns.clone()
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.clone()
    }

    /// What makes a function use this world.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        [
            ("TOPIC_ARN", self.topic_arn.as_str()),
            ("STATE_TABLE", &self.table),
            ("AWS_ENDPOINT_URL_SNS", self.endpoint),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb_endpoint),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// What the topic has delivered since the last call, as SNS wraps it for a queue: `Message`,
    /// `Subject`, `MessageAttributes`. The emulators deliver before they answer the publisher.
    pub(crate) async fn received(&self) -> Vec<Value> {
        let mut envelopes = Vec::new();
        loop {
            let answer = sqs(
                self.endpoint,
                "ReceiveMessage",
                &json!({"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10}),
            )
            .await;
            let messages = match answer["Messages"].as_array() {
                Some(messages) if !messages.is_empty() => messages,
                _ => return envelopes,
            };
            for message in messages {
                let body = message["Body"].as_str().unwrap();
                envelopes.push(serde_json::from_str(body).unwrap());
                let receipt = &message["ReceiptHandle"];
                let deletion = json!({"QueueUrl": self.queue_url, "ReceiptHandle": receipt});
                sqs(self.endpoint, "DeleteMessage", &deletion).await;
            }
        }
    }
}

/// One who is subscribed by `http` or `https`; for the emulator both may be without TLS.
pub(crate) struct Subscriber {
    bodies: Arc<Mutex<Vec<Value>>>,
    server: Server,
}

impl Subscriber {
    /// Subscribes, and confirms when SNS asks for it.
    pub(crate) async fn by(protocol: &str, world: &World) -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        let server = Server::start(move |request| {
            kept.lock()
                .unwrap()
                .push(serde_json::from_slice(request.body()).unwrap());
            async { Some(Response::new(Full::default())) }
        });
        let subscriber = Self { bodies, server };
        let url = format!("http://{}/", subscriber.server.address());
        let subscribe = world.sns.subscribe().topic_arn(&world.topic_arn);
        subscribe
            .protocol(protocol)
            .endpoint(url)
            .send()
            .await
            .unwrap();
        let asked = subscriber.next().await;
        let confirm = world.sns.confirm_subscription().topic_arn(&world.topic_arn);
        let confirm = confirm.token(asked["Token"].as_str().unwrap());
        confirm.send().await.unwrap();
        subscriber
    }

    /// What it got first of what was not taken yet; waits for it.
    pub(crate) async fn next(&self) -> Value {
        super::eventually(|| !self.bodies.lock().unwrap().is_empty()).await;
        self.bodies.lock().unwrap().remove(0)
    }
}

async fn create_table(dynamodb: &aws_sdk_dynamodb::Client, name: &str) {
    let mut table = dynamodb
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, key) in [("watch", KeyType::Hash), ("item", KeyType::Range)] {
        table = table
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(attribute)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .unwrap(),
            )
            .key_schema(
                KeySchemaElement::builder()
                    .attribute_name(attribute)
                    .key_type(key)
                    .build()
                    .unwrap(),
            );
    }
    table.send().await.unwrap();
}

/// What a client needs for an emulator, or for our Fraud Detector.
pub(crate) fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}

/// One call of SQS. The test needs three of them: too few for a crate.
async fn sqs(endpoint: &str, operation: &str, input: &Value) -> Value {
    let address = endpoint.strip_prefix("http://").unwrap();
    let request = Request::post("/")
        .header("host", address)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("AmazonSQS.{operation}"))
        // Emulators tell services apart by the scope, and check no signature.
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260302/us-east-1/sqs/aws4_request, \
             SignedHeaders=host, Signature=none",
        )
        .body(Full::from(input.to_string()))
        .unwrap();
    let answer = send(address, request).await;
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.status().is_success(), "{operation}: {body}");
    match body.as_str() {
        "" => Value::Null,
        body => serde_json::from_str(body).unwrap(),
    }
}
