//! A job as the service lists it, and how it is read from JSON, whoever has it: [`ListedJob`] a batch prediction, and
//! [`ListedImport`] a batch import.
//!
//! Every member is optional, and one that cannot be read counts as absent.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A job as it stands in a listing, member for member: of a batch prediction those of `GetBatchPredictionJobs`, and what
/// `aws frauddetector get-batch-prediction-jobs` prints. A member of another type than it should be counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "the members are the service's own, documented in its API reference"
)]
pub struct ListedJob {
    #[serde(deserialize_with = "text")]
    pub job_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub arn: Option<String>,
    #[serde(deserialize_with = "text")]
    pub status: Option<String>,
    #[serde(deserialize_with = "text")]
    pub failure_reason: Option<String>,
    #[serde(deserialize_with = "text")]
    pub start_time: Option<String>,
    #[serde(deserialize_with = "text")]
    pub completion_time: Option<String>,
    #[serde(deserialize_with = "text")]
    pub last_heartbeat_time: Option<String>,
    #[serde(deserialize_with = "text")]
    pub input_path: Option<String>,
    #[serde(deserialize_with = "text")]
    pub output_path: Option<String>,
    #[serde(deserialize_with = "text")]
    pub event_type_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub detector_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub detector_version: Option<String>,
    #[serde(deserialize_with = "count")]
    pub processed_records_count: Option<i64>,
    /// Of a batch import only.
    #[serde(skip)]
    pub failed_records_count: Option<i64>,
    #[serde(deserialize_with = "count")]
    pub total_records_count: Option<i64>,
}

/// A batch import as it stands in a listing: `GetBatchImportJobs`, and what `aws frauddetector get-batch-import-jobs`
/// prints. Whatever else a job has, it has not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListedImport {
    #[serde(deserialize_with = "text")]
    job_id: Option<String>,
    #[serde(deserialize_with = "text")]
    arn: Option<String>,
    #[serde(deserialize_with = "text")]
    status: Option<String>,
    #[serde(deserialize_with = "text")]
    failure_reason: Option<String>,
    #[serde(deserialize_with = "text")]
    start_time: Option<String>,
    #[serde(deserialize_with = "text")]
    completion_time: Option<String>,
    #[serde(deserialize_with = "text")]
    input_path: Option<String>,
    #[serde(deserialize_with = "text")]
    output_path: Option<String>,
    #[serde(deserialize_with = "text")]
    event_type_name: Option<String>,
    #[serde(deserialize_with = "count")]
    processed_records_count: Option<i64>,
    #[serde(deserialize_with = "count")]
    failed_records_count: Option<i64>,
    #[serde(deserialize_with = "count")]
    total_records_count: Option<i64>,
}

impl From<ListedImport> for ListedJob {
    fn from(import: ListedImport) -> Self {
        Self {
            job_id: import.job_id,
            arn: import.arn,
            status: import.status,
            failure_reason: import.failure_reason,
            start_time: import.start_time,
            completion_time: import.completion_time,
            last_heartbeat_time: None,
            input_path: import.input_path,
            output_path: import.output_path,
            event_type_name: import.event_type_name,
            detector_name: None,
            detector_version: None,
            processed_records_count: import.processed_records_count,
            failed_records_count: import.failed_records_count,
            total_records_count: import.total_records_count,
        }
    }
}

fn text<'de, D: Deserializer<'de>>(member: D) -> Result<Option<String>, D::Error> {
    Ok(match member.deserialize_any(Member)? {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

fn count<'de, D: Deserializer<'de>>(member: D) -> Result<Option<i64>, D::Error> {
    Ok(match member.deserialize_any(Member)? {
        Scalar::Count(count) => Some(count),
        _ => None,
    })
}

/// What a member is, if it is what members should be.
enum Scalar {
    Text(String),
    Count(i64),
    Neither,
}

struct Member;

impl<'de> Visitor<'de> for Member {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member of a job")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_i64<E>(self, count: i64) -> Result<Scalar, E> {
        Ok(Scalar::Count(count))
    }

    fn visit_u64<E>(self, count: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(count).map_or(Scalar::Neither, Scalar::Count))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Neither)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Neither)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Neither)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Scalar::Neither)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_map(object).map(|_| Scalar::Neither)
    }
}

/// What is read of an object only: of an array serde would take the members in their order.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}
