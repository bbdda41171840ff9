//! Fuzz target: any HTTP request is parsed or refused, and trailing bytes change no answer. The first byte says where the input
//! is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workload::http::Request;

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = input.split_first() else { return };
    let whole = Request::parse(bytes);
    let length = bytes.len() * usize::from(*cut) / 256;
    let part = Request::parse(&bytes[..length]);
    assert!(
        part == Request::Incomplete || part == whole,
        "{part:?} after {length} bytes, {whole:?} in the end"
    );
});
