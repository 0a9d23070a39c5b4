//! The ports of one run.
//!
//! What takes place is written down here, at the world's side, so that a defect that stands between the run and
//! these ports cannot hide it.

use std::rc::Rc;

use fraud_job_watch::message::Message;
use fraud_job_watch::ports::{
    Claimed, Listing, ListingError, Page, Pending, PublishError, Recorded, State, Store,
    StoreError, Topic,
};
use fraud_job_watch::watch::{Change, Item, JobId, Key, ListedJob, NoticeId, TopicArn};
use jiff::Timestamp;

use super::ledger::{Attempt, Claim, Look, Settling};
use super::oracle;
use super::plan::{Effect, Fault, Tokens};
use super::process::Process;

/// What a run has of the world; as a topic, it is this one.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) process: Rc<Process>,
    pub(crate) topic: TopicArn,
}

impl Listing for Port {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let fault = self.process.next(Effect::Page);
        let process = Rc::clone(&self.process);
        let token = token.map(str::to_owned);
        let what = format!("page at {}", token.as_deref().unwrap_or("the beginning"));
        let asked_at = self.process.world.now();
        let action = async move { Ok(page(&process, token.as_deref(), asked_at)) };
        let lost = || Err(ListingError::Failed("as scripted".to_owned()));
        let answer = self.process.effect(fault, what, action, lost).await;
        // Shown is what arrives.
        let (page, looks) = self.process.met(answer)?;
        looks.into_iter().for_each(|look| self.process.showed(look));
        if page.next.is_none() {
            let mut ledger = self.process.world.ledger.borrow_mut();
            ledger.runs[self.process.run].saw_the_end = true;
        }
        Ok(page)
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        let fault = self.process.next(Effect::Ask);
        let (process, asked) = (Rc::clone(&self.process), id.clone());
        let asked_at = self.process.world.now();
        let action = async move {
            // The latest of this id: two at once there never are.
            let found = process.show(Some(&asked), asked_at);
            Ok(found.into_iter().max_by_key(|(_, look)| look.life))
        };
        let what = format!("ask for job {id}");
        let lost = || Err(ListingError::Failed("as scripted".to_owned()));
        let answer = self.process.effect(fault, what, action, lost).await;
        let found = self.process.met(answer)?;
        Ok(match found {
            Some((listed, look)) => {
                self.process.showed(look);
                Some(listed)
            }
            None => {
                let mut ledger = self.process.world.ledger.borrow_mut();
                let absent = &mut ledger.runs[self.process.run].absent;
                absent.insert(id.to_string(), asked_at);
                None
            }
        })
    }
}

fn page(process: &Process, token: Option<&str>, asked_at: Timestamp) -> (Page, Vec<Look>) {
    let view = process.plan.view;
    let jobs = process.show(None, asked_at);
    let number = process.pages.replace(process.pages.get() + 1) + 1;
    let from = token.map_or(0, |token| {
        token.split('.').next().unwrap().parse::<usize>().unwrap()
    });
    let from = from.min(jobs.len());
    let to = jobs.len().min(from + view.page);
    let fresh = |place: usize| format!("{place}.{number}");
    let (listed, mut looks) = jobs[from..to].iter().cloned().unzip();
    let mut page = Page {
        jobs: listed,
        next: (to < jobs.len()).then(|| fresh(to)),
    };
    let mut tokens = process.tokens.borrow_mut();
    match view.tokens {
        Some((after, Tokens::Repeat)) if number > after && token.is_some() => {
            page.next = token.map(str::to_owned);
        }
        Some((after, Tokens::Loop)) if number > after && !tokens.is_empty() => {
            page.next = tokens.first().cloned();
        }
        Some((after, Tokens::EmptyPage)) if number == after + 1 => {
            looks = Vec::new();
            page = Page {
                jobs: Vec::new(),
                next: Some(fresh(from)),
            };
        }
        Some(_) | None => {}
    }
    tokens.extend(page.next.clone());
    (page, looks)
}

fn failed<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("as scripted".to_owned()))
}

