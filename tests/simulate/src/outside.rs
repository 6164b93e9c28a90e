//! Clerk and Temporal, as far as commands reach them. In some schedules some logins and schedules do not exist there.

use crate::client::{COMMAND, Client, NoAnswer};
use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use command_executor::CommandOutcome;
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::pause::{PauseError, PauseSchedules};
use futures::FutureExt;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use torale_domain::deactivation::commands::{Command, SchedulePattern};
use torale_domain::events::SOURCE;
use torale_domain::values::digest::sha256_hex;
use torale_domain::values::ids::{ClerkUserId, ScheduleId};
use torale_platform::authentication::IdentityProviderError;

/// How the schedules of tasks are called of which no event has named one.
pub const SCHEDULES: &str = "task-{task_id}";
/// What the calls are called that bar a login, and pause a schedule.
const BAN: &str = "ban";
const PAUSE: &str = "pause";
/// The type of the events that say that a schedule was paused.
const SCHEDULE_PAUSED: &str = "ai.torale.temporal.schedule.paused";
/// In one of so many schedules, some ids do not exist, which are so many of 16.
const ABSENCES: u8 = 3;
const ABSENT: u32 = 5;

/// What commands have done.
#[derive(Debug, Default)]
pub struct Effects {
    /// Logins that are barred, by their Clerk user ids.
    pub banned: BTreeSet<String>,
    /// Schedules that were paused.
    pub paused: BTreeSet<String>,
    /// Logins that were to be barred, and do not exist.
    pub absent_logins: BTreeSet<String>,
    /// Schedules that were to be paused, and do not exist.
    pub absent_schedules: BTreeSet<String>,
    /// What the ids that do not exist are chosen by, if there are any.
    absences: Option<u64>,
}

impl Effects {
    /// Whether a login or a schedule exists.
    pub fn exists(&self, id: &str) -> bool {
        self.absences.is_none_or(|chosen_by| {
            let digest = sha256_hex(&[&chosen_by.to_be_bytes(), id.as_bytes()]);
            digest.chars().next().and_then(|first| first.to_digit(16)) >= Some(ABSENT)
        })
    }

    /// Whether a login is barred, or does not exist and was to be barred.
    pub fn is_banned(&self, id: &str) -> bool {
        if self.exists(id) { &self.banned } else { &self.absent_logins }.contains(id)
    }

    /// Whether a schedule was paused, or does not exist and was to be paused.
    pub fn is_paused(&self, id: &str) -> bool {
        if self.exists(id) { &self.paused } else { &self.absent_schedules }.contains(id)
    }

    /// A ban. Returns whether the login exists.
    fn ban(&mut self, id: String) -> bool {
        let exists = self.exists(&id);
        let named = if exists { &mut self.banned } else { &mut self.absent_logins };
        named.insert(id);
        exists
    }

    /// A pause. Returns whether the schedule exists.
    fn pause(&mut self, id: String) -> bool {
        let exists = self.exists(&id);
        let named = if exists { &mut self.paused } else { &mut self.absent_schedules };
        named.insert(id);
        exists
    }

    /// Whether the executor may say this of a command that it was done with: a login that does not exist is noticed,
    /// and so is how many schedules do not (docs/contract/events.md, "Schedules").
    ///
    /// # Errors
    /// If not.
    pub fn check_outcome(&self, body: &str, outcome: CommandOutcome) -> Result<(), String> {
        let command = Command::receive(body).map_err(|error| error.to_string())?.command;
        let absent = schedules_of(&command).iter().filter(|id| !self.exists(id.as_str())).count();
        let expected = match (&command, absent) {
            (Command::BanUser { clerk_user_id, .. }, _) if !self.exists(clerk_user_id.as_str()) => {
                CommandOutcome::NothingThere
            }
            (_, 0) => CommandOutcome::CarriedOut,
            (_, absent) => CommandOutcome::SchedulesMissing(absent),
        };
        match outcome == expected {
            true => Ok(()),
            false => Err(format!("{outcome:?} and not {expected:?} of {body}")),
        }
    }

