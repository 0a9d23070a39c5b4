//! The JSON Schemas of what is published, made from its types. `events/` keeps them; a test tells when they differ.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::event::{DigestData, Event, NoticeData};

/// The schema of a notice's event.
pub fn notice() -> Value {
    schema::<Event<NoticeData>>("notice", "A notice of fraud-job-watch")
}

/// The schema of a digest's event.
pub fn digest() -> Value {
    schema::<Event<DigestData>>("digest", "A digest of fraud-job-watch")
}

fn schema<T: JsonSchema>(name: &str, title: &str) -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(RecursiveTransform(leave_out_null))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    let id = format!("urn:fraud-job-watch:{name}.v1");
    schema.insert("$id".to_owned(), id.into());
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
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
