//! Pages while what they show changes: each call of a page may see another moment, and replicas lag.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use torale_domain::pages::{TemporalUi, errors, executions, queries, schedules, stats, tasks, users};
use torale_domain::requests::parameters::{ParameterReader, QueryParameters};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::Lanes;
use torale_domain::storage::read::{Corrupt, Range, ReadPlan, ReadResult, Reader};
use torale_domain::values::time::{DAY, HOUR, MINUTE};
use torale_testkit::events::{EventBuilder, event_about, execution, schedule_created, task, user};
use torale_testkit::generator::Generator;
use torale_testkit::stack::NOW;
use torale_testkit::{parts, rebuild, switches};
use uuid::Uuid;

/// The stored items of one moment.
type Moment = BTreeMap<Key, Item>;

/// Reads a generation that changes meanwhile.
struct ChangingReader<F> {
    moments: Vec<Moment>,
    /// The moment that a call reads, from the number of the round trip, that of the call in it, and whether it is
    /// strongly consistent.
    read_at: F,
    trips: Mutex<usize>,
}

impl<F: Fn(usize, usize, bool) -> usize + Sync> ChangingReader<F> {
    /// One moment after each event that follows the first ones.
    fn of(first: &[EventBuilder], then: &[EventBuilder], read_at: F) -> Self {
        let mut messages: Vec<String> = first.iter().map(EventBuilder::message).collect();
        let mut moments = vec![moment(&messages)];
        for event in then {
            messages.push(event.message());
            moments.push(moment(&messages));
        }
        Self { moments, read_at, trips: Mutex::new(0) }
    }

    /// The answer of a list, as JSON.
    async fn answer(&self, list: &str, query: &str) -> Value {
        *self.trips.lock().unwrap() = 0;
        let TemporalUi { url, namespace } = parts::temporal_ui();
        let ui = TemporalUi { url, namespace };
        match list {
            "tasks" => json(tasks::answer(self, &parameters(query), NOW).await),
            "users" => json(users::answer(self, &parameters(query), NOW).await),
            "queries" => json(queries::answer(self, &parameters(query)).await),
            "schedules" => json(schedules::answer(self, &parameters(query), NOW, &ui).await),
            "executions" => json(executions::answer(self, &parameters(query), NOW).await),
            "errors" => json(errors::answer(self, &parameters(query), NOW).await),
            "popular_queries" => json(stats::answer(self, NOW).await),
            other => panic!("no list {other}"),
        }
    }
}

fn moment(messages: &[String]) -> Moment {
    rebuild::built(messages, Some(NOW)).into_iter().map(|item| (item.key.clone(), item)).collect()
}

fn parameters<P: QueryParameters>(query: &str) -> P {
    let mut reader = ParameterReader::parse(query);
    let parameters = P::read(&mut reader);
    reader.finish(parameters).unwrap()
}

fn json<A: serde::Serialize>(answer: Result<A, Corrupt>) -> Value {
    serde_json::to_value(answer.unwrap()).unwrap()
}

impl<F: Fn(usize, usize, bool) -> usize + Sync> Reader for ChangingReader<F> {
    type Error = Corrupt;

    fn lanes(&self) -> Lanes {
        Lanes::DEFAULT
    }

    async fn read(&self, plan: ReadPlan) -> Result<ReadResult, Corrupt> {
        let trip = {
            let mut trips = self.trips.lock().unwrap();
            *trips += 1;
            *trips - 1
        };
        let ReadPlan { gets, selected, ranges, consistent, .. } = plan;
        let moment = |call| &self.moments[(self.read_at)(trip, call, consistent)];
        let ranges: Vec<_> =
            ranges.iter().enumerate().map(|(call, range)| items_in(moment(call), range)).collect();
        // The items of one call are not read at one moment either.
        let keys = gets.into_iter().chain(selected.into_iter().flat_map(|(keys, _)| keys)).enumerate();
        let items = keys.filter_map(|(n, key)| moment(ranges.len() + n).get(&key).cloned());
        Ok(ReadResult { items: items.map(|item| (item.key.clone(), item)).collect(), ranges })
    }
}

fn items_in(moment: &Moment, range: &Range) -> Vec<Item> {
    // DynamoDB refuses it.
    assert!(range.to.is_none() || range.from <= range.to, "a range that ends before it begins: {range:?}");
    let lies_in = |key: &Key| {
        key.pk == range.pk
            && range.from.as_ref().is_none_or(|from| key.sk >= *from)
            && range.to.as_ref().is_none_or(|to| key.sk <= *to)
    };
    let first = Key::stored(range.pk.clone(), range.from.clone().unwrap_or_default());
    let partition = moment.range(first..).take_while(|(key, _)| key.pk == range.pk);
    let mut items: Vec<Item> =
        partition.filter(|(key, _)| lies_in(key)).map(|(_, item)| item.clone()).collect();
    if range.descending {
        items.reverse();
    }
    items.truncate(range.limit.unwrap_or(usize::MAX));
    items
}

