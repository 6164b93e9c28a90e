//! Schedules as events: what Temporal says of one, and what leads there from what is known.

use crate::cron::CronSpec;
use crate::message::{message, timestamp};
use crate::task_ids::{NamedByArguments, TaskIds, named_by};
use serde_json::json;
use temporalio_common::protos::temporal::api::schedule::v1::schedule_action::Action;
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeScheduleResponse;
use torale_domain::entities::fold::{Register, State};
use torale_domain::entities::readings;
use torale_domain::events::{Event, ReceivedMessage, parse};
use torale_domain::values::ids::{TaskId, UserId};
use torale_domain::values::time::Timestamp;

/// What Temporal says of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSchedule {
    /// Its id.
    pub id: String,
    /// The task that its id, its workflow's id or its arguments name.
    pub task: Option<TaskId>,
    /// The user that its arguments name.
    pub user: Option<UserId>,
    /// When it fires.
    pub spec: CronSpec,
    /// Whether it does not fire for now.
    pub paused: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it fires next; `None` if it never does again.
    pub next: Option<Timestamp>,
}

/// When schedules were observed.
#[derive(Debug, Clone, Copy)]
pub struct ObservationTime {
    /// Before Temporal was asked.
    pub asked_at: Timestamp,
    /// After it was read what is known of them, by any clock: nothing that is known can have happened later.
    pub known_by: Timestamp,
}

impl ObservationTime {
    /// Whether what happened at a time may have happened after Temporal was asked.
    fn contains(self, at: Timestamp) -> bool {
        self.asked_at < at && at <= self.known_by
    }
}

impl ObservedSchedule {
    /// Reads Temporal's description. `None` if it describes nothing.
    pub fn read(id: &str, described: &DescribeScheduleResponse, tasks: &TaskIds) -> Option<Self> {
        let (schedule, info) = (described.schedule.as_ref()?, described.info.as_ref()?);
        let next = info.future_action_times.first().map(|at| timestamp(at.seconds, at.nanos));
        let action = schedule.action.as_ref().and_then(|action| action.action.as_ref());
        let (workflow, named) = match action {
            Some(Action::StartWorkflow(start)) => {
                let arguments = start.input.as_ref().map_or(&[][..], |input| &input.payloads);
                (start.workflow_id.as_str(), named_by(arguments))
            }
            None => ("", NamedByArguments::default()),
        };
        Some(Self {
            id: id.to_owned(),
            task: tasks.of(id).or_else(|| tasks.of(workflow)).or(named.task),
            user: named.user,
            spec: CronSpec::of(schedule, next),
            paused: schedule.state.as_ref().is_some_and(|state| state.paused),
            created_at: info.create_time.as_ref().map(|at| timestamp(at.seconds, at.nanos))?,
            next,
        })
    }

    /// The events that lead from what is known of the schedule to what Temporal says: none if that is the same.
    ///
    /// Temporal says when a schedule was created, but not when it was edited or paused: that is dated when Temporal was
    /// asked, or a millisecond after what is known of it. What is known from the time of the observation may be newer
    /// than what Temporal said, and nothing is said of it. What is dated still later has not happened at that time, and
    /// would keep Temporal from being believed for as long. Of a schedule that is known to be deleted nothing can be
    /// said, since that is for ever.
    pub fn events(
        &self,
        known: &State,
        (task, user): (TaskId, UserId),
        observed: ObservationTime,
    ) -> Vec<String> {
        let (mut state, mut events) = (known.clone(), Vec::new());
        if readings::Schedule::of(&state).created.is_none() {
            let data = json!({
                "schedule_id": self.id, "task_id": task, "user_id": user, "cron": self.spec.cron,
                "timezone": self.spec.timezone, "paused": self.paused,
            });
            let event = message("temporal.schedule.created", &self.id, self.created_at, &data);
            if let Some(created) = known_event(&event) {
                state.fold(created);
            }
            events.push(event);
        }
        let reading = readings::Schedule::of(&state);
        if reading.deleted {
            return Vec::new();
        }
        let at = |known_at: Timestamp| {
            (!observed.contains(known_at)).then(|| observed.asked_at.max(known_at.plus(1)))
        };
        if let Some(at) =
            at(latest(&state, [Register::Cron, Register::Timezone])).filter(|_| self.is_edited(&reading))
        {
            let data =
                json!({ "schedule_id": self.id, "cron": self.spec.cron, "timezone": self.spec.timezone });
            events.push(message("temporal.schedule.updated", &self.id, at, &data));
        }
        if let Some(at) = at(latest(&state, [Register::State])).filter(|_| reading.paused != self.paused) {
            let kind = if self.paused { "temporal.schedule.paused" } else { "temporal.schedule.unpaused" };
            events.push(message(kind, &self.id, at, &json!({ "schedule_id": self.id })));
        }
        events
    }

    /// Whether Temporal says something else of a schedule than what is known, which is not deleted.
    pub(crate) fn differs_from(&self, known: &State) -> bool {
        let reading = readings::Schedule::of(known);
        !reading.deleted && (self.is_edited(&reading) || reading.paused != self.paused)
    }

    /// Whether it fires at other times than those that are known.
    fn is_edited(&self, known: &readings::Schedule<'_>) -> bool {
        let spec = (Some(self.spec.cron.as_str()), Some(self.spec.timezone.as_str()));
        (known.cron, known.timezone) != spec
    }
}

/// The event that a schedule which Temporal does not know any more was deleted; `None` if that is known, or the
/// schedule is not.
pub fn deleted_event(known: &State, now: Timestamp) -> Option<String> {
    let reading = readings::Schedule::of(known);
    let (created, _) = reading.created.filter(|_| !reading.deleted)?;
    let id = created.schedule_id.as_str();
    Some(message("temporal.schedule.deleted", id, now, &json!({ "schedule_id": id })))
}

/// What is known of a schedule once these events are consumed.
pub(crate) fn after(mut known: State, events: &[String]) -> State {
    for event in events.iter().filter_map(|event| known_event(event)) {
        known.fold(event);
    }
    known
}

fn known_event(event: &str) -> Option<Event> {
    match parse(event, None) {
        Ok(ReceivedMessage::Known(event)) => Some(*event),
        Ok(ReceivedMessage::Unknown { .. }) | Err(_) => None,
    }
}

/// The time of the last known event about some facts of a schedule, or of its creation.
fn latest(state: &State, registers: impl IntoIterator<Item = Register>) -> Timestamp {
    let registers = registers.into_iter().chain([Register::Created]);
    let winners = registers.filter_map(|register| state.winner(register));
    winners.map(|event| event.time).max().unwrap_or(Timestamp::EARLIEST)
}

#[cfg(test)]
mod tests;
