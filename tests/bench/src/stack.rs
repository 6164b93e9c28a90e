//! The embedded store, and a fast way to fill it: fold in memory, build the final items, import them.

use crate::cost::CountStoreBytes;
use crate::world::BenchWorld;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::types::AttributeValue as Sent;
use dynoxide::Database;
use std::sync::mpsc::sync_channel;
use tokio_util::sync::{CancellationToken, DropGuard};
use torale_domain::entities::fold::State;
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::projections::build::Build;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, CONTROL_TABLE, FIRST_GENERATION, Lanes, PK, SK};
use torale_domain::values::ids::EntityKey;
use torale_local::console::Console;
use torale_local::listen::listen;
use torale_local::store as local;
use torale_platform::store::Store;
use torale_testkit::stack::config;

/// Items of one import.
const CHUNK: usize = 10_000;

/// An embedded store with all tables, served for as long as this lives.
pub struct BenchStack {
    /// A client for looking at tables.
    pub client: Client,
    /// Where it is served.
    pub port: u16,
    database: Database,
    _stop: DropGuard,
}

impl BenchStack {
    /// A store with a history in it.
    pub async fn with(world: &BenchWorld, lanes: Lanes) -> Self {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (database, stop) = (local::open(None).unwrap(), CancellationToken::new());
        tokio::spawn(local::serve(listener, database.clone(), Console::default(), stop.clone()));
        let client = local::client(port);
        local::create_tables(&client).await.unwrap();
        let stack = Self { client, port, database, _stop: stop.drop_guard() };
        stack.point_to(lanes).await;
        stack.fill(world.clone(), lanes).await;
        stack
    }

    /// Client configuration for this store.
    pub fn config(&self) -> Builder {
        config(self.port)
    }

    /// A store client of its own, whose answers are counted (`cost::store_bytes`).
    pub fn store(&self) -> Store {
        counted_store(self.port)
    }

    async fn point_to(&self, lanes: Lanes) {
        let key = keys::live_generation();
        let put = self
            .client
            .put_item()
            .table_name(CONTROL_TABLE)
            .item(PK, Sent::S(key.pk))
            .item(SK, Sent::S(key.sk));
        let put = put.item("generation", Sent::S(FIRST_GENERATION.to_owned()));
        put.item("lanes", Sent::N(lanes.count().to_string())).send().await.unwrap();
    }

    /// One thread folds and builds while another imports.
    async fn fill(&self, world: BenchWorld, lanes: Lanes) {
        let (send, receive) = sync_channel::<Vec<Item>>(4);
        let database = self.database.clone();
        let importing = tokio::task::spawn_blocking(move || {
            let table = keys::projections_table(FIRST_GENERATION);
            for items in receive {
                local::import(&database, &table, items).unwrap();
            }
        });
        let building = tokio::task::spawn_blocking(move || {
            let mut build = Build::new(lanes);
            let mut items = Vec::new();
            for bodies in world.entities() {
                let (entity, state) = folded(&bodies);
                items.extend(build.entity(&entity, state).unwrap());
                if items.len() >= CHUNK {
                    send.send(std::mem::take(&mut items)).unwrap();
                }
            }
            items.extend(build.finish().unwrap());
            send.send(items).unwrap();
        });
        building.await.unwrap();
        importing.await.unwrap();
    }
}

/// A client of the store on a port, whose answers are counted (`cost::store_bytes`).
pub fn counted_store(port: u16) -> Store {
    Store::new(config(port).interceptor(CountStoreBytes))
}

/// The entity that some events are about, and their fold.
fn folded(bodies: &[String]) -> (EntityKey, State) {
    let mut state = State::default();
    let mut entity = None;
    for body in bodies {
        let Ok(ReceivedMessage::Known(event)) = events::parse(body, None) else { panic!("no event: {body}") };
        entity = Some(event.entity());
        state.fold(*event);
    }
    (entity.unwrap(), state)
}
