//! Authentication and authorisation: from the `Authorization` header to an administrator, or to a refusal.
//!
//! 1. `Authenticator::verify`: are the credentials valid by themselves? An API key has its form, a session token its
//!    signature and claims.
//! 2. `Authenticator::look_up`: whose are they, and which generation of projections is live? One round trip.
//! 3. `Authenticator::admit`: is the user active, an administrator, and within the rate limits? One round trip.
//!
//! Everything is read strongly consistent on every request and nothing is cached, so that a deactivation and a revoked
//! key take effect at once (`docs/promises.md`). Each step returns what it found out of the caller, also when it
//! refuses them: the audit record of a refused request says whose credentials were presented.

mod backend;
mod jwks;
mod misconfigured;
mod provider;
mod roles;
mod session;

pub use crate::config::IdentityProviderSettings;
pub use crate::error::IdentityProviderError;
pub use backend::ClerkBackend;
pub use misconfigured::IdentityProviderMisconfigured;

use crate::error::AdminError;
use crate::guard::guarded;
use crate::limit::Limiter;
use crate::metrics::{self, MetricSet};
use crate::store::{Generation, Generations, Store, StoreError, TableReader, Usage};
use roles::RoleSource;
use session::SessionVerifier;
use tokio::time::Instant;
use torale_domain::access::credentials::{
    self, AccessRefusal, ApiKeyOwner, Caller, Credentials, MAX_KEY_LOOKUPS, SessionUser,
};
use torale_domain::access::rate_limits::{RateLimitDecision, RateLimitStatus, retry_after};
use torale_domain::access::session::{Session, TokenRefusal};
use torale_domain::audit::{AuthMethod, Principal};
use torale_domain::entities::linkage;
use torale_domain::projections::entity::Entity;
use torale_domain::projections::links;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys;
use torale_domain::storage::read::{Corrupt, Range, ReadPlan, Reader};
use torale_domain::values::ids::{ApiKeyHash, ApiKeyId, UserId};
use torale_domain::values::time::Timestamp;

/// Authenticates and authorises callers. One per function instance.
#[derive(Debug)]
pub struct Authenticator {
    sessions: Option<SessionVerifier>,
    roles: RoleSource,
}

/// What the steps need besides the credentials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuthRequest<'a> {
    pub(crate) store: &'a Store,
    pub(crate) generations: &'a Generations,
    pub(crate) limiter: &'a Limiter,
    pub(crate) now: Timestamp,
    pub(crate) deadline: Instant,
    pub(crate) usage: &'a Usage,
}

/// Who presented which kind of credentials, as far as it is known: what the audit record says of the caller.
#[derive(Debug, Clone)]
pub(crate) struct CallerIdentity {
    pub(crate) method: AuthMethod,
    pub(crate) principal: Principal,
}

/// Credentials that are valid by themselves.
#[derive(Debug)]
pub(crate) enum VerifiedCredentials {
    /// An API key, by its hash.
    Key(ApiKeyHash),
    /// A session.
    Session(Session),
}

/// Whose credentials are.
struct Owner {
    /// The user; of a session that logs in as nobody, the id under which its requests are counted.
    user_id: UserId,
    /// Whether the session logs in as nobody: there is neither a user nor an identity that stands in for one.
    is_nobody: bool,
    caller: CallerIdentity,
}

/// Whose credentials are, and the generation of projections that says so.
#[derive(Debug)]
pub(crate) struct CredentialLookup {
    credentials: VerifiedCredentials,
    pub(crate) user_id: UserId,
    is_nobody: bool,
    pub(crate) caller: CallerIdentity,
    pub(crate) generation: Generation,
}

/// Why a caller got no further than their credentials, and who they are as far as it is known.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) error: AdminError,
    pub(crate) caller: Option<Box<CallerIdentity>>,
}

impl Rejection {
    fn new(error: impl Into<AdminError>, caller: Option<CallerIdentity>) -> Self {
        Self { error: error.into(), caller: caller.map(Box::new) }
    }
}

impl From<AdminError> for Rejection {
    fn from(error: AdminError) -> Self {
        Self::new(error, None)
    }
}

/// The result of admission.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) caller: CallerIdentity,
    /// Whether the credentials are good, whatever the verdict.
    pub(crate) authenticated: bool,
    /// The state of the user's rate limits, if the credentials are good.
    pub(crate) rate_limit: Option<RateLimitStatus>,
    /// Whether the request may be answered.
    pub(crate) verdict: Result<(), AdminError>,
}

impl Admission {
    /// The caller is not authenticated, or it could not be found out whether they are.
    pub(crate) const fn unauthenticated(caller: CallerIdentity, error: AdminError) -> Self {
        Self { caller, authenticated: false, rate_limit: None, verdict: Err(error) }
    }
}

impl CallerIdentity {
    /// Who presented an API key: its user, unless it has several.
    fn of_key(key_id: ApiKeyId, user_id: Option<UserId>) -> Self {
        let principal = Principal { user_id, key_id: Some(key_id), ..Principal::default() };
        Self { method: AuthMethod::ApiKey, principal }
    }
}

