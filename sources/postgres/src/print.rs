//! What the command prints.

use crate::arguments::BackfillOptions;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use torale_domain::replay::rebuild::Tally;
use torale_source::backfill::{Examples, TableReport};
use torale_source_outbox::relay::SourceRelayReport;
use torale_tools::print_line;
use torale_tools::terminal::print_json;

pub(crate) fn interrupted(json: bool) {
    if json {
        print_json(&json!({ "interrupted": true }));
    } else {
        print_line!("interrupted; the same command goes on");
    }
}

pub(crate) fn relayed(json: bool, report: &SourceRelayReport) {
    if json {
        print_json(report);
        return;
    }
    let SourceRelayReport { sent, refused, waiting, lag_ms, troubles } = report;
    print_line!("{sent} events sent, {refused} refused; {waiting} are waiting, the oldest for {lag_ms} ms");
    if *troubles > 0 {
        print_line!(
            "{troubles} things need a look: the tables failures, and outbox where refused is not null; and whether \
             each of the platform's tables has its triggers"
        );
    }
}

pub(crate) fn building(json: bool, settle: Duration) {
    if !json {
        print_line!("the log is written; in {} s its projections are built", settle.as_secs());
    }
}

pub(crate) fn report(
    arguments: &BackfillOptions,
    tables: &BTreeMap<String, TableReport>,
    folded: Option<&Tally>,
) {
    if arguments.json {
        print_json(&json!({ "tables": tables, "dry_run": arguments.dry_run, "folded": folded }));
        return;
    }
    for (relation, table) in tables {
        print_line!("{relation}: {} rows, {} events", table.rows, table.events);
        complaints("no event", &table.problems);
        complaints("in part", &table.notes);
    }
    if let Some(folded) = folded {
        print_line!("{} events are in the log and in the live projections", folded.events);
    } else if arguments.dry_run {
        print_line!("nothing was sent");
    } else {
        print_line!("all events are on the queue");
    }
}

fn complaints(title: &str, complaints: &BTreeMap<String, Examples>) {
    for (reason, Examples { count, ids }) in complaints {
        print_line!("  {title}: {count} × {reason}, such as {}", ids.join(", "));
    }
}
