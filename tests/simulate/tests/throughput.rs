//! What `cargo simulate --throughput` measures: counts, and never times of this machine.

use tokio::time::Duration;
use torale_domain::storage::keys::Lanes;
use torale_simulate::throughput::limits::AccountLimits;
use torale_simulate::throughput::measure::{ThroughputOutcome, ThroughputRun, beginning, run};
use torale_simulate::throughput::meters::RefusalCause;
use torale_simulate::throughput::platform::{Arrival, PlatformLife};

/// A small platform, two consumers, batches of ten.
fn small() -> ThroughputRun {
    ThroughputRun {
        life: PlatformLife {
            rate: 60.0,
            tasks: 50,
            arrival: Arrival::Even,
            distinct_queries: false,
            seed: 1,
        },
        lanes: Lanes::DEFAULT,
        consumers: 2,
        batch: 10,
        window: Duration::from_millis(500),
        computing: Duration::from_millis(1),
        limits: AccountLimits::AWS,
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(4),
        drain: Some(Duration::from_secs(300)),
    }
}

fn outcome(setup: &ThroughputRun) -> ThroughputOutcome {
    run(setup, beginning(setup.life, setup.lanes))
}

#[test]
fn every_event_is_consumed_with_capacity_to_spare() {
    let outcome = outcome(&small());

    assert!(outcome.holds(), "{outcome:?}");
    // 60 a second for 5 s, but for what the mix brings more or less.
    assert!((270..330).contains(&outcome.sent), "{outcome:?}");
    assert!(outcome.measured > 0 && outcome.unfinished == 0, "{outcome:?}");
    assert_eq!(outcome.refusals(RefusalCause::Partition).0, 0, "{outcome:?}");
    assert_eq!(outcome.refusals(RefusalCause::Table).0, 0, "{outcome:?}");
    let units: f64 = outcome.meters.tables.values().map(|units| units.write).sum();
    let events = f64::from(u32::try_from(outcome.measured).unwrap());
    assert!((3.0..14.0).contains(&(units / events)), "{units} units of {events} events");
}

#[test]
fn a_seed_always_makes_the_same_run() {
    let setup = small();
    let other = ThroughputRun { life: PlatformLife { seed: 2, ..setup.life }, ..setup };

    assert_eq!(outcome(&setup), outcome(&setup));
    assert_ne!(outcome(&setup), outcome(&other));
}

#[test]
fn a_partition_without_capacity_throttles_and_nothing_is_lost() {
    let limits = AccountLimits { partition_writes: 15.0, ..AccountLimits::AWS };
    let outcome = outcome(&ThroughputRun { limits, ..small() });

    let (throttled, key) = outcome.refusals(RefusalCause::Partition);
    assert!(throttled > 0, "{outcome:?}");
    // With few events in a transaction, the nodes that all of them share are the hottest.
    assert_eq!(key, "torale-projections-g1 c#executions#<lane>");
    assert_eq!(outcome.unfinished, 0, "{outcome:?}");
}

#[test]
fn a_table_without_capacity_throttles() {
    let limits = AccountLimits { table_writes: 50.0, ..AccountLimits::AWS };
    let outcome = outcome(&ThroughputRun { limits, ..small() });

    assert!(outcome.refusals(RefusalCause::Table).0 > 0, "{outcome:?}");
    assert!(!outcome.holds(), "{outcome:?}");
}

#[test]
fn consumers_of_one_lane_conflict_and_one_alone_does_not() {
    let one_lane = ThroughputRun { lanes: Lanes::ONE, ..small() };
    let conflicts = |consumers| {
        let outcome = outcome(&ThroughputRun { consumers, ..one_lane });
        assert_eq!(outcome.unfinished, 0, "{outcome:?}");
        outcome.refusals(RefusalCause::Conflict).0
    };

    assert_eq!(conflicts(1), 0);
    assert!(conflicts(6) > 0);
}

/// What all tasks of a popular query add up to was one item of all lanes, for which their transactions had to wait.
#[test]
fn a_popular_query_makes_no_lane_wait_for_another() {
    let lanes = Lanes::new(8).unwrap();
    let window = Duration::from_secs(2);
    let outcome = outcome(&ThroughputRun { lanes, consumers: 1, batch: 200, window, ..small() });

    assert!(outcome.meters.transactions > 10 && outcome.unfinished == 0, "{outcome:?}");
    let of_queries = outcome.meters.refused.iter().filter(|((_, key), _)| key.ends_with(" q#<id>"));
    assert_eq!(of_queries.map(|(_, count)| count).sum::<u64>(), 0, "{outcome:?}");
}

#[test]
fn messages_in_flight_are_limited() {
    let limits = AccountLimits { in_flight: 10, ..AccountLimits::AWS };
    let outcome = outcome(&ThroughputRun { limits, ..small() });

    let (most, held_back) = outcome.in_flight;
    assert_eq!(most, 10);
    assert!(held_back > 0 && outcome.unfinished == 0, "{outcome:?}");
    assert_eq!(outcome.first_limit(), "messages in flight");
}

#[test]
fn a_crowd_comes_at_once_and_is_consumed() {
    let arrival = Arrival::Crowd { seconds: 2 };
    let life = PlatformLife { rate: 10.0, tasks: 200, arrival, ..small().life };
    let setup = ThroughputRun { life, warm_up: Duration::ZERO, measured: Duration::from_secs(11), ..small() };
    let outcome = outcome(&setup);

    // All of a minute: 600, but for what the mix brings more or less.
    assert!((560..640).contains(&outcome.sent), "{outcome:?}");
    assert_eq!(outcome.unfinished, 0, "{outcome:?}");
}
