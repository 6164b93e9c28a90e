//! The counted index: for every minute and every day, how many rows lie there and what
//! they add up to.
//!
//! The rows of a list are items of their own, sorted by time, in one partition for each status and
//! lane. Next to them stand *nodes*: one item for each hour, with a slot for each minute, and one
//! item for each month, with a slot for each day. So an execution that began on 2026-03-31 at
//! 10:30 and failed at once is counted by the minute and by the day:
//!
//! ```text
//! partition                 sort key           attributes
//! r#executions#failed#0     1774953030500<id>                             the row
//! c#executions#0            h#2026033110       Un 1  Uf 1  Ud 5300  Ue 1  p 2   minute 30 is slot U
//! c#executions#0            m#202603           Un 1  Uf 1  Ud 5300  Ue 1  p 2   day 31 is slot U as well
//! ```
//!
//! Some indexes ([`has_day_nodes`](crate::storage::keys::Index::has_day_nodes)) have a third item, for each day with
//! a slot for each hour: `d#20260331`, and there `An 1  Af 1  Ad 5300  Ae 1` for 10 o'clock. Some have a fourth in
//! minutes that [crowd](has_node), with a slot for each second: `n#202603311030`, and there `Un 1  Uf 1  Ue 1` for
//! second 30.
//!
//! `n`, `f`, `d` and `e` are the letters of a [`Measure`]: it failed among those that began then (`f`),
//! and at that time (`e`). `p` is the population of the whole node, its rows and failures.
//! Amounts that would be 0 are not stored. The errors have a node for each error type, its *tag*:
//! `h#2026033110#Timeout`.
//!
//! The total of a [`Window`] is the sum of the days after the cut, of the hours after it on its own day and of
//! the minutes after it in its own hour; without nodes of days, of all minutes after it on its day. A page at an
//! offset is found by a descent from the newest day over its hours to its minutes, of a crowded minute to its
//! seconds, and then reads the rows of that minute or second alone. Both cost the same however many rows there are
//! (docs/adr/0003-rows-are-items-not-index-entries.md).

mod measure;
mod position;
mod series;
mod timeline;
mod window;

use crate::projections::counter::POPULATION;
use crate::projections::slot;
use crate::storage::item::Key;
use crate::storage::keys::{self, FilteredIndex, Lane};
use crate::values::time::Timestamp;
pub use measure::{Measure, Sums};
pub use position::{PagePosition, has_node};
pub use series::{Bucket, Series};
pub use timeline::Timeline;
pub use window::Window;

/// What rows at one time add to the nodes that count them: counter, attribute and amount.
/// `tag` is the error type, of an error.
pub fn node_amounts<'a>(
    list: impl Into<FilteredIndex<'a>>,
    lane: Lane,
    at: Timestamp,
    tag: Option<&str>,
    sums: &Sums,
) -> Vec<(Key, String, i128)> {
    let (list, day) = (list.into(), at.day());
    let (minute_slot, day_slot) = (at.minute_of_hour(), i64::from(chrono::Datelike::day0(&day.date())));
    let hour = keys::hour_node(list, lane, at.hour(), tag);
    let month = keys::month_node(list, lane, day.month(), tag);
    let mut amounts = slot_amounts(&hour, minute_slot, sums.population(), sums.iter());
    amounts.extend(slot_amounts(&month, day_slot, sums.population(), sums.iter()));
    if list.index.has_day_nodes() {
        let hour_slot = at.hour().0 - day.first_hour().0;
        let shown = sums.iter().filter(|(measure, _)| measure.is_in_day_nodes());
        amounts.extend(slot_amounts(&keys::day_node(list, lane, day), hour_slot, sums.population(), shown));
    }
    if list.index.has_minute_nodes() && has_node(at.minute()) {
        let minute = keys::minute_node(list.index, lane, at.minute());
        let shown = sums.iter().filter(|(measure, _)| measure.is_in_minute_nodes());
        amounts.extend(slot_amounts(&minute, at.second_of_minute(), sums.population(), shown));
    }
    amounts
}

