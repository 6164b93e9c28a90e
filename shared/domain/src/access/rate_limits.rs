//! Rate limits: two rolling windows, exact to a bucket, in one conditional write.
//!
//! A principal's item counts its admitted requests, `n`, and marks for each bucket of time how many there were when
//! it began. A request is admitted while fewer than `limit` have been admitted since the oldest mark in its window. Conditions
//! can compare attributes but not calculate, so beside `n` stands `n - limit`, one *headroom* a window: a request is
//! admitted while the headroom is below every mark in the window. No window of its length ever admits more; a request counts
//! for at most one bucket longer than the window.

use crate::storage::item::Attributes;
use crate::storage::item::Value;
use crate::values::time::{HOUR, MINUTE, Timestamp};

/// The attribute that counts admitted requests.
pub const COUNT: &str = "n";

/// One rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitWindow {
    /// Requests admitted in it at most.
    pub limit: u32,
    /// Its length in milliseconds.
    pub length: i64,
    /// The length of a bucket: how much longer than the window a request may count.
    pub bucket: i64,
    /// What its attributes begin with.
    prefix: char,
}

/// The limits of every principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits([RateLimitWindow; 2]);

/// How a principal stands in the window that is nearest to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests that the window admits.
    pub limit: u32,
    /// Requests that it would still admit.
    pub remaining: u32,
    /// When the oldest requests leave it, in unix seconds.
    pub reset: i64,
}

/// A principal's item as it was returned by a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitDecision {
    /// The request was admitted, or would be by now.
    Open(RateLimitStatus),
    /// The request is refused; the window opens in so many seconds, 1 at least.
    Full {
        /// How it stands.
        standing: RateLimitStatus,
        /// Seconds until a request is admitted again.
        retry_after: i64,
    },
    /// The item does not count under these limits yet.
    Unprepared,
}

impl RateLimits {
    /// Buckets of 5 s in the minute and of 5 min in the hour.
    pub const fn new(per_minute: u32, per_hour: u32) -> Self {
        Self([
            RateLimitWindow { limit: per_minute, length: MINUTE, bucket: MINUTE / 12, prefix: 'm' },
            RateLimitWindow { limit: per_hour, length: HOUR, bucket: HOUR / 12, prefix: 'h' },
        ])
    }

    /// The windows.
    pub const fn windows(&self) -> &[RateLimitWindow; 2] {
        &self.0
    }

    /// Judges a principal's item at a time.
    pub fn judge(&self, item: &Attributes, now: Timestamp) -> RateLimitDecision {
        let Some(count) = number(item, COUNT) else { return RateLimitDecision::Unprepared };
        // Instances with other limits count without moving this headroom.
        if self
            .0
            .iter()
            .any(|window| number(item, &window.headroom()) != Some(count - i128::from(window.limit)))
        {
            return RateLimitDecision::Unprepared;
        }
        let opens = self.0.iter().filter_map(|window| window.opens(item, count, now)).max();
        let standings = self.0.iter().map(|window| window.standing(item, count, now));
        // The nearest to its limit, by share of the limit that is left.
        let nearest =
            standings.min_by_key(|s| u64::from(s.remaining) * 1_000_000 / u64::from(s.limit.max(1)));
        match (nearest, opens) {
            (Some(standing), Some(opens)) => {
                let wait = opens.millis() - now.millis();
                RateLimitDecision::Full { standing, retry_after: ((wait + 999).div_euclid(1000)).max(1) }
            }
            (Some(standing), None) => RateLimitDecision::Open(standing),
            (None, _) => RateLimitDecision::Unprepared,
        }
    }

    /// Marks of an item that no window needs any more, whichever instance looks.
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
    /// The attribute that holds the count less the limit.
    pub fn headroom(&self) -> String {
        format!("{}-{}", self.prefix, self.limit)
    }

    /// The marks of the buckets that the window ending now touches, oldest first; the last is the present bucket's.
    pub fn marks(&self, now: Timestamp) -> Vec<String> {
        let last = now.millis().div_euclid(self.bucket);
        (last - self.length / self.bucket..=last).map(|bucket| format!("{}{bucket}", self.prefix)).collect()
    }

    /// A mark that has left the window, and the one of a bucket ago: a later mark may be another instance's present.
    fn is_stale(&self, name: &str, now: Timestamp) -> bool {
        let oldest = (now.millis() - self.length).div_euclid(self.bucket) - 1;
        let bucket = name.strip_prefix(self.prefix).and_then(|rest| rest.parse::<i64>().ok());
        bucket.is_some_and(|bucket| (0..oldest).contains(&bucket))
    }

    /// Marks in the window, with the times at which their buckets leave it and the counts at their beginnings.
    fn marked(&self, item: &Attributes, now: Timestamp) -> Vec<(Timestamp, i128)> {
        let last = now.millis().div_euclid(self.bucket);
        let buckets = last - self.length / self.bucket..=last;
        let leaves = |bucket: i64| Timestamp::from_millis((bucket + 1) * self.bucket + self.length);
        buckets
            .filter_map(|bucket| Some((leaves(bucket), number(item, &format!("{}{bucket}", self.prefix))?)))
            .collect()
    }

