//! Rate limits: exact under many workers, told in headers, and cheap to refuse.

use lambda_http::http::Method;
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::serve::App;
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};

fn app(stack: &Stack, limits: RateLimits) -> App {
    App::new(stack.store(), stack::keys_only(), limits, stack::temporal_ui(), || NOW)
}

async fn status(app: &App, key: &str) -> u16 {
    let request = stack::request(Method::GET, "/admin/queries", "", Some(&format!("Bearer {key}")));
    stack::answer(app, request).await.status().as_u16()
}

const OTHER_KEY: &str = "sk_test_another_key_of_the_same_admin";

async fn stack_with_two_keys() -> Stack {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    let hash = torale_domain::values::digest::sha256_hex(&[OTHER_KEY.as_bytes()]);
    let user = "00000000-0000-0000-0000-0000000000ad";
    let key = json!({ "key_id": "key_other", "user_id": user, "key_hash": hash, "key_prefix": "sk_test" });
    stack.consume(&[event("other", NOW.plus(-DAY), "api_key.created", key)]).await;
    stack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_workers_with_two_keys_get_exactly_the_limit() {
    let stack = stack_with_two_keys().await;
    let apps: Vec<App> = (0..64).map(|_| app(&stack, RateLimits::new(100, 10_000))).collect();
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
async fn headers_count_down_and_a_refusal_says_when_to_come_again() {
    let stack = stack_with_two_keys().await;
    let app = app(&stack, RateLimits::new(2, 10_000));
    // The present is at :30.5, in the bucket that ends at :35; it leaves the minute at :35 of the next.
    let reset = (NOW.millis() / 1000 + 65).to_string();
    for (remaining, expected) in [("1", 200), ("0", 200), ("0", 429)] {
        let request = stack::request(Method::GET, "/admin/queries", "", Some(&format!("Bearer {ADMIN_KEY}")));
        let response = stack::answer(&app, request).await;
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers()["x-ratelimit-limit"], "2");
        assert_eq!(response.headers()["x-ratelimit-remaining"], remaining);
        assert_eq!(response.headers()["x-ratelimit-reset"], reset.as_str());
        if expected == 429 {
            assert_eq!(response.headers()["retry-after"], "65");
            assert_eq!(stack::json(response), json!({ "detail": "Rate limit exceeded", "retry_after": 65 }));
        }
    }
}

static LATER: AtomicI64 = AtomicI64::new(0);

fn later() -> Timestamp {
    NOW.plus(LATER.load(Ordering::SeqCst))
}

/// A flood is refused from memory: the store sees no write, and the window opens again in time.
#[tokio::test]
async fn refusals_are_remembered_until_the_window_opens() {
    let stack = stack_with_two_keys().await;
    let counted = Faults::new(usize::MAX, false, false);
    let store = stack.faulty_store(counted.clone());
    let app = App::new(store, stack::keys_only(), RateLimits::new(1, 10), stack::temporal_ui(), later);
    assert_eq!(status(&app, ADMIN_KEY).await, 200);
    assert_eq!(status(&app, ADMIN_KEY).await, 429);
    let before = counted.calls();
    assert_eq!(status(&app, ADMIN_KEY).await, 429);
    assert_eq!(
        counted.calls() - before,
        4,
        "the pointer, the key, the user and the record: the limit is not touched"
    );
    LATER.store(64_499, Ordering::SeqCst);
    assert_eq!(status(&app, ADMIN_KEY).await, 429);
    LATER.store(65_000, Ordering::SeqCst);
    assert_eq!(status(&app, ADMIN_KEY).await, 200);
}

#[tokio::test]
async fn other_limits_count_on_from_where_the_old_ones_stood() {
    let stack = stack_with_two_keys().await;
    let strict = app(&stack, RateLimits::new(2, 10));
    assert_eq!(status(&strict, ADMIN_KEY).await, 200);
    let generous = app(&stack, RateLimits::new(4, 10));
    for expected in [200, 200, 200, 429] {
        assert_eq!(status(&generous, ADMIN_KEY).await, expected);
    }
    assert_eq!(status(&app(&stack, RateLimits::new(2, 10)), ADMIN_KEY).await, 429);
}

static ONE: AtomicI64 = AtomicI64::new(0);
static TWO: AtomicI64 = AtomicI64::new(0);

/// A request that began before a bucket's end is counted after one that began in the next bucket, at another instance.
#[tokio::test]
async fn instances_at_both_sides_of_a_buckets_end_do_not_hurt_each_other() {
    let stack = stack_with_two_keys().await;
    let limits = RateLimits::new(1_000, 10_000);
    let one = App::new(stack.store(), stack::keys_only(), limits, stack::temporal_ui(), || {
        NOW.plus(ONE.load(Ordering::SeqCst))
    });
    let two = App::new(stack.store(), stack::keys_only(), limits, stack::temporal_ui(), || {
        NOW.plus(TWO.load(Ordering::SeqCst))
    });
    for (at_one, at_two) in
        [(4_490, 4_510), (4_495, 4_520), (4_600, 4_620), (69_000, 69_600), (69_510, 69_610)]
    {
        ONE.store(at_one, Ordering::SeqCst);
        TWO.store(at_two, Ordering::SeqCst);
        assert_eq!(status(&two, ADMIN_KEY).await, 200, "{at_two}");
        assert_eq!(status(&one, ADMIN_KEY).await, 200, "{at_one}");
    }
}
