//! The messages for what is pending.

use super::{Batch, order_key};
use crate::message::{JobNow, Message, Outgoing, RenderContext, digest_sizes};
use crate::ports::{Pending, World};
use crate::run::Run;
use crate::watch::notice::thread;

impl<W: World> Run<'_, W> {
    /// How many notices go into each digest, one after the other.
    pub(super) fn digest_sizes(&self, pending: &[Pending]) -> Vec<usize> {
        digest_sizes(&self.outgoing(pending), &self.render_context())
    }

    /// One message for all of them; `None` of nothing.
    pub(super) fn message(&self, batch: &Batch) -> Option<Message> {
        Message::of_batch(&self.outgoing(batch), &self.render_context())
    }

    pub(super) fn smallest(&self, message: Message, batch: &Batch) -> Message {
        message.smallest(&self.outgoing(batch), self.input.settings.name.as_ref())
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
        let id = order_key(pending)?;
        let record = self.known.records.get(&id)?;
        let (rev, _) = pending.order;
        let is_same = pending.notice.thread == Some(thread(self.context.source, &id, record.key));
        (record.rev > rev).then_some(match is_same {
            true => JobNow::Same(&record.job),
            false => JobNow::Another(&record.job),
        })
    }

    fn render_context(&self) -> RenderContext<'_> {
        RenderContext {
            name: self.input.settings.name.as_ref(),
            now: self.world.now(),
        }
    }
}
