//! Commands that show, compare, repair, export and import.

use super::{CommandContext, CommandError, CommandResult};
use crate::arguments::{EntityKind, GenerationChoice, Quarantine, entity};
use crate::progress::watch;
use crate::{CommandOutcome, print};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;
use torale_domain::projections::generation::Generation;
use torale_platform::clock;
use torale_platform::queue::MessageQueue;
use torale_replay::ReplayError;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::quarantine::{QuarantinedMessage, RedriveOutcome};
use torale_replay::tail::Tail;
use torale_replay::transfer::Pseudonyms;
use torale_tools::print_line;
use torale_tools::queue::local_queue;
use torale_tools::terminal::print_lines;

/// The pause between two passes of a comparison, while events arrive.
const PAUSE: Duration = Duration::from_secs(2);

impl CommandContext {
    pub(super) async fn status(&self) -> CommandResult {
        let status = self.replay.status().await?;
        print::answer(self.options.json, &status, || print::status(&status));
        Ok(CommandOutcome::Success)
    }

    pub(super) async fn diff(&self, name: &str, limit: usize) -> CommandResult {
        let (live, generation) = (self.replay.pointer().await?.live, self.replay.generation(name).await?);
        if live.lanes != generation.lanes {
            let text =
                format!("{name} has other lanes than {}; verify --generation {name} instead", live.name);
            return Err(CommandError::Input(text));
        }
        self.compare(Expected::Table(&live), &generation, limit).await
    }

    pub(super) async fn verify(&self, one: &GenerationChoice) -> CommandResult {
        let generation = self.one(one).await?;
        self.compare(Expected::Log(generation.lanes), &generation, one.show.limit).await
    }

    async fn one(&self, one: &GenerationChoice) -> Result<Generation, ReplayError> {
        match &one.generation {
            Some(name) => self.replay.generation(name).await,
            None => Ok(self.replay.pointer().await?.live),
        }
    }

    async fn compare(&self, expected: Expected<'_>, generation: &Generation, limit: usize) -> CommandResult {
        // A generation that is neither live nor the shadow must catch up while it is compared.
        let written = self.replay.pointer().await?.written_generations().any(|written| written == generation);
        let tail = match written {
            true => None,
            false => Some(Tail::resume(&self.replay, generation).await?),
        };
        let tail = Mutex::new(tail);
        let meanwhile = || async {
            match tail.lock().await.as_mut() {
                Some(tail) => tail.catch_up().await.map(drop),
                None => Ok(()),
            }
        };
        let comparing = self.replay.compare(expected, generation, PAUSE, meanwhile);
        let items = 2 * self.live_items().await?;
        let comparison = watch("compare", &self.replay.meter, items, self.options.json, comparing).await?;
        print::answer(self.options.json, &print::comparison_json(&comparison, limit), || {
            print::comparison(&comparison, limit);
        });
        Ok(found(&comparison))
    }

    pub(super) async fn repair(&self, one: &GenerationChoice, delete: bool) -> CommandResult {
        let generation = self.one(one).await?;
        let repairing = self.replay.repair(&generation, self.replay.settle, delete);
        let items = 2 * self.live_items().await?;
        let repaired = watch("repair", &self.replay.meter, items, self.options.json, repairing).await;
        let (repaired, left) = repaired?;
        let json = json!({ "mended": repaired, "left": print::comparison_json(&left, one.show.limit) });
        print::answer(self.options.json, &json, || {
            print_line!("{repaired} items repaired; then:");
            print::comparison(&left, one.show.limit);
        });
        Ok(found(&left))
    }

    pub(super) async fn quarantine(&self, command: Quarantine) -> CommandResult {
        let all = self.replay.quarantined().await?;
        match command {
            Quarantine::List => {
                print::answer(self.options.json, &all, || {
                    for QuarantinedMessage { id, code, received_at, bytes, .. } in &all {
                        print_line!(
                            "{}  {received_at}  {code:17}  {bytes} bytes",
                            id.get(..16).unwrap_or(id)
                        );
                    }
                    print_line!("{} messages in quarantine", all.len());
                });
                Ok(CommandOutcome::Success)
            }
            Quarantine::Show { id } => {
                let one = named(&all, &id)?;
                let json = json!({ "message": one, "body": one.body() });
                print::answer(self.options.json, &json, || {
                    print_line!("{}, quarantined at {}: {}", one.id, one.received_at, one.reason);
                    print_lines(one.body());
                });
                Ok(CommandOutcome::Success)
            }
            Quarantine::Redrive { ids, all: every, sqs_endpoint } => {
                let named: Result<Vec<&QuarantinedMessage>, _> =
                    ids.iter().map(|id| named(&all, id)).collect();
                let wanted = if every { all.iter().collect() } else { named? };
                let queue = match sqs_endpoint {
                    Some(url) => local_queue(&url),
                    None => MessageQueue::connect().await,
                };
                self.redrive(&wanted, &queue).await
            }
        }
    }

