//! Who asks: credentials to a principal, read strongly consistent on every request and never cached.

mod jwks;
mod provider;
mod roles;
mod session;
mod settings;

use crate::error::AdminError;
use crate::limit::Limiter;
use crate::serve::Seen;
use crate::store::{GenerationReader, Generations, Store, StoreError, Usage};
pub use provider::Trouble;
use roles::Roles;
use session::Verifier;
pub use settings::{Misconfigured, Settings};
use torale_domain::auth::{self, Credentials, Refusal};
use torale_domain::commit::Entity;
use torale_domain::ids::{ClerkUserId, KeyHash, KeyId, UserId};
use torale_domain::item::Item;
use torale_domain::keys;
use torale_domain::limits::Judged;
use torale_domain::read::{Range, Reader, Reads};
use torale_domain::session::{Refused, Session};
use torale_domain::time::Timestamp;

/// An admin who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The user at the identity provider.
    pub clerk_user_id: ClerkUserId,
    /// What it asks with.
    pub method: Method,
    /// Who acts in the user's name, if another does: an id at the identity provider.
    pub impersonator: Option<String>,
}

/// What a principal authenticated with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// An API key.
    ApiKey {
        /// Its id.
        key_id: KeyId,
    },
    /// A session token.
    Session,
}

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

impl Presented {
    fn look_up_pk(&self) -> String {
        match self {
            Self::Key(hash) => keys::key_lookup_pk(hash),
            Self::Session(session) => keys::login_lookup_pk(&session.subject),
        }
    }

    /// Whose they are.
    fn owner(&self, lookups: &[Item]) -> Result<(UserId, Method), AdminError> {
        let found = match self {
            Self::Key(_) => auth::key_owner(lookups)
                .map(|owner| owner.map(|o| (o.user_id, Method::ApiKey { key_id: o.key_id }))),
            Self::Session(_) => auth::login_owner(lookups).map(|user| user.map(|id| (id, Method::Session))),
        };
        let unknown = match self {
            Self::Key(_) => Refusal::InvalidKey,
            Self::Session(_) => Refusal::NotAdmin,
        };
        found.map_err(StoreError::from)?.ok_or(AdminError::Refused(unknown))
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

    fn impersonator(self) -> Option<String> {
        match self {
            Self::Key(_) => None,
            Self::Session(session) => session.impersonator,
        }
    }
}

impl Identity {
    /// Finds out who asks, whether it may at all and whether it may now, and which generation is live: two round
    /// trips to the store. The limit is counted beside the reading of the user.
    pub(crate) async fn authenticate<'a>(
        &self,
        asked: &Asked<'a>,
        header: Option<&[u8]>,
        seen: &mut Seen,
    ) -> Result<GenerationReader<'a>, AdminError> {
        let refused = AdminError::Refused;
        let Asked { store, generations, limiter, now, usage } = *asked;
        let presented = self.presented(header, now).await?;
        let (lookups, reader) = look_up(store, generations, presented.look_up_pk(), usage).await?;
        let (user_id, method) = presented.owner(&lookups)?;
        let key = keys::user(user_id);
        let user = reader.read(Reads::gets([key.clone()]).consistent());
        let (found, judged) = futures::try_join!(user, limiter.count(store, user_id, now, usage))?;
        let user = Entity::load(found.items.get(&key)).map_err(StoreError::from)?;
        let asker = auth::asker(&user, presented.of_deactivated());
        if !matches!(asker, Err(Refusal::InvalidKey | Refusal::InvalidToken)) {
            seen.authenticated(user_id, &method, &judged);
        }
        let asker = asker.map_err(refused)?;
        if presented.contradicts(&asker.clerk_user_id) {
            return Err(refused(Refusal::NotAdmin));
        }
        auth::admit(self.roles.role(&asker).await?.as_deref()).map_err(refused)?;
        let impersonator = presented.impersonator();
        seen.principal =
            Some(Principal { user_id, clerk_user_id: asker.clerk_user_id, method, impersonator });
        match judged {
            Judged::Full { retry_after, .. } => Err(AdminError::RateLimited { retry_after }),
            Judged::Open(_) | Judged::Unprepared => Ok(reader),
        }
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

/// Reads a look-up in the generation that was live last, while the pointer confirms that it still is.
async fn look_up<'a>(
    store: &'a Store,
    generations: &Generations,
    pk: String,
    usage: &'a Usage,
) -> Result<(Vec<Item>, GenerationReader<'a>), AdminError> {
    let range = Range { pk, limit: Some(1), ..Range::default() };
    let reads = || Reads::ranges(vec![range.clone()]).consistent();
    let guess = match generations.seen() {
        Some(seen) => seen,
        None => generations.read(store, usage).await?,
    };
    let mut reader = GenerationReader::new(store, guess, usage);
    let (live, mut found) = futures::try_join!(generations.read(store, usage), reader.read(reads()))?;
    if live != *reader.generation() {
        reader = GenerationReader::new(store, live, usage);
        found = reader.read(reads()).await?;
    }
    Ok((found.take_ranges(1).into_iter().flatten().collect(), reader))
}
