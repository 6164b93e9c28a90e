//! Folds events into one generation of projections: the transactions of a lane follow one another, and lanes run in
//! parallel (`docs/adr/0006-two-lanes.md`).

use super::commit::{CommitReport, Committer};
use super::received::EntityBatch;
use crate::store::{Generation, Store, Usage};
use std::collections::BTreeMap;
use tokio::time::Instant;
use torale_domain::events::Event;
use torale_domain::storage::keys::{Lane, Lanes};
use torale_domain::values::ids::EntityKey;

/// Commits the events of entities to a generation, until the deadline at the latest.
pub(super) async fn commit_by_lane(
    store: &Store,
    generation: &Generation,
    entities: Vec<EntityBatch>,
    deadline: Instant,
    usage: &Usage,
) -> CommitReport {
    let committer = Committer::new(store, generation, usage, deadline);
    let lanes = by_lane(entities, generation.lanes);
    let lanes = lanes.into_values().map(|entities| committer.commit(entities));
    let mut report = CommitReport::default();
    for lane in futures::future::join_all(lanes).await {
        report.failed.extend(lane.failed);
        report.unwritable.extend(lane.unwritable);
        report.without_effect += lane.without_effect;
        report.transactions += lane.transactions;
        report.lost_races += lane.lost_races;
    }
    report
}

/// Entities by lane, sorted so that those of one task or user follow one another.
fn by_lane(entities: Vec<EntityBatch>, lanes: Lanes) -> BTreeMap<Lane, Vec<EntityBatch>> {
    let mut by_lane: BTreeMap<Lane, Vec<(String, EntityBatch)>> = BTreeMap::new();
    for entity in entities {
        let key = grouping_key(&entity);
        by_lane.entry(lanes.of(key.as_bytes())).or_default().push((key, entity));
    }
    let sorted = by_lane.into_iter().map(|(lane, mut entities)| {
        entities.sort_by(|a, b| a.0.cmp(&b.0));
        (lane, entities.into_iter().map(|(_, entity)| entity).collect())
    });
    sorted.collect()
}

/// The id by which entities are grouped that write the same items: of their task or user, else their own.
fn grouping_key(batch: &EntityBatch) -> String {
    match &batch.entity {
        EntityKey::Task(id) => id.to_string(),
        EntityKey::User(id) => id.to_string(),
        EntityKey::Execution(_) => {
            batch.events.first().and_then(Event::task).map_or_else(String::new, |id| id.to_string())
        }
        EntityKey::Notification(_) => {
            batch.events.first().and_then(Event::user).map_or_else(String::new, |id| id.to_string())
        }
        EntityKey::Run(workflow, _) => workflow.as_str().to_owned(),
        EntityKey::Schedule(id) => id.as_str().to_owned(),
        EntityKey::ApiKey(id) => id.as_str().to_owned(),
        EntityKey::Identity(id) => id.as_str().to_owned(),
    }
}
