//! What the world writes down: what each run could have seen, and what was claimed, published and settled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fraud_job_watch::run::Outcome;
use fraud_job_watch::watch::{ListedJob, Notice, NoticeId, Policy, TopicArn};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::life::Stage;
use super::oracle::Violation;
use super::plan::{Fault, View};

/// A run, as the world saw it.
#[derive(Debug)]
pub(crate) struct RunLog {
    pub(crate) number: u32,
    pub(crate) policy: Policy,
    pub(crate) view: View,
    pub(crate) started: Timestamp,
    pub(crate) time_given: Duration,
    pub(crate) ended: Option<Timestamp>,
    /// It died, or Lambda ended it at its deadline.
    pub(crate) died: bool,
    pub(crate) froze: bool,
    /// A call was answered with an error, other than a write's, which the run looks into itself.
    pub(crate) met_error: bool,
    /// The service gave a last page.
    pub(crate) saw_the_end: bool,
    pub(crate) outcome: Option<Outcome>,
    /// What it was shown, in this order.
    pub(crate) looks: Vec<Look>,
    /// The jobs that it was told are not there, and when it asked.
    pub(crate) absent: BTreeMap<String, Timestamp>,
}

impl RunLog {
    pub(crate) fn spent_its_time(&self) -> bool {
        let margin = SignedDuration::from_secs(1);
        let given = SignedDuration::try_from(self.time_given).unwrap();
        self.ended
            .is_some_and(|ended| ended.duration_since(self.started) > given - margin)
    }

    /// It saw all, and nothing went wrong.
    pub(crate) fn is_good(&self) -> bool {
        let is_good = |outcome: &Outcome| outcome.failures.is_empty() && outcome.answer.complete;
        self.saw_the_end && self.outcome.as_ref().is_some_and(is_good)
    }

    /// And it knew what those before it had recorded.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_good() && self.view.table_stale == 0
    }

    /// What it was shown of a job last.
    pub(crate) fn look(&self, life: usize) -> Option<&Look> {
        self.looks.iter().rev().find(|look| look.life == life)
    }
}

/// What a run was shown of a job.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The place of the job among all that ever were.
    pub(crate) life: usize,
    /// When the run asked.
    pub(crate) at: Timestamp,
    /// How old the view is: what a replica that lags shows was so then.
    pub(crate) as_of: Timestamp,
    pub(crate) stage: Stage,
    pub(crate) start: Option<Timestamp>,
    pub(crate) heartbeat: Option<Timestamp>,
    pub(crate) count: Option<i64>,
    pub(crate) total: Option<i64>,
    pub(crate) completed: Option<Timestamp>,
}

impl Look {
    pub(crate) fn new(life: usize, listed: &ListedJob, at: Timestamp, as_of: Timestamp) -> Self {
        let time = |text: &Option<String>| text.as_deref().map(|text| text.parse().unwrap());
        let completed = time(&listed.completion_time);
        Self {
            life,
            at,
            as_of,
            stage: Stage::of(listed.status.as_deref(), completed.is_some()),
            start: time(&listed.start_time),
            heartbeat: time(&listed.last_heartbeat_time),
            count: listed.processed_records_count,
            total: listed.total_records_count,
            completed,
        }
    }

    /// A completion time and no status: nothing can be concluded.
    pub(crate) fn is_unclear(&self) -> bool {
        self.stage == Stage::Missing && self.completed.is_some()
    }

    pub(crate) fn shows_activity(&self) -> bool {
        self.stage.is_active() && !self.is_unclear()
    }
}

/// One publish that a run made.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) run: usize,
    pub(crate) topic: TopicArn,
    pub(crate) ids: Vec<NoticeId>,
    /// The events of those notices, in the same order.
    pub(crate) events: Vec<Value>,
    pub(crate) fault: Option<Fault>,
    pub(crate) took_place: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) run: usize,
    pub(crate) id: NoticeId,
    pub(crate) topic: TopicArn,
    pub(crate) until: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct Settling {
    pub(crate) run: usize,
    pub(crate) id: NoticeId,
    pub(crate) topic: TopicArn,
    pub(crate) fault: Option<Fault>,
    pub(crate) took_place: Option<Timestamp>,
}

/// Everything that the oracle looks at.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) runs: Vec<RunLog>,
    /// In the order in which they were recorded, each with its run.
    pub(crate) recorded: Vec<(usize, Notice)>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) settlings: Vec<Settling>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// How often what the oracle judges came about.
    pub(crate) came_about: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<Violation>,
    /// Writes to the table, and publishes.
    pub(crate) writes: u64,
    pub(crate) trace: Vec<String>,
}

impl Ledger {
    pub(crate) fn notice(&self, id: &NoticeId) -> Option<&Notice> {
        let mut notices = self.recorded.iter().map(|(_, notice)| notice);
        notices.find(|notice| notice.id == *id)
    }

    /// Each time that it was published to the topic.
    pub(crate) fn publications(
        &self,
        id: &NoticeId,
        topic: &TopicArn,
    ) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(move |attempt| {
            attempt.took_place.is_some() && attempt.topic == *topic && attempt.ids.contains(id)
        })
    }

    /// The topics that it was published to.
    pub(crate) fn reached(&self, id: &NoticeId) -> BTreeSet<TopicArn> {
        let of_it = |attempt: &&Attempt| attempt.took_place.is_some() && attempt.ids.contains(id);
        let attempts = self.attempts.iter().filter(of_it);
        attempts.map(|attempt| attempt.topic.clone()).collect()
    }
}
