//! GET /admin/users/{id}: one user with their API keys and their deactivation, and which events say so
//! (docs/contract/http.md, "GET /admin/users/{id}").

use super::history::{HistoryEntry, history};
use super::referenced_entities::{keys_of, read_listed};
use super::users::{self, ActivityCuts, UserRow};
use crate::deactivation::causes::{
    DeactivationSource, PendingCause, RequestedDeactivation, deactivation_source, pending_causes,
};
use crate::deactivation::outbox::{OutboxRows, StoredOutboxEntry};
use crate::entities::fold::Register;
use crate::entities::linkage;
use crate::entities::readings::{ApiKey, User};
use crate::projections::entity::Entity;
use crate::requests::parameters::{ParameterReader, QueryParameters};
use crate::storage::item::Item;
use crate::storage::keys;
use crate::storage::read::{Corrupt, ReadPlan, ReadResult, Reader};
use crate::values::ids::{ApiKeyId, UserId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct UserParameters {
    #[serde(skip)]
    id: UserId,
}

impl QueryParameters for UserParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let id = params.path_id("The user.", UserId::parse);
        // Without an id there is a fault, and the value does not count.
        Self { id: id.unwrap_or(UserId(Uuid::nil())) }
    }

    fn target(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserDetail {
    /// What the list of users shows of them.
    #[serde(flatten)]
    pub row: UserRow,
    /// Their role; null if they have none.
    pub role: Option<String>,
    /// Their API keys, revoked ones too, newest first.
    pub api_keys: Vec<ApiKeyRow>,
    /// Their deactivation; null while they are active.
    pub deactivation: Option<DeactivationDetail>,
    /// Which events say so.
    pub history: Vec<HistoryEntry>,
}

/// One API key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApiKeyRow {
    /// The id of the key.
    pub key_id: ApiKeyId,
    /// The beginning of the key's text, as it was sent.
    pub key_prefix: String,
    /// Its name; null if it has none.
    pub name: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether it was revoked.
    pub revoked: bool,
    /// When it last authenticated a request, to the minute; null if it never did.
    pub last_used_at: Option<Timestamp>,
}

/// The deactivation of a user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserDeactivation")]
pub struct DeactivationDetail {
    /// The time of the event that says so.
    pub at: Timestamp,
    /// Who deactivated the user; null if the event does not say.
    pub by: Option<String>,
    /// The number of their tasks that were active at the last request for a deactivation; null if
    /// there was none.
    pub tasks_paused: Option<i128>,
    /// The number of commands of the deactivation that are not on the queue yet.
    pub commands_pending: usize,
}

/// The fields that the event of each register decides.
const DECIDES: &[(Register, &[&str])] = &[
    (Register::Created, &["clerk_user_id", "created_at"]),
    (Register::Email, &["email"]),
    (Register::Role, &["role"]),
    (Register::State, &["state"]),
    (Register::LastLogin, &["last_login"]),
];
/// The attribute with the time of the last use of a key.
const USED_AT: &str = "at";

/// Three round trips, one more while commands of a deactivation wait; strongly consistent. `control`
/// reads the control table. `None` if no event has created the user.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    control: &R,
    request: &UserParameters,
    now: Timestamp,
) -> Result<Option<UserDetail>, R::Error> {
    let (id, cuts) = (request.id, ActivityCuts::at(now));
    let plan = ReadPlan::ranges(vec![keys::user_keys(id).into(), cuts.range(id)]);
    let mut found = reader.read(plan.consistent()).await?;
    let key_rows: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let items: Vec<Item> = found.ranges.into_iter().flatten().collect();
    let Some(row) = users::row(id, &items, &cuts)? else { return Ok(None) };
    let entity = Entity::load(items.iter().find(|item| item.key == keys::user(id)))?;
    let (own, linked) = (&entity.state, &entity.linkage.linked);
    let user = User::of(own, linked);

    let mut api_keys = read_keys(reader, id, &key_rows).await?;
    let deactivated = deactivation_source(id, &user);
    let causes = deactivated.as_ref().map(|_| pending_causes(id, &entity, None));
    let found = control.read(control_reads(id, &api_keys, causes.as_ref())).await?;
    for key in &mut api_keys {
        let used = found.items.get(&keys::key_used(&key.key_id)).map(|item| item.number(USED_AT));
        let used = used.and_then(|at| i64::try_from(at).ok()).map(Timestamp::from_millis);
        key.last_used_at = used.map(Timestamp::floor_to_minute);
    }
    let deactivation = match deactivated {
        Some(by) => Some(read_deactivation(reader, control, (id, &entity), &by, found).await?),
        None => None,
    };
    let role = user.role.map(str::to_owned);
    let history = history(|register| linkage::winner(own, linked, register), DECIDES);
    Ok(Some(UserDetail { row, role, api_keys, deactivation, history }))
}

