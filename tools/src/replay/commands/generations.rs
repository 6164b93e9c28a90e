//! Commands that build, promote, roll back and drop generations.

use super::{CommandContext, CommandError, CommandResult};
use crate::arguments::Rebuild;
use crate::progress::watch;
use crate::{CommandOutcome, print};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::keys::Lanes;
use torale_replay::ReplayError;
use torale_replay::build::BuildOutcome;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::status::GenerationRole;
use torale_replay::tail::Tail;

/// The pause between two passes of a comparison, while events arrive.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a promotion checks whether it may continue.
const POLL: Duration = Duration::from_secs(1);

impl CommandContext {
    pub(super) async fn rebuild(&self, rebuild: &Rebuild) -> CommandResult {
        let generation = self.to_build(rebuild).await?;
        self.note(&format!("building {} with {} lanes", generation.name, generation.lanes.count()));
        self.replay.begin(&generation).await?;
        let Some(mut found) = self.build(&generation, rebuild.workers).await? else {
            self.say("interrupted; the same command goes on", &json!({ "interrupted": generation.name }));
            return Ok(CommandOutcome::Interrupted);
        };
        let mut tail = Tail::resume(&self.replay, &generation).await?;
        let wait = tail.until_settled().as_secs();
        if wait > 0 {
            self.note(&format!("built; it catches up in {wait} s, when nothing of it can still be written"));
        }
        let caught_up = tail.catch_up().await?;
        self.note(&format!(
            "{} events folded into {} items for {} write units; {} events caught up with",
            found.events,
            found.items,
            found.write_halves.div_ceil(2),
            caught_up.events
        ));
        found.add(&caught_up.tally);
        let comparison = self.compare_with_live(&generation, tail).await?;
        let limit = rebuild.show.limit;
        if !self.options.json {
            print::tally(&found);
            print::comparison(&comparison, limit);
        }
        let accepted = comparison.is_equal() || rebuild.accept_differences;
        let promoted = rebuild.promote && accepted;
        if promoted {
            self.go_live(&generation.name).await?;
        }
        let name = &generation.name;
        let text = if promoted {
            format!("{name} is live")
        } else {
            format!("to make it live: cargo replay promote {name}")
        };
        let compared = print::comparison_json(&comparison, limit);
        self.say(&text, &json!({ "generation": name, "live": promoted, "log": found, "compared": compared }));
        let well = accepted && found.is_complete();
        Ok(if well { CommandOutcome::Success } else { CommandOutcome::ProblemsFound })
    }

    /// The generation that was named, the one that was begun and is not at its end, or the next one.
    async fn to_build(&self, rebuild: &Rebuild) -> Result<Generation, CommandError> {
        let live = self.replay.pointer().await?.live;
        let lanes = rebuild.lanes.and_then(Lanes::new);
        let status = self.replay.status().await?;
        let begun = status.generations.iter().find(|one| match &rebuild.generation {
            Some(name) => *name == one.name && (one.unfinished || one.role == GenerationRole::Built),
            None => one.unfinished,
        });
        if let Some(one) = begun {
            let generation = self.replay.generation(&one.name).await?;
            // `begin` refuses another number of lanes than the generation has.
            return Ok(Generation { lanes: lanes.unwrap_or(generation.lanes), ..generation });
        }
        let lanes = lanes.unwrap_or(live.lanes);
        match &rebuild.generation {
            Some(name) => Ok(Generation { name: name.clone(), lanes }),
            None => Ok(self.replay.next_generation(lanes).await?),
        }
    }

    /// Builds a generation; `None` if it was interrupted.
    async fn build(&self, generation: &Generation, workers: u8) -> Result<Option<Tally>, CommandError> {
        let (interrupt, items) = (&self.interrupt, self.live_items().await?);
        interrupt.patient.store(true, Ordering::Relaxed);
        let building = self.replay.build(&generation.name, usize::from(workers), &interrupt.stop);
        let built = watch("rebuild", &self.replay.meter, items, self.options.json, building).await;
        interrupt.patient.store(false, Ordering::Relaxed);
        match built? {
            BuildOutcome::Finished(tally) => Ok(Some(tally)),
            BuildOutcome::OutOfTime => Ok(None),
        }
    }

    /// Compares a generation with the live one; if they have different lanes, and so different
    /// items, with the log.
    async fn compare_with_live(
        &self,
        generation: &Generation,
        tail: Tail,
    ) -> Result<Comparison, CommandError> {
        let live = self.replay.pointer().await?.live;
        let expected = if live.lanes == generation.lanes {
            Expected::Table(&live)
        } else {
            self.note("other lanes than the live one: compared with the log");
            Expected::Log(generation.lanes)
        };
        let tail = Mutex::new(tail);
        let meanwhile = || async { tail.lock().await.catch_up().await.map(drop) };
        let comparing = self.replay.compare(expected, generation, PAUSE, meanwhile);
        let items = 2 * self.live_items().await?;
        Ok(watch("compare", &self.replay.meter, items, self.options.json, comparing).await?)
    }

    pub(super) async fn promote(&self, name: &str) -> CommandResult {
        self.go_live(name).await?;
        self.say(&format!("{name} is live"), &json!({ "live": name }));
        Ok(CommandOutcome::Success)
    }

    async fn go_live(&self, name: &str) -> Result<(), CommandError> {
        let mut promotion = Promotion::new(&self.replay, name);
        let mut before = Duration::ZERO;
        while let PromotionStep::Wait(left) = promotion.step().await? {
            // One that is longer than the last is another wait: first for the building, then for consumers.
            if left > std::mem::replace(&mut before, left) {
                let seconds = left.as_secs() + 1;
                self.note(&format!(
                    "{name}: in {seconds} s nothing that was sent before can still be written"
                ));
            }
            tokio::time::sleep(left.min(POLL)).await;
        }
        Ok(())
    }

    pub(super) async fn rollback(&self, to: Option<&str>) -> CommandResult {
        let mut pointer = self.replay.pointer().await?;
        let is_live = to.is_some_and(|to| to == pointer.live.name);
        let shadow = pointer.shadow.as_ref().map(|shadow| shadow.generation.name.as_str());
        if let Some(to) = to.filter(|to| !is_live && shadow != Some(*to)) {
            return Err(CommandError::Input(format!("{to} is not the shadow generation; promote it")));
        }
        if !is_live {
            pointer = self.replay.rollback().await?;
        }
        let name = pointer.live.name;
        self.say(&format!("{name} is live"), &json!({ "live": name }));
        Ok(CommandOutcome::Success)
    }

    pub(super) async fn drop(&self, name: &str) -> CommandResult {
        self.note(&format!("dropping {name}, once no consumer writes it any more"));
        if !self.replay.drop_generation(name).await? {
            return Err(ReplayError::Refused(format!("there is no generation {name}")).into());
        }
        self.say(&format!("{name} is dropped"), &json!({ "dropped": name }));
        Ok(CommandOutcome::Success)
    }
}
