//! The administrators, each a user with an API key: who of them is denied access, and who is over a rate limit.

use crate::faults::{self, Fault};
use crate::reads::ReadTarget;
use serde_json::Value;
use std::collections::BTreeSet;
use torale_domain::access::rate_limits::{RateLimitWindow, RateLimits};
use torale_domain::storage::keys;
use torale_domain::values::digest::sha256_hex;
use torale_domain::values::ids::{ApiKeyHash, UserId};
use torale_domain::values::time::{DAY, SECOND};
use torale_testkit::events::{ADMIN, admin, api_key, user};
use torale_testkit::parts::LIMITS;
use torale_testkit::present::{ADMIN_KEY, NOW};

/// The type of the events that deactivate users.
const DEACTIVATED: &str = "ai.torale.user.deactivated";
/// One of so many seeds has several administrators.
const SEVERAL: u64 = 3;
/// In one of so many schedules the limits are low.
const LOW_LIMITS: u8 = 6;
/// How much longer than a bucket after its window a request may still count: its count may begin 20 s after it, and two
/// clocks differ by 10 s at most.
const LATEST_COUNT: i64 = 30 * SECOND;

/// A user who makes requests.
#[derive(Debug, Clone, Copy)]
pub struct Administrator {
    /// The id of the user.
    pub id: &'static str,
    /// The text of the only API key. After a deactivation it is good for nothing, and there is no other one.
    pub key: &'static str,
}

/// All of them.
pub static ADMINISTRATORS: [Administrator; 3] = [
    Administrator { id: ADMIN, key: ADMIN_KEY },
    Administrator { id: "00000000-0000-0000-0000-0000000000ae", key: "sk_test_of_the_second_one" },
    Administrator { id: "00000000-0000-0000-0000-0000000000af", key: "sk_test_of_the_third_one_" },
];

impl Administrator {
    /// The user.
    ///
    /// # Panics
    /// If the id is none.
    pub fn user(self) -> UserId {
        UserId::parse(self.id).expect("an id")
    }
}

/// The administrators of a seed: one alone in most, so that most schedules have no more to fold than they need.
pub fn of(seed: u64) -> &'static [Administrator] {
    match seed % SEVERAL {
        0 => &ADMINISTRATORS,
        _ => &ADMINISTRATORS[..1],
    }
}

/// The events that have made these administrators, of whom the kit's is the first, and their keys.
pub fn events(administrators: &[Administrator]) -> Vec<String> {
    let long_ago = NOW.plus(-400 * DAY);
    let others = administrators.iter().skip(1).flat_map(|Administrator { id, key }| {
        let created = user(id).created().with("role", "admin").at(long_ago);
        [created, api_key(&format!("key_of_{id}")).created(id, key).at(long_ago)]
    });
    admin().into_iter().chain(others.map(String::from)).collect()
}

/// The rate limits of a schedule: far away, or so low that they are reached.
pub fn limits() -> RateLimits {
    match fastrand::u8(..LOW_LIMITS) {
        0 => RateLimits::new(fastrand::u32(2..5), fastrand::u32(4..9)),
        _ => LIMITS,
    }
}

/// Whether a read says whose the key of an administrator is, or whether that user is active.
pub fn is_of_access(target: &ReadTarget) -> bool {
    ADMINISTRATORS.into_iter().any(|one| match target {
        ReadTarget::Item(key) => *key == keys::user(one.user()),
        ReadTarget::Range(pk, ..) => {
            let hash = ApiKeyHash::parse(&sha256_hex(&[one.key.as_bytes()]));
            hash.is_some_and(|hash| *pk == keys::key_lookup_pk(&hash))
        }
    })
}

/// One of these administrators whom no event has deactivated. There is one: whoever deactivates another must be active
/// when that takes effect, and nobody can deactivate themselves. Only a caller who is deactivated and reactivated while
/// the same request of theirs is under way could deactivate the last one.
///
/// # Errors
/// If there is none.
pub fn active(administrators: &[Administrator], logged: &[Value]) -> Result<Administrator, String> {
    let deactivated: BTreeSet<&str> = logged
        .iter()
        .filter(|event| event["type"] == DEACTIVATED)
        .filter_map(|event| event["data"]["user_id"].as_str())
        .collect();
    let active = administrators.iter().find(|one| !deactivated.contains(one.id));
    active.copied().ok_or_else(|| "the administrators have deactivated each other".to_owned())
}

