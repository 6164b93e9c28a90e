//! A store client that fails at the n-th call, before or after the call took effect.

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When a client fails.
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

    /// How many calls were tried.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Intercept for Faults {
    fn name(&self) -> &'static str {
        "faults"
    }

    fn modify_before_transmit(
        &self,
        _context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if (call == self.at && !self.after) || (call > self.at && self.dies) {
            return Err("injected before the call".into());
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        _context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Calls of one lane follow each other, so the last one begun is the one that ends unless lanes overlap;
        // then the fault hits a neighbour, which is as good.
        if self.after && self.calls.load(Ordering::SeqCst) == self.at + 1 {
            return Err("injected after the call".into());
        }
        Ok(())
    }
}
