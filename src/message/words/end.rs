//! What is said of how a job ended.

use super::{
    Words, end_in_brief, failed_in_words, job_phrase, list, resolves, resolves_in_brief, so_far,
    took,
};
use crate::message::facts::{self, seconds_in_words};
use crate::message::nouns::Nouns;
use crate::message::text::Text;
use crate::watch::history::Compared;
use crate::watch::{Job, Notice};

pub(super) fn completed(notice: &Notice, job: &Job, compared: Option<&Compared>) -> Words {
    let progress = facts::progress(job).map(|progress| format!(": {progress}"));
    let progress = progress.unwrap_or_default();
    let (took, resolves) = (took(notice, " in "), resolves(notice));
    let waited = compared
        .filter(|compared| compared.waited_s > 0)
        .map(|compared| {
            let ran = seconds_in_words(compared.ran_s);
            format!(", {ran} of it since the job before had ended")
        });
    let waited = waited.unwrap_or_default();
    let usual = compared.map(|compared| seconds_in_words(compared.usual.median_s));
    let usually = usual.map(|usual| format!(", usually {usual}"));
    let usually = usually.unwrap_or_default();
    let took_in_brief = match compared {
        Some(compared) => Some(format!("ran for {}", seconds_in_words(compared.ran_s))),
        None => facts::took(notice).map(|took| format!("in {took}")),
    };
    Words::new(
        job_phrase(notice, job).and(format!(
            " completed{took}{waited}{usually}{progress}.{resolves}"
        )),
        list([
            took_in_brief.map(|took| format!("{took}{usually}")),
            facts::count(job),
            resolves_in_brief(notice),
        ]),
        &[Nouns::of(notice).take],
    )
}

/// Though its count may say that all were processed.
pub(super) fn completed_with_failures(notice: &Notice, job: &Job, failed: u64) -> Words {
    let progress = facts::progress(job).map(|progress| format!(": {progress}"));
    let (progress, failed) = (progress.unwrap_or_default(), failed_in_words(failed));
    let (took, resolves) = (took(notice, " in "), resolves(notice));
    let nouns = Nouns::of(notice);
    let look = nouns.error_log.unwrap_or(nouns.take);
    let again = format!(
        "Correct those records and run them in another {}.",
        nouns.one
    );
    Words::new(
        job_phrase(notice, job).and(format!(
            " completed{took}, but {failed}{progress}.{resolves}"
        )),
        list([
            Some(failed),
            facts::took(notice).map(|took| format!("in {took}")),
            facts::count(job),
            resolves_in_brief(notice),
        ]),
        &[look, &again],
    )
}

pub(super) fn completed_in_part(notice: &Notice, job: &Job, missing: u64) -> Words {
    let progress = facts::progress(job).unwrap_or_default();
    let (took, resolves) = (took(notice, " in "), resolves(notice));
    let headline = format!(" completed{took}, but processed only {progress}.{resolves}");
    let compare = match missing {
        1 => "1 record was".to_owned(),
        more => format!("{more} records were"),
    };
    let nouns = Nouns::of(notice);
    let compare = format!(
        "{compare} not processed. {}, and run what is missing in another {}.",
        nouns.result.compare, nouns.one
    );
    // If no record failed, there is no error log to say more.
    let take = nouns.error_log.is_none().then_some(nouns.take);
    let steps: Vec<_> = [compare.as_str()].into_iter().chain(take).collect();
    Words::new(
        job_phrase(notice, job).and(headline),
        list([
            facts::count(job).map(|count| format!("only {count}")),
            facts::took(notice).map(|took| format!("in {took}")),
            resolves_in_brief(notice),
        ]),
        &steps,
    )
}

pub(super) fn failed(notice: &Notice, job: &Job) -> Words {
    let (took, so_far, resolves) = (took(notice, " after "), so_far(job), resolves(notice));
    let headline = job_phrase(notice, job).and(format!(" failed{took}{so_far}.{resolves} "));
    let brief = end_in_brief(notice, "after ");
    let nouns = Nouns::of(notice);
    let (headline, brief, step) = match &job.failure_reason {
        Some(_) => (
            headline.and("AWS says: ").and_text(Text::reason(job)),
            brief.and(": ").and_text(Text::reason(job)),
            format!(
                "Fix the cause that AWS names, then run the {} again.",
                nouns.one
            ),
        ),
        None => (
            headline.and("AWS gave no reason."),
            brief.and(", no reason given"),
            format!(
                "Check the {}'s input, its output location and its IAM role, then run it again.",
                nouns.one
            ),
        ),
    };
    let steps: Vec<_> = [step.as_str()].into_iter().chain(nouns.error_log).collect();
    Words::new(headline, brief, &steps)
}

pub(super) fn canceled(notice: &Notice, job: &Job) -> Words {
    let (took, so_far, resolves) = (took(notice, " after "), so_far(job), resolves(notice));
    Words::new(
        job_phrase(notice, job).and(format!(" was canceled{took}{so_far}.{resolves}")),
        end_in_brief(notice, "after "),
        &[&format!(
            "Nothing to do if this was intended. {}",
            Nouns::of(notice).result.left
        )],
    )
}

pub(super) fn ended(notice: &Notice, job: &Job) -> Words {
    let (took, so_far, resolves) = (took(notice, " after "), so_far(job), resolves(notice));
    let unknown = format!(
        ", which this version of fraud-job-watch does not know: it may mean success or failure.{resolves}"
    );
    let Nouns { one, result, .. } = Nouns::of(notice);
    Words::new(
        job_phrase(notice, job)
            .and(format!(" ended{took}{so_far}, with the status "))
            .and_untrusted(job.status.as_str())
            .and(unknown),
        Text::untrusted(job.status.as_str())
            .and(", ")
            .and_text(end_in_brief(notice, "after ")),
        &[
            &format!(
                "Check in the console how the {one} ended, and whether its {} {}.",
                result.what, result.is_whole
            ),
            "If a status that is known follows, it is reported too. A newer version of fraud-job-watch may know this one.",
        ],
    )
}
