//! The two functions that are measured, and what every bench of them is told.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of the boto3 function.
pub(crate) const PYTHON: &str = ".envs/boto3/bin/python";

/// What every bench takes.
#[derive(Clone, clap::Args)]
pub(crate) struct Common {
    /// The binary to measure.
    #[arg(
        long,
        default_value = "target/release/fraud-job-watch",
        value_name = "FILE"
    )]
    pub(crate) function: PathBuf,
    /// Puts the essential tables into tests/bench/README.md, between its two marks.
    #[arg(long)]
    pub(crate) write: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// This function, or the binary in its place.
pub(crate) fn ours(function: &Path) -> Command {
    Command::new(std::path::absolute(function).unwrap())
}

/// What one would write instead. It needs [`boto3_env`].
pub(crate) fn boto3() -> Command {
    let mut command = Command::new(std::path::absolute(PYTHON).unwrap());
    command.args(["-m", "boto3_function"]);
    command
}

/// Where Python finds the function, and keeps what it compiles of it.
pub(crate) fn boto3_env() -> [(String, String); 2] {
    [
        ("PYTHONPATH", "tests/bench"),
        ("PYTHONPYCACHEPREFIX", "target/pycache"),
    ]
    .map(|(name, path)| {
        let path = std::path::absolute(path).unwrap();
        (name.to_owned(), path.display().to_string())
    })
}
