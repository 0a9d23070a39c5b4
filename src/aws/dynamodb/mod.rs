//! The store: one DynamoDB table, one partition for each watch, so that the state is one Query.
//!
//! The partition key `watch` is the watch's source; the sort key `item` is `watch`, `job#<id>`, `detector#<name>` or
//! `outbox#<notice id>#<topic>`. Items are updated, not replaced, so that attributes which a later version added survive.

mod item;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use jiff::Timestamp;

use super::early::EarlyState;
use super::error::explain;
use crate::ports::{Claimed, Pending, Recorded, State, Store, StoreError, UnreadableItem};
use crate::watch::judge::Expected;
use crate::watch::{Change, Item, Key, Source};
use item::{Attributes, Stored, WATCH};

/// A table, seen by one watch.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    table: String,
    watch: String,
    early: EarlyState,
}

impl Table {
    /// Keeps the state of the watch over `source` in `table`.
    pub fn new(client: Client, table: String, source: &Source) -> Self {
        Self {
            client,
            table,
            watch: source.to_string(),
            early: EarlyState::default(),
        }
    }

    /// The same, which need not ask for what was read ahead.
    pub(super) fn with_early(self, early: EarlyState) -> Self {
        Self { early, ..self }
    }

    fn key(&self, item: &str) -> Attributes {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        HashMap::from([
            ("watch".to_owned(), text(&self.watch)),
            ("item".to_owned(), text(item)),
        ])
    }

    fn update(&self, change: &Change, now: Timestamp) -> Result<Update, StoreError> {
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(self.key(&change.item.key().to_string())))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (i, (name, value)) in item::encode(&change.item)?.into_iter().enumerate() {
            update = update.expression_attribute_names(format!("#a{i}"), name);
            if value.is_null() {
                remove.push(format!("#a{i}"));
            } else {
                set.push(format!("#a{i} = :a{i}"));
                update = update.expression_attribute_values(format!(":a{i}"), value);
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression += &format!(" REMOVE {}", remove.join(", "));
        }
        update = update.update_expression(expression);
        let number = |n: &dyn ToString| AttributeValue::N(n.to_string());
        update = match change.expected {
            Expected::Absent => update
                .condition_expression("attribute_not_exists(#item) OR #expires <= :now")
                .expression_attribute_names("#item", "item")
                .expression_attribute_names("#expires", "expires")
                .expression_attribute_values(":now", number(&now.as_second())),
            Expected::Rev(rev) => update
                .condition_expression("#rev = :expected")
                .expression_attribute_names("#rev", "rev")
                .expression_attribute_values(":expected", number(&rev)),
        };
        let update = update.build();
        update.map_err(|error| StoreError::Failed(error.to_string()))
    }

    fn put(&self, pending: &Pending) -> Result<Put, StoreError> {
        let name = item::name_of_pending(pending);
        let mut attributes = item::write(&name, pending)?;
        attributes.extend(self.key(&name));
        Put::builder()
            .table_name(&self.table)
            .set_item(Some(attributes))
            .build()
            .map_err(|error| StoreError::Failed(error.to_string()))
    }

    async fn write(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let update = self.update(change, now)?;
        let request = self
            .client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .set_return_values_on_condition_check_failure(
                update.return_values_on_condition_check_failure,
            );
        let Err(error) = request.send().await else {
            return Ok(Recorded::Done);
        };
        let key = change.item.key();
        let stored = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                item::stored(refused.item.clone(), now)?
            }
            // Two writes met and neither was made.
            Some(UpdateItemError::TransactionConflictException(_)) => self.read(&key, now).await?,
            Some(_) | None => {
                let doing = format!("UpdateItem of {:?}", key.to_string());
                return Err(StoreError::Failed(explain(&doing, &error)));
            }
        };
        Ok(Recorded::Conflict(stored))
    }

    async fn write_with_notices(
        &self,
        change: &Change,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let update = self.update(change, now)?;
        let mut request = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build());
        for pending in change.pending() {
            let put = self.put(&pending)?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        let Err(error) = request.send().await else {
            return Ok(Recorded::Done);
        };
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                canceled.cancellation_reasons()
            }
            Some(_) | None => &[],
        };
        let is = |reason: &CancellationReason, code| reason.code() == Some(code);
        let first = reasons.first();
        if let Some(refused) = first.filter(|it| is(it, "ConditionalCheckFailed")) {
            let stored = item::stored(refused.item.clone(), now)?;
            return Ok(Recorded::Conflict(stored));
        }
        let key = change.item.key();
        // Two writes met and neither was made.
        if reasons.iter().any(|it| is(it, "TransactionConflict")) {
            return Ok(Recorded::Conflict(self.read(&key, now).await?));
        }
        let doing = format!("TransactWriteItems of {:?}", key.to_string());
        Err(StoreError::Failed(explain(&doing, &error)))
    }
}

fn add(state: &mut State, attributes: Attributes, now: Timestamp) -> Result<(), StoreError> {
    let name = item::name_of(&attributes).unwrap_or_default().to_owned();
    match item::decode(attributes) {
        Ok(Some(Stored::Item(Item::Watch(watch)))) => state.baseline = Some(watch),
        Ok(Some(Stored::Item(Item::Job(record)))) if record.has_expired(now) => {}
        Ok(Some(Stored::Item(Item::Job(record)))) => state.records.push(*record),
        Ok(Some(Stored::Item(Item::Detector(record)))) => state.detectors.push(*record),
        Ok(Some(Stored::Pending(pending))) => state.outbox.push(*pending),
        Ok(None) => {}
        Err(error) if name == WATCH => return Err(error),
        Err(error) => {
            let key = item::key_of(&name);
            state.unreadable.push(UnreadableItem { key, error });
        }
    }
    Ok(())
}

impl Store for Table {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        if let Some(state) = self.early.take(&self.watch) {
            return Ok(state);
        }
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
                add(&mut state, attributes, now)?;
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
        item::stored(answer.item, now)
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        match change.notices.as_slice() {
            [] => self.write(change, now).await,
            _ => self.write_with_notices(change, now).await,
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
        let key = item::name_of_pending(pending);
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
        let Err(error) = request.send().await else {
            return Ok(Claimed::Mine);
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                match &refused.item {
                    Some(item) if !item.is_empty() => Ok(Claimed::Held),
                    Some(_) | None => Ok(Claimed::Gone),
                }
            }
            Some(_) | None => {
                let doing = format!("UpdateItem of {key:?}");
                Err(StoreError::Failed(explain(&doing, &error)))
            }
        }
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        let key = item::name_of_pending(pending);
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(self.key(&key)));
        let doing = format!("DeleteItem of {key:?}");
        let settled = request.send().await.map(drop);
        settled.map_err(|error| StoreError::Failed(explain(&doing, &error)))
    }
}
