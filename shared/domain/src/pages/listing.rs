//! Lists by time: the rows of one page and the exact totals of the window, at a cost that
//! depends neither on how many rows there are nor on which page is requested (docs/promises.md,
//! "P2. Flat reads").

use crate::projections::index::{PagePosition, Timeline, Window};
use crate::requests::parameters::PageRequest;
use crate::storage::item::Item;
use crate::storage::keys::{self, FilteredIndex, StatusPartition};
use crate::storage::read::{Range, ReadPlan, ReadResult, Reader, SelectedAttributes};
use crate::values::time::{DAY, Day, HOUR, Timestamp};
use std::collections::HashSet;
use std::hash::Hash;

/// The greatest offset of a page of small rows that is read from the first row on, without a descent through
/// counters.
pub(super) const MAX_OFFSET_OF_SMALL_ROWS: usize = 150;
/// The same of rows with summaries, which are larger, so that fewer of them are read in vain.
const MAX_OFFSET_OF_SUMMARIES: usize = 100;

/// So many rows are skipped one by one rather than by one more round trip to a minute's seconds.
const MAX_ROWS_SKIPPED: usize = 100;

/// Which rows to list.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListRequest<'a> {
    /// The index with its filter that lists and counts them.
    pub(super) list: FilteredIndex<'a>,
    /// Only rows in these status partitions.
    pub(super) partitions: &'a [StatusPartition],
    /// Only rows at or after the start of this minute; all rows without it.
    pub(super) since: Option<Timestamp>,
    /// When the request was received.
    pub(super) now: Timestamp,
    /// The page of the list.
    pub(super) page: PageRequest,
    /// Whether the reads are strongly consistent.
    pub(super) consistent: bool,
    /// What the page takes from the rows themselves.
    pub(super) rows: RowContent,
}

/// What a page takes from the rows of its list.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowContent {
    /// Everything it shows of the entity, so all attributes are read.
    Summaries,
    /// The key and these attributes. The entities are read afterwards.
    References(&'static [&'static str]),
}

impl RowContent {
    /// The attributes to read.
    const fn attributes(self) -> SelectedAttributes {
        match self {
            Self::Summaries => None,
            Self::References(attributes) => Some(attributes),
        }
    }

    /// The greatest offset of a page that is read from the newest row on, without a descent through the counted
    /// index.
    const fn max_offset_from_top(self) -> usize {
        match self {
            Self::Summaries => MAX_OFFSET_OF_SUMMARIES,
            Self::References(_) => MAX_OFFSET_OF_SMALL_ROWS,
        }
    }
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

/// Where rows are read.
#[derive(Debug)]
struct Span {
    /// In these status partitions.
    partitions: Vec<StatusPartition>,
    /// At or after this time; any without it.
    since: Option<Timestamp>,
}

impl ListRequest<'_> {
    /// Reads the page and the totals of its window: one round trip near the top, at most three
    /// anywhere else, or four in an index with nodes of days; one more for a page in a crowded minute, and anywhere but
    /// near the top one more while rows move: if rows are missing that were counted a moment before.
    pub(super) async fn read<R: Reader>(&self, reader: &R) -> Result<ListResult, R::Error> {
        let (offset, limit) = (self.page.offset(), self.page.rows());
        let near_top = offset <= self.rows.max_offset_from_top();
        let window = Window::new(self.list, reader.lanes(), self.since, self.now);
        let newest = if near_top {
            self.newest_rows(reader, &self.everything(), None, offset + limit)
        } else {
            Vec::new()
        };
        let lists = newest.len();
        let mut found = reader.read(self.plan(ReadPlan::ranges(newest).and(window.plan()))).await?;
        let rows = found.take_ranges(lists);
        let mut timeline = Timeline::of(window, &found);
        let total = timeline.total().rows_in_any(self.partitions);
        let rows = if near_top {
            newest_first(rows).into_iter().skip(offset).take(limit).collect()
        } else {
            let rows = usize::try_from(total).unwrap_or(0).saturating_sub(offset).min(limit);
            self.read_by_descent(reader, window, &mut timeline, rows).await?
        };
        Ok(ListResult { rows, total, timeline })
    }

