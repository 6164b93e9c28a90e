//! cargo audit-verify: checks that the audit trail is complete, in order and unchanged.

use clap::{Args, Parser, Subcommand};
use ed25519_dalek::VerifyingKey;
use std::path::PathBuf;
use std::process::ExitCode;
use torale_domain::audit::verify::{HourSpan, TrailReport, TrailVerifier};
use torale_domain::values::ids::Digest;
use torale_domain::values::time::{Hour, Timestamp};
use torale_platform::audit::index::{AuditIndex, ReindexReport};
use torale_platform::clock;
use torale_platform::store::{Store, Usage};
use torale_tools::audit::{self, AuditToolError};
use torale_tools::print_line;
use torale_tools::terminal::print_failure;

/// Verifies the audit trail of the account's or a local table, or of an export (offline).
///
/// Exit status: 0 the trail is intact, 1 it is not, 2 it could not be verified.
#[derive(Debug, Parser)]
#[command(
    name = "cargo audit-verify",
    bin_name = "cargo audit-verify",
    version,
    subcommand_negates_reqs = true
)]
struct AuditArguments {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    #[command(flatten)]
    check: Check,
    /// A local DynamoDB instead of the account's, such as http://127.0.0.1:8000
    #[arg(long, value_name = "URL", global = true)]
    endpoint: Option<String>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Write every item of the table to standard output, one a line, to be verified elsewhere with
    /// --export
    Export,
    /// Add missing sealed records to the index of GET /admin/audit, after its table was lost or
    /// emptied
    ///
    /// May be interrupted and called again, and may run at the same time as the sealing job, which
    /// indexes new records. Verify the trail first: an index of a damaged trail lacks removed
    /// records and shows changed ones.
    Reindex,
}

#[derive(Debug, Args)]
struct Check {
    /// A key that signed seals (PEM, public or private); repeat it if the key was changed
    #[arg(long, value_name = "FILE", required = true, num_args = 1)]
    key: Vec<PathBuf>,
    /// Verify this export; `-` is standard input
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Only records from this hour on, such as 2026-11-22T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = hour)]
    from: Option<Hour>,
    /// Only records before this hour
    #[arg(long, value_name = "TIME", value_parser = hour)]
    to: Option<Hour>,
    /// A seal that was noted elsewhere, as in the log of audit-seal: its number, a colon, its
    /// digest
    #[arg(long, value_name = "NUMBER:DIGEST", value_parser = expected)]
    expect: Option<(u64, Digest)>,
}

fn hour(text: &str) -> Result<Hour, String> {
    let time = Timestamp::parse(text).ok_or("not a time such as 2026-11-22T09:00:00Z")?;
    if time.hour().start() == time { Ok(time.hour()) } else { Err("not a full hour".to_owned()) }
}

fn expected(text: &str) -> Result<(u64, Digest), String> {
    let parts = text.split_once(':').and_then(|(n, digest)| Some((n.parse().ok()?, Digest::parse(digest)?)));
    parts.ok_or_else(|| "not a number, a colon and 64 hexadecimal digits".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = AuditArguments::parse();
    let done = match arguments.command {
        Some(AuditCommand::Export) => export(arguments.endpoint).await,
        Some(AuditCommand::Reindex) => reindex(arguments.endpoint).await,
        None => check(&arguments.check, arguments.endpoint).await,
    };
    done.unwrap_or_else(|failure| {
        print_failure("cargo audit-verify", failure);
        ExitCode::from(2)
    })
}

async fn connect(endpoint: Option<String>) -> Store {
    match endpoint {
        Some(url) => audit::local_store(&url),
        None => Store::connect().await,
    }
}

async fn export(endpoint: Option<String>) -> Result<ExitCode, AuditToolError> {
    let store = connect(endpoint).await;
    audit::export(&store, &Usage::default()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn reindex(endpoint: Option<String>) -> Result<ExitCode, AuditToolError> {
    let (store, usage) = (connect(endpoint).await, Usage::default());
    let ReindexReport { looked_at, listed, unsealed } = AuditIndex::new(&store, &usage).rebuild().await?;
    print_line!(
        "{looked_at} records, {unsealed} of them in no seal and not listed; {listed} put into the index"
    );
    print_line!("for {} read units and {} write units", usage.read_units(), usage.write_units());
    Ok(ExitCode::SUCCESS)
}

async fn check(check: &Check, endpoint: Option<String>) -> Result<ExitCode, AuditToolError> {
    // Nothing is between them, so that nothing would be wrong.
    if check.from.zip(check.to).is_some_and(|(from, to)| from >= to) {
        return Err(AuditToolError::Hours);
    }
    let keys =
        check.key.iter().map(|path| audit::read_key(path)).collect::<Result<Vec<VerifyingKey>, _>>()?;
    let span = HourSpan { from: check.from, to: check.to };
    let mut verifier = TrailVerifier::new(span);
    let mut now = None;
    match &check.export {
        Some(path) => audit::read_export(path, |item| verifier.add(item))?,
        None => {
            now = Some(clock::system()).filter(|_| check.to.is_none());
            let store = connect(endpoint).await;
            audit::read_table(&store, span, &Usage::default(), |item| verifier.add(item)).await?;
        }
    }
    let report = verifier.finish(&keys, check.expect.as_ref().map(|(number, digest)| (*number, digest)), now);
    print(&report);
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(report: &TrailReport) {
    let TrailReport { records, seals, unsealed, .. } = report;
    print_line!("{records} records, {unsealed} of them not sealed yet; {seals} seals");
    if let Some((at, number, digest)) = &report.last {
        print_line!("last seal: {number}:{} at {at}", digest.as_str());
    }
    match report.faults.as_slice() {
        [] => print_line!("intact"),
        [first, others @ ..] => {
            print_line!("NOT INTACT. The first fault: {first}");
            others.iter().for_each(|fault| print_line!("  then: {fault}"));
        }
    }
}
