//! Audit: which requests were made, by whom, when, and how they were answered, in a form in which
//! no change goes unnoticed (docs/promises.md, "P7. Everything is audited";
//! docs/adr/0008-chains-of-an-hour-seals-and-facets.md).
//!
//! Each instance of a function writes *chains* of records: every record names the SHA-256 of the
//! one before it. A chain belongs to the hour in which it began, so that a range of hours can be
//! verified by itself. A scheduled job *seals* the heads of all chains: it signs them with a key
//! that the writers of records do not have. It also adds the sealed records to a counted index,
//! from which `GET /admin/audit` lists them.
//!
//! | module | what lives there |
//! |---|---|
//! | [`record`] | what is recorded of a request, and the links of a chain |
//! | [`seal`] | what a seal states, and how seals follow one another |
//! | [`facets`] | how sealed records are indexed |
//! | [`verify`] | the offline verification |
//!
//! May use: [`values`](crate::values), [`storage`](crate::storage),
//! [`projections`](crate::projections) (the counted index).

pub mod facets;
pub mod record;
pub mod seal;
pub mod verify;

pub use record::{AuditRecord, AuditedRequest, AuthMethod, ChainWriter, ChainedRecord, Principal};
