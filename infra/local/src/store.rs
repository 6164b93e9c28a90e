//! The DynamoDB-compatible store: dynoxide, in this process, on a port of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::types::{Select, TimeToLiveSpecification};
pub use dynoxide::Database;
use dynoxide::ImportOptions;
use dynoxide::types::AttributeValue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use torale_domain::storage::item::{Item, Value};
use torale_domain::storage::keys::{self, PK, SK};
use torale_platform::aws::causes;
use torale_platform::store::Store;

use crate::console::Console;
use crate::error::LocalError;

/// How often expired items are removed: dynoxide does it on request only.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

fn store_error(error: &dyn std::error::Error) -> LocalError {
    LocalError::Store(causes(error))
}

/// Opens the database: in memory, or in a file of `folder`.
///
/// # Errors
/// If the folder or its file cannot be used.
pub fn open(folder: Option<&Path>) -> Result<Database, LocalError> {
    let Some(folder) = folder else { return Database::memory().map_err(|error| store_error(&error)) };
    std::fs::create_dir_all(folder).map_err(LocalError::io(folder.display().to_string()))?;
    let path = file(folder);
    let database = Database::new(&path.to_string_lossy()).map_err(|error| store_error(&error))?;
    // Without an fsync for each commit, which would slow the consumer down. A power cut can damage
    // the file.
    database.enable_bulk_loading().map_err(|error| store_error(&error))?;
    Ok(database)
}

/// The file of a folder in which the database is.
#[must_use]
pub fn file(folder: &Path) -> PathBuf {
    folder.join("dynamodb.sqlite")
}

/// Removes the database of a folder, if there is one.
///
/// # Errors
/// If a file of it cannot be removed.
pub fn remove(folder: &Path) -> Result<(), LocalError> {
    let database = file(folder);
    // SQLite keeps a write-ahead log and an index of that beside the file.
    for suffix in ["", "-wal", "-shm"] {
        let mut path = database.clone().into_os_string();
        path.push(suffix);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LocalError::io(PathBuf::from(path).display().to_string())(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Puts items into a table of this process's own database, all of them or none: much faster than through a client.
///
/// # Errors
/// If the database refuses one.
pub fn import(database: &Database, table: &str, items: Vec<Item>) -> Result<(), LocalError> {
    let items = items.into_iter().map(stored).collect();
    database.import_items(table, items, ImportOptions::default()).map_err(|error| store_error(&error))?;
    Ok(())
}

fn stored(item: Item) -> HashMap<String, AttributeValue> {
    let value = |value| match value {
        Value::Text(text) => AttributeValue::S(text),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::Bytes(bytes) => AttributeValue::B(bytes),
    };
    let key =
        [(PK.to_owned(), AttributeValue::S(item.key.pk)), (SK.to_owned(), AttributeValue::S(item.key.sk))];
    key.into_iter().chain(item.attributes.into_iter().map(|(name, of)| (name, value(of)))).collect()
}

/// Serves the database until `stop`, and removes expired items meanwhile.
pub async fn serve(listener: TcpListener, database: Database, console: Console, stop: CancellationToken) {
    let sweeping = remove_expired_items(database.clone(), console.clone());
    let stopped = stop.clone().cancelled_owned();
    let serving = dynoxide::server::serve_with_shutdown(listener, database, stopped);
    tokio::select! {
        () = stop.cancelled() => {}
        () = sweeping => {}
        served = serving => {
            if let Err(error) = served {
                console.note(format!("the store: {error}"));
            }
        }
    }
}

async fn remove_expired_items(database: Database, console: Console) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let database = database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        if let Ok(Err(error)) = swept {
            console.note(format!("the store could not remove expired items: {error}"));
        }
    }
}

/// A client of the store on a loopback port.
#[must_use]
pub fn client(port: u16) -> Client {
    Client::from_conf(client_config(port).build())
}

/// The configuration of a client. The store takes any credentials.
#[must_use]
pub fn client_config(port: u16) -> Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// Creates the missing tables; returns `true` if there were none before.
///
/// # Errors
/// If the store refuses.
pub async fn create_tables(client: &Client) -> Result<bool, LocalError> {
    let listed = client.list_tables().send().await.map_err(|error| store_error(&error))?;
    let existing = listed.table_names();
    for table in keys::tables() {
        if existing.iter().any(|name| *name == *table.name) {
            continue;
        }
        Store::from(client.clone()).create_table(&table).await.map_err(|error| store_error(&error))?;
        if let Some(attribute) = table.ttl {
            enable_ttl(client, &table.name, attribute).await?;
        }
    }
    Ok(existing.is_empty())
}

async fn enable_ttl(client: &Client, table: &str, attribute: &str) -> Result<(), LocalError> {
    let specification = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true);
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(specification.build().map_err(|error| store_error(&error))?)
        .send()
        .await
        .map_err(|error| store_error(&error))?;
    Ok(())
}

/// Counts the items of a table.
///
/// # Errors
/// If the store refuses, or nothing listens on its port.
pub async fn count(client: &Client, table: &str) -> Result<u64, LocalError> {
    let mut pages = client.scan().table_name(table).select(Select::Count).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| store_error(&error))?;
        count += u64::try_from(page.count()).unwrap_or(0);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(folder: Option<&Path>) -> (Client, CancellationToken) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, open(folder).unwrap(), Console::default(), stop.clone()));
        (client(port), stop)
    }

    #[tokio::test]
    async fn create_tables_creates_each_table_once() {
        let (client, _stop) = start(None).await;
        assert!(create_tables(&client).await.unwrap());
        assert!(!create_tables(&client).await.unwrap());
        assert_eq!(count(&client, keys::QUARANTINE_TABLE).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn store_in_a_folder_keeps_its_tables() {
        let folder = std::env::temp_dir().join(format!("torale-local-{}", std::process::id()));
        let (client, stop) = start(Some(&folder)).await;
        assert!(create_tables(&client).await.unwrap());
        stop.cancel();
        let (client, _stop) = start(Some(&folder)).await;
        assert!(!create_tables(&client).await.unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
