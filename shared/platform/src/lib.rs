//! The edges of the system: everything that touches the network, the clock, the environment or randomness. What to read
//! and write is decided in `shared/domain`; this crate executes it.
//!
//! | module | what it does |
//! |---|---|
//! | [`serve`] | surrounds every endpoint: admission, audit record, log line, answer |
//! | [`authentication`] | authenticates and authorises callers: API keys, session tokens, roles |
//! | `limit`, `key_use` | rate limits, and when API keys were last used |
//! | [`audit`] | the audit trail: one record for each request, and the job that seals them |
//! | `deactivation` | deactivates and reactivates users |
//! | [`outbox`] | sends the commands of deactivations |
//! | [`consume`] | from a batch of messages to the event log and the projections |
//! | `commit_reads` | executes the reads of a commit plan |
//! | [`store`] | DynamoDB |
//! | [`queue`], [`sqs`] | SQS: messages out, and batches of messages in |
//! | [`respond`], [`routes`], [`error`] | HTTP: answers, paths, and the map from errors to statuses |
//! | [`lambda`] | runs functions on the Lambda runtime: payloads in, answers and named errors out |
//! | [`start`], [`logging`], [`metrics`] | how a function starts, logs and emits metrics |
//! | [`guard`], [`retry`] | deadlines, panics and retries |
//! | [`aws`] | what all AWS clients of a process share |
//! | [`compression`] | zstd, for what is stored |
//! | [`config`] | the only reader of the environment |
//! | [`clock`] | the only reader of the clock and of randomness |
#![warn(missing_docs)]

pub mod audit;
pub mod authentication;
pub mod aws;
pub mod clock;
mod commit_reads;
pub mod compression;
pub mod config;
pub mod consume;
mod deactivation;
pub mod error;
pub mod guard;
mod key_use;
pub mod lambda;
mod limit;
pub mod logging;
pub mod metrics;
pub mod outbox;
pub mod queue;
pub mod respond;
pub mod retry;
pub mod routes;
pub mod serve;
pub mod sqs;
pub mod start;
pub mod store;

/// A function makes very many small allocations, with which the C library's allocator takes 10 to 20 % of its processor
/// time (docs/adr/0028-reads-without-orchestration.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
