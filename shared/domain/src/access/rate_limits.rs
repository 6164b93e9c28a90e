//! Rate limits: two rolling windows for each user, exact to a bucket of time, in one conditional
//! write (docs/contract/http.md, "Rate limits"; docs/adr/0007-limits-compare-counts.md).
//!
//! The item of a user holds the number of admitted requests, `n`. For each bucket of time in which
//! a request was admitted it also holds a *mark*: what `n` was when the bucket began. A request is
//! admitted if fewer than `limit` requests have been admitted since the oldest mark in the window.
//!
//! A condition of the store can compare attributes but not calculate. So the item also holds `n -
//! limit`, one *headroom* for each window, and a request is admitted if the headroom is below
//! every mark in the window. No window ever admits more requests than its limit, by the times at
//! which the instances say that they began. A request counts for at most one bucket longer than
//! the window.
//!
//! Requests are not counted in the order in which they began, nor by one clock. So a request also
//! looks at the marks of buckets that begin soon after it: others of these may be counted already.
//! A request that others have overtaken counts for [`OVERTAKEN_BY`] longer at most.

use crate::storage::item::{Attributes, Value};
use crate::values::time::{HOUR, MINUTE, SECOND, Timestamp};
use std::ops::RangeInclusive;

/// So much later than a request that is being counted others may have begun that are counted already, in milliseconds:
/// no request is under way for more than 20 s, and clocks differ by up to 10 s.
pub const OVERTAKEN_BY: i64 = 30 * SECOND;

/// The attribute with the number of admitted requests.
pub const COUNT: &str = "n";

/// One rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitWindow {
    /// The most requests that it admits.
    pub limit: u32,
    /// Its length in milliseconds.
    pub length: i64,
    /// The length of a bucket in milliseconds; a request may count for this much longer
    /// than the window.
    pub bucket: i64,
    /// The first character of its attributes.
    prefix: char,
}

/// The limits that hold for every user: a window of a minute and one of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits([RateLimitWindow; 2]);

/// What a user has left of the window that is nearest to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The most requests that the window admits.
    pub limit: u32,
    /// How many more requests it would admit now.
    pub remaining: u32,
    /// When the oldest requests leave the window, in Unix seconds.
    pub reset: i64,
}

/// What a user's item says about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitDecision {
    /// No window is full: the request was admitted, or would be admitted if it were tried again.
    Open(RateLimitStatus),
    /// A window is full: the request is refused.
    Full {
        /// What is left of the window that is nearest to its limit.
        status: RateLimitStatus,
        /// When a request is admitted again, to the millisecond: an instance that remembers it
        /// refuses no request that another would admit.
        opens_at: Timestamp,
    },
    /// The item does not exist, or counts under other limits: its headrooms must be written first.
    Unprepared,
}

/// The whole seconds until a window opens, at least 1: never shorter than the time until then.
pub fn retry_after(opens_at: Timestamp, now: Timestamp) -> i64 {
    (opens_at.millis() - now.millis() + 999).div_euclid(1000).max(1)
}

impl RateLimits {
    /// Limits for a minute, with buckets of 5 seconds, and for an hour, with buckets of 5 minutes.
    pub const fn new(per_minute: u32, per_hour: u32) -> Self {
        Self([
            RateLimitWindow { limit: per_minute, length: MINUTE, bucket: MINUTE / 12, prefix: 'm' },
            RateLimitWindow { limit: per_hour, length: HOUR, bucket: HOUR / 12, prefix: 'h' },
        ])
    }

    /// Both windows.
    pub const fn windows(&self) -> &[RateLimitWindow; 2] {
        &self.0
    }

