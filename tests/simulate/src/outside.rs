//! Clerk and Temporal, as far as commands reach them.

use crate::client::{COMMAND, Client, NoAnswer};
use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use command_executor::clerk::{BanUsers, ClerkError};
use command_executor::pause::{PauseError, PauseSchedules};
use futures::FutureExt;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use torale_domain::values::ids::ClerkUserId;
use torale_platform::authentication::IdentityProviderError;

/// What the call is called that bars a login.
const BAN: &str = "ban";

/// What commands have done.
#[derive(Debug, Default)]
pub struct Effects {
    /// Logins that are barred, by their Clerk user ids.
    pub banned: BTreeSet<String>,
    /// Schedules that were paused.
    pub paused: BTreeSet<String>,
}

/// Clerk and Temporal as all processes share them.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<Mutex<Effects>>);

impl Outside {
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
    async fn call(
        &self,
        name: &'static str,
        id: &str,
        effect: fn(&mut Effects, String) -> bool,
    ) -> Result<(), NoAnswer> {
        if faults::happens(Fault::BusyOutside, name) {
            return Err(NoAnswer::BUSY);
        }
        let (outside, owned) = (self.outside.clone(), id.to_owned());
        let lost = if name == BAN { Defect::BansAreLost } else { Defect::PausesAreLost };
        let serve = move || {
            if !defects::shows(lost, 4) {
                effect(&mut outside.lock(), owned.clone());
            }
            async {}.boxed()
        };
        self.client.call(name, COMMAND, || id.to_owned(), serve).await
    }
}

impl BanUsers for OutsideClient {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        let banned = self.call(BAN, user.as_str(), |effects, id| effects.banned.insert(id)).await;
        let failed = |_why| ClerkError::IdentityProviderError(IdentityProviderError::TimedOut);
        banned.map(|()| true).map_err(failed)
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
        let paused = self.call("pause", schedule, |effects, id| effects.paused.insert(id)).await;
        paused.map(|()| true)
    }
}
