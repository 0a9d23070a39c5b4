//! Claims: what is published, this run has to itself.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::order::{by_order_key, describe_one};
use super::{Batch, CALLS, Delivery};
use crate::ports::{Claimed, Pending, Store, StoreError, World};
use crate::run::deadline::{bounded, claim_until};

/// What became of a claim; `None` if the time was spent, or if one that goes before it is not to be had.
type Claim = Option<Result<Claimed, StoreError>>;

impl<W: World> Delivery<'_, '_, W> {
    /// Claims what is pending: job beside job, and of each one notice after the other, up to the first that is not to
    /// be had.
    pub(super) async fn claim(&mut self, batch: Batch, publish_until: Instant) -> Batch {
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
                    let why = format!("the {what} not claimed: {error}");
                    self.delivered.fail(why);
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
        let mut claims = Vec::new();
        let mut goes_on = true;
        for pending in of_job {
            let claim = match goes_on {
                true => self.claim_one(&pending, publish_until).await,
                false => None,
            };
            goes_on = matches!(claim, Some(Ok(Claimed::Mine | Claimed::Gone)));
            claims.push((pending, claim));
        }
        claims
    }

    async fn claim_one(&self, pending: &Pending, publish_until: Instant) -> Claim {
        let (world, run) = (self.run.world, self.run.input.run_id);
        let (now, ends) = (world.now(), claim_until(publish_until, world.now()));
        let claim = world.store().claim(pending, run, ends, now);
        bounded(Some(publish_until), claim).await
    }

    /// Ends the claims. If that fails they end by themselves.
    pub(super) async fn release(&self, batch: &Batch) {
        let (world, run) = (self.run.world, self.run.input.run_id);
        let (now, until) = (world.now(), self.run.deadlines.work_until());
        stream::iter(batch)
            .map(|pending| bounded(until, world.store().claim(pending, run, now, now)))
            .buffer_unordered(CALLS)
            .for_each(async |_| {})
            .await;
    }
}
