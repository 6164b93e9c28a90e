//! The audit trail end to end: what is recorded, sealed, checked and listed, whatever crashes in between.

mod index;

use lambda_http::Body;
use lambda_http::http::{Method, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::Instant;
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::audit::record::{AuthMethod as Credential, redacted};
use torale_domain::audit::seal::{MAX_RECORD_DELAY, Seal};
use torale_domain::audit::verify::{HourSpan, TrailFaultKind, TrailReport, TrailVerifier};
use torale_domain::audit::{AuditEntry, Chain, Link, Principal};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, AUDIT_INDEX_TABLE, AUDIT_TABLE};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{HOUR, MINUTE, Timestamp};
use torale_platform::audit::seal::{LocalKey, SealError, Sealer, Signer};
use torale_platform::serve::App;
use torale_platform::store::Usage;
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};

const USER: &str = "00000000-0000-0000-0000-0000000000ad";

async fn stack_with_admin() -> Stack {
    let stack = Stack::start().await;
    stack.consume(&generate::admin()).await;
    stack
}

fn request(path: &str, query: &str) -> Request<Body> {
    stack::request(Method::GET, path, query, Some(&format!("Bearer {ADMIN_KEY}")))
}

async fn report(stack: &Stack) -> TrailReport {
    let mut verifier = TrailVerifier::new(HourSpan::default());
    stack.audit_items().await.iter().for_each(|item| verifier.add(item));
    verifier.finish(&[*stack::audit_key().key()], None, None)
}

/// The trail is whole, and so many of its records are sealed.
#[track_caller]
fn intact(report: &TrailReport, sealed: u64) {
    assert_eq!(report.faults, []);
    assert_eq!(report.records - report.unsealed, sealed);
}

