//! One batch: claimed, published as one message, settled.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use tracing::warn;

use super::order::describe_one;
use super::{Batch, CALLS, Delivery, describe};
use crate::message::Message;
use crate::ports::{PublishError, Store, Topic, World};
use crate::run::deadline::bounded;

impl<W: World> Delivery<'_, '_, W> {
    pub(super) async fn deliver(&mut self, batch: Batch) {
        let publish_until = self.run.deadlines.publish_until();
        let Some(until) = publish_until.filter(|_| !self.delivered.is_throttled) else {
            return self.delivered.hold(batch);
        };
        let mine = self.claim(batch, until).await;
        // Whoever was held up meanwhile may find the time spent, with the answers there.
        if Instant::now() >= until {
            return self.delivered.hold(mine);
        }
        let Some(message) = self.run.message(&mine) else {
            return;
        };
        match bounded(Some(until), self.publish(message, &mine)).await {
            Some(Ok(())) => self.settle(mine).await,
            Some(Err(error)) => self.not_published(mine, error).await,
            // It may be out: its claim keeps other runs from it for as long as nobody knows.
            None => self.delivered.hold(mine),
        }
    }

    /// Publishes a message, or its smallest form if it is refused.
    async fn publish(&self, message: Message, batch: &Batch) -> Result<(), PublishError> {
        self.topic.ready().await;
        match self.topic.publish(&message).await {
            Err(PublishError::Refused(why)) => {
                let what = describe(batch);
                warn!("{what} refused, so its smallest form goes out instead: {why}");
                self.topic.ready().await;
                self.topic.publish(&self.run.smallest(message, batch)).await
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

    /// Settles what was published. What cannot be settled stays pending, and is repeated.
    async fn settle(&mut self, batch: Batch) {
        self.delivered.published += batch.len() as u64;
        let (store, until) = (self.run.world.store(), self.run.deadlines.work_until());
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
                        "the {what} published, but not settled, so it is repeated: {error}"
                    ));
                }
                None => {}
            }
            self.delivered.hold(vec![pending]);
        }
    }
}
