//! Arrow IPC file format, as far as tables of numbers, times and texts need it: metadata as FlatBuffers, and buffers of cells.
//!
//! The library of Arrow has 40 dependencies and takes 200 s of CPU time to build; what it would do here is this file. The format:
//! <https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>; slots are the order of the
//! fields in `format/Schema.fbs`, `Message.fbs` and `File.fbs` of the Arrow repository.

use std::io::{self, Write};

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, UnionWIPOffset, VOffsetT, Vector, WIPOffset};

/// Type of the cells of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrowType {
    /// `int64`.
    Integer,
    /// `float64`.
    Number,
    /// `bool`.
    Boolean,
    /// `timestamp[ms, tz=UTC]`.
    Time,
    /// `utf8`.
    Text,
}

/// A field of a schema.
#[derive(Clone, Debug)]
pub(super) struct ArrowField {
    pub(super) name: &'static str,
    pub(super) data_type: ArrowType,
    /// For readers that show it.
    pub(super) description: &'static str,
}

/// Cells of a field in a batch: how many are missing, and their buffers (validity first).
#[derive(Debug, Default)]
pub(super) struct ArrowArray {
    pub(super) missing: usize,
    pub(super) buffers: Vec<Vec<u8>>,
}

const MAGIC: &[u8; 6] = b"ARROW1";
/// `MetadataVersion.V5`.
const VERSION: i16 = 4;
/// Before each message: it is no message of the format before 0.15, which had none of this.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Buffers begin at multiples of this.
const ALIGNMENT: usize = 64;

/// The n-th field of a table of FlatBuffers.
const fn slot(at: VOffsetT) -> VOffsetT {
    4 + 2 * at
}

type Table = WIPOffset<TableFinishedWIPOffset>;

/// Where a message is in the file (`Block`).
#[derive(Clone, Copy, Debug)]
struct MessageBlock {
    offset: u64,
    metadata: u32,
    body: u64,
}

/// A file of one table, written batch by batch.
pub(super) struct ArrowFile<W> {
    out: W,
    fields: Vec<ArrowField>,
    offset: u64,
    batches: Vec<MessageBlock>,
}

