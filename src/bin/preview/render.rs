//! `preview render`: notices in the form that a subscriber gets.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use fraud_job_watch::local::bad_file::BadFile;
use fraud_job_watch::local::saved_events;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::local::terminal::ascii_json;
use fraud_job_watch::message::Message;
use serde_json::Value;

use crate::args::SettingsArgs;
use crate::replay::views;
use crate::view::run_on_each;
use crate::{BadInput, complain};

/// Shows notices in the form that a subscriber gets.
///
/// The files are either saved events, or listings, of which all notices of a replay are shown. A saved event may be as
/// published, within what SNS makes of it for a queue, within what `aws sqs receive-message` prints, in the answer of a
/// dry run, or in what `replay --json` prints.
#[derive(Debug, Args)]
pub(crate) struct Render {
    /// Saved events, or listings like those of `replay`; - reads saved events from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// The form
    #[arg(long = "as", value_enum, default_value_t = Form::Email)]
    form: Form,

    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// What an inbox gets
    Email,
    /// What a chat channel gets, by https: a custom notification
    Chat,
    /// What a phone gets
    Sms,
    /// What everything else gets: a CloudEvents event
    Event,
}

pub(crate) async fn render(args: &Render) -> anyhow::Result<ExitCode> {
    let (messages, code) = messages(args).await?;
    if messages.is_empty() {
        complain(format_args!("note: no notice in it"));
    }
    let mut stdout = io::stdout().lock();
    for message in messages {
        let text = match args.form {
            Form::Email => {
                let subject = message.subject.as_ref();
                let subject = subject.map(|subject| format!("Subject: {subject}\n\n"));
                format!("{}{}\n", subject.unwrap_or_default(), message.form("email"))
            }
            Form::Sms => format!("{}\n", message.form("sms")),
            Form::Chat => ascii_json(&serde_json::from_str::<Value>(message.form("https"))?)?,
            Form::Event => ascii_json(&message.event)?,
        };
        stdout.write_all(text.as_bytes())?;
        stdout.write_all(b"\n")?;
    }
    stdout.flush()?;
    Ok(code)
}

/// What to show, and whether all went well that led to it.
async fn messages(args: &Render) -> anyhow::Result<(Vec<Message>, ExitCode)> {
    let settings = args.settings.read().map_err(BadInput)?;
    let (mut messages, mut faults, mut listings) = (Vec::new(), Vec::new(), Vec::new());
    for file in &args.files {
        match events_of(file) {
            Ok(Some(saved)) => messages.extend(saved),
            Ok(None) => listings.push(file.clone()),
            Err(bad) => faults.push(bad.to_string()),
        }
    }
    let has_both = !listings.is_empty() && listings.len() + faults.len() < args.files.len();
    if let (true, Some(file)) = (has_both, listings.first()) {
        let bad = saved_events::nothing(Path::new(file));
        faults.push(format!("{bad}, as in the other files"));
    }
    if !faults.is_empty() {
        return Err(BadInput(faults).into());
    }
    if listings.is_empty() {
        return Ok((messages, ExitCode::SUCCESS));
    }
    let or_events = |fault| format!("{fault}; or {}", saved_events::EXPECTED);
    let views = views(&listings, None)
        .map_err(|faults| BadInput(faults.into_iter().map(or_events).collect()))?;
    let mut state = StateFile::default();
    let code = run_on_each(views, &mut state, &settings, |report, _| {
        messages.extend(report.messages);
        Ok(())
    })
    .await?;
    Ok((messages, code))
}

/// The messages of a file of saved events; `None` of any other.
fn events_of(file: &str) -> Result<Option<Vec<Message>>, BadFile> {
    if file != "-" {
        // What cannot be read is said where listings are.
        let text = fs::read_to_string(file).unwrap_or_default();
        return saved_events::messages(&text, Path::new(file));
    }
    let name = Path::new("standard input");
    let text = io::read_to_string(io::stdin())
        .map_err(|error| BadFile::new(name, None, error.to_string()))?;
    let messages = saved_events::messages(&text, name)?;
    messages
        .ok_or_else(|| saved_events::nothing(name))
        .map(Some)
}
