//! What is said of what is late: jobs that are overdue, and jobs that are missing or have arrived after all.

use super::{Words, job_phrase, list};
use crate::message::facts::{self, seconds_in_words, usual_in_words};
use crate::message::nouns::Nouns;
use crate::message::text::{Text, at};
use crate::watch::detector::ANY_DETECTOR;
use crate::watch::job::End;
use crate::watch::notice::ExpectedJob;
use crate::watch::{Job, Notice, Stage};

pub(super) fn overdue(notice: &Notice, job: &Job) -> Words {
    let overdue = notice.overdue.as_ref();
    let taken = overdue.map(|overdue| seconds_in_words(overdue.taken_s));
    let taken = taken.unwrap_or_else(|| "too long".to_owned());
    let usual = overdue.and_then(|overdue| overdue.usual.as_ref());
    let Nouns {
        one,
        holds_up,
        longer,
        ..
    } = Nouns::of(notice);
    let compared = match usual {
        Some(usual) => format!("; {one}s like it usually take {}", usual_in_words(usual)),
        None => String::new(),
    };
    let steps = [
        Some(format!(
            "Look at the {one} in the console. If its record count moves, it may only be large or slow: let it go on."
        )),
        holds_up.map(|why| format!("{why}, so it holds up those that follow.")),
        Some(format!(
            "If your {one}s take this long by nature, set OVERDUE_AFTER to {longer}."
        )),
    ];
    let steps: Vec<_> = steps.iter().flatten().map(String::as_str).collect();
    let progress = facts::progress(job).map(|progress| format!(" It is at {progress}."));
    Words::new(
        job_phrase(notice, job).and(format!(
            " is overdue: it has taken {taken}{compared}.{}",
            progress.unwrap_or_default()
        )),
        list([
            Some(format!("{taken} so far")),
            usual.map(|usual| format!("usually {}", seconds_in_words(usual.median_s))),
            facts::count(job),
        ]),
        &steps,
    )
}

pub(super) fn missing(expected: &ExpectedJob) -> Words {
    let last = match &expected.last_completed {
        Some(last) => Text::ours(" The last one, ")
            .and_text(Text::id(&last.job_id))
            .and(format!(", completed at {}.", at(last.at))),
        None => Text::ours(" None is known to have completed before."),
    };
    let instead = expected.instead.as_ref();
    let (said, brief, step) = match instead.map(|job| (job, job.end(), job.status.stage())) {
        None => (
            Text::ours(" None is running or waiting."),
            "and none is running".to_owned(),
            "Check what starts the job: a schedule, a pipeline, its permissions.",
        ),
        Some((job, Some(End::Failed), _)) => failed(job),
        Some((job, _, Some(Stage::Waiting))) => (
            job_sentence(job).and(" is waiting to begin."),
            "one is waiting to begin".to_owned(),
            "Look at what runs before it: one job runs at a time.",
        ),
        Some((job, _, Some(Stage::Canceling))) => (
            job_sentence(job).and(" is being canceled."),
            "one is being canceled".to_owned(),
            "Run it again once it is canceled, unless that was intended.",
        ),
        Some((job, ..)) => {
            let progress = facts::progress(job).map(|progress| format!(", at {progress}"));
            (
                job_sentence(job).and(format!(" is running{}.", progress.unwrap_or_default())),
                list_count("one is running", job),
                "Wait for it, or tell those who wait for its output.",
            )
        }
    };
    Words::new(
        Text::ours("No job of ")
            .and_text(detector(&expected.detector))
            .and(" had completed by ")
            .and_untrusted(&expected.local)
            .and(".")
            .and_text(last)
            .and_text(said),
        Text::ours("none completed by ")
            .and_untrusted(&expected.local)
            .and(format!(", {brief}")),
        &[step],
    )
}

fn failed(job: &Job) -> (Text, String, &'static str) {
    let when = job.finished_at().map(|time| format!(" at {}", at(time)));
    let failed = job_sentence(job).and(format!(" failed{}", when.unwrap_or_default()));
    let said = match &job.failure_reason {
        Some(_) => failed.and(". AWS says: ").and_text(Text::reason(job)),
        None => failed.and("; AWS gave no reason."),
    };
    let step = "Fix what made it fail, then run it again.";
    (said, "one failed".to_owned(), step)
}

fn list_count(first: &str, job: &Job) -> String {
    match facts::count(job) {
        Some(count) => format!("{first}, {count}"),
        None => first.to_owned(),
    }
}

pub(super) fn arrived(notice: &Notice, expected: &ExpectedJob) -> Words {
    let late = |completed| {
        let late = seconds_in_words(expected.by.duration_since(completed).as_secs().abs());
        match completed > expected.by {
            true => format!("{late} after"),
            false => format!("{late} before"),
        }
    };
    let (headline, brief) = match &expected.last_completed {
        Some(last) => (
            Text::ours("The missing job of ")
                .and_text(detector(&expected.detector))
                .and(" has completed: ")
                .and_text(Text::id(&last.job_id))
                .and(format!(
                    ", at {}, {} the deadline of ",
                    at(last.at),
                    late(last.at)
                ))
                .and_untrusted(&expected.local),
            Text::id(&last.job_id).and(format!(", {} its deadline", late(last.at))),
        ),
        None => (
            Text::ours("The missing job of ")
                .and_text(detector(&expected.detector))
                .and(" has completed"),
            list([None]),
        ),
    };
    let headline = headline.and(". This resolves the earlier report that it was missing.");
    Words::new(headline, brief, &[Nouns::of(notice).take])
}

fn job_sentence(job: &Job) -> Text {
    Text::ours(" Job ").and_text(Text::id(&job.id))
}

/// As EXPECT names it, and in words if it is any.
pub(in crate::message) fn detector(name: &str) -> Text {
    match name {
        ANY_DETECTOR => Text::ours("any detector"),
        name => Text::untrusted(name),
    }
}
