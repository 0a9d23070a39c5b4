//! The JSON Schemas of what is published, made from its types. `events/` keeps them; a test tells when they differ.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
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
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert(
        "$id".to_owned(),
        format!("urn:fraud-job-watch:{name}.v1").into(),
    );
    schema.insert("title".to_owned(), title.into());
    let mut schema = schema.to_value();
    leave_out_null(&mut schema);
    schema
}

/// What is absent is left out, never null.
fn leave_out_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            let choices = members.get_mut("anyOf").and_then(Value::as_array_mut);
            let only = choices.and_then(|choices| {
                choices.retain(|choice| *choice != json!({"type": "null"}));
                match choices.as_slice() {
                    [Value::Object(only)] => Some(only.clone()),
                    _ => None,
                }
            });
            if let Some(only) = only {
                members.remove("anyOf");
                members.extend(only);
            }
            members.values_mut().for_each(leave_out_null);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
