//! Reads that return some attributes only.

use std::sync::{Arc, Mutex};
use torale_domain::pages::executions::{self, ExecutionsParameters};
use torale_domain::requests::parameters::QueryParameters;
use torale_domain::storage::item::{Attributes, Item};
use torale_domain::storage::keys::{self, Index, Lanes};
use torale_domain::storage::read::{Range, ReadPlan, Reader, SelectedAttributes};
use torale_domain::values::ids::{EntityKey, TaskId, UserId};
use torale_platform::store::{Generation, TableReader, Usage};
use torale_testkit::events::{execution, task, user};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::NOW;

const TASK: &str = "00000000-0000-0000-0000-0000000000a1";
const USER: &str = "00000000-0000-0000-0000-0000000000b1";
const EXECUTION: &str = "00000000-0000-0000-0000-0000000000c1";

/// An execution of a task of a user.
async fn scenario() -> Scenario {
    let created = user(USER).created().with("clerk_user_id", "u1").with("email", "ann@example.com");
    let run = execution(EXECUTION, TASK, USER).started_at(NOW).succeeded(true);
    given((vec![created, task(TASK).created(USER, "When?")], vec![run])).start().await
}

fn names(attributes: &Attributes) -> Vec<&str> {
    attributes.keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_with_a_projection_returns_the_key_and_these_attributes_only() {
    let stack = scenario().await;
    let (store, usage) = (stack.store(), Usage::default());
    let reader = TableReader::of(&store, &Generation::first(), &usage);
    let key = keys::entity(&EntityKey::Task(TaskId::parse(TASK).unwrap()));
    let plan = ReadPlan::gets([key.clone()]);

    let whole = reader.read(plan.clone()).await.unwrap().items;
    let some = reader.read(plan.only(&["state", "absent"])).await.unwrap().items;

    assert_eq!(names(&whole[&key].attributes), ["state", "totals"]);
    assert_eq!(names(&some[&key].attributes), ["state"]);
    assert_eq!(some[&key].text("state"), whole[&key].text("state"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_gets_of_a_plan_return_attributes_of_their_own_in_the_same_round_trip() {
    let stack = scenario().await;
    let (store, usage) = (stack.store(), Usage::default());
    let reader = TableReader::of(&store, &Generation::first(), &usage);
    let [task, user] =
        [EntityKey::Task(TaskId::parse(TASK).unwrap()), EntityKey::User(UserId::parse(USER).unwrap())];
    let [task, user] = [task, user].map(|entity| keys::entity(&entity));
    let plan = ReadPlan::gets([user.clone()]).only(&["state"]).and_only([task.clone()], &["totals"]);

    let found = reader.read(plan).await.unwrap().items;

    assert_eq!(names(&found[&user].attributes), ["state"]);
    assert_eq!(names(&found[&task].attributes), ["totals"]);
    assert_eq!((found.len(), usage.round_trips()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_with_a_projection_returns_the_keys_and_these_attributes_only() {
    let stack = scenario().await;
    let (store, usage) = (stack.store(), Usage::default());
    let reader = TableReader::of(&store, &Generation::first(), &usage);
    let nodes = async |attributes: SelectedAttributes| -> Vec<Item> {
        let range = |lane| Range { pk: keys::nodes(Index::Executions, lane), attributes, ..Range::default() };
        let plan = ReadPlan::ranges(Lanes::DEFAULT.all().map(range).collect());
        reader.read(plan).await.unwrap().ranges.concat()
    };

    let (whole, some) = (nodes(None).await, nodes(Some(&["p"])).await);

    let keys = |items: &[Item]| items.iter().map(|item| item.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&whole).len(), 4, "a minute, an hour, a day and a month");
    assert_eq!(keys(&some), keys(&whole));
    assert!(whole.iter().all(|item| item.attributes.len() > 1));
    assert!(some.iter().all(|item| names(&item.attributes) == ["p"]));
}

/// What the executions of a task add up to is most of its item, and no list but that of schedules shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_of_executions_reads_its_names_without_the_totals_of_tasks() {
    let stack = scenario().await;
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let store = stack.store_with(Interceptor::before(move |call| {
        if call.operation == "BatchGetItem" {
            seen.lock().unwrap().push(call.json()["RequestItems"].to_string());
        }
        Ok(())
    }));
    let usage = Usage::default();
    let reader = TableReader::of(&store, &Generation::first(), &usage);

    let page = executions::answer(&reader, &ExecutionsParameters::parse("").unwrap(), NOW).await.unwrap();

    let row = &page.executions[0];
    assert_eq!(row.user_email.as_deref(), Some("ann@example.com"));
    assert_eq!(row.search_query.as_deref(), Some("When?"));
    let requests = requests.lock().unwrap();
    let of_the_task: Vec<&String> = requests.iter().filter(|text| text.contains(TASK)).collect();
    assert_eq!(of_the_task.len(), 1, "{requests:?}");
    assert!(of_the_task[0].contains("ProjectionExpression"), "{requests:?}");
    assert!(of_the_task[0].contains("\"state\"") && !of_the_task[0].contains("totals"), "{requests:?}");
}
