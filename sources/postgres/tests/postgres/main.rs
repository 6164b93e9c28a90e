//! The source's SQL, backfill and relay beside a real PostgreSQL.

mod backfill;
mod changes;
mod histories;
mod installing;
mod platform;
mod relaying;
mod server;
mod troubles;
