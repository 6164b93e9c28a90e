//! The audit trail end to end: what is recorded, sealed, checked and listed, whatever crashes meanwhile.

mod index;
mod sealing;

use audit::Audit;
use executions::Executions;
use queries::Queries;
use serde_json::{Value, json};
use stats::Stats;
use std::collections::BTreeSet;
use temporal_schedules::Schedules;
use torale_domain::audit::record::{AuthMethod as Credential, redacted};
use torale_domain::audit::verify::TrailReport;
use torale_domain::audit::{AuditedRequest, ChainWriter, Principal};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, AUDIT_INDEX_TABLE, AUDIT_TABLE};
use torale_domain::values::ids::{ApiKeyId, UserId};
use torale_domain::values::time::{HOUR, MINUTE, Timestamp};
use torale_testkit::events::{ADMIN, ADMIN_KEY_ID, api_key, user};
use torale_testkit::faults::Faults;
use torale_testkit::request::get;
use torale_testkit::scenario::given_an_admin;
use torale_testkit::stack::{NOW, Stack, text};
use users::Users;

/// The trail is whole, and so many of its records are sealed.
#[track_caller]
fn assert_intact(report: &TrailReport, sealed: u64) {
    assert_eq!(report.faults, []);
    assert_eq!(report.records - report.unsealed, sealed);
}

fn entry(at: Timestamp, action: &str, user: Option<&str>) -> AuditedRequest {
    AuditedRequest {
        at,
        principal: Principal { user_id: user.and_then(UserId::parse), ..Principal::default() },
        method: Credential::Session,
        action: action.to_owned(),
        target: None,
        parameters: json!({}),
        status: 200,
        request_id: "r".to_owned(),
        source: None,
        user_agent: None,
        duration_ms: 1,
    }
}

async fn put(stack: &Stack, item: &Item) {
    let attributes = item.attributes.keys().map(|name| (name.as_str(), text(item.text(name).unwrap())));
    stack.put(AUDIT_TABLE, &item.key, attributes).await;
}

/// A chain of records at these times, stored as an instance would.
async fn chain(stack: &Stack, name: &str, times: &[Timestamp]) {
    let mut chain = ChainWriter::start(times[0], name);
    for at in times {
        let link = chain.next_record(entry(*at, "stats.read", Some(ADMIN))).unwrap();
        chain.advance(&link);
        put(stack, &link.item()).await;
    }
}

#[tokio::test]
async fn audit_record_holds_caller_action_parameters_and_outcome_and_no_secret() {
    let scenario = given_an_admin().start().await;
    let agent = "curl/8 sk_live_0123456789abcdefghij me@example.com";
    let request = get::<Executions>("hours=3&status=failed&secret=sk_live_0123456789abcdefghij");

    let answer = scenario.when(request.header("user-agent", agent)).await;

    let records = scenario.records().await;

    assert_eq!(records.len(), 1);

    let mut found = serde_json::to_value(&records[0].record).unwrap();
    assert!(found["duration_ms"].take().is_u64());

    let expected = json!({
        "chain": records[0].record.chain, "seq": 0, "previous": "0".repeat(64),
        "at": "2026-03-31T10:30:30.500Z",
        "principal": { "user_id": ADMIN, "clerk_user_id": "user_admin", "key_id": "key_admin", "impersonator": null },
        "method": "api_key", "action": "executions.list", "target": null,
        "parameters": { "status": "failed", "hours": 3, "page": 1, "limit": 50 },
        "status": 200, "request_id": answer.header("x-request-id").unwrap(), "source": null,
        "user_agent": redacted(agent), "duration_ms": null,
    });
    assert_eq!(found, expected);
}

/// What is recorded of the last request: its status and its parameters.
async fn last_record(stack: &Stack) -> Option<(u16, Value)> {
    let records = stack.records().await;
    records.last().map(|link| (link.record.entry.status, link.record.entry.parameters.clone()))
}

