//! JSON format: one object per line, numbers as numbers, `null` for what the kernel does not tell.

use std::io;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::field::Kind;
use super::value::Value;

pub(super) fn render<'a, K: Kind>(snapshot: &'a K::Snapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Object::<K>(snapshot))?;
    out.push(b'\n');
    Ok(())
}

struct Object<'a, K: Kind>(&'a K::Snapshot<'a>);

impl<K: Kind> Serialize for Object<'_, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = K::record(self.0);
        let mut map = serializer.serialize_map(None)?;
        for field in K::FIELDS.iter().filter(|field| field.is_in(record)) {
            let value = (field.value)(self.0);
            if !K::OMITS_MISSING || value != Value::Missing {
                map.serialize_entry(field.name, &value)?;
            }
        }
        map.end()
    }
}
