//! Whether conditions hold, and what a write makes of an item.

use crate::defects::{self, Defect};
use torale_domain::storage::item::{Attributes, Value};
use torale_domain::storage::keys::PK;
use torale_domain::storage::write::{Action, Condition};
use torale_platform::store::StoreError;
use torale_platform::store::calls::{NumberComparison, SetValue, Update, UpdateCondition};

/// Whether a condition holds for an item; `None` is no item.
pub(super) fn holds(condition: &Condition, item: Option<&Attributes>) -> bool {
    let value = |name: &String| item.and_then(|attributes| attributes.get(name));
    let exists = |name: &String| if name == PK { item.is_some() } else { value(name).is_some() };
    match condition {
        Condition::Equals(name, expected) => {
            defects::is(Defect::EqualsIsIgnored) || value(name) == Some(expected)
        }
        Condition::Differs(name, other) => {
            defects::is(Defect::DiffersIsIgnored) || value(name) != Some(other)
        }
        Condition::EqualsOrAbsent(name, expected) => {
            defects::is(Defect::EqualsOrAbsentIsIgnored) || value(name).is_none_or(|found| found == expected)
        }
        Condition::Present(name) => defects::is(Defect::PresentIsIgnored) || exists(name),
        Condition::Absent(name) if name == PK => defects::is(Defect::AbsentItemIsIgnored) || !exists(name),
        Condition::Absent(name) => defects::is(Defect::AbsentAttributeIsIgnored) || !exists(name),
    }
}

/// What an action makes of an item.
pub(super) fn apply(item: Option<&Attributes>, action: &Action) -> Result<Option<Attributes>, StoreError> {
    Ok(match action {
        Action::Put(attributes) => Some(attributes.clone()),
        Action::Delete => None,
        Action::Check => item.cloned(),
        Action::Update { add, set, remove } => {
            let mut attributes = item.cloned().unwrap_or_default();
            for (name, amount) in add {
                let sum = match attributes.get(name) {
                    None => *amount,
                    Some(Value::Number(number)) => number + amount,
                    Some(Value::Text(_) | Value::Bytes(_)) => {
                        return Err(StoreError::Refused(format!("{name} is no number")));
                    }
                };
                attributes.insert(name.clone(), Value::Number(sum));
            }
            attributes.extend(set.iter().cloned());
            remove.iter().for_each(|name| drop(attributes.remove(name)));
            Some(attributes)
        }
    })
}

/// Whether a test of an update passes.
pub(super) fn passes(test: &UpdateCondition, item: &Attributes) -> bool {
    let number = |name: &String| match item.get(name) {
        Some(Value::Number(number)) => Some(*number),
        Some(Value::Text(_) | Value::Bytes(_)) | None => None,
    };
    match test {
        UpdateCondition::Present(name) => {
            defects::is(Defect::UpdatesOfAnythingHold) || item.contains_key(name)
        }
        UpdateCondition::Absent(name) => {
            defects::is(Defect::UpdatesOfAnythingHold) || !item.contains_key(name)
        }
        UpdateCondition::AbsentOr(name, comparison) => {
            let ignored = defects::is(Defect::ClaimsAreIgnored);
            let holds = match comparison {
                NumberComparison::AtMost(name, most) => {
                    ignored || number(name).is_some_and(|found| found <= (*most).into())
                }
                NumberComparison::MoreThan(name, least) => {
                    ignored || number(name).is_some_and(|found| found > (*least).into())
                }
                NumberComparison::Less(left, right) => {
                    defects::is(Defect::LimitsAreIgnored)
                        || item
                            .get(left)
                            .zip(item.get(right))
                            .is_some_and(|(left, right)| is_less(left, right))
                }
            };
            !item.contains_key(name) || holds
        }
    }
}

/// Whether an attribute is less than another one of its kind, as texts and bytes are byte by byte.
fn is_less(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left < right,
        (Value::Text(left), Value::Text(right)) => left < right,
        (Value::Bytes(left), Value::Bytes(right)) => left < right,
        (Value::Number(_) | Value::Text(_) | Value::Bytes(_), _) => false,
    }
}

/// What an update makes of an item.
pub(super) fn updated(old: &Attributes, update: &Update<'_>) -> Result<Attributes, StoreError> {
    let mut new = old.clone();
    for (name, operand) in &update.set {
        let missing = |of: &String| StoreError::Refused(format!("{of} does not exist or is no number"));
        let value = match operand {
            SetValue::Value(value) => value.clone(),
            SetValue::Sum(of, amount) => match old.get(of) {
                Some(Value::Number(number)) => Value::Number(number + i128::from(*amount)),
                Some(Value::Text(_) | Value::Bytes(_)) | None => return Err(missing(of)),
            },
            SetValue::Kept(or) => old.get(name).or_else(|| old.get(or)).ok_or_else(|| missing(or))?.clone(),
        };
        new.insert(name.clone(), value);
    }
    update.remove.iter().for_each(|name| drop(new.remove(name)));
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 175 of the differential test: DynamoDB compares bytes and texts, too.
    #[test]
    fn attributes_of_one_kind_are_compared_whatever_they_are() {
        let bytes = |last| Value::Bytes(vec![1, 2, last]);
        let text = |text: &str| Value::Text(text.to_owned());

        assert!(is_less(&bytes(0), &bytes(1)) && !is_less(&bytes(1), &bytes(1)));
        assert!(is_less(&text("x"), &text("y")) && !is_less(&text("y"), &text("x")));
        assert!(is_less(&Value::Number(-1), &Value::Number(1)));
        assert!(!is_less(&Value::Number(1), &text("x")) && !is_less(&text(""), &bytes(0)));
    }
}
