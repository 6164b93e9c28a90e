//! The audit trail once everything is quiet: intact, sealed, and complete. It has a record of every answer, and of
//! every change, also of one whose request died or was answered with 503: the record is in its transaction.

use crate::audit_index;
use crate::caller::Answered;
use crate::faults;
use crate::installation::Installation;
use crate::trail;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::audit::{AuditedRequest, ChainedRecord};
use torale_domain::storage::keys::{AUDIT_INDEX_TABLE, AUDIT_TABLE};

/// The source of what administrators change.
const SOURCE: &str = "/torale/admin";
/// The types of the events of changes, and the action in the record of each.
const CHANGES: [(&str, &str); 2] =
    [("ai.torale.user.deactivated", "users.deactivate"), ("ai.torale.user.reactivated", "users.reactivate")];

/// Whether it is, after these answers and with this log.
///
/// # Errors
/// If not.
pub fn check(world: &Installation, answered: &Answered, logged: &[Value]) -> Result<(), String> {
    let (items, index) = {
        let tables = world.tables.lock();
        (tables.items(AUDIT_TABLE), tables.items(AUDIT_INDEX_TABLE))
    };
    if answered.recorded.is_empty() && items.is_empty() {
        return check_changes(&world.events.taken(), &[], logged);
    }
    let report = trail::report(&items, None);
    if !report.faults.is_empty() || report.unsealed > 0 {
        return Err(format!("the audit trail: {report:?}"));
    }
    let records: Vec<_> = items.iter().filter_map(ChainedRecord::load).map(|link| link.record).collect();
    audit_index::check(&records, index)?;
    let entries: Vec<_> = records.iter().map(|record| &record.entry).collect();
    answered.bulk.iter().try_for_each(|request| request.check_recorded(&entries))?;
    let recorded: BTreeSet<&str> = entries.iter().map(|entry| entry.request_id.as_str()).collect();
    if let Some(request) = answered.recorded.iter().find(|request| !recorded.contains(request.as_str())) {
        return Err(format!("the request {request} was answered and is not recorded"));
    }
    check_changes(&world.events.taken(), &entries, logged)
}

/// Each change of a user has a record of its own. What the queue has brought was changed by somebody else.
fn check_changes(taken: &[String], entries: &[&AuditedRequest], logged: &[Value]) -> Result<(), String> {
    let ids = taken.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok());
    let brought: BTreeSet<String> = ids.map(|event| event["id"].to_string()).collect();
    let mut unrecorded: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for event in logged.iter().filter(|event| event["source"] == SOURCE) {
        let action = CHANGES.iter().find(|(name, _)| event["type"] == *name).map(|(_, action)| *action);
        let Some((action, user)) = action.zip(event["data"]["user_id"].as_str()) else { continue };
        if !brought.contains(&event["id"].to_string()) {
            faults::count("change with a record", None);
            *unrecorded.entry((action, user)).or_default() += 1;
        }
    }
    for entry in entries.iter().filter(|entry| entry.status == 200) {
        let target = entry.target.as_deref().unwrap_or_default();
        if let Some(count) = unrecorded.get_mut(&(entry.action.as_str(), target)) {
            *count = count.saturating_sub(1);
        }
    }
    match unrecorded.into_iter().find(|(_, count)| *count > 0) {
        Some(((action, user), count)) => {
            Err(format!("{count} of {action} {user} are in the log and not recorded"))
        }
        None => Ok(()),
    }
}
