//! Values: the small types that everything else is written in.
//!
//! Lives here: times, identifiers, digests, trace contexts, and what is done to texts from outside. A value is checked
//! when it is made and cannot be wrong later.
//! May use: nothing else of this crate.

pub(crate) mod checked;
pub mod digest;
pub mod ids;
pub mod json;
mod schema;
pub mod text;
pub mod time;
pub mod trace;
