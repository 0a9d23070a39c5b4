//! The function as it is built for arm64, through a whole day: `tests/run arm64`.
//!
//! An emulator of the processor runs it, and it reaches every service by TLS. Each kind of notice comes once, and nothing
//! is dated back: the day takes its two or three minutes. While jobs end, one process after the other is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fraud_job_watch::watch::Kind;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::lab::emulators::World;
use crate::lab::fraud_detector::{FraudDetector, ago, job, with};
use crate::lab::function::Function;
use crate::lab::proxy::{Mishap, Proxy, Which};
use crate::lab::runtime_api::RuntimeApi;
use crate::lab::tls::Tls;

/// The newest glibc that provided.al2023 has.
const GLIBC: (u32, u32) = (2, 34);
const MINUTE: Duration = Duration::from_secs(60);
/// What a run is given. The claim of one that is killed ends soon after.
const GIVEN: Duration = Duration::from_secs(30);
/// What takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(240);

/// What is told on the day, and nothing else.
const TOLD: [&str; 14] = [
    "arrived nightly_detector",
    "began fraud-job-watch",
    "canceled is-canceled",
    "completed completes",
    "completed nightly",
    "ended ends-somehow",
    "failed fails",
    "missing nightly_detector",
    "overdue takes-long",
    "recovered is-silent",
    "reminder is-silent",
    "stalled is-silent",
    "test fraud-job-watch",
    "vanished vanishes",
];

/// What changes something.
const EFFECTS: [&str; 5] = [
    "DeleteItem",
    "Publish",
    "PutItem",
    "TransactWriteItems",
    "UpdateItem",
];

/// Plays the day with this binary, started by `emulator`: a command with its arguments.
pub(crate) async fn play(binary: &Path, emulator: &[&str]) -> String {
    let begun = Instant::now();
    let (major, minor) = newest_glibc(binary);
    assert!(
        (major, minor) <= GLIBC,
        "it needs glibc {major}.{minor}, and provided.al2023 has {GLIBC:?}"
    );
    let mut day = Day::new(binary, emulator).await;
    day.trusts_no_unknown_certificate().await;
    day.begins_and_is_idle().await;
    day.tries_and_tests().await;
    day.tells_what_takes_too_long().await;
    let killed_at = day.is_killed_while_jobs_end().await;
    day.goes_on().await;
    day.closes_what_it_opened().await;

    let told: Vec<_> = day.told.keys().map(String::as_str).collect();
    assert_eq!(told, TOLD);
    let kind = |told: &str| told.split(' ').next().unwrap().to_owned();
    let kinds: BTreeSet<_> = TOLD.iter().map(|told| kind(told)).collect();
    // Whether the alarms are heard takes an hour to tell.
    let all = Kind::ALL
        .iter()
        .filter(|kind| !matches!(kind, Kind::Unheard | Kind::Heard));
    let all = all.map(|kind| kind.as_str().to_owned());
    assert_eq!(kinds, all.collect(), "each kind has its moment");
    let mut repeats = 0;
    for (told, ids) in &day.told {
        // The next reminder may come before the day is over.
        assert!(
            ids.len() == 1 || told.starts_with("reminder"),
            "{told}: {ids:?}"
        );
        repeats += ids.values().sum::<usize>() - ids.len();
    }
    format!(
        "each of {} kinds came; of {} processes {} were killed, at {}; {repeats} repeats, each under the same id; \
         {} TLS handshakes; glibc {major}.{minor} is enough; {} s",
        kinds.len(),
        day.processes,
        killed_at.len(),
        killed_at.join(", "),
        day.tls.handshakes(),
        begun.elapsed().as_secs()
    )
}

