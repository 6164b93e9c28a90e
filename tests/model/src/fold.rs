//! The state of all entities: every event in the merge order, the last write wins.

use std::collections::{BTreeMap, BTreeSet};

use crate::Message;
use crate::api_keys::ModelApiKey;
use crate::event::{self, ModelEvent};
use crate::facts::{Fact, ModelExecution, ModelNotification, ModelRun, ModelTaskState};
use crate::history::{EventOrigin, Writers};
use crate::people::{ModelIdentity, ModelUser, fold_people};

#[derive(Default)]
pub(crate) struct ModelTask {
    /// The owner, a fact of the `created` event.
    pub(crate) created: Option<String>,
    pub(crate) created_at: Option<i64>,
    pub(crate) search_query: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) schedule: Option<String>,
    pub(crate) state: Option<ModelTaskState>,
    pub(crate) deleted: bool,
    pub(crate) writers: Writers,
}

#[derive(Default)]
pub(crate) struct ModelSchedule {
    pub(crate) created: Option<ModelScheduleCreated>,
    pub(crate) cron: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) paused: bool,
    pub(crate) deleted: bool,
}

pub(crate) struct ModelScheduleCreated {
    pub(crate) task_id: String,
    pub(crate) user_id: String,
    pub(crate) created_at: i64,
}

/// The folded state of all entities, by id.
#[derive(Default)]
pub struct World {
    /// Users, stand-ins, and stubs of both.
    pub(crate) users: BTreeMap<String, ModelUser>,
    /// By Clerk id: those that an identity event names.
    pub(crate) identities: BTreeMap<String, ModelIdentity>,
    pub(crate) keys: BTreeMap<String, ModelApiKey>,
    pub(crate) tasks: BTreeMap<String, ModelTask>,
    pub(crate) executions: BTreeMap<String, ModelExecution>,
    pub(crate) notifications: BTreeMap<String, ModelNotification>,
    /// By `workflow_id` and `run_id`.
    pub(crate) runs: BTreeMap<(String, String), ModelRun>,
    pub(crate) schedules: BTreeMap<String, ModelSchedule>,
    /// The events in the merge order, as a history shows them.
    pub(crate) stamps: Vec<EventOrigin>,
    /// Of each execution, the place of the event that decided it.
    pub(crate) executions_by: BTreeMap<String, usize>,
    quarantined: usize,
}

impl ModelTask {
    /// "each if present"
    fn update(
        &mut self,
        place: usize,
        search_query: Option<String>,
        name: Option<String>,
        schedule: Option<String>,
    ) {
        for (field, register, value) in [
            ("search_query", &mut self.search_query, search_query),
            ("name", &mut self.name, name),
            ("schedule", &mut self.schedule, schedule),
        ] {
            if value.is_some() {
                *register = value;
                self.writers.insert(field, place);
            }
        }
    }
}

impl World {
    /// Folds the messages; those that must be quarantined are only counted.
    pub fn of(messages: &[Message]) -> World {
        let mut events: Vec<ModelEvent> = Vec::new();
        let mut quarantined: BTreeSet<&str> = BTreeSet::new();
        for message in messages {
            match event::read(message) {
                Some(event) => events.push(event),
                None => {
                    // A message is quarantined once for each body: one that came twice
                    // counts once.
                    quarantined.insert(&message.body);
                }
            }
        }
        // "A register keeps the value of the event that is greatest": from the least to the
        // greatest, overwrite.
        events.sort_by(|a, b| a.key.cmp(&b.key));
        let stamps = events.iter().map(EventOrigin::of).collect();
        let facts: Vec<Fact> = events.into_iter().map(|event| event.fact).collect();
        let (users, identities) = fold_people(&facts);
        let mut world =
            World { users, identities, stamps, quarantined: quarantined.len(), ..World::default() };
        for (place, fact) in facts.into_iter().enumerate() {
            world.apply(place, fact);
        }
        world
    }

