//! GET /admin/users: one page of users with their activity.

use super::listing::ListRequest;
use super::window::LIMIT;
use crate::entities::readings::User;
use crate::projections::entity::Entity;
use crate::projections::index::{self, Measure};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::item::Item;
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::{Corrupt, Range, ReadPlan, Reader};
use crate::values::ids::UserId;
use crate::values::time::{DAY, HOUR, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct UsersQuery {
    active_only: bool,
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for UsersQuery {
    fn read(params: &mut ParameterReader) -> Self {
        let active_only = params.flag("active_only", "Whether only active users are listed.");
        let page = params.page(&LIMIT);
        Self { active_only, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsersPage {
    /// The page, newest first.
    pub users: Vec<UserRow>,
    /// Users on all pages.
    pub total: i128,
    /// The page asked for.
    pub page: u64,
    /// Rows a page, as asked for.
    pub limit: u64,
}

/// One user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserRow {
    /// The user.
    pub id: UserId,
    /// Its email; null where no event has told it.
    pub email: Option<String>,
    /// The user at the identity provider.
    pub clerk_user_id: String,
    /// Whether it may use the platform.
    pub state: UserState,
    /// Its tasks that are not deleted.
    pub tasks_count: i128,
    /// Those of them that are active.
    pub active_tasks_count: i128,
    /// Its executions in the last 24 hours, from the start of that hour.
    pub executions_24h: i128,
    /// Notifications to it in the last 7 days, from the start of that hour.
    pub notifications_7d: i128,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it logged in last; null before the first time.
    pub last_login: Option<Timestamp>,
}

/// Whether a user may use the platform.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum UserState {
    /// It may.
    Active,
    /// It is barred.
    Deactivated,
}

/// Two round trips near the top, at most four anywhere else; strongly consistent, so that a user is seen as
/// deactivated from the moment it is.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &UsersQuery,
    now: Timestamp,
) -> Result<UsersPage, R::Error> {
    let listed = ListRequest {
        index: Index::Users,
        streams: if query.active_only {
            &[StatusPartition::Active]
        } else {
            &[StatusPartition::Active, StatusPartition::Inactive]
        },
        since: None,
        offset: query.page.offset(),
        rows: query.page.rows(),
        consistent: true,
    };
    let listed = listed.read(reader).await?;
    let cuts = Cuts {
        executions: now.plus(-DAY).floor_to_hour(),
        notifications: now.plus(-7 * DAY).floor_to_hour(),
    };
    let mut users = Vec::new();
    if !listed.rows.is_empty() {
        let ids = listed
            .rows
            .iter()
            .map(|row| keys::row_user(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no user")));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let since = |id: &UserId| keys::user_since(*id, cuts.notifications.day());
        let ranges =
            ids.iter().map(since).map(|(pk, from)| Range { pk, from: Some(from), ..Range::default() });
        let found = reader.read(ReadPlan::ranges(ranges.collect()).consistent()).await?;
        let rows = ids.iter().zip(&found.ranges).map(|(id, items)| row(*id, items, &cuts));
        users = rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    }
    Ok(UsersPage { users, total: listed.total, page: query.page.page, limit: query.page.limit })
}

struct Cuts {
    executions: Timestamp,
    notifications: Timestamp,
}

fn row(id: UserId, items: &[Item], cuts: &Cuts) -> Result<Option<UserRow>, Corrupt> {
    let of = |key| items.iter().find(|item| item.key == key);
    let entity = Entity::load(of(keys::user(id)))?;
    let user = User::of(&entity.state, &entity.linkage.linked);
    let Some((clerk, created_at)) = user.clerk_user_id.zip(user.created_at) else { return Ok(None) };
    let totals = of(keys::user_totals(id));
    let total = |name| totals.map_or(0, |item| item.number(name));
    Ok(Some(UserRow {
        id,
        email: user.email.map(str::to_owned),
        clerk_user_id: clerk.as_str().to_owned(),
        state: if user.active { UserState::Active } else { UserState::Deactivated },
        tasks_count: total("tasks"),
        active_tasks_count: total("active"),
        executions_24h: since(items, Measure::Executions, cuts.executions),
        notifications_7d: since(items, Measure::All, cuts.notifications),
        created_at,
        last_login: user.last_login,
    }))
}

/// The sum over a user's hours at or after a cut.
fn since(items: &[Item], measure: Measure, cut: Timestamp) -> i128 {
    let days = items.iter().filter_map(|item| Some((keys::parse_user_day(&item.key)?, item)));
    let hours = days.flat_map(|(day, item)| item.attributes.keys().map(move |name| (day, name, item)));
    hours
        .filter_map(|(day, name, item)| {
            let (slot, of) = index::parse_slot(name)?;
            (of == measure && day.start().plus(slot * HOUR) >= cut).then(|| item.number(name))
        })
        .sum()
}
