//! What a stack holds when it has started: the admin, a history, and what an earlier run kept in
//! its folder.
//!
//! | file | what lives there |
//! |---|---|
//! | [`folder`] | the folder of `--data`: keys, and how far seeding came |
//! | [`seed`] | a random history of users, tasks and executions, as events |
//! | [`history`] | `--history`: such events at any number, written into the log and built from it |
//! | [`load`] | puts messages on the queue and waits until they are consumed |
//! | [`log_tail`] | projects what an earlier run received before it was killed |
//! | [`send`] | `cargo dev send`: the same with a file, for a running stack |
//!
//! Uses [`queue`](crate::queue) and [`store`](crate::store): data comes in as events, like the
//! platform's. Those of a large history are not sent one by one: it is a log and what follows from it.

pub mod folder;
pub mod history;
pub mod load;
pub mod log_tail;
pub mod seed;
pub mod send;