impl Store for Port {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let fault = self.process.next(Effect::Load);
        let process = Rc::clone(&self.process);
        let action = async move {
            let state = match process.plan.view.table_stale {
                0 => process.world.table.load(now).await?,
                seconds => process.world.state_at(process.stale(seconds)),
            };
            Ok(state)
        };
        let what = "load".to_owned();
        let answer = self.process.effect(fault, what, action, failed).await;
        self.process.met(answer)
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        let fault = self.process.next(Effect::Read);
        let (table, key) = (self.process.world.table.clone(), key.clone());
        let what = format!("read {key}");
        let action = async move { table.read(&key, now).await };
        self.process.effect(fault, what, action, failed).await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let fault = self.process.next(Effect::Record);
        let (process, wanted) = (Rc::clone(&self.process), change.clone());
        let notices: Vec<_> = change.notices.iter().map(|n| n.kind.to_string()).collect();
        let key = change.item.key();
        let what = match notices.as_slice() {
            [] => format!("record {key} at revision {}", change.item.rev()),
            _ => format!("record {key}, owing {}", notices.join(" and ")),
        };
        let action = async move {
            let recorded = process.world.table.record(&wanted, now).await?;
            match &recorded {
                Recorded::Done => {
                    process.world.written().await;
                    oracle::delivery::on_record(&process.world, process.run, &wanted);
                }
                Recorded::Conflict(_) => process.trace(|| format!("{} is lost", wanted.item.key())),
            }
            Ok(recorded)
        };
        self.process.effect(fault, what, action, failed).await
    }

    async fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let fault = self.process.next(Effect::Claim);
        let (process, pending, by) = (Rc::clone(&self.process), pending.clone(), by.to_owned());
        let what = format!("claim {}", self.process.world.called(&pending));
        let action = async move {
            let claimed = process.world.table.claim(&pending, &by, until, now).await?;
            process.trace(|| format!("the claim is {claimed:?}"));
            if claimed == Claimed::Mine {
                process.world.written().await;
                let mut ledger = process.world.ledger.borrow_mut();
                let is_it = |claim: &Claim| {
                    claim.run == process.run
                        && claim.id == pending.notice.id
                        && claim.topic == pending.topic
                };
                // It lets go: what it claimed before ends here.
                ledger.claims.retain(|claim| until > now || !is_it(claim));
                ledger.claims.push(Claim {
                    run: process.run,
                    id: pending.notice.id,
                    topic: pending.topic,
                    until,
                });
            }
            Ok(claimed)
        };
        let answer = self.process.effect(fault, what, action, failed).await;
        self.process.met(answer)
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        let fault = self.process.next(Effect::Settle);
        let process = Rc::clone(&self.process);
        let place = {
            let mut ledger = self.process.world.ledger.borrow_mut();
            ledger.settlings.push(Settling {
                run: self.process.run,
                id: pending.notice.id.clone(),
                topic: pending.topic.clone(),
                fault,
                took_place: None,
            });
            ledger.settlings.len() - 1
        };
        let what = format!("settle {}", self.process.world.called(pending));
        let pending = pending.clone();
        let action = async move {
            process.world.table.settle(&pending).await?;
            process.world.written().await;
            let now = process.world.now();
            process.world.ledger.borrow_mut().settlings[place].took_place = Some(now);
            Ok(())
        };
        let answer = self.process.effect(fault, what, action, failed).await;
        self.process.met(answer)
    }
}

/// The notices that a message tells: their ids, and their events.
pub(crate) fn carried(message: &Message) -> Vec<(NoticeId, serde_json::Value)> {
    let id = |event: &serde_json::Value| serde_json::from_value(event["id"].clone()).unwrap();
    let events = message.events().iter();
    events.map(|event| (id(event), event.clone())).collect()
}

impl Topic for Port {
    fn arn(&self) -> &TopicArn {
        &self.topic
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let fault = self.process.next(Effect::Publish);
        let process = Rc::clone(&self.process);
        let (ids, events): (Vec<_>, Vec<_>) = carried(message).into_iter().unzip();
        let place = {
            let mut ledger = self.process.world.ledger.borrow_mut();
            ledger.attempts.push(Attempt {
                run: self.process.run,
                topic: self.topic.clone(),
                ids: ids.clone(),
                events,
                fault,
                took_place: None,
            });
            ledger.attempts.len() - 1
        };
        let world = &self.process.world;
        let names: Vec<_> = ids.iter().map(|id| world.named(id, &self.topic)).collect();
        let action = async move {
            oracle::delivery::on_publish(&process.world, place);
            Ok(())
        };
        let as_scripted = || "as scripted".to_owned();
        let lost = || match fault {
            Some(Fault::IsRefused) => Err(PublishError::Refused(as_scripted())),
            _ => Err(PublishError::Failed(as_scripted())),
        };
        let what = format!("publish {}", names.join(" and "));
        let answer = self.process.effect(fault, what, action, lost).await;
        match answer {
            Err(PublishError::Refused(_)) => answer,
            answer => self.process.met(answer),
        }
    }
}

impl Port {
    pub(super) fn now(&self) -> Timestamp {
        self.process.world.now()
    }
}
