//! A store client that may do what `infra/rights.toml` gives to a role and nothing else, as IAM would have it.

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use torale_domain::keys::{
    AUDIT_INDEX_TABLE, AUDIT_TABLE, CONTROL_TABLE, EVENTS_TABLE, PROJECTIONS_TABLE_PREFIX, QUARANTINE_TABLE,
};

#[derive(Deserialize)]
struct Table {
    groups: BTreeMap<String, Vec<String>>,
    roles: BTreeMap<String, Vec<String>>,
    people: BTreeMap<String, Vec<String>>,
}

fn table() -> Table {
    toml::from_str(include_str!("../../../infra/rights.toml")).unwrap()
}

/// An action on a place: of these partitions or of all, or only to count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    place: String,
    partitions: Option<String>,
    counting: bool,
    action: String,
}

/// What a call does at one place.
#[derive(Debug)]
struct Use {
    place: &'static str,
    partition: Option<String>,
    counting: bool,
    action: String,
}

impl Right {
    fn covers(&self, used: &Use) -> bool {
        let partition = match (&self.partitions, &used.partition) {
            (None, _) => true,
            // `ForAllValues` is met where there is no key at all.
            (Some(_), None) => true,
            (Some(pattern), Some(key)) => match pattern.strip_suffix('*') {
                Some(start) => key.starts_with(start),
                None => key == pattern,
            },
        };
        self.place == used.place
            && self.action == used.action
            && partition
            && (used.counting || !self.counting)
    }
}

/// A role's rights over tables, and which of them have been used; clones share that.
#[derive(Debug, Clone)]
pub struct Rights {
    role: String,
    rights: BTreeSet<Right>,
    used: Arc<Mutex<BTreeSet<Right>>>,
    denied: Arc<Mutex<Vec<String>>>,
}

impl Rights {
    /// Of a role of `infra/rights.toml`, or of people.
    pub fn of(role: &str) -> Self {
        let (table, mut rights) = (table(), BTreeSet::new());
        let rows =
            table.roles.get(role).or(table.people.get(role)).unwrap_or_else(|| panic!("no role {role}"));
        add(&mut rights, rows, &table.groups);
        Self { role: role.to_owned(), rights, used: Arc::default(), denied: Arc::default() }
    }

    /// The names of all roles of functions that may do anything with tables.
    pub fn roles() -> Vec<String> {
        table().roles.into_keys().filter(|role| !Self::of(role).rights.is_empty()).collect()
    }

    /// Nothing was tried without a right, and of the rights nobody has made use of these only.
    pub fn assert_fit(&self, unused: &[&str]) {
        assert_eq!(*self.denied.lock().unwrap(), [""; 0]);
        let used = self.used.lock().unwrap();
        let show = |Right { place, partitions, counting, action }: &Right| {
            let keys = partitions.as_ref().map(|keys| format!("[{keys}]")).unwrap_or_default();
            format!("{action} {place}{keys}{}", if *counting { "(count)" } else { "" })
        };
        let found: Vec<String> = self.rights.difference(&used).map(show).collect();
        assert_eq!(found, unused, "{}", self.role);
    }

    fn check(&self, used: &Use) -> Result<(), BoxError> {
        let Some(right) = self.rights.iter().find(|right| right.covers(used)) else {
            let denial = format!("{} may not {used:?}", self.role);
            self.denied.lock().unwrap().push(denial.clone());
            return Err(denial.into());
        };
        self.used.lock().unwrap().insert(right.clone());
        Ok(())
    }
}

