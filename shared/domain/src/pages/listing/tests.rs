use super::*;
use crate::projections::index::{Measure, Sums, node_amounts};
use crate::storage::item::{Attributes, Key, Value};
use crate::storage::keys::{Index, Lanes};
use crate::storage::read::Corrupt;
use crate::values::time::MINUTE;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

const PARTITIONS: &[StatusPartition] =
    &[StatusPartition::Success, StatusPartition::Failed, StatusPartition::Running];
const LIMIT: u64 = 50;

/// Rows of one lane or two, `n` of each thousand in the first.
fn rows_of_lanes(rows: i64, of_first: i64) -> (Replica, Vec<String>) {
    let mut replica = Replica { lanes: Lanes::DEFAULT, ..Replica::default() };
    let [first, second] = Lanes::DEFAULT.all().collect::<Vec<_>>()[..] else { unreachable!("two lanes") };
    let keys = (0..rows).map(|n| {
        let lane = if n % 1_000 < of_first { first } else { second };
        keys::row(Index::Executions, StatusPartition::Success, lane, now().plus(-n), &["x"])
    });
    let keys: Vec<Key> = keys.collect();
    let order = keys.iter().map(|key| key.sk.clone()).collect();
    replica.rows = keys.into_iter().map(|key| (key, Attributes::new())).collect();
    (replica, order)
}

/// Nodes and rows, maybe of different moments, and the plans that read them.
struct Replica {
    lanes: Lanes,
    nodes: BTreeMap<Key, Attributes>,
    rows: BTreeMap<Key, Attributes>,
    plans: Mutex<Vec<ReadPlan>>,
}

impl Reader for Replica {
    type Error = Corrupt;

    fn lanes(&self) -> Lanes {
        self.lanes
    }

    async fn read(&self, plan: ReadPlan) -> Result<ReadResult, Corrupt> {
        let item = |(key, attributes): (&Key, &Attributes)| Item {
            key: key.clone(),
            attributes: attributes.clone(),
        };
        let lies_in = |range: &Range, key: &Key| {
            let sk = Some(&key.sk);
            key.pk == range.pk && sk >= range.from.as_ref() && range.to.is_none() | (sk <= range.to.as_ref())
        };
        let of_range = |range: &Range| {
            let all = self.nodes.iter().chain(&self.rows).filter(|(key, _)| lies_in(range, key)).map(item);
            let mut found: Vec<Item> = all.collect();
            if range.descending {
                found.reverse();
            }
            found.truncate(range.limit.unwrap_or(usize::MAX));
            found
        };
        let found = ReadResult {
            items: plan
                .gets
                .iter()
                .filter_map(|key| self.nodes.get_key_value(key))
                .map(item)
                .map(keyed)
                .collect(),
            ranges: plan.ranges.iter().map(of_range).collect(),
        };
        self.plans.lock().unwrap().push(plan);
        Ok(found)
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self { lanes: Lanes::ONE, nodes: BTreeMap::new(), rows: BTreeMap::new(), plans: Mutex::default() }
    }
}

fn keyed(item: Item) -> (Key, Item) {
    (item.key.clone(), item)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-03-31T10:30:30.500Z").unwrap()
}

/// The n-th execution, newest first: one a minute.
fn key(n: i64, status: StatusPartition) -> Key {
    let lane = Lanes::ONE.all().next().unwrap();
    keys::row(Index::Executions, status, lane, now().plus(-n * MINUTE), &["x"])
}

impl Replica {
    /// 300 executions of some statuses.
    fn of(status: impl Fn(i64) -> StatusPartition) -> Self {
        let mut replica = Self::default();
        let lane = Lanes::ONE.all().next().unwrap();
        for n in 0..300 {
            replica.put(n, status(n));
            let succeeded = i128::from(status(n) == StatusPartition::Success);
            let sums = Sums::of_rows(1).with(Measure::Success, succeeded);
            let at = now().plus(-n * MINUTE);
            for (key, name, amount) in node_amounts(Index::Executions, lane, at, None, &sums) {
                let stored = replica.nodes.entry(key).or_default().entry(name).or_insert(Value::Number(0));
                if let Value::Number(sum) = stored {
                    *sum += amount;
                }
            }
        }
        replica
    }