/// A request of an administrator.
#[derive(Debug, Clone, Copy)]
struct TimedRequest {
    caller: UserId,
    /// When it was sent and when it ended, in milliseconds of the schedule.
    sent: i64,
    ended: i64,
    /// How far the clock of its instance was off.
    skew: i64,
    /// Whether a deactivation of its caller had been answered before it was sent.
    is_denied: bool,
    /// The status of its answer; `None` without one.
    status: Option<u16>,
}

impl TimedRequest {
    /// Whether it was counted for certain: it was neither refused nor failed.
    const fn is_counted(&self) -> bool {
        matches!(self.status, Some(200 | 404 | 409))
    }
}

/// The requests of all administrators, and who was deactivated.
#[derive(Debug, Default)]
pub struct AccessLog {
    requests: Vec<TimedRequest>,
    /// Of whom others have sent a deactivation, whatever came of it, and of whom one was answered with 200.
    attempted: BTreeSet<UserId>,
    deactivated: BTreeSet<UserId>,
    /// Whether one request may be counted several times, or much later, since calls are made again.
    is_repeated: bool,
}

impl AccessLog {
    /// An empty one, for requests under the present faults.
    pub fn new() -> Self {
        let is_repeated = [Fault::LostAnswer, Fault::LateRequest].into_iter().any(faults::may_happen);
        Self { is_repeated, ..Self::default() }
    }

    /// Notes that a request is sent, at a time of the schedule and by a clock that is off by so much. `deactivates` are
    /// the users whom it is to deactivate. Returns the number by which its end is noted.
    pub fn send(&mut self, caller: UserId, deactivates: &[UserId], (sent, skew): (i64, i64)) -> usize {
        self.attempted.extend(deactivates.iter().filter(|target| **target != caller));
        let is_denied = self.deactivated.contains(&caller);
        self.requests.push(TimedRequest { caller, sent, ended: sent, skew, is_denied, status: None });
        self.requests.len() - 1
    }

    /// Notes when a request ends, and its status, if there is an answer. `deactivated` are the users whom it
    /// has deactivated.
    ///
    /// # Errors
    /// If the answer may not be one.
    pub fn end(
        &mut self,
        number: usize,
        ended: i64,
        (status, deactivated): (Option<u16>, &[UserId]),
    ) -> Result<(), String> {
        let request = &mut self.requests[number];
        (request.ended, request.status) = (ended, status);
        let request = *request;
        self.deactivated.extend(deactivated);
        let TimedRequest { caller, is_denied, .. } = request;
        if deactivated.contains(&caller) {
            return Err(format!("{caller} has deactivated themselves"));
        }
        if is_denied && !matches!(status, None | Some(401 | 503)) {
            return Err(format!("{caller} was deactivated before, and is answered with {status:?}"));
        }
        if status == Some(401) {
            faults::count("denied access", None);
            if !self.attempted.contains(&caller) {
                return Err(format!("{caller} is denied access, and nobody has tried to deactivate them"));
            }
        }
        Ok(())
    }

    /// The users of whom a deactivation was answered with 200.
    pub const fn deactivated(&self) -> &BTreeSet<UserId> {
        &self.deactivated
    }

    /// The administrators among these.
    pub fn denied(&self) -> impl Iterator<Item = Administrator> {
        ADMINISTRATORS.into_iter().filter(|one| self.deactivated.contains(&one.user()))
    }

    /// No window has admitted more requests than its limit, and whoever was refused had made so many.
    ///
    /// # Errors
    /// If one has, or somebody had not.
    pub fn check_limits(&self, limits: &RateLimits) -> Result<(), String> {
        if *limits == LIMITS {
            return Ok(());
        }
        for last in &self.requests {
            for window in limits.windows() {
                let admitted = self.admitted(last, window);
                if admitted > u64::from(window.limit) {
                    return Err(format!(
                        "{admitted} requests were admitted in a window: {window:?}, {last:?}"
                    ));
                }
            }
            if last.status != Some(429) {
                continue;
            }
            faults::count("over a limit", None);
            if !self.is_repeated && !limits.windows().iter().any(|window| self.may_be_full(last, window)) {
                return Err(format!("refused without so many requests: {limits:?}, {last:?}"));
            }
        }
        Ok(())
    }

