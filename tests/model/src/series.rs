//! What happened in each bucket of a window, by brute force: every time looks for its bucket.

use serde_json::{Value, json};

use crate::answer::FinishedTotals;
use crate::facts::{ModelExecution, ModelOutcome};
use crate::fold::World;
use crate::params::Params;
use crate::time::{DAY, HOUR, MINUTE, show, window, window_per_user};

/// A time, and the execution if that is what is counted.
type Happened<'a> = (i64, Option<&'a ModelExecution>);

impl World {
    pub(crate) fn series(&self, params: &Params, now_ms: i64) -> Value {
        let metric = params.text("metric").expect("a needed parameter");
        let bucket = params.text("bucket").expect("a needed parameter");
        // "`last_logins` (active users by last login, cut at the hour)"
        let cut = match metric {
            "last_logins" => window_per_user(now_ms, params.hours() * HOUR),
            _ => window(now_ms, params.hours() * HOUR),
        };
        let unit = match bucket {
            "minute" => MINUTE,
            "hour" => HOUR,
            _ => DAY,
        };
        // "The first begins at the window's cut, all others at whole minutes, hours or UTC days"
        let mut starts = vec![cut];
        let mut next = (cut / unit + 1) * unit;
        while next <= now_ms {
            starts.push(next);
            next += unit;
        }
        let happened = self.happened(metric);
        let points: Vec<Value> = starts
            .iter()
            .enumerate()
            .map(|(place, start)| {
                // "the last holds now, and counts everything later too"
                let end = starts.get(place + 1).copied().unwrap_or(i64::MAX);
                let within = happened.iter().filter(|(time, _)| (*start..end).contains(time));
                point(metric, *start, within)
            })
            .collect();
        json!({"metric": metric, "bucket": bucket, "points": points})
    }

    fn happened(&self, metric: &str) -> Vec<Happened<'_>> {
        match metric {
            "executions" => self.executions.values().map(|one| (one.started_at, Some(one))).collect(),
            "errors" => self.executions.values().filter_map(|one| Some((failed_at(one)?, None))).collect(),
            "notifications" => self.notifications.values().map(|one| (one.sent_at, None)).collect(),
            "new_users" => {
                let listings = self.users.values().filter_map(|user| user.listing.as_ref());
                listings.map(|listing| (listing.created_at, None)).collect()
            }
            "last_logins" => {
                let active = self.users.values().filter(|user| user.listing.is_some() && !user.deactivated);
                active.filter_map(|user| Some((user.last_login?, None))).collect()
            }
            _ => self.runs.values().map(|run| (run.start_time, None)).collect(),
        }
    }
}

fn failed_at(execution: &ModelExecution) -> Option<i64> {
    match execution.outcome {
        ModelOutcome::Failed { completed_at, .. } => Some(completed_at),
        ModelOutcome::Running | ModelOutcome::Success { .. } => None,
    }
}

fn point<'a>(metric: &str, start: i64, within: impl Iterator<Item = &'a Happened<'a>>) -> Value {
    let within: Vec<&Happened<'_>> = within.collect();
    let mut point = json!({"start": show(start), "count": within.len()});
    if metric == "executions" {
        let finished = FinishedTotals::of(within.iter().filter_map(|(_, execution)| *execution));
        point["failed"] = json!(i64::try_from(finished.failed).unwrap());
        point["avg_duration_ms"] = json!(finished.avg_duration_ms());
    }
    point
}
