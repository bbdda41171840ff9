//! temp
#![allow(missing_docs)]
pub mod duty;
pub mod growth;
pub mod quantity;
