//! What happened, in order, with the simulated time: recorded only where somebody wants to read it.

use std::cell::{Cell, RefCell};
use tokio::time::Instant;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    static PRINTED: Cell<bool> = const { Cell::new(false) };
    static DIGEST: Cell<u64> = const { Cell::new(0) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Begins a trace at the present moment.
pub fn begin(record: bool) {
    BEGAN.set(Some(Instant::now()));
    PRINTED.set(record);
    DIGEST.set(0);
    LINES.take();
}

/// The time since the beginning, in milliseconds.
pub fn elapsed() -> i64 {
    let elapsed = BEGAN.get().map(|began| began.elapsed().as_millis());
    i64::try_from(elapsed.unwrap_or(0)).unwrap_or(i64::MAX)
}

/// Records what happens, if anybody wants to read it.
pub fn note(line: impl FnOnce() -> String) {
    if PRINTED.get() {
        let line = format!(
            "{:>9.3} s  {}",
            std::time::Duration::from_millis(elapsed().unsigned_abs()).as_secs_f64(),
            line()
        );
        LINES.with_borrow_mut(|lines| lines.push(line));
    }
}

/// Adds to the digest of all that happens, by which two runs of one seed are compared.
pub fn digest(value: u64) {
    let step = DIGEST.get().rotate_left(5) ^ value ^ elapsed().unsigned_abs();
    DIGEST.set(step.wrapping_mul(0x517c_c1b7_2722_0a95));
}

/// Ends the trace: its lines and its digest.
pub fn end() -> (Vec<String>, u64) {
    (LINES.take(), DIGEST.get())
}