fn id(kind: u64, number: u64) -> String {
    Uuid::from_u128((u128::from(kind) << 64) + u128::from(number)).to_string()
}

const USER: u64 = 1;
const TASK: u64 = 2;
const EXECUTION: u64 = 3;

/// How many users, tasks with a schedule and executions there are: more than are read without a descent.
const COUNT: u64 = 260;
/// A message that is too long for a row, which then carries the owners alone.
const LONG_MESSAGE: usize = 300;

fn person(n: u64) -> EventBuilder {
    let id = id(USER, n);
    let created = user(&id).created().with("clerk_user_id", format!("user_{n}"));
    created
        .with("email", format!("u{n}@example.com"))
        .at(NOW.plus(-20 * DAY + i64::try_from(n).unwrap() * HOUR))
}

/// Every fifth is paused.
fn search(n: u64) -> EventBuilder {
    let created = task(&id(TASK, n)).created(&id(USER, n), &format!("query {n}"));
    let state = if n.is_multiple_of(5) { "paused" } else { "active" };
    created.with("state", state).at(NOW.plus(-19 * DAY + i64::try_from(n).unwrap() * HOUR))
}

fn schedule(n: u64) -> EventBuilder {
    let created = schedule_created(&format!("s{n}"), &id(TASK, n), &id(USER, n), "0 9 * * *");
    created.at(NOW.plus(-19 * DAY + i64::try_from(n).unwrap() * HOUR + MINUTE))
}

fn schedule_event(id: &str, kind: &'static str) -> EventBuilder {
    event_about(id, kind, serde_json::json!({ "schedule_id": id })).id(kind).at(NOW.plus(-MINUTE))
}

fn run(n: u64) -> torale_testkit::events::ExecutionEvents {
    let at = NOW.plus(-DAY + i64::try_from(n).unwrap() * 5 * MINUTE);
    execution(&id(EXECUTION, n), &id(TASK, n), &id(USER, n)).started_at(at)
}

fn failed(n: u64) -> EventBuilder {
    run(n).failed("TimeoutError", &"x".repeat(LONG_MESSAGE))
}

/// Of the executions one half has failed, the others run.
fn everything() -> Vec<EventBuilder> {
    let of_one = |n: u64| {
        let execution = if n.is_multiple_of(2) { failed(n) } else { run(n).started() };
        [person(n), search(n), schedule(n), execution]
    };
    (0..COUNT).flat_map(of_one).collect()
}

fn rows<'a>(list: &str, answer: &'a Value) -> &'a [Value] {
    answer[list].as_array().unwrap()
}

fn ids<'a>(list: &str, answer: &'a Value) -> Vec<&'a str> {
    let name = match list {
        "queries" => "search_query",
        "schedules" => "schedule_id",
        "errors" => "execution_id",
        _entities => "id",
    };
    rows(list, answer).iter().map(|row| row[name].as_str().unwrap()).collect()
}

/// The active tasks, newest first.
fn active() -> Vec<u64> {
    (0..COUNT).rev().filter(|n| !n.is_multiple_of(5)).collect()
}

/// On which of the days before the present a task was created.
fn day(n: u64) -> i64 {
    NOW.plus(-19 * DAY + i64::try_from(n).unwrap() * HOUR).day().0
}

#[tokio::test]
async fn page_whose_day_has_fewer_rows_by_then_begins_on_the_day_before() {
    let active = active();
    let last = (160..active.len()).find(|row| day(active[*row]) > day(active[*row + 1])).unwrap();
    let other = active.iter().find(|n| day(**n) == day(active[last])).unwrap();
    let paused = task(&id(TASK, *other)).paused().at(NOW.plus(-MINUTE));
    let reader = ChangingReader::of(&everything(), &[paused], |trip, _, _| usize::from(trip > 0));

    let answer = reader.answer("tasks", &format!("state=active&limit=1&page={}", last + 1)).await;

    assert_eq!(ids("tasks", &answer), [id(TASK, active[last + 1])]);
}

