//! A store client that fails at the n-th call, before or after the call took effect.

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
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

/// Marks a call whose answer is not the store's.
#[derive(Debug)]
struct Mine;

impl Storable for Mine {
    type Storer = StoreReplace<Self>;
}

/// Answers calls of one operation with a text of one's own.
#[derive(Debug, Clone)]
pub struct Answers(pub &'static str, pub &'static str);

impl Intercept for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        if target.ends_with(self.0) {
            config.interceptor_state().store_put(Mine);
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<Mine>().is_some() {
            *context.response_mut().body_mut() = SdkBody::from(self.1);
        }
        Ok(())
    }
}

/// Refuses calls of one operation, as the policy of a table does.
#[derive(Debug, Clone)]
pub struct Without(pub &'static str);

impl Intercept for Without {
    fn name(&self) -> &'static str {
        "without"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        if target.ends_with(self.0) { Err("refused".into()) } else { Ok(()) }
    }
}
