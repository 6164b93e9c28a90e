//! Requests that deactivate several users at once: which users, what the answer may say of each, and what the audit
//! trail must have of it (docs/contract/http.md, "POST /admin/users/deactivate").

use crate::administrators::Administrator;
use crate::defects::{self, Defect};
use crate::faults;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use torale_domain::audit::AuditedRequest;
use torale_domain::values::ids::UserId;

/// A user of whom no event says anything, and a text that is no id.
const NOBODY: &str = "00000000-0000-0000-0000-00000000dead";
const NO_ID: &str = "sk_no_id";
/// The most users of a request.
const MOST: usize = 4;
/// The actions of the record of a request, and of the record of each change that it has made.
const REQUEST: &str = "users.deactivate_many";
const CHANGE: &str = "users.deactivate";
/// Why a user was not deactivated: since nobody knows whether they were, and since the caller is no administrator now.
const NOT_KNOWN: &str = "Service temporarily unavailable";
const CALLER_REFUSED: &str = "Admin access required";

/// What an answer says of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemResult {
    Deactivated,
    Already,
    NotFound,
    Refused,
    /// The user may be deactivated, or may be later.
    NotKnown,
    CallerRefused,
}

impl ItemResult {
    /// Of an item of an answer.
    fn read(item: &Value) -> Result<Self, String> {
        let detail = item["detail"].as_str();
        let (tasks, has_detail) = (item["tasks_paused"].as_u64().is_some(), detail.is_some());
        let read = match (item["result"].as_str(), detail) {
            (Some("deactivated"), _) => Self::Deactivated,
            (Some("already"), _) => Self::Already,
            (Some("not_found"), _) => Self::NotFound,
            (Some("refused"), Some(NOT_KNOWN)) => Self::NotKnown,
            (Some("refused"), Some(CALLER_REFUSED)) => Self::CallerRefused,
            (Some("refused"), _) => Self::Refused,
            _other => return Err(format!("no result: {item}")),
        };
        match read.is_done() == tasks && read.is_done() != has_detail {
            true => Ok(read),
            false => Err(format!("it has a detail or tasks that it should not have, or none: {item}")),
        }
    }

    const fn is_done(self) -> bool {
        matches!(self, Self::Deactivated | Self::Already)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Deactivated => "bulk: deactivated",
            Self::Already => "bulk: already",
            Self::NotFound => "bulk: not found",
            Self::Refused => "bulk: refused",
            Self::NotKnown => "bulk: not known",
            Self::CallerRefused => "bulk: caller refused",
        }
    }
}

/// Some users for one request: some twice, some whom nobody knows, some administrators, and some texts that are no ids.
pub fn random_ids(administrators: &[Administrator], users: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..fastrand::usize(1..=MOST) {
        let administrator = || administrators[fastrand::usize(..administrators.len())].id.to_owned();
        let id = match fastrand::u8(..16) {
            0 => NOBODY.to_owned(),
            1 => NO_ID.to_owned(),
            2 => administrator(),
            3..6 => fastrand::choice(&ids).cloned().unwrap_or_else(administrator),
            _ => fastrand::choice(users).cloned().unwrap_or_else(administrator),
        };
        ids.push(id);
    }
    ids
}

/// An answered request, and what the trail must have of it.
#[derive(Debug)]
pub struct BulkRequest {
    id: String,
    status: u16,
    ids: Vec<String>,
    /// One for each id, if the answer is a 200.
    results: Vec<ItemResult>,
}

impl BulkRequest {
    /// Of a request for these users, and its answer.
    ///
    /// # Errors
    /// If it may not be answered so.
    pub fn read(id: &str, ids: &[String], (status, body): (u16, &Value)) -> Result<Self, String> {
        let (mut results, id) = (Vec::new(), id.to_owned());
        if status == 200 {
            let items = body["results"].as_array().map_or(&[][..], Vec::as_slice);
            let named: Vec<&str> = items.iter().filter_map(|item| item["user_id"].as_str()).collect();
            if named != ids {
                return Err(format!("several users: {named:?} are not the {ids:?} of the request"));
            }
            for item in items {
                let skips = defects::is(Defect::ItemsAfterAFailedOneCountAsDone);
                let is_after_failure = results.iter().any(|result: &ItemResult| !result.is_done());
                let is_user = item["user_id"] != NO_ID && item["user_id"] != NOBODY;
                results.push(match skips && is_after_failure && is_user {
                    true => ItemResult::Deactivated,
                    false => ItemResult::read(item)?,
                });
            }
        }
        let request = Self { id, status, ids: ids.to_vec(), results };
        request.check().map_err(|what| format!("several users: {what}: {request:?}"))?;
        Ok(request)
    }

    fn items(&self) -> impl Iterator<Item = (&String, ItemResult)> {
        self.ids.iter().zip(self.results.iter().copied())
    }

