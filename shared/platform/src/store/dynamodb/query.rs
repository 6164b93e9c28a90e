//! A query of a range: what it reads, as expressions.

use super::expression::Expression;
use torale_domain::storage::keys::SK;
use torale_domain::storage::read::Range;

/// A `Query` of a range.
pub(super) struct Query<'a> {
    /// The table.
    pub(super) table: &'a str,
    /// Whether the least sort keys come first.
    pub(super) forward: bool,
    /// The most items.
    pub(super) limit: Option<i32>,
    /// The key condition.
    pub(super) condition: String,
    /// The attributes to return; all of them without it.
    pub(super) projection: Option<String>,
    /// What the placeholders of both stand for.
    pub(super) expression: Expression,
}

impl<'a> Query<'a> {
    /// The query that reads a range.
    pub(super) fn of(table: &'a str, range: &Range) -> Self {
        let mut expression = Expression::default();
        // The partition key is that of the range.
        let projection =
            range.attributes.map(|names| expression.projection([SK].iter().chain(names).copied()));
        let condition = key_condition(&mut expression, range);
        let limit = range.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        Self { table, forward: !range.descending, limit, condition, projection, expression }
    }
}

fn key_condition(expression: &mut Expression, range: &Range) -> String {
    let partition = expression.partition(&range.pk);
    let bounds = match (&range.from, &range.to) {
        (None, None) => return partition,
        (Some(from), None) => format!("{} >= {}", expression.name(SK), expression.text(from)),
        (None, Some(to)) => format!("{} <= {}", expression.name(SK), expression.text(to)),
        (Some(from), Some(to)) => {
            let sk = expression.name(SK);
            format!("{sk} BETWEEN {} AND {}", expression.text(from), expression.text(to))
        }
    };
    format!("{partition} AND {bounds}")
}
