//! The form for an inbox: what happened, what to do, and then the facts.

use jiff::{SignedDuration, Timestamp};

use super::text::{Subject, WatchName, ago, in_words, one_line};
use crate::watch::{Job, Kind, Notice};

/// `[name] kind: job (detector)`.
pub(super) fn subject(notice: &Notice, name: Option<&WatchName>) -> Subject {
    let name = name.map(|name| format!("[{name}] ")).unwrap_or_default();
    let what = match &notice.job {
        Some(job) => match &job.detector {
            Some(detector) => format!("{} ({detector})", job.id),
            None => job.id.to_string(),
        },
        None => format!("batch prediction jobs in {}", notice.source.region()),
    };
    let kind = match notice.kind {
        Kind::Began => "Watching",
        Kind::Completed => "Completed",
        Kind::Failed => "FAILED",
        Kind::Stalled => "STALLED",
        Kind::Recovered => "Recovered",
        Kind::Canceled => "Canceled",
        Kind::Vanished => "VANISHED",
        Kind::Reminder => "STILL STALLED",
        Kind::Test => "TEST",
    };
    Subject::new(&format!("{name}{kind}: {what}"))
}

/// The body, in plain text.
pub(super) fn body(notice: &Notice, name: Option<&WatchName>, now: Timestamp) -> String {
    let mut lines = vec![what_happened(notice), String::new()];
    lines.extend(
        what_to_do(notice)
            .into_iter()
            .map(|step| format!("- {step}")),
    );
    lines.push(String::new());
    lines.extend(
        facts(notice, name, now)
            .into_iter()
            .map(|(label, value)| format!("{label}: {value}")),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn what_happened(notice: &Notice) -> String {
    let id = notice
        .job
        .as_ref()
        .map(|job| one_line(job.id.as_str()))
        .unwrap_or_default();
    let silence = notice.silence.as_ref();
    let lasted = silence
        .map(|silence| in_words(SignedDuration::from_secs(silence.lasted_s)))
        .unwrap_or_default();
    match notice.kind {
        Kind::Began => {
            let Some(found) = &notice.found else {
                return "The watch began.".to_owned();
            };
            let kinds: Vec<_> = found.notify_on.iter().map(|kind| kind.as_str()).collect();
            format!(
                "The watch began: {}. It will tell of jobs that are {}, and calls a job stalled after {} without a sign of life.",
                counted(found.jobs, "job"),
                kinds.join(", "),
                in_words(SignedDuration::from_secs(found.stall_after_s)),
            )
        }
        Kind::Completed => format!("Batch prediction job {id} completed{}.", took(notice)),
        Kind::Failed => format!("Batch prediction job {id} failed{}.", took(notice)),
        Kind::Canceled => format!("Batch prediction job {id} was canceled{}.", took(notice)),
        Kind::Stalled => format!(
            "Batch prediction job {id} is active and has shown no sign of life for {lasted}."
        ),
        Kind::Reminder => {
            format!("Batch prediction job {id} is still stalled: no sign of life for {lasted}.")
        }
        Kind::Recovered => {
            format!("Batch prediction job {id} shows life again after a silence of {lasted}.")
        }
        Kind::Vanished => {
            format!(
                "Batch prediction job {id} was active and is no longer there. Its outcome was never seen."
            )
        }
        Kind::Test => {
            "This is a test: nothing has happened to any job. It looks like what you would get."
                .to_owned()
        }
    }
}

fn took(notice: &Notice) -> String {
    let started = notice.job.as_ref().and_then(|job| job.started_at);
    let took = started
        .map(|at| notice.happened_at.duration_since(at))
        .filter(|took| took.as_secs() > 0);
    took.map(|took| format!(" after {}", in_words(took)))
        .unwrap_or_default()
}

fn what_to_do(notice: &Notice) -> Vec<String> {
    let steps: &[&str] = match notice.kind {
        Kind::Began => &["Nothing to do. What ended before the watch began is not told."],
        Kind::Completed => &["Fetch the output. Rows that failed are marked in its STATUS column."],
        Kind::Failed => &[
            "Read the reason below, mend the input or the permissions it names, and start the job again.",
            "Jobs that were waiting can go on now: one runs at a time.",
        ],
        Kind::Stalled | Kind::Reminder => &[
            "Look at the job in the console. If it makes no progress, cancel it and start it again.",
            "One job runs at a time: while this one is stalled, others may be held up.",
        ],
        Kind::Recovered => {
            &["Nothing to do. This job is given at least twice that silence from now on."]
        }
        Kind::Canceled => {
            &["Nothing to do, if it was meant. Output written before may be partial."]
        }
        Kind::Vanished => {
            &["Ask who deleted it. Look whether the output is there; if not, start the job again."]
        }
        Kind::Test => &["Nothing to do."],
    };
    steps.iter().map(|step| (*step).to_owned()).collect()
}

fn facts(notice: &Notice, name: Option<&WatchName>, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut put = |label, value: Option<String>| facts.extend(value.map(|value| (label, value)));
    let text = |text: &Option<String>| text.as_deref().map(one_line);
    if let Some(job) = &notice.job {
        put("Job", Some(one_line(job.id.as_str())));
        put("Status", Some(one_line(&job.status.to_string())));
        put("Reason", reason(job));
        put("Progress", progress(job));
    }
    if let Some(silence) = &notice.silence {
        put("Silent since", Some(ago(silence.since, now)));
        put(
            "Allowed silence",
            Some(in_words(SignedDuration::from_secs(silence.allowed_s))),
        );
        put(
            "Reminder",
            silence.reminder.map(|number| number.to_string()),
        );
        put(
            "Behind it",
            silence.waiting.filter(|count| *count > 0).map(behind),
        );
    }
    if let Some(job) = &notice.job {
        put("Started", job.started_at.map(|at| ago(at, now)));
        put("Last heartbeat", job.heartbeat_at.map(|at| ago(at, now)));
        put("Ended", job.completed_at.map(|at| ago(at, now)));
        if notice.kind == Kind::Vanished {
            put("Last recorded", notice.job_seen_at.map(|at| ago(at, now)));
        }
        put(
            "Detector",
            text(&job.detector).map(|detector| match text(&job.detector_version) {
                Some(version) => format!("{detector}, version {version}"),
                None => detector,
            }),
        );
        put("Event type", text(&job.event_type));
        put("Input", text(&job.input_path));
        put("Output", text(&job.output_path));
    }
    if let Some(found) = &notice.found {
        let counts: Vec<_> = found
            .by_status
            .iter()
            .map(|(status, n)| format!("{n} {}", one_line(status)))
            .collect();
        put(
            "Jobs",
            Some(if counts.is_empty() {
                "none".to_owned()
            } else {
                counts.join(", ")
            }),
        );
    }
    put("Noticed", Some(ago(notice.recorded_at, now)));
    put(
        "Account",
        Some(format!(
            "{}, {}",
            notice.source.account(),
            notice.source.region()
        )),
    );
    let region = notice.source.region();
    put(
        "Console",
        Some(format!(
            "https://{region}.console.aws.amazon.com/frauddetector/home?region={region}"
        )),
    );
    put("Watch", name.map(ToString::to_string));
    put("Event id", Some(notice.id.to_string()));
    facts
}

fn reason(job: &Job) -> Option<String> {
    let reason = one_line(job.failure_reason.as_deref()?);
    Some(match job.failure_reason_bytes {
        Some(bytes) => format!("{reason} [cut; it had {bytes} bytes]"),
        None => reason,
    })
}

fn progress(job: &Job) -> Option<String> {
    let processed = job.processed_records?;
    Some(match job.total_records {
        Some(0) | None => format!("{processed} records"),
        Some(total) => {
            let percent = u128::from(processed) * 100 / u128::from(total);
            format!("{processed} of {total} records ({percent} %)")
        }
    })
}

fn behind(waiting: u64) -> String {
    match waiting {
        1 => "1 job started later and has not begun".to_owned(),
        more => format!("{more} jobs started later and have not begun"),
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
