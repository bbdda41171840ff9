//! Abbreviated lists in messages.

use ramp_format::text::first_names;

/// The first five names, and how many more there are.
pub(super) fn some_of(names: &[impl AsRef<str>]) -> String {
    first_names(names, 5)
}
