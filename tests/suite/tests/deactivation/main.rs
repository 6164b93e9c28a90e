//! Deactivating users: the requests, the commands that carry them out elsewhere, and every fault in between.

mod changes;

mod executor;
mod faults;
mod longest_keys;
mod pauses;
