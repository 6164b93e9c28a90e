//! Workflow runs: a row in the list by their start, counted in the windows over it.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Run;
use crate::projections::index::Sums;
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::EntityKey;

pub(super) fn contributions(entity: &EntityKey, state: &State, lanes: Lanes) -> Contributions {
    let Some(run) = Run::of(state) else { return Contributions::default() };
    let (workflow, at) = (run.workflow_id.as_str(), run.start_time);
    let lane = lanes.of(workflow.as_bytes());
    let row = keys::row(Index::Workflows, StatusPartition::All, lane, at, &[workflow, run.run_id.as_str()]);
    Contributions::default().row_with(row, super::OF, keys::entity(entity).pk).counted(
        (Index::Workflows, lane),
        at,
        None,
        &Sums::of_rows(1),
    )
}
