//! The system under a seeded scheduler that fails everything, over tables and a queue in memory
//! (docs/guide/simulation.md).
//!
//! | module | what it does |
//! |---|---|
//! | [`schedule`] | what a seed makes happen |
//! | [`theme`] | what a seed's schedule is mostly about |
//! | [`installation`] | what all processes share, and whether anything is left to do |
//! | [`jobs`] | consumers, the relay, the command executor, the sealing job |
//! | [`caller`] | administrators who deactivate, reactivate and read |
//! | [`bulk`] | their requests that deactivate several users |
//! | [`administrators`] | who they are, who of them is denied access, and their rate limits |
//! | [`reads`] | what a request reads of which generation |
//! | [`webhooks`] | Clerk, which reports what happens to identities |
//! | [`operator`] | builds, promotes, rolls back and drops generations |
//! | [`releases`] | what a consumer of the release before writes differently |
//! | [`upgrade`] | what it leaves, and the rebuild that an upgrade ends with |
//! | [`check`] | what must hold once everything is quiet |
//! | [`deactivated`] | what must hold of users who were deactivated or reactivated |
//! | [`damage`] | damages projections, and has them verified and repaired |
//! | [`restoring`], [`trail`] | damages the other tables, and restores them from a copy; the audit trail, and has it verified |
//! | [`audit_index`] | what the index of the audit trail must be, and loses and rebuilds it |
//! | [`audited`] | what must hold of the audit trail |
//! | [`interrupted`] | interrupts what an operator calls, and lets calls fail meanwhile |
//! | [`tables`], [`network`] | DynamoDB's rules, in memory; the calls of a process on them |
//! | [`queue`] | SQS's rules, in memory |
//! | [`outside`] | Clerk and Temporal, as far as commands reach them |
//! | [`client`] | retries, loss and delay of any call |
//! | [`clocks`] | the clocks of processes |
//! | [`outages`] | services that refuse everything for a while |
//! | [`faults`] | what goes wrong, how often, and what has |
//! | [`defects`] | defects that are planted on purpose |
//! | [`shrink`] | a smaller schedule that fails as well |
//! | [`trace`] | what happened, in order |
//! | [`throughput`] | how many events a second are taken, with the limits of AWS and without faults |

pub mod administrators;
pub mod audit_index;
pub mod audited;
pub mod bulk;
pub mod caller;
pub mod check;
pub mod client;
pub mod clocks;
pub mod damage;
pub mod deactivated;
pub mod defects;
pub mod faults;
pub mod installation;
pub mod interrupted;
pub mod jobs;
pub mod network;
pub mod operator;
pub mod outages;
pub mod outside;
pub mod queue;
pub mod reads;
pub mod releases;
pub mod restoring;
pub mod schedule;
pub mod shrink;
pub mod tables;
pub mod theme;
pub mod throughput;
pub mod trace;
pub mod trail;
pub mod upgrade;
pub mod webhooks;
