//! A user's days: what was done for one user in each hour of a day, for the list of users.

use crate::projections::counter::POPULATION;
use crate::projections::slot::{self, slot_letters};
use crate::storage::item::{Item, Key};
use crate::storage::keys;
use crate::values::ids::UserId;
use crate::values::time::{DAY, HOUR, Timestamp};

slot_letters! {
    /// What is counted in the hours of a user's day.
    pub(crate) enum UserActivity {
        /// An execution of one of the user's tasks began.
        ExecutionStarted = 'e',
        /// A notification was sent to the user.
        NotificationSent = 'n',
    }
    retired: []
}

/// What one activity at a time adds to the user's day: counter, attribute and amount.
pub(crate) fn amounts(user: UserId, at: Timestamp, activity: UserActivity) -> [(Key, String, i128); 2] {
    let day = keys::user_day(user, at.day());
    let hour = at.millis().rem_euclid(DAY) / HOUR;
    [(day.clone(), slot::attribute(hour, activity.letter()), 1), (day, POPULATION.to_owned(), 1)]
}

/// How often an activity happened in the hours at or after `cut`, among the items of one user.
/// Items that are no days are ignored.
pub(crate) fn count_since(items: &[Item], activity: UserActivity, cut: Timestamp) -> i128 {
    let mut count = 0;
    for item in items {
        let Some(day) = keys::parse_user_day(&item.key) else { continue };
        for (attribute, amount) in item.numbers() {
            let Some((hour, letter)) = slot::parse(attribute) else { continue };
            let is_counted = UserActivity::from_letter(letter) == Some(activity);
            if is_counted && day.start().plus(hour * HOUR) >= cut {
                count += amount;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::item::{Attributes, Value};

    /// Stored days hold these letters. Add a new one here; one that is missing must be retired.
    #[test]
    fn the_letters_of_stored_days_stay_what_they_are() {
        assert_eq!(UserActivity::LETTERS, ['e', 'n']);
        assert_eq!(UserActivity::ExecutionStarted.letter(), 'e');
        assert_eq!(UserActivity::NotificationSent.letter(), 'n');
    }

    #[test]
    fn an_activity_is_counted_in_its_hour_and_found_from_that_hour_on() {
        let user = UserId::parse("00000000-0000-0000-0000-0000000000ad").unwrap();
        let at = Timestamp::parse("2026-03-31T10:30:30.500Z").unwrap();

        let [(key, attribute, _), (_, population, _)] = amounts(user, at, UserActivity::ExecutionStarted);

        assert_eq!((key.pk.as_str(), key.sk.as_str()), (format!("u#{user}").as_str(), "d#20260331"));
        assert_eq!((attribute.as_str(), population.as_str()), ("Ae", "p"));
        let attributes = [("Ae", 3), ("Be", 2), ("An", 7), ("p", 12)];
        let attributes: Attributes =
            attributes.map(|(name, amount)| (name.to_owned(), Value::Number(amount))).into();
        let items = [Item { key, attributes }];
        let count = |activity, cut: &str| count_since(&items, activity, Timestamp::parse(cut).unwrap());
        assert_eq!(count(UserActivity::ExecutionStarted, "2026-03-31T10:00:00Z"), 5);
        assert_eq!(count(UserActivity::ExecutionStarted, "2026-03-31T11:00:00Z"), 2);
        assert_eq!(count(UserActivity::NotificationSent, "2026-03-31T10:00:00Z"), 7);
    }
}