/// Reports an API key whose hash belongs to keys of several users, so that somebody finds out which event gave it to a
/// stranger.
fn report_shared_key(key_id: &ApiKeyId, now: Timestamp) {
    tracing::warn!(key = key_id.as_str(), "API key refused: keys of several users have its hash");
    let metrics = vec![("SharedApiKeys", "Count", 1)];
    metrics::emit(&[MetricSet { namespace: "Torale/Access", metrics }], now);
}

/// The principal of a session: of the user whom it logs in, once that is known.
fn session_principal(session: &Session, user_id: Option<UserId>) -> Principal {
    let (clerk_user_id, impersonator) = (Some(session.subject.clone()), session.impersonator.clone());
    Principal { user_id, clerk_user_id, key_id: None, impersonator }
}

impl VerifiedCredentials {
    /// Who presents the credentials, as far as these say it themselves: a session names its user at the identity
    /// provider, an API key names nobody.
    pub(crate) fn caller(&self) -> Option<CallerIdentity> {
        match self {
            Self::Key(_) => None,
            Self::Session(session) => {
                let principal = session_principal(session, None);
                Some(CallerIdentity { method: AuthMethod::Session, principal })
            }
        }
    }

    /// What says whose the credentials are: a bounded number of items, in one round trip.
    fn look_up_reads(&self) -> ReadPlan {
        match self {
            Self::Key(hash) => {
                let (pk, limit) = (keys::key_lookup_pk(hash), Some(MAX_KEY_LOOKUPS));
                ReadPlan::ranges(vec![Range { pk, limit, ..Range::default() }]).consistent()
            }
            Self::Session(session) => links::login_reads(&session.subject),
        }
    }

    /// Whose the credentials are, by their rows.
    fn owner(&self, rows: &[Item], now: Timestamp) -> Result<Owner, Rejection> {
        let unreadable = |corrupt: Corrupt| Rejection::new(StoreError::from(corrupt), self.caller());
        match self {
            Self::Key(_) => {
                let invalid = AdminError::Refused(AccessRefusal::InvalidKey);
                let (key_id, user_id) = match credentials::key_owner(rows).map_err(unreadable)? {
                    None => return Err(invalid.into()),
                    Some(ApiKeyOwner::User { key_id, user_id }) => {
                        let caller = CallerIdentity::of_key(key_id, Some(user_id));
                        return Ok(Owner { user_id, is_nobody: false, caller });
                    }
                    Some(ApiKeyOwner::Revoked { key_id, user_id }) => (key_id, user_id),
                    Some(ApiKeyOwner::Shared { key_id }) => {
                        report_shared_key(&key_id, now);
                        (key_id, None)
                    }
                };
                Err(Rejection::new(invalid, Some(CallerIdentity::of_key(key_id, user_id))))
            }
            Self::Session(session) => {
                let login = credentials::login(&session.subject, rows).map_err(unreadable)?;
                let user_id = match login {
                    SessionUser::As(user_id) => Some(user_id),
                    SessionUser::Nobody | SessionUser::Deleted => None,
                };
                let principal = session_principal(session, user_id);
                let caller = CallerIdentity { method: AuthMethod::Session, principal };
                if login == SessionUser::Deleted {
                    let refusal = AdminError::Refused(AccessRefusal::InvalidToken);
                    return Err(Rejection::new(refusal, Some(caller)));
                }
                // Whoever is authenticated is counted, and is then found to be no administrator.
                let counted_as = user_id.unwrap_or_else(|| linkage::derived(&session.subject));
                Ok(Owner { user_id: counted_as, is_nobody: user_id.is_none(), caller })
            }
        }
    }

    /// How the credentials of a deactivated user are refused.
    const fn refusal_if_deactivated(&self) -> AccessRefusal {
        match self {
            Self::Key(_) => AccessRefusal::InvalidKey,
            Self::Session(_) => AccessRefusal::InvalidToken,
        }
    }

    /// Whether a session's token says that its user is no administrator, whatever the projections say.
    const fn demotes(&self) -> bool {
        match self {
            Self::Key(_) => false,
            Self::Session(session) => session.demoted,
        }
    }

    /// The identity at the provider that presents the credentials: of a session its own, of an API key that of its
    /// user.
    fn identity_of(&self, user: Caller) -> Caller {
        match self {
            Self::Key(_) => user,
            Self::Session(session) => Caller { clerk_user_id: session.subject.clone(), ..user },
        }
    }
}

impl Authenticator {
    /// Authenticates and authorises as these settings say.
    ///
    /// # Errors
    /// If the settings are invalid.
    pub fn new(settings: &IdentityProviderSettings) -> Result<Self, IdentityProviderMisconfigured> {
        Ok(Self { sessions: SessionVerifier::new(settings)?, roles: RoleSource::new(settings)? })
    }

    /// Whether a user's role is the one in the projections.
    pub(crate) const fn uses_projected_roles(&self) -> bool {
        matches!(self.roles, RoleSource::Projection)
    }

