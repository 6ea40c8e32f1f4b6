//! The messages on disk, so that they outlive the process.
//!
//! The one idea: a line for each change, added at the end and never touched again; at each start the file is written anew with as
//! few lines as come to the same. The end of the process loses nothing. What the operating system had not yet written when the
//! power was cut is lost, and so is what no longer fits on the disk; either leaves at most an incomplete line, which is passed over.

use crate::store::ledger::{Entry, Ledger};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// A file that changes are added to. It is this process's alone until it is dropped.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The last line may have been written in part.
    torn: bool,
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
    /// Not an incomplete line, so it was not left by a write that failed.
    #[error("line {line} of {path} can't be read ({error}): mend or delete that line, or move the file away to begin anew", path = path.display())]
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
        Ok((Self { path: path.to_owned(), file, torn: false, _lock: lock }, entries))
    }

    /// Adds a change. One that can't be written is only forgotten at the end of the process, so it is no reason to stop.
    pub(crate) fn append(&mut self, entry: &Entry) {
        let written = line(entry).and_then(|line| {
            // What there is of a line must not become the beginning of this one.
            if self.torn {
                self.file.write_all(b"\n")?;
            }
            self.torn = true;
            self.file.write_all(&line)
        });
        self.torn &= written.is_err();
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
        // A file system may leave zeros where it had not yet written.
        let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | 0)).map_or(0, |last| last + 1);
        let whole = text.get(..end).unwrap_or_default();
        match serde_json::from_slice(whole) {
            Ok(entry) => entries.push(entry),
            Err(error) if error.is_eof() => {
                tracing::warn!(path = %path.display(), line, %error, "a change was not written to its end; it is passed over");
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_no_longer_fits_on_the_disk_spoils_nothing_else() {
        let path = std::env::temp_dir().join(crate::sid::random_sid("tollgate-"));
        let entry = |clock_ahead_ms| Entry::Clock { clock_ahead_ms };
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&entry(1));
        let file = std::mem::replace(&mut journal.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        journal.append(&entry(2));
        journal.file = file;
        // As much of it as did fit.
        journal.file.write_all(b"{\"entry\":\"clo").unwrap();
        journal.append(&entry(3));
        journal.append(&entry(4));
        drop(journal);
        assert_eq!(read(&path, File::open(&path).unwrap()).unwrap(), [entry(1), entry(3), entry(4)]);
        for extension in ["", "lock", "new"] {
            _ = fs::remove_file(path.with_extension(extension));
        }
    }
}
