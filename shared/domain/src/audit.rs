//! The audit trail: who asked for what, when, and how it ended, in a form that nobody can change unseen.
//!
//! Each function instance writes *chains*: every record names the SHA-256 of the one before it. A chain belongs to
//! the hour in which it began, so that a range of hours can be checked by itself. A scheduled job *seals* the heads of
//! all chains with a signature by a key that the writers don't have, and puts the sealed records into a counted
//! index, from which they are listed.
//!
//! | module | what |
//! |---|---|
//! | [`record`] | what is recorded, and the links of a chain |
//! | [`seal`] | what is sealed, and how seals follow one another |
//! | [`facets`] | how sealed records are indexed |
//! | [`verify`] | the offline check |

pub mod facets;
pub mod record;
pub mod seal;
pub mod verify;

pub use record::{AuditEntry, AuthMethod, Chain, Link, Principal, Record};