#[tokio::test]
async fn page_of_queries_whose_number_of_tasks_has_fewer_begins_with_the_next_number() {
    let second = |n| task(&id(TASK, COUNT + n)).created(&id(USER, n), &format!("query {n}"));
    let twice = (0..200).map(|n| second(n).at(NOW.plus(-DAY)));
    let first: Vec<EventBuilder> = everything().into_iter().chain(twice).collect();
    let deleted = task(&id(TASK, COUNT)).deleted().at(NOW.plus(-MINUTE));
    let reader = ChangingReader::of(&first, &[deleted], |trip, _, _| usize::from(trip > 0));

    // The last query with two tasks.
    let answer = reader.answer("queries", "limit=1&page=200").await;

    assert_eq!(rows("queries", &answer)[0]["total_tasks"], 1);
}

#[tokio::test]
async fn user_who_is_deactivated_between_two_reads_of_one_round_trip_is_on_the_page_once() {
    let deactivated = user(&id(USER, COUNT - 1)).deactivated().at(NOW.plus(-MINUTE));
    let lanes = usize::try_from(Lanes::DEFAULT.count()).unwrap();
    let reader = ChangingReader::of(&everything(), &[deactivated], move |trip, call, _| {
        usize::from(trip > 0 || call >= lanes)
    });

    let answer = reader.answer("users", "limit=3").await;

    let newest: Vec<String> = (1..=3).map(|n| id(USER, COUNT - n)).collect();
    assert_eq!(ids("users", &answer), newest);
    assert_eq!(answer["users"][0]["state"], "deactivated");
}

#[tokio::test]
async fn user_who_is_no_longer_wanted_when_they_are_read_is_left_out() {
    let newest = id(USER, COUNT - 1);
    let deactivated = user(&newest).deactivated().at(NOW.plus(-MINUTE));
    let renamed = user(&newest).updated().with("email", "other@example.com").at(NOW.plus(-MINUTE));

    // The emails of 250 to 259 and that of 25 begin with u25.
    let cases: [(_, _, &[u64]); 2] = [
        (deactivated, "active_only=true&limit=3", &[COUNT - 2, COUNT - 3]),
        (renamed, "q=u25&limit=100", &[250, 251, 252, 253, 254, 255, 256, 257, 258, 25]),
    ];
    for (change, query, rest) in cases {
        let reader = ChangingReader::of(&everything(), &[change], |trip, _, _| usize::from(trip > 0));
        let answer = reader.answer("users", query).await;
        let others: Vec<String> = rest.iter().map(|n| id(USER, *n)).collect();
        assert_eq!(ids("users", &answer), others, "{query}");
    }
}

/// The list says that it is paused; a replica of the task itself still says that it is active.
#[tokio::test]
async fn task_whose_replica_lags_behind_the_list_is_read_again() {
    let newest = id(TASK, COUNT - 1);
    let paused = task(&newest).paused().at(NOW.plus(-MINUTE));
    let reader = ChangingReader::of(&everything(), &[paused], |trip, _, is_consistent| {
        usize::from(trip == 0 || is_consistent)
    });

    let answer = reader.answer("tasks", "state=paused&limit=3").await;

    assert_eq!((ids("tasks", &answer)[0], &answer["tasks"][0]["state"]), (newest.as_str(), &"paused".into()));
}

#[tokio::test]
async fn task_that_is_no_longer_wanted_when_it_is_read_is_left_out() {
    let newest = id(TASK, COUNT - 1);
    let paused = task(&newest).paused().at(NOW.plus(-MINUTE));
    let updated = task(&newest).updated().with("search_query", "other").at(NOW.plus(-MINUTE));
    let others: Vec<String> = active()[1..3].iter().map(|n| id(TASK, *n)).collect();

    for (change, query, rest) in [
        (paused, "state=active&limit=3".to_owned(), others.as_slice()),
        (updated, format!("search_query=query%20{}", COUNT - 1), &[]),
    ] {
        let reader = ChangingReader::of(&everything(), &[change], |trip, _, _| usize::from(trip > 0));
        let answer = reader.answer("tasks", &query).await;
        assert_eq!(ids("tasks", &answer), rest, "{query}");
    }
}

/// The newest execution of a task has a row in the task's partition, and a replica does not have it yet.
#[tokio::test]
async fn last_execution_that_a_replica_does_not_know_yet_is_read_again() {
    let started = execution(&id(EXECUTION, COUNT), &id(TASK, COUNT - 1), &id(USER, 1)).started();
    let reader = ChangingReader::of(&everything(), &[started], |trip, _, is_consistent| {
        usize::from(trip < 2 || is_consistent)
    });

    let answer = reader.answer("tasks", "limit=1").await;

    assert_eq!(answer["tasks"][0]["last_execution"]["id"], id(EXECUTION, COUNT));
}