    /// Number of messages in quarantine; the same body received several times counts once.
    pub fn quarantined(&self) -> usize {
        self.quarantined
    }

    fn apply(&mut self, place: usize, fact: Fact) {
        match fact {
            Fact::KeyCreated { key_id, user_id, key_hash, listing } => {
                self.keys.entry(key_id).or_default().created(user_id, key_hash, listing);
            }
            Fact::KeyRevoked { key_id } => self.keys.entry(key_id).or_default().revoked = true,
            Fact::TaskCreated { .. }
            | Fact::TaskUpdated { .. }
            | Fact::TaskState { .. }
            | Fact::TaskDeleted { .. } => {
                self.apply_task(place, fact);
            }
            Fact::ScheduleCreated { .. }
            | Fact::ScheduleUpdated { .. }
            | Fact::SchedulePaused { .. }
            | Fact::ScheduleDeleted { .. } => self.apply_schedule(fact),
            Fact::Execution { execution_id, execution } => {
                self.executions_by.insert(execution_id.clone(), place);
                self.executions.insert(execution_id, execution);
            }
            Fact::Notification { notification_id, notification } => {
                self.notifications.insert(notification_id, notification);
            }
            Fact::Run { workflow_id, run_id, run } => {
                self.runs.insert((workflow_id, run_id), run);
            }
            // `fold_people` has read them: where an identity's events go follows from all events
            // together.
            Fact::UserCreated { .. } | Fact::UserChanged { .. } | Fact::Identity(_) => {}
            Fact::NoEffect => {}
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`apply` sends only the facts of tasks here")]
    fn apply_task(&mut self, place: usize, fact: Fact) {
        match fact {
            Fact::TaskCreated { task_id, user_id, search_query, name, schedule, state, created_at } => {
                let task = self.tasks.entry(task_id).or_default();
                task.created = Some(user_id);
                task.created_at = Some(created_at);
                task.state = Some(state);
                // "Facts of the `created` event come from it alone", "defaults included"
                for field in ["user_id", "created_at", "state"] {
                    task.writers.insert(field, place);
                }
                task.update(place, Some(search_query), name, schedule);
            }
            Fact::TaskUpdated { task_id, search_query, name, schedule } => {
                self.tasks.entry(task_id).or_default().update(place, search_query, name, schedule);
            }
            Fact::TaskState { task_id, state } => {
                let task = self.tasks.entry(task_id).or_default();
                task.state = Some(state);
                task.writers.insert("state", place);
            }
            // "deleted, for ever": nothing resets it.
            Fact::TaskDeleted { task_id } => self.tasks.entry(task_id).or_default().deleted = true,
            _ => unreachable!("not a fact of a task"),
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`apply` sends only the facts of schedules here")]
    fn apply_schedule(&mut self, fact: Fact) {
        match fact {
            Fact::ScheduleCreated { schedule_id, task_id, user_id, cron, timezone, paused, created_at } => {
                let schedule = self.schedules.entry(schedule_id).or_default();
                schedule.created = Some(ModelScheduleCreated { task_id, user_id, created_at });
                schedule.cron = Some(cron);
                schedule.timezone = Some(timezone);
                schedule.paused = paused;
            }
            Fact::ScheduleUpdated { schedule_id, cron, timezone } => {
                let schedule = self.schedules.entry(schedule_id).or_default();
                schedule.cron = cron.or(schedule.cron.take());
                schedule.timezone = timezone.or(schedule.timezone.take());
            }
            Fact::SchedulePaused { schedule_id, paused } => {
                self.schedules.entry(schedule_id).or_default().paused = paused;
            }
            // "deleted, for ever": nothing resets it.
            Fact::ScheduleDeleted { schedule_id } => {
                self.schedules.entry(schedule_id).or_default().deleted = true
            }
            _ => unreachable!("not a fact of a schedule"),
        }
    }
}
