//! The JSON Schemas of what is published, made from its types. `events/` keeps them; a test tells when they differ.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::event::{DigestData, Event, NoticeData};
use crate::watch::SourceKind;

/// The schema of the event of a notice of jobs of this kind.
pub fn notice(source: SourceKind) -> Value {
    schema::<Event<NoticeData>>(source, "notice")
}

/// The schema of the event of a digest.
pub fn digest(source: SourceKind) -> Value {
    schema::<Event<DigestData>>(source, "digest")
}

/// What its file and its `$id` are called. Batch predictions were there first, and alone.
pub fn name(source: SourceKind, of: &str) -> String {
    match source {
        SourceKind::BatchPredictions => format!("{of}.v1"),
        SourceKind::BatchImports => format!("{}.{of}.v1", source.resource()),
    }
}

fn schema<T: JsonSchema>(source: SourceKind, of: &str) -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(RecursiveTransform(leave_out_null))
        .with_transform(RecursiveTransform(move |schema: &mut Schema| {
            name_source(schema, source);
        }))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    let id = format!("urn:fraud-job-watch:{}", name(source, of));
    schema.insert("$id".to_owned(), id.into());
    let title = match source {
        SourceKind::BatchPredictions => format!("A {of} of fraud-job-watch"),
        SourceKind::BatchImports => format!("A {of} of fraud-job-watch about batch imports"),
    };
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// The types of events name their source, and only some count the records that failed.
fn name_source(schema: &mut Schema, source: SourceKind) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(pattern) = properties
        .get_mut("type")
        .and_then(|kind| kind.get_mut("pattern"))
    {
        *pattern = format!(r"^fraud-job-watch\.{}\.[a-z]+\.v1$", source.resource()).into();
    }
    if source == SourceKind::BatchPredictions {
        properties.retain(|name, _| name != "failed_records");
    }
}

/// What is absent is left out, never null.
fn leave_out_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get("type")
        && let [only, Value::String(null)] = types.as_slice()
        && null == "null"
    {
        let only = only.clone();
        schema.insert("type".to_owned(), only);
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf")
        && let [Value::Object(only), null] = choices.as_slice()
        && *null == json!({"type": "null"})
    {
        let only = only.clone();
        schema.remove("anyOf");
        schema.ensure_object().extend(only);
    }
}
