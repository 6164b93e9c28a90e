//! The read side: what each endpoint answers, and how it pages.

mod answers;
mod attributes;
mod crowd;
mod details;
mod direct;
mod filters;
mod health;
mod moments;
mod paging;
mod series;
