//! Filters that lead from a number to its parts: the errors of a type or a task, the tasks of a state, a user
//! or a query, and the users whose email begins with a text.

use errors::Errors;
use serde_json::{Value, json};
use tasks::Tasks;
use torale_domain::values::time::DAY;
use torale_testkit::events::{EventBuilder, event_about, execution, schedule_created, task, user};
use torale_testkit::request::get;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::NOW;
use users::Users;

const ANN: &str = "11111111-0000-4000-8000-000000000001";
const BOB: &str = "11111111-0000-4000-8000-000000000002";
const PHONE: &str = "22222222-0000-4000-8000-000000000001";
const WEATHER: &str = "22222222-0000-4000-8000-000000000002";
const GONE: &str = "22222222-0000-4000-8000-000000000003";
const DONE: &str = "22222222-0000-4000-8000-000000000004";

fn person(id: &str, email: &str) -> EventBuilder {
    let created = user(id).created().with("clerk_user_id", format!("user_{id}")).with("email", email);
    created.at(NOW.plus(-30 * DAY))
}

fn people() -> Vec<EventBuilder> {
    vec![person(ANN, "ann@example.com"), person(BOB, "Bob@Example.com")]
}

fn tasks() -> Vec<EventBuilder> {
    vec![
        task(PHONE).created(ANN, "iphone").at("2026-03-02T08:00:00Z"),
        task(WEATHER).created(BOB, "iphone").with("state", "paused").at("2026-03-02T08:00:00Z"),
        task(GONE).created(ANN, "iphone").at("2026-03-04T08:00:00Z"),
        task(GONE).deleted().at("2026-03-05T08:00:00Z"),
        task(DONE).created(ANN, "100%").with("state", "completed").at("2026-03-01T08:00:00Z"),
    ]
}

/// The ids on the first page, and the total.
async fn ids(scenario: &Scenario, query: &str) -> (Vec<String>, u64) {
    let page = scenario.when(get::<Tasks>(query)).await.with_status(200).json();
    let ids = page["tasks"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["total"].as_u64().unwrap())
}

fn these(ids: &[&str]) -> (Vec<String>, u64) {
    (ids.iter().map(|id| (*id).to_owned()).collect(), u64::try_from(ids.len()).unwrap())
}

#[tokio::test]
async fn tasks_are_listed_newest_first_without_deleted_ones() {
    let scenario = given((people(), tasks())).start().await;

    assert_eq!(ids(&scenario, "").await, these(&[WEATHER, PHONE, DONE]));
    assert_eq!(ids(&scenario, "state=active").await, these(&[PHONE]));
    assert_eq!(ids(&scenario, "state=paused").await, these(&[WEATHER]));
    assert_eq!(ids(&scenario, "state=completed").await, these(&[DONE]));
}

#[tokio::test]
async fn tasks_are_filtered_by_their_user_and_by_their_exact_query() {
    let scenario = given((people(), tasks())).start().await;

    assert_eq!(ids(&scenario, &format!("user_id={}", ANN.to_uppercase())).await, these(&[PHONE, DONE]));
    assert_eq!(ids(&scenario, &format!("user_id={GONE}")).await, these(&[]));
    assert_eq!(ids(&scenario, "search_query=iphone").await, these(&[WEATHER, PHONE]));
    assert_eq!(ids(&scenario, "search_query=100%25").await, these(&[DONE]));
    for other in ["iPhone", "iphon", "iphone+", "%25", "*", "%00", "100"] {
        assert_eq!(ids(&scenario, &format!("search_query={other}")).await, these(&[]), "{other}");
    }
}

