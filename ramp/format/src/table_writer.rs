//! One table of the run directory: a CSV file (RFC 4180) that only grows, a whole row at a time.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A CSV file that rows are appended to.
///
/// # Guarantees
/// - Each row is handed to the kernel when it is made: what ends this process afterwards does not lose it.
/// - Where the kernel does not take it (a full disk), rows wait in memory, up to 32 MiB, and are written first once
///   there is room: a row is never in two pieces with another between them. What does not fit is counted.
#[derive(Debug)]
pub struct TableWriter<W = File> {
    path: PathBuf,
    file: W,
    /// Device and inode of the file.
    id: (u64, u64),
    waiting: Vec<u8>,
    rows_lost: u64,
    /// Why the file is not in its place, if it is not: rows wait.
    misplaced: Option<&'static str>,
}

/// What may wait while the disk is full.
const WAITING_BYTES: usize = 32 << 20;

impl TableWriter<File> {
    /// A new file with a header.
    ///
    /// # Errors
    /// Where there is one already, or it cannot be made.
    pub fn create(path: PathBuf, header: &[&str]) -> io::Result<Self> {
        let open = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = open.map_err(|error| named(&path, &error))?;
        let mut table = Self::of(file, path)?;
        table.record(header)?;
        Ok(table)
    }

    /// Opens and locks the file of an earlier process, and changes nothing in it.
    ///
    /// # Errors
    /// Where it cannot be read, or another process writes it.
    pub fn reopen(path: PathBuf) -> io::Result<Self> {
        let open = OpenOptions::new().read(true).append(true).open(&path);
        let file = open.map_err(|error| named(&path, &error))?;
        Self::of(file, path)
    }

    /// Locks a file.
    fn of(file: File, path: PathBuf) -> io::Result<Self> {
        lock(&file, &path)?;
        let id = id(&file.metadata()?);
        Ok(Self { path, file, id, waiting: Vec::new(), rows_lost: 0, misplaced: None })
    }

    /// Removes an incomplete last row, and returns its length in bytes.
    ///
    /// # Errors
    /// Where the file cannot be read or changed.
    pub fn remove_torn_row(&mut self) -> io::Result<u64> {
        let (whole, torn) = whole_rows(&mut self.file)?;
        if torn > 0 {
            self.file.set_len(whole)?;
        }
        Ok(torn)
    }

    /// Checks whether the file is still in its place: what is written to one that was removed is lost, so rows wait then.
    pub fn check(&mut self) {
        self.misplaced = match fs::metadata(&self.path) {
            Ok(found) if id(&found) != self.id => Some("the file was replaced"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("the file was removed"),
            // What else is wrong shows when it is written.
            _ => None,
        };
    }
}

/// Which file it is.
fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// An error of a file, with its name.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// For as long as the file is open: two processes that append would tear each other's rows.
fn lock(file: &File, path: &Path) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "{0} is being written: another ramp still records here; wait until it ends, or find it with: fuser {0}",
                path.display()
            );
            Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
        }
        // Not every file system has locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Bytes of all complete rows, and of what follows them. No row contains a newline.
pub(crate) fn whole_rows(file: &mut File) -> io::Result<(u64, u64)> {
    // Longer than any row.
    const TAIL_BYTES: u64 = 1 << 20;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let torn = tail.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
    Ok((length.saturating_sub(torn), torn))
}

/// The last complete row; none in an empty file. No row is longer than what is read.
pub(crate) fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    const TAIL_BYTES: u64 = 1 << 20;
    let (whole, _) = whole_rows(file)?;
    let begin = whole.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    file.take(whole - begin).read_to_end(&mut tail)?;
    let row = tail.strip_suffix(b"\n").map(|rows| rows.rsplit(|byte| *byte == b'\n').next().unwrap_or(rows));
    Ok(row.map(<[u8]>::to_vec))
}

