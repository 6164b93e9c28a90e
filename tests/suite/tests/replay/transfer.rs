//! A log moves from one installation to another.

use super::{filled, filled_where, quiet, rebuild};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use queries::Queries;
use stats::Stats;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use torale_domain::entities::linkage;
use torale_domain::storage::keys::{self, EVENTS_TABLE, Lanes, QUARANTINE_TABLE};
use torale_domain::values::ids::ClerkUserId;
use torale_platform::clock;
use torale_replay::ReplayError;
use torale_replay::transfer::{MANIFEST, Pseudonyms};
use torale_testkit::events::{ADMIN, api_key};
use torale_testkit::faults::Faults;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::get;
use torale_testkit::stack::{NOW, RawItem, Stack, number};
use users::Users;

/// A temporary folder that is removed with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("torale-export-{}", clock::unique())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn sorted(items: Vec<RawItem>) -> Vec<String> {
    let print = |item: &RawItem| format!("{:?}", item.iter().collect::<BTreeMap<_, _>>());
    let mut items: Vec<String> = items.iter().map(print).collect();
    items.sort();
    items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_and_import_move_the_log_with_its_quarantine() {
    let (from, _) = filled(7000, 150).await;
    let folder = Folder::new();
    let manifest = quiet(from.store_as("Operator")).export(&folder.0, None).await.unwrap();

    assert!(manifest.messages > 100 && manifest.quarantined > 0 && manifest.undecodable == 0);

    let to = Stack::start().await;
    // Interrupted after some calls, and then started again.
    let dying = quiet(to.faulty_store(&Faults::new(9, true, true)));

    assert!(dying.import(&folder.0).await.is_err());

    // The log's policy refuses batches, as items could be deleted in them.
    let replay = quiet(to.store_with(Interceptor::refusing("BatchWriteItem")));

    for _ in 0..2 {
        assert_eq!(replay.import(&folder.0).await.unwrap(), manifest);
    }

    let replay = quiet(to.store_as("Operator"));
    assert_eq!(to.scan(QUARANTINE_TABLE).await.len(), from.scan(QUARANTINE_TABLE).await.len());
    assert!(sorted(to.scan(EVENTS_TABLE).await) == sorted(from.scan(EVENTS_TABLE).await));

    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    assert!(to.generation(&generation.name).await == from.projections().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_that_is_scrubbed_counts_the_same_and_has_no_personal_data() {
    // A user id that is derived from a Clerk id is another one after the Clerk id has become a pseudonym.
    let derived = |clerk: &str| linkage::derived(&ClerkUserId::parse(clerk).unwrap()).to_string();
    let derived = ["user", "user/ä b?#\u{1}", "user-2", "user-3"].map(derived);
    let names_none = |message: &String| !derived.iter().any(|id| message.to_lowercase().contains(id));
    let (from, _) = filled_where(7100, 200, names_none).await;
    let folder = Folder::new();
    let scrub = Pseudonyms { salt: b"pepper".to_vec() };
    let manifest = quiet(from.store_as("Operator")).export(&folder.0, Some(&scrub)).await.unwrap();

    assert!(manifest.scrubbed);

    let mut text = String::new();

    for file in &manifest.files {
        let packed = fs::read(folder.0.join(&file.name)).unwrap();
        text += &String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    }

    let users = from.read(&get::<Users>("limit=100")).await;
    let queries = from.read(&get::<Queries>("limit=100")).await;

    for user in users["users"].as_array().unwrap() {
        assert!(!text.contains(user["email"].as_str().unwrap()), "{user}");
    }
    for query in queries["queries"].as_array().unwrap() {
        let query = query["search_query"].as_str().unwrap();
        assert!(query.len() < 4 || !text.contains(query), "{query}");
    }

    let to = Stack::start().await;
    let replay = quiet(to.store_as("Operator"));
    replay.import(&folder.0).await.unwrap();
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    super::generations::promote(&replay, &generation.name).await;

    // The admin's key is unknown there; the counts are the same. Lanes are added up: a row that stands under an id
    // derived from a Clerk id has another id there, so it may be counted in another lane.
    assert_eq!(get::<Stats>("").send(&to.app()).await.status, 401);
    assert_eq!(totals(&to.generation(&generation.name).await), totals(&from.projections().await));
}

/// Scrubbing divides a record over lanes, and with another salt the parts of two may meet in one lane again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_that_is_scrubbed_twice_loses_nothing() {
    let (from, _) = filled(7150, 20).await;
    // By one writer, so that all of them have one sort key.
    let keys: Vec<String> = (0..200)
        .map(|number| api_key(&format!("key-{number}")).created(ADMIN, &format!("sk_{number:030}")).message())
        .collect();
    from.consume(&keys).await;
    let mut folders = Vec::new();
    let (mut stack, mut counts) = (from, Vec::new());
    for salt in ["pepper", "salt", "sugar"] {
        let (folder, scrub) = (Folder::new(), Pseudonyms { salt: salt.into() });
        let manifest = quiet(stack.store_as("Operator")).export(&folder.0, Some(&scrub)).await.unwrap();
        stack = Stack::start().await;
        quiet(stack.store_as("Operator")).import(&folder.0).await.unwrap();
        counts.push((manifest.messages, stack.logged().await.len()));
        folders.push(folder);
    }
    let (all, _) = counts[0];
    assert_eq!(counts, [(all, usize::try_from(all).unwrap()); 3]);
}

/// The counted index's nodes but for those of a query or a user, which are pseudonyms after a scrub: node and measure
/// to number.
fn totals(items: &BTreeMap<String, String>) -> BTreeMap<(String, String), i64> {
    // The ranking of queries, and the tasks of one user or one query.
    let personal = ["c#queries", "c#tasks/"];
    let mut totals = BTreeMap::new();

    for item in items
        .iter()
        .filter(|(key, _)| key.starts_with("c#") && !personal.iter().any(|of| key.starts_with(of)))
    {
        let node: BTreeMap<String, String> = serde_json::from_str(item.1).unwrap();
        let index = node["pk"].rsplit_once('#').unwrap().0;

        for (measure, number) in node.iter().filter(|(name, _)| !matches!(name.as_str(), "pk" | "sk")) {
            let key = (format!("{index} {}", node["sk"]), measure.clone());
            *totals.entry(key).or_default() += number.parse::<i64>().unwrap();
        }
    }
    assert!(!totals.is_empty());
    totals.retain(|_, number| *number != 0);
    totals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn import_refuses_files_that_differ_from_the_manifest_and_a_log_that_is_not_empty() {
    let (from, _) = filled(7200, 60).await;
    let folder = Folder::new();
    let replay = quiet(from.store_as("Operator"));
    let manifest = replay.export(&folder.0, None).await.unwrap();

    assert!(
        matches!(replay.export(&folder.0, None).await, Err(ReplayError::Refused(_))),
        "not twice into one folder"
    );
    assert!(matches!(replay.import(&folder.0).await, Err(ReplayError::Refused(_))), "the log is not empty");

    let to = Stack::start().await;
    let empty = quiet(to.store_as("Operator"));
    let file = folder.0.join(&manifest.files[0].name);
    let mut bytes = fs::read(&file).unwrap();
    bytes.pop();
    fs::write(&file, bytes).unwrap();

    assert!(matches!(empty.import(&folder.0).await, Err(ReplayError::InvalidFile(..))));
    assert_eq!(to.scan(EVENTS_TABLE).await.len(), 0, "nothing was begun");

    fs::write(folder.0.join(MANIFEST), "{}").unwrap();
    assert!(matches!(empty.import(&folder.0).await, Err(ReplayError::InvalidFile(..))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_and_import_move_a_part_of_the_log_that_cannot_be_read_as_it_is() {
    let (from, _) = filled(7300, 20).await;
    let broken = AttributeValue::B(Blob::new(*b"broken"));
    let key = keys::log(NOW, 1, "broken", 0);
    from.put(EVENTS_TABLE, &key, [("events", broken), ("n", number(2))]).await;
    let folder = Folder::new();

    assert_eq!(quiet(from.store_as("Operator")).export(&folder.0, None).await.unwrap().undecodable, 1);

    let to = Stack::start().await;
    quiet(to.store_as("Operator")).import(&folder.0).await.unwrap();

    assert!(sorted(to.scan(EVENTS_TABLE).await) == sorted(from.scan(EVENTS_TABLE).await));
}
