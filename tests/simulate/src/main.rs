//! `cargo simulate`: runs schedules, or one with its trace, and prints what was found.

use clap::{Parser, ValueEnum};
use std::fmt;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::time::Instant;
use torale_simulate::defects::Defect;
use torale_simulate::faults::{self, Fault};
use torale_simulate::schedule::{Simulation, SimulationOutcome, in_threads, run};
use torale_simulate::shrink::shrink;
use torale_simulate::throughput::search::{ThroughputArguments, search};

/// How often many schedules say how far they are, in seconds.
const PROGRESS_S: u64 = 10;

/// Simulates the system under faults: the same seed always makes the same run.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs this seed alone and prints what happens.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many run at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Goes on after a failure.
    #[arg(long)]
    all: bool,
    /// Prints no trace of a seed.
    #[arg(long)]
    quiet: bool,
    /// Finds a smaller schedule that fails as well.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Other random choices for the same messages, as `--shrink` prints them.
    #[arg(long, default_value_t = 0, requires = "seed")]
    choice: u64,
    /// Positions of the messages to send, as `--shrink` prints them.
    #[arg(long, value_delimiter = ',', requires = "seed")]
    only: Vec<usize>,
    /// Faults that do not happen.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Fault>,
    /// Plants each defect by itself and prints the first seed that shows it.
    #[arg(long, conflicts_with = "defect")]
    defects: bool,
    /// Plants a defect, which must be found.
    #[arg(long)]
    defect: Option<Defect>,
    #[command(flatten)]
    throughput: ThroughputArguments,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.throughput.throughput {
        search(&arguments.throughput);
        return ExitCode::SUCCESS;
    }
    match arguments.seed {
        Some(seed) => one(&arguments, seed),
        None if arguments.defects => defects(&arguments),
        None => many(&arguments),
    }
}

fn schedule(arguments: &Arguments, seed: u64) -> Simulation {
    let Arguments { choice, only, without, defect, .. } = arguments;
    Simulation {
        seed,
        choice: *choice,
        only: only.clone(),
        without: without.clone(),
        defect: *defect,
        trace: false,
    }
}

fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    let mut schedule = schedule(arguments, seed);
    if arguments.shrink && run(&schedule).failure.is_some() {
        schedule = shrink(&schedule);
    }
    schedule.trace = !arguments.quiet;
    let outcome = run(&schedule);
    outcome.trace.iter().for_each(|line| println!("{line}"));
    println!("{} messages, digest {:016x}", outcome.messages, outcome.digest);
    report(&schedule, &outcome)
}

fn report(schedule: &Simulation, outcome: &SimulationOutcome) -> ExitCode {
    match &outcome.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("{}\n{failure}", command(schedule));
            ExitCode::FAILURE
        }
    }
}

/// The command that runs a schedule again.
fn command(schedule: &Simulation) -> String {
    let Simulation { seed, choice, only, without, defect, trace: _ } = schedule;
    let mut command = format!("cargo simulate --seed {seed}");
    if *choice > 0 {
        command += &format!(" --choice {choice}");
    }
    if !only.is_empty() {
        command += &format!(" --only {}", joined(only.iter().map(usize::to_string)));
    }
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    };
    if !without.is_empty() {
        command +=
            &format!(" --without {}", joined(without.iter().map(|fault| name(fault.to_possible_value()))));
    }
    if let Some(defect) = defect {
        command += &format!(" --defect {}", name(defect.to_possible_value()));
    }
    command
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(",")
}

/// Looks for every defect, and fails if one is not found.
fn defects(arguments: &Arguments) -> ExitCode {
    let next = AtomicUsize::new(0);
    let missed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                let following = || Defect::value_variants().get(next.fetch_add(1, Ordering::Relaxed));
                while let Some(defect) = following() {
                    let mut seeds = arguments.from..arguments.from + arguments.cases;
                    let planted = |seed| Simulation { defect: Some(*defect), ..schedule(arguments, seed) };
                    match seeds.find(|seed| run(&planted(*seed)).failure.is_some()) {
                        Some(seed) => println!("{defect:?}: seed {seed}"),
                        None => {
                            println!("{defect:?}: not found");
                            missed.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    if missed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What many schedules have come to so far.
struct Progress {
    began: Instant,
    seconds_at_report: AtomicU64,
    ran: AtomicU64,
    failed: Mutex<Vec<u64>>,
}

impl Progress {
    fn new() -> Self {
        let (seconds_at_report, ran) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { began: Instant::now(), seconds_at_report, ran, failed: Mutex::default() }
    }

    /// Counts a schedule, and prints its failure at once.
    fn add(&self, schedule: &Simulation, outcome: &SimulationOutcome) {
        self.ran.fetch_add(1, Ordering::Relaxed);
        if outcome.failure.is_some() {
            let mut failed = self.failed.lock().expect("no panic");
            report(schedule, outcome);
            failed.push(schedule.seed);
        }
        let (now, last) = (self.began.elapsed().as_secs(), self.seconds_at_report.load(Ordering::Relaxed));
        let is_due = now >= last + PROGRESS_S
            && self
                .seconds_at_report
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ran, seconds) = (self.ran.load(Ordering::Relaxed), self.began.elapsed().as_secs_f64());
        let rate = f64::from(u32::try_from(ran).unwrap_or(u32::MAX)) / seconds;
        let failed = self.failed.lock().expect("no panic").len();
        write!(f, "{ran} schedules in {seconds:.1} s, {rate:.0} a second; {failed} failed")
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let progress = Progress::new();
    let seeds = arguments.from..arguments.from + arguments.cases;
    let coverage = in_threads(arguments.jobs, seeds, |seed| {
        let schedule = schedule(arguments, seed);
        let outcome = run(&schedule);
        progress.add(&schedule, &outcome);
        outcome.failure.is_none() || arguments.all
    });
    println!("{}\n{progress}", faults::print(&coverage));
    let mut failed = progress.failed.into_inner().expect("no panic");
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    failed.sort_unstable();
    println!("seeds: {}", joined(failed.iter().map(u64::to_string)));
    ExitCode::FAILURE
}
