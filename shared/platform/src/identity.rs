//! Who asks: credentials to a principal, read strongly consistent on every request and never cached.

mod backend;
mod jwks;
mod provider;
mod roles;
mod session;
mod settings;

use crate::error::AdminError;
use crate::limit::Limiter;
use crate::serve::AuthContext;
use crate::store::{Generation, Generations, Store, StoreError, TableReader, Usage};
pub use backend::ClerkBackend;
pub use provider::IdentityProviderError;
use roles::RoleSource;
use session::SessionVerifier;
pub use settings::{IdentityMisconfigured, IdentitySettings};
use torale_domain::access::credentials::{self, AccessRefusal, Credentials};
use torale_domain::access::rate_limits::RateLimitDecision;
use torale_domain::access::session::{Session, TokenRefusal};
use torale_domain::audit::{AuthMethod, Principal};
use torale_domain::events::clerk;
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys;
use torale_domain::storage::read::{Range, ReadPlan, Reader};
use torale_domain::values::ids::{ClerkUserId, KeyHash, UserId};
use torale_domain::values::time::Timestamp;

/// What tells who asks; made once for an instance by [`Identity::new`].
#[derive(Debug)]
pub struct Identity {
    sessions: Option<SessionVerifier>,
    roles: RoleSource,
}

/// A request as far as it concerns who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuthRequest<'a> {
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
    fn owner(&self, lookups: &[Item], seen: &mut AuthContext) -> Result<UserId, AdminError> {
        match self {
            Self::Key(_) => {
                let owner = credentials::key_owner(lookups).map_err(StoreError::from)?;
                let owner = owner.ok_or(AdminError::Refused(AccessRefusal::InvalidKey))?;
                let (user_id, key_id) = (Some(owner.user_id), Some(owner.key_id));
                seen.presented(AuthMethod::ApiKey, Principal { user_id, key_id, ..Principal::default() });
                if owner.revoked {
                    Err(AdminError::Refused(AccessRefusal::InvalidKey))
                } else {
                    Ok(owner.user_id)
                }
            }
            Self::Session(session) => {
                let user_id = credentials::login_owner(lookups).map_err(StoreError::from)?;
                seen.presented(AuthMethod::Session, session_of(session, user_id));
                // Whom no event has named yet is counted all the same, and found to be no admin.
                Ok(user_id.unwrap_or_else(|| clerk::derived(&session.subject)))
            }
        }
    }

    const fn of_deactivated(&self) -> AccessRefusal {
        match self {
            Self::Key(_) => AccessRefusal::InvalidKey,
            Self::Session(_) => AccessRefusal::InvalidToken,
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
pub(crate) struct CredentialLookup {
    presented: Presented,
    pub(crate) user_id: UserId,
    pub(crate) generation: Generation,
}

impl Identity {
    /// Finds out whose the credentials are, and which generation is live: one round trip to the store, two for the first
    /// request of an instance.
    pub(crate) async fn look_up(
        &self,
        asked: &AuthRequest<'_>,
        header: Option<&[u8]>,
        seen: &mut AuthContext,
    ) -> Result<CredentialLookup, AdminError> {
        let presented = self.presented(header, asked.now).await?;
        // A session tells whose it is by itself, whatever becomes of the look-up.
        if let Presented::Session(session) = &presented {
            seen.presented(AuthMethod::Session, session_of(session, None));
        }
        let (lookups, generation) = look_up(asked, presented.look_up_pk()).await?;
        let user_id = presented.owner(&lookups, seen)?;
        Ok(CredentialLookup { presented, user_id, generation })
    }

    /// Finds out whether who asks may at all, and may now: one round trip. The limit is counted beside the reading
    /// of the user.
    pub(crate) async fn admit(
        &self,
        asked: &AuthRequest<'_>,
        found: CredentialLookup,
        seen: &mut AuthContext,
    ) -> Result<(), AdminError> {
        let refused = AdminError::Refused;
        let CredentialLookup { presented, user_id, generation } = found;
        let reader = TableReader::of(asked.store, &generation, asked.usage);
        let key = keys::user(user_id);
        let user = reader.read(ReadPlan::gets([key.clone()]).consistent());
        let counting = asked.limiter.count(asked.store, user_id, asked.now, asked.usage);
        let (found, judged) = futures::try_join!(user, counting)?;
        let user = Entity::load(found.items.get(&key)).map_err(StoreError::from)?;
        let caller = credentials::caller(&user, presented.of_deactivated());
        if !matches!(caller, Err(AccessRefusal::InvalidKey | AccessRefusal::InvalidToken)) {
            seen.authenticated(&judged);
        }
        let caller = caller.map_err(refused)?;
        seen.is_user(&caller.clerk_user_id);
        if presented.contradicts(&caller.clerk_user_id) {
            return Err(refused(AccessRefusal::NotAdmin));
        }
        credentials::require_admin(self.roles.role(&caller).await?.as_deref()).map_err(refused)?;
        match judged {
            RateLimitDecision::Full { retry_after, .. } => Err(AdminError::RateLimited { retry_after }),
            RateLimitDecision::Open(_) | RateLimitDecision::Unprepared => Ok(()),
        }
    }

    /// Whether roles are those of the projections.
    pub(crate) const fn has_projected_roles(&self) -> bool {
        matches!(self.roles, RoleSource::Projection)
    }

    async fn presented(&self, header: Option<&[u8]>, now: Timestamp) -> Result<Presented, AdminError> {
        let refused = AdminError::Refused;
        let token = match Credentials::read(header).map_err(refused)? {
            Credentials::ApiKey(hash) => {
                return hash.map(Presented::Key).ok_or(refused(AccessRefusal::InvalidKey));
            }
            Credentials::Session(token) => token,
        };
        let Some(sessions) = &self.sessions else { return Err(refused(AccessRefusal::InvalidToken)) };
        sessions.verify(&token, now).await?.map(Presented::Session).map_err(|reason| {
            tracing::info!(%reason, "session token refused");
            refused(match reason {
                TokenRefusal::Expired => AccessRefusal::Expired,
                TokenRefusal::Invalid(_) => AccessRefusal::InvalidToken,
            })
        })
    }
}

/// Reads a look-up in the live generation.
async fn look_up(asked: &AuthRequest<'_>, pk: String) -> Result<(Vec<Item>, Generation), AdminError> {
    let AuthRequest { store, generations, usage, .. } = *asked;
    let range = Range { pk, limit: Some(1), ..Range::default() };
    let read = |generation: Generation| {
        let reads = ReadPlan::ranges(vec![range.clone()]).consistent();
        async move { TableReader::of(store, &generation, usage).read(reads).await }
    };
    let (pointer, mut found) = generations.read_live(store, usage, read).await?;
    Ok((found.take_ranges(1).into_iter().flatten().collect(), pointer.live))
}
