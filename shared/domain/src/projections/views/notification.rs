//! Notifications: counted in their windows and in their user's hours.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Notification;
use crate::projections::index::{self, Measure, POPULATION};
use crate::storage::keys::{self, Index, Lanes};

pub(super) fn contributions(state: &State, lanes: Lanes) -> Contributions {
    let Some(sent) = Notification::of(state) else { return Contributions::default() };
    let at = sent.sent_at;
    let lane = lanes.of(sent.user_id.to_string().as_bytes());
    let user_day = keys::user_day(sent.user_id, at.day());
    Contributions::default()
        .counted((Index::Notifications, lane), at, None, &[(Measure::All, 1)])
        .sum(user_day.clone(), index::slot_attribute(index::hour_slot(at), Measure::All), 1)
        .sum(user_day, POPULATION, 1)
}
