//! What a deactivation does to the schedules of tasks, and what it leaves alone.

use super::{USER, deactivate, received, relay, task_id, user_with};
use serde_json::{Value, json};
use stats::Stats;
use std::collections::BTreeSet;
use temporal_schedules::Schedules;
use torale_domain::deactivation::commands::{Command, ReceivedCommand};
use torale_domain::values::ids::ScheduleId;
use torale_domain::values::time::{DAY, MINUTE, Timestamp};
use torale_testkit::events::{EventBuilder, event_about, schedule_created, task};
use torale_testkit::request::get;
use torale_testkit::scenario::Scenario;
use torale_testkit::stack::NOW;

fn schedule(n: u128) -> String {
    format!("schedule-{n}")
}

fn created(n: u128, of: u128) -> EventBuilder {
    schedule_created(&schedule(n), &task_id(of), USER, "0 9 * * *").at(NOW.plus(-9 * DAY))
}

fn about(n: u128, kind: &'static str) -> EventBuilder {
    event_about(&schedule(n), kind, json!({ "schedule_id": schedule(n) }))
}

fn completed(n: u128) -> EventBuilder {
    event_about(&task_id(n), "task.completed", json!({ "task_id": task_id(n) })).at(NOW.plus(-DAY))
}

/// The last command for a target that was sent.
fn command_for(scenario: &Scenario, target: &str) -> ReceivedCommand {
    let all = received(&scenario.commands).into_iter();
    all.filter(|one| one.command.target() == target).max_by_key(|one| one.at).unwrap()
}

/// A command is carried out: the schedules that it names are paused, and the events that say so are received.
async fn carry_out(scenario: &Scenario, command: &ReceivedCommand, at: Timestamp) {
    let Command::PauseTask { schedules, .. } = &command.command else { panic!("{command:?}") };
    let paused: Vec<ScheduleId> = schedules.ids.clone();
    scenario.receives(command.confirming_events(&paused, at)).await;
}

async fn schedules(scenario: &Scenario) -> Value {
    scenario.when(get::<Schedules>("")).await.with_status(200).json()["schedules"].clone()
}

async fn tasks(scenario: &Scenario) -> Value {
    scenario.when(get::<Stats>("")).await.with_status(200).json()["tasks"].clone()
}

/// The platform's clock is ahead: the schedule's unpausing must not win against the pause that undoes it.
#[tokio::test]
async fn deactivate_user_pauses_a_schedule_that_was_unpaused_ahead_of_the_clock() {
    let scenario = user_with(1, 0).await;
    let ahead = NOW.plus(10 * MINUTE);
    scenario.receives((created(1, 0), about(1, "temporal.schedule.unpaused").at(ahead))).await;

    deactivate(&scenario, &scenario.commands).await;

    let command = command_for(&scenario, &task_id(0));
    assert!(command.at > ahead, "{}", command.at);
    carry_out(&scenario, &command, NOW).await;
    assert_eq!(schedules(&scenario).await, json!([]));
}

