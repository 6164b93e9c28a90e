//! A log leaves one installation and comes to another.

use super::{filled, quiet, rebuild};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use torale_domain::storage::keys::{EVENTS_TABLE, Lanes, QUARANTINE_TABLE};
use torale_platform::clock;
use torale_replay::ReplayError;
use torale_replay::transfer::{MANIFEST, Pseudonyms};
use torale_tests::faults::{Faults, Without};
use torale_tests::stack::Stack;

/// A folder that goes when this does.
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

fn sorted(items: Vec<HashMap<String, AttributeValue>>) -> Vec<String> {
    let print =
        |item: &HashMap<String, AttributeValue>| format!("{:?}", item.iter().collect::<BTreeMap<_, _>>());
    let mut items: Vec<String> = items.iter().map(print).collect();
    items.sort();
    items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_with_everything_that_was_set_aside() {
    let (from, _) = filled(7000, 150).await;
    let folder = Folder::new();
    let manifest = quiet(from.store_as("Operator")).export(&folder.0, None).await.unwrap();
    assert!(manifest.messages > 100 && manifest.quarantined > 0 && manifest.undecodable == 0);
    let to = Stack::start().await;
    // Interrupted after some calls, and then again from the beginning.
    let dying = quiet(to.faulty_store(Faults::new(9, true, true)));
    assert!(dying.import(&folder.0).await.is_err());
    // The log's policy refuses batches, in which something could be deleted.
    let replay = quiet(to.store_with(Without("BatchWriteItem")));
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
async fn scrubbed_it_counts_the_same_and_names_nobody() {
    let (from, _) = filled(7100, 200).await;
    let folder = Folder::new();
    let scrub = Pseudonyms { salt: b"pepper".to_vec() };
    let manifest = quiet(from.store_as("Operator")).export(&folder.0, Some(&scrub)).await.unwrap();
    assert!(manifest.scrubbed);
    let mut text = String::new();
    for file in &manifest.files {
        let packed = fs::read(folder.0.join(&file.name)).unwrap();
        text += &String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    }
    // What the generator's users, tasks and keys are called by.
    let (_, users) = from.get("/admin/users", "limit=100").await;
    let (_, queries) = from.get("/admin/queries", "limit=100").await;
    let users: serde_json::Value = serde_json::from_str(&users).unwrap();
    let queries: serde_json::Value = serde_json::from_str(&queries).unwrap();
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
    // The admin's key opens nothing there; what is counted is the same.
    assert_eq!(to.get("/admin/stats", "").await.0, 401);
    let counters = |items: BTreeMap<String, String>| {
        items
            .into_iter()
            .filter(|(key, _)| key.starts_with("c#") && !key.starts_with("c#queries"))
            .collect::<Vec<_>>()
    };
    assert_eq!(counters(to.generation(&generation.name).await), counters(from.projections().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_what_the_manifest_says_is_refused_and_so_is_a_log_that_holds_anything() {
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

/// A part of the log that can't be read moves as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_exported_as_it_is() {
    let (from, _) = filled(7300, 20).await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let broken = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(*b"broken"));
    let key = torale_domain::storage::keys::log(torale_tests::stack::NOW, 1, "broken", 0);
    let put =
        from.client.put_item().table_name(EVENTS_TABLE).item("pk", text(&key.pk)).item("sk", text(&key.sk));
    let n = AttributeValue::N("2".to_owned());
    put.item("events", broken).item("n", n).send().await.unwrap();
    let folder = Folder::new();
    assert_eq!(quiet(from.store_as("Operator")).export(&folder.0, None).await.unwrap().undecodable, 1);
    let to = Stack::start().await;
    quiet(to.store_as("Operator")).import(&folder.0).await.unwrap();
    assert!(sorted(to.scan(EVENTS_TABLE).await) == sorted(from.scan(EVENTS_TABLE).await));
}