#[tokio::test]
async fn tasks_move_between_lists_with_their_state_and_query() {
    let scenario = given((people(), tasks())).start().await;

    scenario
        .receives((
            task(WEATHER).resumed().at("2026-03-10T08:00:00Z"),
            task(PHONE).updated().with("search_query", "android").at("2026-03-10T08:00:00Z"),
        ))
        .await;

    assert_eq!(ids(&scenario, "state=active").await, these(&[WEATHER, PHONE]));
    assert_eq!(ids(&scenario, "state=paused").await, these(&[]));
    assert_eq!(ids(&scenario, "search_query=iphone").await, these(&[WEATHER]));
    assert_eq!(ids(&scenario, "search_query=android").await, these(&[PHONE]));
}

#[tokio::test]
async fn tasks_take_at_most_one_filter() {
    let scenario = given(people()).start().await;
    let places = async |query: &str| {
        let refused = scenario.when(get::<Tasks>(query)).await.with_status(422);
        let faults = refused.detail().as_array().unwrap().clone();
        faults.iter().map(|fault| fault["loc"][1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    assert_eq!(places("state=active&search_query=a").await, ["state", "search_query"]);
    let all = format!("search_query=a&state=paused&user_id={ANN}");
    assert_eq!(places(&all).await, ["state", "user_id", "search_query"]);
    assert_eq!(places("state=&user_id=x").await, ["state", "user_id"]);
    assert_eq!(places("state=x&state=y").await, ["state"]);
    assert_eq!(places("search_query=").await, ["search_query"]);
    assert_eq!(places(&format!("search_query={}", "a".repeat(501))).await, ["search_query"]);
    assert_eq!(places("state=deleted").await, ["state"]);
    assert_eq!(places("user_id=1").await, ["user_id"]);
}

#[tokio::test]
async fn task_row_shows_its_last_execution_and_its_next_run() {
    let run = |n: u32| format!("33333333-0000-4000-8000-{n:012}");
    let mut events = vec![
        execution(&run(1), PHONE, ANN).started_at("2026-03-31T09:00:00Z").started(),
        execution(&run(2), PHONE, ANN).started_at("2026-03-31T08:00:00Z").succeeded(true),
        schedule_created("paused", PHONE, ANN, "30 10 * * *").with("paused", true),
        schedule_created("deleted", PHONE, ANN, "40 10 * * *"),
        event_about("deleted", "temporal.schedule.deleted", json!({ "schedule_id": "deleted" })),
    ];
    // So many that they hide the execution from the first read of the task's partition.
    events.extend(
        (0..7).map(|n| schedule_created(&format!("s{n}"), PHONE, ANN, &format!("0 {} * * *", 20 - n))),
    );
    let scenario = given((people(), tasks(), events)).start().await;

    let page = scenario.when(get::<Tasks>(&format!("user_id={ANN}"))).await.with_status(200).json();

    let row = &page["tasks"][0];
    assert_eq!(
        row["last_execution"],
        json!({ "id": run(1), "status": "running", "started_at": "2026-03-31T09:00:00Z" })
    );
    assert_eq!(
        (&row["next_run_time"], &row["total_executions"]),
        (&json!("2026-03-31T14:00:00Z"), &json!(2))
    );
    assert_eq!(row["user_email"], "ann@example.com");
    assert_eq!(
        (&page["tasks"][1]["last_execution"], &page["tasks"][1]["next_run_time"]),
        (&Value::Null, &Value::Null)
    );
}

/// Failures at the edges of the window, one that began long before it, and one of another task.
fn failures() -> Vec<EventBuilder> {
    let run = |n: u32, task: &str, started: &str, failed: &str, kind: &str| {
        let id = format!("33333333-0000-4000-8000-{n:012}");
        execution(&id, task, ANN).started_at(started).failed(kind, "x").at(failed)
    };
    vec![
        run(1, PHONE, "2026-03-30T10:29:00Z", "2026-03-30T10:29:59.999Z", "Timeout"),
        run(2, PHONE, "2026-03-30T10:29:00Z", "2026-03-30T10:30:00Z", "Timeout"),
        run(3, PHONE, "2026-03-20T00:00:00Z", "2026-03-31T10:00:00Z", "RateLimit"),
        run(4, PHONE, "2026-03-31T09:00:00Z", "2026-03-31T10:00:00Z", "Timeout"),
        run(5, WEATHER, "2026-03-31T09:00:00Z", "2026-03-31T09:00:01Z", "Timeout"),
    ]
}

#[tokio::test]
async fn errors_are_filtered_by_type_and_task_while_types_count_the_whole_window() {
    let scenario = given((people(), tasks(), failures())).start().await;
    let listed = async |query: &str| {
        let page = scenario.when(get::<Errors>(query)).await.with_status(200).json();
        assert_eq!(page["error_types"], json!({ "Timeout": 3, "RateLimit": 1 }), "{query}");
        let rows = page["errors"].as_array().unwrap();
        let numbers = rows.iter().map(|row| row["execution_id"].as_str().unwrap()[35..].parse().unwrap());
        (numbers.collect::<Vec<u32>>(), page["total"].as_u64().unwrap())
    };

    assert_eq!(listed("").await, (vec![4, 3, 5, 2], 4));
    assert_eq!(listed("error_type=Timeout").await, (vec![4, 5, 2], 3));
    assert_eq!(listed("error_type=Timeout&limit=1&page=3").await, (vec![2], 3));
    assert_eq!(listed("error_type=timeout").await, (vec![], 0));
    assert_eq!(listed(&format!("task_id={PHONE}")).await, (vec![4, 3, 2], 3));
    assert_eq!(listed(&format!("task_id={PHONE}&limit=1&page=2")).await, (vec![3], 3));
    assert_eq!(listed(&format!("task_id={PHONE}&error_type=RateLimit")).await, (vec![3], 1));
    assert_eq!(listed(&format!("task_id={GONE}")).await, (vec![], 0));
    let refused = scenario.when(get::<Errors>("error_type=a+b&task_id=1")).await.with_status(422);
    assert_eq!(refused.detail()[0]["loc"], json!(["query", "error_type"]));
    assert_eq!(refused.detail()[1]["loc"], json!(["query", "task_id"]));
}

#[tokio::test]
async fn errors_of_a_type_lose_an_execution_that_succeeds_on_a_retry() {
    let scenario = given((people(), tasks(), failures())).start().await;
    let retried = execution("33333333-0000-4000-8000-000000000004", PHONE, ANN);
    let total = async |query: &str| scenario.when(get::<Errors>(query)).await.json()["total"].clone();

    scenario.receives(retried.started_at("2026-03-31T09:00:00Z").succeeded(true).at(NOW)).await;

    assert_eq!(total("error_type=Timeout").await, 2);
    assert_eq!(total(&format!("task_id={PHONE}")).await, 2);
}

/// The emails that a search lists, and the total.
async fn found(scenario: &Scenario, query: &str) -> (Vec<String>, u64) {
    let page = scenario.when(get::<Users>(query)).await.with_status(200).json();
    assert_eq!(page["total_capped"], false, "{query}");
    let emails =
        page["users"].as_array().unwrap().iter().map(|row| row["email"].as_str().unwrap().to_owned());
    (emails.collect(), page["total"].as_u64().unwrap())
}

#[tokio::test]
async fn users_are_found_by_the_beginning_of_their_email_without_regard_to_case() {
    let id = |n: u32| format!("11111111-0000-4000-8000-{n:012}");
    let emails =
        ["ann@example.com", "Bob@Example.com", "ANNA@example.com", "ann%@x", "straße@x", "ΣΊΣΥΦΟΣ@x"];
    let people = (1..).zip(emails).map(|(n, email)| person(&id(n), email)).collect::<Vec<_>>();
    let inactive = user(&id(3)).deactivated().at(NOW.plus(-DAY));
    let scenario = given((people, inactive)).start().await;

    assert_eq!(found(&scenario, "q=ANN").await, (these(&["ann%@x", "ann@example.com", "ANNA@example.com"])));
    assert_eq!(found(&scenario, "q=ann&active_only=1").await, these(&["ann%@x", "ann@example.com"]));
    assert_eq!(found(&scenario, "q=ann&limit=1&page=2").await, (vec!["ann@example.com".to_owned()], 3));
    assert_eq!(found(&scenario, "q=ann%25").await, these(&["ann%@x"]));
    assert_eq!(found(&scenario, "q=bob@EXAMPLE.COM").await, these(&["Bob@Example.com"]));
    // Simple folding: a final sigma is a sigma, but ß stays.
    assert_eq!(found(&scenario, "q=%CF%83%CE%AF%CF%83%CF%85%CF%86%CE%BF%CF%82").await, these(&["ΣΊΣΥΦΟΣ@x"]));
    assert_eq!(found(&scenario, "q=STRASSE").await, these(&[]));
    for nobody in
        ["*", "%25", "%00", "nn", "%F4%8F%BF%BF", &"%F4%8F%BF%BF".repeat(244), &"%F0%9F%99%82".repeat(320)]
    {
        assert_eq!(found(&scenario, &format!("q={nobody}")).await, these(&[]), "{nobody}");
    }
    for refused in ["q=", &format!("q={}", "a".repeat(321)), "q=a&q=b", "q=%ff"] {
        assert_eq!(scenario.when(get::<Users>(refused)).await.status, 422, "{refused}");
    }
}

#[tokio::test]
async fn users_are_found_by_the_email_that_they_have_now() {
    let scenario = given(people()).start().await;
    let changed = user(ANN).updated().with("email", "zoe@example.com").at("2026-03-31T10:00:00Z");

    scenario.receives(changed).await;

    assert_eq!(found(&scenario, "q=ann").await, these(&[]));
    assert_eq!(found(&scenario, "q=z").await, these(&["zoe@example.com"]));
}

/// Emails may be longer than a sort key: what a key does not hold still counts.
#[tokio::test]
async fn users_with_long_emails_are_ordered_and_found_by_all_of_it() {
    let id = |n: u32| format!("11111111-0000-4000-8000-{n:012}");
    let shared = "🙂".repeat(300);
    let ends = ["c", "a", "b"].map(|end| format!("{shared}{end}"));
    let people = (1..).zip(&ends).map(|(n, email)| person(&id(n), email)).collect::<Vec<_>>();
    let scenario = given(people).start().await;
    let encoded = "%F0%9F%99%82".repeat(300);

    let [c, a, b] = &ends;
    assert_eq!(found(&scenario, &format!("q={encoded}")).await, these(&[a, b, c]));
    assert_eq!(found(&scenario, &format!("q={encoded}B")).await, these(&[b]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_searched_up_to_a_thousand_matches() {
    let id = |n: u32| format!("11111111-0000-4000-8000-{n:012}");
    let people = (0..1_001).map(|n| person(&id(n), &format!("a0{n:04}@example.com"))).collect::<Vec<_>>();
    let inactive = user(&id(5)).deactivated().at(NOW.plus(-DAY));
    let scenario = given(inactive).start().await;
    for some in people.chunks(100) {
        scenario.receives(some.to_vec()).await;
    }
    let page = async |query: &str| scenario.when(get::<Users>(query)).await.with_status(200).json();

    let last = page("q=a0&limit=100&page=10").await;
    assert_eq!((&last["total"], &last["total_capped"]), (&json!(1000), &json!(true)));
    assert_eq!(last["users"][99]["email"], "a00999@example.com");
    assert_eq!(page("q=a0&limit=100&page=11").await["users"], json!([]));
    let active = page("q=A0&active_only=true").await;
    assert_eq!((&active["total"], &active["total_capped"]), (&json!(1000), &json!(false)));
    assert_eq!(page("").await.get("total_capped"), None);
}
