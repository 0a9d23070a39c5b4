//! The state of all watches in a file that one preview at a time may use.
//!
//! A [`StateFile`] is locked from when it is opened until it is dropped. It is replaced as a whole, so that
//! whoever dies while writing leaves the old one. A file that cannot be read is never written to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Memory;
use crate::local::bad_file::{BadFile, without_place};
use crate::watch::{Source, SourceKind};

/// The format version that this one writes, and the newest that it reads.
const FORMAT: u64 = 1;

const NO_DIRECTORY: &str =
    "its directory does not exist: make it, or name a file in one that does, like watch.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    /// The oldest format version that can read it.
    reads_from: u64,
    watches: BTreeMap<Source, Memory>,
}

/// The state of all watches, kept in a file if there is one.
#[derive(Debug, Default)]
pub struct StateFile {
    watches: BTreeMap<Source, Memory>,
    file: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    text: String,
    /// Locked until this is dropped.
    _lock: File,
}

impl StateFile {
    /// Opens a file that may not exist yet, and locks it by a file beside it, whose name ends in `.lock`. If
    /// another process has it, `waiting` is told and it is waited for.
    pub fn open(file: &Path, waiting: impl FnOnce(&Path)) -> Result<Self, BadFile> {
        let failed = |doing: &str, error: io::Error| {
            let what = format!("the state could not be {doing}: {error}");
            BadFile::new(file, None, what)
        };
        // One file under two names has one lock, and a link to it stays a link.
        let target = match fs::canonicalize(file) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
            Err(error) => return Err(failed("found", error)),
        };
        let lock_file = beside(&target, ".lock");
        let lock = File::options().create(true).append(true).open(&lock_file);
        let lock = lock.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BadFile::new(file, None, NO_DIRECTORY),
            _ => failed("locked", error),
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting(&lock_file);
                lock.lock().map_err(|error| failed("locked", error))?;
            }
            Err(TryLockError::Error(error)) => return Err(failed("locked", error)),
        }
        let (text, watches) = match fs::read_to_string(&target) {
            Ok(text) => {
                let contents = parse(file, &text)?;
                (text, contents.watches)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(failed("read", error)),
        };
        Ok(Self {
            watches,
            file: Some(OpenFile {
                path: target,
                text,
                _lock: lock,
            }),
        })
    }

    /// The state of the watch over `source`.
    pub fn watch(&mut self, source: &Source) -> Memory {
        self.watches.entry(source.clone()).or_default().clone()
    }

    /// The source of this kind that it is about, if it is about one account and region only.
    pub fn only_source(&self, kind: SourceKind) -> Option<Source> {
        let sources = self.watches.keys().map(|source| source.with_kind(kind));
        let mut sources = sources.collect::<BTreeSet<_>>().into_iter();
        sources.next().filter(|_| sources.next().is_none())
    }

    /// Replaces the file, if anything changed. Until that is done the old one stands, whatever happens.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let contents = Contents {
            reads_from: FORMAT,
            watches: self.watches.clone(),
        };
        let mut text = serde_json::to_string_pretty(&contents)?;
        text.push('\n');
        if text == file.text {
            return Ok(());
        }
        replace(&file.path, &text)?;
        file.text = text;
        Ok(())
    }
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = beside(file, ".new");
    match fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut writer = File::create_new(&new)?;
    if let Ok(old) = fs::metadata(file) {
        writer.set_permissions(old.permissions())?;
    }
    writer.write_all(text.as_bytes())?;
    writer.sync_all()?;
    fs::rename(&new, file)?;
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    // Not everywhere can a directory be opened; where it can, the new name is to last too.
    match File::open(directory.unwrap_or(Path::new("."))) {
        Ok(directory) => directory.sync_all(),
        Err(_) => Ok(()),
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn parse(file: &Path, text: &str) -> Result<Contents, BadFile> {
    let broken = |error: serde_json::Error| {
        let what = format!(
            "not a state file, or a broken one: {}; it is left untouched: name another file, or mend it, or if it is an old state, delete it to begin anew",
            without_place(&error)
        );
        BadFile::new(file, Some(error.line()), what)
    };
    #[derive(Deserialize)]
    struct Version {
        reads_from: u64,
    }
    let Version { reads_from } = serde_json::from_str(text).map_err(broken)?;
    if reads_from > FORMAT {
        let what = format!(
            "a newer version wrote it: it needs format {reads_from}, and this version reads {FORMAT}; it is left untouched: use that version, or another file"
        );
        return Err(BadFile::new(file, None, what));
    }
    serde_json::from_str(text).map_err(broken)
}
