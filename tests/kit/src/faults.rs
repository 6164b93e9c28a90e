//! A store client that fails at the n-th call, before or after the call took effect.

use crate::interceptor::Interceptor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When a client fails; clones count the same calls.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The call that fails, counted from 0.
    pub at: usize,
    /// Whether the call has taken effect when it fails.
    pub after: bool,
    /// Whether every later call fails too, as if the process had died.
    pub dies: bool,
    calls: Arc<AtomicUsize>,
}

impl Faults {
    /// At the `at`-th call.
    pub fn new(at: usize, after: bool, dies: bool) -> Self {
        Self { at, after, dies, calls: Arc::default() }
    }

    /// Never: only counts the calls.
    pub fn none() -> Self {
        Self::new(usize::MAX, false, false)
    }

    /// At every call: the store is out of reach.
    pub fn always() -> Self {
        Self::new(0, false, true)
    }

    /// Every call at which a flow of so many calls can fail for good, before and after the call took effect.
    pub fn everywhere(calls: usize) -> impl Iterator<Item = Self> {
        (0..calls).flat_map(|at| [Self::new(at, false, true), Self::new(at, true, true)])
    }

    /// How many calls were tried.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// What makes a client fail so.
    pub fn interceptor(&self) -> Interceptor {
        let (of_before, of_after) = (self.clone(), self.clone());
        let before = Interceptor::before(move |_| {
            let call = of_before.calls.fetch_add(1, Ordering::SeqCst);
            let fails = (call == of_before.at && !of_before.after) || (call > of_before.at && of_before.dies);
            if fails { Err("injected before the call".into()) } else { Ok(()) }
        });
        before.after(move |_| {
            // Calls of one lane follow each other, so the last one begun is the one that ends unless lanes overlap;
            // then the fault hits a neighbour, which is as good.
            let fails = of_after.after && of_after.calls() == of_after.at + 1;
            if fails { Err("injected after the call".into()) } else { Ok(None) }
        })
    }
}
