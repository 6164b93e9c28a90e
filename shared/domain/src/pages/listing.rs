//! Lists by time: the rows of one page and the exact totals of the window, at a cost that
//! depends neither on how many rows there are nor on which page is requested (docs/promises.md,
//! "P2 Flat reads").

use crate::projections::index::{self, PagePosition, Timeline};
use crate::projections::views;
use crate::requests::parameters::PageRequest;
use crate::storage::item::Item;
use crate::storage::keys::{self, IndexPart, StatusPartition};
use crate::storage::read::{Range, ReadPlan, Reader};
use crate::values::time::{MINUTE, Timestamp};

/// A page that begins within this many rows from the newest is read from there, without a descent
/// through the counted index.
pub(super) const NEAR_TOP: usize = 150;

/// Which rows to list.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListRequest<'a> {
    /// The index, or the part of it, that lists and counts them.
    pub(super) list: IndexPart<'a>,
    /// Only rows in these status partitions.
    pub(super) partitions: &'a [StatusPartition],
    /// Only rows at or after the start of this minute; all rows without it.
    pub(super) since: Option<Timestamp>,
    /// The page of the list.
    pub(super) page: PageRequest,
    /// Whether the reads are strongly consistent.
    pub(super) consistent: bool,
}

/// A page of rows, newest first, and the window it is cut from.
#[derive(Debug)]
pub(super) struct ListResult {
    /// The rows of the page.
    pub(super) rows: Vec<Item>,
    /// The number of rows on all pages.
    pub(super) total: i128,
    /// The sums of the window, over all status partitions.
    pub(super) timeline: Timeline,
}

impl ListRequest<'_> {
    /// Reads the page and the totals of its window: one round trip near the top, at most three
    /// anywhere else.
    pub(super) async fn read<R: Reader>(&self, reader: &R) -> Result<ListResult, R::Error> {
        let (offset, limit) = (self.page.offset(), self.page.rows());
        let near_top = offset <= NEAR_TOP;
        let mut ranges = index::window_ranges(self.list, reader.lanes(), self.since);
        let nodes = ranges.len();
        if near_top {
            ranges.extend(self.newest_rows(reader, None, offset + limit));
        }
        let mut found = reader.read(self.plan(ranges)).await?;
        let mut timeline = Timeline::since(self.since).only(self.list.tag());
        timeline.add(found.take_ranges(nodes).iter().flatten());
        let total = timeline.total().rows_in_any(self.partitions);
        let rows = if near_top {
            newest_first(found.ranges, offset, limit)
        } else {
            self.read_by_descent(reader, &mut timeline).await?
        };
        Ok(ListResult { rows, total, timeline })
    }

    /// Descends from the day to the minute in which the page begins, and reads its
    /// rows from there.
    async fn read_by_descent<R: Reader>(
        &self,
        reader: &R,
        timeline: &mut Timeline,
    ) -> Result<Vec<Item>, R::Error> {
        let day = timeline.day_of(self.partitions, self.page.offset());
        let Some((day, offset)) = day else { return Ok(Vec::new()) };
        if !timeline.has_minutes_of(day) {
            let hours = index::hour_ranges(self.list, reader.lanes(), day.first_hour());
            let found = reader.read(self.plan(hours)).await?;
            timeline.add(found.ranges.iter().flatten());
        }
        let position = timeline.minute_of(self.partitions, day, offset);
        let Some(position) = position else { return Ok(Vec::new()) };
        if position.skip <= position.rows / 2 {
            self.read_down_from_minute(reader, position).await
        } else {
            self.read_around_page(reader, position).await
        }
    }

    /// Reads from the end of the minute down to the end of the page.
    async fn read_down_from_minute<R: Reader>(
        &self,
        reader: &R,
        position: PagePosition,
    ) -> Result<Vec<Item>, R::Error> {
        let end = keys::row_time(position.minute.plus(MINUTE));
        let ranges = self.newest_rows(reader, Some(end), position.skip + self.page.rows());
        let found = reader.read(self.plan(ranges)).await?;
        Ok(newest_first(found.ranges, position.skip, self.page.rows()))
    }

    /// Reads from the start of the minute in both directions: up to the first row of the page,
    /// which is nearer than from the minute's end, and down to the last.
    async fn read_around_page<R: Reader>(
        &self,
        reader: &R,
        position: PagePosition,
    ) -> Result<Vec<Item>, R::Error> {
        let in_minute = position.rows - position.skip;
        let (start, end) = (keys::row_time(position.minute), keys::row_time(position.minute.plus(MINUTE)));
        let upwards = |range| Range { from: Some(start.clone()), descending: false, ..range };
        let mut ranges: Vec<Range> =
            self.newest_rows(reader, Some(end), in_minute).into_iter().map(upwards).collect();
        let partitions = ranges.len();
        let older = self.page.rows().saturating_sub(in_minute);
        if older > 0 {
            ranges.extend(self.newest_rows(reader, Some(start.clone()), older));
        }
        let mut found = reader.read(self.plan(ranges)).await?;
        let mut oldest: Vec<Item> = found.take_ranges(partitions).into_iter().flatten().collect();
        oldest.sort_by(|a, b| a.key.sk.cmp(&b.key.sk));
        oldest.truncate(in_minute);
        let older = newest_first(found.ranges, 0, older);
        Ok(oldest.into_iter().rev().chain(older).take(self.page.rows()).collect())
    }

    fn plan(&self, ranges: Vec<Range>) -> ReadPlan {
        ReadPlan { consistent: self.consistent, ..ReadPlan::ranges(ranges) }
    }

    /// The newest rows up to the sort key `to`, at most `limit` from each lane and status
    /// partition: any one of them may hold the whole page.
    fn newest_rows<R: Reader>(&self, reader: &R, to: Option<String>, limit: usize) -> Vec<Range> {
        let partitions = self.partitions.iter().flat_map(|partition| {
            let lanes = reader.lanes().all();
            lanes.map(|lane| keys::rows(self.list, *partition, lane))
        });
        let range = |pk| Range {
            pk,
            from: self.since.map(keys::row_time),
            to: to.clone(),
            descending: true,
            limit: Some(limit),
            attributes: Some(&[views::OF]),
        };
        partitions.map(range).collect()
    }
}

/// The rows of some ranges in one order, newest first, from `skip` on and at most `limit`.
fn newest_first(ranges: Vec<Vec<Item>>, skip: usize, limit: usize) -> Vec<Item> {
    let mut all: Vec<Item> = ranges.into_iter().flatten().collect();
    all.sort_by(|a, b| b.key.sk.cmp(&a.key.sk));
    all.into_iter().skip(skip).take(limit).collect()
}
