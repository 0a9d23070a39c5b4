//! Delivery: everything pending, topic by topic; claim, publish, settle.
//!
//! What goes to one topic of one job's story goes out in the order in which it was recorded; a story that is held up
//! holds up no other, and a topic no other. More notices than the operator wants one by one become digests. A notice
//! is settled only when the message that carries it is out. What could not be published is let go of, so that it goes
//! out with the next run, however soon that is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::warn;

use super::{Failure, Run, WRITES, bounded};
use crate::message::{JobNow, Message, Outgoing, RenderContext, digest_sizes};
use crate::ports::{Claimed, Clock, Listing, Pending, PublishError, Store, Topic};
use crate::watch::notice::thread;
use crate::watch::{JobId, Notice, Severity};

/// How long a claim lasts, unless the run ends sooner.
const CLAIM: Duration = Duration::from_secs(60);
/// A claim outlasts what is done under it by this much.
const CLAIM_MARGIN: Duration = Duration::from_secs(5);
/// What is kept of the time to settle in, so that a run whose time ends repeats nothing. Of short runs, less.
const SETTLE: Duration = Duration::from_secs(5);

/// As many jobs are named of a digest that did not go out.
const JOBS_NAMED: usize = 5;

/// Notices that go out in one message.
type Batch = Vec<Pending>;

/// Whose story a notice belongs to.
type Story = Option<JobId>;

/// What became of what is pending for one topic.
#[derive(Default)]
struct Delivered {
    /// How many notices were published.
    published: u64,
    /// What is still pending.
    pending: Vec<Pending>,
    /// The stories whose next notice could not go out: what follows must wait.
    held: BTreeSet<Story>,
    /// The topic refuses messages for their rate, so in this run nothing more goes to it.
    is_throttled: bool,
    failures: Vec<Failure>,
}

impl Delivered {
    /// They stay pending, and what follows them waits.
    fn hold(&mut self, batch: Batch) {
        self.held.extend(batch.iter().map(story));
        self.pending.extend(batch);
    }

    fn fail(&mut self, why: String) {
        self.failures.push(Failure::PublishFailed(why));
    }
}

