//! Delivery: everything owed, topic by topic; claim, publish, settle.
//!
//! What goes to one topic of one job's story goes out in the order in which it was recorded. More notices than
//! the operator wants one by one become digests. A notice is settled only when the message that carries it is out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::warn;

use super::{Failure, Run, WRITES, bounded};
use crate::message::{Digest, Message, Telling, Told};
use crate::ports::{Claimed, Clock, Listing, Owed, PublishError, Store, StoreError, Topic};
use crate::watch::{Job, JobId, Notice, Severity};

/// How long a claim lasts, unless the run ends sooner.
const CLAIM: Duration = Duration::from_secs(60);
/// A claim outlasts what is done under it by this much.
const CLAIM_MARGIN: Duration = Duration::from_secs(5);
/// What is kept of the time to settle in, so that a run whose time ends repeats nothing. Of short runs, less.
const SETTLE: Duration = Duration::from_secs(5);

/// Notices that go out in one message.
type Batch = Vec<Owed>;

/// Whose story a notice belongs to.
type Story = Option<JobId>;

impl<'a, L: Listing, S: Store, T: Topic, C: Clock> Run<'a, L, S, T, C> {
    /// Delivers everything owed, what is urgent first.
    pub(super) async fn deliver(&mut self) {
        // Another run recorded something of these jobs meanwhile, and this one may not know all that is owed of
        // them: the next run does.
        let overtaken = |owed: &Owed| story(owed).is_some_and(|id| self.overtaken.contains(&id));
        let (waits, mut owed) = std::mem::take(&mut self.owed)
            .into_iter()
            .partition(overtaken);
        self.owed = waits;
        if let Some(topic) = &self.ports.urgent {
            let is_urgent = |owed: &Owed| owed.notice.kind.severity() == Severity::Error;
            let (urgent, rest) = owed.into_iter().partition(is_urgent);
            self.deliver_to(topic, urgent).await;
            owed = rest;
        }
        self.deliver_to(&self.ports.topic, owed).await;
    }

    async fn deliver_to(&mut self, topic: &'a T, owed: Vec<Owed>) {
        // The stories whose next notice could not go out: what follows must wait.
        let mut held = BTreeSet::new();
        for batch in self.batches(in_order(owed)) {
            let (waits, goes): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .partition(|owed| held.contains(&story(owed)));
            self.owed.extend(waits);
            self.deliver_batch(topic, goes, &mut held).await;
        }
    }

    /// One by one, or in as few digests as there must be.
    fn batches(&self, owed: Vec<Owed>) -> Vec<Batch> {
        if owed.len() <= self.tick.settings.digest_above {
            return owed.into_iter().map(|owed| vec![owed]).collect();
        }
        let digests = Message::digests(&self.told(&owed), &self.telling());
        let mut owed: Vec<_> = owed.into_iter().map(Some).collect();
        let mut take = |place: usize| owed.get_mut(place).and_then(Option::take);
        digests
            .into_iter()
            .map(|Digest { carries, .. }| carries.into_iter().filter_map(&mut take).collect())
            .collect()
    }

    async fn deliver_batch(&mut self, topic: &'a T, batch: Batch, held: &mut BTreeSet<Story>) {
        let Some(publish_until) = self.publish_until() else {
            return self.hold(batch, held);
        };
        let mine = self.claim(batch, publish_until, held).await;
        // Whoever was held up meanwhile may find the time spent, with the answers there.
        if Instant::now() >= publish_until {
            return self.hold(mine, held);
        }
        let messages = Message::digests(&self.told(&mine), &self.telling());
        let mut mine: Vec<_> = mine.into_iter().map(Some).collect();
        for Digest { message, carries } in messages {
            let carried: Batch = carries
                .into_iter()
                .filter_map(|place| mine.get_mut(place)?.take())
                .collect();
            match bounded(Some(publish_until), self.publish(topic, &message, &carried)).await {
                Some(Ok(())) => self.settle(carried, held).await,
                Some(Err(PublishError::Refused(why))) => {
                    self.fail(Failure::PublishFailed(format!(
                        "{} refused: {why}",
                        named(&carried)
                    )));
                    // What follows need not wait for what will never pass.
                    self.owed.extend(carried);
                }
                Some(Err(PublishError::Failed(why))) => {
                    self.fail(Failure::PublishFailed(format!(
                        "{}: {why}",
                        named(&carried)
                    )));
                    self.hold(carried, held);
                }
                None => self.hold(carried, held),
            }
        }
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

    /// Claims what is owed: story beside story, and of each one notice after the other, up to the first that is
    /// not to be had.
    async fn claim(
        &mut self,
        batch: Batch,
        publish_until: Instant,
        held: &mut BTreeSet<Story>,
    ) -> Batch {
        let mut stories: BTreeMap<Story, Batch> = BTreeMap::new();
        for owed in batch {
            stories.entry(story(&owed)).or_default().push(owed);
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
                for owed in story {
                    let claim = match goes_on {
                        true => {
                            let claim = ports.store.claim(&owed.notice.id, run, until, now);
                            bounded(Some(publish_until), claim).await
                        }
                        false => None,
                    };
                    goes_on = matches!(claim, Some(Ok(Claimed::Mine | Claimed::Gone)));
                    claims.push((owed, claim));
                }
                claims
            })
            .buffered(WRITES)
            .collect()
            .await;
        let mut mine = Vec::new();
        for (owed, claim) in claims.into_iter().flatten() {
            match claim {
                Some(Ok(Claimed::Mine)) => mine.push(owed),
                Some(Ok(Claimed::Gone)) => {}
                Some(Ok(Claimed::Held)) | None => self.hold(vec![owed], held),
                Some(Err(error)) => {
                    let what = format!("the {} not claimed: {error}", one_named(&owed.notice));
                    self.fail(Failure::PublishFailed(what));
                    self.hold(vec![owed], held);
                }
            }
        }
        mine
    }