    /// Decides about a request from a user's item, as a write returned it.
    pub fn decide(&self, item: &Attributes, now: Timestamp) -> RateLimitDecision {
        let Some(count) = number(item, COUNT) else { return RateLimitDecision::Unprepared };
        // An instance with other limits adds to the count, but not to the headroom
        // of these limits.
        let prepared = |window: &RateLimitWindow| {
            number(item, &window.headroom()) == Some(count - i128::from(window.limit))
        };
        if !self.0.iter().all(prepared) {
            return RateLimitDecision::Unprepared;
        }
        let opens_at = self.0.iter().filter_map(|window| window.opens_at(item, count, now)).max();
        let statuses = self.0.iter().map(|window| window.status(item, count, now));
        // The window nearest to its limit has the least share of the limit left.
        let nearest = statuses
            .min_by_key(|status| u64::from(status.remaining) * 1_000_000 / u64::from(status.limit.max(1)));
        match (nearest, opens_at) {
            (Some(status), Some(opens_at)) => RateLimitDecision::Full { status, opens_at },
            (Some(status), None) => RateLimitDecision::Open(status),
            (None, _) => RateLimitDecision::Unprepared,
        }
    }

    /// The marks of an item that no instance needs any more, so that they can be removed.
    pub fn stale<'a>(&self, item: &'a Attributes, now: Timestamp) -> Vec<&'a str> {
        item.keys()
            .filter(|name| self.0.iter().any(|window| window.is_stale(name, now)))
            .map(String::as_str)
            .collect()
    }
}

fn number(item: &Attributes, name: &str) -> Option<i128> {
    match item.get(name) {
        Some(Value::Number(number)) => Some(*number),
        Some(Value::Text(_) | Value::Bytes(_)) | None => None,
    }
}

impl RateLimitWindow {
    /// The attribute with the number of admitted requests less the limit.
    pub fn headroom(&self) -> String {
        format!("{}-{}", self.prefix, self.limit)
    }

    /// The attribute with the mark of the bucket in which `now` lies.
    pub fn mark(&self, now: Timestamp) -> String {
        self.mark_of(now.millis().div_euclid(self.bucket))
    }

    /// The attributes with the marks of the buckets that overlap the window ending now, and of those in which others
    /// may have begun that are counted already, oldest first.
    pub fn marks(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.buckets(now).map(|bucket| self.mark_of(bucket))
    }

    fn mark_of(&self, bucket: i64) -> String {
        format!("{}{bucket}", self.prefix)
    }

    fn buckets(&self, now: Timestamp) -> RangeInclusive<i64> {
        let bucket = |at: i64| at.div_euclid(self.bucket);
        bucket(now.millis() - self.length)..=bucket(now.millis() + OVERTAKEN_BY)
    }

    /// True for a mark that no request needs any more, not even one that is overtaken by all that may overtake it.
    fn is_stale(&self, name: &str, now: Timestamp) -> bool {
        let oldest = *self.buckets(now.plus(-OVERTAKEN_BY)).start();
        let bucket = name.strip_prefix(self.prefix).and_then(|rest| rest.parse::<i64>().ok());
        bucket.is_some_and(|bucket| (0..oldest).contains(&bucket))
    }

    /// The marks in the window: when their buckets leave it, and the counts at which they began.
    fn marks_in_window(&self, item: &Attributes, now: Timestamp) -> Vec<(Timestamp, i128)> {
        let leaves = |bucket: i64| Timestamp::from_millis((bucket + 1) * self.bucket + self.length);
        let marks = self.buckets(now).map(|bucket| (leaves(bucket), number(item, &self.mark_of(bucket))));
        marks.filter_map(|(leaves, mark)| Some((leaves, mark?))).collect()
    }

    /// When the window admits a request again; `None` if it is not full.
    fn opens_at(&self, item: &Attributes, count: i128, now: Timestamp) -> Option<Timestamp> {
        let full = |(_, mark): &&(Timestamp, i128)| count - mark >= i128::from(self.limit);
        self.marks_in_window(item, now).iter().filter(full).map(|(leaves, _)| *leaves).max()
    }

