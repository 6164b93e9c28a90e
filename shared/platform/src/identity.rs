//! Who asks: credentials to a principal, read strongly consistent on every request and never cached.

mod backend;
mod jwks;
mod provider;
mod roles;
mod session;
mod settings;

use crate::error::AdminError;
use crate::limit::Limiter;
use crate::serve::Seen;
use crate::store::{Generation, Generations, Store, StoreError, TableReader, Usage};
pub use backend::Backend;
pub use provider::Trouble;
use roles::Roles;
use session::Verifier;
pub use settings::{Misconfigured, Settings};
use torale_domain::audit::{Method, Principal};
use torale_domain::auth::{self, Credentials, Refusal};
use torale_domain::clerk;
use torale_domain::commit::Entity;
use torale_domain::ids::{ClerkUserId, KeyHash, UserId};
use torale_domain::item::Item;
use torale_domain::keys;
use torale_domain::limits::Judged;
use torale_domain::read::{Range, Reader, Reads};
use torale_domain::session::{Refused, Session};
use torale_domain::time::Timestamp;

/// What tells who asks; made once for an instance by [`Identity::new`].
#[derive(Debug)]
pub struct Identity {
    sessions: Option<Verifier>,
    roles: Roles,
}

/// A request as far as it concerns who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    pub(crate) generations: &'a Generations,
    pub(crate) limiter: &'a Limiter,
    pub(crate) now: Timestamp,
    pub(crate) usage: &'a Usage,
}

/// Credentials that are good by themselves.
enum Presented {
    Key(KeyHash),
    Session(Session),
}

fn session_of(session: &Session, user_id: Option<UserId>) -> Principal {
    let (clerk_user_id, impersonator) = (Some(session.subject.clone()), session.impersonator.clone());
    Principal { user_id, clerk_user_id, key_id: None, impersonator }
}

impl Presented {
    fn look_up_pk(&self) -> String {
        match self {
            Self::Key(hash) => keys::key_lookup_pk(hash),
            Self::Session(session) => keys::login_lookup_pk(&session.subject),
        }
    }

    /// Whose they are. Noted as soon as it is known, for whoever is refused later on.
    fn owner(&self, lookups: &[Item], seen: &mut Seen) -> Result<UserId, AdminError> {
        match self {
            Self::Key(_) => {
                let owner = auth::key_owner(lookups).map_err(StoreError::from)?;
                let owner = owner.ok_or(AdminError::Refused(Refusal::InvalidKey))?;
                let (user_id, key_id) = (Some(owner.user_id), Some(owner.key_id));
                seen.presented(Method::ApiKey, Principal { user_id, key_id, ..Principal::default() });
                if owner.revoked { Err(AdminError::Refused(Refusal::InvalidKey)) } else { Ok(owner.user_id) }
            }
            Self::Session(session) => {
                let user_id = auth::login_owner(lookups).map_err(StoreError::from)?;
                seen.presented(Method::Session, session_of(session, user_id));
                // Whom no event has named yet is counted all the same, and found to be no admin.
                Ok(user_id.unwrap_or_else(|| clerk::derived(&session.subject)))
            }
        }
    }

    const fn of_deactivated(&self) -> Refusal {
        match self {
            Self::Key(_) => Refusal::InvalidKey,
            Self::Session(_) => Refusal::InvalidToken,
        }
    }

    /// Whether a session says itself that it is none of an admin, or is one of another user by now.
    fn contradicts(&self, clerk_user_id: &ClerkUserId) -> bool {
        match self {
            Self::Key(_) => false,
            Self::Session(session) => session.demoted || session.subject != *clerk_user_id,
        }
    }
}

/// Credentials that were looked up, and the generation they were found in.
pub(crate) struct LookedUp {
    presented: Presented,
    pub(crate) user_id: UserId,
    pub(crate) generation: Generation,
}

impl Identity {
    /// Finds out whose the credentials are, and which generation is live: one round trip to the store, two for the first
    /// request of an instance.
    pub(crate) async fn look_up(
        &self,
        asked: &Asked<'_>,
        header: Option<&[u8]>,
        seen: &mut Seen,
    ) -> Result<LookedUp, AdminError> {
        let presented = self.presented(header, asked.now).await?;
        // A session tells whose it is by itself, whatever becomes of the look-up.
        if let Presented::Session(session) = &presented {
            seen.presented(Method::Session, session_of(session, None));
        }
        let (lookups, generation) = look_up(asked, presented.look_up_pk()).await?;
        let user_id = presented.owner(&lookups, seen)?;
        Ok(LookedUp { presented, user_id, generation })
    }

    /// Finds out whether who asks may at all, and may now: one round trip. The limit is counted beside the reading
    /// of the user.
    pub(crate) async fn admit(
        &self,
        asked: &Asked<'_>,
        found: LookedUp,
        seen: &mut Seen,
    ) -> Result<(), AdminError> {
        let refused = AdminError::Refused;
        let LookedUp { presented, user_id, generation } = found;
        let reader = TableReader::of(asked.store, &generation, asked.usage);
        let key = keys::user(user_id);
        let user = reader.read(Reads::gets([key.clone()]).consistent());
        let counting = asked.limiter.count(asked.store, user_id, asked.now, asked.usage);
        let (found, judged) = futures::try_join!(user, counting)?;
        let user = Entity::load(found.items.get(&key)).map_err(StoreError::from)?;
        let asker = auth::asker(&user, presented.of_deactivated());
        if !matches!(asker, Err(Refusal::InvalidKey | Refusal::InvalidToken)) {
            seen.authenticated(&judged);
        }
        let asker = asker.map_err(refused)?;
        seen.is_user(&asker.clerk_user_id);
        if presented.contradicts(&asker.clerk_user_id) {
            return Err(refused(Refusal::NotAdmin));
        }
        auth::admit(self.roles.role(&asker).await?.as_deref()).map_err(refused)?;
        match judged {
            Judged::Full { retry_after, .. } => Err(AdminError::RateLimited { retry_after }),
            Judged::Open(_) | Judged::Unprepared => Ok(()),
        }
    }

    /// Whether roles are those of the projections.
    pub(crate) const fn has_projected_roles(&self) -> bool {
        matches!(self.roles, Roles::Projection)
    }

    async fn presented(&self, header: Option<&[u8]>, now: Timestamp) -> Result<Presented, AdminError> {
        let refused = AdminError::Refused;
        let token = match Credentials::read(header).map_err(refused)? {
            Credentials::ApiKey(hash) => {
                return hash.map(Presented::Key).ok_or(refused(Refusal::InvalidKey));
            }
            Credentials::Session(token) => token,
        };
        let Some(sessions) = &self.sessions else { return Err(refused(Refusal::InvalidToken)) };
        sessions.verify(&token, now).await?.map(Presented::Session).map_err(|reason| {
            tracing::info!(%reason, "session token refused");
            refused(match reason {
                Refused::Expired => Refusal::Expired,
                Refused::Invalid(_) => Refusal::InvalidToken,
            })
        })
    }
}

/// Reads a look-up in the live generation.
async fn look_up(asked: &Asked<'_>, pk: String) -> Result<(Vec<Item>, Generation), AdminError> {
    let Asked { store, generations, usage, .. } = *asked;
    let range = Range { pk, limit: Some(1), ..Range::default() };
    let read = |generation: Generation| {
        let reads = Reads::ranges(vec![range.clone()]).consistent();
        async move { TableReader::of(store, &generation, usage).read(reads).await }
    };
    let (pointer, mut found) = generations.read_live(store, usage, read).await?;
    Ok((found.take_ranges(1).into_iter().flatten().collect(), pointer.live))
}
