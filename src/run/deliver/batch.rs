//! One batch: claimed, published as one message, settled.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use tracing::warn;

use super::order::{by_order_key, describe_one};
use super::{Batch, CALLS, Delivery, describe};
use crate::message::Message;
use crate::ports::{Claimed, Pending, PublishError, Store, StoreError, Topic, World};
use crate::run::time_limits::{bounded, claim_until};

/// What became of a claim; `None` if the time was spent, or if one that goes before it is not to be had.
type Claim = Option<Result<Claimed, StoreError>>;

impl<W: World> Delivery<'_, '_, W> {
    pub(super) async fn deliver(&mut self, batch: Batch) {
        let publish_until = self.run.limits.publish_until();
        let Some(until) = publish_until.filter(|_| !self.delivered.is_throttled) else {
            return self.delivered.hold(batch);
        };
        let mine = self.claim(batch, until).await;
        // Whoever was held up meanwhile may find the time spent, with the answers there.
        if Instant::now() >= until {
            return self.delivered.hold(mine);
        }
        let (outgoing, context) = (self.run.outgoing(&mine), self.run.render_context());
        let Some(message) = Message::of_batch(&outgoing, &context) else {
            return;
        };
        match bounded(Some(until), self.publish(message, &mine)).await {
            Some(Ok(())) => self.settle(mine).await,
            Some(Err(error)) => self.not_published(mine, error).await,
            // It may be out: its claim keeps other runs from it for as long as nobody knows.
            None => self.delivered.hold(mine),
        }
    }

    /// Claims what is pending: job beside job, and of each one notice after the other, up to the first that is not to
    /// be had.
    async fn claim(&mut self, batch: Batch, publish_until: Instant) -> Batch {
        let claims: Vec<_> = stream::iter(by_order_key(batch).into_values())
            .map(|of_job| self.claim_in_order(of_job, publish_until))
            .buffered(CALLS)
            .collect()
            .await;
        let mut mine = Vec::new();
        for (pending, claim) in claims.into_iter().flatten() {
            match claim {
                Some(Ok(Claimed::Mine)) => mine.push(pending),
                Some(Ok(Claimed::Gone)) => {}
                Some(Ok(Claimed::Held)) | None => self.delivered.hold(vec![pending]),
                Some(Err(error)) => {
                    let what = describe_one(&pending);
                    self.delivered.fail(format!("{what} not claimed: {error}"));
                    self.delivered.hold(vec![pending]);
                }
            }
        }
        mine
    }

    async fn claim_in_order(
        &self,
        of_job: Vec<Pending>,
        publish_until: Instant,
    ) -> Vec<(Pending, Claim)> {
        let (world, run) = (self.run.world, self.run.input.run_id);
        let (mut claims, mut goes_on) = (Vec::new(), true);
        for pending in of_job {
            let mut claim = None;
            if goes_on {
                let (now, ends) = (world.now(), claim_until(publish_until, world.now()));
                let claimed = world.store().claim(&pending, run, ends, now);
                claim = bounded(Some(publish_until), claimed).await;
            }
            goes_on = matches!(claim, Some(Ok(Claimed::Mine | Claimed::Gone)));
            claims.push((pending, claim));
        }
        claims
    }

    /// Publishes a message, or its smallest form if it is refused.
    async fn publish(&self, message: Message, batch: &Batch) -> Result<(), PublishError> {
        self.topic.ready().await;
        match self.topic.publish(&message).await {
            Err(PublishError::Refused(why)) => {
                let what = describe(batch);
                warn!("{what} refused, so its smallest form goes out instead: {why}");
                self.topic.ready().await;
                let name = self.run.input.settings.name.as_ref();
                let smallest = message.smallest(&self.run.outgoing(batch), name);
                self.topic.publish(&smallest).await
            }
            published => published,
        }
    }

    async fn not_published(&mut self, batch: Batch, error: PublishError) {
        self.release(&batch).await;
        let what = format!("{} to {}", describe(&batch), self.topic.arn());
        let delivered = &mut self.delivered;
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
    async fn release(&self, batch: &Batch) {
        let (world, run) = (self.run.world, self.run.input.run_id);
        let (now, until) = (world.now(), self.run.limits.work_until());
        stream::iter(batch)
            .map(|pending| bounded(until, world.store().claim(pending, run, now, now)))
            .buffer_unordered(CALLS)
            .for_each(async |_| {})
            .await;
    }

    /// Settles what was published. What cannot be settled stays pending, and is repeated.
    async fn settle(&mut self, batch: Batch) {
        self.delivered.published += batch.len() as u64;
        let (store, until) = (self.run.world.store(), self.run.limits.work_until());
        let settled: Vec<_> = stream::iter(batch)
            .map(|pending| async move {
                let settled = bounded(until, store.settle(&pending)).await;
                (pending, settled)
            })
            .buffered(CALLS)
            .collect()
            .await;
        for (pending, settled) in settled {
            match settled {
                Some(Ok(())) => continue,
                Some(Err(error)) => {
                    let what = describe_one(&pending);
                    self.delivered.fail(format!(
                        "{what} published, but not settled, so it is repeated: {error}"
                    ));
                }
                None => {}
            }
            self.delivered.hold(vec![pending]);
        }
    }
}