impl<W: Write> ArrowFile<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn begin(out: W, fields: Vec<ArrowField>) -> io::Result<Self> {
        let mut file = Self { out, fields, offset: 0, batches: Vec::new() };
        file.write(MAGIC)?;
        file.pad(8)?;
        let mut builder = FlatBufferBuilder::new();
        let schema = schema(&mut builder, &file.fields);
        // MessageHeader.Schema
        message(&mut builder, 1, schema.as_union_value(), 0);
        file.metadata(builder.finished_data())?;
        Ok(file)
    }

    /// Writes rows.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn batch(&mut self, rows: usize, arrays: &[ArrowArray]) -> io::Result<()> {
        let mut builder = FlatBufferBuilder::new();
        let (header, body) = record_batch(&mut builder, rows, arrays);
        // MessageHeader.RecordBatch
        message(&mut builder, 3, header, body);
        let offset = self.offset;
        let metadata = self.metadata(builder.finished_data())?;
        for buffer in arrays.iter().flat_map(|array| &array.buffers) {
            self.write(buffer)?;
            self.pad(ALIGNMENT)?;
        }
        self.batches.push(MessageBlock { offset, metadata, body });
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn end(mut self) -> io::Result<W> {
        // End of the stream of messages.
        self.write(&CONTINUATION)?;
        self.write(&0_u32.to_le_bytes())?;
        let mut builder = FlatBufferBuilder::new();
        let schema = schema(&mut builder, &self.fields);
        let none = structs::<3>(&mut builder, &[]);
        let blocks = self.batches.iter().map(|batch| [batch.offset, batch.metadata.into(), batch.body]);
        let batches = structs(&mut builder, &blocks.collect::<Vec<_>>());
        let footer = builder.start_table();
        builder.push_slot_always(slot(0), VERSION);
        builder.push_slot_always(slot(1), schema);
        builder.push_slot_always(slot(2), none);
        builder.push_slot_always(slot(3), batches);
        let footer = builder.end_table(footer);
        builder.finish_minimal(footer);
        let footer = builder.finished_data().to_vec();
        self.write(&footer)?;
        self.write(&(footer.len() as u32).to_le_bytes())?;
        self.write(MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn pad(&mut self, to: usize) -> io::Result<()> {
        let over = self.offset as usize % to;
        self.write(&vec![0; (to - over) % to])
    }

    /// Writes the metadata of a message. Its length, with the prefix and padding.
    fn metadata(&mut self, bytes: &[u8]) -> io::Result<u32> {
        // The body begins at a multiple of the alignment.
        let before = self.offset as usize + 8 + bytes.len();
        let padded = bytes.len() + before.next_multiple_of(ALIGNMENT) - before;
        self.write(&CONTINUATION)?;
        self.write(&(padded as u32).to_le_bytes())?;
        self.write(bytes)?;
        self.pad(ALIGNMENT)?;
        Ok(padded as u32 + 8)
    }
}

/// The header of a message, whatever it is.
type Header = WIPOffset<UnionWIPOffset>;

fn message(builder: &mut FlatBufferBuilder<'_>, kind: u8, header: Header, body: u64) {
    let table = builder.start_table();
    builder.push_slot_always(slot(0), VERSION);
    builder.push_slot_always(slot(1), kind);
    builder.push_slot_always(slot(2), header);
    builder.push_slot_always(slot(3), body);
    let table = builder.end_table(table);
    builder.finish_minimal(table);
}

fn schema(builder: &mut FlatBufferBuilder<'_>, fields: &[ArrowField]) -> Table {
    let fields: Vec<Table> = fields.iter().map(|field| self::field(builder, field)).collect();
    let fields = builder.create_vector(&fields);
    let schema = builder.start_table();
    builder.push_slot_always(slot(1), fields);
    builder.end_table(schema)
}

fn field(builder: &mut FlatBufferBuilder<'_>, field: &ArrowField) -> Table {
    let name = builder.create_string(field.name);
    let (kind, data_type) = data_type(builder, field.data_type);
    let [key, value] = ["description", field.description].map(|text| builder.create_string(text));
    let description = builder.start_table();
    builder.push_slot_always(slot(0), key);
    builder.push_slot_always(slot(1), value);
    let description = builder.end_table(description);
    let metadata = builder.create_vector(&[description]);
    let children = builder.create_vector::<Table>(&[]);
    let table = builder.start_table();
    builder.push_slot_always(slot(0), name);
    // Any cell may be missing.
    builder.push_slot_always(slot(1), true);
    builder.push_slot_always(slot(2), kind);
    builder.push_slot_always(slot(3), data_type);
    builder.push_slot_always(slot(5), children);
    builder.push_slot_always(slot(6), metadata);
    builder.end_table(table)
}

/// A type: its number in the union `Type`, and its table.
fn data_type(builder: &mut FlatBufferBuilder<'_>, data_type: ArrowType) -> (u8, Table) {
    let time_zone = (data_type == ArrowType::Time).then(|| builder.create_string("UTC"));
    let table = builder.start_table();
    let kind = match data_type {
        ArrowType::Integer => {
            builder.push_slot_always(slot(0), 64_i32);
            builder.push_slot_always(slot(1), true);
            2
        }
        ArrowType::Number => {
            // Precision.DOUBLE
            builder.push_slot_always(slot(0), 2_i16);
            3
        }
        ArrowType::Text => 5,
        ArrowType::Boolean => 6,
        ArrowType::Time => {
            // TimeUnit.MILLISECOND
            builder.push_slot_always(slot(0), 1_i16);
            if let Some(time_zone) = time_zone {
                builder.push_slot_always(slot(1), time_zone);
            }
            10
        }
    };
    (kind, builder.end_table(table))
}

/// The metadata of a batch, and how many bytes its body has.
fn record_batch(builder: &mut FlatBufferBuilder<'_>, rows: usize, arrays: &[ArrowArray]) -> (Header, u64) {
    let nodes: Vec<[u64; 2]> = arrays.iter().map(|array| [rows as u64, array.missing as u64]).collect();
    let mut body = 0;
    let buffers = arrays.iter().flat_map(|array| &array.buffers).map(|buffer| {
        let begin = body;
        body += buffer.len().next_multiple_of(ALIGNMENT) as u64;
        [begin, buffer.len() as u64]
    });
    let buffers: Vec<[u64; 2]> = buffers.collect();
    let nodes = structs(builder, &nodes);
    let buffers = structs(builder, &buffers);
    let batch = builder.start_table();
    builder.push_slot_always(slot(0), rows as u64);
    builder.push_slot_always(slot(1), nodes);
    builder.push_slot_always(slot(2), buffers);
    (builder.end_table(batch).as_union_value(), body)
}

/// A vector of structs that are made of 64-bit words, which is laid out as a vector of words with another length before it.
fn structs<'b, const WORDS: usize>(
    builder: &mut FlatBufferBuilder<'b>,
    all: &[[u64; WORDS]],
) -> WIPOffset<Vector<'b, u64>> {
    builder.start_vector::<u64>(WORDS * all.len());
    // From the end, as all of it is built.
    for word in all.iter().rev().flat_map(|words| words.iter().rev()) {
        builder.push(*word);
    }
    builder.end_vector::<u64>(all.len())
}
