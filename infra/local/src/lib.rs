//! The local stack behind `cargo dev`: a store, a queue, a gateway and every function, on loopback.
//! Nothing here is deployed, and nothing that is deployed depends on it.
//!
//! ```text
//! cargo dev ─ args ─ stack         starts everything below in order, rebuilds on change, stops everything
//!                     ├─ store      DynamoDB: dynoxide, in this process
//!                     ├─ queue      SQS: ministack, and the poller that hands its messages to functions
//!                     ├─ functions  builds and supervises the functions' processes; the Lambda service
//!                     ├─ gateway    API Gateway in front, the Lambda Runtime API behind
//!                     ├─ platform   with `--platform`: a simulated platform, as a process
//!                     ├─ standins   Clerk and Temporal, as far as commands reach them
//!                     └─ data       the admin and a history, sent through the queue; a large history: a log
//! ```
//!
//! A request: [`gateway`] matches the route and makes a payload ▸ [`functions::runtime`] holds it
//! until a process polls ▸ the process answers over the Runtime API ▸ [`gateway::payload`] makes
//! the HTTP response. An event: [`data::load`] sends it ▸ [`queue::poller`] receives a batch ▸
//! [`functions::invoke`] invokes the consumer ▸ the poller deletes or releases each message.
//!
//! A folder may use those named before it: [`functions`], [`queue`] and [`gateway`], [`standins`]
//! and [`data`], [`stack`]. The files beside the folders are used by all of them and use no folder.

pub mod args;
pub mod clock;
pub mod console;
pub mod data;
pub mod error;
pub mod event_sources;
pub mod functions;
pub mod gateway;
pub mod http_client;
pub mod listen;
pub mod platform;
pub mod process;
pub mod project;
pub mod queue;
pub mod request_id;
pub mod stack;
pub mod standins;
pub mod store;
pub mod threads;