impl<L: Listing, S: Store, T: Topic, C: Clock> Run<'_, L, S, T, C> {
    /// Delivers everything pending: to both topics side by side, so that neither waits for the other.
    pub(super) async fn deliver(&mut self) {
        // Another run recorded something of these jobs meanwhile, and this one may not know all that is pending of
        // them: the next run does.
        let overtaken =
            |pending: &Pending| story(pending).is_some_and(|id| self.overtaken.contains(&id));
        let (waits, pending): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(overtaken);
        self.pending = waits;
        let (mut urgent, mut main, mut unconfigured) = (Vec::new(), Vec::new(), Vec::new());
        for item in pending {
            let notice = &item.notice;
            let severity = notice.kind.severity();
            match self.topics.route(&item.topic, &notice.topics, severity) {
                Some(topic) if topic == self.topics.main => main.push(item),
                Some(_) => urgent.push(item),
                None => unconfigured.push(item),
            }
        }
        let to_urgent = async {
            match &self.ports.urgent {
                Some(topic) => self.deliver_to(topic, urgent).await,
                None => Delivered::default(),
            }
        };
        let to_main = self.deliver_to(&self.ports.topic, main);
        let (urgent, main) = tokio::join!(biased; to_urgent, to_main);
        for delivered in [urgent, main] {
            self.answer.published += delivered.published;
            self.pending.extend(delivered.pending);
            for failure in delivered.failures {
                self.fail(failure);
            }
        }
        for item in unconfigured {
            self.drop_unconfigured(item).await;
        }
    }

    /// Forgets what is for a topic that is no longer configured, while another one has it.
    async fn drop_unconfigured(&mut self, pending: Pending) {
        let topic = &pending.topic;
        warn!(
            "the {} is not delivered to {topic}: that topic is no longer configured",
            one_named(&pending.notice)
        );
        let forgotten = bounded(self.work_until, self.ports.store.settle(&pending)).await;
        if !matches!(forgotten, Some(Ok(()))) {
            self.pending.push(pending);
        }
    }

    async fn deliver_to(&self, topic: &T, pending: Vec<Pending>) -> Delivered {
        let mut delivered = Delivered::default();
        for batch in self.batches(in_order(pending)) {
            let (waits, goes): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .partition(|pending| delivered.held.contains(&story(pending)));
            delivered.pending.extend(waits);
            self.deliver_batch(topic, goes, &mut delivered).await;
        }
        delivered
    }

    /// One by one, or in as few digests as there must be.
    fn batches(&self, pending: Vec<Pending>) -> Vec<Batch> {
        if pending.len() <= self.tick.settings.digest_above {
            return pending.into_iter().map(|pending| vec![pending]).collect();
        }
        let sizes = digest_sizes(&self.outgoing(&pending), &self.render_context());
        let mut pending = pending.into_iter();
        let batches = sizes.into_iter();
        batches
            .map(|size| pending.by_ref().take(size).collect())
            .collect()
    }

    async fn deliver_batch(&self, topic: &T, batch: Batch, delivered: &mut Delivered) {
        let publish_until = self.publish_until().filter(|_| !delivered.is_throttled);
        let Some(publish_until) = publish_until else {
            return delivered.hold(batch);
        };
        let mine = self.claim(batch, publish_until, delivered).await;
        // Whoever was held up meanwhile may find the time spent, with the answers there.
        if Instant::now() >= publish_until {
            return delivered.hold(mine);
        }
        let message = Message::of_batch(&self.outgoing(&mine), &self.render_context());
        let Some(message) = message else {
            return;
        };
        match bounded(Some(publish_until), self.publish(topic, &message, &mine)).await {
            Some(Ok(())) => self.settle(mine, delivered).await,
            Some(Err(error)) => self.not_published(topic, mine, &error, delivered).await,
            None => delivered.hold(mine),
        }
    }

    async fn not_published(
        &self,
        topic: &T,
        batch: Batch,
        error: &PublishError,
        delivered: &mut Delivered,
    ) {
        self.let_go(&batch).await;
        let what = format!("{} to {}", named(&batch), topic.arn());
        match error {
            PublishError::Refused(why) => {
                delivered.fail(format!("{what} refused: {why}"));
                // What follows need not wait for what will never pass.
                delivered.pending.extend(batch);
            }
            PublishError::Throttled(why) => {
                delivered.fail(format!("{what}, and what follows it there: {why}"));
                delivered.is_throttled = true;
                delivered.hold(batch);
            }
            PublishError::Failed(why) => {
                delivered.fail(format!("{what}: {why}"));
                delivered.hold(batch);
            }
        }
    }

    /// Ends the claims. If that fails they end by themselves.
    async fn let_go(&self, batch: &[Pending]) {
        let (ports, run, until) = (self.ports, self.tick.run, self.work_until);
        let now = self.now();
        stream::iter(batch)
            .map(|pending| bounded(until, ports.store.claim(pending, run, now, now)))
            .buffer_unordered(WRITES)
            .for_each(async |_| {})
            .await;
    }

    /// What is published now ends before this: before its claim does, and early enough to be settled in time.
    /// `None` if too little time is left to begin with it.
    fn publish_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let under_claim = now + (CLAIM - CLAIM_MARGIN);
        let (Some(given), Some(until)) = (self.tick.time_given, self.work_until) else {
            return Some(under_claim);
        };
        let settle = SETTLE.min(given / 30);
        let publish_until = until.checked_sub(settle)?;
        (publish_until.saturating_duration_since(now) >= settle)
            .then(|| publish_until.min(under_claim))
    }

    /// Claims what is pending: story beside story, and of each one notice after the other, up to the first that is
    /// not to be had.
    async fn claim(
        &self,
        batch: Batch,
        publish_until: Instant,
        delivered: &mut Delivered,
    ) -> Batch {
        let mut stories: BTreeMap<Story, Batch> = BTreeMap::new();
        for pending in batch {
            stories.entry(story(&pending)).or_default().push(pending);
        }
        let (ports, run) = (self.ports, self.tick.run);
        let now = ports.clock.now();
        let lasts = publish_until.saturating_duration_since(Instant::now()) + CLAIM_MARGIN;
        let until = SignedDuration::try_from(lasts)
            .ok()
            .and_then(|lasts| now.saturating_add(lasts).ok())
            .unwrap_or(now);
        let claims: Vec<_> = stream::iter(stories.into_values())
            .map(|story| async move {
                let mut claims = Vec::new();
                let mut goes_on = true;
                for pending in story {
                    let claim = match goes_on {
                        true => {
                            let claim = ports.store.claim(&pending, run, until, now);
                            bounded(Some(publish_until), claim).await
                        }
                        false => None,
                    };
                    goes_on = matches!(claim, Some(Ok(Claimed::Mine | Claimed::Gone)));
                    claims.push((pending, claim));
                }
                claims
            })
            .buffered(WRITES)
            .collect()
            .await;
        let mut mine = Vec::new();
        for (pending, claim) in claims.into_iter().flatten() {
            match claim {
                Some(Ok(Claimed::Mine)) => mine.push(pending),
                Some(Ok(Claimed::Gone)) => {}
                Some(Ok(Claimed::Held)) | None => delivered.hold(vec![pending]),
                Some(Err(error)) => {
                    delivered.fail(format!(
                        "the {} not claimed: {error}",
                        one_named(&pending.notice)
                    ));
                    delivered.hold(vec![pending]);
                }
            }
        }
        mine
    }

    async fn publish(
        &self,
        topic: &T,
        message: &Message,
        carried: &[Pending],
    ) -> Result<(), PublishError> {
        topic.ready().await;
        match topic.publish(message).await {
            Err(PublishError::Refused(why)) => {
                warn!(
                    "{} refused, so its smallest form goes out instead: {why}",
                    named(carried)
                );
                let notices: Vec<_> = carried.iter().map(|pending| &pending.notice).collect();
                let name = self.tick.settings.name.as_ref();
                let smallest = Message::smallest(&notices, name);
                topic.ready().await;
                topic.publish(&smallest).await
            }
            published => published,
        }
    }

    /// Settles what was published. What cannot be settled stays pending, and is repeated.
    async fn settle(&self, batch: Batch, delivered: &mut Delivered) {
        delivered.published += batch.len() as u64;
        let (ports, until) = (self.ports, self.work_until);
        let settled: Vec<_> = stream::iter(batch)
            .map(|pending| async move {
                let settled = bounded(until, ports.store.settle(&pending)).await;
                (pending, settled)
            })
            .buffered(WRITES)
            .collect()
            .await;
        for (pending, settled) in settled {
            match settled {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    delivered.fail(format!(
                        "the {} published, but not settled, so it is repeated: {error}",
                        one_named(&pending.notice)
                    ));
                    delivered.hold(vec![pending]);
                }
                None => delivered.hold(vec![pending]),
            }
        }
    }

    fn outgoing<'b>(&'b self, pending: &'b [Pending]) -> Vec<Outgoing<'b>> {
        let outgoing = |pending: &'b Pending| Outgoing {
            notice: &pending.notice,
            job_now: self.job_since(pending),
        };
        pending.iter().map(outgoing).collect()
    }

    /// What was recorded under the job's id since the notice was.
    fn job_since(&self, pending: &Pending) -> Option<JobNow<'_>> {
        let id = story(pending)?;
        let record = &self.known.get(&id)?.record;
        let (rev, _) = pending.order;
        let is_same = pending.notice.thread == Some(thread(self.tick.source, &id, record.key));
        (record.rev > rev).then_some(match is_same {
            true => JobNow::Same(&record.job),
            false => JobNow::Another(&record.job),
        })
    }

    fn render_context(&self) -> RenderContext<'_> {
        RenderContext {
            name: self.tick.settings.name.as_ref(),
            now: self.now(),
        }
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

