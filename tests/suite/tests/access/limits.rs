//! Rate limits: exact under many workers, reported in headers, and cheap to refuse.

use queries::Queries;
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::serve::App;
use torale_testkit::events::{ADMIN, api_key, user};
use torale_testkit::faults::Faults;
use torale_testkit::request::get;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::{ADMIN_KEY, InstanceBuilder, NOW};

const MEMBER: &str = "11111111-0000-4000-8000-000000000007";
const MEMBER_KEY: &str = "sk_test_a_key_of_somebody_who_is_no_admin";
const OTHER_KEY: &str = "sk_test_another_key_of_the_same_admin";

/// An admin with two keys.
async fn scenario() -> Scenario {
    given(api_key("key_other").created(ADMIN, OTHER_KEY).at(NOW.plus(-DAY))).start().await
}

async fn status(app: &App, key: &str) -> u16 {
    get::<Queries>("").by(key).send(app).await.status
}

#[tokio::test(start_paused = true)]
async fn rate_limit_is_exact_for_one_user_with_two_keys_on_sixty_four_instances() {
    let scenario = scenario().await;
    let apps: Vec<App> = (0..64).map(|_| scenario.instance().limits(100, 10_000).start()).collect();

    let workers = apps.iter().enumerate().map(|(i, app)| async move {
        let key = if i % 2 == 0 { ADMIN_KEY } else { OTHER_KEY };
        let mut admitted = 0;
        for _ in 0..3 {
            match status(app, key).await {
                200 => admitted += 1,
                other => assert_eq!(other, 429),
            }
        }
        admitted
    });
    let admitted: u32 = futures::future::join_all(workers).await.into_iter().sum();

    assert_eq!(admitted, 100, "of 192 requests");
}

#[tokio::test]
async fn rate_limit_headers_count_down_and_a_refusal_says_when_to_retry() {
    let scenario = scenario().await;
    let app = scenario.instance().limits(2, 10_000).start();
    // The present is at :30.5, in the bucket that ends at :35; it leaves the minute at :35 of the next.
    let reset = (NOW.millis() / 1000 + 65).to_string();

    for (remaining, status) in [("1", 200), ("0", 200), ("0", 429)] {
        let answer = get::<Queries>("").send(&app).await.with_status(status);

        assert_eq!(answer.header("x-ratelimit-limit"), Some("2"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(answer.header("x-ratelimit-reset"), Some(reset.as_str()));
        if status == 429 {
            assert_eq!(answer.header("retry-after"), Some("65"));
            assert_eq!(answer.json(), json!({ "detail": "Rate limit exceeded", "retry_after": 65 }));
        }
    }
}

static LATER: AtomicI64 = AtomicI64::new(0);

fn later() -> Timestamp {
    NOW.plus(LATER.load(Ordering::SeqCst))
}

/// A flood is refused from memory: the store sees no write, and the window opens again in time.
#[tokio::test]
async fn rate_limit_refusals_come_from_memory_until_the_window_opens() {
    let scenario = scenario().await;
    let counted = Faults::none();
    let app = InstanceBuilder::over(scenario.faulty_store(&counted)).limits(1, 10).clock(later).start();

    assert_eq!(status(&app, ADMIN_KEY).await, 200);
    assert_eq!(status(&app, ADMIN_KEY).await, 429);

    let before = counted.calls();
    assert_eq!(status(&app, ADMIN_KEY).await, 429);

    let calls = counted.calls() - before;
    assert_eq!(calls, 4, "the pointer, the key, the user and the record: not the limit");

    LATER.store(64_499, Ordering::SeqCst);
    assert_eq!(status(&app, ADMIN_KEY).await, 429);

    // The very moment at which another instance would admit it.
    LATER.store(64_500, Ordering::SeqCst);
    assert_eq!(status(&app, ADMIN_KEY).await, 200);
}

/// Whoever is authenticated is limited: the order of refusals is 401, 429, 403 (`docs/contract/http.md`, "Errors").
#[tokio::test]
async fn user_who_is_no_admin_is_limited_before_they_are_refused() {
    let events = [user(MEMBER).created(), api_key("key_member").created(MEMBER, MEMBER_KEY)];
    let scenario = given(events.map(String::from).to_vec()).start().await;
    let app = scenario.instance().limits(2, 10_000).start();

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(status(&app, MEMBER_KEY).await);
    }

    assert_eq!(statuses, [403, 403, 429, 429]);
}

#[tokio::test]
async fn rate_limits_that_change_count_on_from_where_the_old_ones_stood() {
    let scenario = scenario().await;
    let with_limit = |minute| scenario.instance().limits(minute, 10).start();

    assert_eq!(status(&with_limit(2), ADMIN_KEY).await, 200);

    let generous = with_limit(4);

    for expected in [200, 200, 200, 429] {
        assert_eq!(status(&generous, ADMIN_KEY).await, expected);
    }

    assert_eq!(status(&with_limit(2), ADMIN_KEY).await, 429);
}

static ONE: AtomicI64 = AtomicI64::new(0);
static TWO: AtomicI64 = AtomicI64::new(0);

/// A request that began before a bucket's end is counted after one that began in the next bucket, at another instance.
#[tokio::test]
async fn rate_limit_admits_requests_of_instances_on_both_sides_of_a_buckets_end() {
    let scenario = scenario().await;
    let limited = || scenario.instance().limits(1_000, 10_000);
    let one = limited().clock(|| NOW.plus(ONE.load(Ordering::SeqCst))).start();
    let two = limited().clock(|| NOW.plus(TWO.load(Ordering::SeqCst))).start();

    for (at_one, at_two) in
        [(4_490, 4_510), (4_495, 4_520), (4_600, 4_620), (69_000, 69_600), (69_510, 69_610)]
    {
        ONE.store(at_one, Ordering::SeqCst);
        TWO.store(at_two, Ordering::SeqCst);
        assert_eq!(status(&two, ADMIN_KEY).await, 200, "{at_two}");
        assert_eq!(status(&one, ADMIN_KEY).await, 200, "{at_one}");
    }
}
