//! Reports: wanted beside observed values, in formats that follow one list of fields.

mod component;
mod csv;
mod field;
mod json;
pub mod metrics;
mod node;
mod text;
mod value;
mod workload;

pub use component::{ComponentReport, ComponentSnapshot};
pub use field::{Field, Kind, Record, Scope, Unit};
pub use node::{NodeReport, NodeSnapshot, NodeStart};
pub use value::Value;
pub use workload::{Snapshot, Start, Wanted, WorkloadReport};

use std::io;

use csv::Csv;
use text::Text;

/// The formats that reports can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An aligned table for people.
    Text,
    /// A JSON object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// Turns snapshots into lines. Allocates nothing once its buffer has the size of the longest record.
#[derive(Debug)]
pub struct Writer {
    encoder: Encoder,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Encoder {
    Text(Text),
    Json,
    Csv(Csv),
}

/// Longer than any record but for paths of cgroups beyond reason.
const RECORD_BYTES: usize = 8 << 10;

impl Writer {
    /// A writer of one format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let encoder = match format {
            Format::Text => Encoder::Text(Text::default()),
            Format::Json => Encoder::Json,
            Format::Csv => Encoder::Csv(Csv::default()),
        };
        Self { encoder, buffer: Vec::with_capacity(RECORD_BYTES) }
    }

    /// The whole record, its newline and what belongs in front of it (a header) included, for one `write`.
    ///
    /// # Errors
    /// None in practice: writing to memory does not fail.
    pub fn render<'a, K: Kind>(&mut self, snapshot: &'a K::Snapshot<'a>) -> io::Result<&[u8]> {
        self.buffer.clear();
        self.append::<K>(snapshot)?;
        Ok(&self.buffer)
    }

    /// The same for records that belong together, for one `write`.
    ///
    /// # Errors
    /// None in practice.
    pub fn render_all<'a, K: Kind>(&mut self, snapshots: &'a [K::Snapshot<'a>]) -> io::Result<&[u8]> {
        self.buffer.clear();
        for snapshot in snapshots {
            self.append::<K>(snapshot)?;
        }
        Ok(&self.buffer)
    }

    fn append<'a, K: Kind>(&mut self, snapshot: &'a K::Snapshot<'a>) -> io::Result<()> {
        match &mut self.encoder {
            Encoder::Text(text) => text.render::<K>(snapshot, &mut self.buffer),
            Encoder::Json => json::render::<K>(snapshot, &mut self.buffer),
            Encoder::Csv(csv) => csv.render::<K>(snapshot, &mut self.buffer),
        }
    }
}
