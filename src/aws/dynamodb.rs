//! The store: one DynamoDB table, one partition for each watch, so that the state is one Query.
//!
//! The partition key `watch` is the watch's source; the sort key `item` is `watch`, `job#<id>` or
//! `outbox#<notice id>#<topic>`. Each item says in `reads_from` which format version can read it. Items are updated, not
//! replaced, so that attributes which a later version added survive.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value, to_item};
use tracing::debug;

use super::error::explain;
use crate::ports::{Claimed, Pending, Recorded, State, Store, StoreError, UnreadableItem};
use crate::watch::judge::Expected;
use crate::watch::{Change, Item, JobId, Key, Notice, Source, TopicArn};

type Attributes = HashMap<String, AttributeValue>;

/// The format version that this one writes, and the newest that it reads.
const FORMAT: u64 = 1;

/// What an item may hold besides its key: an update removes what the new item does not have.
const OPTIONAL: [&str; 20] = [
    "began_at",
    "started_at",
    "heartbeat_at",
    "completed_at",
    "processed_records",
    "total_records",
    "failure_reason",
    "failure_reason_bytes",
    "detector",
    "detector_version",
    "event_type",
    "input_path",
    "output_path",
    "arn",
    "ahead_at",
    "stall",
    "absent_since",
    "heard",
    "replaced",
    "expires",
];

/// A table, seen by one watch.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    table: String,
    watch: String,
}

impl Table {
    /// Keeps the state of the watch over `source` in `table`.
    pub fn new(client: Client, table: String, source: &Source) -> Self {
        Self {
            client,
            table,
            watch: source.to_string(),
        }
    }

    fn key(&self, item: &str) -> Attributes {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        HashMap::from([
            ("watch".to_owned(), text(&self.watch)),
            ("item".to_owned(), text(item)),
        ])
    }

    fn update(&self, change: &Change, now: Timestamp) -> Result<Update, StoreError> {
        let mut attributes = encode(&change.item)?;
        attributes.insert("reads_from".to_owned(), number(FORMAT));
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(self.key(&change.item.key().to_string())))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let removed: Vec<_> = OPTIONAL
            .iter()
            .filter(|name| !attributes.contains_key(**name))
            .collect();
        let mut set = Vec::new();
        for (i, (name, value)) in attributes.into_iter().enumerate() {
            set.push(format!("#s{i} = :s{i}"));
            update = update.expression_attribute_names(format!("#s{i}"), name);
            update = update.expression_attribute_values(format!(":s{i}"), value);
        }
        let mut remove = Vec::new();
        for (i, name) in removed.into_iter().enumerate() {
            remove.push(format!("#r{i}"));
            update = update.expression_attribute_names(format!("#r{i}"), *name);
        }
        update = update.update_expression(format!(
            "SET {} REMOVE {}",
            set.join(", "),
            remove.join(", ")
        ));
        update = match change.expected {
            Expected::Absent => update
                .condition_expression("attribute_not_exists(#item) OR #expires <= :now")
                .expression_attribute_names("#item", "item")
                .expression_attribute_names("#expires", "expires")
                .expression_attribute_values(
                    ":now",
                    AttributeValue::N(now.as_second().to_string()),
                ),
            Expected::Rev(rev) => update
                .condition_expression("#rev = :expected")
                .expression_attribute_names("#rev", "rev")
                .expression_attribute_values(":expected", number(rev)),
        };
        update
            .build()
            .map_err(|error| StoreError::Failed(error.to_string()))
    }

    fn owe(
        &self,
        notice: &Notice,
        topic: &TopicArn,
        rev: u64,
        place: usize,
    ) -> Result<Put, StoreError> {
        let mut item = self.key(&outbox_key(notice, topic));
        let encoded =
            to_attribute_value(notice).map_err(|error| StoreError::Failed(error.to_string()))?;
        item.insert("notice".to_owned(), encoded);
        let topic = AttributeValue::S(topic.to_string());
        item.insert("topic".to_owned(), topic);
        item.insert(
            "order".to_owned(),
            AttributeValue::L(vec![number(rev), number(place as u64)]),
        );
        item.insert("reads_from".to_owned(), number(FORMAT));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .build();
        put.map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// A write that met another one in the making: neither wrote, so look what is there.
    async fn met(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        Ok(Recorded::Conflict(
            self.read(&change.item.key(), now).await?,
        ))
    }
}

