//! What to add to a notice that has waited: for how long, and what has become of its job since.

use std::iter::once;

use jiff::{SignedDuration, Timestamp};

use super::facts::is_replaced;
use super::nouns::Nouns;
use super::text::{Text, at, in_words};
use super::{JobNow, Outgoing};
use crate::watch::job::End;
use crate::watch::status::Stage;
use crate::watch::{Job, Kind, Notice};

/// A run takes at most 15 minutes, so what has waited longer was not delivered by the run that recorded it.
const ONE_RUN: SignedDuration = SignedDuration::from_mins(15);

/// What to know before the rest of a notice.
#[derive(Default)]
pub(super) struct Update {
    /// The first line, if there is something to add.
    pub(super) sentences: Option<Text>,
    /// The same in a few words.
    pub(super) asides: Option<Text>,
    /// What to do instead of what the notice says.
    pub(super) step: Option<String>,
    /// Whether the job is no longer as the notice says.
    pub(super) has_moved_on: bool,
}

impl Update {
    pub(super) fn of(outgoing: &Outgoing<'_>, now: Timestamp) -> Self {
        let since = since(outgoing.notice, outgoing.job_now).unwrap_or_default();
        let waited = now.duration_since(outgoing.notice.recorded_at);
        if waited <= ONE_RUN {
            return since;
        }
        let waited = in_words(waited);
        let join = |first, then, between| Text::join(once(Text::ours(first)).chain(then), between);
        let delayed = format!("Delayed: recorded {waited} ago.");
        Self {
            sentences: join(delayed, since.sentences, " "),
            asides: join(format!("{waited} late"), since.asides, ", "),
            ..since
        }
    }

    fn new(sentence: Text, aside: Text, step: Option<String>) -> Self {
        Self {
            sentences: Some(sentence),
            asides: Some(aside),
            step,
            has_moved_on: true,
        }
    }
}

/// What has become of a job since a notice of it was recorded.
fn since(notice: &Notice, job_now: Option<JobNow<'_>>) -> Option<Update> {
    let then = notice.job.as_ref()?;
    let now = match job_now? {
        JobNow::Same(job) => job,
        // It says that itself.
        JobNow::Another(_) if is_replaced(notice) => return None,
        JobNow::Another(job) => return Some(replaced(notice, job)),
    };
    let (has_ended, one) = (now.end().is_some(), Nouns::of(notice).one);
    match then.end() {
        // What is said of a known end stays true.
        Some(End::Completed | End::Failed | End::Canceled) => None,
        Some(End::Unknown) if now.status == then.status => None,
        Some(End::Unknown) | None if has_ended => Some(ended(now, one)),
        Some(End::Unknown) => Some(alive(one)),
        None if notice.kind == Kind::Vanished => Some(Update::new(
            Text::ours(format!("The {one} has since been listed again.")),
            Text::ours("listed again since"),
            Some(format!("Nothing to do for now: the {one} is back.")),
        )),
        None if matches!(notice.kind, Kind::Stalled | Kind::Reminder) => {
            // That it is being canceled is no sign of life.
            let stages = (then.status.stage(), now.status.stage());
            let moved = now.heartbeat_at > then.heartbeat_at
                || now.processed_records > then.processed_records
                || stages == (Some(Stage::Waiting), Some(Stage::Running));
            moved.then(|| alive(one))
        }
        None => None,
    }
}

fn ended(job: &Job, one: &str) -> Update {
    let when = job.finished_at().map(|time| format!(", {}", at(time)));
    Update::new(
        Text::ours(format!("The {one} has since ended ("))
            .and_untrusted(job.status.to_string())
            .and(when.unwrap_or_default())
            .and(")."),
        Text::ours("now ").and_untrusted(job.status.as_str()),
        Some(format!(
            "Nothing to do about this any more: the {one} has ended."
        )),
    )
}

/// A silent one shows life, or one with an unknown end goes on.
fn alive(one: &str) -> Update {
    Update::new(
        Text::ours(format!("The {one} has since shown signs of life.")),
        Text::ours("alive since"),
        Some(format!("Nothing to do for now: the {one} goes on.")),
    )
}

fn replaced(notice: &Notice, by: &Job) -> Update {
    let when = by.started_at.map(|time| format!(" ({})", at(time)));
    // What to do about an end stays true.
    let may_cancel = matches!(notice.kind, Kind::Stalled | Kind::Reminder);
    let one = Nouns::of(notice).one;
    Update::new(
        Text::ours(format!("Another {one} with the same id has since started"))
            .and(when.unwrap_or_default())
            .and("."),
        Text::ours("id reused since"),
        may_cancel
            .then(|| format!("Another {one} now has this id: look before you cancel anything.")),
    )
}
