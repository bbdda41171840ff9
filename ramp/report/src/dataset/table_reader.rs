//! A CSV file that may be cut short or malformed: what is wrong with it is said by file, line and column.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use csv::ByteRecord;

use super::row_deserializer::NamedCells;
use crate::progress::Observer;

/// Why a dataset cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// The file system's reason.
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Why `run.json` cannot be read; the error names the file.
    RunFile(io::Error),
    /// Something stands where something else is expected.
    Malformed(Box<Malformed>),
}

/// What was found where something else is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// In which file.
    pub file: PathBuf,
    /// On which line, counted from 1.
    pub line: u64,
    /// In which column, as the header calls it; none where the whole line is meant.
    pub column: Option<String>,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, error } => {
                write!(
                    f,
                    "{}: {error} (expected a ramp run directory, a CSV file of the study, or pod latencies of kube-burner)",
                    file.display()
                )
            }
            Self::RunFile(error) => error.fmt(f),
            Self::Malformed(what) => what.fmt(f),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if let Some(column) = &self.column {
            write!(f, "column {column:?}: ")?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for Unreadable {}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(Box::new(malformed))
    }
}

/// What was found, so short that it fits into a sentence.
pub(crate) fn quoted(found: &str) -> String {
    const LONGEST: usize = 40;
    if found.is_empty() {
        return "nothing".into();
    }
    match found.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", found.get(..end).unwrap_or_default()),
        None => format!("{found:?}"),
    }
}

/// How many bytes of a file are whole lines, and how many follow. It is at its beginning then.
fn whole_bytes(source: &mut File) -> io::Result<(u64, u64)> {
    const BLOCK: u64 = 1 << 16;
    let length = source.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut block = Vec::new();
    let whole = loop {
        let begin = end.saturating_sub(BLOCK);
        source.seek(SeekFrom::Start(begin))?;
        block.clear();
        source.by_ref().take(end - begin).read_to_end(&mut block)?;
        match block.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => break begin + at as u64 + 1,
            None if begin == 0 => break 0,
            None => end = begin,
        }
    };
    source.rewind()?;
    Ok((whole, length - whole))
}

/// A table: its header, and rows of as many cells.
pub(crate) struct TableReader {
    file: PathBuf,
    header: Vec<String>,
    reader: csv::Reader<Box<dyn Read>>,
    /// Bytes of a last line that has no end.
    torn_bytes: u64,
}

/// A row of a table.
pub(crate) struct TableRow<'t> {
    file: &'t Path,
    header: &'t [String],
    record: &'t ByteRecord,
}

impl TableReader {
    /// Opens a file, and reads its header. A last line without an end was cut while it was written: nobody knows whether its last cell
    /// is whole, so that it is left out, as is what is written from now on.
    pub(super) fn open(file: &Path, observer: &Observer) -> Result<Self, Unreadable> {
        // Without a line it has no header, which is told as of any table.
        Self::open_begun(file, observer)?.map_or_else(|| Self::of(file, Vec::new()), Ok)
    }

    /// The same of a file that may have been cut off before the end of its header: there is no table then.
    pub(crate) fn open_begun(file: &Path, observer: &Observer) -> Result<Option<Self>, Unreadable> {
        let io = |error| Unreadable::Io { file: file.to_owned(), error };
        let mut source = File::open(file).map_err(io)?;
        match whole_bytes(&mut source) {
            Ok((0, _)) => Ok(None),
            Ok((whole, torn)) => Self::read(file, observer.counted(source.take(whole)), torn).map(Some),
            // A pipe has no end to look at first.
            Err(error) if error.kind() == io::ErrorKind::NotSeekable => {
                let mut text = Vec::new();
                observer.counted(source).read_to_end(&mut text).map_err(io)?;
                Self::of(file, text).map(Some)
            }
            Err(error) => Err(io(error)),
        }
    }

    /// A table from the bytes of a file.
    pub(super) fn of(file: &Path, mut text: Vec<u8>) -> Result<Self, Unreadable> {
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let torn_bytes = text.len() - whole;
        text.truncate(whole);
        Self::read(file, Box::new(io::Cursor::new(text)), torn_bytes as u64)
    }

