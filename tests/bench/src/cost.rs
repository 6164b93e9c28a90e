//! What requests cost: as their log lines state it, the bytes that the store sent, and the CPU time of this thread.

use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use torale_domain::requests::parameters::NoParameters;
use torale_domain::storage::keys;
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_platform::error::AdminError;
use torale_platform::serve::{App, Endpoint, Handler, HttpMethod, RequestContext};
use torale_testkit::request::get;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The cost of one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Sequential round trips to the store.
    pub trips: u64,
    /// Read units.
    pub units: f64,
    /// Write units.
    pub written: f64,
}

static LAST: Mutex<Cost> = Mutex::new(Cost { trips: 0, units: 0.0, written: 0.0 });
static STORE_BYTES: AtomicU64 = AtomicU64::new(0);

/// Counts the bytes of the answers to a store client, as they are before they are parsed.
#[derive(Debug)]
pub struct CountStoreBytes;

impl Intercept for CountStoreBytes {
    fn name(&self) -> &'static str {
        "count the bytes of answers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().map_or(0, <[u8]>::len);
        STORE_BYTES.fetch_add(u64::try_from(bytes)?, Ordering::Relaxed);
        Ok(())
    }
}

/// The bytes that the store has sent so far to clients that [`CountStoreBytes`].
pub fn store_bytes() -> u64 {
    STORE_BYTES.load(Ordering::Relaxed)
}

/// The CPU time of this thread so far, in milliseconds. Needs a kernel that keeps `schedstat`, as Linux does.
pub fn thread_cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = text.split_whitespace().next().unwrap().parse().unwrap();
    nanoseconds as f64 / 1e6
}

/// Starts to read the log lines, at the level of the functions; to be called once, before anything else.
pub fn listen() {
    tracing_subscriber::registry().with(Costs).with(LevelFilter::INFO).init();
}

/// The cost of the last request.
pub fn last() -> Cost {
    *LAST.lock().unwrap()
}

struct Costs;

impl<S: tracing::Subscriber> Layer<S> for Costs {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "torale_platform::serve" {
            event.record(&mut *LAST.lock().unwrap());
        }
    }
}

impl Visit for Cost {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            "read_units" => self.units = value,
            "write_units" => self.written = value,
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "round_trips" {
            self.trips = value;
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}

/// Reads one item: what its requests cost besides that is what every request costs around its handler.
struct Nothing;

impl Handler for Nothing {
    const ENDPOINT: Endpoint = Endpoint { method: HttpMethod::GET, path: "/nothing", action: "nothing" };
    type Parameters = NoParameters;
    type Answer = ();

    async fn handle(call: &RequestContext<'_>, _query: &NoParameters) -> Result<(), AdminError> {
        call.reader.read(ReadPlan::gets([keys::row_entity("nothing")])).await?;
        Ok(())
    }
}

/// What every request costs around its handler: authentication, limit and audit record.
pub async fn around_handlers(app: &App) -> Cost {
    // The first request also learns which generation is live, and notes the key's use.
    for _ in 0..2 {
        assert_eq!(get::<Nothing>("").send(app).await.status, 200);
    }
    let Cost { trips, units, written } = last();
    // Less what the handler itself has read.
    Cost { trips: trips - 1, units: units - 0.5, written }
}
