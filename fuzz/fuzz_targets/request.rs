//! Whatever comes over a connection, it is understood or refused, and more of the same changes no answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workload::serve::Asked;

fuzz_target!(|bytes: &[u8]| {
    let whole = Asked::parse(bytes);
    for length in 0..bytes.len() {
        let part = Asked::parse(&bytes[..length]);
        assert!(part == Asked::More || part == whole, "{part:?} after {length} bytes, {whole:?} in the end");
    }
});
