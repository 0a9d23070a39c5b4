//! Delivery: everything pending, topic by topic; claim, publish, settle.
//!
//! Each notice is published at least once, and by one run at a time; this rests on three things:
//! - the *claim*: a notice is published only under this run's claim to it, and while that lasts
//! - the *order*: what goes to one topic of one job goes out as it was recorded, so what cannot go out now holds up all
//!   that follows it there, and nothing else
//! - the *settling*: a notice is removed from the outbox only when the message that carries it is out
//!
//! All else saves work or time: digests; what is bad goes first; topics and jobs side by side; a topic that throttles is
//! left alone; claims to what could not be published are released, where they would end by themselves.

mod batch;
mod order;

use std::collections::BTreeSet;

use tracing::warn;

pub(super) use self::order::describe_key;
use self::order::{Batch, OrderKey, describe, order_key};
use super::{Failure, Run, bounded};
use crate::message::{JobNow, Outgoing, RenderContext, digest_sizes};
use crate::ports::{Pending, Store, World};
use crate::watch::history::Compared;
use crate::watch::notice::thread;
use crate::watch::{Kind, Notice};

const CALLS: usize = 16;

#[derive(Default)]
struct Delivered {
    published: u64,
    pending: Vec<Pending>,
    /// The items whose next notice could not go out: what follows must wait.
    held: BTreeSet<OrderKey>,
    /// The topic refuses messages for their rate, so in this run nothing more goes to it.
    is_throttled: bool,
    failures: Vec<Failure>,
}

impl Delivered {
    /// They stay pending, and what follows them waits.
    fn hold(&mut self, batch: Batch) {
        self.held.extend(batch.iter().map(order_key));
        self.pending.extend(batch);
    }

    fn fail(&mut self, why: String) {
        self.failures.push(Failure::PublishFailed(why));
    }
}

struct Delivery<'r, 'a, W: World> {
    run: &'r Run<'a, W>,
    topic: &'r W::Topic,
    delivered: Delivered,
}

impl<W: World> Run<'_, W> {
    /// Delivers everything pending: to both topics side by side, so that neither waits for the other.
    pub(super) async fn deliver(&mut self) {
        // Of an item of which another run recorded something meanwhile, only the next run knows all that is pending.
        let overtaken = &self.known.overtaken;
        let (waits, pending): (Vec<_>, Vec<_>) = std::mem::take(&mut self.known.outbox)
            .into_iter()
            .partition(|pending| overtaken.contains(&order_key(pending)));
        self.known.outbox = waits;
        let topics = self.context.topics;
        let (mut urgent, mut main, mut unconfigured) = (Vec::new(), Vec::new(), Vec::new());
        for item in pending {
            let notice = &item.notice;
            let severity = notice.severity();
            match topics.route(&item.topic, &notice.topics, severity) {
                Some(topic) if topic == topics.main => main.push(item),
                Some(_) => urgent.push(item),
                None => unconfigured.push(item),
            }
        }
        let to_urgent = async {
            match self.world.urgent() {
                Some(topic) => self.deliver_to(topic, urgent).await,
                None => Delivered::default(),
            }
        };
        let to_main = self.deliver_to(self.world.topic(), main);
        let (urgent, main) = tokio::join!(biased; to_urgent, to_main);
        for delivered in [urgent, main] {
            self.outcome.answer.published += delivered.published;
            self.known.outbox.extend(delivered.pending);
            for failure in delivered.failures {
                self.outcome.fail(failure);
            }
        }
        for item in unconfigured {
            self.drop_unconfigured(item).await;
        }
    }

    /// Forgets what is for a topic that is no longer configured, while another one has it.
    async fn drop_unconfigured(&mut self, pending: Pending) {
        let (what, topic) = (order::describe_one(&pending), &pending.topic);
        warn!("{what} is not delivered to {topic}: that topic is no longer configured");
        let settle = self.world.store().settle(&pending);
        let settled = bounded(self.limits.work_until(), settle).await;
        if !matches!(settled, Some(Ok(()))) {
            self.known.outbox.push(pending);
        }
    }

    async fn deliver_to(&self, topic: &W::Topic, pending: Vec<Pending>) -> Delivered {
        let mut delivery = Delivery {
            run: self,
            topic,
            delivered: Delivered::default(),
        };
        for batch in self.batches(order::in_order(pending)) {
            let held = &delivery.delivered.held;
            let (waits, goes): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .partition(|pending| held.contains(&order_key(pending)));
            delivery.delivered.pending.extend(waits);
            delivery.deliver(goes).await;
        }
        delivery.delivered
    }

    /// One by one, or in as few digests as there must be.
    fn batches(&self, pending: Vec<Pending>) -> Vec<Batch> {
        let sizes = match pending.len() <= self.input.settings.digest_above {
            true => vec![1; pending.len()],
            false => digest_sizes(&self.outgoing(&pending), &self.render_context()),
        };
        let mut pending = pending.into_iter();
        let batch = |size| pending.by_ref().take(size).collect();
        sizes.into_iter().map(batch).collect()
    }

    fn outgoing<'b>(&'b self, pending: &'b [Pending]) -> Vec<Outgoing<'b>> {
        let outgoing = |pending: &'b Pending| Outgoing {
            notice: &pending.notice,
            job_now: self.job_since(pending),
            compared: self.compared(&pending.notice),
        };
        pending.iter().map(outgoing).collect()
    }

    /// What was recorded under the job's id since the notice was.
    fn job_since(&self, pending: &Pending) -> Option<JobNow<'_>> {
        let id = &pending.notice.job.as_ref()?.id;
        let record = self.known.records.get(id)?;
        let (rev, _) = pending.order;
        let is_same = pending.notice.thread == Some(thread(self.context.source, id, record.key));
        (record.rev > rev).then_some(match is_same {
            true => JobNow::Same(&record.job),
            false => JobNow::Another(&record.job),
        })
    }

    /// Only all that is listed says what is usual.
    fn compared(&self, notice: &Notice) -> Option<Compared> {
        let is_completed = self.observed.is_complete && notice.kind == Kind::Completed;
        let job = notice.job.as_ref().filter(|_| is_completed)?;
        self.observed.history.compared(job)
    }

    fn render_context(&self) -> RenderContext<'_> {
        RenderContext {
            name: self.input.settings.name.as_ref(),
            now: self.world.now(),
        }
    }
}
