//! The checker is checked: each of these mistakes, put between the real run and its ports, must be caught.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use fraud_job_watch::message::Message;
use fraud_job_watch::ports::{
    Claimed, Listing, ListingError, Page, Pending, PublishError, Recorded, State, Store,
    StoreError, Topic,
};
use fraud_job_watch::watch::judge::Expected;
use fraud_job_watch::watch::{Change, Item, JobId, Key, ListedJob, Phase, Stall, TopicArn};
use jiff::{SignedDuration, Timestamp};

use super::oracle::Rule;
use super::ports::Port;

macro_rules! defects {
    ($($(#[$what:meta])* $name:ident breaks $rule:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Defect {
            $($(#[$what])* $name,)*
        }

        /// Each with a rule that it must be seen to break.
        pub(crate) const DEFECTS: &[(Defect, Rule)] = &[$((Defect::$name, Rule::$rule),)*];
    };
}

defects! {
    /// Forgets a notice when it is claimed.
    SettlesBeforePublishing breaks Lost,
    /// Forgets a notice when its publish fails.
    DropsPendingOnError breaks Lost,
    /// Takes every publish for a success.
    FiresAndForgets breaks Lost,
    /// Never forgets a notice.
    NeverSettles breaks RepeatedWithoutCause,
    /// Keeps a notice inside its job's record, where the next change overwrites it.
    KeepsNoticeInsideRecord breaks Lost,
    /// Writes a record and its notices one after the other.
    WritesTwice breaks NotTold,
    /// Forgets what is pending of jobs that are over.
    ForgetsPendingOfEndedJobs breaks Lost,
    /// Writes a record whatever the table holds.
    RecordsUnconditionally breaks RecordedTwice,
    /// Takes a lost race for a won one.
    TakesLostForWon breaks RecordedTwice,
    /// Takes a stale state for the present one: what had ended is active.
    BelievesStaleView breaks RecordedTwice,
    /// Forgets a record a minute after its job's end.
    ForgetsTooSoon breaks RecordedTwice,
    /// Publishes though another run has the claim.
    IgnoresClaims breaks PublishedUnclaimed,
    /// Publishes what is not pending any longer.
    ClaimsWhatIsGone breaks RepeatedWithoutCause,
    /// Makes claims that never end.
    ClaimsForEver breaks Lost,
    /// Makes claims that have ended when they are made.
    ClaimsForNoTime breaks PublishedAfterItsClaim,
    /// Gives all runs one name, as a retried event's request id would.
    NamesAllRunsAlike breaks TwoClaims,
    /// Delivers the last notice of a job first.
    ReversesOrder breaks OutOfOrder,
    /// Makes the id of a notice from the time.
    MakesIdFromClock breaks RecordedTwice,
    /// Forgets that a stall was told.
    ForgetsEpisode breaks ToldTwice,
    /// Tells a recovery where no stall was told.
    RecoversWithoutEpisode breaks NothingToClose,
    /// Tells of what ended before the watch began.
    IgnoresSince breaks History,
    /// Takes a token that comes again for the end of the listing.
    TakesTokenLoopForEnd breaks BelievedPartial,
    /// Takes a page that fails for the last one.
    TakesErrorForEnd breaks BelievedPartial,
    /// Takes a question that fails for a job that is gone.
    TakesErrorForAbsence breaks Untrue,
    /// Tells by the listing alone what is gone.
    NeverAsks breaks Untrue,
    /// Looks at no heartbeat.
    IgnoresHeartbeats breaks FalseStall,
    /// Takes a job that waits for one that has begun.
    IgnoresWaiting breaks FalseStall,
    /// Knows a job by its id alone.
    IgnoresStart breaks NotTold,
    /// Takes CANCELED for FAILED.
    MisreadsStatus breaks Untrue,
    /// Its clock is two hours ahead.
    RunsAhead breaks FalseStall,
}

/// A port with a defect, or with none.
#[derive(Clone)]
pub(crate) struct Flawed {
    port: Port,
    defect: Option<Defect>,
    tokens: Rc<RefCell<BTreeSet<String>>>,
}

impl Flawed {
    pub(crate) fn new(port: Port, defect: Option<Defect>) -> Self {
        Self {
            port,
            defect,
            tokens: Rc::default(),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn spoil(&self, job: &mut ListedJob) {
        let status = job.status.as_deref();
        match self.defect {
            Some(Defect::IgnoresHeartbeats) => job.last_heartbeat_time = None,
            Some(Defect::IgnoresStart) => job.start_time = None,
            Some(Defect::IgnoresWaiting) if status == Some("IN_PROGRESS_INITIALIZING") => {
                job.status = Some("IN_PROGRESS".to_owned());
            }
            Some(Defect::MisreadsStatus) if status == Some("CANCELED") => {
                job.status = Some("FAILED".to_owned());
            }
            Some(_) | None => {}
        }
    }
}

impl Listing for Flawed {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let mut page = match self.port.page(token).await {
            Err(_) if self.has(Defect::TakesErrorForEnd) => Page::default(),
            answer => answer?,
        };
        for job in &mut page.jobs {
            self.spoil(job);
        }
        if let Some(next) = page.next.clone()
            && !self.tokens.borrow_mut().insert(next)
            && self.has(Defect::TakesTokenLoopForEnd)
        {
            page.next = None;
        }
        Ok(page)
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        if self.has(Defect::NeverAsks) {
            return Ok(None);
        }
        match self.port.ask(id).await {
            Err(_) if self.has(Defect::TakesErrorForAbsence) => Ok(None),
            Ok(Some(mut job)) => {
                self.spoil(&mut job);
                Ok(Some(job))
            }
            answer => answer,
        }
    }
}

impl Store for Flawed {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let mut state = self.port.load(now).await?;
        match self.defect {
            Some(Defect::BelievesStaleView) => {
                for record in &mut state.records {
                    record.phase = Phase::Active;
                }
            }
            Some(Defect::ForgetsEpisode) => {
                for record in &mut state.records {
                    record.stall = None;
                }
            }
            Some(Defect::RecoversWithoutEpisode) => {
                for record in &mut state.records {
                    let since = record.first_seen_at - SignedDuration::from_hours(1);
                    record.stall = Some(Stall {
                        reminders: 0,
                        reminded_at: since,
                    });
                    record.notified_topics.insert(super::oracle::topic());
                }
            }
            Some(Defect::IgnoresSince) => {
                if let Some(baseline) = &mut state.baseline {
                    baseline.since = Timestamp::UNIX_EPOCH;
                }
            }
            Some(Defect::ReversesOrder) => {
                for pending in &mut state.outbox {
                    pending.order = (u64::MAX - pending.order.0, pending.order.1);
                }
            }
            Some(Defect::ForgetsPendingOfEndedJobs) => {
                let is_over = |id: &JobId| {
                    let mut records = state.records.iter();
                    records.any(|record| record.job.id == *id && record.phase != Phase::Active)
                };
                state.outbox.retain(|pending| {
                    let job = pending.notice.job.as_ref();
                    !job.is_some_and(|job| is_over(&job.id))
                });
            }
            Some(_) | None => {}
        }
        Ok(state)
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.port.read(key, now).await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let table = &self.port.process.world.table;
        let mut change = change.clone();
        match self.defect {
            Some(Defect::RecordsUnconditionally) => {
                change.expected = match table.read(&change.item.key(), now).await? {
                    Some(item) => Expected::Rev(item.rev()),
                    None => Expected::Absent,
                };
            }
            Some(Defect::MakesIdFromClock) => {
                let texts = change.notices.iter().map(|notice| {
                    let text = format!("{:0>64}", now.as_millisecond());
                    (serde_json::from_value(text.into()).unwrap(), notice.clone())
                });
                let notices = texts.map(|(id, mut notice)| {
                    notice.id = id;
                    notice
                });
                change.notices = notices.collect();
            }
            Some(Defect::ForgetsTooSoon) => {
                if let Item::Job(record) = &mut change.item
                    && record.expires.is_some()
                {
                    record.expires = Some(now.as_second() + 60);
                }
            }
            Some(Defect::KeepsNoticeInsideRecord) => {
                let recorded = self.port.record(&change, now).await?;
                if let (Recorded::Done, Item::Job(record)) = (&recorded, &change.item) {
                    for pending in table.load(now).await?.outbox {
                        let is_of_it = pending
                            .notice
                            .job
                            .as_ref()
                            .is_some_and(|job| job.id == record.job.id);
                        if is_of_it && pending.order.0 < record.rev {
                            table.settle(&pending).await?;
                        }
                    }
                }
                return Ok(recorded);
            }
            Some(Defect::WritesTwice) if !change.notices.is_empty() => {
                let notices = std::mem::take(&mut change.notices);
                let recorded = self.port.record(&change, now).await?;
                if recorded == Recorded::Done {
                    change.expected = Expected::Rev(change.item.rev());
                    change.notices = notices;
                    self.port.record(&change, now).await?;
                }
                return Ok(recorded);
            }
            Some(Defect::TakesLostForWon) => {
                let recorded = self.port.record(&change, now).await?;
                if let Recorded::Conflict(Some(item)) = &recorded {
                    change.expected = Expected::Rev(item.rev());
                    change.item = item.clone();
                    return self.port.record(&change, now).await;
                }
                return Ok(recorded);
            }
            Some(_) | None => {}
        }
        self.port.record(&change, now).await
    }

    async fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let until = match self.defect {
            Some(Defect::ClaimsForEver) => until + SignedDuration::from_hours(24 * 365),
            Some(Defect::ClaimsForNoTime) => now,
            Some(_) | None => until,
        };
        let claimed = self.port.claim(pending, by, until, now).await?;
        Ok(match (self.defect, claimed) {
            (Some(Defect::SettlesBeforePublishing), Claimed::Mine) => {
                self.port.process.world.table.settle(pending).await?;
                Claimed::Mine
            }
            (Some(Defect::IgnoresClaims), Claimed::Held) => Claimed::Mine,
            (Some(Defect::ClaimsWhatIsGone), Claimed::Gone) => Claimed::Mine,
            (_, claimed) => claimed,
        })
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        if self.has(Defect::NeverSettles) {
            return Ok(());
        }
        self.port.settle(pending).await
    }
}

impl Topic for Flawed {
    fn arn(&self) -> &TopicArn {
        self.port.arn()
    }

    async fn ready(&self) {
        self.port.ready().await;
    }

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let answer = self.port.publish(message).await;
        match (self.defect, &answer) {
            (Some(Defect::FiresAndForgets), _) => Ok(()),
            (Some(Defect::DropsPendingOnError), Err(_)) => {
                let table = &self.port.process.world.table;
                let carried = super::ports::carried(message);
                for pending in table.load(self.now()).await.unwrap_or_default().outbox {
                    if carried.iter().any(|(id, _)| *id == pending.notice.id) {
                        let _ = table.settle(&pending).await;
                    }
                }
                answer
            }
            _ => answer,
        }
    }
}

impl Flawed {
    pub(super) fn now(&self) -> Timestamp {
        match self.defect {
            Some(Defect::RunsAhead) => self.port.now() + SignedDuration::from_hours(2),
            Some(_) | None => self.port.now(),
        }
    }
}