    /// When a full window admits again; `None` if it is not full.
    fn opens(&self, item: &Attributes, count: i128, now: Timestamp) -> Option<Timestamp> {
        let blocking = |(_, at): &&(Timestamp, i128)| count - at >= i128::from(self.limit);
        self.marked(item, now).iter().filter(blocking).map(|(leaves, _)| *leaves).max()
    }

    fn standing(&self, item: &Attributes, count: i128, now: Timestamp) -> RateLimitStatus {
        let marked = self.marked(item, now);
        let used = marked.iter().map(|(_, at)| count - at).max().unwrap_or(0);
        let left = i128::from(self.limit) - used;
        let reset = marked.first().map_or(now, |(leaves, _)| *leaves);
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

    /// What the store does with an admitted or refused request.
    fn request(limits: &RateLimits, item: &mut Attributes, now: Timestamp) -> bool {
        if limits.judge(item, now) == RateLimitDecision::Unprepared {
            item.insert(COUNT.to_owned(), Value::Number(0));
            for window in limits.windows() {
                item.insert(window.headroom(), Value::Number(-i128::from(window.limit)));
            }
        }
        let count = number(item, COUNT).unwrap();
        let admitted = limits.windows().iter().all(|window| {
            let headroom = number(item, &window.headroom()).unwrap();
            window.marks(now).iter().all(|mark| number(item, mark).is_none_or(|at| headroom < at))
        });
        if admitted {
            for window in limits.windows() {
                let mark = window.marks(now).pop().unwrap();
                item.entry(mark).or_insert(Value::Number(count));
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
        let RateLimitDecision::Full { standing, retry_after } = limits.judge(&item, start.plus(10)) else {
            panic!("not full")
        };
        // The bucket began at :30 and leaves with the minute after its end, at :35 + 60 s.
        assert_eq!(
            (standing, retry_after),
            (RateLimitStatus { limit: 5, remaining: 0, reset: 1_774_953_095 }, 65)
        );
        assert!(!request(&limits, &mut item, start.plus(64_000)));
        assert!(request(&limits, &mut item, start.plus(64_500)));
    }

    #[test]
    fn no_window_ever_admits_more_than_its_limit_and_nobody_is_refused_for_long() {
        let limits = RateLimits::new(20, 90);
        let mut rng = 7_u64;
        let mut random = |below: i64| {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(rng >> 33).unwrap() % below
        };
        let (mut item, mut now) = (Attributes::new(), Timestamp::from_millis(1_774_953_030_500));
        let mut admitted: VecDeque<Timestamp> = VecDeque::new();
        for step in 0..20_000 {
            now = now.plus(random(if step % 500 < 250 { 900 } else { 12_000 }));
            let within =
                |length: i64| admitted.iter().filter(|at| now.millis() - at.millis() < length).count();
            // Requests that a bucket's granularity cannot keep in a window.
            let free = within(MINUTE + MINUTE / 12) < 20 && within(HOUR + HOUR / 12) < 90;
            let full = within(MINUTE) >= 20 || within(HOUR) >= 90;
            let passed = request(&limits, &mut item, now);
            assert!(!(full && passed), "step {step}: over a limit");
            assert!(!free || passed, "step {step}: refused without need");
            if passed {
                admitted.push_back(now);
            } else if let RateLimitDecision::Full { retry_after, .. } = limits.judge(&item, now) {
                let mut later = item.clone();
                assert!(
                    request(&limits, &mut later, now.plus(retry_after * 1000)),
                    "step {step}: retry_after is too short"
                );
            }
            for name in limits.stale(&item, now).into_iter().map(str::to_owned).collect::<Vec<_>>() {
                item.remove(&name);
            }
            assert!(item.len() < 60, "stale marks are named");
        }
    }

    /// A request that began before a bucket's end may be counted after one that began in the next bucket.
    #[test]
    fn a_mark_of_a_later_bucket_is_not_stale() {
        let (limits, mut item) = (RateLimits::new(5, 50), Attributes::new());
        let before = Timestamp::from_millis(1_774_953_034_990);
        request(&limits, &mut item, before.plus(20));
        assert_eq!(limits.stale(&item, before), Vec::<&str>::new());
        let much_later = before.plus(MINUTE + 3 * MINUTE / 12);
        assert_eq!(limits.stale(&item, much_later), [format!("m{}", before.plus(20).millis() / 5_000)]);
    }

    #[test]
    fn an_item_that_counts_under_other_limits_must_be_prepared() {
        let (mut item, now) = (Attributes::new(), Timestamp::from_millis(1_774_953_030_500));
        request(&RateLimits::new(5, 50), &mut item, now);
        assert!(matches!(RateLimits::new(5, 50).judge(&item, now), RateLimitDecision::Open(_)));
        assert_eq!(RateLimits::new(6, 50).judge(&item, now), RateLimitDecision::Unprepared);
    }
}
