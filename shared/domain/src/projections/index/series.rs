//! Series: the nodes that were read of an index, added up by minute, hour or day.

use super::measure::{Measure, Sums, parse_slot};
use crate::storage::item::Item;
use crate::storage::keys::{self, Index, Lanes, Node};
use crate::storage::read::Range;
use crate::values::time::{DAY, Day, HOUR, Hour, MINUTE, Timestamp};
use std::collections::BTreeMap;

/// How long a point of a series lasts. Buckets begin at whole minutes, hours and days in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

impl Bucket {
    const fn millis(self) -> i64 {
        match self {
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// The start of the bucket that holds a time.
    const fn start_of(self, time: Timestamp) -> Timestamp {
        time.plus(-time.millis().rem_euclid(self.millis()))
    }

    /// The nodes from which a [`Series`] from `cut` on is added up. The first bucket may be a part of
    /// an hour or day: it is read from nodes of smaller slots.
    pub fn ranges(self, index: Index, lanes: Lanes, cut: Timestamp) -> Vec<Range> {
        let (hour, day) = (cut.hour(), cut.day());
        let hours = |to: &str| (keys::hour_sk(hour), keys::after(to));
        let days = |to: &str| (keys::day_sk(day), keys::after(to));
        let bounds = match self {
            Self::Minute => vec![hours("h#")],
            Self::Hour => vec![hours(&keys::hour_sk(hour)), days("d#")],
            Self::Day => vec![
                hours(&keys::hour_sk(hour)),
                days(&keys::day_sk(day)),
                (keys::month_sk(day.month()), keys::after("m#")),
            ],
        };
        let range = |lane, (from, to): &(String, String)| Range {
            pk: keys::nodes(index, lane),
            from: Some(from.clone()),
            to: Some(to.clone()),
            ..Range::default()
        };
        lanes.all().flat_map(|lane| bounds.iter().map(move |bound| range(lane, bound))).collect()
    }
}

/// Sums by bucket: every bucket from the cut to the one that holds the present. The first begins at
/// the cut, the last holds everything later too.
#[derive(Debug, Clone)]
pub struct Series {
    bucket: Bucket,
    cut: Timestamp,
    last: Timestamp,
    points: BTreeMap<Timestamp, Sums>,
}

impl Series {
    /// A series of zeros. `cut` is the start of a minute.
    pub fn new(bucket: Bucket, cut: Timestamp, now: Timestamp) -> Self {
        let last = bucket.start_of(now).max(cut);
        let mut points = BTreeMap::from([(cut, Sums::default())]);
        let mut start = bucket.start_of(cut).plus(bucket.millis());
        while start <= last {
            points.insert(start, Sums::default());
            start = start.plus(bucket.millis());
        }
        Self { bucket, cut, last, points }
    }

    /// Adds the slots of some nodes: each time is counted by the largest slots that were read of it
    /// and lie in one bucket. Items that are no nodes are ignored.
    pub fn add<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Item>) {
        for item in nodes {
            let Some((node, _)) = keys::parse_node(&item.key) else { continue };
            for (attribute, amount) in item.numbers() {
                let Some((slot, measure)) = parse_slot(attribute) else { continue };
                if let Some(start) = self.slot_start(&node, slot) {
                    self.add_at(start, measure, amount);
                }
            }
        }
    }

    /// When a slot begins; `None` if smaller slots count it, or it lies before the cut.
    fn slot_start(&self, node: &Node, slot: i64) -> Option<Timestamp> {
        let (start, after) = match node {
            Node::Minute(_) => return None,
            Node::Hour(hour) => (hour.start().plus(slot * MINUTE), self.cut),
            Node::Day(day) => (day.start().plus(slot * HOUR), Hour(self.cut.hour().0 + 1).start()),
            Node::Month(month) => {
                let day = month.day(u32::try_from(slot).ok()?)?;
                (day.start(), Day(self.cut.day().0 + 1).start())
            }
        };
        (start >= after).then_some(start)
    }

    fn add_at(&mut self, time: Timestamp, measure: Measure, amount: i128) {
        let start = self.bucket.start_of(time).clamp(self.cut, self.last);
        self.points.entry(start).or_default().add(measure, amount);
    }

    /// The buckets, oldest first.
    pub fn points(&self) -> impl Iterator<Item = (Timestamp, &Sums)> {
        self.points.iter().map(|(start, sums)| (*start, sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::index::node_amounts;
    use crate::storage::item::{Attributes, Key, Value};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The nodes of an index in which something happened at these times.
    fn nodes(times: &[&str]) -> Vec<Item> {
        let lane = Lanes::ONE.all().next().unwrap();
        let mut items: BTreeMap<Key, Attributes> = BTreeMap::new();
        for time in times {
            let sums = Sums::of_rows(1);
            for (key, attribute, amount) in node_amounts(Index::Notifications, lane, at(time), None, &sums) {
                let value = items.entry(key).or_default().entry(attribute).or_insert(Value::Number(0));
                if let Value::Number(sum) = value {
                    *sum += amount;
                }
            }
        }
        items.into_iter().map(|(key, attributes)| Item { key, attributes }).collect()
    }

    /// The nodes that a bucket reads of all nodes.
    fn read(bucket: Bucket, cut: Timestamp, all: &[Item]) -> Vec<Item> {
        let ranges = bucket.ranges(Index::Notifications, Lanes::ONE, cut);
        let within = |range: &Range, item: &&Item| {
            let sk = Some(&item.key.sk);
            item.key.pk == range.pk && sk >= range.from.as_ref() && sk <= range.to.as_ref()
        };
        let found = ranges.iter().flat_map(|range| all.iter().filter(move |item| within(range, item)));
        found.cloned().collect()
    }

    fn series(bucket: Bucket, cut: &str, times: &[&str]) -> Vec<(String, i128)> {
        let now = at("2026-03-31T10:30:30.500Z");
        let mut series = Series::new(bucket, at(cut), now);
        series.add(&read(bucket, at(cut), &nodes(times)));
        series.points().map(|(start, sums)| (start.to_string(), sums.get(Measure::Rows))).collect()
    }

    fn points<const N: usize>(expected: [(&str, i128); N]) -> Vec<(String, i128)> {
        expected.map(|(start, count)| (start.to_owned(), count)).to_vec()
    }

    const EDGES: [&str; 8] = [
        "2026-03-31T08:28:59.999Z",
        "2026-03-31T08:29:00Z",
        "2026-03-31T08:59:59.999Z",
        "2026-03-31T09:00:00Z",
        "2026-03-31T10:30:30.500Z",
        "2026-03-31T10:31:00Z",
        "2026-03-31T11:00:00Z",
        "2026-04-01T00:00:00Z",
    ];

    #[test]
    fn hours_begin_at_the_cut_and_the_last_holds_everything_later() {
        let expected =
            points([("2026-03-31T08:29:00Z", 2), ("2026-03-31T09:00:00Z", 1), ("2026-03-31T10:00:00Z", 4)]);

        assert_eq!(series(Bucket::Hour, "2026-03-31T08:29:00Z", &EDGES), expected);
    }

    #[test]
    fn minutes_are_all_present_and_the_last_holds_everything_later() {
        let found = series(Bucket::Minute, "2026-03-31T08:29:00Z", &EDGES);

        assert_eq!(found.len(), 122);
        let counted: Vec<_> = found.into_iter().filter(|(_, count)| *count > 0).collect();
        let expected = points([
            ("2026-03-31T08:29:00Z", 1),
            ("2026-03-31T08:59:00Z", 1),
            ("2026-03-31T09:00:00Z", 1),
            ("2026-03-31T10:30:00Z", 4),
        ]);
        assert_eq!(counted, expected);
    }

    #[test]
    fn days_begin_at_the_cut_and_cross_months() {
        let times = [
            "2026-02-26T10:59:59.999Z",
            "2026-02-26T23:00:00Z",
            "2026-02-27T00:00:00Z",
            "2026-03-01T00:00:00Z",
            "2026-04-01T00:00:00Z",
        ];

        let found = series(Bucket::Day, "2026-02-26T10:30:00Z", &times);

        assert_eq!(found.len(), 34);
        let counted: Vec<_> = found.into_iter().filter(|(_, count)| *count > 0).collect();
        let expected = points([
            ("2026-02-26T10:30:00Z", 2),
            ("2026-02-27T00:00:00Z", 1),
            ("2026-03-01T00:00:00Z", 1),
            ("2026-03-31T00:00:00Z", 1),
        ]);
        assert_eq!(counted, expected);
    }

    #[test]
    fn a_window_within_one_bucket_is_one_point_at_the_cut() {
        let expected = points([("2026-03-31T09:30:00Z", 4)]);

        assert_eq!(series(Bucket::Day, "2026-03-31T09:30:00Z", &EDGES), expected);
    }
}
