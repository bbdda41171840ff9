//! JSON lines: an object a record, numbers as numbers, `null` for what the kernel does not tell.

use std::io;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::field::FIELDS;
use super::snapshot::Snapshot;

pub(super) fn render(snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Object(snapshot))?;
    out.push(b'\n');
    Ok(())
}

struct Object<'a>(&'a Snapshot<'a>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in FIELDS.iter().filter(|field| field.is_in(self.0.record)) {
            map.serialize_entry(field.name, &(field.value)(self.0))?;
        }
        map.end()
    }
}
