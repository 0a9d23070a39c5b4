//! The arguments that commands have in common.

use std::path::PathBuf;

use clap::Args;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::message::one_line;
use fraud_job_watch::settings::{Fault, SettingsInvalid, VARIABLES, WatchSettings};

use crate::{BadInput, complain};

/// What a replay and a live look have in common.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Keeps what the watch knows in this file, to go on from next time [default: kept nowhere]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Prints one line of JSON for each listing
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

impl WatchArgs {
    pub(crate) fn open_state(&self) -> Result<StateFile, BadInput> {
        let Some(file) = &self.state else {
            return Ok(StateFile::default());
        };
        let opened = StateFile::open(file, |lock| {
            let lock = one_line(&lock.to_string_lossy());
            complain(format_args!(
                "note: another process uses the state; waiting until it lets go of {lock}"
            ));
        });
        opened.map_err(|bad| BadInput(vec![bad.to_string()]))
    }
}

/// The variables that decide what is reported.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    late: LateArgs,

    #[arg(long, env, hide_env_values = true, value_name = "DURATION", help = help("REMIND_AFTER"))]
    remind_after: Option<String>,

    #[arg(long, env, hide_env_values = true, value_name = "KINDS", help = help("NOTIFY_ON"))]
    notify_on: Option<String>,

    #[arg(long, env, hide_env_values = true, value_name = "NUMBER", help = help("DIGEST_ABOVE"))]
    digest_above: Option<String>,

    #[arg(long, env, hide_env_values = true, value_name = "NAME", help = help("WATCH_NAME"))]
    watch_name: Option<String>,
}

impl SettingsArgs {
    /// The settings, or what is wrong with them, one a line.
    pub(crate) fn read(&self) -> Result<WatchSettings, Vec<String>> {
        read(|name| match name {
            "REMIND_AFTER" => self.remind_after.clone(),
            "NOTIFY_ON" => self.notify_on.clone(),
            "DIGEST_ABOVE" => self.digest_above.clone(),
            "WATCH_NAME" => self.watch_name.clone(),
            name => self.late.value(name),
        })
    }
}

/// Those that decide what is late.
#[derive(Debug, Args)]
pub(crate) struct LateArgs {
    #[arg(long, env, hide_env_values = true, value_name = "DURATION", help = help("STALL_AFTER"))]
    stall_after: Option<String>,

    #[arg(long, env, hide_env_values = true, value_name = "DURATION", help = help("OVERDUE_AFTER"))]
    overdue_after: Option<String>,

    #[arg(long, env, hide_env_values = true, value_name = "ENTRIES", help = help("EXPECT"))]
    expect: Option<String>,
}

impl LateArgs {
    /// The settings, those that say nothing of what is late as if they were not set; or what is wrong with them, one a
    /// line.
    pub(crate) fn read(&self) -> Result<WatchSettings, Vec<String>> {
        read(|name| self.value(name))
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "STALL_AFTER" => self.stall_after.clone(),
            "OVERDUE_AFTER" => self.overdue_after.clone(),
            "EXPECT" => self.expect.clone(),
            _ => None,
        }
    }
}

fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<WatchSettings, Vec<String>> {
    WatchSettings::read(lookup).map_err(|SettingsInvalid(faults)| {
        let fault = |fault: Fault| {
            let flag = fault.variable.name.to_ascii_lowercase().replace('_', "-");
            format!("--{flag} or {fault}")
        };
        faults.into_iter().map(fault).collect()
    })
}

/// What the table of variables says of one.
pub(crate) fn help(name: &str) -> String {
    let variable = VARIABLES.iter().find(|variable| variable.name == name);
    let text = variable.map(|variable| {
        let (first, rest) = variable.meaning.split_at_checked(1).unwrap_or_default();
        let (first, rule) = (first.to_ascii_uppercase(), variable.rule);
        let default = variable.default.unwrap_or("none");
        format!("{first}{rest}: {rule} [default: {default}]")
    });
    text.unwrap_or_default()
}
