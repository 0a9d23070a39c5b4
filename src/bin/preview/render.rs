//! `preview render`: notices in the form that a subscriber gets.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::local::terminal::ascii_json;
use fraud_job_watch::message::{Message, one_line};
use serde_json::Value;

use crate::BadInput;
use crate::replay::views;
use crate::watch::{Settings, look, runtime, source_of};

/// Shows notices in the form that a subscriber gets.
///
/// The files are saved events, as a queue gets them or as `replay --json` prints them, or else listings, of which all
/// notices of a replay are shown.
#[derive(Debug, Args)]
pub(crate) struct Render {
    /// Saved events, or listings like those of `replay`; - reads saved events from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// The form
    #[arg(long = "as", value_enum, default_value_t = Form::Email)]
    form: Form,

    #[command(flatten)]
    settings: Settings,
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

pub(crate) fn render(args: &Render) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    for message in messages(args)? {
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
    Ok(ExitCode::SUCCESS)
}

fn messages(args: &Render) -> anyhow::Result<Vec<Message>> {
    let settings = args.settings.read().map_err(BadInput)?;
    let (mut saved, mut faults) = (Vec::new(), Vec::new());
    for file in &args.files {
        match read(file) {
            Ok(Some(messages)) => saved.extend(messages),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(BadInput(faults).into());
    }
    if !saved.is_empty() {
        return Ok(saved);
    }
    let views = views(&args.files, None).map_err(BadInput)?;
    let mut state = StateFile::default();
    let (source, runtime) = (source_of(&views, &state)?, runtime()?);
    let mut messages = Vec::new();
    for view in views {
        let report = runtime.block_on(look(view, &source, &settings, &mut state));
        messages.extend(report.messages);
    }
    Ok(messages)
}

/// The messages of a file of saved events; `None` of any other.
fn read(file: &str) -> Result<Option<Vec<Message>>, String> {
    let mut text = String::new();
    if file == "-" {
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| format!("standard input: {error}"))?;
    } else {
        // What cannot be read is said where listings are.
        text = fs::read_to_string(file).unwrap_or_default();
    }
    let name = if file == "-" {
        "standard input".to_owned()
    } else {
        one_line(file)
    };
    let mut messages = Vec::new();
    let mut documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    while let Some(Ok(document)) = documents.next() {
        let bad = |why: String| {
            let line = 1 + text
                .get(..documents.byte_offset())
                .map_or(0, |before| before.trim_end().matches('\n').count());
            format!("{name}, to line {line}: {why}")
        };
        let events = match document.get("notices") {
            Some(Value::Array(events)) => events.clone(),
            Some(_) | None if document.get("specversion").is_some() => vec![document],
            Some(_) | None => break,
        };
        for event in events {
            messages.extend(Message::of_event(event).map_err(bad)?);
        }
    }
    match (messages.is_empty(), file) {
        (true, "-") => Err(format!(
            "{name}: expected saved events, as a queue gets them: {{\"specversion\": \"1.0\", ...}}"
        )),
        (true, _) => Ok(None),
        (false, _) => Ok(Some(messages)),
    }
}
