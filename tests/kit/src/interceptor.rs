//! Closures around the calls of a store client: what they see, and what they change.

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde_json::Value;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One try of a call to the store.
#[derive(Debug, Clone, Copy)]
pub struct StoreCall<'a> {
    /// What is called, such as `TransactWriteItems`.
    pub operation: &'a str,
    /// The request's body: JSON.
    pub body: &'a [u8],
}

impl<'a> StoreCall<'a> {
    fn of(request: &'a HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        Self { operation, body: request.body().bytes().unwrap_or_default() }
    }

    /// The request.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap()
    }
}

/// The operation of the call whose answer is awaited; the request itself is gone by then.
#[derive(Debug)]
struct Awaited(String);

impl Storable for Awaited {
    type Storer = StoreReplace<Self>;
}

type Before = dyn Fn(&StoreCall<'_>) -> Result<(), BoxError> + Send + Sync;
type Change = dyn Fn(&StoreCall<'_>) -> Option<String> + Send + Sync;
type After = dyn Fn(&str) -> Result<Option<String>, BoxError> + Send + Sync;

/// What is done around every call of a store client.
#[derive(Clone)]
pub struct Interceptor {
    before: Arc<Before>,
    change: Arc<Change>,
    after: Arc<After>,
}

impl Interceptor {
    /// Does something before each call leaves; with an error the call does not leave.
    pub fn before(before: impl Fn(&StoreCall<'_>) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        Self { before: Arc::new(before), change: Arc::new(|_| None), after: Arc::new(|_| Ok(None)) }
    }

    /// Does something once a call of an operation has taken effect: its answer may be replaced by another body, or lost
    /// by an error. A body with a `__type` is one of the store's errors.
    #[must_use]
    pub fn after(
        self,
        after: impl Fn(&str) -> Result<Option<String>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self { after: Arc::new(after), ..self }
    }

    /// Refuses all calls of one operation, as the policy of a table does.
    pub fn refusing(operation: &'static str) -> Self {
        Self::before(move |call| if call.operation == operation { Err("refused".into()) } else { Ok(()) })
    }

    /// Has the store cancel the first transactions that contain a text, as if others had been in their way: their
    /// conditions cannot hold, and nothing of them is written.
    pub fn losing_transactions(first: usize, containing: &'static str) -> Self {
        let sent = AtomicUsize::new(0);
        let change = move |call: &StoreCall<'_>| {
            let body = String::from_utf8(call.body.to_vec()).ok()?;
            let is_meant = call.operation == "TransactWriteItems" && body.contains(containing);
            let is_lost = is_meant && sent.fetch_add(1, Ordering::SeqCst) < first;
            let condition = r#""ConditionExpression":""#;
            let never = format!("{condition}attribute_exists(#n0) AND attribute_not_exists(#n0) AND ");
            is_lost.then(|| body.replace(condition, &never))
        };
        Self { change: Arc::new(change), ..Self::before(|_| Ok(())) }
    }

    /// Has the first query of a partition find nothing, as if it had been served before anything was written there.
    pub fn finding_nothing_at_first(partition: String) -> Self {
        let is_first = AtomicBool::new(true);
        let change = move |call: &StoreCall<'_>| {
            let body = String::from_utf8(call.body.to_vec()).ok()?;
            let is_meant = call.operation == "Query" && body.contains(&partition);
            let is_changed = is_meant && is_first.swap(false, Ordering::SeqCst);
            is_changed.then(|| body.replace(&partition, "nothing"))
        };
        Self { change: Arc::new(change), ..Self::before(|_| Ok(())) }
    }

    /// Answers all calls of one operation with this body.
    pub fn answering(operation: &'static str, body: &'static str) -> Self {
        Self::before(|_| Ok(())).after(move |called| Ok((called == operation).then(|| body.to_owned())))
    }

    /// Notes something of every call.
    pub fn noting<T: Send + 'static>(
        note: impl Fn(&StoreCall<'_>) -> Option<T> + Send + Sync + 'static,
    ) -> (Self, Notes<T>) {
        let notes = Notes(Arc::new(Mutex::new(Vec::new())));
        let noted = Notes(Arc::clone(&notes.0));
        let interceptor = Self::before(move |call| {
            noted.0.lock().unwrap().extend(note(call));
            Ok(())
        });
        (interceptor, notes)
    }
}

/// What an interceptor has noted, in the order of the calls.
#[derive(Debug)]
pub struct Notes<T>(Arc<Mutex<Vec<T>>>);

impl<T> Notes<T> {
    /// What was noted since it was last taken.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl fmt::Debug for Interceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interceptor")
    }
}

impl Intercept for Interceptor {
    fn name(&self) -> &'static str {
        "test"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = StoreCall::of(context.request());
        config.interceptor_state().store_put(Awaited(call.operation.to_owned()));
        (self.before)(&call)?;
        if let Some(body) = (self.change)(&call) {
            context.request_mut().headers_mut().insert("content-length", body.len().to_string());
            *context.request_mut().body_mut() = SdkBody::from(body);
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Awaited>().map_or("", |awaited| awaited.0.as_str());
        if let Some(body) = (self.after)(operation)? {
            if body.contains("\"__type\"") {
                *context.response_mut().status_mut() = 400.try_into()?;
            }
            *context.response_mut().body_mut() = SdkBody::from(body);
        }
        Ok(())
    }
}
