//! How many events a second an installation takes: consumers over tables whose partitions, and a queue whose
//! consumers, have the limits of AWS (docs/operations/costs.md, "Scaling").
//!
//! Nothing fails here but for want of capacity. Time is simulated; whatever the consumer computes takes none of it, so
//! its processor's time is a setting.
//!
//! | module | what it does |
//! |---|---|
//! | [`platform`] | the life of a platform: users, tasks, and the events of executions |
//! | [`limits`] | what tables and queues take a second, and how long they take for it |
//! | [`meters`] | what was used and refused, by partition |
//! | [`service`] | the calls of a consumer on tables with these limits |
//! | [`mapping`] | the queue, and the event source mapping that makes batches of its messages |
//! | [`measure`] | one run, and what came of it |
//! | [`search`] | the fewest lanes and consumers that are enough |

pub mod limits;
pub mod mapping;
pub mod measure;
pub mod meters;
pub mod platform;
pub mod search;
pub mod service;
