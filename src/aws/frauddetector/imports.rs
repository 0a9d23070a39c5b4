//! `GetBatchImportJobs`.

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::config::http::HttpResponse;
use aws_sdk_frauddetector::error::SdkError;
use aws_sdk_frauddetector::operation::get_batch_import_jobs::{
    GetBatchImportJobs, GetBatchImportJobsError, GetBatchImportJobsOutput,
};
use aws_smithy_runtime_api::client::interceptors::context::Output;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;

use super::Question;
use super::reading::{Answer, Reading};
use crate::ports::Page;
use crate::watch::listed::{ListedImport, Object};

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    batch_imports: Option<Vec<Option<Object<ListedImport>>>>,
    next_token: Option<String>,
}

pub(super) async fn send(
    client: &Client,
    question: &Question<'_>,
) -> Result<Page, SdkError<GetBatchImportJobsError, HttpResponse>> {
    let reading = Reading::<Listed>::default();
    let request = client
        .get_batch_import_jobs()
        .set_job_id(question.job_id())
        .set_max_results(question.max_results())
        .set_next_token(question.token());
    let request = request.customize().interceptor(reading.clone());
    request.send().await?;
    let unread = || SdkError::construction_failure("the SDK read the answer itself");
    reading.page().ok_or_else(unread)
}

impl Answer for Listed {
    fn unread() -> Output {
        Output::erase(GetBatchImportJobsOutput::builder().build())
    }

    fn operation() -> impl RuntimePlugin {
        GetBatchImportJobs::new()
    }

    fn page(self) -> Page {
        let jobs = self.batch_imports.into_iter().flatten().flatten();
        Page {
            jobs: jobs.map(|Object(job)| job.into()).collect(),
            next: self.next_token,
        }
    }
}
