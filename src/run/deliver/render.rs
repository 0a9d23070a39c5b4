//! The messages for what is pending.

use super::Batch;
use crate::message::{JobNow, Message, Outgoing, RenderContext, digest_sizes};
use crate::ports::{Pending, World};
use crate::run::Run;
use crate::watch::history::Compared;
use crate::watch::notice::thread;
use crate::watch::{Kind, Notice};

impl<W: World> Run<'_, W> {
    /// How many notices go into each digest, one after the other.
    pub(super) fn digest_sizes(&self, pending: &[Pending]) -> Vec<usize> {
        digest_sizes(&self.outgoing(pending), &self.render_context())
    }

    /// One message for all of them; `None` of nothing.
    pub(super) fn message(&self, batch: &Batch) -> Option<Message> {
        Message::of_batch(&self.outgoing(batch), &self.render_context())
    }

    /// The smallest form of a batch's message.
    pub(super) fn smallest(&self, message: Message, batch: &Batch) -> Message {
        message.smallest(&self.outgoing(batch), self.input.settings.name.as_ref())
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
