//! Kernel files: opened once where descriptors allow it, re-read without allocating.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};

use super::limit::Limit;

/// Enough for nearly all files read here. Longer ones are cut: see [`KernelFile::read`].
const FILE_BUFFER: usize = 8 << 10;

/// Descriptors that kernel files leave to the rest of the process: signals, timers, requests, and one file that is open in
/// passing in each of the two threads that read.
const RESERVED: u64 = 16;

/// A kernel file, read from its start each time, without allocating.
///
/// It is kept open, so that reading it needs no memory for that; a cgroup that is deep has dozens. Where the limit on
/// descriptors is low it is opened each time.
#[derive(Debug)]
pub(super) enum KernelFile {
    /// Open.
    Kept(File),
    /// Opened for each read.
    Named(PathBuf),
}

impl KernelFile {
    /// `None` where it does not exist.
    ///
    /// # Errors
    /// Where it exists and is not readable.
    pub(super) fn find(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) if may_be_kept(&file) => Ok(Some(Self::Kept(file))),
            Ok(_) => Ok(Some(Self::Named(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` where it does not exist or is not readable.
    pub(super) fn open(path: &Path) -> Option<Self> {
        Self::find(path).ok().flatten()
    }

    /// Parses the file's present text; `None` where it cannot be read. `parse` gets 8 KiB at most: for keyed files, of which
    /// a missing line is unknown.
    pub(super) fn read<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut buffer = [0; FILE_BUFFER];
        let length = self.fill(&mut buffer)?;
        parse(valid(buffer.get(..length)?))
    }

    /// The same for files that must not be cut, such as a list or a number: `None` also where it has 8 KiB or more.
    pub(super) fn read_whole<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut buffer = [0; FILE_BUFFER];
        let length = self.fill(&mut buffer)?;
        // A full buffer may have cut it short.
        let whole = buffer.get(..length).filter(|_| length < FILE_BUFFER)?;
        parse(valid(whole))
    }

    /// The same for a limit, which is unknown where it cannot be read.
    pub(super) fn read_limit<T>(&self, parse: impl FnOnce(&str) -> Limit<T>) -> Limit<T> {
        self.read(|text| Some(parse(text))).unwrap_or(Limit::Unknown)
    }

    /// Reads from the start until the end of the file or of the buffer.
    fn fill(&self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Self::Kept(file) => fill(file, buffer),
            Self::Named(path) => fill(&File::open(path).ok()?, buffer),
        }
    }
}

/// Whether enough descriptors are left: the kernel gives the lowest one that is free.
fn may_be_kept(file: &File) -> bool {
    // Without a limit that can be read there is none that is low.
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return true };
    u64::try_from(file.as_raw_fd()).is_ok_and(|number| number.saturating_add(RESERVED) < limit)
}

fn fill(file: &File, buffer: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(length)
}

/// The text up to the first invalid byte: a cut in the middle of a character is the only way for these files
/// not to be UTF-8.
fn valid(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// A kernel file whose whole text is kept, to look up many values of one moment.
#[derive(Debug)]
pub(super) struct KernelText {
    file: Option<KernelFile>,
    buffer: Vec<u8>,
    length: usize,
}

impl KernelText {
    /// A file that does not exist has no text.
    pub(super) fn open(path: &Path) -> Self {
        Self { file: KernelFile::open(path), buffer: vec![0; FILE_BUFFER], length: 0 }
    }

    /// Reads it again. Allocates only where the file has outgrown its buffer.
    pub(super) fn refresh(&mut self) {
        loop {
            self.length = self.file.as_ref().and_then(|file| file.fill(&mut self.buffer)).unwrap_or(0);
            if self.length < self.buffer.len() {
                return;
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// As of the last [`Self::refresh`].
    pub(super) fn text(&self) -> &str {
        valid(self.buffer.get(..self.length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::parse::cpu_count;

    #[test]
    fn a_list_that_is_longer_than_the_buffer_is_unknown_and_not_counted_wrongly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cpuset.cpus.effective");
        // Every other CPU, as where each core's second thread is switched off.
        let every_other = |count: u64| (0..count).map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(",");
        std::fs::write(&path, every_other(1_000) + "\n").unwrap();
        let file = KernelFile::open(&path).unwrap();
        assert_eq!(file.read_whole(cpu_count), Some(1_000));
        std::fs::write(&path, every_other(4_096) + "\n").unwrap();
        assert_eq!(file.read_whole(cpu_count), None);
    }

    #[test]
    fn a_text_longer_than_the_buffer_is_kept_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vmstat");
        let long = "0123456789\n".repeat(2_000);
        std::fs::write(&path, &long).unwrap();
        let mut file = KernelText::open(&path);
        assert_eq!(file.text(), "");
        file.refresh();
        assert_eq!(file.text(), long);
        std::fs::write(&path, "short\n").unwrap();
        file.refresh();
        assert_eq!(file.text(), "short\n");
    }
}