/// The rows' rights over tables, those of the groups that they name among them.
fn add(rights: &mut BTreeSet<Right>, rows: &[String], groups: &BTreeMap<String, Vec<String>>) {
    for row in rows {
        let Some((place, actions)) = row.split_once(" dynamodb: ") else {
            if let Some(rows) = groups.get(row) {
                add(rights, rows, groups);
            }
            continue;
        };
        // Streams are read by Lambda itself.
        if place.contains('/') {
            continue;
        }
        let (place, counting) = place.strip_suffix("(count)").map_or((place, false), |place| (place, true));
        let (place, partitions) = match place.strip_suffix(']').and_then(|place| place.split_once('[')) {
            Some((place, partitions)) => {
                (place, partitions.split(' ').map(|of| Some(of.to_owned())).collect())
            }
            None => (place, vec![None]),
        };
        for partitions in partitions {
            rights.extend(actions.split(' ').map(|action| Right {
                place: place.to_owned(),
                partitions: partitions.clone(),
                counting,
                action: action.to_owned(),
            }));
        }
    }
}

/// A table as `infra/rights.toml` names it.
fn place(table: &Value) -> &'static str {
    match table.as_str() {
        None => "*",
        Some(CONTROL_TABLE) => "ControlTable",
        Some(EVENTS_TABLE) => "EventsTable",
        Some(AUDIT_TABLE) => "AuditTable",
        Some(AUDIT_INDEX_TABLE) => "AuditIndexTable",
        Some(QUARANTINE_TABLE) => "QuarantineTable",
        Some(name) if name.starts_with(PROJECTIONS_TABLE_PREFIX) => "projections",
        Some(name)
            if [CONTROL_TABLE, EVENTS_TABLE, AUDIT_TABLE, QUARANTINE_TABLE]
                .iter()
                .any(|of| name.starts_with(of)) =>
        {
            "copies"
        }
        Some(name) => panic!("unknown table {name}"),
    }
}

/// What a call does, by the rules of IAM: a transaction does each of its writes, a batch of writes is one of its own.
fn uses(operation: &str, request: &Value) -> Vec<Use> {
    let of = |action: &str, table: &Value, key: &Value| {
        let partition = key["pk"]["S"].as_str().map(str::to_owned);
        let counting = request["Select"] == "COUNT";
        Use { place: place(table), partition, counting, action: action.to_owned() }
    };
    let tables = || request["RequestItems"].as_object().into_iter().flatten();
    match operation {
        "TransactWriteItems" => {
            let writes = request["TransactItems"].as_array().unwrap().iter();
            writes
                .flat_map(|write| write.as_object().unwrap())
                .map(|(kind, write)| {
                    let action = if kind == "ConditionCheck" {
                        "ConditionCheckItem".to_owned()
                    } else {
                        format!("{kind}Item")
                    };
                    let key = if kind == "Put" { &write["Item"] } else { &write["Key"] };
                    of(&action, &write["TableName"], key)
                })
                .collect()
        }
        "BatchGetItem" => tables()
            .flat_map(|(table, asked)| {
                asked["Keys"].as_array().unwrap().iter().map(move |key| (Value::from(table.as_str()), key))
            })
            .map(|(table, key)| of(operation, &table, key))
            .collect(),
        "BatchWriteItem" => tables()
            .flat_map(|(table, writes)| {
                writes.as_array().unwrap().iter().map(move |write| (Value::from(table.as_str()), write))
            })
            .map(|(table, write)| match &write["PutRequest"]["Item"] {
                Value::Null => of(operation, &table, &write["DeleteRequest"]["Key"]),
                item => of(operation, &table, item),
            })
            .collect(),
        "PutItem" => vec![of(operation, &request["TableName"], &request["Item"])],
        "Query" => {
            let mut query = of(operation, &request["TableName"], &Value::Null);
            let partition = request["ExpressionAttributeValues"][":pk"]["S"].as_str();
            query.partition = Some(partition.expect("a query names its partition :pk").to_owned());
            vec![query]
        }
        _ => vec![of(operation, &request["TableName"], &request["Key"])],
    }
}

impl Intercept for Rights {
    fn name(&self) -> &'static str {
        "rights"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let (_, operation) =
            request.headers().get("x-amz-target").unwrap_or_default().rsplit_once('.').unwrap();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        uses(operation, &body).iter().try_for_each(|used| self.check(used))
    }
}