    /// Verifies the credentials of an `Authorization` header. Nothing is read from the store; the key set of the
    /// identity provider may be fetched.
    pub(crate) async fn verify(
        &self,
        header: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<VerifiedCredentials, AdminError> {
        let refused = AdminError::Refused;
        let token = match Credentials::read(header).map_err(refused)? {
            Credentials::ApiKey(hash) => {
                let hash = hash.ok_or(refused(AccessRefusal::InvalidKey))?;
                return Ok(VerifiedCredentials::Key(hash));
            }
            Credentials::Session(token) => token,
        };
        let Some(sessions) = &self.sessions else { return Err(refused(AccessRefusal::InvalidToken)) };
        sessions.verify(&token, now).await?.map(VerifiedCredentials::Session).map_err(|reason| {
            tracing::info!(%reason, "session token refused");
            refused(match reason {
                TokenRefusal::Expired => AccessRefusal::Expired,
                TokenRefusal::Invalid(_) => AccessRefusal::InvalidToken,
            })
        })
    }

    /// Finds out whose the credentials are, and which generation is live: one round trip to the store, two for the
    /// first request of an instance.
    pub(crate) async fn look_up(
        &self,
        auth: &AuthRequest<'_>,
        credentials: VerifiedCredentials,
    ) -> Result<CredentialLookup, Rejection> {
        let rows = guarded(auth.deadline, read_look_up(auth, credentials.look_up_reads())).await;
        let (rows, generation) = rows.map_err(|error| Rejection::new(error, credentials.caller()))?;
        let Owner { user_id, is_nobody, caller } = credentials.owner(&rows, auth.now)?;
        Ok(CredentialLookup { credentials, user_id, is_nobody, caller, generation })
    }

    /// Finds out whether the caller may be answered: one round trip to the store. The request is counted against the
    /// rate limits while the user is being read.
    pub(crate) async fn admit(&self, auth: &AuthRequest<'_>, lookup: &CredentialLookup) -> Admission {
        let unauthenticated = |error| Admission::unauthenticated(lookup.caller.clone(), error);
        let (user, decision) = match guarded(auth.deadline, read_and_count(auth, lookup)).await {
            Ok(found) => found,
            Err(error) => return unauthenticated(error),
        };
        let caller = match lookup.is_nobody {
            true => Err(AccessRefusal::NotAdmin),
            false => credentials::caller(&user, lookup.credentials.refusal_if_deactivated()),
        };
        let caller = caller.map(|user| lookup.credentials.identity_of(user));
        if let Err(refusal @ (AccessRefusal::InvalidKey | AccessRefusal::InvalidToken)) = caller {
            return unauthenticated(AdminError::Refused(refusal));
        }
        let mut identity = lookup.caller.clone();
        if let Ok(caller) = &caller {
            identity.principal.clerk_user_id = Some(caller.clerk_user_id.clone());
        }
        let rate_limit = match &decision {
            RateLimitDecision::Open(status) | RateLimitDecision::Full { status, .. } => Some(*status),
            RateLimitDecision::Unprepared => None,
        };
        // Whoever is authenticated is limited, an admin or not: 429 comes before 403.
        let verdict = if let RateLimitDecision::Full { opens_at, .. } = decision {
            Err(AdminError::RateLimited { retry_after: retry_after(opens_at, auth.now) })
        } else {
            guarded(auth.deadline, self.authorise(&lookup.credentials, caller)).await
        };
        Admission { caller: identity, authenticated: true, rate_limit, verdict }
    }

    /// Whether the caller is an administrator.
    async fn authorise(
        &self,
        credentials: &VerifiedCredentials,
        caller: Result<Caller, AccessRefusal>,
    ) -> Result<(), AdminError> {
        let caller = caller.map_err(AdminError::Refused)?;
        if credentials.demotes() {
            return Err(AdminError::Refused(AccessRefusal::NotAdmin));
        }
        credentials::require_admin(self.roles.role(&caller).await?.as_deref()).map_err(AdminError::Refused)
    }
}

/// Reads what says whose credentials are, in the live generation.
async fn read_look_up(
    auth: &AuthRequest<'_>,
    reads: ReadPlan,
) -> Result<(Vec<Item>, Generation), StoreError> {
    let AuthRequest { store, generations, usage, .. } = *auth;
    let read = |generation: Generation| {
        let reads = reads.clone();
        async move { TableReader::of(store, &generation, usage).read(reads).await }
    };
    let (pointer, found) = generations.read_live(store, usage, read).await?;
    Ok((found.items.into_values().chain(found.ranges.into_iter().flatten()).collect(), pointer.live))
}

/// Reads the user and counts the request, in parallel.
async fn read_and_count(
    auth: &AuthRequest<'_>,
    lookup: &CredentialLookup,
) -> Result<(Entity, RateLimitDecision), StoreError> {
    let reader = TableReader::of(auth.store, &lookup.generation, auth.usage);
    let key = keys::user(lookup.user_id);
    let user = reader.read(ReadPlan::gets([key.clone()]).consistent());
    let decision = auth.limiter.count(auth.store, lookup.user_id, auth.now, auth.usage);
    let (found, decision) = futures::try_join!(user, decision)?;
    Ok((Entity::load(found.items.get(&key))?, decision))
}