    fn put(&mut self, n: i64, status: StatusPartition) {
        self.rows.insert(key(n, status), Attributes::new());
    }

    fn remove(&mut self, n: i64) {
        self.rows.remove(&key(n, StatusPartition::Success));
    }

    /// The keys of the fourth page and the plan of each round trip.
    fn read(&self) -> (Vec<Key>, Vec<ReadPlan>) {
        self.page(4, LIMIT)
    }

    fn page(&self, page: u64, limit: u64) -> (Vec<Key>, Vec<ReadPlan>) {
        let request = ListRequest {
            list: Index::Executions.into(),
            partitions: PARTITIONS,
            since: Some(now().plus(-DAY)),
            now: now(),
            page: PageRequest { requested: true, page, limit },
            consistent: false,
            rows: RowContent::Summaries,
        };
        self.plans.lock().unwrap().clear();
        let mut read = pin!(request.read(self));
        let Poll::Ready(found) = read.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("this reader waits for nothing")
        };
        let rows = found.unwrap().rows.into_iter().map(|row| row.key).collect();
        (rows, self.plans.lock().unwrap().clone())
    }
}

fn expected(missing: Option<i64>) -> Vec<Key> {
    let rows = (150..).filter(|n| Some(*n) != missing).take(50);
    rows.map(|n| key(n, StatusPartition::Success)).collect()
}

#[test]
fn page_reads_only_what_its_counters_say_that_it_has() {
    let (rows, plans) = Replica::of(|_| StatusPartition::Success).read();

    assert_eq!(rows, expected(None));
    let last = plans.last().unwrap();
    assert_eq!(last.ranges.len(), 1, "nothing failed or runs: {last:?}");
    // The 200th row began at 7:11; of its hour the hours alone are known.
    let seven = Timestamp::parse("2026-03-31T07:00:00Z").unwrap();
    assert_eq!(last.ranges[0].from, Some(keys::row_time(seven)));
}

#[test]
fn page_whose_rows_are_not_there_yet_is_read_whole() {
    let mut replica = Replica::of(|_| StatusPartition::Success);
    let trips = replica.read().1.len();
    (160..200).for_each(|n| replica.remove(n));
    (160..200).for_each(|n| replica.put(n, StatusPartition::Failed));

    let (rows, plans) = replica.read();

    let at: Vec<_> = rows.iter().map(keys::row_at).collect();
    assert_eq!(at, expected(None).iter().map(keys::row_at).collect::<Vec<_>>());
    assert_eq!((plans.len(), plans.last().unwrap().ranges.len()), (trips + 1, PARTITIONS.len()));
    assert_eq!(plans.last().unwrap().ranges[0].from, Some(keys::row_time(now().plus(-DAY))));
}

#[test]
fn page_of_which_a_row_was_removed_ends_with_the_next_one() {
    let mut replica = Replica::of(|_| StatusPartition::Success);
    replica.remove(160);

    assert_eq!(replica.read().0, expected(Some(160)));
}

#[test]
fn page_with_something_running_on_its_days_reads_every_status() {
    let status = |n| if n == 0 { StatusPartition::Running } else { StatusPartition::Success };

    let (rows, plans) = Replica::of(status).read();

    assert_eq!(rows, expected(None));
    assert_eq!(plans.last().unwrap().ranges.len(), PARTITIONS.len());
}

#[test]
fn very_many_rows_are_read_by_the_share_of_each_lane() {
    // In turns of 500 each lane has its half; of the first 2,000 a lane has 1,400 in the other two.
    for (of_first, trips, ranges) in [(500, 1, 1_100), (700, 2, 2_000), (1_000, 2, 2_000)] {
        let (replica, order) = rows_of_lanes(3_000, of_first);

        let (rows, plans) = replica.page(1, 2_000);

        assert!(rows.iter().map(|key| &key.sk).eq(order.iter().take(2_000)), "{of_first}");
        assert_eq!(plans.len(), trips, "{of_first}");
        assert!(plans.last().unwrap().ranges.iter().take(2).all(|range| range.limit == Some(ranges)));
    }
}
