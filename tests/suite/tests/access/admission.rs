//! What every endpoint does around its handler: it refuses in the order of the contract, limits, records, and answers
//! with the headers that all answers have.

use executions::Executions;
use http::Method;
use serde_json::{Value, json};
use stats::Stats;
use torale_domain::values::time::DAY;
use torale_testkit::events::{ADMIN, ADMIN_KEY_ID, EventBuilder, admin, api_key, user};
use torale_testkit::faults::Faults;
use torale_testkit::request::get;
use torale_testkit::scenario::{Scenario, given, given_an_admin, given_only};
use torale_testkit::stack::{ADMIN_KEY, NOW, Stack};
use torale_tests::endpoints::{self, good_request};

/// A user whom endpoints may deactivate.
const OTHER: &str = "00000000-0000-0000-0000-0000000000b0";

async fn scenario() -> Scenario {
    given(endpoints::subject(OTHER)).start().await
}

/// How many requests were recorded with this action and this status.
async fn recorded(stack: &Stack, action: &str, status: u16) -> usize {
    let records = stack.records().await;
    let entries = records.iter().map(|link| &link.record.entry);
    entries.filter(|entry| entry.action == action && entry.status == status).count()
}

#[tokio::test]
async fn endpoints_refuse_strangers_whatever_else_is_wrong() {
    let scenario = scenario().await;

    for of in endpoints::all() {
        for (authorization, detail) in [
            (None, "Authorization header missing"),
            (Some("Basic abc"), "Authorization header missing"),
            (Some("Bearer sk_unknown_0123456789abcdefghij"), "Invalid API key"),
            (Some("Bearer sk_short"), "Invalid API key"),
            (Some("Bearer not.a.token"), "Could not validate credentials"),
        ] {
            // Malformed parameters, too: without credentials nobody learns of that.
            let malformed = of.request("limit=x&hours=x").about("x");
            let refused = malformed.authorized(authorization).send(&scenario.app()).await;

            refused.then(401, &json!({ "detail": detail }));
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"), "{}", of.endpoint.path);
        }
    }
}

#[tokio::test]
async fn endpoints_answer_an_admin_with_the_headers_of_all_answers() {
    let scenario = scenario().await;

    for of in endpoints::all() {
        let answer = good_request(&of, OTHER).send(&scenario.app()).await.with_status(200);

        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{}", of.endpoint.path);
        }
        assert_ne!(answer.header("x-request-id").unwrap(), "");
    }
}

/// Whoever is known is recorded, however the request ends, and learns how it stands with the limits.
#[tokio::test]
async fn endpoints_report_limits_and_leave_a_record_whether_they_grant_or_limit() {
    let scenario = scenario().await;
    let (open, full) = (scenario.app(), scenario.instance().limits(0, 100_000).start());

    for of in endpoints::all() {
        for (app, status) in [(&open, 200), (&full, 429)] {
            let before = recorded(&scenario, of.endpoint.action, status).await;

            let answer = good_request(&of, OTHER).send(app).await.with_status(status);

            for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
                assert!(answer.header(header).unwrap().parse::<i64>().is_ok());
            }
            assert_eq!(answer.header("x-user-id"), Some(ADMIN));
            assert_eq!(answer.header("retry-after").is_some(), status == 429);
            let after = recorded(&scenario, of.endpoint.action, status).await;
            assert_eq!(after, before + 1, "{}", of.endpoint.path);
        }
    }
}

#[tokio::test]
async fn endpoints_refuse_a_user_who_is_no_admin_and_leave_a_record() {
    let scenario = scenario().await;
    let app = scenario.app();
    scenario.receives(user(ADMIN).updated().with("role", "user")).await;

    for of in endpoints::all() {
        let refused = good_request(&of, OTHER).send(&app).await;

        refused.then(403, &json!({ "detail": "Admin access required" }));
        assert!(refused.header("x-ratelimit-limit").is_some());
        assert_eq!(recorded(&scenario, of.endpoint.action, 403).await, 1, "{}", of.endpoint.path);
    }
}

