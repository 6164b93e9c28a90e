//! What the row of a schedule carries: all that the list shows of the schedule itself.

use super::{Owners, with};
use crate::entities::readings::Schedule;
use crate::storage::item::{Attributes, Item, Value};
use crate::storage::read::Corrupt;

/// A schedule whose id is longer is read itself, so that its row stays below 1 KB, which is one write unit.
const MAX_ID_BYTES: usize = 128;
/// The same of its cron string and zone together.
const MAX_CRON_BYTES: usize = 256;

const ID: &str = "i";
const CRON: &str = "c";
const ZONE: &str = "z";

/// What the list of schedules shows of a schedule. Whether it is paused says the list that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSummary {
    /// Its id in Temporal.
    pub id: String,
    /// Its task and user.
    pub owners: Owners,
    /// When it fires.
    pub cron: String,
    /// In which zone.
    pub timezone: String,
}

impl ScheduleSummary {
    /// The summary of a schedule; `None` without its creation, cron string and zone.
    pub fn of(schedule: &Schedule<'_>) -> Option<Self> {
        let (created, _) = schedule.created?;
        Some(Self {
            id: created.schedule_id.as_str().to_owned(),
            owners: Owners { task_id: created.task_id, user_id: created.user_id },
            cron: schedule.cron?.to_owned(),
            timezone: schedule.timezone?.to_owned(),
        })
    }

    /// What the row carries; `None` if it carries no summary.
    ///
    /// # Errors
    /// If it is not of the form that [`ScheduleSummary::attributes`] gives it.
    pub fn load(row: &Item) -> Result<Option<Self>, Corrupt> {
        let Some(id) = row.text(ID) else { return Ok(None) };
        let rest = Owners::load(row)?.zip(row.text(CRON).zip(row.text(ZONE)));
        let (owners, (cron, timezone)) =
            rest.ok_or_else(|| Corrupt::new(&row.key, "not the row of a schedule"))?;
        let [id, cron, timezone] = [id, cron, timezone].map(str::to_owned);
        Ok(Some(Self { id, owners, cron, timezone }))
    }

    /// The attributes of the row; none if they would make it too long.
    pub fn attributes(&self) -> Attributes {
        if self.id.len() > MAX_ID_BYTES || self.cron.len() + self.timezone.len() > MAX_CRON_BYTES {
            return Attributes::new();
        }
        let texts = [(ID, &self.id), (CRON, &self.cron), (ZONE, &self.timezone)];
        with(self.owners.attributes(), texts.map(|(name, text)| (name, Value::Text(text.clone()))))
    }
}
