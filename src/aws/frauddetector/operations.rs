//! The operations that list jobs: a row each. The SDK's requests for them have no trait in common, so what is done with
//! each is written by a macro.

use super::{Question, answer};
use crate::ports::{ListingError, Page};
use crate::watch::ListedJob;
use crate::watch::listed::ListedImport;

/// Makes the function that asks, of the operation with the SDK's names for it, and of the member of its answer that has the
/// jobs, with how they are listed.
macro_rules! operations {
    ($($ask:ident: $module:ident $operation:ident $output:ident, $member:ident $job:ty;)+) => {$(
        pub(super) async fn $ask(
            client: &aws_sdk_frauddetector::Client,
            question: Question,
        ) -> Result<Option<Page>, ListingError> {
            use aws_sdk_frauddetector::operation::$module::{$operation, $output};
            use aws_smithy_runtime_api::client::interceptors::context::Output;
            use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;

            use super::reading::{Answer, Reading};
            use crate::watch::listed::Object;

            #[derive(Debug, serde::Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Listed {
                $member: Option<Vec<Option<Object<$job>>>>,
                next_token: Option<String>,
            }

            impl Answer for Listed {
                fn unread() -> Output {
                    Output::erase($output::builder().build())
                }

                fn operation() -> impl RuntimePlugin {
                    $operation::new()
                }

                fn page(self) -> Page {
                    let jobs = self.$member.into_iter().flatten().flatten();
                    Page {
                        jobs: jobs.map(|Object(job)| job.into()).collect(),
                        next: self.next_token,
                    }
                }
            }

            let reading = Reading::<Listed>::default();
            let request = client
                .$module()
                .set_job_id(question.job_id.clone())
                .set_max_results(question.max_results)
                .set_next_token(question.token);
            let sent = request.customize().interceptor(reading.clone()).send().await;
            answer(stringify!($operation), question.job_id.as_deref(), sent.map(|_| reading.page()))
        }
    )+};
}

operations! {
    predictions: get_batch_prediction_jobs GetBatchPredictionJobs GetBatchPredictionJobsOutput, batch_predictions ListedJob;
    imports: get_batch_import_jobs GetBatchImportJobs GetBatchImportJobsOutput, batch_imports ListedImport;
}
