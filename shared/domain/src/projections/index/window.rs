//! Windows: from which nodes the sums of everything since a time are read.

use super::measure::Sums;
use super::position;
use crate::storage::item::Key;
use crate::storage::keys::{self, FilteredIndex, Lanes, StatusPartition};
use crate::storage::read::{Range, ReadPlan};
use crate::values::time::{DAY, Day, Hour, Minute, Month, Timestamp};

/// The rows of an index with its filter, since the start of a minute, or of all time.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    list: FilteredIndex<'a>,
    lanes: Lanes,
    since: Option<Timestamp>,
    now: Timestamp,
}

/// How long after now the latest row may lie: the 24 hours that the event contract allows, and as much
/// again for clocks that differ.
const LATEST: i64 = 2 * DAY;
/// Of a window over so many months their nodes are read by key, together with all other keys in one call.
/// Of a longer one a query for each lane is cheaper.
const MONTHS_BY_KEY: usize = 3;

impl<'a> Window<'a> {
    /// The window that begins with the minute of `since`; of all time without it.
    pub fn new(
        list: impl Into<FilteredIndex<'a>>,
        lanes: Lanes,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self { list: list.into(), lanes, since: since.map(Timestamp::floor_to_minute), now }
    }

    /// All nodes that a [`Timeline`](super::Timeline) needs: the months from the window's first on, and
    /// [`Window::first_day`].
    pub fn plan(&self) -> ReadPlan {
        self.months().and(self.first_day())
    }

    /// The nodes that count by days, from the window's first month on.
    fn months(&self) -> ReadPlan {
        let first = self.since.unwrap_or(Timestamp::EARLIEST).day().month();
        let last = self.now.plus(LATEST).day().month();
        let following = std::iter::successors(Some(first), |month| Some(month.next()));
        let months: Vec<Month> =
            following.take_while(|month| *month <= last).take(MONTHS_BY_KEY + 1).collect();
        if self.has_day_nodes() && months.len() <= MONTHS_BY_KEY {
            let node = |month| self.nodes(move |lane| keys::month_node(self.list, lane, month, None));
            return ReadPlan::gets(months.into_iter().flat_map(node));
        }
        let range = |pk| Range {
            pk,
            from: Some(keys::month_sk(first)),
            to: Some(keys::after("m#")),
            ..Range::default()
        };
        ReadPlan::ranges(self.partitions().map(range).collect())
    }

    /// The nodes of the window's first day: the day with its hours and the first hour with its minutes, if
    /// it is cut; or all hours in an index without nodes of days. Enough where a longer window of the same
    /// index is read with it.
    pub fn first_day(&self) -> ReadPlan {
        match self.since {
            None => ReadPlan::default(),
            Some(since) if self.list.index.has_day_nodes() => {
                let hours = self.hours_of(since.day());
                if since == since.floor_to_hour() { hours } else { hours.and(self.minutes_of(since.hour())) }
            }
            Some(since) => self.hour_nodes_from(since.hour()),
        }
    }

    /// The nodes that count a day by hours.
    pub fn hours_of(&self, day: Day) -> ReadPlan {
        ReadPlan::gets(self.nodes(|lane| keys::day_node(self.list, lane, day)))
    }

    /// The nodes that count an hour by minutes, of an index without tags.
    pub fn minutes_of(&self, hour: Hour) -> ReadPlan {
        ReadPlan::gets(self.nodes(|lane| keys::hour_node(self.list, lane, hour, None)))
    }

    /// The nodes that count by minutes what follows from an hour on, up to the end of its day.
    pub fn hour_nodes_from(&self, first: Hour) -> ReadPlan {
        let last = Hour(first.day().first_hour().0 + 23);
        let hours = self.partitions().map(|pk| Range {
            pk,
            from: Some(keys::hour_sk(first)),
            to: Some(keys::after(&keys::hour_sk(last))),
            ..Range::default()
        });
        ReadPlan::ranges(hours.collect())
    }

    /// The nodes that count a minute by seconds; `None` if there are none of these rows.
    pub fn seconds_of(&self, minute: Minute) -> Option<ReadPlan> {
        let index = position::counted_by_seconds(self.list)?;
        Some(ReadPlan::gets(self.nodes(|lane| keys::minute_node(index, lane, minute))))
    }

    /// Whether the nodes of days count the rows of these status partitions, so that a page is found by its hour.
    pub fn counts_by_hours(&self, partitions: &[StatusPartition]) -> bool {
        self.has_day_nodes() && partitions.iter().all(|partition| Sums::day_nodes_count(*partition))
    }

    /// When it begins.
    pub(super) const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether its first day is counted by hours.
    pub(super) const fn has_day_nodes(&self) -> bool {
        self.list.index.has_day_nodes()
    }

    /// The tag of its rows; `None` for all rows.
    pub(super) const fn tag(&self) -> Option<&'a str> {
        self.list.tag()
    }

    /// The partitions of its nodes.
    pub(super) fn partitions(self) -> impl Iterator<Item = String> + use<'a> {
        self.lanes.all().map(move |lane| keys::nodes(self.list, lane))
    }

    fn nodes(&self, node: impl Fn(keys::Lane) -> Key) -> Vec<Key> {
        self.lanes.all().map(node).collect()
    }
}