#[tokio::test]
async fn endpoints_refuse_a_wrong_method_before_anything_else() {
    let scenario = scenario().await;

    for of in endpoints::all() {
        let request = of.request("").method(Method::DELETE).authorized(None);
        let refused = request.send(&scenario.app()).await;

        refused.then(405, &json!({ "detail": "Method Not Allowed" }));
        assert_eq!(refused.header("allow"), Some(of.endpoint.method.as_str()));
    }
}

/// The answer of one instance to its admin, after it has admitted them once and this event was received.
async fn refusal_after(event: EventBuilder) -> (u16, Value) {
    let scenario = scenario().await;
    let app = scenario.app();
    let admitted = get::<Stats>("").send(&app).await;
    assert_eq!(admitted.status, 200);

    scenario.receives(event).await;

    let refused = get::<Stats>("").send(&app).await;
    (refused.status, refused.detail())
}

/// P8: what an event takes away is refused on the very next request, by an instance that has just admitted the caller.
#[tokio::test]
async fn deactivated_admin_is_refused_on_the_next_request() {
    assert_eq!(refusal_after(user(ADMIN).deactivated()).await, (401, json!("Invalid API key")));
}

#[tokio::test]
async fn demoted_admin_is_refused_on_the_next_request() {
    for role in [Value::Null, json!("Admin")] {
        let demoted = user(ADMIN).updated().with("role", role);
        assert_eq!(refusal_after(demoted).await, (403, json!("Admin access required")));
    }
}

#[tokio::test]
async fn revoked_key_is_refused_on_the_next_request() {
    let revoked = api_key(ADMIN_KEY_ID).revoked(ADMIN);

    assert_eq!(refusal_after(revoked).await, (401, json!("Invalid API key")));
}

#[tokio::test]
async fn key_of_a_user_whom_no_event_has_created_is_forbidden_until_one_does() {
    let [created, key]: [String; 2] = admin().try_into().unwrap();
    let scenario = given_only(key).start().await;
    let forbidden = json!({ "detail": "Admin access required" });

    scenario.when(get::<Stats>("")).await.then(403, &forbidden);

    scenario.receives(user(ADMIN).updated().with("role", "admin")).await;
    scenario.when(get::<Stats>("")).await.then(403, &forbidden);

    scenario.receives(created).await;

    assert_eq!(scenario.when(get::<Stats>("")).await.status, 200);
}

#[tokio::test]
async fn key_that_is_revoked_before_it_is_created_never_works() {
    let revoked = api_key(ADMIN_KEY_ID).revoked(ADMIN).at(NOW.plus(-401 * DAY));

    let refused = given_only((revoked, admin())).when(get::<Stats>("")).await;

    refused.then(401, &json!({ "detail": "Invalid API key" }));
}

#[tokio::test]
async fn authorization_scheme_is_known_in_any_case() {
    let request = get::<Stats>("").authorized(Some(&format!("bearer {ADMIN_KEY}")));

    assert_eq!(given_an_admin().when(request).await.status, 200);
}

#[tokio::test]
async fn faults_of_all_parameters_are_listed_together() {
    let faults = json!([
        { "loc": ["query", "status"], "msg": "Input should be 'success', 'failed', 'running'", "type": "enum" },
        { "loc": ["query", "hours"], "msg": "The parameter may be given only once", "type": "repeated" },
        { "loc": ["query", "page"], "msg": "Input should be a valid integer", "type": "int_parsing" },
        { "loc": ["query", "limit"], "msg": "Input should be less than or equal to 100", "type": "less_than_equal" },
    ]);

    let request = get::<Executions>("hours=0&hours=1&limit=101&status=done&page=one");

    given_an_admin().when(request).await.then(422, &json!({ "detail": faults }));
}

#[tokio::test]
async fn store_out_of_reach_is_a_503_that_says_when_to_retry() {
    let scenario = given_an_admin().start().await;

    for at in 0..4 {
        let app = scenario.faulty_app(&Faults::new(at, false, true));
        let refused = get::<Stats>("").send(&app).await;

        refused.then(503, &json!({ "detail": "Service temporarily unavailable" }));
        assert_eq!(refused.header("retry-after"), Some("2"), "call {at}");
    }
}
