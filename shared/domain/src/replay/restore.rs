//! Restoring a table in place from a copy of it: which tables, and which items of a copy.

pub mod seals;

use crate::audit::ChainedRecord;
use crate::audit::seal::Seal;
use crate::projections::compare::FOREIGN;
use crate::projections::generation::GenerationPointer;
use crate::storage::item::{Item, Value};
use crate::storage::keys::{
    self, AUDIT_INDEX_TABLE, AUDIT_SEALS, AUDIT_TABLE, CONTROL_TABLE, Control, EVENTS_TABLE,
    PROJECTIONS_TABLE_PREFIX, QUARANTINE_TABLE,
};

/// A table whose items can't be recomputed from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorableTable {
    /// The log.
    Events,
    /// The audit trail.
    Audit,
    /// Quarantined messages.
    Quarantine,
    /// Pointers and other small shared state.
    Control,
}

/// What an item of a copy is to a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopiedItem {
    /// It is compared with the table's item.
    Restorable,
    /// It belongs to the table, but its kind is never restored.
    NotRestored(Control),
    /// It does not belong to this table, or holds a value that this system never writes.
    Foreign,
}

impl RestorableTable {
    /// The table with this name.
    ///
    /// # Errors
    /// For tables that are not restored from a copy: the text says what to do instead.
    pub fn parse(table: &str) -> Result<Self, &'static str> {
        match table {
            EVENTS_TABLE => Ok(Self::Events),
            AUDIT_TABLE => Ok(Self::Audit),
            QUARANTINE_TABLE => Ok(Self::Quarantine),
            CONTROL_TABLE => Ok(Self::Control),
            AUDIT_INDEX_TABLE => Err("it is made anew from the trail: cargo audit-verify reindex"),
            projections if projections.starts_with(PROJECTIONS_TABLE_PREFIX) => {
                Err("projections are made anew from the log: cargo replay rebuild")
            }
            _another => Err("not torale-events, torale-audit, torale-quarantine or torale-control"),
        }
    }

    /// The table's name.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Events => EVENTS_TABLE,
            Self::Audit => AUDIT_TABLE,
            Self::Quarantine => QUARANTINE_TABLE,
            Self::Control => CONTROL_TABLE,
        }
    }

    /// Whether this system never changes an item of the table: then one that differs from the
    /// copy's was tampered with. In the other tables it is the newer one: a message that was
    /// received again, or a pointer that was moved.
    pub const fn is_overwritable(self) -> bool {
        matches!(self, Self::Events | Self::Audit)
    }

    /// Classifies an item of a copy. All items of a copy of another table are
    /// [`CopiedItem::Foreign`].
    pub fn classify(self, item: &Item) -> CopiedItem {
        let key = &item.key;
        let foreign = |value: &Value| matches!(value, Value::Text(text) if text.starts_with(FOREIGN));
        if item.attributes.values().any(foreign) {
            return CopiedItem::Foreign;
        }
        let ours = match self {
            Self::Events => keys::parse_log(key).is_some(),
            Self::Audit if key.pk == AUDIT_SEALS => {
                Seal::load(item).is_some_and(|seal| seal.is_stored_as(item))
            }
            Self::Audit => ChainedRecord::load(item).is_some_and(|link| link.is_stored_as(item)),
            Self::Quarantine => {
                keys::quarantine_partitions().any(|pk| key.pk == pk && key.sk.starts_with(&pk))
                    && keys::parse_quarantine(key).is_some()
            }
            Self::Control => match keys::parse_control(key) {
                Some(kind) if !is_restored(kind) => return CopiedItem::NotRestored(kind),
                kind => kind.is_some(),
            },
        };
        if ours { CopiedItem::Restorable } else { CopiedItem::Foreign }
    }
}

/// What is inserted of an item that the table lacks. A pointer comes back without its shadow generation, which is not
/// written while the pointer is missing: as a complete one it could be promoted at once, without what came meanwhile.
pub fn inserted(item: &Item) -> Item {
    let pointer = Some(item).filter(|item| item.key == keys::live_generation());
    match pointer.and_then(|item| GenerationPointer::load(Some(item)).ok()) {
        Some(pointer) => Item { attributes: pointer.without_shadow().store(), ..item.clone() },
        None => item.clone(),
    }
}

