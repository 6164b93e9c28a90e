//! Pages: which items answer a request, and what the answer is. One file an endpoint.
//!
//! Each `answer` awaits its reader once a round trip, so its cost can be counted by eye.

pub mod audit;
pub mod errors;
pub mod executions;
mod listing;
pub mod metrics;
pub mod queries;
pub mod schedules;
pub mod stats;
pub mod users;
pub mod workflows;

use crate::commit::Entity;
use crate::entities::{Task, User};
use crate::fold::EntityKey;
use crate::ids::{TaskId, UserId};
use crate::index::{Sums, Timeline};
use crate::item::{Item, Key};
use crate::keys;
use crate::params::Integer;
use crate::read::{Corrupt, Reader, Reads};
use crate::time::{HOUR, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{BTreeSet, HashMap};

/// How far back a list reaches: a year at most.
const HOURS: Integer = Integer {
    name: "hours",
    about: "How many hours the list reaches back, from the start of that minute.",
    min: 1,
    max: 8760,
    default: 24,
};
/// Rows a page.
const LIMIT: Integer =
    Integer { name: "limit", about: "Rows a page, at most.", min: 1, max: 100, default: 50 };

/// The sums of a window over an index, from the nodes that were read of it.
fn window(nodes: &[Vec<Item>], since: Option<Timestamp>) -> Sums {
    let mut timeline = Timeline::since(since);
    timeline.add(nodes.iter().flatten());
    timeline.total()
}

/// The start of "the last N hours".
fn last_hours(now: Timestamp, hours: u64) -> Timestamp {
    now.plus(-i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(HOUR)).floor_to_minute()
}

/// `sum / count`, rounded half up; 0 where nothing is counted.
fn average(sum: i128, count: i128) -> i128 {
    if count > 0 { (2 * sum + count) / (2 * count) } else { 0 }
}

/// Where Temporal's web pages are.
#[derive(Debug, Clone)]
pub struct TemporalUi {
    /// Without a slash at its end.
    pub url: String,
    /// The namespace of the platform's workflows.
    pub namespace: String,
}

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl TemporalUi {
    fn page(&self, segments: &[&str]) -> String {
        let segments = segments
            .iter()
            .flat_map(|segment| ["/".to_owned(), utf8_percent_encode(segment, SEGMENT).to_string()]);
        let namespace = utf8_percent_encode(&self.namespace, SEGMENT);
        format!("{}/namespaces/{namespace}{}", self.url, segments.collect::<String>())
    }
}

/// The emails and queries of today, for the rows of a list.
struct Names {
    entities: HashMap<Key, Entity>,
}

impl Names {
    /// Reads the tasks and users of a list: one round trip, none if there are none.
    async fn read<R: Reader>(
        reader: &R,
        of: impl IntoIterator<Item = (TaskId, UserId)>,
    ) -> Result<Self, R::Error> {
        let keys: BTreeSet<Key> = of
            .into_iter()
            .flat_map(|(task, user)| [EntityKey::Task(task), EntityKey::User(user)])
            .map(|entity| keys::entity(&entity))
            .collect();
        if keys.is_empty() {
            return Ok(Self { entities: HashMap::new() });
        }
        let found = reader.read(Reads::gets(keys)).await?;
        let entities = found.items.iter().map(|(key, item)| Ok((key.clone(), Entity::load(Some(item))?)));
        Ok(Self { entities: entities.collect::<Result<_, Corrupt>>()? })
    }

    fn entity(&self, key: &EntityKey) -> Option<&Entity> {
        self.entities.get(&keys::entity(key))
    }

    fn email(&self, user: UserId) -> Option<String> {
        let user = self.entity(&EntityKey::User(user))?;
        User::of(&user.state).email.map(str::to_owned)
    }

    fn query(&self, task: TaskId) -> Option<String> {
        let task = self.entity(&EntityKey::Task(task))?;
        Task::of(&task.state).query.map(str::to_owned)
    }
}

/// The entities that rows stand for, in their order: one round trip, none without rows. One that a lagging replica
/// does not have yet is read again, strongly consistent; one that is not there even then is left out.
async fn read_entities<R: Reader>(reader: &R, keys: &[Key]) -> Result<Vec<(Key, Entity)>, R::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut items = reader.read(Reads::gets(keys.iter().cloned())).await?.items;
    let missing: Vec<Key> = keys.iter().filter(|key| !items.contains_key(key)).cloned().collect();
    if !missing.is_empty() {
        items.extend(reader.read(Reads::gets(missing).consistent()).await?.items);
    }
    let found = keys.iter().filter_map(|key| items.get(key));
    let entities = found.map(|item| Ok((item.key.clone(), Entity::load(Some(item))?)));
    Ok(entities.collect::<Result<_, Corrupt>>()?)
}
