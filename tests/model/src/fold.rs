//! The state of all entities: every event in the merge order, the last write wins.

use std::collections::{BTreeMap, BTreeSet};

use crate::Message;
use crate::event::{self, Event};
use crate::facts::{Execution, Fact, Notification, Run, TaskState};

/// A register is an `Option`: `None` while no event has told it. `created` is what makes an entity more than a stub.
#[derive(Default)]
pub(crate) struct User {
    pub(crate) created: Option<UserCreated>,
    pub(crate) email: Option<String>,
    /// Without a deactivated or reactivated event a user is active.
    pub(crate) deactivated: bool,
    pub(crate) last_login: Option<i64>,
}

pub(crate) struct UserCreated {
    pub(crate) clerk_user_id: String,
    pub(crate) created_at: i64,
}

#[derive(Default)]
pub(crate) struct Task {
    /// The owner, a fact of the `created` event.
    pub(crate) created: Option<String>,
    pub(crate) search_query: Option<String>,
    pub(crate) state: Option<TaskState>,
    pub(crate) deleted: bool,
}

#[derive(Default)]
pub(crate) struct Schedule {
    pub(crate) created: Option<ScheduleCreated>,
    pub(crate) cron: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) paused: bool,
    pub(crate) deleted: bool,
}

pub(crate) struct ScheduleCreated {
    pub(crate) task_id: String,
    pub(crate) user_id: String,
    pub(crate) created_at: i64,
}

/// The folded state of all entities, by id.
#[derive(Default)]
pub struct World {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) executions: BTreeMap<String, Execution>,
    pub(crate) notifications: BTreeMap<String, Notification>,
    /// By `workflow_id` and `run_id`.
    pub(crate) runs: BTreeMap<(String, String), Run>,
    pub(crate) schedules: BTreeMap<String, Schedule>,
    set_aside: usize,
}

impl World {
    /// Folds the messages; those that must be set aside are only counted.
    pub fn of(messages: &[Message]) -> World {
        let mut events: Vec<Event> = Vec::new();
        let mut set_aside: BTreeSet<&str> = BTreeSet::new();
        for message in messages {
            match event::read(message) {
                Some(event) => events.push(event),
                None => {
                    // "set aside with its reason and its whole body, once": a body that came twice counts once.
                    set_aside.insert(&message.body);
                }
            }
        }
        // "A register keeps the value of the event that is greatest": from the least to the greatest, overwrite.
        events.sort_by(|a, b| a.key.cmp(&b.key));
        let mut world = World { set_aside: set_aside.len(), ..World::default() };
        for event in events {
            world.apply(event.fact);
        }
        world
    }

    /// Number of messages set aside; the same body received several times counts once.
    pub fn set_aside(&self) -> usize {
        self.set_aside
    }

    fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::UserCreated { .. }
            | Fact::UserUpdated { .. }
            | Fact::UserLoggedIn { .. }
            | Fact::UserState { .. } => {
                self.apply_user(fact);
            }
            Fact::TaskCreated { .. }
            | Fact::TaskUpdated { .. }
            | Fact::TaskState { .. }
            | Fact::TaskDeleted { .. } => {
                self.apply_task(fact);
            }
            Fact::ScheduleCreated { .. }
            | Fact::ScheduleUpdated { .. }
            | Fact::SchedulePaused { .. }
            | Fact::ScheduleDeleted { .. } => self.apply_schedule(fact),
            Fact::Execution { execution_id, execution } => {
                self.executions.insert(execution_id, execution);
            }
            Fact::Notification { notification_id, notification } => {
                self.notifications.insert(notification_id, notification);
            }
            Fact::Run { workflow_id, run_id, run } => {
                self.runs.insert((workflow_id, run_id), run);
            }
            Fact::NoEffect => {}
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`apply` sends only the facts of users here")]
    fn apply_user(&mut self, fact: Fact) {
        match fact {
            Fact::UserCreated { user_id, clerk_user_id, email, created_at } => {
                let user = self.users.entry(user_id).or_default();
                user.created = Some(UserCreated { clerk_user_id, created_at });
                user.email = Some(email);
            }
            Fact::UserUpdated { user_id, email } => {
                let user = self.users.entry(user_id).or_default();
                user.email = email.or(user.email.take());
            }
            Fact::UserLoggedIn { user_id, time } => {
                // "greatest `time`": the events come in the order of their times.
                self.users.entry(user_id).or_default().last_login = Some(time);
            }
            Fact::UserState { user_id, active } => {
                self.users.entry(user_id).or_default().deactivated = !active
            }
            _ => unreachable!("not a fact of a user"),
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`apply` sends only the facts of tasks here")]
    fn apply_task(&mut self, fact: Fact) {
        match fact {
            Fact::TaskCreated { task_id, user_id, search_query, state } => {
                let task = self.tasks.entry(task_id).or_default();
                task.created = Some(user_id);
                task.search_query = Some(search_query);
                task.state = Some(state);
            }
            Fact::TaskUpdated { task_id, search_query } => {
                let task = self.tasks.entry(task_id).or_default();
                task.search_query = search_query.or(task.search_query.take());
            }
            Fact::TaskState { task_id, state } => self.tasks.entry(task_id).or_default().state = Some(state),
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
                schedule.created = Some(ScheduleCreated { task_id, user_id, created_at });
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