fn entry(at: Timestamp, action: &str, user: Option<&str>) -> AuditEntry {
    AuditEntry {
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
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let mut call = stack.client.put_item().table_name(AUDIT_TABLE);
    call = call.item("pk", text(&item.key.pk)).item("sk", text(&item.key.sk));
    for name in item.attributes.keys() {
        call = call.item(name, text(item.text(name).unwrap()));
    }
    call.send().await.unwrap();
}

/// A chain of records at these times, stored as an instance would.
async fn chain(stack: &Stack, name: &str, times: &[Timestamp]) {
    let mut chain = Chain::start(times[0], name);
    for at in times {
        let link = chain.link(entry(*at, "stats.read", Some(USER))).unwrap();
        chain.advance(&link);
        put(stack, &link.item()).await;
    }
}

#[tokio::test]
async fn a_record_tells_who_asked_for_what_and_how_it_ended() {
    let stack = stack_with_admin().await;
    let mut asked = request("/admin/executions", "hours=3&status=failed&secret=sk_live_0123456789abcdefghij");
    let agent = "curl/8 sk_live_0123456789abcdefghij me@example.com";
    asked.headers_mut().insert("user-agent", agent.parse().unwrap());
    let response = stack::answer(&stack.app(), asked).await;
    let records = stack.records().await;
    assert_eq!(records.len(), 1);
    let mut found = serde_json::to_value(&records[0].record).unwrap();
    assert!(found["duration_ms"].take().is_u64());
    let id = response.headers()["x-request-id"].to_str().unwrap();
    let expected = json!({
        "chain": records[0].record.chain, "seq": 0, "previous": "0".repeat(64),
        "at": "2026-03-31T10:30:30.500Z",
        "principal": { "user_id": USER, "clerk_user_id": "user_admin", "key_id": "key_admin", "impersonator": null },
        "method": "api_key", "action": "executions.list", "target": null,
        "parameters": { "status": "failed", "hours": 3, "page": 1, "limit": 50 },
        "status": 200, "request_id": id, "source": null, "user_agent": redacted(agent), "duration_ms": null,
    });
    assert_eq!(found, expected);
}

/// What is recorded of the last request: its status and its parameters.
async fn last(stack: &Stack) -> Option<(u16, Value)> {
    let records = stack.records().await;
    records.last().map(|link| (link.record.entry.status, link.record.entry.parameters.clone()))
}

#[tokio::test]
async fn refusals_of_known_credentials_are_recorded_and_strangers_are_not() {
    let stack = stack_with_admin().await;
    for stranger in [None, Some("Bearer sk_unknown_0123456789abcdefghij"), Some("Bearer not.a.token")] {
        assert_eq!(stack.ask("/admin/stats", "", stranger).await.status(), 401);
    }
    assert_eq!(last(&stack).await, None);
    assert_eq!(stack.get("/admin/users", "limit=sk_x&page=0").await.0, 422);
    assert_eq!(last(&stack).await, Some((422, json!({ "invalid": ["page", "limit"] }))));
    // The same one after the other: no admin any more, deactivated, and its key revoked.
    for (kind, data, status) in [
        ("user.updated", json!({ "user_id": USER, "role": null }), 403),
        ("user.deactivated", json!({ "user_id": USER }), 401),
        ("api_key.revoked", json!({ "key_id": "key_admin", "user_id": USER }), 401),
    ] {
        stack.consume(&[event(kind, NOW, kind, data)]).await;
        let before = stack.records().await.len();
        assert_eq!(stack.get("/admin/stats", "").await.0, status);
        let records = stack.records().await;
        assert_eq!(records.len(), before + 1, "{kind}");
        let refused = records.iter().filter(|link| link.record.entry.status == status);
        let refused: Vec<_> = refused.map(|link| &link.record.entry.principal).collect();
        assert!(!refused.is_empty(), "{kind}");
        assert!(refused.iter().all(|who| who.key_id.as_ref().unwrap().as_str() == "key_admin"), "{kind}");
    }
}

#[tokio::test]
async fn no_answer_leaves_without_its_record() {
    let stack = stack_with_admin().await;
    let probe = Faults::new(usize::MAX, false, false);
    let app = |faults: &Faults| {
        App::new(
            stack.faulty_store(faults.clone()),
            stack::keys_only(),
            stack::LIMITS,
            stack::temporal_ui(),
            || NOW,
        )
    };
    stack::answer(&app(&probe), request("/admin/queries", "")).await;
    let calls = probe.calls();
    assert!(calls >= 6, "pointer twice, look-up, user, limit, page, record: {calls}");
    let mut unavailable = 0;
    for at in 0..calls + 2 {
        for after in [false, true] {
            let before = stack.records().await.len();
            let response =
                stack::answer(&app(&Faults::new(at, after, true)), request("/admin/queries", "")).await;
            let recorded = stack.records().await.len() - before;
            match response.status().as_u16() {
                200 => assert_eq!(recorded, 1, "call {at}, after: {after}"),
                503 => unavailable += 1,
                other => panic!("call {at}, after: {after}: {other}"),
            }
        }
    }
    assert!(unavailable >= calls, "{unavailable} of {calls}");
    stack.seal().await;
    assert_eq!(report(&stack).await.faults, []);
}

#[tokio::test]
async fn sixty_four_requests_at_once_form_one_whole_chain() {
    let stack = stack_with_admin().await;
    let app = &stack.app();
    let asked = (0..64).map(|_| async { stack::answer(app, request("/admin/queries", "")).await.status() });
    assert!(futures::future::join_all(asked).await.iter().all(|status| *status == 200));
    let chains: BTreeSet<_> =
        stack.records().await.iter().map(|link| link.record.chain.to_string()).collect();
    assert_eq!(chains.len(), 1);
    assert_eq!(stack.seal().await.records, 64);
    intact(&report(&stack).await, 64);
}

/// A chain of which nobody knows whether its last record is stored is not gone on with.
#[tokio::test]
async fn the_trail_stays_whole_whichever_call_fails() {
    let stack = stack_with_admin().await;
    let mut answered = 0;
    for at in 0..20 {
        for after in [false, true] {
            let store = stack.faulty_store(Faults::new(at, after, false));
            let app = App::new(store, stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW);
            for _ in 0..2 {
                let status = stack::answer(&app, request("/admin/queries", "")).await.status();
                assert!(status == 200 || status == 503, "call {at}, after: {after}: {status}");
                answered += u64::from(status == 200);
            }
        }
    }
    let recorded = u64::try_from(stack.records().await.len()).unwrap();
    assert!(recorded >= answered && answered >= 40, "{answered} answered, {recorded} recorded");
    stack.seal().await;
    intact(&report(&stack).await, recorded);
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

#[tokio::test]
async fn a_crash_at_any_point_of_the_sealing_is_made_good_by_the_next_run() {
    let whole = Stack::start().await;
    history(&whole).await;
    let probe = Faults::new(usize::MAX, false, false);
    let done = whole.seal_with(&whole.faulty_store(probe.clone())).await.unwrap();
    assert_eq!((done.seals, done.records, done.broken.len()), (3, 30, 0));
    let (expected, calls) = (index(&whole).await, probe.calls());
    for at in 0..calls {
        for after in [false, true] {
            let stack = Stack::start().await;
            history(&stack).await;
            let crashed = stack.seal_with(&stack.faulty_store(Faults::new(at, after, true))).await;
            assert!(crashed.is_err() || (after && at == calls - 1), "call {at}: {crashed:?}");
            stack.seal().await;
            intact(&report(&stack).await, 30);
            assert_eq!(index(&stack).await, expected, "call {at}, after: {after}");
        }
    }
}

#[tokio::test]
async fn sealing_many_times_at_once_seals_each_record_once() {
    let stack = Stack::start().await;
    history(&stack).await;
    let store = stack.store();
    let runs = futures::future::join_all((0..12).map(|_| stack.seal_with(&store))).await;
    assert!(runs.iter().all(|run| matches!(run, Ok(_) | Err(SealError::Overtaken))), "{runs:?}");
    stack.seal().await;
    intact(&report(&stack).await, 30);
    let whole = Stack::start().await;
    history(&whole).await;
    whole.seal().await;
    assert_eq!(index(&stack).await, index(&whole).await);
}

#[tokio::test]
async fn a_record_that_comes_late_is_sealed_with_the_next_run() {
    let stack = Stack::start().await;
    chain(&stack, "early", &[NOW.plus(-2 * MINUTE), NOW.plus(-MINUTE)]).await;
    assert_eq!(stack.seal().await.records, 2);
    chain(&stack, "late", &[NOW.plus(-MAX_RECORD_DELAY + 1_000), NOW.plus(-MINUTE)]).await;
    assert_eq!(stack.seal().await.records, 2);
    assert_eq!(
        stack.seal().await,
        torale_platform::audit::seal::SealReport { last: stack.seal().await.last, ..Default::default() }
    );
    intact(&report(&stack).await, 4);
}

/// Somebody has changed the key, or a forger had one of his own: told until a seal of the present key is the last one.
#[tokio::test]
async fn a_seal_of_another_key_is_told() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-HOUR)]).await;
    let other = LocalKey::new(ed25519_dalek::SigningKey::from_bytes(&[8; 32]));
    let (store, usage) = (stack.store(), Usage::default());
    let forged = stack::sealed(&Sealer::new(&store, &other, || NOW, &usage)).await.unwrap();
    assert_eq!(audit_seal::alarm_metrics(&forged).metrics, []);
    let key = stack::audit_key();
    let mut told = Vec::new();
    for clock in [|| NOW.plus(MINUTE), || NOW.plus(10 * MINUTE), || NOW.plus(11 * MINUTE)] {
        let done = stack::sealed(&Sealer::new(&store, &key, clock, &usage)).await.unwrap();
        told.push(audit_seal::alarm_metrics(&done).metrics);
    }
    let foreign = vec![("ForeignSeals", "Count", 1)];
    assert_eq!(told, [foreign.clone(), foreign, vec![]]);
}

