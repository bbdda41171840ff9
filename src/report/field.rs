//! Report fields, the kinds of reports and the kinds of records.

use std::fmt::Debug;
use std::io;

use super::value::Value;

/// A kind of report: what is observed for it, its fields, and the words around its table.
pub trait Kind: Clone + Copy + Debug + 'static {
    /// What one record is made from.
    type Snapshot<'a>;

    /// All fields, in the order in which they are written.
    const FIELDS: &'static [Field<Self>];

    /// Whether JSON leaves out what is missing, instead of `null`.
    const OMITS_MISSING: bool = false;

    /// Which record it is.
    fn record<'a>(snapshot: &'a Self::Snapshot<'a>) -> Record<'a>;

    /// The text before the first row of the table.
    ///
    /// # Errors
    /// Those of `out`.
    fn introduction<'a>(snapshot: &'a Self::Snapshot<'a>, out: &mut Vec<u8>) -> io::Result<()>;

    /// Troubles, appended to the row: they have no column, as a good run has none.
    ///
    /// # Errors
    /// Those of `out`.
    fn trouble<'a>(snapshot: &'a Self::Snapshot<'a>, out: &mut Vec<u8>) -> io::Result<()>;

    /// The text after the last row.
    ///
    /// # Errors
    /// Those of `out`.
    fn conclusion<'a>(snapshot: &'a Self::Snapshot<'a>, reason: &str, out: &mut Vec<u8>) -> io::Result<()>;
}

/// Which record it is.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// The first one.
    Start,
    /// One on the way.
    Report,
    /// The last one, with the reason for the end.
    End(&'a str),
}

impl Record<'_> {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Report => "report",
            Self::End(_) => "end",
        }
    }

    /// Why it ended.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Start | Self::Report => None,
            Self::End(reason) => Some(reason),
        }
    }
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Words.
    None,
    /// A point in time, RFC 3339, UTC.
    Time,
    /// Bytes.
    Bytes,
    /// CPU time per wall time.
    Cores,
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
    /// A number of tasks, on average.
    Tasks,
    /// A number of things per second.
    PerSecond,
    /// A part of a whole.
    Ratio,
}

/// Which records a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Every,
    /// The first one.
    Start,
    /// The last one.
    End,
}

/// A field of a report.
#[derive(Clone, Copy, Debug)]
pub struct Field<K: Kind> {
    /// Its name in JSON and CSV, with the unit.
    pub name: &'static str,
    /// What it means, in a line.
    pub help: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which records it belongs to.
    pub scope: Scope,
    /// Its heading in the table for people, if it has a column there.
    pub column: Option<&'static str>,
    /// Where it comes from.
    pub value: for<'a> fn(&'a K::Snapshot<'a>) -> Value<'a>,
}

impl<K: Kind> Field<K> {
    pub(super) const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        value: for<'a> fn(&'a K::Snapshot<'a>) -> Value<'a>,
    ) -> Self {
        Self { name, help, unit, scope: Scope::Every, column: None, value }
    }

    pub(super) const fn column(self, heading: &'static str) -> Self {
        Self { column: Some(heading), ..self }
    }

    pub(super) const fn only(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Whether it belongs to a record.
    #[must_use]
    pub fn is_in(&self, record: Record<'_>) -> bool {
        match self.scope {
            Scope::Every => true,
            Scope::Start => matches!(record, Record::Start),
            Scope::End => matches!(record, Record::End(_)),
        }
    }
}
