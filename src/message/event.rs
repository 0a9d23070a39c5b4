//! The machine's form: a CloudEvents 1.0 event in JSON.

use serde_json::{Value, json};

use super::text::WatchName;
use crate::watch::{Kind, Notice};

/// The event of a notice. A repeat carries the same `id` and `source`.
pub(super) fn event(notice: &Notice, name: Option<&WatchName>) -> Value {
    let subject = match &notice.job {
        Some(job) if notice.kind != Kind::Test => job.id.to_string(),
        Some(_) | None => name.map_or_else(|| "fraud-job-watch".to_owned(), ToString::to_string),
    };
    let mut data = json!({
        "kind": notice.kind,
        "severity": notice.kind.severity(),
        "recorded_at": notice.recorded_at,
        "account": notice.source.account(),
        "region": notice.source.region(),
    });
    if let Value::Object(data) = &mut data {
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                data.insert(key.to_owned(), value);
            }
        };
        put("watch", json!(name.map(ToString::to_string)));
        put("job", json!(notice.job));
        put("job_seen_at", json!(notice.job_seen_at));
        put("silence", json!(notice.silence));
        put("found", json!(notice.found));
    }
    json!({
        "specversion": "1.0",
        "id": notice.id,
        "source": notice.source,
        "type": format!("fraud-job-watch.batch-prediction.{}.v1", notice.kind),
        "subject": subject,
        "time": notice.happened_at,
        "datacontenttype": "application/json",
        "data": data,
    })
}