#[tokio::test]
async fn a_trail_without_traffic_is_confirmed_now_and_then() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-HOUR)]).await;
    let key = stack::audit_key();
    let run = |clock| {
        let (store, key) = (stack.store(), &key);
        async move { stack::sealed(&Sealer::new(&store, key, clock, &Usage::default())).await.unwrap().seals }
    };
    // The hour's own seal, then one that confirms it at the present; a minute later none, ten minutes later one.
    assert_eq!(run(|| NOW).await, 2);
    assert_eq!(run(|| NOW.plus(MINUTE)).await, 0);
    assert_eq!(run(|| NOW.plus(10 * MINUTE)).await, 1);
    intact(&report(&stack).await, 1);
}

/// What the checks in the core do with made-up trails, here with a table that someone has his hands on.
#[tokio::test]
async fn tampering_with_the_table_is_found() {
    for (name, fault) in [
        ("changed", "was changed"),
        ("deleted", "is missing"),
        ("cut", "is missing"),
        ("swapped", "wrong place"),
        ("forged", "not signed by"),
    ] {
        let stack = Stack::start().await;
        history(&stack).await;
        stack.seal().await;
        let records = stack.records().await;
        let text = |link: &Link, text: String| put_text(link, text);
        match name {
            "changed" => {
                put(&stack, &text(&records[4], records[4].text.replace("\"status\":200", "\"status\":403")))
                    .await
            }
            "deleted" => delete(&stack, &records[12].item()).await,
            "cut" => delete(&stack, &records[29].item()).await,
            "swapped" => {
                put(&stack, &text(&records[1], records[2].text.clone())).await;
                put(&stack, &text(&records[2], records[1].text.clone())).await;
            }
            _ => forge(&stack).await,
        }
        let faults = report(&stack).await.faults;
        assert!(faults[0].to_string().contains(fault), "{name}: {faults:?}");
    }
}

