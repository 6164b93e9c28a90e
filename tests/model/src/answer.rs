//! Which endpoint a path names, and the two answers that count everything: stats and queries.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ModelTemporalUi;
use crate::facts::{ModelExecution, ModelOutcome, ModelTaskState};
use crate::fold::{ModelTask, World};
use crate::params::{ParameterRule, Params, about};
use crate::people::ModelUser;
use crate::time::{DAY, HOUR, window, window_per_user};

const LIMIT: (&str, ParameterRule) = ("limit", ParameterRule::Limit { most: 100 });
const PAGE: (&str, ParameterRule) = ("page", ParameterRule::Page);
const HOURS: (&str, ParameterRule) = ("hours", ParameterRule::Hours);
const STATUS: ParameterRule = ParameterRule::Word(&["success", "failed", "running"]);
const STATE: ParameterRule = ParameterRule::Word(&["active", "paused", "completed"]);
const METRIC: ParameterRule = ParameterRule::Needed(&[
    "executions",
    "errors",
    "notifications",
    "new_users",
    "last_logins",
    "workflows",
]);
const BUCKET: ParameterRule = ParameterRule::Needed(&["minute", "hour", "day"]);

impl World {
    /// The answer of `GET path?query` to an authorised admin at `now_ms`: (status, body).
    ///
    /// In `/admin/errors`, `error_types` is an array of `[name, count]` pairs in the order of the
    /// contract.
    pub fn get(&self, path: &str, query: &str, now_ms: i64, ui: &ModelTemporalUi) -> (u16, Value) {
        if let Some(id) = path.strip_prefix("/admin/executions/") {
            return about(id, "Execution not found", |id| self.execution(id));
        }
        if let Some(id) = path.strip_prefix("/admin/tasks/") {
            return about(id, "Task not found", |id| self.task(id, now_ms, ui));
        }
        if let Some(id) = path.strip_prefix("/admin/users/") {
            return about(id, "User not found", |id| self.user(id, now_ms));
        }
        let known: &[(&'static str, ParameterRule)] = match path {
            "/admin/stats" => &[],
            "/admin/stats/series" => &[("metric", METRIC), ("bucket", BUCKET), HOURS],
            "/admin/queries" => &[PAGE, LIMIT],
            "/admin/executions" => {
                &[("status", STATUS), ("task_id", ParameterRule::Uuid), HOURS, PAGE, LIMIT]
            }
            "/admin/temporal/workflows" => &[LIMIT, PAGE],
            "/admin/temporal/schedules" => &[
                PAGE,
                ("limit", ParameterRule::Limit { most: 1000 }),
                ("include_paused", ParameterRule::Flag),
                ("include_timezone", ParameterRule::Flag),
            ],
            "/admin/errors" => &[
                ("error_type", ParameterRule::ErrorType),
                ("task_id", ParameterRule::Uuid),
                HOURS,
                LIMIT,
                PAGE,
            ],
            "/admin/tasks" => &[
                ("state", STATE),
                ("user_id", ParameterRule::Uuid),
                ("search_query", ParameterRule::Text { most: 500 }),
                PAGE,
                LIMIT,
            ],
            "/admin/users" => {
                &[("q", ParameterRule::Text { most: 320 }), ("active_only", ParameterRule::Flag), PAGE, LIMIT]
            }
            _ => return (404, json!({"detail": "Not Found"})),
        };
        let params = match Params::read(query, known) {
            Ok(params) => params,
            Err(body) => return (422, body),
        };
        let body = match path {
            "/admin/stats" => self.stats(now_ms),
            "/admin/stats/series" => self.series(&params, now_ms),
            "/admin/queries" => self.queries(&params),
            "/admin/executions" => self.executions(&params, now_ms),
            "/admin/temporal/workflows" => self.workflows(&params, now_ms, ui),
            "/admin/temporal/schedules" => self.schedules(&params, now_ms, ui),
            "/admin/errors" => self.errors(&params, now_ms),
            "/admin/tasks" => self.tasks(&params, now_ms),
            _ => self.users(&params, now_ms),
        };
        (200, body)
    }

    fn stats(&self, now_ms: i64) -> Value {
        // "active_30d is cut at floor_to_hour", everything else here at floor_to_minute.
        let login_since = window_per_user(now_ms, 30 * DAY);
        let day = window(now_ms, DAY);
        let week = window(now_ms, 7 * DAY);

        // "users known by a `user.created` event, and stand-ins"
        let users: Vec<_> = self.users.values().filter(|user| user.listing.is_some()).collect();
        let is_active = |last: Option<i64>| last.is_some_and(|time| time >= login_since);
        let active_30d = users.iter().filter(|user| !user.deactivated && is_active(user.last_login)).count();
        let is_new = |user: &&&ModelUser| user.listing.as_ref().is_some_and(|known| known.created_at >= week);
        let new_7d = users.iter().filter(is_new).count();

        let tasks: Vec<&ModelTask> = self.tasks.values().filter(|task| is_live(task)).collect();
        let in_state = |state| tasks.iter().filter(|task| task.state == Some(state)).count();

        let finished = FinishedTotals::of(self.executions.values().filter(|e| e.started_at >= day));
        let sent = |since| self.notifications.values().filter(|n| n.sent_at >= since).count();
        let popular: Vec<Value> = self
            .query_rows()
            .iter()
            .take(10)
            .map(|row| json!({"query": row.search_query, "count": row.tasks.len()}))
            .collect();

        json!({
            "users": {"total": users.len(), "active_30d": active_30d, "new_7d": new_7d},
            "tasks": {
                "total": tasks.len(),
                "active": in_state(ModelTaskState::Active),
                "paused": in_state(ModelTaskState::Paused),
            },
            "executions": {
                "total_24h": finished.all,
                "success_24h": finished.success,
                "failed_24h": finished.failed,
                "avg_duration_ms": finished.avg_duration_ms(),
            },
            "notifications": {"sent_24h": sent(day), "sent_7d": sent(week)},
            "popular_queries": popular,
        })
    }

    /// What the metrics function tells of the platform at `now_ms`, the error rate in hundredths
    /// of a percent.
    pub fn metrics(&self, now_ms: i64) -> Value {
        let hour = window(now_ms, HOUR);
        let week = window(now_ms, 7 * DAY);
        let began: Vec<_> = self.executions.values().filter(|e| e.started_at >= hour).collect();
        let finished = FinishedTotals::of(began.into_iter());
        let failures: Vec<_> = self
            .executions
            .values()
            .filter_map(|execution| match &execution.outcome {
                ModelOutcome::Failed { completed_at, error, .. } => (*completed_at >= hour).then_some(error),
                ModelOutcome::Running | ModelOutcome::Success { .. } => None,
            })
            .collect();
        let listings = self.users.values().filter_map(|user| user.listing.as_ref());
        let active = |task: &&ModelTask| is_live(task) && task.state == Some(ModelTaskState::Active);
        json!({
            "error_rate": divide_half_up(10_000 * finished.failed, finished.success + finished.failed) as i64,
            "avg_duration_ms": finished.avg_duration_ms(),
            "failed_executions": failures.len(),
            "new_errors": failures.iter().filter(|error| error.retry_count == 0).count(),
            "new_users_7d": listings.filter(|listing| listing.created_at >= week).count(),
            "active_tasks": self.tasks.values().filter(active).count(),
        })
    }

    fn queries(&self, params: &Params) -> Value {
        let rows = self.query_rows();
        let total = rows.len();
        let page: Vec<Value> = params.page_of(rows).iter().map(|row| self.query_row(row)).collect();
        json!({"queries": page, "total": total, "page": params.page(), "limit": params.limit()})
    }

    /// "One row for each distinct `search_query` (exact string) that at least one task not deleted
    /// has now. Order: `total_tasks` descending", ties by the SHA-256 of the text, ascending.
    fn query_rows(&self) -> Vec<QueryRow<'_>> {
        let mut tasks_of: BTreeMap<&str, BTreeMap<&str, &ModelTask>> = BTreeMap::new();
        for (id, task) in self.tasks.iter().filter(|(_, task)| is_live(task)) {
            let query = task.search_query.as_deref().expect("a created task has a query");
            tasks_of.entry(query).or_default().insert(id, task);
        }
        let mut rows: Vec<QueryRow<'_>> =
            tasks_of.into_iter().map(|(search_query, tasks)| QueryRow { search_query, tasks }).collect();
        rows.sort_by_cached_key(|row| {
            (Reverse(row.tasks.len()), Sha256::digest(row.search_query.as_bytes()).to_vec())
        });
        rows
    }

