//! The messages on disk, so that they outlive the process.
//!
//! The one idea: a line for each change, added at the end and never touched again. A power cut can only tear the last line, which
//! is then cut off; at each start the file is written anew with as few lines as come to the same.

use super::ledger::{Entry, Ledger};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// A file that changes are added to. It is this process's alone until it is dropped.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The lock is on a file of its own, since the journal itself is replaced.
    _lock: File,
}

/// Why messages can't be kept in a file.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system says no.
    #[error("the messages can't be kept in {path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// Two processes would overwrite each other's changes.
    #[error("another process keeps its messages in {path}: end it, or choose another folder", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Not the last line, so no power cut did it.
    #[error("line {line} of {path} can't be read ({error}): mend or delete it", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

impl Journal {
    /// Opens the journal in this file, or begins it; with it the changes so far.
    ///
    /// # Errors
    /// [`JournalError`] if the file can't be read, can't be written, or is in use.
    pub fn open(path: &Path) -> Result<(Self, Vec<Entry>), JournalError> {
        let failed = |error| JournalError::Io { path: path.to_owned(), error };
        let lock_path = path.with_extension("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock_path).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse { path: path.to_owned() },
            TryLockError::Error(error) => failed(error),
        })?;
        let entries = match File::open(path) {
            Ok(file) => Ledger::of(read(path, file)?).entries(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        replace(path, &entries).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok((Self { path: path.to_owned(), file, _lock: lock }, entries))
    }

    /// Adds a change. One that can't be written is only forgotten at the end of the process, so it is no reason to stop.
    pub(super) fn append(&mut self, entry: &Entry) {
        let written = line(entry).and_then(|line| self.file.write_all(&line));
        if let Err(error) = written {
            tracing::error!(path = %self.path.display(), %error, "a change to the messages was not written down");
        }
    }
}

fn line(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

fn read(path: &Path, file: File) -> Result<Vec<Entry>, JournalError> {
    let mut lines = BufReader::new(file);
    let mut entries = Vec::new();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let length = lines.read_until(b'\n', &mut text);
        if length.map_err(|error| JournalError::Io { path: path.to_owned(), error })? == 0 {
            break;
        }
        match serde_json::from_slice(&text) {
            Ok(entry) => entries.push(entry),
            // A line is written with its end, in one piece: without it, it was torn.
            Err(error) if !text.ends_with(b"\n") => {
                tracing::warn!(path = %path.display(), line, %error, "the last change was not written to its end; it is cut off");
            }
            Err(error) => return Err(JournalError::Line { path: path.to_owned(), line, error }),
        }
    }
    Ok(entries)
}

/// Writes the file anew, so that there is always either the old one or the new one.
fn replace(path: &Path, entries: &[Entry]) -> io::Result<()> {
    let new_path = path.with_extension("new");
    let mut new = BufWriter::new(File::create(&new_path)?);
    for entry in entries {
        new.write_all(&line(entry)?)?;
    }
    new.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&new_path, path)
}
