//! Text format: an aligned table.

use std::io::{self, Write};

use super::field::{Field, Kind, Record, Unit};
use super::value::Value;
use crate::quantity::Bytes;

/// Rows after which the heading is repeated, so that it stays in sight.
const ROWS_PER_HEADING: usize = 24;
const COLUMN_WIDTH: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Text {
    rows: usize,
}

impl Text {
    pub(super) fn render<'a, K: Kind>(
        &mut self,
        snapshot: &'a K::Snapshot<'a>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let record = K::record(snapshot);
        match record {
            Record::Start => K::introduction(snapshot, out)?,
            Record::Report | Record::End(_) => {}
        }
        if self.rows.is_multiple_of(ROWS_PER_HEADING) {
            heading::<K>(out)?;
        }
        self.rows += 1;
        row::<K>(snapshot, out)?;
        K::trouble(snapshot, out)?;
        writeln!(out)?;
        match record {
            Record::End(reason) => K::conclusion(snapshot, reason, out),
            Record::Start | Record::Report => Ok(()),
        }
    }
}

fn columns<K: Kind>() -> impl Iterator<Item = (&'static Field<K>, &'static str)> {
    K::FIELDS.iter().filter_map(|field| Some((field, field.column?)))
}

fn heading<K: Kind>(out: &mut Vec<u8>) -> io::Result<()> {
    for (index, (_, heading)) in columns::<K>().enumerate() {
        let space = if index > 0 { "  " } else { "" };
        write!(out, "{space}{heading:>COLUMN_WIDTH$}")?;
    }
    writeln!(out)
}

fn row<'a, K: Kind>(snapshot: &'a K::Snapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
    for (index, (field, _)) in columns::<K>().enumerate() {
        if index > 0 {
            write!(out, "  ")?;
        }
        let start = out.len();
        cell(field.unit, (field.value)(snapshot), out)?;
        let width = out.len() - start;
        // To the right: written first, moved behind its blanks then.
        let blanks = COLUMN_WIDTH.saturating_sub(width);
        out.resize(out.len() + blanks, b' ');
        if let Some(written) = out.get_mut(start..) {
            written.rotate_right(blanks);
        }
    }
    Ok(())
}

pub(super) fn cell(unit: Unit, value: Value<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    match (unit, value) {
        (_, Value::Missing) => write!(out, "-"),
        (_, Value::Unlimited) => write!(out, "unlimited"),
        (Unit::Bytes, Value::Whole(bytes)) => write!(out, "{}", Bytes(bytes).rounded()),
        (Unit::Cores, Value::Decimal(cores, _)) => write!(out, "{cores:.4}"),
        (Unit::Seconds, Value::Decimal(seconds, _)) => write!(out, "{seconds:.3} s"),
        (Unit::PerSecond, Value::Decimal(rate, _)) => write!(out, "{rate:.0}"),
        (_, Value::Whole(number)) => write!(out, "{number}"),
        (_, Value::Decimal(number, decimals)) => write!(out, "{}", Value::rounded(number, decimals)),
        (_, Value::Text(text)) => write!(out, "{text}"),
        (_, Value::Time(time)) => write!(out, "{}", humantime::format_rfc3339_millis(time)),
        (_, Value::Settings(_)) => Ok(()),
    }
}
