//! A table of a run directory, column by column, each with one type: a table that is held in memory once.

use std::collections::HashMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::dataset::{Malformed, TableReader, TableRow, Unreadable, quoted};
use crate::progress::Observer;
use ramp_format::rows::{
    Column, ComponentRow, EventRow, LimitRow, NodeRow, PodRow, StepRow, Table, WorkloadRow,
};

/// A table by its file, and the columns that it is declared to have.
#[derive(Clone, Debug)]
pub struct TableKind {
    /// Its file.
    pub file: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
}

impl TableKind {
    /// All tables of a run directory.
    #[must_use]
    pub fn all() -> [Self; 7] {
        [
            Self::of::<StepRow>(),
            Self::of::<PodRow>(),
            Self::of::<NodeRow>(),
            Self::of::<WorkloadRow>(),
            Self::of::<ComponentRow>(),
            Self::of::<LimitRow>(),
            Self::of::<EventRow>(),
        ]
    }

    fn of<T: Table>() -> Self {
        Self { file: T::FILE, columns: T::columns() }
    }

    /// Its name: that of the file without its ending.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.file.strip_suffix(".csv").unwrap_or(self.file)
    }
}

/// A table in memory.
#[derive(Clone, Debug)]
pub struct ColumnTable {
    /// Its columns, in the order in which they are declared; those that the file lacks are empty.
    pub columns: Vec<TableColumn>,
    /// Its rows.
    pub rows: usize,
}

/// A column.
#[derive(Clone, Debug)]
pub struct TableColumn {
    /// Its name and meaning.
    pub column: Column,
    /// Its cells.
    pub values: ColumnValues,
}

/// Cells of a column. What is missing is [`MISSING`](Self::MISSING) in whole numbers, times and references, and NaN in others.
#[derive(Clone, Debug)]
pub enum ColumnValues {
    /// Whole numbers.
    Integer(Vec<i64>),
    /// Numbers; infinite where there is no limit.
    Number(Vec<f64>),
    /// 1 or 0.
    Boolean(Vec<i64>),
    /// Milliseconds since 1970.
    Time(Vec<i64>),
    /// Texts, by reference.
    Text(Texts),
}

/// Texts of a column, each held once.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    known: Vec<String>,
    by_text: HashMap<String, i64>,
    cells: Vec<i64>,
}

impl Texts {
    fn push(&mut self, text: Option<&str>) {
        let at = text.map_or(ColumnValues::MISSING, |text| match self.by_text.get(text) {
            Some(at) => *at,
            None => {
                let at = self.known.len() as i64;
                self.known.push(text.to_owned());
                self.by_text.insert(text.to_owned(), at);
                at
            }
        });
        self.cells.push(at);
    }

    /// The text of a row; none where it is missing.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        let at = usize::try_from(*self.cells.get(row)?).ok()?;
        self.known.get(at).map(String::as_str)
    }

    /// A number for the text of each row: the same for the same text.
    #[must_use]
    pub fn references(&self) -> &[i64] {
        &self.cells
    }
}

/// Columns of whole numbers in which `unlimited` may stand, and of reports alone.
const LIMITS: [&str; 6] = [
    "memory_target_bytes",
    "memory_limit_bytes",
    "memory_high_bytes",
    "memory_soft_limit_bytes",
    "memory_swap_limit_bytes",
    "memory_and_swap_limit_bytes",
];
/// Columns of texts that are times by another clock.
const TIMES: [&str; 2] = ["sample_time", "report_time"];

impl ColumnValues {
    /// What stands for a missing cell.
    pub const MISSING: i64 = i64::MIN;

    pub(super) fn of(column: &Column) -> Self {
        match column.data_type {
            _ if TIMES.contains(&column.name) => Self::Time(Vec::new()),
            _ if LIMITS.contains(&column.name) => Self::Number(Vec::new()),
            "integer" => Self::Integer(Vec::new()),
            "number" => Self::Number(Vec::new()),
            "boolean" => Self::Boolean(Vec::new()),
            "time" => Self::Time(Vec::new()),
            _ => Self::Text(Texts::default()),
        }
    }

    fn push(&mut self, row: &TableRow<'_>, column: Option<usize>) -> Result<(), Malformed> {
        let text = column.map_or(Ok(None), |column| row.text(column))?;
        let wrong = |expected: &str| row.malformed(column, quoted(text.unwrap_or_default()), expected);
        let parsed = |parse: fn(&str) -> Option<i64>, expected| match text {
            None => Ok(Self::MISSING),
            Some(text) => parse(text).ok_or_else(|| wrong(expected)),
        };
        match self {
            Self::Integer(cells) => cells.push(parsed(|text| text.parse().ok(), "a whole number")?),
            Self::Boolean(cells) => cells.push(parsed(boolean, "true or false")?),
            Self::Time(cells) => cells.push(parsed(milliseconds, "a time as in 2026-11-27T06:30:00.000Z")?),
            Self::Number(cells) => cells.push(match text {
                None => f64::NAN,
                Some("unlimited") => f64::INFINITY,
                Some(text) => {
                    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                    number.ok_or_else(|| wrong("a number"))?
                }
            }),
            Self::Text(texts) => texts.push(text),
        }
        Ok(())
    }

    /// The number of a row; none where it is missing or none.
    #[must_use]
    pub fn number(&self, row: usize) -> Option<SampleValue> {
        match self {
            Self::Integer(cells) | Self::Boolean(cells) => {
                cells.get(row).filter(|cell| **cell != Self::MISSING).map(|cell| SampleValue::Integer(*cell))
            }
            Self::Number(cells) => {
                cells.get(row).filter(|cell| !cell.is_nan()).map(|cell| SampleValue::Number(*cell))
            }
            Self::Time(_) | Self::Text(_) => None,
        }
    }
}

/// A number of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleValue {
    /// A whole one.
    Integer(i64),
    /// Any other.
    Number(f64),
}

fn boolean(text: &str) -> Option<i64> {
    text.parse::<bool>().ok().map(i64::from)
}

fn milliseconds(text: &str) -> Option<i64> {
    let since_1970 = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_millis()).ok()
}

impl ColumnTable {
    /// Reads a table of a run directory. Without a file, or without a header, it has no rows; a torn last row is left out.
    ///
    /// # Errors
    /// Where something in it is not what it should be.
    pub fn read(directory: &Path, kind: &TableKind, observer: &Observer) -> Result<Self, Unreadable> {
        let file = directory.join(kind.file);
        let columns = kind.columns.iter();
        let columns = columns.map(|column| TableColumn { column: *column, values: ColumnValues::of(column) });
        let mut table = Self { columns: columns.collect(), rows: 0 };
        let Some(mut reader) = (match TableReader::open_begun(&file, observer) {
            Err(Unreadable::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => None,
            opened => opened?,
        }) else {
            return Ok(table);
        };
        let places: Vec<Option<usize>> =
            kind.columns.iter().map(|column| reader.column(column.name)).collect();
        reader.rows(|row| {
            for (column, place) in table.columns.iter_mut().zip(&places) {
                column.values.push(row, *place)?;
            }
            table.rows += 1;
            Ok(())
        })?;
        Ok(table)
    }

    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.column.name == name)
    }

    /// Texts of a column.
    #[must_use]
    pub fn texts(&self, name: &str) -> Option<&Texts> {
        match &self.column(name)?.values {
            ColumnValues::Text(texts) => Some(texts),
            _ => None,
        }
    }

    /// Numbers of a column that may have decimals.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Option<&[f64]> {
        match &self.column(name)?.values {
            ColumnValues::Number(numbers) => Some(numbers),
            _ => None,
        }
    }
}