    fn read(file: &Path, source: Box<dyn Read>, torn_bytes: u64) -> Result<Self, Unreadable> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
        let malformed = |found: String| Malformed {
            file: file.to_owned(),
            line: 1,
            column: None,
            found,
            expected: "a header line with the names of columns".into(),
        };
        let header: Vec<String> = match reader.headers() {
            Ok(header) if header.is_empty() => return Err(malformed("nothing".into()).into()),
            Ok(header) => header.iter().map(|name| name.trim().to_owned()).collect(),
            Err(error) => return Err(malformed(error.to_string()).into()),
        };
        Ok(Self { file: file.to_owned(), header, reader, torn_bytes })
    }

    /// The names of the columns, without blanks around them.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Calls a column by a name that says more, where something is wrong with it.
    pub(super) fn rename(&mut self, column: usize, name: String) {
        if let Some(old) = self.header.get_mut(column) {
            *old = name;
        }
    }

    /// What is to be said of a last line that was cut off while it was written.
    pub(super) fn torn(&self) -> Option<String> {
        (self.torn_bytes > 0)
            .then(|| format!("the last row is incomplete ({} bytes) and ignored", self.torn_bytes))
    }

    /// Where a column is, if it is there.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// Where a column is that must be there.
    pub(super) fn required(&self, name: &str) -> Result<usize, Malformed> {
        self.column(name).ok_or_else(|| Malformed {
            file: self.file.clone(),
            line: 1,
            column: None,
            found: quoted(&self.header.join(",")),
            expected: format!("a header with a column {name:?}"),
        })
    }

    /// Hands over each row. They have as many cells as the header.
    pub(crate) fn rows(
        &mut self,
        mut take: impl FnMut(&TableRow<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Unreadable> {
        let Self { file, header, reader, .. } = self;
        let mut record = ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(error) => return Err(Unreadable::Io { file: file.clone(), error: error.into() }),
            }
            let row = TableRow { file, header, record: &record };
            if record.len() != header.len() {
                let cells = |count: usize| format!("{count} cell{}", if count == 1 { "" } else { "s" });
                let expected = format!("{}, as in the header", cells(header.len()));
                return Err(row.malformed(None, cells(record.len()), expected).into());
            }
            take(&row)?;
        }
    }
}

