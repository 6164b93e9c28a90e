//! What a series costs where every node is full: 12 thousand executions an hour and lane, a year long.

use serde_json::Value;
use stats_series::StatsSeries;
use torale_domain::pages::series::{self, SeriesParameters};
use torale_domain::requests::parameters::QueryParameters;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, FIRST_GENERATION, Index, Lanes};
use torale_domain::values::time::{DAY, HOUR, Timestamp};
use torale_platform::store::{Generation, TableReader, Usage};
use torale_testkit::request::get;
use torale_testkit::scenario::{Scenario, given_an_admin};
use torale_testkit::stack::{NOW, number};

const SLOTS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";
/// Executions, successes, failures, milliseconds and errors of a minute.
const FULL: [(char, i64); 5] = [('n', 211), ('s', 199), ('f', 12), ('d', 887_321), ('e', 12)];
const LANES: Lanes = Lanes::DEFAULT;

/// A node with this many slots, each with as much as so many minutes hold.
async fn put(scenario: &Scenario, key: &Key, slots: usize, minutes: i64) {
    let amounts = SLOTS.chars().take(slots).flat_map(|slot| {
        FULL.map(|(measure, amount)| (String::from_iter([slot, measure]), amount * minutes))
    });
    let amounts: Vec<(String, i64)> = amounts.collect();
    let attributes = amounts.iter().map(|(name, amount)| (name.as_str(), number(*amount)));
    let table = keys::projections_table(FIRST_GENERATION);
    scenario.put(&table, key, attributes.chain([("p", number(1))])).await;
}

async fn full() -> Scenario {
    let scenario = given_an_admin().start().await;
    for lane in LANES.all() {
        for hour in 0..=25 {
            let hour = NOW.plus(-hour * HOUR).hour();
            put(&scenario, &keys::hour_node(Index::Executions, lane, hour, None), 60, 1).await;
        }
        for day in 0..=365 {
            let day = NOW.plus(-day * DAY).day();
            put(&scenario, &keys::day_node(Index::Executions, lane, day), 24, 60).await;
            put(&scenario, &keys::month_node(Index::Executions, lane, day.month(), None), 28, 1_440).await;
        }
        // The hours in which the longer windows begin.
        for hours in [744, 8760] {
            let hour = NOW.plus(-hours * HOUR).hour();
            put(&scenario, &keys::hour_node(Index::Executions, lane, hour, None), 60, 1).await;
        }
    }
    scenario
}

#[tokio::test]
async fn series_costs_one_round_trip_and_at_most_ten_units_where_every_node_is_full() {
    let scenario = full().await;
    let store = scenario.store();

    for metric in ["executions", "errors"] {
        for (bucket, hours, points) in [("minute", 24, 1441), ("hour", 744, 745), ("day", 8760, 366)] {
            let query = format!("metric={metric}&bucket={bucket}&hours={hours}");
            let usage = Usage::default();
            let reader = TableReader::of(&store, &Generation::first(), &usage);
            let parameters = SeriesParameters::parse(&query).unwrap();

            let page = series::answer(&reader, &parameters, NOW).await.unwrap();

            let (trips, units) = (usage.round_trips(), usage.read_units());
            println!("{query}: {trips} round trips, {units} units");
            assert_eq!((page.points.len(), trips), (points, 1), "{query}");
            assert!(units <= 10.0, "{query}: {units} units");
        }
    }
}

/// The slots of full nodes, counted by hand: the minutes of the window, for two lanes.
#[tokio::test]
async fn series_by_hour_counts_what_the_nodes_of_hours_and_days_hold() {
    let scenario = full().await;

    let series = scenario.when(get::<StatsSeries>("metric=executions&bucket=hour&hours=744")).await.json();

    let counts: Vec<i64> =
        series["points"].as_array().unwrap().iter().map(|point| point["count"].as_i64().unwrap()).collect();
    let (first, last) = (Timestamp::parse("2026-02-28T10:30:00Z").unwrap(), counts.len() - 1);
    assert_eq!(series["points"][0]["start"], serde_json::to_value(first).unwrap());
    assert_eq!(counts[0], 2 * 30 * 211, "half of the first hour");
    assert!(counts[1..last].iter().all(|count| *count == 2 * 60 * 211));
    // The rest of today is full as well, and lies ahead of now.
    assert_eq!(counts[last], 2 * 14 * 60 * 211);
    assert_eq!(series["points"][last]["start"], Value::from("2026-03-31T10:00:00Z"));
}