    async fn redrive(&self, wanted: &[&QuarantinedMessage], queue: &MessageQueue) -> CommandResult {
        let mut results: Vec<Value> = Vec::new();
        let mut left = 0;
        for one in wanted {
            let result = self.replay.redrive(one, queue).await?;
            left += usize::from(result != RedriveOutcome::Sent);
            results.push(json!({ "id": one.id, "result": &result }));
            match result {
                RedriveOutcome::Sent => {}
                RedriveOutcome::StillInvalid(reason) => self.note(&format!("{} stays: {reason}", one.id)),
                RedriveOutcome::QuarantinedAgain => {
                    self.note(&format!("{} was sent, and quarantined again", one.id))
                }
                RedriveOutcome::Incomplete => {
                    self.note(&format!("{} stays: a part of it is missing", one.id))
                }
            }
        }
        let text = format!("{} messages sent again, {left} stay", wanted.len() - left);
        self.say(&text, &json!({ "sent": wanted.len() - left, "left": left, "messages": results }));
        Ok(if left == 0 { CommandOutcome::Success } else { CommandOutcome::ProblemsFound })
    }

    pub(super) async fn events(&self, kind: EntityKind, id: &str, run: Option<&str>) -> CommandResult {
        let wrong = || CommandError::Input(format!("{id} is not an id of such an entity"));
        let entity = entity(kind, id, run).ok_or_else(wrong)?;
        let events = self.replay.events_of(&entity).await?;
        let json: Vec<Value> = events
            .iter()
            .map(|event| json!({ "received_at": event.received_at, "message": event.message }))
            .collect();
        print::answer(self.options.json, &json, || {
            for event in &events {
                print_line!("{}  {}", event.received_at, event.message);
            }
            print_line!("{} events", events.len());
        });
        Ok(CommandOutcome::Success)
    }

    pub(super) async fn export(&self, folder: &Path, scrub: bool, salt: Option<String>) -> CommandResult {
        let salt = salt.unwrap_or_else(clock::unique).into_bytes();
        let scrub = scrub.then_some(Pseudonyms { salt });
        let exporting = self.replay.export(folder, scrub.as_ref());
        let manifest = watch("export", &self.replay.meter, 0, self.options.json, exporting).await?;
        let text = format!(
            "{} messages, received before {}, in {} files; {} records can't be read, {} messages are in quarantine",
            manifest.messages,
            manifest.through,
            manifest.files.len(),
            manifest.undecodable,
            manifest.quarantined
        );
        self.say(&text, &json!(manifest));
        Ok(if manifest.undecodable == 0 { CommandOutcome::Success } else { CommandOutcome::ProblemsFound })
    }

    pub(super) async fn import(&self, folder: &Path) -> CommandResult {
        let importing = self.replay.import(folder);
        let manifest = watch("import", &self.replay.meter, 0, self.options.json, importing).await?;
        let text = format!(
            "{} messages are in the log; next: cargo replay rebuild --promote --accept-differences, and drop g1",
            manifest.messages
        );
        self.say(&text, &json!(manifest));
        Ok(CommandOutcome::Success)
    }
}

fn found(comparison: &Comparison) -> CommandOutcome {
    let well = comparison.is_equal() && comparison.known.is_empty() && comparison.tally.is_complete();
    if well { CommandOutcome::Success } else { CommandOutcome::ProblemsFound }
}

/// The message whose id has this prefix.
fn named<'a>(all: &'a [QuarantinedMessage], id: &str) -> Result<&'a QuarantinedMessage, CommandError> {
    let mut found = all.iter().filter(|one| one.id.starts_with(id));
    let one = found.next().ok_or_else(|| CommandError::Input(format!("no message {id} in quarantine")))?;
    match found.next() {
        Some(_) => Err(CommandError::Input(format!("{id} is a prefix of several ids"))),
        None => Ok(one),
    }
}