impl TableRow<'_> {
    /// The line that it is on, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// Something is wrong with it.
    pub(crate) fn malformed(
        &self,
        column: Option<usize>,
        found: String,
        expected: impl Into<String>,
    ) -> Malformed {
        let column = column.and_then(|column| self.header.get(column)).cloned();
        Malformed { file: self.file.to_owned(), line: self.line(), column, found, expected: expected.into() }
    }

    /// The whole row, as what it is declared to be.
    pub(super) fn record<T: serde::de::DeserializeOwned>(&self) -> Result<T, Malformed> {
        let names = self.header.iter().enumerate();
        let cells = names
            .map(|(column, name)| Ok((name.as_str(), self.text(column)?.unwrap_or_default())))
            .collect::<Result<_, Malformed>>()?;
        let at = Cell::new(0);
        T::deserialize(NamedCells::new(cells, &at)).map_err(|error| {
            let said = error.to_string();
            if said.starts_with("missing field") {
                return self.malformed(
                    None,
                    quoted(&self.header.join(",")),
                    format!("the columns that ramp writes ({said})"),
                );
            }
            let found = self.text(at.get()).ok().flatten().unwrap_or_default();
            self.malformed(Some(at.get()), quoted(found), format!("a value that ramp writes ({said})"))
        })
    }

    /// A cell's text without blanks around it; none where it is empty.
    pub(crate) fn text(&self, column: usize) -> Result<Option<&str>, Malformed> {
        let bytes = self.record.get(column).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_| {
            self.malformed(Some(column), quoted(&String::from_utf8_lossy(bytes)), "text in UTF-8")
        })?;
        Ok(Some(text.trim()).filter(|text| !text.is_empty()))
    }

    /// Number in a cell, finite and not negative; none if the column is missing or the cell empty.
    pub(super) fn number(&self, column: impl Into<Option<usize>>) -> Result<Option<f64>, Malformed> {
        let Some(column) = column.into() else { return Ok(None) };
        let Some(text) = self.text(column)? else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
            _ => Err(self.malformed(Some(column), quoted(text), "a number, 0 or more")),
        }
    }

    /// Count in a cell; none if the column is missing or the cell empty.
    pub(super) fn count(&self, column: impl Into<Option<usize>>) -> Result<Option<u32>, Malformed> {
        let Some(column) = column.into() else { return Ok(None) };
        match self.number(column)? {
            None => Ok(None),
            Some(number) if number.fract() == 0.0 && number <= f64::from(u32::MAX) => Ok(Some(number as u32)),
            Some(_) => {
                let found = quoted(self.text(column)?.unwrap_or_default());
                Err(self.malformed(Some(column), found, "a whole number"))
            }
        }
    }

    /// Bytes in a cell; none if the column is missing or the cell empty.
    pub(super) fn bytes(&self, column: impl Into<Option<usize>>) -> Result<Option<u64>, Malformed> {
        // Up to 2^53 each number of bytes is one of these.
        Ok(self.number(column)?.map(|bytes| bytes.round() as u64))
    }

    /// A cell's time, in seconds since 1970; none where it is empty.
    pub(super) fn time(&self, column: usize) -> Result<Option<f64>, Malformed> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let since_1970 =
            humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let Some(since_1970) = since_1970 else {
            return Err(self.malformed(Some(column), quoted(text), "a time as in 2026-11-27T06:30:00.000Z"));
        };
        Ok(Some(since_1970.as_secs_f64()))
    }

    /// Where a column is, if there is one of this name.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// What must be there.
    pub(super) fn some<T>(&self, column: usize, cell: Option<T>, expected: &str) -> Result<T, Malformed> {
        cell.ok_or_else(|| self.malformed(Some(column), "nothing".into(), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> TableReader {
        TableReader::of(Path::new("data.csv"), text.as_bytes().to_vec()).unwrap()
    }

    fn first_number(text: &str) -> Result<Option<f64>, String> {
        let mut number = None;
        let mut table = table(text);
        table.rows(|row| row.number(1).map(|found| number = found)).map_err(|error| error.to_string())?;
        Ok(number)
    }

    #[test]
    fn numbers_may_have_exponents_and_blanks_and_may_be_missing() {
        assert_eq!(first_number("a,b\n1,8.41218e+06\n"), Ok(Some(8_412_180.0)));
        assert_eq!(first_number("a, b\n1, 7 \n"), Ok(Some(7.0)));
        assert_eq!(first_number("a,b\n1,\n"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said_by_file_line_and_column() {
        let said = |text: &str| first_number(text).unwrap_err();
        assert_eq!(
            said("a,b\n1,2\n3,four\n"),
            r#"data.csv:3: column "b": found "four", expected a number, 0 or more"#
        );
        assert_eq!(
            said("a,b\n1,-2\n"),
            r#"data.csv:2: column "b": found "-2", expected a number, 0 or more"#
        );
        assert_eq!(
            said("a,b\n1,NaN\n"),
            r#"data.csv:2: column "b": found "NaN", expected a number, 0 or more"#
        );
        assert_eq!(said("a,b\n1\n"), "data.csv:2: found 1 cell, expected 2 cells, as in the header");
        let long = format!("a,b\n1,{}\n", "é".repeat(100));
        assert!(said(&long).contains(&format!("{:?}…", "é".repeat(40))), "{}", said(&long));
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_told() {
        let mut table = table("a,b\n1,2\n3,4");
        assert_eq!(table.torn_bytes, 3);
        let mut lines = Vec::new();
        table
            .rows(|row| {
                lines.push(row.line());
                Ok(())
            })
            .unwrap();
        assert_eq!(lines, [2]);
    }

    #[test]
    fn a_file_without_a_header_is_none() {
        for text in ["", "a,b", "\n\n"] {
            let error = TableReader::of(Path::new("data.csv"), text.as_bytes().to_vec())
                .err()
                .map(|error| error.to_string());
            assert!(
                error
                    .as_deref()
                    .unwrap_or_default()
                    .starts_with("data.csv:1: found nothing, expected a header"),
                "{error:?}"
            );
        }
    }
}