fn put_text(link: &Link, text: String) -> Item {
    let mut item = link.item();
    item.attributes.insert("record".to_owned(), torale_domain::storage::item::Value::Text(text));
    item
}

async fn delete(stack: &Stack, item: &Item) {
    delete_from(stack, AUDIT_TABLE, &item.key.pk, &item.key.sk).await;
}

async fn delete_from(stack: &Stack, table: &str, pk: &str, sk: &str) {
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let call = stack.client.delete_item().table_name(table);
    call.key("pk", text(pk)).key("sk", text(sk)).send().await.unwrap();
}

async fn forge(stack: &Stack) {
    let items = stack.audit_items().await;
    let mut seal = items.iter().rev().find_map(Seal::load).unwrap();
    seal.text = seal.text.replace("\"records\":10", "\"records\":11");
    put(stack, &seal.item().unwrap()).await;
}

#[tokio::test]
async fn a_chain_that_was_broken_is_reported_and_not_sealed() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-3_000), NOW.plus(-2_000), NOW.plus(-1_000)]).await;
    let gone = stack.records().await[1].item();
    delete(&stack, &gone).await;
    let done = stack.seal().await;
    assert_eq!((done.records, done.broken.len()), (1, 1));
    assert_eq!(audit_seal::alarm_metrics(&done).metrics, [("BrokenChains", "Count", 1)]);
    assert_eq!(audit_seal::alarm_metrics(&Default::default()).metrics, []);
    let faults = report(&stack).await.faults;
    assert!(matches!(faults[0].kind, TrailFaultKind::RecordMissing(_, 1)), "{faults:?}");
}

