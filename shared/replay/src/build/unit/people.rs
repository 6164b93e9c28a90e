//! The units of users and identities (`domain/projections/people.rs`): each passes over its parts
//! twice, so that it needs no memory for the links between them, however many one user or one
//! identity has.

use super::{LeftOutEntity, SubtotalsPiece, TimeCheck, UnitOutcome, UnitWorker, UnitWriter};
use crate::ReplayError;
use crate::build::sink::RebuildSink;
use torale_domain::projections::people::{JoinInput, JoinedIdentities, JoinedUsers};
use torale_domain::values::ids::EntityKey;

/// A unit of identities: writes them, and leaves their links to the users.
pub(super) async fn identities<'a, P: RebuildSink>(
    worker: &UnitWorker<'a, P>,
    mut writer: UnitWriter<'a, '_, P>,
) -> Result<UnitOutcome, ReplayError> {
    let mut identities = JoinedIdentities::default();
    let mut again = Vec::new();
    for piece in worker.pieces(writer.unit.stage) {
        let parts = parts(worker, &writer, piece).await?;
        again.extend(parts.iter().any(|part| matches!(part, JoinInput::Named(..))).then_some(piece));
        parts.into_iter().for_each(|part| identities.add(part));
        if identities.weight() > worker.replay.memory {
            return worker.split(writer.unit);
        }
        writer.heartbeat().await?;
    }
    for (clerk, entity) in identities.entities() {
        let key = EntityKey::Identity(clerk);
        let made = writer.subtotals.linked_entity(&key, entity, worker.lanes);
        if writer.take(made.map_err(|fault| LeftOutEntity::new(&key, fault))).await? == TimeCheck::OutOfTime {
            return writer.release().await;
        }
    }
    for piece in again {
        for part in parts(worker, &writer, piece).await? {
            if let JoinInput::Named(clerk, user) = part {
                writer.pass_on(identities.link(clerk, user)).await?;
            }
        }
        writer.heartbeat().await?;
    }
    for link in identities.other_links() {
        writer.pass_on(link).await?;
    }
    writer.finish().await
}

/// A unit of users: writes them, then the rows of their links.
pub(super) async fn users<'a, P: RebuildSink>(
    worker: &UnitWorker<'a, P>,
    mut writer: UnitWriter<'a, '_, P>,
) -> Result<UnitOutcome, ReplayError> {
    let mut users = JoinedUsers::default();
    let mut again = Vec::new();
    for piece in worker.pieces(writer.unit.stage) {
        let parts = parts(worker, &writer, piece).await?;
        again.extend(parts.iter().any(|part| matches!(part, JoinInput::Link(..))).then_some(piece));
        parts.into_iter().try_for_each(|part| users.add(part))?;
        if users.weight() > worker.replay.memory {
            return worker.split(writer.unit);
        }
        writer.heartbeat().await?;
    }
    for id in users.ids() {
        let key = EntityKey::User(id);
        let made = writer.subtotals.linked_entity(&key, users.entity(id), worker.lanes);
        if made.is_err() {
            users.leave_out(id);
        }
        if writer.take(made.map_err(|fault| LeftOutEntity::new(&key, fault))).await? == TimeCheck::OutOfTime {
            return writer.release().await;
        }
    }
    for piece in again {
        for part in parts(worker, &writer, piece).await? {
            let JoinInput::Link(user, clerk, says, holds) = part else { continue };
            let made = writer.subtotals.link(&users, (user, &clerk), &says, holds);
            let made = made.map_err(|fault| LeftOutEntity::new(&EntityKey::User(user), fault));
            if writer.take(made).await? == TimeCheck::OutOfTime {
                return writer.release().await;
            }
        }
        writer.heartbeat().await?;
    }
    writer.finish().await
}

/// The parts of a piece of subtotals that are for a unit.
async fn parts<'a, P: RebuildSink>(
    worker: &UnitWorker<'a, P>,
    writer: &UnitWriter<'a, '_, P>,
    piece: SubtotalsPiece,
) -> Result<Vec<JoinInput>, ReplayError> {
    let lines = worker.lines(writer, piece).await?.into_iter();
    Ok(lines.filter_map(|line| line.into_part().transpose()).collect::<Result<_, _>>()?)
}