impl<W: Write> TableWriter<W> {
    /// Appends a row: a cell for each field of a struct. None of them contains a newline (see [`one_line`](crate::text::one_line)).
    ///
    /// # Errors
    /// Where the kernel does not take it now. It waits, then, and is written with the next row or [`Self::retry`].
    pub fn record(&mut self, record: &(impl Serialize + ?Sized)) -> io::Result<()> {
        let before = self.waiting.len();
        let written = {
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(&mut self.waiting);
            writer.serialize(record).and_then(|()| writer.flush().map_err(Into::into))
        };
        if let Err(error) = written {
            self.waiting.truncate(before);
            self.rows_lost += 1;
            return Err(error.into());
        }
        if self.waiting.len() > WAITING_BYTES {
            self.waiting.truncate(before);
            self.rows_lost += 1;
        }
        self.retry()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// Where the kernel does not take all of it.
    pub fn retry(&mut self) -> io::Result<()> {
        if let Some(why) = self.misplaced {
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let mut taken = 0;
        let result = loop {
            let left = self.waiting.get(taken..).unwrap_or_default();
            if left.is_empty() {
                break Ok(());
            }
            match self.file.write(left) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => taken += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.waiting.drain(..taken);
        result
    }

    /// The file's name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows that neither the disk nor the memory had room for.
    #[must_use]
    pub fn rows_lost(&self) -> u64 {
        self.rows_lost
    }

    /// Rows, the last of them perhaps in part, that the kernel has not taken yet.
    #[must_use]
    pub fn rows_waiting(&self) -> u64 {
        self.waiting.iter().filter(|byte| **byte == b'\n').count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts this many bytes, then none.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn on_a_disk(room: usize) -> TableWriter<Disk> {
        let file = Disk { written: Vec::new(), room };
        TableWriter {
            path: PathBuf::new(),
            file,
            id: (0, 0),
            waiting: Vec::new(),
            rows_lost: 0,
            misplaced: None,
        }
    }

    #[test]
    fn rows_that_find_no_room_are_written_in_order_and_whole_once_there_is() {
        let mut table = on_a_disk(9);
        table.record(&["first", "1"]).unwrap();
        assert!(table.record(&["second", "2"]).is_err());
        assert!(table.record(&["third", "3"]).is_err());
        assert_eq!(table.rows_waiting(), 2);
        table.file.room = 1000;
        table.record(&["fourth", "4"]).unwrap();
        assert_eq!(table.rows_waiting(), 0);
        assert_eq!(String::from_utf8(table.file.written).unwrap(), "first,1\nsecond,2\nthird,3\nfourth,4\n");
    }

    #[test]
    fn what_neither_disk_nor_memory_have_room_for_is_counted() {
        let mut table = on_a_disk(0);
        let row = "x".repeat(WAITING_BYTES / 2 - 1);
        for _ in 0..4 {
            assert!(table.record(&[&row]).is_err());
        }
        assert_eq!(table.rows_lost(), 2);
    }

    #[test]
    fn a_torn_last_row_is_cut_off_and_the_file_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.csv");
        fs::write(&path, "a,b\n1,2\n3,").unwrap();
        let mut table = TableWriter::reopen(path.clone()).unwrap();
        let busy = TableWriter::reopen(path.clone()).unwrap_err().to_string();
        assert!(busy.contains("still records here"), "{busy}");
        assert_eq!(table.remove_torn_row().unwrap(), 2);
        table.record(&["5", "6"]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n1,2\n5,6\n");
        assert!(TableWriter::create(path, &["a"]).is_err(), "what is there is not written over");
    }

    #[test]
    fn rows_of_a_file_that_was_removed_or_replaced_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.csv");
        let mut table = TableWriter::create(path.clone(), &["a"]).unwrap();
        let recorded = |table: &mut TableWriter| {
            table.check();
            table.record(&["1"]).map_err(|error| error.to_string())
        };
        assert_eq!(recorded(&mut table), Ok(()));
        let moved = directory.path().join("moved.csv");
        fs::rename(&path, &moved).unwrap();
        assert_eq!(recorded(&mut table), Err("the file was removed".into()));
        fs::write(&path, "").unwrap();
        assert_eq!(recorded(&mut table), Err("the file was replaced".into()));
        assert_eq!(table.rows_waiting(), 2);
        fs::rename(&moved, &path).unwrap();
        assert_eq!(recorded(&mut table), Ok(()), "it is back");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n1\n1\n1\n1\n");
    }
}