    async fn publish(
        &self,
        topic: &T,
        message: &Message,
        carried: &[Owed],
    ) -> Result<(), PublishError> {
        topic.ready().await;
        match topic.publish(message).await {
            Err(PublishError::Refused(why)) => {
                warn!(
                    "{} refused, so its smallest form goes out instead: {why}",
                    named(carried)
                );
                let notices: Vec<_> = carried.iter().map(|owed| &owed.notice).collect();
                let name = self.tick.settings.name.as_ref();
                let smallest = match notices.as_slice() {
                    [one] => Message::smallest(one, name),
                    many => Message::smallest_digest(many, name),
                };
                topic.ready().await;
                topic.publish(&smallest).await
            }
            published => published,
        }
    }

    /// Settles what was published. What cannot be settled stays owed, and is repeated.
    async fn settle(&mut self, batch: Batch, held: &mut BTreeSet<Story>) {
        self.answer.published += batch.len() as u64;
        let (ports, until) = (self.ports, self.work_until);
        let settled: Vec<_> = stream::iter(batch)
            .map(|owed| async move {
                let settled = bounded(until, ports.store.settle(&owed.notice.id)).await;
                (owed, settled)
            })
            .buffered(WRITES)
            .collect()
            .await;
        for (owed, settled) in settled {
            match settled {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    self.not_settled(&owed.notice, &error);
                    self.hold(vec![owed], held);
                }
                None => self.hold(vec![owed], held),
            }
        }
    }

    fn not_settled(&mut self, notice: &Notice, error: &StoreError) {
        self.fail(Failure::PublishFailed(format!(
            "the {} published, but not settled, so it is repeated: {error}",
            one_named(notice)
        )));
    }

    /// They stay owed, and what follows them waits.
    fn hold(&mut self, batch: Batch, held: &mut BTreeSet<Story>) {
        held.extend(batch.iter().map(story));
        self.owed.extend(batch);
    }

    fn told<'b>(&'b self, owed: &'b [Owed]) -> Vec<Told<'b>> {
        let told = |owed: &'b Owed| Told {
            notice: &owed.notice,
            job_now: self.job_since(owed),
        };
        owed.iter().map(told).collect()
    }

    /// What was recorded under the job's id since the notice was.
    fn job_since(&self, owed: &Owed) -> Option<&Job> {
        let id = story(owed)?;
        let record = &self.known.get(&id)?.record;
        let (rev, _) = owed.order;
        (record.rev > rev).then_some(&record.job)
    }

    fn telling(&self) -> Telling<'_> {
        Telling {
            name: self.tick.settings.name.as_ref(),
            now: self.now(),
        }
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

fn story(owed: &Owed) -> Story {
    owed.notice.job.as_ref().map(|job| job.id.clone())
}

/// Story after story: those with something bad first, and then the one with the oldest notice.
fn in_order(owed: Vec<Owed>) -> Vec<Owed> {
    let mut stories: BTreeMap<Story, Vec<Owed>> = BTreeMap::new();
    for owed in owed {
        stories.entry(story(&owed)).or_default().push(owed);
    }
    let mut stories: Vec<_> = stories.into_values().collect();
    for story in &mut stories {
        story.sort_by_key(|owed| owed.order);
    }
    let is_bad = |owed: &Owed| owed.notice.kind.severity() == Severity::Error;
    stories.sort_by_key(|story| {
        let oldest = story.first().map(|owed| owed.notice.recorded_at);
        (!story.iter().any(is_bad), oldest)
    });
    stories.into_iter().flatten().collect()
}

fn named(batch: &[Owed]) -> String {
    match batch {
        [one] => format!("the {}", one_named(&one.notice)),
        many => format!("a digest of {} notices", many.len()),
    }
}

fn one_named(notice: &Notice) -> String {
    match &notice.job {
        Some(job) => format!("{} notice of job {:?}", notice.kind, job.id.as_str()),
        None => format!("{} notice", notice.kind),
    }
}