    fn query_row(&self, row: &QueryRow<'_>) -> Value {
        // "all executions, of all time and every status, of the tasks that have this query now"
        let mine = self.executions.values().filter(|e| row.tasks.contains_key(e.task_id.as_str()));
        let finished = FinishedTotals::of(mine);
        let active = row.tasks.values().filter(|task| task.state == Some(ModelTaskState::Active)).count();
        json!({
            "search_query": row.search_query,
            "total_tasks": row.tasks.len(),
            "active_tasks": active,
            "total_executions": finished.all,
            "success_rate": finished.success_rate(),
            "avg_duration_ms": finished.avg_duration_ms(),
        })
    }
}

struct QueryRow<'a> {
    search_query: &'a str,
    tasks: BTreeMap<&'a str, &'a ModelTask>,
}

/// Created and not deleted.
pub(crate) fn is_live(task: &ModelTask) -> bool {
    task.created.is_some() && !task.deleted
}

#[derive(Default)]
pub(crate) struct FinishedTotals {
    all: i128,
    success: i128,
    pub(crate) failed: i128,
    duration_ms: i128,
}

impl FinishedTotals {
    pub(crate) fn of<'a>(executions: impl Iterator<Item = &'a ModelExecution>) -> FinishedTotals {
        let mut sum = FinishedTotals::default();
        for execution in executions {
            sum.all += 1;
            match &execution.outcome {
                ModelOutcome::Running => {}
                ModelOutcome::Failed { duration_ms, .. } => {
                    sum.failed += 1;
                    sum.duration_ms += i128::from(*duration_ms);
                }
                ModelOutcome::Success { duration_ms, .. } => {
                    sum.success += 1;
                    sum.duration_ms += i128::from(*duration_ms);
                }
            }
        }
        sum
    }

    /// "mean `duration_ms` of those two, rounded half up to an integer, 0 if there are none"
    pub(crate) fn avg_duration_ms(&self) -> i64 {
        i64::try_from(divide_half_up(self.duration_ms, self.success + self.failed)).unwrap()
    }

    /// "success / (success + failed), rounded half up to two decimals, `0.0` when none finished"
    pub(crate) fn success_rate(&self) -> f64 {
        divide_half_up(100 * self.success, self.success + self.failed) as f64 / 100.0
    }
}

/// floor(above / below + 1/2), in integers; 0 when `below` is 0.
fn divide_half_up(above: i128, below: i128) -> i128 {
    if below == 0 { 0 } else { (2 * above + below) / (2 * below) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_means_are_rounded_half_up() {
        let rate =
            |success, failed| FinishedTotals { success, failed, ..FinishedTotals::default() }.success_rate();
        assert_eq!(rate(0, 0), 0.0);
        assert_eq!(rate(1, 199), 0.01); // 0.005
        assert_eq!(rate(199, 1), 1.0); // 0.995
        assert_eq!(rate(2, 1), 0.67);
        assert_eq!(rate(29, 71).to_string(), "0.29");
        assert_eq!(json!(rate(5, 0)).to_string(), "1.0");
        assert_eq!(json!(rate(0, 5)).to_string(), "0.0");
        assert_eq!(divide_half_up(5, 2), 3);
        assert_eq!(divide_half_up(4, 3), 1);
        assert_eq!(divide_half_up(5, 3), 2);
    }
}