    fn status(&self, item: &Attributes, count: i128, now: Timestamp) -> RateLimitStatus {
        let marks = self.marks_in_window(item, now);
        let used = marks.iter().map(|(_, mark)| count - mark).max().unwrap_or(0);
        let left = i128::from(self.limit) - used;
        let reset = marks.first().map_or(now, |(leaves, _)| *leaves);
        RateLimitStatus {
            limit: self.limit,
            remaining: u32::try_from(left).unwrap_or(0),
            reset: (reset.millis() + 999).div_euclid(1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Does what the store does with a request. Returns whether the request was admitted.
    fn request(limits: &RateLimits, item: &mut Attributes, now: Timestamp) -> bool {
        if limits.decide(item, now) == RateLimitDecision::Unprepared {
            item.insert(COUNT.to_owned(), Value::Number(0));
            for window in limits.windows() {
                item.insert(window.headroom(), Value::Number(-i128::from(window.limit)));
            }
        }
        let count = number(item, COUNT).unwrap();
        let admitted = limits.windows().iter().all(|window| {
            let headroom = number(item, &window.headroom()).unwrap();
            window.marks(now).all(|mark| number(item, &mark).is_none_or(|at| headroom < at))
        });
        if admitted {
            for window in limits.windows() {
                item.entry(window.mark(now)).or_insert(Value::Number(count));
                item.insert(window.headroom(), Value::Number(count + 1 - i128::from(window.limit)));
            }
            item.insert(COUNT.to_owned(), Value::Number(count + 1));
        }
        admitted
    }

    #[test]
    fn a_burst_is_admitted_up_to_the_limit_and_again_when_its_window_has_passed() {
        let limits = RateLimits::new(5, 1000);
        let (mut item, start) = (Attributes::new(), Timestamp::from_millis(1_774_953_030_500));

        let admitted = (0..8).filter(|i| request(&limits, &mut item, start.plus(*i))).count();

        assert_eq!(admitted, 5);
        // The bucket began at :30. It ends at :35 and leaves the window a minute later.
        let status = RateLimitStatus { limit: 5, remaining: 0, reset: 1_774_953_095 };
        let decision = limits.decide(&item, start.plus(10));
        let opens_at = Timestamp::from_millis(1_774_953_095_000);
        assert_eq!(decision, RateLimitDecision::Full { status, opens_at });
        assert_eq!(retry_after(opens_at, start.plus(10)), 65);
        assert!(!request(&limits, &mut item, start.plus(64_000)));
        assert!(request(&limits, &mut item, start.plus(64_500)));
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_0() {
        let now = Timestamp::from_millis(1_774_953_030_500);
        let seconds = [-5, 0, 1, 1_000, 1_001].map(|wait| retry_after(now.plus(wait), now));
        assert_eq!(seconds, [1, 1, 1, 1, 2]);
    }

    /// Numbers below others, always the same ones.
    fn random() -> impl FnMut(i64) -> i64 {
        let mut rng = 7_u64;
        move |below| {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(rng >> 33).unwrap() % below
        }
    }

    #[test]
    fn no_window_admits_more_than_its_limit_and_a_refused_request_is_admitted_when_it_opens() {
        let limits = RateLimits::new(20, 90);
        let mut random = random();
        let (mut item, mut now) = (Attributes::new(), Timestamp::from_millis(1_774_953_030_500));
        let mut admitted: VecDeque<Timestamp> = VecDeque::new();
        for step in 0..20_000 {
            now = now.plus(random(if step % 500 < 250 { 900 } else { 12_000 }));
            let within =
                |length: i64| admitted.iter().filter(|at| now.millis() - at.millis() < length).count();
            // True if no window can be full, even when requests count for a bucket longer.
            let free = within(MINUTE + MINUTE / 12) < 20 && within(HOUR + HOUR / 12) < 90;
            let full = within(MINUTE) >= 20 || within(HOUR) >= 90;
            let passed = request(&limits, &mut item, now);
            assert!(!(full && passed), "step {step}: over a limit");
            assert!(!free || passed, "step {step}: refused without need");
            if passed {
                admitted.push_back(now);
            } else if let RateLimitDecision::Full { opens_at, .. } = limits.decide(&item, now) {
                let admits = |time| request(&limits, &mut item.clone(), time);
                assert!(admits(opens_at), "step {step}: it opens later");
                assert!(!admits(opens_at.plus(-1)), "step {step}: it opens earlier");
            }
            for name in limits.stale(&item, now).into_iter().map(str::to_owned).collect::<Vec<_>>() {
                item.remove(&name);
            }
            assert!(item.len() < 46, "stale marks are found");
        }
    }

    #[test]
    fn a_request_is_refused_that_others_have_overtaken_who_filled_its_window() {
        let (limits, mut item) = (RateLimits::new(2, 50), Attributes::new());
        let start = Timestamp::from_millis(1_774_953_030_500);
        assert!(request(&limits, &mut item, start.plus(5_000)));
        assert!(request(&limits, &mut item, start.plus(5_001)));

        assert!(!request(&limits, &mut item, start), "it would be the third one of its minute");
    }

    #[test]
    fn no_window_admits_more_than_its_limit_in_whichever_order_requests_are_counted() {
        let limits = RateLimits::new(20, 90);
        let mut random = random();
        let (mut item, mut now) = (Attributes::new(), Timestamp::from_millis(1_774_953_030_500));
        let mut admitted: Vec<i64> = Vec::new();
        let mut overtaken = 0;
        for step in 0..20_000 {
            // A crowd after a while in which nobody came: there are no marks of before.
            now = now.plus(random(if step % 40 == 0 { 2 * MINUTE } else { 100 }));
            let began = now.plus(-random(30 * SECOND));
            if request(&limits, &mut item, began) {
                overtaken += usize::from(admitted.last().is_some_and(|last| began.millis() < *last));
                admitted.push(began.millis());
            }
            for name in limits.stale(&item, now).into_iter().map(str::to_owned).collect::<Vec<_>>() {
                item.remove(&name);
            }
            assert!(item.len() < 46, "stale marks are found");
        }
        admitted.sort_unstable();
        for window in limits.windows() {
            let limit = usize::try_from(window.limit).unwrap();
            let is_over = |times: &[i64]| times[limit] - times[0] < window.length;
            assert!(!admitted.windows(limit + 1).any(is_over), "{window:?}");
        }
        assert!(admitted.len() > 500 && overtaken > 200, "{} admitted, {overtaken}", admitted.len());
    }

    #[test]
    fn a_mark_is_stale_once_no_overtaken_request_needs_it() {
        let (limits, mut item) = (RateLimits::new(5, 50), Attributes::new());
        let before = Timestamp::from_millis(1_774_953_034_990);
        request(&limits, &mut item, before.plus(20));
        assert_eq!(limits.stale(&item, before), Vec::<&str>::new(), "a later bucket's");
        let needed = before.plus(MINUTE + 30 * SECOND);
        assert_eq!(limits.stale(&item, needed), Vec::<&str>::new());
        let much_later = needed.plus(2 * MINUTE / 12);
        assert_eq!(limits.stale(&item, much_later), [format!("m{}", before.plus(20).millis() / 5_000)]);
    }

    #[test]
    fn an_item_that_counts_under_other_limits_is_unprepared() {
        let (mut item, now) = (Attributes::new(), Timestamp::from_millis(1_774_953_030_500));
        request(&RateLimits::new(5, 50), &mut item, now);

        assert!(matches!(RateLimits::new(5, 50).decide(&item, now), RateLimitDecision::Open(_)));
        assert_eq!(RateLimits::new(6, 50).decide(&item, now), RateLimitDecision::Unprepared);
    }
}
