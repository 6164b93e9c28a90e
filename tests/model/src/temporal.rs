//! The lists of workflow runs and schedules.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::ModelTemporalUi;
use crate::cron;
use crate::facts::ModelRun;
use crate::fold::{ModelSchedule, ModelScheduleCreated, World};
use crate::params::Params;
use crate::time::{DAY, show, start_of_day, window};

/// "Without `page` and `limit` the answer holds them all, up to 10,000".
const MOST_SCHEDULES: usize = 10_000;

impl World {
    pub(crate) fn workflows(&self, params: &Params, now_ms: i64, ui: &ModelTemporalUi) -> Value {
        // "The workflow runs started in the last 24 hours, newest first; `total` counts them all."
        let since = window(now_ms, DAY);
        let mut rows: Vec<(&(String, String), &ModelRun)> =
            self.runs.iter().filter(|(_, run)| run.start_time >= since).collect();
        // Ties "by id, descending (workflows: `workflow_id`, then `run_id`)"
        rows.sort_by_key(|(id, run)| Reverse((run.start_time, *id)));
        let total = rows.len();
        let page: Vec<Value> =
            params.page_of(rows).iter().map(|((workflow, id), run)| run_row(workflow, id, run, ui)).collect();
        json!({"workflows": page, "total": total})
    }

    pub(crate) fn schedules(&self, params: &Params, now_ms: i64, ui: &ModelTemporalUi) -> Value {
        // "All active schedules: not deleted and not paused"; `include_paused` "lists paused ones
        // too"
        let paused_too = params.flag("include_paused");
        let mut rows: Vec<(&String, &ModelSchedule, &ModelScheduleCreated)> = self
            .schedules
            .iter()
            .filter_map(|(id, schedule)| Some((id, schedule, schedule.created.as_ref()?)))
            .filter(|(_, schedule, _)| !schedule.deleted && (paused_too || !schedule.paused))
            .collect();
        // "newest `created_at` first", ties by id, descending
        rows.sort_by_key(|(id, _, created)| Reverse((created.created_at, *id)));
        let total = rows.len();
        let paged = params.text("page").is_some() || params.text("limit").is_some();
        if paged {
            rows = params.page_of(rows);
        } else {
            rows.truncate(MOST_SCHEDULES);
        }
        let mut page: Vec<Value> = rows
            .iter()
            .map(|(id, schedule, created)| self.schedule_row(id, schedule, created, now_ms, ui))
            .collect();
        // "`timezone` is only there with `include_timezone`"; "`UTC` if they state none"
        if params.flag("include_timezone") {
            for (row, (_, schedule, _)) in page.iter_mut().zip(&rows) {
                let zone = schedule.timezone.as_deref().filter(|zone| !zone.is_empty());
                row["timezone"] = json!(zone.unwrap_or("UTC"));
            }
        }
        json!({"schedules": page, "total": total})
    }

    pub(crate) fn schedule_row(
        &self,
        id: &str,
        schedule: &ModelSchedule,
        created: &ModelScheduleCreated,
        now_ms: i64,
        ui: &ModelTemporalUi,
    ) -> Value {
        // "executions of the schedule's task started on the current UTC day or the 29 before it"
        let today = start_of_day(now_ms);
        let days = today - 29 * DAY..today + DAY;
        let recent = self
            .executions
            .values()
            .filter(|e| e.task_id == created.task_id && days.contains(&e.started_at))
            .count();
        let cron = schedule.cron.as_deref().expect("a created schedule has a cron expression");
        let zone = schedule.timezone.as_deref().expect("a created schedule has a time zone");
        let next = if schedule.paused { None } else { cron::next_fire(cron, zone, now_ms) };
        json!({
            "schedule_id": id,
            "task_id": created.task_id,
            "user_email": self.email_of(&created.user_id),
            "cron": cron,
            "is_paused": schedule.paused,
            "recent_executions": recent,
            "next_run_time": next.map(show),
            "temporal_ui_url": format!("{}/schedules/{}", ui_root(ui), segment(id)),
        })
    }
}

fn run_row(workflow_id: &str, run_id: &str, run: &ModelRun, ui: &ModelTemporalUi) -> Value {
    // "While `RUNNING`, `close_time` and `execution_duration_ms` are `null`; the duration is never
    // below 0."
    let status = run.closed.as_ref().map_or("RUNNING", |(status, _)| status.as_str());
    let close_time = run.closed.as_ref().map(|(_, time)| *time);
    json!({
        "workflow_id": workflow_id,
        "workflow_type": run.workflow_type,
        "status": status,
        "start_time": show(run.start_time),
        "close_time": close_time.map(show),
        "execution_duration_ms": close_time.map(|time| (time - run.start_time).max(0)),
        "temporal_ui_url":
            format!("{}/workflows/{}/{}/history", ui_root(ui), segment(workflow_id), segment(run_id)),
    })
}

fn ui_root(ui: &ModelTemporalUi) -> String {
    format!("{}/namespaces/{}", ui.url, segment(&ui.namespace))
}

/// "percent-encoded as one path segment (all but RFC 3986 unreserved characters)"
fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn all_but_unreserved_characters_are_encoded() {
        assert_eq!(segment("aZ09-._~"), "aZ09-._~");
        assert_eq!(segment("a/b c%?#+é"), "a%2Fb%20c%25%3F%23%2B%C3%A9");
    }
}