/// The API keys that some rows stand for, newest first: one round trip; none without rows.
async fn read_keys<R: Reader>(reader: &R, user: UserId, rows: &[Item]) -> Result<Vec<ApiKeyRow>, R::Error> {
    let keys = read_listed(reader, &keys_of(rows), |entity| key_row(user, entity)).await?;
    let mut all: Vec<ApiKeyRow> = keys.into_iter().map(|(_, key)| key).collect();
    all.sort_by(|a, b| (b.created_at, &b.key_id).cmp(&(a.created_at, &a.key_id)));
    Ok(all)
}

/// The row of an API key; `None` if it has become another user's since its row was read.
fn key_row(user: UserId, entity: &Entity) -> Option<ApiKeyRow> {
    let ApiKey { created, revoked, .. } = ApiKey::of(&entity.state);
    let created = created.filter(|created| created.user_id == user)?;
    Some(ApiKeyRow {
        key_id: created.key_id.clone(),
        key_prefix: created.key_prefix.as_str().to_owned(),
        name: created.name.as_ref().map(|name| name.as_str().to_owned()),
        created_at: entity.state.winner(Register::Created)?.time,
        revoked,
        last_used_at: None,
    })
}

/// The use of each key and, of a deactivated user, the last request for it and its commands that wait.
fn control_reads(
    user: UserId,
    api_keys: &[ApiKeyRow],
    deactivated: Option<&BTreeSet<PendingCause>>,
) -> ReadPlan {
    let used = api_keys.iter().map(|key| keys::key_used(&key.key_id));
    let requested = deactivated.map(|_| keys::deactivation(user));
    let waiting = deactivated.into_iter().flatten().map(|cause| keys::outbox_of(&cause.id).into());
    ReadPlan { ranges: waiting.collect(), ..ReadPlan::gets(used.chain(requested)).consistent() }
}

async fn read_deactivation<R: Reader>(
    reader: &R,
    control: &R,
    (user, entity): (UserId, &Entity),
    deactivated: &DeactivationSource,
    mut found: ReadResult,
) -> Result<DeactivationDetail, R::Error> {
    let requested = found.items.remove(&keys::deactivation(user));
    let requested = requested.as_ref().map(RequestedDeactivation::load).transpose()?;
    let mut waiting: Vec<Item> = found.ranges.into_iter().flatten().collect();
    let mut causes: BTreeSet<String> =
        pending_causes(user, entity, None).into_iter().map(|cause| cause.id).collect();
    // Something else has deactivated the user again: the commands name the request.
    if let Some(other) = requested.as_ref().filter(|requested| causes.insert(requested.event.clone())) {
        let plan = ReadPlan::ranges(vec![keys::outbox_of(&other.event).into()]).consistent();
        waiting.extend(control.read(plan).await?.ranges.into_iter().flatten());
    }
    let entries = waiting.iter().map(StoredOutboxEntry::load).collect::<Result<Vec<_>, Corrupt>>()?;
    let entries = entries.iter().filter(|entry| causes.contains(&entry.entry.cause.event));
    Ok(DeactivationDetail {
        at: deactivated.at,
        by: deactivated.by.clone(),
        tasks_paused: requested.as_ref().map(|requested| requested.tasks),
        commands_pending: commands_of(reader, entries).await?,
    })
}

/// How many commands some outbox entries still stand for: one round trip for each entry that stops a
/// whole user.
async fn commands_of<R: Reader>(
    reader: &R,
    entries: impl Iterator<Item = &StoredOutboxEntry>,
) -> Result<usize, R::Error> {
    let mut commands = 0;
    for entry in entries {
        let rest = entry.rest();
        let found = if rest.is_empty() { ReadResult::default() } else { reader.read(rest).await? };
        commands += entry.commands(&OutboxRows::new(found))?;
    }
    Ok(commands)
}