/// The same of a task that is resumed late, and of a schedule that was created ahead.
#[tokio::test]
async fn deactivate_user_pauses_a_schedule_that_was_created_ahead_of_the_clock_with_its_late_task() {
    let scenario = user_with(1, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    let ahead = NOW.plus(10 * MINUTE);
    scenario.receives((created(1, 0).at(ahead), task(&task_id(0)).resumed())).await;

    relay(&scenario, &scenario.commands).await;

    let command = command_for(&scenario, &task_id(0));
    assert!(command.at > ahead, "{}", command.at);
    carry_out(&scenario, &command, NOW).await;
    assert_eq!(schedules(&scenario).await, json!([]));
}

#[tokio::test]
async fn deactivate_user_leaves_a_task_completed_whose_schedule_it_pauses() {
    let scenario = user_with(1, 0).await;
    scenario.receives((created(1, 0), completed(0))).await;
    let before = tasks(&scenario).await;

    deactivate(&scenario, &scenario.commands).await;
    carry_out(&scenario, &command_for(&scenario, &schedule(1)), NOW).await;

    assert_eq!(schedules(&scenario).await, json!([]), "it does not fire any more");
    assert_eq!(tasks(&scenario).await, before);
}

#[tokio::test]
async fn late_schedule_of_a_completed_task_is_paused_and_the_task_stays_completed() {
    let scenario = user_with(1, 0).await;
    scenario.receives(completed(0)).await;
    deactivate(&scenario, &scenario.commands).await;
    let before = tasks(&scenario).await;
    scenario.receives(created(1, 0)).await;

    relay(&scenario, &scenario.commands).await;
    carry_out(&scenario, &command_for(&scenario, &schedule(1)), NOW).await;

    assert_eq!((schedules(&scenario).await, tasks(&scenario).await), (json!([]), before));
}

/// Whether the command for a task names schedules, and says that all there were are deleted.
fn known(scenario: &Scenario, n: u128) -> (usize, bool) {
    match command_for(scenario, &task_id(n)).command {
        Command::PauseTask { schedules, .. } => (schedules.ids.len(), schedules.all_deleted),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn command_for_a_task_says_whether_its_schedules_are_deleted_or_unknown() {
    let scenario = user_with(3, 0).await;
    let deleted = [about(2, "temporal.schedule.deleted"), about(3, "temporal.schedule.deleted")];
    scenario.receives(vec![created(1, 0), created(2, 0), created(3, 1)]).await;
    scenario.receives(deleted.to_vec()).await;

    deactivate(&scenario, &scenario.commands).await;

    assert_eq!([0, 1, 2].map(|n| known(&scenario, n)), [(1, false), (0, true), (0, false)]);

    // And by the late rule.
    let resumed = [0, 1, 2].map(|n| task(&task_id(n)).resumed().at(NOW.plus(MINUTE)));
    scenario.receives(resumed.to_vec()).await;
    relay(&scenario, &scenario.commands).await;
    assert_eq!([0, 1, 2].map(|n| known(&scenario, n)), [(1, false), (0, true), (0, false)]);
}

/// A schedule of task 0 that is called by the bare id of a task.
fn created_as_task(called: u128) -> EventBuilder {
    schedule_created(&task_id(called), &task_id(0), USER, "0 9 * * *")
}

#[tokio::test]
async fn late_schedule_called_like_its_completed_task_is_paused_and_the_task_stays_completed() {
    let scenario = user_with(1, 0).await;
    scenario.receives(completed(0)).await;
    deactivate(&scenario, &scenario.commands).await;
    let before = tasks(&scenario).await;
    scenario.receives(created_as_task(0)).await;

    relay(&scenario, &scenario.commands).await;
    carry_out(&scenario, &command_for(&scenario, &task_id(0)), NOW.plus(MINUTE)).await;

    assert_eq!((schedules(&scenario).await, tasks(&scenario).await), (json!([]), before));
}

/// The schedule and the task become active at the same moment, so nothing but the kind of their targets differs.
#[tokio::test]
async fn late_schedule_called_like_another_late_task_does_not_take_the_place_of_its_command() {
    let scenario = user_with(2, 0).await;
    scenario.receives((completed(0), completed(1))).await;
    deactivate(&scenario, &scenario.commands).await;
    let mut paused = tasks(&scenario).await;
    paused["paused"] = json!(paused["paused"].as_u64().unwrap() + 1);
    let at = NOW.plus(MINUTE);
    scenario.receives((created_as_task(1).at(at), task(&task_id(1)).resumed().at(at))).await;

    relay(&scenario, &scenario.commands).await;

    let sent: Vec<_> =
        received(&scenario.commands).into_iter().filter(|one| one.command.target() == task_id(1)).collect();
    let ids: BTreeSet<_> = sent.iter().map(|one| one.id).collect();
    assert_eq!((sent.len(), ids.len()), (2, 2), "{sent:?}");
    for command in &sent {
        carry_out(&scenario, command, at).await;
    }
    assert_eq!((schedules(&scenario).await, tasks(&scenario).await), (json!([]), paused));
}