/// The newest version of glibc that this binary for arm64 asks for.
fn newest_glibc(binary: &Path) -> (u32, u32) {
    let read = Command::new("readelf")
        .env("LC_ALL", "C")
        .args(["--wide", "--file-header", "--version-info"])
        .arg(binary)
        .output()
        .unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    assert!(read.contains("AArch64"), "this is not for arm64: {read}");
    let version = |text: &str| {
        let text = text
            .split(|c: char| c != '.' && !c.is_ascii_digit())
            .next()?;
        let mut parts = text.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    let versions = read.split("GLIBC_").skip(1).filter_map(version);
    versions.max().expect("it needs some glibc")
}

struct Day {
    binary: PathBuf,
    emulator: Vec<String>,
    jobs: FraudDetector,
    world: World,
    api: RuntimeApi,
    proxy: Proxy,
    tls: Tls,
    roots: NamedTempFile,
    settings: Vec<(String, String)>,
    processes: usize,
    /// What was told of whom, as "kind subject", and how often under which id.
    told: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Day {
    async fn new(binary: &Path, emulator: &[&str]) -> Self {
        let (jobs, world, tls) = (FraudDetector::start(), World::new().await, Tls::new());
        let env = world.env();
        let of = |name: &str| env.iter().find(|(key, _)| key == name).unwrap().1.as_str();
        let proxy = Proxy::start(&[
            ("AWS_ENDPOINT_URL_SNS", of("AWS_ENDPOINT_URL_SNS")),
            ("AWS_ENDPOINT_URL_DYNAMODB", of("AWS_ENDPOINT_URL_DYNAMODB")),
            ("AWS_ENDPOINT_URL_FRAUDDETECTOR", &jobs.url()),
        ]);
        let mut settings = env.clone();
        // The proxy's doors come last and win.
        settings.extend(tls.before(&proxy.env()));
        let all = Kind::choices().map(Kind::as_str);
        let notify_on = Vec::from_iter(all).join(",");
        let more = [
            ("NOTIFY_ON", notify_on.as_str()),
            ("REMIND_AFTER", "1m"),
            ("OVERDUE_AFTER", "2h"),
            ("DIGEST_ABOVE", "1000"),
        ];
        settings.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut roots = NamedTempFile::new().unwrap();
        roots.write_all(tls.roots().as_bytes()).unwrap();
        Self {
            binary: binary.to_owned(),
            emulator: emulator.iter().copied().map(str::to_owned).collect(),
            jobs,
            world,
            api: RuntimeApi::default(),
            proxy,
            tls,
            roots,
            settings,
            processes: 0,
            told: BTreeMap::new(),
        }
    }

    fn function(&mut self) -> Function {
        let roots = self.roots.path().display().to_string();
        self.start(Some(("SSL_CERT_FILE".to_owned(), roots)))
    }

    fn start(&mut self, more: Option<(String, String)>) -> Function {
        self.processes += 1;
        let [emulator, arguments @ ..] = self.emulator.as_slice() else {
            panic!("an emulator is needed");
        };
        let mut command = Command::new(emulator);
        command.args(arguments).arg(&self.binary);
        Function::run(
            &self.api,
            command,
            self.settings.iter().cloned().chain(more),
        )
    }

    /// One run to which nothing happens, and what it told.
    async fn run(&mut self) -> Value {
        self.invoke(json!({})).await
    }

    async fn invoke(&mut self, payload: Value) -> Value {
        self.proxy.script(None, || {});
        let answer = self.api.invoke(payload, GIVEN).await.unwrap();
        self.listen().await;
        answer
    }

    /// Runs until these were told.
    async fn run_until_told(&mut self, expected: &[&str]) {
        let begun = Instant::now();
        loop {
            let answer = self.run().await;
            let missing: Vec<_> = expected
                .iter()
                .filter(|told| !self.told.contains_key(**told))
                .collect();
            if missing.is_empty() && answer["pending"] == 0 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "lost: {missing:?}; {answer}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Takes in what the topic delivered.
    async fn listen(&mut self) {
        for envelope in self.world.received().await {
            let event: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
            let text = |place: &str| event.pointer(place).unwrap().as_str().unwrap().to_owned();
            let told = format!("{} {}", text("/data/kind"), text("/subject"));
            let ids = self.told.entry(told).or_default();
            *ids.entry(text("/id")).or_default() += 1;
        }
    }

    /// These are listed from now on: with these members, or no more.
    fn change(&self, ids: &[&str], members: Option<&Value>) {
        let is_one = |job: &Value| ids.iter().any(|id| job["jobId"] == *id);
        self.jobs.update(|jobs| match members {
            None => jobs.retain(|job| !is_one(job)),
            Some(members) => {
                for job in jobs.iter_mut().filter(|job| is_one(job)) {
                    *job = with(job.take(), members.clone());
                }
            }
        });
    }

    fn appears(&self, job: Value) {
        self.jobs.update(|jobs| jobs.push(job));
    }

    fn assert_changes_nothing(&self, what: &str) {
        let calls = self.proxy.calls();
        let effects = calls.iter().filter(|call| EFFECTS.contains(&call.as_str()));
        assert_eq!(effects.count(), 0, "{what}: {calls:?}");
    }

    async fn trusts_no_unknown_certificate(&mut self) {
        let _function = self.start(None);
        let failed = self.api.invoke(json!({}), GIVEN).await.unwrap_err();
        assert!(failed.to_string().contains("certificate"), "{failed}");
        assert_eq!(self.tls.handshakes(), 0, "{failed}");
    }

    async fn begins_and_is_idle(&mut self) {
        let ids = [
            "completes",
            "fails",
            "is-canceled",
            "ends-somehow",
            "vanishes",
        ];
        let active = ids.map(|id| job(id, "IN_PROGRESS"));
        self.jobs.set_jobs(active.into());
        self.jobs.set_history(120, 48 * 60 * MINUTE);
        // Far enough ahead that the first run comes before it.
        let deadline = Timestamp::now().saturating_add(2.minutes()).unwrap();
        let expect = format!("nightly_detector by {}", deadline.strftime("%H:%M"));
        self.settings.push(("EXPECT".to_owned(), expect));

        let _function = self.function();
        let answer = self.run().await;
        assert_eq!(
            (&answer["pages"], &answer["began"]),
            (&json!(3), &json!(true))
        );
        assert_eq!(
            self.told.len(),
            1,
            "the first run is quiet: {:?}",
            self.told
        );
        self.run().await;
        self.assert_changes_nothing("an idle run");
    }

    async fn tries_and_tests(&mut self) {
        let (two_hours, three_hours) = (ago(120 * MINUTE), ago(180 * MINUTE));
        let silent = json!({"startTime": two_hours, "lastHeartbeatTime": two_hours, "processedRecordsCount": 0});
        self.appears(with(job("is-silent", "IN_PROGRESS"), silent));
        let long = json!({"startTime": three_hours});
        self.appears(with(job("takes-long", "IN_PROGRESS"), long));

        let _function = self.function();
        let answer = self.invoke(json!({"dry_run": true})).await;
        let would: BTreeSet<_> = answer["would_publish"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["data"]["kind"].as_str().unwrap())
            .collect();
        assert_eq!(would, BTreeSet::from(["overdue", "stalled"]), "{answer}");
        self.assert_changes_nothing("a dry run");
        self.invoke(json!({"test_notice": true})).await;
        assert!(
            self.told.contains_key("test fraud-job-watch"),
            "{:?}",
            self.told
        );
    }

    async fn tells_what_takes_too_long(&mut self) {
        let _function = self.function();
        self.run_until_told(&["overdue takes-long", "stalled is-silent"])
            .await;
    }

    /// Each process is killed one call later than the one before, by turns before and after the call takes effect,
    /// until one gets through. Which calls they were killed at.
    async fn is_killed_while_jobs_end(&mut self) -> Vec<String> {
        let endings = [
            ("completes", "COMPLETE"),
            ("fails", "FAILED"),
            ("is-canceled", "CANCELED"),
            ("ends-somehow", "ARCHIVED"),
        ];
        let now = ago(Duration::ZERO);
        for (id, status) in endings {
            let ended = json!({"status": status, "completionTime": now});
            self.change(&[id], Some(&ended));
        }
        self.change(&["vanishes"], None);
        let mut killed_at = Vec::new();
        for nth in 1.. {
            let mishap = match nth % 2 {
                0 => Mishap::KillAfter,
                _ => Mishap::KillBefore,
            };
            let function = self.function();
            self.proxy
                .script(Some((Which::Nth(nth), mishap)), function.killer());
            let answer = self.api.invoke(json!({}), GIVEN).await;
            self.listen().await;
            match answer {
                Ok(_) => return killed_at,
                Err(error) => assert_eq!(error["errorType"], "Runtime.ExitError", "{error}"),
            }
            killed_at.push(self.proxy.calls().remove(nth - 1));
        }
        unreachable!("some process gets through")
    }

    /// Nothing of what the killed ones left is lost, and what takes its time comes.
    async fn goes_on(&mut self) {
        let _function = self.function();
        self.run_until_told(&[
            "completed completes",
            "failed fails",
            "canceled is-canceled",
            "ended ends-somehow",
            "vanished vanishes",
            "reminder is-silent",
            "missing nightly_detector",
        ])
        .await;
    }

    async fn closes_what_it_opened(&mut self) {
        let now = ago(Duration::ZERO);
        self.change(&["is-silent"], Some(&json!({"lastHeartbeatTime": now})));
        let ended = json!({"detectorName": "nightly_detector", "completionTime": now});
        self.appears(with(job("nightly", "COMPLETE"), ended));
        let _function = self.function();
        self.run_until_told(&[
            "recovered is-silent",
            "completed nightly",
            "arrived nightly_detector",
        ])
        .await;
    }
}
