//! What was used and refused, by partition.

use super::limits::{AccountLimits, CapacityBucket};
use std::collections::{BTreeMap, HashMap};

/// Whether units are of reads or of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// 4 KB read, strongly consistent.
    Read,
    /// 1 KB written.
    Write,
}

/// Units of both kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UnitCounts {
    /// Of reads.
    pub read: f64,
    /// Of writes.
    pub write: f64,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalCause {
    /// The partition has no capacity left in this second.
    Partition,
    /// The table has none.
    Table,
    /// Another transaction is writing the item.
    Conflict,
    /// A condition of a transaction did not hold.
    Condition,
}

#[derive(Debug, Default)]
struct Metered {
    reads: CapacityBucket,
    writes: CapacityBucket,
    units: UnitCounts,
}

impl Metered {
    fn has_some(&mut self, kind: UnitKind, rate: f64) -> bool {
        match kind {
            UnitKind::Read => self.reads.has_some(rate),
            UnitKind::Write => self.writes.has_some(rate),
        }
    }

    fn take(&mut self, kind: UnitKind, rate: f64, units: f64) {
        match kind {
            UnitKind::Read => {
                self.reads.take(rate, units);
                self.units.read += units;
            }
            UnitKind::Write => {
                self.writes.take(rate, units);
                self.units.write += units;
            }
        }
    }
}

#[derive(Debug, Default)]
struct TableMeter {
    whole: Metered,
    partitions: HashMap<String, Metered>,
}

/// The meters of all tables.
#[derive(Debug, Default)]
pub struct Meters {
    tables: BTreeMap<String, TableMeter>,
    refused: BTreeMap<(RefusalCause, String), u64>,
    transactions: u64,
}

/// What the meters of a time show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeterReading {
    /// Transactions that were written.
    pub transactions: u64,
    /// Refusals by cause, and by the kind of key.
    pub refused: BTreeMap<(RefusalCause, String), u64>,
    /// Units of tables.
    pub tables: BTreeMap<String, UnitCounts>,
    /// The partition keys with the most write units, the first one first.
    pub hottest: Vec<(String, UnitCounts)>,
}

/// How many of the hottest keys are shown.
const HOTTEST: usize = 6;

impl Meters {
    /// Whether a partition and its table have capacity. A refusal is counted.
    pub fn admits(&mut self, limits: &AccountLimits, table: &str, pk: &str, kind: UnitKind) -> bool {
        let (of_table, of_partition) = rates(limits, kind);
        let (whole, partition) = self.of(table, pk);
        let cause = match (whole.has_some(kind, of_table), partition.has_some(kind, of_partition)) {
            (true, true) => return true,
            (_, false) => RefusalCause::Partition,
            (false, true) => RefusalCause::Table,
        };
        let what = if cause == RefusalCause::Table { table.to_owned() } else { kind_of_key(table, pk) };
        self.refuse(cause, what);
        false
    }

    /// Takes units of a partition and of its table.
    pub fn take(&mut self, limits: &AccountLimits, table: &str, pk: &str, kind: UnitKind, units: f64) {
        let (of_table, of_partition) = rates(limits, kind);
        let (whole, partition) = self.of(table, pk);
        whole.take(kind, of_table, units);
        partition.take(kind, of_partition, units);
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, cause: RefusalCause, what: String) {
        *self.refused.entry((cause, what)).or_default() += 1;
    }

    /// Counts a transaction.
    pub const fn wrote(&mut self) {
        self.transactions += 1;
    }

    /// What was counted since the last reading.
    pub fn read(&mut self) -> MeterReading {
        let mut reading = MeterReading {
            transactions: std::mem::take(&mut self.transactions),
            refused: std::mem::take(&mut self.refused),
            ..MeterReading::default()
        };
        let mut keys = Vec::new();
        for (name, table) in &mut self.tables {
            reading.tables.insert(name.clone(), std::mem::take(&mut table.whole.units));
            for (pk, partition) in &mut table.partitions {
                let units = std::mem::take(&mut partition.units);
                keys.push((format!("{name} {pk}"), units));
            }
        }
        keys.sort_by(|(a, left), (b, right)| right.write.total_cmp(&left.write).then_with(|| a.cmp(b)));
        keys.truncate(HOTTEST);
        reading.hottest = keys;
        reading
    }

    fn of(&mut self, table: &str, pk: &str) -> (&mut Metered, &mut Metered) {
        if !self.tables.contains_key(table) {
            self.tables.insert(table.to_owned(), TableMeter::default());
        }
        let meter = self.tables.get_mut(table).expect("the meter that is there");
        if !meter.partitions.contains_key(pk) {
            meter.partitions.insert(pk.to_owned(), Metered::default());
        }
        (&mut meter.whole, meter.partitions.get_mut(pk).expect("the partition that is there"))
    }
}

const fn rates(limits: &AccountLimits, kind: UnitKind) -> (f64, f64) {
    match kind {
        UnitKind::Read => (limits.table_reads, limits.partition_reads),
        UnitKind::Write => (limits.table_writes, limits.partition_writes),
    }
}

/// A partition key without the ids in it: `c#executions#3` is one of `c#executions#<lane>`.
pub fn kind_of_key(table: &str, pk: &str) -> String {
    let parts: Vec<&str> = pk.split('#').collect();
    match parts.as_slice() {
        ["c" | "r", index @ .., lane] if lane.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{table} {}#{}#<lane>", &pk[..1], index.join("#"))
        }
        ["c" | "r", ..] => format!("{table} {pk}"),
        [kind, ..] if kind.len() == 1 => format!("{table} {kind}#<id>"),
        [_hour, _lane] => format!("{table} <hour>#<lane>"),
        _other => format!("{table} {pk}"),
    }
}
