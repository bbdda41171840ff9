//! The names of a struct's fields, from its own declaration: so that a header cannot differ from the rows below it.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The names of the fields of a struct that derives `Deserialize`.
pub(crate) fn of<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
    let mut names = Vec::new();
    // It ends with an error by design: there is nothing to make a value from.
    let _ = T::deserialize(Asks(&mut names));
    names
}

struct Asks<'n>(&'n mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Asks<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("only the names are asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.extend_from_slice(fields);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use crate::rows::EventRow;

    #[test]
    fn the_names_of_a_row_s_fields_are_those_it_declares() {
        let names = super::of::<EventRow>();
        assert_eq!(names.first(), Some(&"time"));
        assert_eq!(names.last(), Some(&"count"));
        assert_eq!(names.len(), 9);
    }
}