    /// Descends from the day to the minute in which the page begins, or to the second if many rows share that
    /// minute, and reads its rows from there: as many as `expected`, if they have not changed since they were counted.
    ///
    /// The nodes also say where the page ends and which statuses have no rows on its days, so no more is read. Nodes
    /// and rows come from different calls and replicas, and may disagree for a moment. Where the hours of a day, or the
    /// minutes of an hour, are too few for the page's first row, it begins below that day or hour. If rows are missing,
    /// everything is read, for one round trip more. A list of what runs alone is read whole at once: its rows go all
    /// the time.
    ///
    /// A row may still be missing from that one answer, and the next one be shown in its place, if nodes or rows are
    /// the newer ones and it is in a status that has none on these days by the nodes; see [`Self::counted_span`].
    async fn read_by_descent<R: Reader>(
        &self,
        reader: &R,
        window: Window<'_>,
        timeline: &mut Timeline,
        expected: usize,
    ) -> Result<Vec<Item>, R::Error> {
        let day = timeline.day_of(self.partitions, self.page.offset());
        let Some(day) = day else { return Ok(Vec::new()) };
        let minute = if window.counts_by_hours(self.partitions) {
            self.find_by_hours(reader, window, timeline, day).await?
        } else {
            self.find_by_minutes(reader, window, timeline, day).await?
        };
        let seconds = self.read_seconds(reader, window, minute).await?;
        let within = |position: PagePosition| match &seconds {
            Some(found) => position.within_seconds(self.list, self.partitions, found),
            None => position,
        };
        let position = within(minute);
        if self.partitions == [StatusPartition::Running] {
            return self.read_from(reader, position, &self.everything()).await;
        }
        let last_in_minute = minute.skip + expected.saturating_sub(1);
        let oldest = if last_in_minute < minute.rows {
            Some(within(PagePosition { skip: last_in_minute, ..minute }).start)
        } else {
            timeline.start_of(self.partitions, (self.page.offset() + expected).saturating_sub(1))
        };
        let counted = self.counted_span(timeline, position, oldest);
        let rows = self.read_from(reader, position, &counted).await?;
        if rows.len() >= expected {
            return Ok(rows);
        }
        self.read_from(reader, position, &self.everything()).await
    }

    /// Where the rows of a page lie by what is counted: from a position down to the slot that begins at `oldest`, in
    /// the statuses that have rows on its days.
    ///
    /// What runs is about to move. So where something runs every status is read, as its row may have left; and what
    /// runs is always read, as a row that has left by the nodes may still be there on a lagging replica. Between the
    /// statuses of schedules and tasks a row may be missed in both directions.
    fn counted_span(&self, timeline: &Timeline, position: PagePosition, oldest: Option<Timestamp>) -> Span {
        let since = oldest.map(|oldest| oldest.min(position.start)).max(self.since);
        let sums = timeline.sums_of_days(since.unwrap_or(Timestamp::EARLIEST).day(), position.start.day());
        let has_rows = |partition: &StatusPartition| sums.rows_in(*partition) > 0;
        let running =
            self.partitions.contains(&StatusPartition::Running) && has_rows(&StatusPartition::Running);
        let is_read = |partition: &StatusPartition| {
            running || *partition == StatusPartition::Running || has_rows(partition)
        };
        Span { partitions: self.partitions.iter().copied().filter(is_read).collect(), since }
    }

    /// Reads the rows of the page that lie in a span, from the nearer end of the minute or second in which it begins.
    async fn read_from<R: Reader>(
        &self,
        reader: &R,
        position: PagePosition,
        span: &Span,
    ) -> Result<Vec<Item>, R::Error> {
        if position.skip <= position.rows / 2 {
            self.read_down(reader, position, span).await
        } else {
            self.read_around_page(reader, position, span).await
        }
    }

    /// Where the row at an offset of a day lies: its hour, then the minute. At most two round trips.
    async fn find_by_hours<R: Reader>(
        &self,
        reader: &R,
        window: Window<'_>,
        timeline: &mut Timeline,
        (day, offset): (Day, usize),
    ) -> Result<PagePosition, R::Error> {
        if !timeline.has_hours_of(day) {
            timeline.add(&reader.read(self.plan(window.hours_of(day))).await?);
        }
        let Some((hour, offset)) = timeline.hour_of(self.partitions, day, offset) else {
            return Ok(PagePosition::below(day.start()));
        };
        if !timeline.has_minutes_of(hour) {
            timeline.add(&reader.read(self.plan(window.minutes_of(hour))).await?);
        }
        let minute = timeline.minute_of(self.partitions, (hour.start(), HOUR), offset);
        Ok(minute.unwrap_or_else(|| PagePosition::below(hour.start())))
    }

