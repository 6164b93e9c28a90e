//! The fewest lanes and consumers that are enough.

use super::limits::AccountLimits;
use super::measure::{ThroughputOutcome, ThroughputRun, beginning, run};
use super::meters::RefusalCause;
use super::platform::{Arrival, PlatformLife};
use std::fmt::Write;
use tokio::time::Duration;
use torale_domain::storage::keys::Lanes;

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct ThroughputArguments {
    /// Measures how many events a second are taken, instead of running schedules.
    #[arg(long)]
    pub throughput: bool,
    /// Events a second.
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    pub rates: Vec<u32>,
    /// Lanes to try.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32,64")]
    pub lanes: Vec<u32>,
    /// Consumers at once to try, fewest first; more are not tried once some are enough.
    #[arg(long, value_delimiter = ',', default_value = "2,5,10,20,50,100")]
    pub consumers: Vec<usize>,
    /// Messages of a batch, at most.
    #[arg(long, default_value_t = 1000)]
    pub batch: usize,
    /// Milliseconds for which a batch waits for more messages.
    #[arg(long, default_value_t = 5_000)]
    pub window_ms: u64,
    /// Microseconds of the consumer's processor for an event.
    #[arg(long, default_value_t = 500)]
    pub computing_us: u64,
    /// Users and tasks, each user with one task; ten for each event a second without it, 100,000 at most.
    #[arg(long)]
    pub tasks: Option<u64>,
    /// Every task has a query of its own.
    #[arg(long)]
    pub distinct_queries: bool,
    /// All executions of a minute begin in so many seconds.
    #[arg(long)]
    pub crowd: Option<u32>,
    /// Write units a second that a table may use.
    #[arg(long, default_value_t = 40_000)]
    pub table_writes: u32,
    /// Read units a second that a table may use.
    #[arg(long, default_value_t = 40_000)]
    pub table_reads: u32,
    /// Write units a second of a partition.
    #[arg(long, default_value_t = 1_000)]
    pub partition_writes: u32,
    /// Milliseconds of a transaction.
    #[arg(long, default_value_t = 10)]
    pub transaction_ms: u64,
    /// Messages in flight, at most.
    #[arg(long, default_value_t = 120_000)]
    pub in_flight: usize,
    /// Seconds before anything is measured.
    #[arg(long, default_value_t = 12)]
    pub warm_up: u64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Prints the hottest keys and all that was refused.
    #[arg(long)]
    pub detail: bool,
}

impl ThroughputArguments {
    fn life(&self, rate: u32) -> PlatformLife {
        let tasks = self.tasks.unwrap_or_else(|| (u64::from(rate) * 10).clamp(2_000, 100_000));
        let arrival = self.crowd.map_or(Arrival::Even, |seconds| Arrival::Crowd { seconds });
        PlatformLife {
            rate: f64::from(rate),
            tasks,
            arrival,
            distinct_queries: self.distinct_queries,
            seed: 0,
        }
    }

    fn run(&self, rate: u32, lanes: Lanes, consumers: usize) -> ThroughputRun {
        // A crowd is measured from its beginning until everything is consumed.
        let (warm_up, measured, drain) = match self.crowd {
            None => (self.warm_up, self.seconds, None),
            Some(seconds) => (0, u64::from(seconds) + 9, Some(Duration::from_secs(600))),
        };
        ThroughputRun {
            life: self.life(rate),
            lanes,
            consumers,
            batch: self.batch,
            window: Duration::from_millis(self.window_ms),
            computing: Duration::from_micros(self.computing_us),
            limits: AccountLimits {
                table_writes: f64::from(self.table_writes),
                table_reads: f64::from(self.table_reads),
                partition_writes: f64::from(self.partition_writes),
                transaction_ms: self.transaction_ms,
                in_flight: self.in_flight,
                ..AccountLimits::AWS
            },
            warm_up: Duration::from_secs(warm_up),
            measured: Duration::from_secs(measured),
            drain,
        }
    }
}

/// Measures and prints a table, a line for each number of lanes and of consumers that was tried.
///
/// # Panics
/// If a number of lanes is none that a generation may have.
pub fn search(arguments: &ThroughputArguments) {
    println!("{HEAD}");
    for rate in &arguments.rates {
        for lanes in &arguments.lanes {
            let lanes = Lanes::new(*lanes).expect("1 to 64 lanes");
            let tables = beginning(arguments.life(*rate), lanes);
            for consumers in &arguments.consumers {
                let outcome = run(&arguments.run(*rate, lanes, *consumers), tables.clone());
                println!("{}", line(*rate, lanes, *consumers, &outcome));
                if arguments.detail {
                    print!("{}", detail(&outcome));
                }
                if outcome.holds() {
                    break;
                }
            }
        }
    }
}

const HEAD: &str = "| events/s | lanes | consumers | holds | lag p50 | p99 | max, s | growth | busy | throttled | conflicts \
| per transaction | events a transaction | write units an event | short of |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn line(rate: u32, lanes: Lanes, consumers: usize, outcome: &ThroughputOutcome) -> String {
    let throttled = outcome.refusals(RefusalCause::Partition).0 + outcome.refusals(RefusalCause::Table).0;
    let conflicts = outcome.refusals(RefusalCause::Conflict).0 + outcome.refusals(RefusalCause::Condition).0;
    let finished = (outcome.measured as f64) * (1.0 - outcome.growth.clamp(0.0, 1.0));
    let transactions = (outcome.meters.transactions as f64).max(1.0);
    let units: f64 = outcome.meters.tables.values().map(|units| units.write).sum();
    let [p50, p99, max] = outcome.lags.map(|lag| lag.as_secs_f64());
    format!(
        "| {rate} | {} | {consumers} | {} | {p50:.1} | {p99:.1} | {max:.1} | {:.0} % | {:.0} % | {throttled} | {conflicts} \
         | {:.2} | {:.1} | {:.2} | {} |",
        lanes.count(),
        if outcome.holds() { "yes" } else { "no" },
        outcome.growth * 100.0,
        outcome.busy * 100.0,
        conflicts as f64 / transactions,
        finished / transactions,
        units / finished.max(1.0),
        outcome.first_limit(),
    )
}

/// The hottest keys, the tables and all refusals.
fn detail(outcome: &ThroughputOutcome) -> String {
    let mut text = String::new();
    let mut add = |line: String| writeln!(text, "    {line}").expect("a text takes it");
    let (most, held_back) = outcome.in_flight;
    add(format!("in flight {most}, held back {held_back} times, handed back {}", outcome.handed_back));
    for (name, units) in &outcome.meters.tables {
        let (read, write) = (units.read / outcome.seconds, units.write / outcome.seconds);
        add(format!("{name}: {read:.0} read and {write:.0} write units a second"));
    }
    for (key, units) in &outcome.meters.hottest {
        let (read, write) = (units.read / outcome.seconds, units.write / outcome.seconds);
        add(format!("  {key}: {read:.0} read and {write:.0} write units a second"));
    }
    for ((cause, kind), count) in &outcome.meters.refused {
        add(format!("  {cause:?} {kind}: {:.1} a second", *count as f64 / outcome.seconds));
    }
    text
}