    /// Whether its results may be those of one request.
    fn check(&self) -> Result<(), &'static str> {
        let (mut may_have_changed, mut is_over) = (false, false);
        for (id, result) in self.items() {
            if (id == NO_ID) && !matches!(result, ItemResult::Refused | ItemResult::CallerRefused) {
                return Err("what is no id is not refused");
            }
            if id == NOBODY && result.is_done() {
                return Err("a user whom nobody knows is deactivated");
            }
            if result == ItemResult::CallerRefused && !may_have_changed {
                return Err("the caller is refused before anything was done, and not with 401");
            }
            if result != ItemResult::CallerRefused && is_over {
                return Err("something is done after the caller was refused");
            }
            is_over |= result == ItemResult::CallerRefused;
            may_have_changed |= matches!(result, ItemResult::Deactivated | ItemResult::NotKnown);
        }
        Ok(())
    }

    /// Counts what became of each user.
    pub fn count(&self) {
        self.results.iter().for_each(|result| faults::count(result.name(), None));
        if self.items().filter(|(_, result)| result.is_done()).count() > 1 {
            faults::count("bulk deactivated", None);
        }
    }

    /// The users who are deactivated.
    pub fn deactivated(&self) -> Vec<UserId> {
        let done = self.items().filter(|(_, result)| result.is_done());
        done.filter_map(|(id, _)| UserId::parse(id)).collect()
    }

    /// Whether the trail has the request with its users, and one record for each change. Of whom it is not known, it
    /// may have one more each.
    ///
    /// # Errors
    /// If not.
    pub fn check_recorded(&self, trail: &[&AuditedRequest]) -> Result<(), String> {
        let own: Vec<_> = trail.iter().copied().filter(|record| record.request_id == self.id).collect();
        let users: Vec<&String> = self.ids.iter().filter(|id| *id != NO_ID).collect();
        let malformed = self.ids.len() - users.len();
        let parameters = json!({ "user_ids": users, "malformed": malformed });
        let is_request = |record: &&&AuditedRequest| {
            record.action == REQUEST && record.status == self.status && record.parameters == parameters
        };
        if !own.iter().any(|record| is_request(&record)) {
            return Err(format!("{self:?} was answered and is not recorded"));
        }
        for user in self.ids.iter().collect::<BTreeSet<_>>() {
            let is_change =
                |record: &&&AuditedRequest| record.action == CHANGE && record.target.as_ref() == Some(user);
            let times = |of| self.items().filter(|(id, result)| *id == user && *result == of).count();
            let (found, least) = (own.iter().filter(is_change).count(), times(ItemResult::Deactivated));
            if !(least..=least + times(ItemResult::NotKnown)).contains(&found) {
                return Err(format!("{found} records say that {user} was deactivated by {self:?}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "11111111-0000-4000-8000-000000000001";

    fn read(items: &[(&str, Value)]) -> Result<BulkRequest, String> {
        let ids: Vec<String> = items.iter().map(|(id, _)| (*id).to_owned()).collect();
        let named = items.iter().map(|(id, item)| {
            let mut item = item.clone();
            item["user_id"] = json!(id);
            item
        });
        BulkRequest::read("r1", &ids, (200, &json!({ "results": named.collect::<Vec<_>>() })))
    }

    #[test]
    fn answers_that_the_contract_does_not_allow_are_found() {
        let done = || json!({ "result": "deactivated", "tasks_paused": 0 });
        let already = || json!({ "result": "already", "tasks_paused": 0 });
        let not_found = || json!({ "result": "not_found", "detail": "User not found" });
        let refused = |detail: &str| json!({ "result": "refused", "detail": detail });

        assert_eq!(
            read(&[(ANN, done()), (NOBODY, not_found()), (ANN, already())]).unwrap().deactivated().len(),
            2
        );
        assert!(read(&[(ANN, done()), (ANN, refused(CALLER_REFUSED))]).is_ok());
        assert!(read(&[(ANN, refused(NOT_KNOWN)), (ANN, not_found())]).is_ok());
        // Seed 30027940 of commit 62900007: only an identity made the user exist, and it went to another one.
        assert!(read(&[(ANN, already()), (ANN, not_found())]).is_ok());
        for wrong in [
            &[(NOBODY, done())][..],
            &[(NO_ID, not_found())],
            &[(ANN, refused(CALLER_REFUSED))],
            &[(ANN, done()), (ANN, refused(CALLER_REFUSED)), (ANN, already())],
            &[(ANN, json!({ "result": "deactivated" }))],
            &[(ANN, json!({ "result": "not_found" }))],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let ids = [ANN.to_owned()];
        assert!(BulkRequest::read("r1", &ids, (200, &json!({ "results": [] }))).is_err(), "one is missing");
    }
}