    /// No event of the log that this system has sent says that a schedule was paused which does not exist.
    ///
    /// # Errors
    /// If one does.
    pub fn check_pauses(&self, logged: &[Value]) -> Result<(), String> {
        let own = logged.iter().filter(|event| event["source"] == SOURCE && event["type"] == SCHEDULE_PAUSED);
        let mut schedules = own.filter_map(|event| event["data"]["schedule_id"].as_str());
        match schedules.find(|id| !self.exists(id)) {
            Some(id) => Err(format!("{id} does not exist at Temporal, and an event says that it was paused")),
            None => Ok(()),
        }
    }
}

/// The schedules that a command pauses: those that it names, or the one by the pattern if no event has named one.
pub fn schedules_of(command: &Command) -> Vec<ScheduleId> {
    let Command::PauseTask { task_id, schedules, .. } = command else { return Vec::new() };
    let pattern = SchedulePattern::parse(SCHEDULES).expect("a pattern");
    let is_unknown = schedules.ids.is_empty() && !schedules.all_deleted;
    schedules.ids.iter().cloned().chain(pattern.id(task_id).filter(|_| is_unknown)).collect()
}

/// Clerk and Temporal as all processes share them.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<Mutex<Effects>>);

impl Outside {
    /// Nothing was done yet. Some ids may not exist.
    pub fn random() -> Self {
        let absences = (fastrand::u8(..ABSENCES) == 0).then(|| fastrand::u64(..));
        Self(Arc::new(Mutex::new(Effects { absences, ..Effects::default() })))
    }

    /// What commands have done, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Effects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of a process of this name, of either.
    pub fn client(&self, process: &str) -> OutsideClient {
        OutsideClient { outside: self.clone(), client: Client::new(process) }
    }
}

/// The calls of one process to Clerk and Temporal.
#[derive(Debug)]
pub struct OutsideClient {
    outside: Outside,
    client: Client,
}

impl OutsideClient {
    /// A call, and whether that to which it was made exists.
    async fn call(
        &self,
        name: &'static str,
        id: &str,
        effect: fn(&mut Effects, String) -> bool,
    ) -> Result<bool, NoAnswer> {
        if faults::happens(Fault::BusyOutside, name) {
            return Err(NoAnswer::BUSY);
        }
        let (outside, owned) = (self.outside.clone(), id.to_owned());
        let lost = if name == BAN { Defect::BansAreLost } else { Defect::PausesAreLost };
        let serve = move || {
            let exists = match defects::shows(lost, 4) {
                true => outside.lock().exists(&owned),
                false => effect(&mut outside.lock(), owned.clone()),
            };
            async move { exists }.boxed()
        };
        let exists = self.client.call(name, COMMAND, || id.to_owned(), serve).await?;
        if !exists {
            faults::count(if name == BAN { "absent login" } else { "absent schedule" }, None);
        }
        Ok(exists || defects::is(Defect::AbsentIdsCountAsDone))
    }
}

impl BanUsers for OutsideClient {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        let failed = |_why| ClerkError::IdentityProviderError(IdentityProviderError::TimedOut);
        self.call(BAN, user.as_str(), Effects::ban).await.map_err(failed)
    }
}

impl PauseError for NoAnswer {
    fn is_unanswered(&self) -> bool {
        true
    }
}

impl PauseSchedules for OutsideClient {
    type Error = NoAnswer;

    async fn pause(&self, schedule: &str, _note: &str) -> Result<bool, NoAnswer> {
        self.call(PAUSE, schedule, Effects::pause).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pause_of_what_does_not_exist_is_found_among_the_events_of_this_system() {
        let effects = Effects { absences: Some(7), ..Effects::default() };
        let of = |exists| (0..).map(|n| format!("task-{n}")).find(|id| effects.exists(id) == exists).unwrap();
        let (there, absent) = (of(true), of(false));
        let paused = |source: &str, id: &str| json!({ "source": source, "type": SCHEDULE_PAUSED, "data": { "schedule_id": id } });
        let checked = |event: Value| effects.check_pauses(&[paused(SOURCE, &there), event]).is_ok();

        assert!(!checked(paused(SOURCE, &absent)));
        assert!(checked(paused("/temporal", &absent)), "Temporal may know better");
        assert!(checked(json!({ "source": SOURCE, "type": "other", "data": { "schedule_id": absent } })));
    }
}
