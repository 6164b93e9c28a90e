//! The transaction that changes a user's status.

use super::context::UserStatusWriter;
use super::error::{StatusChangeError, internal};
use super::event::OutgoingEvent;
use super::snapshot::UserSnapshot;
use crate::clock;
use crate::commit_reads;
use crate::error::AdminError;
use crate::store::{TableReader, log};
use torale_domain::audit::{AuditedRequest, ChainedRecord};
use torale_domain::deactivation::causes::RequestedDeactivation;
use torale_domain::deactivation::commands::Cause;
use torale_domain::deactivation::outbox::{OutboxAction, OutboxEntry};
use torale_domain::entities::linkage;
use torale_domain::projections::entity::{self, Entities};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, AUDIT_TABLE, CONTROL_TABLE, EVENTS_TABLE};
use torale_domain::storage::write::{Action, Write, insert, unchanged};
use torale_domain::values::ids::EntityKey;

/// Writes, each with its table.
type TableWrites = Vec<(String, Write)>;

/// A transaction that is about to be written.
pub(super) struct Transaction {
    pub(super) snapshot: UserSnapshot,
    pub(super) outgoing: OutgoingEvent,
    /// Writes in addition to those that every change of a user's status has.
    pub(super) writes: TableWrites,
}

impl Transaction {
    /// Writes the event to the log, the user's new state with its diff to the projections, the audit record, and the
    /// additional writes; all or nothing. It is a race if the caller has changed since the snapshot, or other
    /// generations are written.
    pub(super) async fn commit(
        self,
        writer: &UserStatusWriter<'_>,
        entry: AuditedRequest,
    ) -> Result<(), StatusChangeError> {
        let Self { snapshot, outgoing, mut writes } = self;
        writes.extend(projection_writes(writer, &snapshot, &outgoing).await?);
        if linkage::may_be_derived(snapshot.target) {
            writes.push((CONTROL_TABLE.to_owned(), insert(announcement(writer, &snapshot, &outgoing)?)));
        }
        // An administrator who reactivates themselves is the user that changes, whom the diff checks.
        if writer.caller != snapshot.target {
            let caller = EntityKey::User(writer.caller);
            let check = entity::untouched(&caller, &snapshot.entity(writer.caller));
            writes.push((snapshot.pointer.live.table(), check.map_err(|e| internal(&e))?));
        }
        let lane = keys::log_lane(&EntityKey::User(snapshot.target));
        let key = keys::log(writer.now, lane, &clock::unique(), 0);
        writes.push((EVENTS_TABLE.to_owned(), insert(log::item(key, &[&outgoing.message])?)));
        writes.push((CONTROL_TABLE.to_owned(), snapshot.pointer.unchanged()));
        let (store, usage) = (writer.store, writer.usage);
        let write = |record: ChainedRecord| async move {
            writes.push((AUDIT_TABLE.to_owned(), insert(record.item())));
            store.transact_across(writes, usage).await.map_err(StatusChangeError::from)
        };
        writer.trail.append(entry, write).await
    }
}

/// The outbox entry that sends the event to the consumer, which knows whom else it concerns.
fn announcement(
    writer: &UserStatusWriter<'_>,
    snapshot: &UserSnapshot,
    outgoing: &OutgoingEvent,
) -> Result<Item, AdminError> {
    let cause = Cause {
        event: outgoing.event.id.clone(),
        requested_by: writer.caller.to_string(),
        reason: String::new(),
        trace: writer.trace.clone(),
    };
    let action = OutboxAction::Announce { message: outgoing.message.clone() };
    let generation = snapshot.pointer.live.name.clone();
    let entry = OutboxEntry { cause, at: writer.now, generation, action, request: String::new() };
    entry.item().map_err(|e| internal(&e))
}

/// The writes to every generation of projections that is written.
async fn projection_writes(
    writer: &UserStatusWriter<'_>,
    snapshot: &UserSnapshot,
    outgoing: &OutgoingEvent,
) -> Result<TableWrites, StatusChangeError> {
    let mut writes = Vec::new();
    for generation in snapshot.pointer.written_generations() {
        // The snapshot was read from the live generation.
        let is_live = *generation == snapshot.pointer.live;
        let known = if is_live { snapshot.entities.clone() } else { Entities::new() };
        let reader = TableReader::of(writer.store, generation, writer.usage);
        let plan =
            commit_reads::read_and_plan(&reader, known, Vec::new(), vec![outgoing.event.clone()]).await?;
        writes.extend(plan.writes.into_iter().map(|write| (generation.table(), write)));
    }
    Ok(writes)
}

/// The writes that only a deactivation has: the outbox entry, the deactivation in place of the last one, and the check
/// that the user still has as many active tasks.
pub(super) fn deactivation_writes(
    snapshot: &UserSnapshot,
    outbox_entry: &Item,
    deactivation: &RequestedDeactivation,
) -> TableWrites {
    let attributes =
        |item: &Option<Item>| item.as_ref().map(|item| item.attributes.clone()).unwrap_or_default();
    let last = attributes(&snapshot.deactivation);
    let deactivation = Write {
        key: keys::deactivation(snapshot.target),
        action: Action::Put(deactivation.store()),
        conditions: unchanged(&last, &["event"]),
    };
    let totals = Write {
        key: keys::user_totals(snapshot.target),
        action: Action::Check,
        conditions: unchanged(&attributes(&snapshot.totals), &["active"]),
    };
    vec![
        (CONTROL_TABLE.to_owned(), insert(outbox_entry.clone())),
        (CONTROL_TABLE.to_owned(), deactivation),
        (snapshot.pointer.live.table(), totals),
    ]
}
