//! What requests cost, as their log lines state it.

use std::sync::Mutex;
use torale_domain::requests::parameters::NoParameters;
use torale_domain::storage::keys;
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_platform::error::AdminError;
use torale_platform::serve::{App, Endpoint, Handler, HttpMethod, RequestContext};
use torale_testkit::request::get;
use tracing::field::{Field, Visit};
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

/// Starts to read the log lines; to be called once, before anything else.
pub fn listen() {
    tracing_subscriber::registry().with(Costs).init();
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
