//! A store client that may do what `infra/rights.toml` gives to a role and nothing else, as IAM would have it.

use crate::interceptor::{Interceptor, StoreCall};
use aws_smithy_runtime_api::box_error::BoxError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use torale_domain::storage::keys::{
    AUDIT_INDEX_TABLE, AUDIT_TABLE, CONTROL_TABLE, EVENTS_TABLE, PK, PROJECTIONS_TABLE_PREFIX,
    QUARANTINE_TABLE,
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

/// An action on a place: on all of it or on these partitions, or only to count. It is one statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    place: String,
    partitions: Vec<String>,
    counting: bool,
    action: String,
}

/// What a call does at one place, and to which partitions. IAM is asked once for all of a batch's keys, and one
/// statement must allow all of them; whether it is so for a transaction is not documented, so it is taken for granted
/// here.
#[derive(Debug)]
struct Use {
    place: &'static str,
    partitions: BTreeSet<String>,
    counting: bool,
    action: String,
}

fn fits(key: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(key == pattern, |start| key.starts_with(start))
}

impl Right {
    /// A condition on all keys is met where there is none: the lint of the template sees to that.
    fn covers(&self, used: &Use) -> bool {
        let within = |key: &String| self.partitions.iter().any(|pattern| fits(key, pattern));
        let partitions = self.partitions.is_empty() || used.partitions.iter().all(within);
        self.place == used.place
            && self.action == used.action
            && partitions
            && (used.counting || !self.counting)
    }

    /// With each of its partitions by itself.
    fn parts(&self) -> Vec<String> {
        let counting = if self.counting { "(count)" } else { "" };
        let show = |keys: String| format!("{} {}{keys}{counting}", self.action, self.place);
        match self.partitions.as_slice() {
            [] => vec![show(String::new())],
            partitions => partitions.iter().map(|keys| show(format!("[{keys}]"))).collect(),
        }
    }
}

/// A role's rights over tables, and which of them have been used; clones share that.
#[derive(Debug, Clone)]
pub struct Rights {
    role: String,
    rights: BTreeSet<Right>,
    used: Arc<Mutex<BTreeSet<String>>>,
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
        let found: Vec<String> =
            self.rights.iter().flat_map(Right::parts).filter(|part| !used.contains(part)).collect();
        assert_eq!(found, unused, "{}", self.role);
    }

    /// What refuses every call that the role may not make.
    pub fn interceptor(&self) -> Interceptor {
        let rights = self.clone();
        Interceptor::before(move |call| uses(call).iter().try_for_each(|used| rights.check(used)))
    }

    fn check(&self, used: &Use) -> Result<(), BoxError> {
        let Some(right) = self.rights.iter().find(|right| right.covers(used)) else {
            let denial = format!("{} may not {used:?}", self.role);
            self.denied.lock().unwrap().push(denial.clone());
            return Err(denial.into());
        };
        let parts = right.parts().into_iter().enumerate();
        let of_keys = |n: usize| used.partitions.iter().any(|key| fits(key, &right.partitions[n]));
        let touched = parts.filter(|(n, _)| right.partitions.is_empty() || of_keys(*n)).map(|(_, part)| part);
        self.used.lock().unwrap().extend(touched);
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
            Some((place, partitions)) => (place, partitions.split(' ').map(str::to_owned).collect()),
            None => (place, Vec::new()),
        };
        rights.extend(actions.split(' ').map(|action| Right {
            place: place.to_owned(),
            partitions: partitions.clone(),
            counting,
            action: action.to_owned(),
        }));
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

/// The value of the partition key of a query, whose condition begins with it.
fn queried_partition(request: &Value) -> Value {
    let condition = request["KeyConditionExpression"].as_str().unwrap();
    let (name, rest) = condition.split_once(" = ").unwrap_or_else(|| panic!("{condition}: no partition"));
    let name = request["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
    assert_eq!(name, PK, "{condition}: no partition");
    let value = rest.split(' ').next().unwrap();
    request["ExpressionAttributeValues"][value].clone()
}

/// What a call does: a transaction does each of its writes, a batch of writes is an action of its own.
fn uses(call: &StoreCall<'_>) -> Vec<Use> {
    let (operation, request) = (call.operation, call.json());
    let mut by_place: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
    let mut add = |action: &str, table: &Value, key: &Value| {
        let partitions = by_place.entry((place(table), action.to_owned())).or_default();
        partitions.extend(key["pk"]["S"].as_str().map(str::to_owned));
    };
    let tables = request["RequestItems"].as_object().into_iter().flatten();
    let table = &request["TableName"];
    match operation {
        "TransactWriteItems" => {
            let writes = request["TransactItems"].as_array().unwrap().iter();
            for (kind, write) in writes.flat_map(|write| write.as_object().unwrap()) {
                let key = if kind == "Put" { &write["Item"] } else { &write["Key"] };
                add(&format!("{kind}Item"), &write["TableName"], key);
            }
        }
        "BatchGetItem" => {
            for (table, asked) in tables {
                let keys = asked["Keys"].as_array().unwrap().iter();
                keys.for_each(|key| add(operation, &Value::from(table.as_str()), key));
            }
        }
        "BatchWriteItem" => {
            for (table, writes) in tables {
                for write in writes.as_array().unwrap() {
                    let put = &write["PutRequest"]["Item"];
                    let key = if put.is_null() { &write["DeleteRequest"]["Key"] } else { put };
                    add(operation, &Value::from(table.as_str()), key);
                }
            }
        }
        "PutItem" => add(operation, table, &request["Item"]),
        "Query" => {
            add(operation, table, &serde_json::json!({ "pk": queried_partition(&request) }));
        }
        _ => add(operation, table, &request["Key"]),
    }
    let counting = request["Select"] == "COUNT";
    let of = |((place, action), partitions)| Use { place, partitions, counting, action };
    by_place.into_iter().map(of).collect()
}
