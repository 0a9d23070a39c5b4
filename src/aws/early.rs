//! What a first run needs, prepared while the function starts. Until then it has a whole processor, and afterwards only the
//! share of one that its memory brings, of which each new connection takes a good part.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{Clients, FraudDetector, SnsTopic, Table};
use crate::ports::{State, Store as _, Topic as _};
use crate::watch::SourceKind;

/// Preparing takes no longer, and what was read is no older when it is used.
const AT_MOST: Duration = Duration::from_secs(1);

/// The state of a watch, read ahead of a run. Clones share it, and it is used once.
#[derive(Clone, Debug, Default)]
pub(super) struct EarlyState(Rc<RefCell<Option<Read>>>);

#[derive(Debug)]
struct Read {
    watch: String,
    /// By the clock, which goes on while a sandbox is frozen.
    at: Timestamp,
    state: State,
}

impl EarlyState {
    /// The state of this watch, if it was asked for less than a second ago.
    pub(super) fn take(&self, watch: &str) -> Option<State> {
        let read = self.0.take()?;
        let age = Timestamp::now().duration_since(read.at).unsigned_abs();
        (read.watch == watch && age <= AT_MOST).then_some(read.state)
    }
}

impl Clients {
    /// Connects to every service, and reads the state that the first run is likely to need: that of the account and region
    /// of the topic, since those of the function are known from its first event only. Whatever fails is left to that run.
    ///
    /// Beyond what a run asks, the services are asked once for a page of one job, and once for each topic.
    pub async fn prepare(&self, sources: &BTreeSet<SourceKind>) {
        let Some(first) = sources.first() else { return };
        let source = self.topic.arn().source().with_kind(*first);
        let state = async {
            let table = Table::new(self.dynamodb.clone(), self.table.clone(), &source);
            let (watch, at) = (source.to_string(), Timestamp::now());
            if let Ok(state) = table.load(at).await {
                *self.early.0.borrow_mut() = Some(Read { watch, at, state });
            }
        };
        let listing = FraudDetector::new(self.frauddetector.clone(), *first);
        let topics = [
            Some(&self.topic),
            self.urgent.as_ref(),
            self.alarms.as_ref(),
        ];
        let topics = topics.into_iter().flatten().map(SnsTopic::subscribers);
        let all = async { tokio::join!(state, listing.open_connection(), join_all(topics)) };
        let _ = timeout(AT_MOST, all).await;
    }
}
