//! Builds DynamoDB expressions: every attribute name and value becomes a placeholder, so no name can collide with a
//! reserved word and no value can be read as syntax.

use super::convert;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use torale_domain::storage::item::Value;
use torale_domain::storage::keys::PK;
use torale_domain::storage::write::Condition;

/// Placeholders, each with what it stands for.
type Placeholders<T> = Vec<(String, T)>;

/// The placeholders of one call's expressions, with the names and values that they stand for.
#[derive(Default)]
pub(super) struct Expression {
    names: Placeholders<String>,
    values: Placeholders<Value>,
}

impl Expression {
    /// The placeholder of an attribute name.
    pub(super) fn name(&mut self, name: impl Into<String>) -> String {
        let placeholder = format!("#n{}", self.names.len());
        self.names.push((placeholder.clone(), name.into()));
        placeholder
    }

    /// The placeholder of a value.
    pub(super) fn value(&mut self, value: Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.push((placeholder.clone(), value));
        placeholder
    }

    /// The placeholder of a text.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.value(Value::Text(text.to_owned()))
    }

    /// The placeholder of a number.
    pub(super) fn number(&mut self, number: impl Into<i128>) -> String {
        self.value(Value::Number(number.into()))
    }

    /// A key condition on one partition. Its value's placeholder is always `:pk`, by which tests see what a query
    /// reads.
    pub(super) fn partition(&mut self, pk: &str) -> String {
        self.names.push(("#pk".to_owned(), PK.to_owned()));
        self.values.push((":pk".to_owned(), Value::Text(pk.to_owned())));
        "#pk = :pk".to_owned()
    }

    /// A projection expression: the attributes that a read returns.
    pub(super) fn projection(&mut self, names: impl Iterator<Item = &'static str>) -> String {
        let placeholders: Vec<String> = names.map(|name| self.name(name)).collect();
        placeholders.join(", ")
    }

    /// A condition expression that holds if all conditions do; `None` without conditions.
    pub(super) fn conditions(&mut self, conditions: Vec<Condition>) -> Option<String> {
        let all: Vec<String> = conditions.into_iter().map(|condition| self.condition(condition)).collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    fn condition(&mut self, condition: Condition) -> String {
        match condition {
            Condition::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Condition::Differs(name, value) => format!("{} <> {}", self.name(name), self.value(value)),
            Condition::EqualsOrAbsent(name, value) => {
                let name = self.name(name);
                format!("(attribute_not_exists({name}) OR {name} = {})", self.value(value))
            }
            Condition::Present(name) => format!("attribute_exists({})", self.name(name)),
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
        }
    }

    /// The names and the values behind the placeholders.
    pub(super) fn placeholders(&self) -> (&Placeholders<String>, &Placeholders<Value>) {
        (&self.names, &self.values)
    }

    /// The names behind the placeholders, for the SDK; `None` if there are none, as DynamoDB wants it.
    pub(super) fn names(&mut self) -> Option<HashMap<String, String>> {
        let names = std::mem::take(&mut self.names);
        (!names.is_empty()).then(|| names.into_iter().collect())
    }

    /// The values behind the placeholders, for the SDK; `None` if there are none, as DynamoDB wants it.
    pub(super) fn values(&mut self) -> Option<HashMap<String, AttributeValue>> {
        let values = std::mem::take(&mut self.values).into_iter();
        let values = values.map(|(placeholder, value)| (placeholder, convert::value(value)));
        Some(values.collect()).filter(|values: &HashMap<_, _>| !values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_become_placeholders() {
        let mut expression = Expression::default();
        let conditions = vec![
            Condition::Absent("cursor".to_owned()),
            Condition::EqualsOrAbsent("n".to_owned(), Value::Number(3)),
        ];
        let text = expression.conditions(conditions).unwrap();
        assert_eq!(text, "attribute_not_exists(#n0) AND (attribute_not_exists(#n1) OR #n1 = :v0)");
        let names = [("#n0", "cursor"), ("#n1", "n")].map(|(at, name)| (at.to_owned(), name.to_owned()));
        assert_eq!(expression.names(), Some(HashMap::from(names)));
        let values = HashMap::from([(":v0".to_owned(), AttributeValue::N("3".to_owned()))]);
        assert_eq!(expression.values(), Some(values));
        assert_eq!((expression.names(), expression.values()), (None, None));
    }
}