/// All schedules at once are another request than a page of them.
#[tokio::test]
async fn audit_record_of_a_list_that_is_not_paged_names_no_page() {
    let whole = json!({ "include_paused": false });
    let paged = json!({ "include_paused": false, "page": 2, "limit": 50 });
    let zoned = json!({ "include_paused": false, "include_timezone": true });
    for (query, expected) in [("", whole), ("page=2", paged), ("include_timezone=1", zoned)] {
        let scenario = given_an_admin().start().await;
        assert_eq!(scenario.when(get::<Schedules>(query)).await.status, 200);
        assert_eq!(last_record(&scenario).await, Some((200, expected)));
    }
}

#[tokio::test]
async fn audit_trail_has_no_record_of_strangers() {
    let scenario = given_an_admin().start().await;

    for stranger in [None, Some("Bearer sk_unknown_0123456789abcdefghij"), Some("Bearer not.a.token")] {
        let refused = scenario.when(get::<Stats>("").authorized(stranger)).await;
        assert_eq!(refused.status, 401);
    }

    assert_eq!(last_record(&scenario).await, None);
}

#[tokio::test]
async fn audit_record_of_an_invalid_request_names_the_parameters_and_not_their_values() {
    let scenario = given_an_admin().start().await;

    let refused = scenario.when(get::<Users>("limit=sk_x&page=0")).await;

    assert_eq!(refused.status, 422);
    assert_eq!(last_record(&scenario).await, Some((422, json!({ "invalid": ["page", "limit"] }))));
}

/// The same caller one after the other: no admin any more, deactivated, and the key revoked.
#[tokio::test]
async fn audit_trail_records_refusals_of_known_credentials() {
    let scenario = given_an_admin().start().await;

    for (event, status) in [
        (user(ADMIN).updated().with("role", Value::Null), 403),
        (user(ADMIN).deactivated(), 401),
        (api_key(ADMIN_KEY_ID).revoked(ADMIN), 401),
    ] {
        let before = scenario.records().await.len();
        scenario.receives(event.clone()).await;

        assert_eq!(scenario.when(get::<Stats>("")).await.status, status);

        let records = scenario.records().await;
        assert_eq!(records.len(), before + 1, "{event:?}");
        let refused = records.iter().filter(|link| link.record.entry.status == status);
        let callers: Vec<_> = refused.map(|link| &link.record.entry.principal).collect();
        assert!(!callers.is_empty(), "{event:?}");
        let has_key = |caller: &&Principal| caller.key_id.as_ref().unwrap().as_str() == ADMIN_KEY_ID;
        assert!(callers.iter().all(has_key), "{event:?}");
    }
}

#[tokio::test]
async fn audit_trail_has_a_record_of_every_answer_whichever_call_fails() {
    let scenario = given_an_admin().start().await;
    let probe = Faults::none();
    get::<Queries>("").send(&scenario.faulty_app(&probe)).await;
    let calls = probe.calls();

    assert!(calls >= 6, "pointer twice, look-up, user, limit, page, record: {calls}");

    let mut unavailable = 0;

    for faults in Faults::everywhere(calls + 2) {
        let before = scenario.records().await.len();

        let answer = get::<Queries>("").send(&scenario.faulty_app(&faults)).await;

        let recorded = scenario.records().await.len() - before;
        match answer.status {
            200 => assert_eq!(recorded, 1, "{faults:?}"),
            503 => unavailable += 1,
            other => panic!("{faults:?}: {other}"),
        }
    }

    assert!(unavailable >= calls, "{unavailable} of {calls}");

    scenario.seal().await;
    assert_eq!(scenario.check_trail().await.faults, []);
}

#[tokio::test(start_paused = true)]
async fn audit_records_of_sixty_four_requests_at_once_form_one_intact_chain() {
    let scenario = given_an_admin().start().await;
    let app = &scenario.app();

    let requests = (0..64).map(|_| async { get::<Queries>("").send(app).await.status });

    assert!(futures::future::join_all(requests).await.iter().all(|status| *status == 200));

    let records = scenario.records().await;
    let chains: BTreeSet<_> = records.iter().map(|link| link.record.chain.to_string()).collect();

    assert_eq!(chains.len(), 1);
    assert_eq!(scenario.seal().await.records, 64);
    assert_intact(&scenario.check_trail().await, 64);
}

