//! Tables as Arrow IPC files (Feather V2): what `pandas.read_feather`, `polars.read_ipc`, DuckDB and R read without parsing.
//!
//! One file for each table. A row begins with what it is of: `run`, `runtime`, and of a study `block` and `cell`; then come the columns
//! that docs/run-format.md lists, the same for each run. Whole numbers are `int64`, other numbers and limits (infinite where there is none)
//! `float64`, times `timestamp[ms, UTC]`, and a missing cell is null.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::ExportError;
use super::columns::{ColumnTable, ColumnValues, TableColumn, TableKind};
use super::context::{ExportedRun, ExportedRuns};
use super::ipc::{ArrowArray, ArrowField, ArrowFile, ArrowType};
use crate::progress::Observer;

/// Rows of a batch at most: what is in memory beside a table.
const BATCH_ROWS: usize = 1 << 16;

/// Columns before those of a table, of a run and of a study.
const CONTEXT: [ArrowField; 4] = [
    ArrowField { name: "run", data_type: ArrowType::Text, description: "ID of the run" },
    ArrowField {
        name: "runtime",
        data_type: ArrowType::Text,
        description: "runtime of the run; null of a mixed run",
    },
    ArrowField {
        name: "block",
        data_type: ArrowType::Integer,
        description: "block of the study; 0 for the warm-up",
    },
    ArrowField { name: "cell", data_type: ArrowType::Text, description: "cell of the study" },
];

/// Writes a file for each table into a directory. Their paths.
///
/// # Errors
/// Where a table cannot be read, or a file not be written.
pub fn write_tables(
    runs: &ExportedRuns,
    directory: &Path,
    observer: &Observer,
) -> Result<Vec<PathBuf>, ExportError> {
    TableKind::all().into_iter().map(|kind| write_table(&kind, runs, directory, observer)).collect()
}

fn write_table(
    kind: &TableKind,
    runs: &ExportedRuns,
    directory: &Path,
    observer: &Observer,
) -> Result<PathBuf, ExportError> {
    let path = directory.join(format!("{}.arrow", kind.name()));
    let written = ExportError::written(&path);
    let out = BufWriter::new(File::create(&path).map_err(&written)?);
    let context = if runs.is_study { &CONTEXT[..] } else { &CONTEXT[..2] };
    let columns = kind.columns.iter().map(|column| ArrowField {
        name: column.name,
        data_type: ColumnValues::of(column).arrow_type(),
        description: column.description.trim(),
    });
    let mut file =
        ArrowFile::begin(out, context.iter().cloned().chain(columns).collect()).map_err(&written)?;
    for run in &runs.runs {
        let table = ColumnTable::read(&run.directory, kind, observer)?;
        write_rows(&mut file, run, context.len(), &table).map_err(&written)?;
    }
    file.end().map_err(&written)?;
    Ok(path)
}

fn write_rows(
    file: &mut ArrowFile<impl Write>,
    run: &ExportedRun,
    context: usize,
    table: &ColumnTable,
) -> io::Result<()> {
    for begin in (0..table.rows).step_by(BATCH_ROWS) {
        let rows = begin..table.rows.min(begin + BATCH_ROWS);
        let count = rows.len();
        let place = run.place.as_ref();
        let own = [
            texts(std::iter::repeat_n(Some(run.run.run.as_str()), count))?,
            texts(std::iter::repeat_n(run.runtime.as_deref(), count))?,
            integers(std::iter::repeat_n(
                place.map_or(ColumnValues::MISSING, |place| place.block.into()),
                count,
            )),
            texts(std::iter::repeat_n(place.map(|place| place.cell.as_str()), count))?,
        ];
        let mut arrays: Vec<ArrowArray> = own.into_iter().take(context).collect();
        for column in &table.columns {
            arrays.push(array(column, rows.clone())?);
        }
        file.batch(count, &arrays)?;
    }
    Ok(())
}

impl ColumnValues {
    fn arrow_type(&self) -> ArrowType {
        match self {
            Self::Integer(_) => ArrowType::Integer,
            Self::Number(_) => ArrowType::Number,
            Self::Boolean(_) => ArrowType::Boolean,
            Self::Time(_) => ArrowType::Time,
            Self::Text(_) => ArrowType::Text,
        }
    }
}

fn array(column: &TableColumn, rows: std::ops::Range<usize>) -> io::Result<ArrowArray> {
    Ok(match &column.values {
        ColumnValues::Integer(cells) | ColumnValues::Time(cells) => {
            integers(cells.get(rows).unwrap_or_default().iter().copied())
        }
        ColumnValues::Boolean(cells) => {
            let cells = cells.get(rows).unwrap_or_default();
            let values = bits(cells.iter().map(|cell| *cell == 1));
            with_validity(cells.iter().map(|cell| *cell != ColumnValues::MISSING), vec![values])
        }
        ColumnValues::Number(cells) => {
            let cells = cells.get(rows).unwrap_or_default();
            let known = |cell: &f64| if cell.is_nan() { 0.0 } else { *cell };
            let values = cells.iter().flat_map(|cell| known(cell).to_le_bytes()).collect();
            with_validity(cells.iter().map(|cell| !cell.is_nan()), vec![values])
        }
        ColumnValues::Text(cells) => texts(rows.map(|row| cells.get(row)))?,
    })
}

fn integers(cells: impl Iterator<Item = i64> + Clone) -> ArrowArray {
    let known = |cell| if cell == ColumnValues::MISSING { 0_i64 } else { cell };
    let values = cells.clone().flat_map(|cell| known(cell).to_le_bytes()).collect();
    with_validity(cells.map(|cell| cell != ColumnValues::MISSING), vec![values])
}

fn texts<'t>(cells: impl Iterator<Item = Option<&'t str>> + Clone) -> io::Result<ArrowArray> {
    let (mut offsets, mut bytes) = (0_i32.to_le_bytes().to_vec(), Vec::new());
    for cell in cells.clone() {
        bytes.extend_from_slice(cell.unwrap_or_default().as_bytes());
        let end = i32::try_from(bytes.len())
            .map_err(|_| io::Error::other("a column has more than 2 GiB of text"))?;
        offsets.extend_from_slice(&end.to_le_bytes());
    }
    Ok(with_validity(cells.map(|cell| cell.is_some()), vec![offsets, bytes]))
}

/// An array with these buffers behind that of its validity, which is empty where nothing is missing.
fn with_validity(known: impl Iterator<Item = bool> + Clone, values: Vec<Vec<u8>>) -> ArrowArray {
    let missing = known.clone().filter(|known| !known).count();
    let validity = if missing == 0 { Vec::new() } else { bits(known) };
    ArrowArray { missing, buffers: std::iter::once(validity).chain(values).collect() }
}

/// A bit for each cell, the lowest first.
fn bits(cells: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, cell) in cells.enumerate() {
        if at % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut() {
            *last |= u8::from(cell) << (at % 8);
        }
    }
    bytes
}
