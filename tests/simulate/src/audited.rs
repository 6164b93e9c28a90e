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
use torale_domain::events::SOURCE;
use torale_domain::storage::keys::{AUDIT_INDEX_TABLE, AUDIT_TABLE};

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
    if answered.recorded.is_empty() && items.is_empty() && index.is_empty() {
        return check_changes(&[], logged);
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
    check_changes(&entries, logged)
}

/// A change of a user: the action, whom it concerns, and who made it.
type Change<'a> = (&'a str, &'a str, &'a str);

/// Each change of a user has a record of its own. One that is announced by the queue as well is in the log twice, under
/// the same id. A request that had nothing to change has such a record, too: one of the same administrator hides that
/// another record is missing.
fn check_changes(entries: &[&AuditedRequest], logged: &[Value]) -> Result<(), String> {
    let mut changes: BTreeMap<&str, Change<'_>> = BTreeMap::new();
    for event in logged.iter().filter(|event| event["source"] == SOURCE) {
        let action = CHANGES.iter().find(|(name, _)| event["type"] == *name).map(|(_, action)| *action);
        let field = |name: &str| event["data"][name].as_str();
        let change = action.zip(field("user_id")).zip(field("by"));
        if let Some(((action, user), by)) = change {
            changes.insert(event["id"].as_str().unwrap_or_default(), (action, user, by));
        }
    }
    let mut unrecorded: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    for (action, user, by) in changes.into_values() {
        faults::count("change with a record", None);
        *unrecorded.entry((action, user, by.to_owned())).or_default() += 1;
    }
    for entry in entries.iter().filter(|entry| entry.status == 200) {
        let by = entry.principal.user_id.map(|user| user.to_string()).unwrap_or_default();
        let change = (entry.action.as_str(), entry.target.as_deref().unwrap_or_default(), by);
        if let Some(count) = unrecorded.get_mut(&change) {
            *count = count.saturating_sub(1);
        }
    }
    match unrecorded.into_iter().find(|(_, count)| *count > 0) {
        Some((change, count)) => Err(format!("{count} of {change:?} are in the log and not recorded")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use torale_domain::audit::{AuthMethod, Principal};
    use torale_domain::values::ids::UserId;
    use torale_testkit::present::NOW;

    const ANN: &str = "11111111-0000-4000-8000-000000000001";
    const BOB: &str = "11111111-0000-4000-8000-000000000002";

    fn deactivated(id: &str, user: &str) -> Value {
        json!({ "id": id, "source": SOURCE, "type": "ai.torale.user.deactivated", "data": { "user_id": user, "by": BOB } })
    }

    fn record(action: &str, by: &str) -> AuditedRequest {
        AuditedRequest {
            at: NOW,
            principal: Principal { user_id: UserId::parse(by), ..Principal::default() },
            method: AuthMethod::ApiKey,
            action: action.to_owned(),
            target: Some(ANN.to_owned()),
            parameters: json!({}),
            status: 200,
            request_id: "r".to_owned(),
            source: None,
            user_agent: None,
            duration_ms: 1,
        }
    }

    #[test]
    fn change_without_a_record_is_found() {
        let by_bob = record("users.deactivate", BOB);
        let checked = |records: &[&AuditedRequest], logged: &[Value]| check_changes(records, logged).is_ok();
        let (one, two) = (deactivated("1", ANN), deactivated("2", ANN));

        assert!(checked(&[&by_bob], std::slice::from_ref(&one)));
        assert!(checked(&[&by_bob], &[one.clone(), one.clone()]), "it was announced, too");
        assert!(!checked(&[], std::slice::from_ref(&one)));
        assert!(!checked(&[&by_bob], &[one.clone(), two]), "one of two is missing");
        for other in [record("users.reactivate", BOB), record("users.deactivate", ANN)] {
            assert!(!checked(&[&other], std::slice::from_ref(&one)), "{other:?}");
        }
        let refused = AuditedRequest { status: 503, ..by_bob };
        assert!(!checked(&[&refused], &[one]));
    }
}
