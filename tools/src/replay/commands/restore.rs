//! The command that restores a table from a copy of it.

use super::{CommandContext, CommandResult};
use crate::arguments::Restore;
use crate::progress::watch;
use crate::{CommandOutcome, print};
use serde_json::json;
use torale_domain::replay::restore::RestorableTable;
use torale_replay::restore::{RestoreMode, RestoreReport};
use torale_tools::print_line;

impl CommandContext {
    pub(super) async fn restore(&self, restore: &Restore) -> CommandResult {
        let Restore { table, from, dry_run, overwrite, show } = restore;
        let mode = match (dry_run, overwrite) {
            (true, _) => RestoreMode::Nothing,
            (false, true) => RestoreMode::Everything,
            (false, false) => RestoreMode::Missing,
        };
        let restoring = self.replay.restore(*table, from, mode, show.limit);
        let restored = watch("restore", &self.replay.meter, 0, self.options.json, restoring).await?;
        let RestoreReport { missing, inserted, different, overwritten, superseded, foreign, .. } = restored;
        let (read, written) = (self.replay.usage.read_units(), self.replay.usage.write_units());
        let answer = json!({
            "table": table.table(), "copy": from, "compared": restored.compared, "missing": missing,
            "inserted": inserted, "different": different, "overwritten": overwritten, "superseded": superseded,
            "differences": print::differences_json(&restored.differences, show.limit),
            "left_out": restored.left_out, "foreign": foreign,
            "read_units": read, "write_units": written,
        });
        print::answer(self.options.json, &answer, || {
            print::restored(&restored);
            print_line!(
                "{inserted} inserted, {overwritten} overwritten, for {read} read and {written} write units"
            );
            if inserted + overwritten > 0 {
                print_line!("{}", next(*table));
            }
        });
        let left = missing - inserted + different - overwritten + superseded + foreign;
        Ok(if left == 0 { CommandOutcome::Success } else { CommandOutcome::ProblemsFound })
    }
}

/// What the operator should do, or know, after items were restored.
const fn next(table: RestorableTable) -> &'static str {
    match table {
        RestorableTable::Events => "next: cargo replay verify",
        RestorableTable::Audit => "next: cargo audit-verify --key KEY.pem",
        RestorableTable::Quarantine => {
            "what was redriven since is back as well; redriving it again changes nothing"
        }
        RestorableTable::Control => "next: cargo replay status, then cargo replay verify",
    }
}
