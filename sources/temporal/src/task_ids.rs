//! The task of a run or a schedule, by its ids or by the arguments of what the schedule starts.

use serde_json::Value;
use temporalio_common::protos::temporal::api::common::v1::Payload;
use torale_domain::deactivation::commands::SchedulePattern;
use torale_domain::values::ids::{TaskId, UserId};
use torale_domain::values::json;

/// How ids of schedules and workflows name their task.
#[derive(Debug)]
pub struct TaskIds(Vec<SchedulePattern>);

/// What the arguments of a schedule's workflow name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamedByArguments {
    /// The field `task_id` of an argument that is a JSON object.
    pub task: Option<TaskId>,
    /// The field `user_id` of one.
    pub user: Option<UserId>,
}

impl TaskIds {
    /// The platform's two names, `schedule-<task id>` and `task-<task id>`, and the one of the configuration.
    pub fn new(configured: SchedulePattern) -> Self {
        let known = ["schedule-{task_id}", "task-{task_id}"];
        Self(known.into_iter().filter_map(SchedulePattern::parse).chain([configured]).collect())
    }

    /// The task that an id names: of a schedule, or of a workflow, which may go on with a hyphen and the time of its
    /// run.
    pub fn of(&self, id: &str) -> Option<TaskId> {
        self.0.iter().find_map(|pattern| pattern.task_of(id))
    }
}

/// What the arguments name. Arguments that are no JSON (compressed, encrypted) name nothing.
pub fn named_by(arguments: &[Payload]) -> NamedByArguments {
    let objects: Vec<Value> =
        arguments.iter().filter_map(|payload| json::parse_bytes(&payload.data).ok()).collect();
    let text = |name: &str| objects.iter().find_map(|object| object.get(name)?.as_str());
    NamedByArguments {
        task: text("task_id").and_then(TaskId::parse),
        user: text("user_id").and_then(UserId::parse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use torale_domain::values::time::Timestamp;

    const TASK: &str = "22222222-0000-4000-8000-000000000001";

    fn ids() -> TaskIds {
        TaskIds::new(SchedulePattern::parse("search/{task_id}/cron").unwrap())
    }

    fn payload(json: &str) -> Payload {
        Payload { data: json.as_bytes().to_vec(), ..Payload::default() }
    }

    #[test]
    fn ids_of_schedules_and_of_their_runs_name_the_task() {
        let run = Timestamp::EARLIEST;
        for id in [
            "schedule-T",
            "task-T",
            "search/T/cron",
            &format!("schedule-T-{run}"),
            &format!("search/T/cron-{run}"),
        ] {
            assert_eq!(ids().of(&id.replace('T', TASK)), TaskId::parse(TASK), "{id}");
        }
    }

    #[test]
    fn ids_of_anything_else_name_no_task() {
        let other = format!("task-{TASK}0");
        for id in ["", "schedule-", "user-T", "xtask-T", "task-T_x", TASK, &other, "task-é", "search/T"] {
            assert_eq!(ids().of(&id.replace('T', TASK)), None, "{id}");
        }
    }

    #[test]
    fn arguments_name_the_task_and_its_user_in_json_objects() {
        let user = "11111111-0000-4000-8000-000000000001";
        let named =
            named_by(&[payload("7"), payload(&format!(r#"{{"task_id":"{TASK}","user_id":"{user}"}}"#))]);
        assert_eq!(named, NamedByArguments { task: TaskId::parse(TASK), user: UserId::parse(user) });
        // What the JSON library reads as the value in its text is an object like any other.
        let unfolded = format!(r#"{{"$serde_json::private::RawValue":"{{\"task_id\":\"{TASK}\"}}"}}"#);
        assert_eq!(named_by(&[payload(&unfolded)]), NamedByArguments::default());
        let nothing = [payload("\u{1}\u{2}"), payload(r#"{"task_id":7}"#), payload(&format!("\"{TASK}\""))];
        assert_eq!(named_by(&nothing), NamedByArguments::default());
    }
}