    /// Whether a window may have been full when this request was refused, if each is counted once.
    fn may_be_full(&self, refused: &TimedRequest, window: &RateLimitWindow) -> bool {
        let since = refused.sent - window.length - window.bucket - LATEST_COUNT;
        let others = self.requests.iter().filter(|one| {
            one.caller == refused.caller
                && one.status != Some(429)
                && (since..=refused.ended).contains(&one.sent)
        });
        u64::try_from(others.count()).is_ok_and(|others| others >= u64::from(window.limit))
    }

    /// How many requests were admitted for certain in the window that ends with this one, and by one clock: a clock
    /// that is set back makes requests of a window those of another one.
    fn admitted(&self, last: &TimedRequest, window: &RateLimitWindow) -> u64 {
        let since = last.sent - window.length;
        let of_caller = self.requests.iter().filter(|one| one.caller == last.caller);
        let within = || of_caller.clone().filter(|one| since < one.sent && one.sent <= last.sent);
        if !last.is_counted() || within().any(|one| one.skew != last.skew) {
            return 0;
        }
        u64::try_from(within().filter(|one| one.is_counted()).count()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LOW: RateLimits = RateLimits::new(2, 4);

    /// Answers to requests of the first administrator at these times in seconds, each a second later.
    fn log(answers: &[(i64, u16)]) -> AccessLog {
        let mut log = AccessLog::default();
        for (sent, status) in answers {
            let number = log.send(ADMINISTRATORS[0].user(), &[], (sent * SECOND, 0));
            log.end(number, (sent + 1) * SECOND, (Some(*status), &[])).unwrap();
        }
        log
    }

    #[test]
    fn window_that_admits_one_more_than_its_limit_is_found() {
        assert_eq!(log(&[(0, 200), (30, 404), (60, 200)]).check_limits(&LOW), Ok(()));
        assert!(log(&[(0, 200), (30, 404), (59, 200)]).check_limits(&LOW).is_err(), "three in a minute");
        assert_eq!(log(&[(0, 200), (30, 503), (59, 200)]).check_limits(&LOW), Ok(()), "one may not count");
        let hour = [(0, 200), (600, 200), (1_200, 200), (1_800, 200), (2_400, 409)];
        assert!(log(&hour).check_limits(&LOW).is_err(), "five in an hour");
    }

    #[test]
    fn refusal_of_somebody_who_made_too_few_requests_is_found() {
        assert_eq!(log(&[(0, 200), (1, 503), (2, 429)]).check_limits(&LOW), Ok(()));
        assert!(
            log(&[(0, 200), (2, 429), (4, 429)]).check_limits(&LOW).is_err(),
            "one request and two refusals"
        );
        assert!(log(&[(0, 200), (1, 200), (4_000, 429)]).check_limits(&LOW).is_err(), "long ago");
    }

    #[test]
    fn whoever_was_deactivated_is_denied_access_from_then_on_and_nobody_else_is() {
        let [first, second, _] = ADMINISTRATORS.map(Administrator::user);
        let answered = |answers: &[(UserId, Option<UserId>, u16)]| {
            let mut log = AccessLog::default();
            answers.iter().try_for_each(|(caller, target, status)| {
                let number = log.send(*caller, target.as_slice(), (0, 0));
                log.end(number, 0, (Some(*status), target.filter(|_| *status == 200).as_slice()))
            })
        };
        let deactivation = (first, Some(second), 200);

        assert_eq!(answered(&[deactivation, (second, None, 401), (first, None, 200)]), Ok(()));
        assert_eq!(
            answered(&[(first, Some(second), 503), (second, None, 401)]),
            Ok(()),
            "it may have taken effect"
        );
        assert!(answered(&[deactivation, (second, None, 200)]).is_err());
        assert!(answered(&[deactivation, (second, Some(first), 404)]).is_err());
        assert!(answered(&[(second, None, 401)]).is_err());
        assert!(answered(&[(first, Some(first), 200)]).is_err());
    }

    #[test]
    fn one_administrator_is_always_left() {
        let of = |one: Administrator| json!({ "type": DEACTIVATED, "data": { "user_id": one.id } });
        let [first, second, third] = ADMINISTRATORS.map(of);

        assert_eq!(
            active(&ADMINISTRATORS, &[first.clone(), third.clone()]).unwrap().id,
            ADMINISTRATORS[1].id
        );
        assert!(active(&ADMINISTRATORS, &[first, second, third]).is_err());
    }
}
