//! Commands that change which generations there are, and which one is live.

use super::{CommandError, Done, Run};
use crate::arguments::Rebuild;
use crate::bar::watch;
use crate::{Answer, print};
use serde_json::json;
use std::time::Duration;
use tokio::sync::Mutex;
use torale_domain::generation::Generation;
use torale_domain::keys::Lanes;
use torale_domain::rebuild::Tally;
use torale_replay::build::Built;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::flip::{Promotion, Step};
use torale_replay::status::Role;
use torale_replay::tail::Tail;
use torale_replay::{Failure, Stop};

/// Between looking twice at what differs, while events arrive.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a promotion looks whether it may go on.
const POLL: Duration = Duration::from_secs(1);

impl Run {
    pub(super) async fn rebuild(&self, rebuild: &Rebuild) -> Done {
        let generation = self.to_build(rebuild).await?;
        self.note(&format!("building {} with {} lanes", generation.name, generation.lanes.count()));
        self.replay.begin(&generation).await?;
        let Some(built) = self.build(&generation, rebuild.workers).await? else {
            self.say("interrupted; the same command goes on", &json!({ "interrupted": generation.name }));
            return Ok(Answer::Interrupted);
        };
        let mut tail = Tail::resume(&self.replay, &generation).await?;
        let caught_up = tail.catch_up().await?;
        self.note(&format!(
            "{} events folded into {} items for {} write units; {} events caught up with",
            built.events,
            built.items,
            built.write_halves.div_ceil(2),
            caught_up.events
        ));
        let mut found = built.clone();
        found.add(&caught_up.tally);
        let comparison = self.compare_with_live(&generation, tail).await?;
        self.report(&generation, &found, comparison.as_ref(), rebuild.show.limit);
        let same = comparison.as_ref().is_none_or(Comparison::is_equal);
        if rebuild.promote && (same || rebuild.accept_differences) {
            self.promote(&generation.name).await?;
        } else {
            self.note(&format!("to make it live: cargo replay promote {}", generation.name));
        }
        let well = same && found.undecodable == 0;
        Ok(if well { Answer::Fine } else { Answer::Found })
    }

    /// The one that was named, the one that is being built, or the next.
    async fn to_build(&self, rebuild: &Rebuild) -> Result<Generation, CommandError> {
        let live = self.replay.pointer().await?.live;
        let lanes = rebuild.lanes.and_then(Lanes::new).unwrap_or(live.lanes);
        let status = self.replay.status().await?;
        let building = status.generations.iter().find(|one| {
            one.role == Role::Building && rebuild.generation.as_ref().is_none_or(|name| *name == one.name)
        });
        if let Some(one) = building {
            let generation = self.replay.generation(&one.name).await?;
            if rebuild.lanes.is_some_and(|lanes| lanes != generation.lanes.count()) {
                let text = format!("{} is being built with other lanes; drop it first", one.name);
                return Err(CommandError::Input(text));
            }
            return Ok(generation);
        }
        match &rebuild.generation {
            Some(name) => Ok(Generation { name: name.clone(), lanes }),
            None => Ok(self.replay.next_generation(lanes).await?),
        }
    }

    /// `None` if it was interrupted.
    async fn build(&self, generation: &Generation, workers: u8) -> Result<Option<Tally>, CommandError> {
        let (stop, items) = (Stop::default(), self.live_items().await?);
        let told = stop.clone();
        let interrupted = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                told.tell();
            }
        });
        let building = self.replay.build(&generation.name, usize::from(workers), &stop);
        let built = watch("rebuild", &self.replay.meter, items, self.options.json, building).await;
        interrupted.abort();
        match built? {
            Built::Finished(tally) => Ok(Some(tally)),
            Built::OutOfTime => Ok(None),
        }
    }

    /// Item by item, if both have the same lanes: else their lists and counters are not in the same items.
    async fn compare_with_live(
        &self,
        generation: &Generation,
        tail: Tail,
    ) -> Result<Option<Comparison>, CommandError> {
        let live = self.replay.pointer().await?.live;
        if live.lanes != generation.lanes {
            self.note("other lanes than the live one: not compared (verify compares it with the log)");
            return Ok(None);
        }
        let tail = Mutex::new(tail);
        let meanwhile = || async { tail.lock().await.catch_up().await.map(drop) };
        let comparing = self.replay.compare(Expected::Table(&live), generation, PAUSE, meanwhile);
        let items = 2 * self.live_items().await?;
        Ok(Some(watch("compare", &self.replay.meter, items, self.options.json, comparing).await?))
    }

    fn report(&self, generation: &Generation, tally: &Tally, comparison: Option<&Comparison>, limit: usize) {
        let compared = comparison.map(|comparison| print::comparison_json(comparison, limit));
        let json = json!({ "generation": generation.name, "log": tally, "compared": compared });
        print::answer(self.options.json, &json, || {
            print::tally(tally);
            if let Some(comparison) = comparison {
                print::comparison(comparison, limit);
            }
        });
    }

    pub(super) async fn promote(&self, name: &str) -> Done {
        let mut promotion = Promotion::new(&self.replay, name);
        let mut told = false;
        loop {
            match promotion.step().await? {
                Step::Live(pointer) => {
                    self.say_live(&pointer.live.name);
                    return Ok(Answer::Fine);
                }
                Step::Wait(left) => {
                    if !std::mem::replace(&mut told, true) {
                        self.note(&format!(
                            "{name} is written beside the live generation; live in {} s",
                            left.as_secs() + 1
                        ));
                    }
                    tokio::time::sleep(left.min(POLL)).await;
                }
            }
        }
    }

    pub(super) async fn rollback(&self) -> Done {
        let pointer = self.replay.rollback().await?;
        self.say_live(&pointer.live.name);
        Ok(Answer::Fine)
    }

    pub(super) async fn drop(&self, name: &str) -> Done {
        self.note(&format!("dropping {name}, once nobody writes it any more"));
        if !self.replay.drop_generation(name).await? {
            return Err(Failure::Refused(format!("there is no generation {name}")).into());
        }
        self.say(&format!("{name} is dropped"), &json!({ "dropped": name }));
        Ok(Answer::Fine)
    }
}