/// Items of the control table are restored if nothing else records them. An outbox entry that is
/// missing has most likely been sent since; sent again, it could undo what came later, such as a
/// reactivation. All others are short-lived.
const fn is_restored(kind: Control) -> bool {
    match kind {
        Control::Generation | Control::LogBeginning | Control::Deactivation => true,
        Control::OutboxEntry
        | Control::Limit
        | Control::KeyUse
        | Control::Rebuild
        | Control::Subtotals
        | Control::Import
        | Control::TemporalSync
        | Control::LinkProgress => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ChainWriter;
    use crate::audit::record::tests::{AT, entry};
    use crate::storage::item::{Attributes, Key};
    use crate::values::ids::{ApiKeyId, ClerkUserId, UserId};

    const TABLES: [RestorableTable; 4] = [
        RestorableTable::Events,
        RestorableTable::Audit,
        RestorableTable::Quarantine,
        RestorableTable::Control,
    ];

    fn part(table: RestorableTable, key: Key) -> CopiedItem {
        table.classify(&Item { key, attributes: Attributes::new() })
    }

    fn bare(key: Key) -> Item {
        Item { key, attributes: Attributes::new() }
    }

    /// Of each table some items.
    fn items_of(table: RestorableTable) -> Vec<Item> {
        let user = UserId::parse("00000000-0000-0000-0000-0000000000ad").unwrap();
        match table {
            RestorableTable::Events => vec![bare(keys::log(AT, 1, "writer", 2))],
            RestorableTable::Audit => {
                let link = ChainWriter::start(AT, "abc").next_record(entry(AT, "stats.read")).unwrap();
                vec![link.item(), seals::tests::seals(4, None, 0).remove(3).item().unwrap()]
            }
            RestorableTable::Quarantine => {
                [keys::quarantine(b"x", 0), keys::quarantine(b"y", 1)].map(bare).into()
            }
            RestorableTable::Control => [
                keys::live_generation(),
                keys::last_generation(),
                keys::log_beginning(),
                keys::deactivation(user),
            ]
            .map(bare)
            .into(),
        }
    }

    #[test]
    fn a_copy_of_another_table_holds_nothing_that_is_restored() {
        for table in TABLES {
            for of in TABLES {
                let expected = if table == of { CopiedItem::Restorable } else { CopiedItem::Foreign };
                for item in items_of(of) {
                    assert_eq!(table.classify(&item), expected, "{item:?} in {table:?}");
                }
            }
            let row = keys::rows(keys::Index::Audit, keys::StatusPartition::All, keys::Lanes::ONE.of(&[]));
            let foreign = keys::audit_row("all", &row, &keys::audit_seal(0));
            assert_eq!(part(table, foreign), CopiedItem::Foreign);
        }
    }

    #[test]
    fn control_items_are_restored_only_if_nothing_else_records_them() {
        let user = UserId::parse("00000000-0000-0000-0000-0000000000ad").unwrap();
        let clerk = ClerkUserId::parse("user_1").unwrap();
        let left_out = [
            (keys::outbox("cause", ""), Control::OutboxEntry),
            (keys::limit(user), Control::Limit),
            (keys::key_used(&ApiKeyId::parse("key").unwrap()), Control::KeyUse),
            (keys::rebuild_plan("g2"), Control::Rebuild),
            (keys::position("g2"), Control::Rebuild),
            (keys::subtotals_piece("g2", "tasks", 1), Control::Subtotals),
            (keys::import("digest"), Control::Import),
            (keys::temporal_sync("default"), Control::TemporalSync),
            (keys::link_progress("g2", &clerk, true), Control::LinkProgress),
        ];
        for (key, kind) in left_out {
            assert_eq!(part(RestorableTable::Control, key), CopiedItem::NotRestored(kind));
        }
    }

    /// Among the seals such an item would stop the sealing, and could not be removed again.
    #[test]
    fn items_with_valid_partitions_but_invalid_contents_are_foreign() {
        let nonsense = |pk: &str, sk: &str| Key::stored(pk.to_owned(), sk.to_owned());
        for key in [nonsense("seals", "nonsense"), keys::audit_seal(3), nonsense("r#2026033110#0", "x")] {
            assert_eq!(part(RestorableTable::Audit, key), CopiedItem::Foreign);
        }
        for (pk, sk) in
            [("generation", "x"), ("generation#x", "live"), ("log", "x"), ("deactivation#x", "patch")]
        {
            assert_eq!(part(RestorableTable::Control, nonsense(pk, sk)), CopiedItem::Foreign, "{pk} {sk}");
        }
    }

    /// Such a value would be written as the text that stands for it.
    #[test]
    fn items_with_values_of_foreign_kinds_are_foreign() {
        let attributes = Attributes::from([("x".to_owned(), Value::Text(format!("{FOREIGN}Bool(true)")))]);
        let item = Item { key: keys::log(AT, 1, "writer", 2), attributes };
        assert_eq!(RestorableTable::Events.classify(&item), CopiedItem::Foreign);
    }

    #[test]
    fn other_tables_are_refused_with_what_to_do_instead() {
        for table in TABLES {
            assert_eq!(RestorableTable::parse(table.table()), Ok(table));
        }
        assert!(
            RestorableTable::parse("torale-projections-g1").unwrap_err().contains("cargo replay rebuild")
        );
        assert!(
            RestorableTable::parse("torale-audit-index").unwrap_err().contains("cargo audit-verify reindex")
        );
        assert!(RestorableTable::parse("torale-events-restored").is_err());
    }
}
