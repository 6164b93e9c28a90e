//! The answers about one thing, with who says so.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::ModelTemporalUi;
use crate::answer::{FinishedTotals, is_live};
use crate::cron;
use crate::facts::{ModelExecution, ModelKeyListing, ModelOutcome};
use crate::fold::{ModelSchedule, ModelScheduleCreated, ModelTask, World};
use crate::history::history;
use crate::lists::{state_of, status_of};
use crate::time::show;

impl World {
    pub(crate) fn execution(&self, id: &str) -> Option<Value> {
        let execution = self.executions.get(id)?;
        let mut body = self.execution_row(id, execution);
        body["user_id"] = json!(execution.user_id);
        // "(these four `null` unless failed)"
        let failure = match &execution.outcome {
            ModelOutcome::Failed { error, .. } => Some(error),
            ModelOutcome::Running | ModelOutcome::Success { .. } => None,
        };
        body["error_type"] = json!(failure.map(|error| &error.error_type));
        body["error_message"] = json!(failure.map(|error| &error.error_message));
        body["retry_count"] = json!(failure.map(|error| error.retry_count));
        body["will_retry"] = json!(failure.map(|error| error.will_retry));
        // "of an execution: every field of its row but `id` that is not `null` and not another
        // entity's": one event decides all of them.
        let place = self.executions_by[id];
        let others = ["id", "user_email", "search_query"];
        let fields = body.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let names = fields.map(|(name, _)| name.clone()).filter(|name| !others.contains(&name.as_str()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        let mut entry = history(&self.stamps, &[("", place)].into());
        entry[0]["fields"] = json!(names);
        body["history"] = entry;
        Some(body)
    }

    pub(crate) fn task(&self, id: &str, now_ms: i64, ui: &ModelTemporalUi) -> Option<Value> {
        // "deleted and stub tasks too" are a 404
        let task = self.tasks.get(id).filter(|task| is_live(task))?;
        let mut body = self.task_row(id, task, now_ms);
        let mut schedules = self.schedules_of(id);
        schedules.sort_by_key(|(id, _, created)| Reverse((created.created_at, *id)));
        let rows = schedules.iter().map(|(id, one, created)| self.schedule_row(id, one, created, now_ms, ui));
        body["schedules"] = rows.collect();
        body["history"] = history(&self.stamps, &task.writers);
        Some(body)
    }

    /// Those that are not deleted, paused ones too.
    fn schedules_of(&self, task_id: &str) -> Vec<(&String, &ModelSchedule, &ModelScheduleCreated)> {
        let all = self.schedules.iter().filter(|(_, schedule)| !schedule.deleted);
        let created = all.filter_map(|(id, schedule)| Some((id, schedule, schedule.created.as_ref()?)));
        created.filter(|(.., created)| created.task_id == task_id).collect()
    }

    pub(crate) fn task_row(&self, id: &str, task: &ModelTask, now_ms: i64) -> Value {
        let runs: Vec<(&String, &ModelExecution)> =
            self.executions.iter().filter(|(_, run)| run.task_id == id).collect();
        let finished = FinishedTotals::of(runs.iter().map(|(_, run)| *run));
        // "of the greatest `started_at`, then id"
        let last = runs.iter().max_by_key(|(id, run)| (run.started_at, *id));
        let last = last
            .map(|(id, run)| json!({"id": id, "status": status_of(run), "started_at": show(run.started_at)}));
        // "the earliest of its schedules that are neither deleted nor paused; never from the task's
        // own `schedule`"
        let unpaused = self.schedules_of(id).into_iter().filter(|(_, schedule, _)| !schedule.paused);
        let next = unpaused.filter_map(|(_, schedule, _)| {
            let zone = schedule.timezone.as_deref().unwrap();
            cron::next_fire(schedule.cron.as_deref().unwrap(), zone, now_ms)
        });
        let user_id = task.created.as_deref().unwrap();
        json!({
            "id": id,
            "name": task.name,
            "search_query": task.search_query,
            "user_id": user_id,
            "user_email": self.email_of(user_id),
            "state": state_of(task),
            "schedule": task.schedule,
            "created_at": show(task.created_at.unwrap()),
            "total_executions": runs.len(),
            "success_rate": finished.success_rate(),
            "avg_duration_ms": finished.avg_duration_ms(),
            "last_execution": last,
            "next_run_time": next.min().map(show),
        })
    }

    /// No request has been made and none has deactivated anybody: no key was used, no task paused, and
    /// no command waits.
    pub(crate) fn user(&self, id: &str, now_ms: i64) -> Option<Value> {
        let user = self.users.get(id)?;
        let mut body = self.user_row(id, user, user.listing.as_ref()?, now_ms);
        body["role"] = json!(user.role);
        // "Such a key is listed under the user of its greatest `api_key.created`"
        let mine = self.keys.iter().filter(|(_, key)| key.listed_under.as_deref() == Some(id));
        let mut keys: Vec<_> =
            mine.map(|(key_id, key)| (key_id, key.listing.as_ref().unwrap(), key.revoked)).collect();
        // "newest first, then `key_id` descending"
        keys.sort_by_key(|(key_id, listing, _)| Reverse((listing.created_at, *key_id)));
        body["api_keys"] =
            keys.into_iter().map(|(key_id, listing, revoked)| key(key_id, listing, revoked)).collect();
        let deactivation =
            user.state_set.as_ref().filter(|_| user.deactivated).map(
                |(at, by)| json!({"at": show(*at), "by": by, "tasks_paused": null, "commands_pending": 0}),
            );
        body["deactivation"] = json!(deactivation);
        body["history"] = history(&self.stamps, &user.writers);
        Some(body)
    }
}

fn key(key_id: &str, listing: &ModelKeyListing, revoked: bool) -> Value {
    let ModelKeyListing { key_prefix, name, created_at } = listing;
    json!({"key_id": key_id, "key_prefix": key_prefix, "name": name, "created_at": show(*created_at), "revoked": revoked,
        "last_used_at": null})
}
