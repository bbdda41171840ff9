//! Fuzz target: a quantity or time is refused, or survives a round trip through its printed form.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use workload::config::{Interval, TouchEvery};
use workload::quantity::{Bytes, Cores, CpuTarget, MemoryTarget, Percent, Rate};

fn parses_back<T: FromStr<Err: Display> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            match printed.parse::<T>() {
                Ok(again) => assert_eq!(again, value, "{text:?} is printed as {printed:?}"),
                Err(error) => panic!("{text:?} is printed as {printed:?}, which is refused: {error}"),
            }
        }
        // It says something.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fuzz_target!(|text: &str| {
    parses_back::<Bytes>(text);
    parses_back::<Cores>(text);
    parses_back::<Percent>(text);
    parses_back::<MemoryTarget>(text);
    parses_back::<CpuTarget>(text);
    parses_back::<Rate>(text);
    parses_back::<Interval>(text);
    parses_back::<TouchEvery>(text);
});
