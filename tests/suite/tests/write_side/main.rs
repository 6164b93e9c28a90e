//! The write side: from a message of the queue, or a webhook, to the projections, whatever fails on the way.

mod consumer;
mod convergence;
mod crashes;
mod events;
mod extremes;
mod people;
mod queue;
mod races;
mod webhook;