impl Store for Table {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let mut state = State::default();
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#watch = :watch")
                .expression_attribute_names("#watch", "watch")
                .expression_attribute_values(":watch", AttributeValue::S(self.watch.clone()))
                .set_exclusive_start_key(start);
            let doing = format!("Query of table {}", self.table);
            let page = query
                .send()
                .await
                .map_err(|error| StoreError::Failed(explain(&doing, &error)))?;
            for attributes in page.items.unwrap_or_default() {
                let name = name_of(&attributes).unwrap_or_default().to_owned();
                match decode(attributes) {
                    Ok(Some(Stored::Item(Item::Watch(watch)))) => state.baseline = Some(watch),
                    Ok(Some(Stored::Item(Item::Job(record)))) if record.has_expired(now) => {}
                    Ok(Some(Stored::Item(Item::Job(record)))) => state.records.push(*record),
                    Ok(Some(Stored::Pending(pending))) => state.outbox.push(*pending),
                    Ok(None) => {}
                    Err(error) if name == WATCH => return Err(error),
                    Err(error) => {
                        let id = name.strip_prefix(JOB);
                        let job = id.and_then(|id| JobId::try_from(id.to_owned()).ok());
                        state.unreadable.push(UnreadableItem { job, error });
                    }
                }
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(state);
            }
        }
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(self.key(&key.to_string())))
            .consistent_read(true);
        let doing = format!("GetItem of {:?}", key.to_string());
        let answer = get
            .send()
            .await
            .map_err(|error| StoreError::Failed(explain(&doing, &error)))?;
        standing(answer.item, now)
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let update = self.update(change, now)?;
        let key = change.item.key().to_string();
        if change.notices.is_empty() {
            let request = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(update.key))
                .update_expression(update.update_expression)
                .set_condition_expression(update.condition_expression)
                .set_expression_attribute_names(update.expression_attribute_names)
                .set_expression_attribute_values(update.expression_attribute_values)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                );
            return match request.send().await {
                Ok(_) => Ok(Recorded::Done),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        Ok(Recorded::Conflict(standing(failed.item.clone(), now)?))
                    }
                    Some(UpdateItemError::TransactionConflictException(_)) => {
                        self.met(change, now).await
                    }
                    Some(_) | None => Err(StoreError::Failed(explain(
                        &format!("UpdateItem of {key:?}"),
                        &error,
                    ))),
                },
            };
        }
        let mut request = self.client.transact_write_items();
        request = request.transact_items(TransactWriteItem::builder().update(update).build());
        for (place, notice) in change.notices.iter().enumerate() {
            for topic in &notice.topics {
                let put = self.owe(notice, topic, change.item.rev(), place)?;
                request = request.transact_items(TransactWriteItem::builder().put(put).build());
            }
        }
        match request.send().await {
            Ok(_) => Ok(Recorded::Done),
            Err(error) => {
                let reasons = match error.as_service_error() {
                    Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                        canceled.cancellation_reasons.clone().unwrap_or_default()
                    }
                    Some(_) | None => Vec::new(),
                };
                if let Some(lost) = reasons
                    .first()
                    .filter(|reason| reason.code() == Some("ConditionalCheckFailed"))
                {
                    return Ok(Recorded::Conflict(standing(lost.item.clone(), now)?));
                }
                if reasons
                    .iter()
                    .any(|reason| reason.code() == Some("TransactionConflict"))
                {
                    return self.met(change, now).await;
                }
                Err(StoreError::Failed(explain(
                    &format!("TransactWriteItems of {key:?}"),
                    &error,
                )))
            }
        }
    }

    async fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let millis = |at: Timestamp| AttributeValue::N(at.as_millisecond().to_string());
        let key = outbox_key(&pending.notice, &pending.topic);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(self.key(&key)))
            .update_expression("SET #by = :by, #until = :until")
            .condition_expression("attribute_exists(#item) AND (attribute_not_exists(#until) OR #until <= :now OR #by = :by)")
            .expression_attribute_names("#item", "item")
            .expression_attribute_names("#by", "claim_by")
            .expression_attribute_names("#until", "claim_until")
            .expression_attribute_values(":by", AttributeValue::S(by.to_owned()))
            .expression_attribute_values(":until", millis(until))
            .expression_attribute_values(":now", millis(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(Claimed::Mine),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let is_there = failed.item.as_ref().is_some_and(|item| !item.is_empty());
                    Ok(if is_there {
                        Claimed::Held
                    } else {
                        Claimed::Gone
                    })
                }
                Some(_) | None => Err(StoreError::Failed(explain(
                    &format!("UpdateItem of {key:?}"),
                    &error,
                ))),
            },
        }
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        let key = outbox_key(&pending.notice, &pending.topic);
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(self.key(&key)));
        let doing = format!("DeleteItem of {key:?}");
        request
            .send()
            .await
            .map_err(|error| StoreError::Failed(explain(&doing, &error)))?;
        Ok(())
    }
}

