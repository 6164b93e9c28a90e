use super::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::events::{self, EventType, ReceivedMessage};
use torale_domain::values::time::Timestamp;

fn plan() -> SeedPlan {
    let day: NaiveDate = "2024-02-29".parse().unwrap();
    let until = day.and_hms_opt(15, 30, 0).unwrap().and_utc();
    SeedPlan::of_day(day, until, SeedOptions { seed: 1, days: 30, executions: 600 })
}

fn parsed(bodies: &[String]) -> Vec<Value> {
    bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn every_event_is_valid() {
    let plan = plan();
    let received_at = Timestamp::from_millis(plan.until.timestamp_millis());
    for body in history(plan).iter().chain(&admin("sk_test")) {
        let received = events::parse(body, Some(received_at)).unwrap();
        assert!(matches!(received, ReceivedMessage::Known(_)), "{body}");
        let event: Value = serde_json::from_str(body).unwrap();
        assert!(time(&event["time"]) <= plan.until, "{event}");
        assert!(!event["subject"].as_str().unwrap().is_empty(), "{event}");
    }
}

#[test]
fn every_event_type_occurs_and_ids_are_unique() {
    let events = parsed(&history(SeedPlan { executions: 3_000, ..plan() }));
    let kinds: BTreeSet<_> = events.iter().map(|event| event["type"].to_string()).collect();
    assert_eq!(kinds.len(), EventType::ALL.len(), "{kinds:?}");
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn same_plan_gives_the_same_history() {
    assert_eq!(history(plan()), history(plan()));
    assert_ne!(history(plan()), history(SeedPlan { seed: 2, ..plan() }));
}

#[test]
fn later_on_the_same_day_events_are_only_added() {
    let morning = history(SeedPlan { until: plan().until - Duration::hours(6), ..plan() });
    let evening = history(plan());
    assert!(morning.len() < evening.len());
    assert_eq!(evening.get(..morning.len()), Some(&morning[..]));
}

#[test]
fn executions_begin_after_their_task_and_end_after_they_began() {
    let events = parsed(&history(plan()));
    let mut created = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "ai.torale.task.created") {
        created.insert(event["data"]["task_id"].to_string(), time(&event["time"]));
    }
    let mut outcomes = [0, 0];
    for event in events {
        let (kind, data) = (event["type"].as_str().unwrap(), &event["data"]);
        if kind.starts_with("ai.torale.execution.") {
            assert!(time(&data["started_at"]) >= created[&data["task_id"].to_string()], "{event}");
            assert!(
                data["completed_at"].is_null() || time(&data["completed_at"]) >= time(&data["started_at"])
            );
        }
        outcomes[0] += i32::from(kind.ends_with("execution.succeeded"));
        outcomes[1] += i32::from(kind.ends_with("execution.failed"));
    }
    let [succeeded, failed] = outcomes;
    assert!(failed * 50 > succeeded && failed * 10 < succeeded, "{succeeded} {failed}");
}

#[test]
fn users_are_known_to_the_platform_or_the_provider_first_or_to_one_of_them_alone() {
    let events = parsed(&history(SeedPlan { executions: 3_000, ..plan() }));
    let (mut users, mut identities, mut external) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for event in &events {
        let (clerk, at) = (event["data"]["clerk_user_id"].to_string(), time(&event["time"]));
        match event["type"].as_str().unwrap() {
            "ai.torale.user.created" => {
                users.insert(clerk, at);
            }
            "ai.torale.identity.created" => {
                external.extend(event["data"]["external_id"].as_str().map(str::to_lowercase));
                identities.insert(clerk, at);
            }
            _other_types => {}
        }
    }
    let both = |first: &BTreeMap<String, DateTime<Utc>>, then: &BTreeMap<String, DateTime<Utc>>| {
        first.iter().filter(|(clerk, at)| then.get(*clerk).is_some_and(|later| later > *at)).count()
    };
    assert!(both(&identities, &users) > 20, "the webhook first");
    assert!(both(&users, &identities) > 10, "the platform first");
    assert!(users.keys().filter(|clerk| !identities.contains_key(*clerk)).count() > 10, "the platform alone");
    let alone = identities.keys().filter(|clerk| !users.contains_key(*clerk)).count();
    assert!(alone > external.len() && external.len() > 5, "stand-ins, and identities with an external id");
    let created = events.iter().filter(|event| event["type"] == "ai.torale.user.created");
    let ids: BTreeSet<_> =
        created.map(|event| event["data"]["user_id"].as_str().unwrap().to_owned()).collect();
    assert!(external.is_subset(&ids), "an external id is a user's of the platform");
}

#[test]
fn schedules_are_called_as_the_platform_calls_them() {
    let events = parsed(&history(plan()));
    let created = events.iter().filter(|event| event["type"] == "ai.torale.temporal.schedule.created");
    let mut schedules = 0;
    for event in created {
        let (schedule, task) = (&event["data"]["schedule_id"], event["data"]["task_id"].as_str().unwrap());
        assert_eq!(schedule, &format!("schedule-{task}"));
        schedules += 1;
    }
    assert!(schedules > 0);
}

#[test]
fn admin_key_appears_only_as_its_hash() {
    let events = admin("sk_test_0123456789");
    assert_eq!(events, admin("sk_test_0123456789"));
    assert!(events.iter().all(|event| !event.contains("sk_test_0123456789")), "{events:?}");
    let key = &parsed(&events)[1]["data"];
    // printf %s sk_test_0123456789 | sha256sum
    assert_eq!(key["key_hash"], "0512eb08dedcf58bf3a53ab04a18b02078e5df0ace9dee6b8bf6c085959fac5d");
    assert_eq!(parsed(&events)[0]["data"]["role"], "admin");
}
