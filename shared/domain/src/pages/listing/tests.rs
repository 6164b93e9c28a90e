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

/// Nodes and rows, maybe of different moments, and the plans that read them.
#[derive(Default)]
struct Replica {
    nodes: BTreeMap<Key, Attributes>,
    rows: BTreeMap<Key, Attributes>,
    plans: Mutex<Vec<ReadPlan>>,
}

impl Reader for Replica {
    type Error = Corrupt;

    fn lanes(&self) -> Lanes {
        Lanes::ONE
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

    fn remove(&mut self, n: i64, status: StatusPartition) {
        self.rows.remove(&key(n, status));
    }

    /// The keys of the fourth page and the plan of each round trip.
    fn read(&self) -> (Vec<Key>, Vec<ReadPlan>) {
        self.read_in(PARTITIONS)
    }

    fn read_in(&self, partitions: &[StatusPartition]) -> (Vec<Key>, Vec<ReadPlan>) {
        let request = ListRequest {
            list: Index::Executions.into(),
            partitions,
            since: Some(now().plus(-DAY)),
            now: now(),
            page: PageRequest { requested: true, page: 4, limit: LIMIT },
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

/// The statuses whose rows are read, in their order.
fn statuses(plan: &ReadPlan) -> Vec<&str> {
    plan.ranges.iter().map(|range| range.pk.split('#').nth(2).unwrap()).collect()
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
    assert_eq!(statuses(last), ["success", "running"], "nothing failed, and what runs is always read");
    // The 200th row began at 7:11; of its hour the hours alone are known.
    let seven = Timestamp::parse("2026-03-31T07:00:00Z").unwrap();
    assert_eq!(last.ranges[0].from, Some(keys::row_time(seven)));
}

#[test]
fn page_whose_rows_are_not_there_yet_is_read_whole() {
    let mut replica = Replica::of(|_| StatusPartition::Success);
    let trips = replica.read().1.len();
    (160..200).for_each(|n| replica.remove(n, StatusPartition::Success));
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
    replica.remove(160, StatusPartition::Success);

    assert_eq!(replica.read().0, expected(Some(160)));
}

#[test]
fn page_with_something_running_on_its_days_reads_every_status() {
    let status = |n| if n == 0 { StatusPartition::Running } else { StatusPartition::Success };

    let (rows, plans) = Replica::of(status).read();

    assert_eq!(rows, expected(None));
    assert_eq!(plans.last().unwrap().ranges.len(), PARTITIONS.len());
}

/// By the nodes nothing runs any more. The rows come from a replica that lags behind them.
#[test]
fn row_that_has_left_running_is_shown_where_it_still_is_by_older_rows() {
    let mut replica = Replica::of(|_| StatusPartition::Success);
    let trips = replica.read().1.len();
    replica.remove(160, StatusPartition::Success);
    replica.put(160, StatusPartition::Running);

    let (rows, plans) = replica.read();

    assert_eq!(rows[10], key(160, StatusPartition::Running));
    let at: Vec<_> = rows.iter().map(keys::row_at).collect();
    assert_eq!(at, expected(None).iter().map(keys::row_at).collect::<Vec<_>>());
    assert_eq!((plans.len(), statuses(plans.last().unwrap())), (trips, vec!["success", "running"]));
}

#[test]
fn page_of_what_runs_is_not_read_twice_when_rows_have_gone() {
    let mut replica = Replica::of(|_| StatusPartition::Running);
    let trips = replica.read_in(&[StatusPartition::Running]).1.len();
    (160..170).for_each(|n| replica.remove(n, StatusPartition::Running));

    let (rows, plans) = replica.read_in(&[StatusPartition::Running]);

    let left = (150..160).chain(170..210).map(|n| key(n, StatusPartition::Running));
    assert_eq!(rows, left.collect::<Vec<_>>());
    assert_eq!(plans.len(), trips);
}
