//! Who asks: credentials to a principal, read strongly consistent on every request and never cached.

use crate::error::AdminError;
use crate::store::{GenerationReader, Generations, Store, StoreError, Usage};
use torale_domain::auth::{self, Credentials, KeyOwner, Refusal};
use torale_domain::commit::Entity;
use torale_domain::ids::KeyHash;
use torale_domain::keys;
use torale_domain::read::{Range, Reader, Reads};

/// An admin who may ask.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// The key it asks with.
    pub(crate) key: KeyOwner,
}

/// Finds out who asks, and which generation is live: two round trips.
pub(crate) async fn authenticate<'a>(
    store: &'a Store,
    generations: &Generations,
    header: Option<&[u8]>,
    usage: &'a Usage,
) -> Result<(Principal, GenerationReader<'a>), AdminError> {
    let refused = AdminError::Refused;
    let hash = match Credentials::read(header).map_err(refused)? {
        Credentials::ApiKey(hash) => hash.ok_or(AdminError::Refused(Refusal::InvalidKey))?,
        // Session tokens are verified here once the identity provider is connected.
        Credentials::Session(_) => return Err(AdminError::Refused(Refusal::InvalidToken)),
    };
    let (key, reader) = look_up(store, generations, &hash, usage).await?;
    let key = key.ok_or(AdminError::Refused(Refusal::InvalidKey))?;
    let user = keys::user(key.user_id);
    let found = reader.read(Reads::gets([user.clone()]).consistent()).await?;
    let user = Entity::load(found.items.get(&user)).map_err(StoreError::from)?;
    auth::admit(&user).map_err(refused)?;
    Ok((Principal { key }, reader))
}

/// Reads the key in the generation that was live last, while the pointer confirms that it still is.
async fn look_up<'a>(
    store: &'a Store,
    generations: &Generations,
    hash: &KeyHash,
    usage: &'a Usage,
) -> Result<(Option<KeyOwner>, GenerationReader<'a>), AdminError> {
    let range = || Range { pk: keys::key_lookup_pk(hash), limit: Some(1), ..Range::default() };
    let reads = || Reads::ranges(vec![range()]).consistent();
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
    let lookups = found.take_ranges(1).into_iter().flatten().collect::<Vec<_>>();
    Ok((auth::key_owner(&lookups).map_err(StoreError::from)?, reader))
}