/// The row has the owners alone, as its message is long; a replica of the execution still says that it runs.
#[tokio::test]
async fn failure_that_a_replica_does_not_know_yet_is_read_again() {
    let failed = run(COUNT - 1).failed("TimeoutError", &"x".repeat(LONG_MESSAGE));
    let reader = ChangingReader::of(&everything(), &[failed], |trip, _, is_consistent| {
        usize::from(trip == 0 || is_consistent)
    });

    let answer = reader.answer("errors", "limit=3").await;

    assert_eq!(ids("errors", &answer)[0], id(EXECUTION, COUNT - 1));
}

/// Of an error of another type the row has the owners alone; a replica still says that it was of the first type.
#[tokio::test]
async fn failure_whose_type_a_replica_does_not_know_yet_is_read_again() {
    let again = run(COUNT - 2).failed("OtherError", &"x".repeat(LONG_MESSAGE));
    let again = again.id("again").at(NOW.plus(-MINUTE));
    let reader = ChangingReader::of(&everything(), &[again], |trip, _, is_consistent| {
        usize::from(trip == 0 || is_consistent)
    });

    let answer = reader.answer("errors", "error_type=OtherError").await;

    assert_eq!(ids("errors", &answer), [id(EXECUTION, COUNT - 2)]);
}

/// The row of a schedule with a long id does not carry it.
#[tokio::test]
async fn schedule_that_its_row_does_not_carry_is_listed_as_it_is() {
    let long = "s".repeat(200);
    let created = schedule_created(&long, &id(TASK, 1), &id(USER, 1), "0 9 * * *");
    let created = created.id("created").at(NOW.plus(-HOUR));
    let first: Vec<EventBuilder> = everything().into_iter().chain([created]).collect();
    let paused = schedule_event(&long, "temporal.schedule.paused");
    let resumed = schedule_event(&long, "temporal.schedule.unpaused").at(NOW.plus(-MINUTE / 2));
    let deleted = schedule_event(&long, "temporal.schedule.deleted");
    let newest = async |then: &[EventBuilder], read_at: fn(usize, usize, bool) -> usize, query| {
        let answer = ChangingReader::of(&first, then, read_at).answer("schedules", query).await;
        ids("schedules", &answer)[0] == long
    };

    assert!(newest(&[], |_, _, _| 0, "limit=3").await);
    // It is paused or deleted after the list was read.
    assert!(!newest(std::slice::from_ref(&paused), |trip, _, _| usize::from(trip > 0), "limit=3").await);
    assert!(!newest(&[deleted], |trip, _, _| usize::from(trip > 0), "include_paused=true&limit=3").await);
    // It was resumed before the list was read, and a replica does not know it.
    let lags = |trip, _, is_consistent| if trip == 0 || is_consistent { 2 } else { 1 };
    assert!(newest(&[paused, resumed], lags, "limit=3").await);
}

/// A query of which the list says that it is there, and a replica does not.
#[tokio::test]
async fn query_that_a_replica_does_not_know_yet_is_read_again() {
    // A row carries 512 bytes at most.
    let long = "ü".repeat(300);
    let twice =
        [COUNT, COUNT + 1].map(|n| task(&id(TASK, n)).created(&id(USER, 1), &long).at(NOW.plus(-MINUTE)));
    let lags = |trip, _, is_consistent| if trip == 0 || is_consistent { 2 } else { 0 };
    let reader = ChangingReader::of(&everything(), &twice, lags);

    let queries = reader.answer("queries", "limit=1").await;
    let popular = reader.answer("popular_queries", "").await;

    assert_eq!(ids("queries", &queries), [long.as_str()]);
    assert_eq!(popular["popular_queries"][0]["query"], long);
}

/// How many neighbours change, and how far from them the pages begin.
const NEAR: u64 = 20;

/// An event that changes what some list shows of one of a few neighbours.
fn change(generator: &mut Generator, n: u64, neighbours: u64) -> EventBuilder {
    let one = neighbours + generator.below(NEAR);
    let (of_user, of_task) = (id(USER, one), id(TASK, one));
    let changed = match generator.below(9) {
        0 => user(&of_user).deactivated(),
        1 => user(&of_user).reactivated(),
        2 => task(&of_task).paused(),
        3 => task(&of_task).resumed(),
        4 => task(&of_task).deleted(),
        5 => task(&of_task).updated().with("search_query", format!("query {}", generator.below(COUNT))),
        6 => task(&id(TASK, COUNT + n)).created(&of_user, &format!("query {one}")),
        7 => return failed(one),
        _other => return run(one).succeeded(true),
    };
    changed.at(NOW.plus(-HOUR + i64::try_from(n).unwrap() * MINUTE))
}

