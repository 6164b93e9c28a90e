//! Services that refuse everything for a while: minutes, or so many hours that messages are given up.

use crate::faults::{self, Fault};
use crate::trace;
use std::cell::Cell;

/// The latest beginnings of an outage, in milliseconds: while events arrive, or also while generations are promoted.
/// Its longest times: minutes, and sometimes so many hours that a message of the event queue, which comes again every
/// 380 s, is received more than 60 times.
const BEGINS: [i64; 2] = [60_000, 600_000];
const LASTS: [i64; 2] = [600_000, 12 * 3_600_000];

/// The latest beginning of an outage amid the building of a generation, which takes some seconds.
const SOON: i64 = 2_000;

/// What processes call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB.
    Store,
    /// SQS, which has no outages here: a message that cannot be received is none that failed.
    Queue,
    /// Clerk and Temporal.
    Outside,
}

thread_local! {
    /// The outages of the store and of what is outside, in milliseconds of the schedule.
    static OUTAGES: Cell<[(i64, i64); 2]> = const { Cell::new([(0, 0); 2]) };
}

/// Sets the outages of this thread's schedule.
pub fn set() {
    let latest = || BEGINS[fastrand::usize(..BEGINS.len())];
    OUTAGES.set([Service::Store, Service::Outside].map(|service| drawn(service, latest()).unwrap_or((0, 0))));
}

/// Sometimes, lets the store have another outage soon, unless it has one now. It may come amid what begins now, and
/// takes the place of one that has not begun yet.
pub fn may_begin_amid_work() {
    let [_store, outside] = OUTAGES.get();
    if !is_out(Service::Store)
        && let Some(outage) = drawn(Service::Store, SOON)
    {
        OUTAGES.set([outage, outside]);
    }
}

/// When an outage of a service begins and ends that begins within this time, if there is one.
fn drawn(service: Service, latest: i64) -> Option<(i64, i64)> {
    faults::is_drawn(Fault::Outage).then(|| {
        let begins = trace::elapsed() + fastrand::i64(0..latest);
        let ends = begins + fastrand::i64(1..LASTS[fastrand::usize(..LASTS.len())]);
        trace::note(|| format!("{service:?}: an outage from {begins} to {ends} ms"));
        (begins, ends)
    })
}

/// Ends all of them, before what must hold is checked.
pub fn end() {
    OUTAGES.set([(0, 0); 2]);
}

/// Whether a service refuses all calls at this moment.
pub fn is_out(service: Service) -> bool {
    let [store, outside] = OUTAGES.get();
    let (begins, ends) = match service {
        Service::Store => store,
        Service::Outside => outside,
        Service::Queue => return false,
    };
    ends > 0 && (begins..ends).contains(&trace::elapsed())
}
