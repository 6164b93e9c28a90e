//! Notifications: counted in the windows over the time they were sent, and in the hours of
//! their user's day.

use super::Contributions;
use crate::entities::fold::State;
use crate::entities::readings::Notification;
use crate::projections::index::Sums;
use crate::projections::user_day::UserActivity;
use crate::storage::keys::{Index, Lanes};

pub(super) fn contributions(state: &State, lanes: Lanes) -> Contributions {
    let Some(sent) = Notification::of(state) else { return Contributions::default() };
    let at = sent.sent_at;
    let lane = lanes.of(sent.user_id.to_string().as_bytes());
    Contributions::default()
        .counted((Index::Notifications, lane), at, None, &Sums::of_rows(1))
        .counted_for_user(sent.user_id, at, UserActivity::NotificationSent)
}
