//! What all requests of a function instance share.

use crate::audit::AuditTrail;
use crate::authentication::Authenticator;
use crate::clock::{self, Clock};
use crate::config;
use crate::key_use::KeyUseRecorder;
use crate::limit::Limiter;
use crate::queue::MessageQueue;
use crate::store::{Generations, Store};
use tokio::sync::OnceCell;
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::pages::TemporalUi;

/// What all requests of a function instance share: clients, settings, and what the instance remembers.
#[derive(Debug)]
pub struct App {
    pub(super) store: Store,
    pub(super) generations: Generations,
    pub(super) authenticator: Authenticator,
    pub(super) limiter: Limiter,
    pub(super) trail: AuditTrail,
    pub(super) key_use: KeyUseRecorder,
    pub(super) temporal_ui: TemporalUi,
    pub(super) clock: Clock,
    pub(super) events: OnceCell<MessageQueue>,
}

impl App {
    /// An app of these parts.
    pub fn new(
        store: Store,
        authenticator: Authenticator,
        limits: RateLimits,
        temporal_ui: TemporalUi,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            generations: Generations::default(),
            authenticator,
            limiter: Limiter::new(limits),
            trail: AuditTrail::default(),
            key_use: KeyUseRecorder::default(),
            temporal_ui,
            clock,
            events: OnceCell::new(),
        }
    }

    /// The same with this event queue; else it is the one that the environment names.
    #[must_use]
    pub fn with_events_queue(self, queue: MessageQueue) -> Self {
        Self { events: OnceCell::new_with(Some(queue)), ..self }
    }

    /// An app of the parts that the environment names.
    pub(super) async fn connect() -> Result<Self, lambda_runtime::Error> {
        let authenticator = Authenticator::new(&config::identity_provider())?;
        let (limits, temporal_ui) = (config::limits()?, config::temporal_ui());
        Ok(Self::new(Store::connect().await, authenticator, limits, temporal_ui, clock::system))
    }
}
