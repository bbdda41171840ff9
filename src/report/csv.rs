//! CSV format (RFC 4180): every field in every row, empty where it does not belong or is missing.

use std::io::{self, Write};

use super::field::Kind;
use super::value::Value;

#[derive(Debug, Default)]
pub(super) struct Csv {
    header_written: bool,
}

impl Csv {
    pub(super) fn render<'a, K: Kind>(
        &mut self,
        snapshot: &'a K::Snapshot<'a>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        if !self.header_written {
            self.header_written = true;
            for (index, field) in K::FIELDS.iter().enumerate() {
                separate(index, out)?;
                out.write_all(field.name.as_bytes())?;
            }
            out.push(b'\n');
        }
        for (index, field) in K::FIELDS.iter().enumerate() {
            separate(index, out)?;
            if field.is_in(K::record(snapshot)) {
                cell((field.value)(snapshot), out)?;
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

fn separate(index: usize, out: &mut Vec<u8>) -> io::Result<()> {
    if index > 0 {
        out.write_all(b",")?;
    }
    Ok(())
}

fn cell(value: Value<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    match value {
        Value::Missing => Ok(()),
        Value::Unlimited => out.write_all(b"unlimited"),
        Value::Whole(number) => write!(out, "{number}"),
        Value::Decimal(number, decimals) => write!(out, "{}", Value::rounded(number, decimals)),
        Value::Time(time) => write!(out, "{}", humantime::format_rfc3339_millis(time)),
        Value::Text(text) => quoted(text, out),
        Value::Settings(settings) => {
            // As on a command line; none of the values needs quoting.
            for (index, (name, value)) in settings.iter().enumerate() {
                let space = if index > 0 { " " } else { "" };
                write!(out, "{space}--{name} {value}")?;
            }
            Ok(())
        }
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    if !text.contains([',', '"', '\n', '\r']) {
        return out.write_all(text.as_bytes());
    }
    out.push(b'"');
    for part in text.split_inclusive('"') {
        out.write_all(part.as_bytes())?;
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_quoted() {
        let cell_of = |text| {
            let mut out = Vec::new();
            quoted(text, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cell_of("/kubepods/a b"), "/kubepods/a b");
        assert_eq!(cell_of("a,b"), "\"a,b\"");
        assert_eq!(cell_of("a\"b"), "\"a\"\"b\"");
    }
}