/// A chain of which nobody knows whether its last record is stored is not continued.
#[tokio::test]
async fn audit_trail_stays_intact_whichever_call_fails_once() {
    let scenario = given_an_admin().start().await;

    let mut answered = 0;

    for (at, after) in (0..20).flat_map(|at| [(at, false), (at, true)]) {
        let app = scenario.faulty_app(&Faults::new(at, after, false));
        for _ in 0..2 {
            let status = get::<Queries>("").send(&app).await.status;
            assert!(status == 200 || status == 503, "call {at}, after: {after}: {status}");
            answered += u64::from(status == 200);
        }
    }

    let recorded = u64::try_from(scenario.records().await.len()).unwrap();
    assert!(recorded >= answered && answered >= 40, "{answered} answered, {recorded} recorded");

    scenario.seal().await;
    assert_intact(&scenario.check_trail().await, recorded);
}

/// All that the index says: each facet's total, and its rows.
async fn index(stack: &Stack) -> BTreeSet<String> {
    stack
        .scan(AUDIT_INDEX_TABLE)
        .await
        .iter()
        .map(|item| {
            let mut fields: Vec<String> =
                item.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            fields.sort();
            fields.join(" ")
        })
        .collect()
}

/// Thirty records: three instances, over two hours of the past and the present one.
async fn history(stack: &Stack) {
    for (i, start) in [NOW.plus(-2 * HOUR), NOW.plus(-HOUR), NOW.plus(-5 * MINUTE)].into_iter().enumerate() {
        let times: Vec<_> = (0..10).map(|n| start.plus(n * 1_000)).collect();
        chain(stack, &format!("instance{i}"), &times).await;
    }
}

async fn delete(stack: &Stack, item: &Item) {
    stack.delete(AUDIT_TABLE, &item.key).await;
}

async fn listed(stack: &Stack, query: &str) -> Value {
    stack.read(&get::<Audit>(query)).await
}

#[tokio::test]
async fn audit_list_filters_counts_and_pages_exactly() {
    let stack = given_an_admin().start().await;
    let other = "00000000-0000-0000-0000-0000000000ae";
    let mut expected = Vec::new();

    for (i, action) in ["stats.read", "users.list"].into_iter().cycle().take(300).enumerate() {
        let at = NOW.plus(-i64::try_from(i).unwrap() * 7 * MINUTE);
        let user = [Some(ADMIN), Some(other), None][i % 3];
        let link = ChainWriter::start(at, &format!("c{i:03}")).next_record(entry(at, action, user)).unwrap();
        put(&stack, &link.item()).await;
        expected.push((link.record.id(), at, action, user));
    }

    stack.seal().await;

    for (query, hours, user, action) in [
        ("", 24, None, None),
        ("hours=8760", 8760, None, None),
        ("hours=30&action=users.list", 30, None, Some("users.list")),
        (&*format!("hours=200&principal={ADMIN}"), 200, Some(ADMIN), None),
        (&*format!("hours=200&principal={other}&action=stats.read"), 200, Some(other), Some("stats.read")),
        ("action=nothing.else", 24, None, Some("nothing.else")),
    ] {
        let cut = NOW.plus(-hours * HOUR).floor_to_minute();
        let fits = |(_, at, of, by): &&(String, Timestamp, &str, Option<&str>)| {
            *at >= cut
                && action.is_none_or(|action| *of == action)
                && user.is_none_or(|user| *by == Some(user))
        };
        let ids: Vec<&str> = expected.iter().filter(fits).map(|(id, ..)| id.as_str()).collect();
        let mut found = Vec::new();
        for page in 1..=ids.len() / 20 + 2 {
            let page = listed(&stack, &format!("{query}&limit=20&page={page}")).await;
            assert_eq!(page["total"], ids.len(), "{query}");
            let rows = page["records"].as_array().unwrap().iter();
            found.extend(rows.map(|row| row["id"].as_str().unwrap().to_owned()));
        }
        assert_eq!(found, ids, "{query}");
    }
}