fn story(pending: &Pending) -> Story {
    pending.notice.job.as_ref().map(|job| job.id.clone())
}

/// Story after story: those with something bad first, and then the one with the oldest notice.
fn in_order(pending: Vec<Pending>) -> Vec<Pending> {
    let mut stories: BTreeMap<Story, Vec<Pending>> = BTreeMap::new();
    for pending in pending {
        stories.entry(story(&pending)).or_default().push(pending);
    }
    let mut stories: Vec<_> = stories.into_values().collect();
    for story in &mut stories {
        story.sort_by_key(|pending| pending.order);
    }
    let is_bad = |pending: &Pending| pending.notice.kind.severity() == Severity::Error;
    stories.sort_by_key(|story| {
        let oldest = story.first().map(|pending| pending.notice.recorded_at);
        (!story.iter().any(is_bad), oldest)
    });
    stories.into_iter().flatten().collect()
}

fn named(batch: &[Pending]) -> String {
    match batch {
        [one] => format!("the {}", one_named(&one.notice)),
        many => {
            let stories: BTreeSet<_> = many.iter().filter_map(story).collect();
            let jobs: Vec<_> = stories.iter().map(JobId::as_str).take(JOBS_NAMED).collect();
            let more = match stories.len().saturating_sub(JOBS_NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("a digest of {} notices of jobs {jobs:?}{more}", many.len())
        }
    }
}

fn one_named(notice: &Notice) -> String {
    match &notice.job {
        Some(job) => format!("{} notice of job {:?}", notice.kind, job.id.as_str()),
        None => format!("{} notice", notice.kind),
    }
}
