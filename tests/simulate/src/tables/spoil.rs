//! Planted defects of what is stored.

use crate::defects::{Defect, is, shows};
use torale_domain::storage::item::{Attributes, Key, Value};
use torale_domain::storage::keys::{
    AUDIT_INDEX_TABLE, AUDIT_SEALS, AUDIT_TABLE, CONTROL_TABLE, EVENTS_TABLE, OUTBOX,
};

/// What is stored in place of an item; `None` if it is lost.
pub(super) fn spoiled(table: &str, key: &Key, item: Option<Attributes>) -> Option<Option<Attributes>> {
    let Some(mut attributes) = item else { return Some(None) };
    let is_record = table == AUDIT_TABLE && key.pk != AUDIT_SEALS;
    let lost = (table == EVENTS_TABLE && shows(Defect::LogRecordsAreLost, 10))
        || (key.pk == OUTBOX && shows(Defect::OutboxEntriesAreLost, 3))
        || (table == AUDIT_INDEX_TABLE && shows(Defect::AuditRowsAreLost, 20))
        || (is_record && shows(Defect::AuditRecordsAreLost, 4));
    if lost {
        return None;
    }
    if is_record
        && shows(Defect::AuditRecordsAreChanged, 4)
        && let Some(Value::Text(text)) = attributes.get_mut("record")
    {
        *text = text.replacen("\"status\":", "\"status\":1", 1);
    }
    if table == CONTROL_TABLE && is(Defect::BuildTimesAreLost) {
        attributes.remove("built_at");
    }
    Some(Some(attributes))
}
