//! The event that a change of a user's status writes.

use super::error::internal;
use crate::clock;
use crate::error::AdminError;
use serde_json::json;
use torale_domain::deactivation::commands;
use torale_domain::entities::readings::User;
use torale_domain::events::{self, Event, EventType, ReceivedMessage, SOURCE, TYPE_PREFIX};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// An event of this system, and its message for the log.
pub(super) struct OutgoingEvent {
    pub(super) event: Event,
    pub(super) message: String,
}

impl OutgoingEvent {
    /// An event about a user. It is dated `now`, or 1 ms after the greatest time in the user's state register if that
    /// is later, so that it decides the state (`docs/contract/http.md`, "PATCH /admin/users/{id}/deactivate").
    pub(super) fn new(
        kind: EventType,
        (target, user): (UserId, &User<'_>),
        caller: UserId,
        now: Timestamp,
        trace: Option<&TraceParent>,
    ) -> Result<Self, AdminError> {
        let at = user.state.map_or(now, |state| now.max(state.time.plus(1)));
        let message = json!({
            "specversion": "1.0", "id": clock::unique(), "source": SOURCE,
            "type": format!("{TYPE_PREFIX}{}", kind.name()), "subject": target, "time": at,
            "datacontenttype": "application/json",
            "data": { "user_id": target, "by": caller.to_string() },
        });
        let message = commands::with_trace(message, trace).to_string();
        match events::parse(&message, None) {
            Ok(ReceivedMessage::Known(event)) => Ok(Self { event: *event, message }),
            Ok(ReceivedMessage::Unknown { .. }) => {
                Err(internal(&"an event of this system has an unknown type"))
            }
            Err(reason) => Err(internal(&reason)),
        }
    }
}
