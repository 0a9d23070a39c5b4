//! The Lambda: logs, settings, clients, one handler. It decides nothing.

// The futures of the SDK nest deeply.
#![recursion_limit = "256"]

use std::process::ExitCode;

use fraud_job_watch::aws::Clients;
use fraud_job_watch::invoke::{Invocation, invoke};
use fraud_job_watch::run::{Answer, Outcome, time_given};
use fraud_job_watch::settings::LambdaSettings;
use fraud_job_watch::telemetry::{self, Metrics};
use fraud_job_watch::watch::Source;
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::error;
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    let log = telemetry::subscriber(lookup, std::io::stdout);
    if let Err(failed) = tracing::subscriber::set_global_default(log) {
        eprintln!("no log: {failed}");
    }
    let settings = match LambdaSettings::read(lookup) {
        Ok(settings) => settings,
        Err(invalid) => {
            error!(error_type = "SettingsInvalid", "{invalid}");
            return ExitCode::FAILURE;
        }
    };
    let clients = Clients::connect(&settings).await;
    clients.prepare(&settings.sources).await;
    let handler = service_fn(|event| handle(event, &settings, &clients));
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            error!("the runtime ended: {failed}");
            ExitCode::FAILURE
        }
    }
}

async fn handle(
    event: LambdaEvent<Value>,
    settings: &LambdaSettings,
    clients: &Clients,
) -> Result<Answer, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    // An emulator may name no real function: there the topic's account and region must do.
    let source = Source::of_arn(&context.invoked_function_arn)
        .unwrap_or_else(|_| settings.topic.source().clone());
    let watched = settings.sources.iter().map(|kind| {
        let source = source.with_kind(*kind);
        let ports = clients.ports(&source);
        (source, ports)
    });
    let watched: Vec<_> = watched.collect();
    // A retried event keeps its request id, so a run needs a name of its own.
    let run_id = Uuid::new_v4().simple().to_string();
    let invocation = Invocation {
        settings: &settings.watch,
        request_id: &context.request_id,
        run_id: &run_id,
        time_given: time_given(context.deadline, Timestamp::now()),
    };
    let metrics = Metrics {
        function: &context.env_config.function_name,
        detailed: settings.detailed_metrics,
        level: telemetry::level_that_passes(|name| std::env::var(name).ok()),
    };
    let measure = |outcome: &Outcome| println!("{}", metrics.line(outcome, Timestamp::now()));
    let answer = invoke(&watched, &invocation, &payload, measure).await;
    answer.map_err(|failed| Diagnostic {
        error_type: failed.error_type.to_owned(),
        error_message: failed.message,
    })
}
