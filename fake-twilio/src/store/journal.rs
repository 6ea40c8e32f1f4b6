//! The journal: one line per change, appended and never modified. Every start rewrites the file with as few lines as
//! give the same state. The end of the process loses nothing. A power cut loses what the operating system had not
//! written, and a full disk what no longer fits; either leaves at most one incomplete line, which is skipped.

use crate::store::ledger::{Entry, Ledger};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// A file of changes. This process has it exclusively until it is dropped.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The last line may be incomplete.
    torn: bool,
    /// The lock is on a separate file, since the journal is replaced.
    _lock: File,
}

/// Why a journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// An I/O error.
    #[error("can't store messages in {path} ({error})", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// Two processes would overwrite each other's changes.
    #[error("another process uses {path}; end it or choose another folder", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A corrupt line that is not merely incomplete.
    #[error("line {line} of {path} is corrupt ({error}); fix or delete that line, or move the file to start fresh", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The parser's error.
        error: serde_json::Error,
    },
}

impl Journal {
    /// Opens or creates the journal in this file. Returns it with the changes so far.
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

    /// Appends a change. A failed write is logged; the change only doesn't survive the process.
    pub(crate) fn append(&mut self, entry: &Entry) {
        let written = line(entry).and_then(|line| {
            // An incomplete line must not become the start of this one.
            if self.torn {
                self.file.write_all(b"\n")?;
            }
            self.torn = true;
            self.file.write_all(&line)
        });
        self.torn &= written.is_err();
        if let Err(error) = written {
            tracing::error!(path = %self.path.display(), %error, "a change was not written to the journal and is lost when the process ends");
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
        // A file system may leave zeros where it had not written yet.
        let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | 0)).map_or(0, |last| last + 1);
        let whole = text.get(..end).unwrap_or_default();
        match serde_json::from_slice(whole) {
            Ok(entry) => entries.push(entry),
            Err(error) if error.is_eof() => {
                tracing::warn!(path = %path.display(), line, %error, "skipped an incomplete line of the journal");
            }
            Err(error) => return Err(JournalError::Line { path: path.to_owned(), line, error }),
        }
    }
    Ok(entries)
}

/// Rewrites the file atomically: there is always the old one or the new one.
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
        // The part that did fit.
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