/// The amounts that one slot of a node gets, and the node's population.
fn slot_amounts(
    node: &Key,
    slot: i64,
    population: i128,
    measures: impl Iterator<Item = (Measure, i128)>,
) -> Vec<(Key, String, i128)> {
    let measures = measures.map(|(measure, amount)| (slot::attribute(slot, measure.letter()), amount));
    let all = [(POPULATION.to_owned(), population)].into_iter().chain(measures);
    all.map(|(attribute, amount)| (node.clone(), attribute, amount)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::item::Value;
    use crate::storage::keys::{Index, Lanes};
    use crate::storage::limits::item_bytes;
    use std::collections::BTreeMap;

    /// The example at the top of this file.
    #[test]
    fn a_failed_execution_is_counted_in_the_slots_of_its_second_its_minute_its_hour_and_its_day() {
        let at = Timestamp::parse("2026-03-31T10:30:30.500Z").unwrap();
        let lane = Lanes::ONE.all().next().unwrap();
        let sums =
            Sums::of_rows(1).with(Measure::Success, 0).with(Measure::Failed, 1).with(Measure::Duration, 5300);

        let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, attribute, amount) in node_amounts(Index::Executions, lane, at, None, &sums) {
            nodes.entry(format!("{} {}", key.pk, key.sk)).or_default().push(format!("{attribute} {amount}"));
        }

        let amounts = ["p 1", "Un 1", "Us 0", "Uf 1", "Ud 5300"].map(str::to_owned).to_vec();
        let expected = [
            ("c#executions#0 h#2026033110".to_owned(), amounts.clone()),
            ("c#executions#0 m#202603".to_owned(), amounts),
            (
                "c#executions#0 d#20260331".to_owned(),
                ["p 1", "An 1", "As 0", "Af 1", "Ad 5300"].map(str::to_owned).to_vec(),
            ),
            (
                "c#executions#0 n#202603311030".to_owned(),
                ["p 1", "Un 1", "Us 0", "Uf 1"].map(str::to_owned).to_vec(),
            ),
        ];
        assert_eq!(nodes, BTreeMap::from(expected));
        assert_eq!(keys::row_time(at), "1774953030500");
    }

    /// The size of the node of an hour in which 10 executions begin in each of its first minutes.
    fn hour_of_executions(minutes: i64) -> usize {
        let hour = Timestamp::parse("2026-03-31T10:00:00Z").unwrap();
        let lane = Lanes::ONE.all().next().unwrap();
        let node = keys::hour_node(Index::Executions, lane, hour.hour(), None);
        let sums = Sums::of_rows(10)
            .with(Measure::Success, 9)
            .with(Measure::Failed, 1)
            .with(Measure::Duration, 42_187);
        let failures = Sums::errors(1);
        let mut amounts: BTreeMap<String, i128> = BTreeMap::new();
        for minute in 0..minutes {
            let at = hour.plus(minute * crate::values::time::MINUTE);
            let added = [&sums, &failures].map(|sums| node_amounts(Index::Executions, lane, at, None, sums));
            for (_, attribute, amount) in added.into_iter().flatten().filter(|(key, ..)| *key == node) {
                *amounts.entry(attribute).or_default() += amount;
            }
        }
        let stored = amounts.into_iter().filter(|(_, amount)| *amount != 0);
        item_bytes(&node, &stored.map(|(name, amount)| (name, Value::Number(amount))).collect())
    }

    /// What docs/changing-a-projection.md says about the cost. A slot takes 22 bytes: five names of
    /// two characters, 2 bytes for each of the numbers 10, 9, 1 and 1, and 4 for 42187. The key takes
    /// 30, `p` 3.
    #[test]
    fn the_node_of_a_full_hour_of_executions_takes_two_write_units() {
        assert_eq!(hour_of_executions(60), 30 + 3 + 60 * 22);
        assert!(hour_of_executions(45) <= 1024 && hour_of_executions(46) > 1024);
    }
}