/// A list with a filter and a page that begins near some neighbours.
fn request(generator: &mut Generator, neighbours: u64) -> (&'static str, String) {
    // Of a hundred, so many are in the list.
    let one = neighbours + generator.below(NEAR);
    let (list, filter, percent) = match generator.below(11) {
        0 => ("tasks", String::new(), 100),
        1 => ("tasks", "state=active&".to_owned(), 80),
        2 => ("tasks", "state=paused&".to_owned(), 20),
        3 => ("users", String::new(), 100),
        4 => ("users", "active_only=true&".to_owned(), 100),
        5 => ("queries", String::new(), 100),
        6 => ("schedules", "include_paused=true&".to_owned(), 100),
        7 => ("executions", format!("status={}&", generator.pick(&["running", "failed"])), 50),
        8 => ("executions", String::new(), 100),
        9 => ("tasks", format!("search_query=query%20{one}&"), 0),
        _other => ("errors", String::new(), 50),
    };
    let newer = (COUNT - neighbours) * percent / 100;
    let (limit, offset) = (8 + generator.below(20), newer.saturating_sub(generator.below(NEAR)));
    (list, format!("{filter}limit={limit}&page={}", offset / limit + 1))
}

/// Cases of the ordinary run; `TORALE_CASES` asks for more.
fn cases() -> u64 {
    switches::number("TORALE_CASES", 12)
}

const CHANGES: u64 = 4;
const REQUESTS: u64 = 300;

/// Whatever a page sees of some changes: nothing is on it twice or against its filter, and it lacks no more rows than
/// changed.
#[tokio::test]
async fn pages_are_whole_but_for_what_changes() {
    let first = everything();
    for seed in 0..cases() {
        let mut generator = Generator::new(seed);
        let neighbours = generator.below(COUNT - NEAR);
        let changes: Vec<EventBuilder> =
            (0..CHANGES).map(|n| change(&mut generator, n, neighbours)).collect();
        let random = Mutex::new(Generator::new(seed));
        let latest = Mutex::new(0);
        let reader = ChangingReader::of(&first, &changes, |trip, call, is_consistent| {
            let (mut random, mut latest) = (random.lock().unwrap(), latest.lock().unwrap());
            *latest = if (trip, call) == (0, 0) { 0 } else { *latest };
            *latest = CHANGES.min(*latest + u64::from(random.chance(20)));
            let lag = if is_consistent { 0 } else { random.below(*latest + 1) };
            usize::try_from(*latest - lag).unwrap()
        });
        for _ in 0..REQUESTS {
            let (list, query) = request(&mut generator, neighbours);
            let answer = reader.answer(list, &query).await;
            check(list, &query, &answer)
                .unwrap_or_else(|fault| panic!("seed {seed}, {list}?{query}: {fault}"));
        }
    }
}

fn check(list: &str, query: &str, answer: &Value) -> Result<(), String> {
    let number = |name: &str| {
        let of = |pair: &str| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok();
        query.split('&').find_map(of).unwrap()
    };
    let (limit, page) = (number("limit"), number("page"));
    let ids = ids(list, answer);
    let unique: BTreeSet<&&str> = ids.iter().collect();
    if unique.len() < ids.len() {
        return Err(format!("a row is there twice: {ids:?}"));
    }
    let total = usize::try_from(answer["total"].as_u64().unwrap()).unwrap();
    let expected = total.saturating_sub((page - 1) * limit).min(limit);
    if ids.len() + usize::try_from(CHANGES).unwrap() < expected || ids.len() > limit {
        return Err(format!("{} rows of {expected}, in all {total}", ids.len()));
    }
    let wanted = |row: &&Value| match query.split('&').next() {
        Some("active_only=true") => row["state"] == "active",
        Some(filter) if filter.starts_with("state=") => {
            filter == format!("state={}", row["state"].as_str().unwrap())
        }
        Some(filter) if filter.starts_with("search_query=") => {
            filter.replace("%20", " ") == format!("search_query={}", row["search_query"].as_str().unwrap())
        }
        Some(filter) if filter.starts_with("status=") => {
            filter == format!("status={}", row["status"].as_str().unwrap())
        }
        _no_filter => true,
    };
    match rows(list, answer).iter().find(|row| !wanted(row)) {
        Some(row) => Err(format!("a row against the filter: {row}")),
        None => Ok(()),
    }
}