async fn listed(stack: &Stack, query: &str) -> Value {
    let (status, body) = stack.get("/admin/audit", query).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_list_filters_counts_and_pages_exactly() {
    let stack = stack_with_admin().await;
    let other = "00000000-0000-0000-0000-0000000000ae";
    let mut expected = Vec::new();
    for (i, action) in ["stats.read", "users.list"].into_iter().cycle().take(300).enumerate() {
        let at = NOW.plus(-i64::try_from(i).unwrap() * 7 * MINUTE);
        let user = [Some(USER), Some(other), None][i % 3];
        let link = Chain::start(at, &format!("c{i:03}")).link(entry(at, action, user)).unwrap();
        put(&stack, &link.item()).await;
        expected.push((link.record.id(), at, action, user));
    }
    stack.seal().await;
    for (query, hours, user, action) in [
        ("", 24, None, None),
        ("hours=8760", 8760, None, None),
        ("hours=30&action=users.list", 30, None, Some("users.list")),
        (&*format!("hours=200&principal={USER}"), 200, Some(USER), None),
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
async fn the_list_audits_itself() {
    let stack = stack_with_admin().await;
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
    let malformed = stack.get("/admin/audit", "principal=me&action=DROP").await;
    let body: Value = serde_json::from_str(&malformed.1).unwrap();
    assert_eq!(malformed.0, 422);
    assert_eq!(body["detail"][0]["loc"], json!(["query", "principal"]));
    assert_eq!(body["detail"][1]["loc"], json!(["query", "action"]));
}

#[tokio::test]
async fn a_record_that_someone_deleted_is_listed_as_missing() {
    let stack = stack_with_admin().await;
    chain(&stack, "one", &[NOW.plus(-2_000), NOW.plus(-1_000)]).await;
    stack.seal().await;
    let gone = stack.records().await[0].item();
    delete(&stack, &gone).await;
    let page = listed(&stack, "").await;
    assert_eq!(page["total"], 2);
    assert_eq!(page["records"][1], json!({ "id": gone.key.sk, "missing": true }));
}

#[tokio::test]
async fn a_refusal_for_the_limit_is_recorded_too() {
    let stack = stack_with_admin().await;
    let app =
        App::new(stack.store(), stack::keys_only(), RateLimits::new(1, 100), stack::temporal_ui(), || NOW);
    for status in [200, 429, 429] {
        assert_eq!(stack::answer(&app, request("/admin/stats", "")).await.status(), status);
    }
    let mut statuses: Vec<_> = stack.records().await.iter().map(|link| link.record.entry.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429, 429]);
}

/// The time of a key's last use, as it is kept.
async fn last_used(stack: &Stack) -> Option<i64> {
    let key = keys::key_used(&torale_domain::values::ids::KeyId::parse("key_admin").unwrap());
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let call = stack.client.get_item().table_name(keys::CONTROL_TABLE);
    let item = call.key("pk", text(&key.pk)).key("sk", text(&key.sk)).send().await.unwrap().item;
    item.map(|item| item["at"].as_n().unwrap().parse().unwrap())
}

#[tokio::test]
async fn the_last_use_of_a_key_is_kept_once_a_minute() {
    let stack = stack_with_admin().await;
    let app = |clock| App::new(stack.store(), stack::keys_only(), stack::LIMITS, stack::temporal_ui(), clock);
    assert_eq!(
        stack.ask("/admin/stats", "", Some("Bearer sk_unknown_0123456789abcdefghij")).await.status(),
        401
    );
    assert_eq!(last_used(&stack).await, None);
    stack::answer(&app(|| NOW), request("/admin/stats", "")).await;
    assert_eq!(last_used(&stack).await, Some(NOW.millis()));
    stack::answer(&app(|| NOW.plus(59_000)), request("/admin/stats", "")).await;
    assert_eq!(last_used(&stack).await, Some(NOW.millis()));
    stack::answer(&app(|| NOW.plus(60_000)), request("/admin/stats", "")).await;
    assert_eq!(last_used(&stack).await, Some(NOW.plus(60_000).millis()));
}

/// One clock that runs ahead must not make what is written meanwhile look as if it had never been sealed.
#[tokio::test]
async fn a_sealing_whose_clock_was_ahead_is_made_good() {
    let stack = Stack::start().await;
    let run = async |clock| {
        let (store, key, usage) = (stack.store(), stack::audit_key(), Usage::default());
        stack::sealed(&Sealer::new(&store, &key, clock, &usage)).await.unwrap()
    };
    chain(&stack, "one", &[NOW.plus(-HOUR)]).await;
    run(|| NOW.plus(3 * HOUR)).await;
    chain(&stack, "two", &[NOW, NOW.plus(1_000)]).await;
    assert_eq!(run(|| NOW.plus(MINUTE)).await.records, 2);
    intact(&report(&stack).await, 3);
}

/// More than a page, of more instances than a seal has room for at once, over two hours; and a run that is cut off.
#[tokio::test]
async fn a_backlog_is_sealed_page_by_page() {
    let stack = Stack::start().await;
    for n in 0..600 {
        chain(&stack, &format!("i{n:04}"), &[NOW.plus(-HOUR + n * 1_000), NOW.plus(-HOUR + n * 1_000 + 500)])
            .await;
    }
    let (store, key, usage) = (stack.store(), stack::audit_key(), Usage::default());
    let sealer = Sealer::new(&store, &key, || NOW, &usage);
    let cut_off = sealer.run(Instant::now()).await.0;
    assert!(cut_off.records < 1_200, "{cut_off:?}");
    let done = stack::sealed(&sealer).await.unwrap();
    assert_eq!(cut_off.records + done.records, 1_200);
    assert!(done.seals >= 2, "{done:?}");
    intact(&report(&stack).await, 1_200);
    assert_eq!(stack::sealed(&sealer).await.unwrap().records, 0);
}

/// Whoever may put may put nonsense: it is named by the check and stands in nobody's way.
#[tokio::test]
async fn nonsense_in_the_table_stops_nothing() {
    let stack = Stack::start().await;
    chain(&stack, "one", &[NOW.plus(-2_000)]).await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let partition = stack.records().await[0].item().key.pk;
    let put =
        stack.client.put_item().table_name(AUDIT_TABLE).item("pk", text(&partition)).item("sk", text("~"));
    put.item("x", aws_sdk_dynamodb::types::AttributeValue::Bool(true)).send().await.unwrap();
    assert_eq!(stack.seal().await.records, 1);
    let faults = report(&stack).await.faults;
    assert!(
        matches!(&faults[..], [fault] if matches!(fault.kind, TrailFaultKind::UnreadableItem(_))),
        "{faults:?}"
    );
}

/// Of a chain that was sealed on the way through a long hour it is known later in that hour how far.
#[tokio::test]
async fn a_chain_goes_on_after_a_seal_on_the_way_through_its_hour() {
    let stack = Stack::start().await;
    let run = async |clock| {
        let (store, key, usage) = (stack.store(), stack::audit_key(), Usage::default());
        stack::sealed(&Sealer::new(&store, &key, clock, &usage)).await.unwrap()
    };
    chain(&stack, "before", &[NOW]).await;
    run(|| NOW).await;
    // 11:00:30.500 and later: the hour after the last seal's.
    let next_hour = NOW.plus(30 * MINUTE);
    let mut long = Chain::start(next_hour, "long");
    let first = long.link(entry(next_hour, "stats.read", None)).unwrap();
    long.advance(&first);
    put(&stack, &first.item()).await;
    for n in 0..450 {
        chain(&stack, &format!("i{n:03}"), &[next_hour.plus(n)]).await;
    }
    let done = run(|| NOW.plus(31 * MINUTE)).await;
    assert!(done.seals >= 2 && done.records == 451, "{done:?}");
    // From here on the job looks back to this hour alone.
    chain(&stack, "other", &[NOW.plus(44 * MINUTE)]).await;
    assert_eq!(run(|| NOW.plus(45 * MINUTE)).await.records, 1);
    let later = long.link(entry(NOW.plus(46 * MINUTE), "stats.read", None)).unwrap();
    put(&stack, &later.item()).await;
    let done = run(|| NOW.plus(47 * MINUTE)).await;
    assert_eq!((done.records, done.broken.len()), (1, 0));
    intact(&report(&stack).await, 454);
}