#[tokio::test]
async fn audit_list_shows_the_record_of_its_own_request() {
    let stack = given_an_admin().start().await;

    assert_eq!(listed(&stack, "").await["total"], 0);

    stack.seal().await;
    let page = listed(&stack, "").await;

    assert_eq!(
        (page["total"].clone(), page["page"].clone(), page["limit"].clone()),
        (json!(1), json!(1), json!(50))
    );

    let row = &page["records"][0];
    assert_eq!(row["action"], "audit.list");
    assert_eq!(row["parameters"], json!({ "hours": 24, "page": 1, "limit": 50 }));
    assert_eq!(row["principal"]["key_id"], "key_admin");
}

#[tokio::test]
async fn audit_list_refuses_malformed_filters() {
    let refused = given_an_admin().when(get::<Audit>("principal=me&action=DROP")).await;

    assert_eq!(refused.status, 422);
    assert_eq!(refused.detail()[0]["loc"], json!(["query", "principal"]));
    assert_eq!(refused.detail()[1]["loc"], json!(["query", "action"]));
}

#[tokio::test]
async fn audit_list_shows_a_deleted_record_as_missing() {
    let stack = given_an_admin().start().await;
    chain(&stack, "one", &[NOW.plus(-2_000), NOW.plus(-1_000)]).await;
    stack.seal().await;
    let id = listed(&stack, "").await["records"][1]["id"].clone();
    // The requests for the list are recorded, too, and the trail is sorted by partitions first.
    let records = stack.records().await;
    let listed_one = records.iter().find(|link| id == link.record.id()).expect("the record of the row");
    delete(&stack, &listed_one.item()).await;
    let page = listed(&stack, "").await;

    assert_eq!(page["total"], 2);
    assert_eq!(page["records"][1], json!({ "id": id, "missing": true }), "the id that it had before");
}

#[tokio::test]
async fn audit_trail_records_refusals_for_the_rate_limit() {
    let stack = given_an_admin().start().await;
    let app = stack.instance().limits(1, 100).start();

    for status in [200, 429, 429] {
        assert_eq!(get::<Stats>("").send(&app).await.status, status);
    }

    let mut statuses: Vec<_> = stack.records().await.iter().map(|link| link.record.entry.status).collect();
    statuses.sort_unstable();

    assert_eq!(statuses, [200, 429, 429]);
}

/// The time of a key's last use, as it is kept.
async fn last_used(stack: &Stack) -> Option<i64> {
    let key = keys::key_used(&ApiKeyId::parse(ADMIN_KEY_ID).unwrap());
    let item = stack.item(keys::CONTROL_TABLE, &key).await;
    item.map(|item| item["at"].as_n().unwrap().parse().unwrap())
}

/// Less than a minute after [`NOW`].
fn next_minute() -> Timestamp {
    NOW.plus(MINUTE).floor_to_minute()
}

#[tokio::test]
async fn last_use_of_a_key_is_noted_once_for_each_minute() {
    let scenario = given_an_admin().start().await;
    let used_at = async |clock| {
        get::<Stats>("").send(&scenario.instance().clock(clock).start()).await;
        last_used(&scenario).await
    };

    assert_eq!(used_at(|| NOW).await, Some(NOW.millis()));
    assert_eq!(used_at(|| next_minute().plus(-1)).await, Some(NOW.millis()));
    assert_eq!(used_at(next_minute).await, Some(next_minute().millis()));
}

#[tokio::test]
async fn last_use_of_a_key_is_not_noted_for_an_unknown_key() {
    let scenario = given_an_admin().start().await;

    let refused = scenario.when(get::<Stats>("").by("sk_unknown_0123456789abcdefghij")).await;

    assert_eq!(refused.status, 401);
    assert_eq!(last_used(&scenario).await, None);
}
