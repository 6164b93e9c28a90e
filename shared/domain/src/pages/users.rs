//! GET /admin/users: one page of users with their activity (docs/contract/http.md, "GET
//! /admin/users").

use super::list_parameters::LIMIT;
use super::listing::{ListRequest, RowContent, each_once};
use super::user_search;
use crate::entities::readings::User;
use crate::projections::entity::Entity;
use crate::projections::user_day::{self, UserActivity};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters, RecordedText};
use crate::storage::item::Item;
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::{Corrupt, Range, ReadPlan, Reader};
use crate::values::ids::UserId;
use crate::values::time::{DAY, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Serialize)]
pub struct UsersParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<RecordedText>,
    active_only: bool,
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for UsersParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let about = "Only users whose email begins with this text, without regard to case; by email.";
        let q = params.text("q", about, EMAIL_CHARS);
        let active_only = params.flag("active_only", "Whether only active users are listed.");
        let page = params.page(&LIMIT);
        Self { q, active_only, page }
    }
}

/// The most characters of the text to search for.
const EMAIL_CHARS: usize = 320;

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsersPage {
    /// The users on the page, newest first.
    pub users: Vec<UserRow>,
    /// Users on all pages; of a search at most 1,000.
    pub total: i128,
    /// Whether a search has more matches than it counts; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub total_capped: Option<bool>,
    /// The number of the page, as requested.
    pub page: u64,
    /// The number of rows on a page, as requested.
    pub limit: u64,
}

/// One user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserRow {
    /// The id of the user.
    pub id: UserId,
    /// Their email; null while no event has said it.
    pub email: Option<String>,
    /// The id of the user at the identity provider.
    pub clerk_user_id: String,
    /// Whether they may use the platform.
    pub state: UserState,
    /// The number of their tasks that are not deleted.
    pub tasks_count: i128,
    /// The number of their active tasks.
    pub active_tasks_count: i128,
    /// The number of their executions in the last 24 hours, from the start of that hour.
    pub executions_24h: i128,
    /// The number of notifications to them in the last 7 days, from the start of that hour.
    pub notifications_7d: i128,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When they logged in last; null before the first login.
    pub last_login: Option<Timestamp>,
}

/// Whether a user may use the platform.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum UserState {
    /// The user may use the platform.
    Active,
    /// The user may not use the platform.
    Deactivated,
}

/// Two round trips for a search and near the top, at most four anywhere else, and there one more while rows move;
/// strongly consistent, so that a deactivation shows as soon as it was answered.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &UsersParameters,
    now: Timestamp,
) -> Result<UsersPage, R::Error> {
    let cuts = ActivityCuts::at(now);
    let (page, limit) = (query.page.page, query.page.limit);
    if let Some(q) = &query.q {
        let matches = user_search::read(reader, &q.text, query.active_only, query.page).await?;
        let users = read_users(reader, &matches.users, &cuts, query).await?;
        let total = i128::try_from(matches.total).unwrap_or(i128::MAX);
        return Ok(UsersPage { users, total, total_capped: Some(matches.capped), page, limit });
    }
    let request = ListRequest {
        list: Index::Users.into(),
        partitions: if query.active_only {
            &[StatusPartition::Active]
        } else {
            &[StatusPartition::Active, StatusPartition::Inactive]
        },
        since: None,
        now,
        page: query.page,
        consistent: true,
        rows: RowContent::References(&[]),
    };
    let listed = request.read(reader).await?;
    let id = |row: &Item| keys::row_user(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no user"));
    let ids = listed.rows.iter().map(id).collect::<Result<Vec<_>, _>>()?;
    let users = read_users(reader, &each_once(ids), &cuts, query).await?;
    Ok(UsersPage { users, total: listed.total, total_capped: None, page, limit })
}

/// The hours from which on a user's activity is counted.
pub(super) struct ActivityCuts {
    executions: Timestamp,
    notifications: Timestamp,
}

impl ActivityCuts {
    /// The last 24 hours and the last 7 days, from the start of an hour.
    pub(super) const fn at(now: Timestamp) -> Self {
        Self { executions: now.plus(-DAY).floor_to_hour(), notifications: now.plus(-7 * DAY).floor_to_hour() }
    }

    /// The items of a user's partition that a row needs.
    pub(super) fn range(&self, id: UserId) -> Range {
        let (pk, from) = keys::user_since(id, self.notifications.day());
        Range { pk, from: Some(from), ..Range::default() }
    }
}

impl UsersParameters {
    /// Whether a user is wanted: one may have changed since the list was read.
    fn wants(&self, user: &UserRow) -> bool {
        let begins =
            |q: &RecordedText| user_search::finds(&q.text, user.email.as_deref().unwrap_or_default());
        (!self.active_only || matches!(user.state, UserState::Active)) && self.q.as_ref().is_none_or(begins)
    }
}

/// Reads the partition of each user, from the first day that is counted on: one round trip;
/// none without users. Those who are no longer wanted are left out.
async fn read_users<R: Reader>(
    reader: &R,
    ids: &[UserId],
    cuts: &ActivityCuts,
    query: &UsersParameters,
) -> Result<Vec<UserRow>, R::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ranges = ids.iter().map(|id| cuts.range(*id)).collect();
    let plan = ReadPlan::ranges(ranges).consistent();
    let found = reader.read(plan).await?;
    let users = ids.iter().zip(&found.ranges).map(|(id, items)| row(*id, items, cuts));
    let users = users.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    Ok(users.into_iter().filter(|user| query.wants(user)).collect())
}

/// The row of a user from the items of their partition; `None` if the user was removed since the
/// list was read.
pub(super) fn row(id: UserId, items: &[Item], cuts: &ActivityCuts) -> Result<Option<UserRow>, Corrupt> {
    let item = |key| items.iter().find(|item| item.key == key);
    let entity = Entity::load(item(keys::user(id)))?;
    let user = User::of(&entity.state, &entity.linkage.linked);
    let Some((clerk, created_at)) = user.clerk_user_id.zip(user.created_at) else { return Ok(None) };
    let totals = item(keys::user_totals(id));
    let total = |name| totals.map_or(0, |item| item.number(name));
    Ok(Some(UserRow {
        id,
        email: user.email.map(str::to_owned),
        clerk_user_id: clerk.as_str().to_owned(),
        state: if user.active { UserState::Active } else { UserState::Deactivated },
        tasks_count: total("tasks"),
        active_tasks_count: total("active"),
        executions_24h: user_day::count_since(items, UserActivity::ExecutionStarted, cuts.executions),
        notifications_7d: user_day::count_since(items, UserActivity::NotificationSent, cuts.notifications),
        created_at,
        last_login: user.last_login,
    }))
}