/// An item of the table.
enum Stored {
    Item(Item),
    Pending(Box<Pending>),
}

// How the sort keys of each sort of item begin.
const WATCH: &str = "watch";
const JOB: &str = "job#";
const OUTBOX: &str = "outbox#";

fn outbox_key(notice: &Notice, topic: &TopicArn) -> String {
    format!("{OUTBOX}{}#{topic}", notice.id)
}

fn name_of(attributes: &Attributes) -> Option<&str> {
    match attributes.get("item") {
        Some(AttributeValue::S(name)) => Some(name),
        Some(_) | None => None,
    }
}

fn number(n: u64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

fn encode(item: &Item) -> Result<Attributes, StoreError> {
    let attributes = match item {
        Item::Watch(baseline) => to_item(baseline),
        Item::Job(record) => to_item(record),
    };
    attributes
        .map_err(|error| StoreError::Failed(format!("item {:?}: {error}", item.key().to_string())))
}

/// What stands in the way of a write: an expired record does not.
fn standing(attributes: Option<Attributes>, now: Timestamp) -> Result<Option<Item>, StoreError> {
    let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) else {
        return Ok(None);
    };
    Ok(match decode(attributes)? {
        Some(Stored::Item(Item::Job(record))) if record.has_expired(now) => None,
        Some(Stored::Item(item)) => Some(item),
        Some(Stored::Pending(_)) | None => None,
    })
}

/// Reads an item; `None` if it is of a sort that this version does not know and need not.
fn decode(attributes: Attributes) -> Result<Option<Stored>, StoreError> {
    let Some(name) = name_of(&attributes).map(str::to_owned) else {
        return Err(StoreError::Failed("an item without a sort key".to_owned()));
    };
    let needs = match attributes.get("reads_from") {
        Some(AttributeValue::N(needs)) => needs.parse().unwrap_or(u64::MAX),
        Some(_) | None => FORMAT,
    };
    if needs > FORMAT {
        return Err(StoreError::TooNew(format!(
            "item {:?} needs format {needs}, and this version reads {FORMAT}",
            brief(&name)
        )));
    }
    let stored = if name == WATCH {
        Stored::Item(Item::Watch(read(&name, attributes)?))
    } else if name.starts_with(JOB) {
        Stored::Item(Item::Job(read(&name, attributes)?))
    } else if name.starts_with(OUTBOX) {
        #[derive(serde::Deserialize)]
        struct PendingItem {
            notice: Notice,
            topic: TopicArn,
            order: (u64, u64),
        }
        let PendingItem {
            notice,
            topic,
            order,
        } = read(&name, attributes)?;
        Stored::Pending(Box::new(Pending {
            notice,
            topic,
            order,
        }))
    } else {
        return Ok(None);
    };
    let key = match &stored {
        Stored::Item(item) => item.key().to_string(),
        Stored::Pending(pending) => outbox_key(&pending.notice, &pending.topic),
    };
    // Under another's key it would be written, claimed and settled in vain.
    if key != name {
        return Err(makes_no_sense(&name, "it is not filed under its own id"));
    }
    Ok(Some(stored))
}

fn read<T: DeserializeOwned>(name: &str, attributes: Attributes) -> Result<T, StoreError> {
    // What reads the item would panic at a data type that the SDK does not know.
    if let Some((unknown, _)) = attributes.iter().find(|(_, value)| !is_known(value)) {
        return Err(makes_no_sense(name, &unreadable(unknown)));
    }
    from_item(attributes).map_err(|error| {
        // Its words may repeat what the item holds, unless something is missing.
        debug!("item {name:?}: {error}");
        match error.to_string().strip_prefix("missing field ") {
            Some(missing) => makes_no_sense(name, &format!("it has no {missing}")),
            None => makes_no_sense(
                name,
                "an attribute cannot be read; at level DEBUG the log says why",
            ),
        }
    })
}

fn unreadable(attribute: &str) -> String {
    format!("its {:?} cannot be read", brief(attribute))
}

fn is_known(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::L(values) => values.iter().all(is_known),
        AttributeValue::M(values) => values.values().all(is_known),
        value => !value.is_unknown(),
    }
}

fn makes_no_sense(name: &str, why: &str) -> StoreError {
    let name = brief(name);
    StoreError::Failed(format!(
        "item {name:?} makes no sense; mend or delete it: {why}"
    ))
}

/// The beginning of a name: it may be long.
fn brief(name: &str) -> String {
    name.chars().take(200).collect()
}
