//! Access: who is admitted with which credentials, how often, and what is recorded of it.

mod admission;
mod api_keys;
mod audit;
mod authentication;
mod consistency;
mod limits;
mod payloads;
mod sealing_key;
