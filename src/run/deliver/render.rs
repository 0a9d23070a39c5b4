//! What the messages for what is pending are rendered from.

use super::order_key;
use crate::message::{JobNow, Outgoing, RenderContext};
use crate::ports::{Pending, World};
use crate::run::Run;
use crate::watch::notice::thread;

impl<W: World> Run<'_, W> {
    pub(super) fn outgoing<'b>(&'b self, pending: &'b [Pending]) -> Vec<Outgoing<'b>> {
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

    pub(super) fn render_context(&self) -> RenderContext<'_> {
        RenderContext {
            name: self.input.settings.name.as_ref(),
            now: self.world.now(),
        }
    }
}
