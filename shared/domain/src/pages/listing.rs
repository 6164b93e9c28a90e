//! Lists by time: the rows of one page and the exact totals of the window, at a cost that does not depend on
//! how much there is or on which page is asked for.

use crate::projections::index::{self, Timeline};
use crate::storage::item::Item;
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::{Range, ReadPlan, Reader};
use crate::values::time::{MINUTE, Timestamp};

/// A page that begins within this many rows from the top is read straight, without walking the counted index.
const STRAIGHT: usize = 150;

/// What to list.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListRequest<'a> {
    /// The list.
    pub(super) index: Index,
    /// Its rows in any of these states.
    pub(super) streams: &'a [StatusPartition],
    /// Only rows at or after this minute.
    pub(super) since: Option<Timestamp>,
    /// Rows to pass over.
    pub(super) offset: usize,
    /// Rows to return at most.
    pub(super) rows: usize,
    /// Whether acknowledged writes must be seen.
    pub(super) consistent: bool,
}

/// A page of rows, newest first, and the window it is cut from.
#[derive(Debug)]
pub(super) struct ListResult {
    /// The page.
    pub(super) rows: Vec<Item>,
    /// All rows of the listed states.
    pub(super) total: i128,
    /// The window.
    pub(super) timeline: Timeline,
}

impl ListRequest<'_> {
    /// One round trip near the top, at most three anywhere else.
    pub(super) async fn read<R: Reader>(&self, reader: &R) -> Result<ListResult, R::Error> {
        let straight = self.offset <= STRAIGHT;
        let mut ranges = index::window_ranges(self.index, reader.lanes(), self.since);
        let nodes = ranges.len();
        if straight {
            ranges.extend(self.row_ranges(reader, None, self.offset + self.rows));
        }
        let mut found = reader.read(self.reads(ranges)).await?;
        let mut timeline = Timeline::since(self.since);
        timeline.add(found.take_ranges(nodes).iter().flatten());
        let total = self.streams.iter().map(|stream| timeline.total().rows_of(*stream)).sum();
        let rows = if straight {
            merged(found.ranges, self.offset, self.rows)
        } else {
            self.rows_far_down(reader, &mut timeline).await?
        };
        Ok(ListResult { rows, total, timeline })
    }

    async fn rows_far_down<R: Reader>(
        &self,
        reader: &R,
        timeline: &mut Timeline,
    ) -> Result<Vec<Item>, R::Error> {
        let Some((day, offset)) = timeline.day_of(self.streams, self.offset) else { return Ok(Vec::new()) };
        if !timeline.has_minutes_of(day) {
            let hours = index::hour_ranges(self.index, reader.lanes(), day.first_hour());
            let found = reader.read(self.reads(hours)).await?;
            timeline.add(found.ranges.iter().flatten());
        }
        let Some(place) = timeline.minute_of(self.streams, day, offset) else { return Ok(Vec::new()) };
        let end = Some(keys::row_time(place.minute.plus(MINUTE)));
        if place.skip <= place.rows / 2 {
            let ranges = self.row_ranges(reader, end, place.skip + self.rows);
            return Ok(merged(reader.read(self.reads(ranges)).await?.ranges, place.skip, self.rows));
        }
        // Nearer to the minute's beginning: its rows from there up to the page, and older ones from there down.
        let left = place.rows - place.skip;
        let start = keys::row_time(place.minute);
        let upwards = |range| Range { from: Some(start.clone()), descending: false, ..range };
        let mut ranges: Vec<Range> = self.row_ranges(reader, end, left).into_iter().map(upwards).collect();
        let partitions = ranges.len();
        let older = self.rows.saturating_sub(left);
        if older > 0 {
            ranges.extend(self.row_ranges(reader, Some(start.clone()), older));
        }
        let mut found = reader.read(self.reads(ranges)).await?;
        let mut oldest: Vec<Item> = found.take_ranges(partitions).into_iter().flatten().collect();
        oldest.sort_by(|a, b| a.key.sk.cmp(&b.key.sk));
        oldest.truncate(left);
        let older = merged(found.ranges, 0, older);
        Ok(oldest.into_iter().rev().chain(older).take(self.rows).collect())
    }

    fn reads(&self, ranges: Vec<Range>) -> ReadPlan {
        ReadPlan { consistent: self.consistent, ..ReadPlan::ranges(ranges) }
    }

    /// The newest rows up to a sort key, from every lane and state: any of them may hold all of the page.
    fn row_ranges<R: Reader>(&self, reader: &R, to: Option<String>, limit: usize) -> Vec<Range> {
        let lanes = || reader.lanes().all();
        let partitions =
            self.streams.iter().flat_map(|stream| lanes().map(|lane| keys::rows(self.index, *stream, lane)));
        let from = self.since.map(keys::row_time);
        let range =
            |pk| Range { pk, from: from.clone(), to: to.clone(), descending: true, limit: Some(limit) };
        partitions.map(range).collect()
    }
}

fn merged(ranges: Vec<Vec<Item>>, skip: usize, rows: usize) -> Vec<Item> {
    let mut all: Vec<Item> = ranges.into_iter().flatten().collect();
    all.sort_by(|a, b| b.key.sk.cmp(&a.key.sk));
    all.into_iter().skip(skip).take(rows).collect()
}