    /// Where the row at an offset of a day lies, of all its minutes. At most one round trip.
    async fn find_by_minutes<R: Reader>(
        &self,
        reader: &R,
        window: Window<'_>,
        timeline: &mut Timeline,
        (day, offset): (Day, usize),
    ) -> Result<PagePosition, R::Error> {
        if !timeline.has_minutes_of(day.first_hour()) {
            timeline.add(&reader.read(self.plan(window.hour_nodes_from(day.first_hour()))).await?);
        }
        let minute = timeline.minute_of(self.partitions, (day.start(), DAY), offset);
        Ok(minute.unwrap_or_else(|| PagePosition::below(day.start())))
    }

    /// The nodes that count a minute by seconds, if many rows share it. At most one round trip.
    async fn read_seconds<R: Reader>(
        &self,
        reader: &R,
        window: Window<'_>,
        position: PagePosition,
    ) -> Result<Option<ReadResult>, R::Error> {
        let minute = position.crowded_minute().filter(|_| position.skipped() > MAX_ROWS_SKIPPED);
        let Some(seconds) = minute.and_then(|minute| window.seconds_of(minute)) else { return Ok(None) };
        Ok(Some(reader.read(self.plan(seconds)).await?))
    }

    /// Reads from the end of the minute or second down to the end of the page.
    async fn read_down<R: Reader>(
        &self,
        reader: &R,
        position: PagePosition,
        span: &Span,
    ) -> Result<Vec<Item>, R::Error> {
        let end = keys::row_time(position.end());
        let ranges = self.newest_rows(reader, span, Some(end), position.skip + self.page.rows());
        let found = reader.read(self.plan(ReadPlan::ranges(ranges))).await?;
        Ok(newest_first(found.ranges).into_iter().skip(position.skip).take(self.page.rows()).collect())
    }

    /// Reads from the start of the minute or second in both directions: up to the first row of the page,
    /// which is nearer than from its end, and down to the last.
    async fn read_around_page<R: Reader>(
        &self,
        reader: &R,
        position: PagePosition,
        span: &Span,
    ) -> Result<Vec<Item>, R::Error> {
        let newer = position.rows - position.skip;
        let (start, end) = (keys::row_time(position.start), keys::row_time(position.end()));
        let upwards = |range| Range { from: Some(start.clone()), descending: false, ..range };
        let mut ranges: Vec<Range> =
            self.newest_rows(reader, span, Some(end), newer).into_iter().map(upwards).collect();
        let partitions = ranges.len();
        let older = self.page.rows().saturating_sub(newer);
        if older > 0 {
            ranges.extend(self.newest_rows(reader, span, Some(start.clone()), older));
        }
        let mut found = reader.read(self.plan(ReadPlan::ranges(ranges))).await?;
        let upper = newest_first(found.take_ranges(partitions));
        let too_new = upper.len().saturating_sub(newer);
        let lower = newest_first(found.ranges).into_iter().take(older);
        Ok(upper.into_iter().skip(too_new).chain(lower).take(self.page.rows()).collect())
    }

    fn plan(&self, reads: ReadPlan) -> ReadPlan {
        ReadPlan { consistent: self.consistent, ..reads }
    }

    /// Where all rows of the list lie.
    fn everything(&self) -> Span {
        Span { partitions: self.partitions.to_vec(), since: self.since }
    }

    /// The newest rows of a span up to the sort key `to`, at most `limit` from each lane and status
    /// partition: any one of them may hold the whole page.
    fn newest_rows<R: Reader>(
        &self,
        reader: &R,
        span: &Span,
        to: Option<String>,
        limit: usize,
    ) -> Vec<Range> {
        let partitions = span.partitions.iter().flat_map(|partition| {
            let lanes = reader.lanes().all();
            lanes.map(|lane| keys::rows(self.list, *partition, lane))
        });
        let range = |pk| Range {
            pk,
            from: span.since.map(keys::row_time),
            to: to.clone(),
            descending: true,
            limit: Some(limit),
            attributes: self.rows.attributes(),
        };
        partitions.map(range).collect()
    }
}

/// The rows of some ranges in one order, newest first. One that moved to another status while they were read may be in
/// two of them, at the same place of the order. It is one row of the list, and the one in the first range counts.
fn newest_first(ranges: Vec<Vec<Item>>) -> Vec<Item> {
    let mut rows: Vec<Item> = ranges.into_iter().flatten().collect();
    rows.sort_by(|a, b| b.key.sk.cmp(&a.key.sk));
    rows.dedup_by(|again, kept| again.key.sk == kept.key.sk);
    rows
}

/// Each id once, in their order: what has got another place in its list while the list was read may be at both.
pub(super) fn each_once<T: Copy + Eq + Hash>(ids: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = HashSet::new();
    ids.into_iter().filter(|id| found.insert(*id)).collect()
}

#[cfg(test)]
mod tests;
