//! A run that neither writes nor publishes: its store is only read, and its topic keeps what it is given.

use std::cell::RefCell;
use std::collections::HashSet;

use jiff::Timestamp;

use crate::message::Message;
use crate::ports::{
    Claimed, Pending, Ports, PublishError, Recorded, State, Store, StoreError, Topic, World,
};
use crate::run::{Outcome, RunInput, run};
use crate::settings::WatchSettings;
use crate::watch::{Change, Item, Key, TopicArn};

/// Runs, and answers with what would have been published, notice by notice.
pub(crate) async fn dry_run<W: World>(world: &W, input: &RunInput<'_>) -> Outcome {
    let topics = world.topics();
    let dry = Ports {
        listing: world.listing(),
        store: ReadOnly(world.store()),
        topic: Collected::new(topics.main),
        urgent: topics.urgent.map(Collected::new),
        alarms: world
            .alarms()
            .map(|topic| Collected::new(topic.arn().clone())),
        clock: || world.now(),
    };
    let settings = WatchSettings {
        digest_above: usize::MAX,
        ..input.settings.clone()
    };
    let input = RunInput {
        settings: &settings,
        ..*input
    };
    let mut outcome = run(&dry, &input).await;
    let answer = &mut outcome.answer;
    answer.dry_run = true;
    answer.pending += std::mem::take(&mut answer.published);
    // The urgent ones first; what is for two topics is shown once.
    let topics = dry.urgent.iter().chain([&dry.topic]);
    let mut seen = HashSet::new();
    let events = topics.flat_map(|topic| topic.take().into_iter().map(|message| message.event));
    let events = events.filter(|event| seen.insert(event.get("id").cloned()));
    answer.would_publish = Some(events.collect());
    outcome
}

/// A store that is read and never written: to whoever writes, all goes well.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly<'a, S>(pub &'a S);

impl<S: Store> Store for ReadOnly<'_, S> {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        self.0.load(now).await
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.0.read(key, now).await
    }

    async fn record(&self, _: &Change, _: Timestamp) -> Result<Recorded, StoreError> {
        Ok(Recorded::Done)
    }

    async fn claim(
        &self,
        _: &Pending,
        _: &str,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Claimed, StoreError> {
        Ok(Claimed::Mine)
    }

    async fn settle(&self, _: &Pending) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A topic that keeps what is published.
#[derive(Debug)]
pub struct Collected {
    topic: TopicArn,
    messages: RefCell<Vec<Message>>,
}

impl Collected {
    /// Stands in for that topic.
    pub fn new(topic: TopicArn) -> Self {
        Self {
            topic,
            messages: RefCell::default(),
        }
    }

    /// Takes what was published since the last time.
    pub fn take(&self) -> Vec<Message> {
        self.messages.take()
    }
}

impl Topic for Collected {
    fn arn(&self) -> &TopicArn {
        &self.topic
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        self.messages.borrow_mut().push(message.clone());
        Ok(())
    }
}
