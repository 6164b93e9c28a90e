//! Schedules: the whole list each time; a description of those that are new, changed, or were looked at long ago.

use super::{SeenSchedule, SyncError, SyncMemory, SyncReport, TemporalSync, count};
use crate::connection::TemporalError;
use crate::message::timestamp;
use crate::reads::ReadTemporal;
use crate::schedules::{ObservationTime, ObservedSchedule, after, deleted_event};
use futures::future::join_all;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::schedule::v1::ScheduleListEntry;
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeScheduleResponse;
use tokio::time::Instant;
use torale_domain::entities::fold::State;
use torale_domain::entities::readings;
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, Index, StatusPartition};
use torale_domain::storage::read::{Range, ReadPlan, Reader};
use torale_domain::values::ids::{EntityKey, ScheduleId};
use torale_domain::values::time::{HOUR, Timestamp};
use torale_platform::store::temporal::TemporalSyncState;
use torale_platform::store::{StoreError, TableReader, Usage};

/// Schedules that are described before their events are sent.
const CHUNK: usize = 50;
/// Descriptions that are asked for at once.
const PARALLEL: usize = 8;
/// Schedules that may take too long before the others are left to the next run.
const LATE: usize = 3;
/// The most by which the clock of another function runs ahead.
const CLOCKS: i64 = 10_000;
/// How long a schedule that has not changed is not looked at.
const LOOK_AGAIN: i64 = HOUR;

/// What the projections know, by the keys of their entities.
type Known = HashMap<Key, State>;

/// A schedule that Temporal can't describe.
struct Undescribed;

/// What Temporal says of a schedule; `None` if there is none.
type Described = Result<Option<DescribeScheduleResponse>, Undescribed>;

impl<R: ReadTemporal> TemporalSync<R> {
    /// Compares schedules with what is known of them until the deadline has passed, those first that were looked at
    /// longest ago. The list itself is read whole: a schedule that is not in it may be gone.
    pub(super) async fn sync_schedules(
        &self,
        memory: &mut SyncMemory,
        state: &mut TemporalSyncState,
        deadline: Instant,
        usage: &Usage,
        report: &mut SyncReport,
    ) -> Result<(), SyncError> {
        let (now, listed) = ((self.clock)(), self.list().await?);
        let live = self.generations.read(&self.store, usage).await?;
        let reader = TableReader::of(&self.store, &live, usage);
        if !state.seen && !is_known(&reader, &listed, state, report).await? {
            return Ok(());
        }
        self.remove_gone(&reader, memory, &listed, deadline, report).await?;
        let mut due: Vec<(&String, &ScheduleListEntry)> =
            listed.iter().filter(|(id, entry)| is_due(memory.schedules.get(*id), entry, now)).collect();
        due.sort_by_key(|(id, _)| memory.schedules.get(*id).map(|seen| seen.at));
        for chunk in due.chunks(CHUNK) {
            if Instant::now() >= deadline {
                report.pending += count(chunk.len());
                continue;
            }
            self.look_at(&reader, chunk, memory, report).await?;
        }
        Ok(())
    }

    async fn list(&self) -> Result<HashMap<String, ScheduleListEntry>, SyncError> {
        let (mut listed, mut token) = (HashMap::new(), Vec::new());
        loop {
            let page = self.temporal.schedules(token).await?;
            listed.extend(page.rows.into_iter().map(|entry| (entry.schedule_id.clone(), entry)));
            token = page.next;
            if token.is_empty() {
                return Ok(listed);
            }
        }
    }

    async fn look_at(
        &self,
        reader: &TableReader<'_>,
        entries: &[(&String, &ScheduleListEntry)],
        memory: &mut SyncMemory,
        report: &mut SyncReport,
    ) -> Result<(), SyncError> {
        let ids: Vec<&str> = entries.iter().map(|(id, _)| id.as_str()).collect();
        // Before Temporal is asked: what happens meanwhile is later than what it says.
        let now = (self.clock)();
        let (observed, failed) = self.describe(&ids, report).await;
        let known = read_known(reader, observed.iter().flat_map(entities)).await?;
        let time = ObservationTime { asked_at: now, known_by: (self.clock)().plus(CLOCKS) };
        let (mut events, mut done) = (Vec::new(), HashMap::new());
        for schedule in &observed {
            let state_of = |entity| known.get(&keys::entity(&entity)).cloned().unwrap_or_default();
            let Some(id) = ScheduleId::parse(&schedule.id) else {
                report.invalid += 1;
                continue;
            };
            let Some(task) = schedule.task else {
                report.without_task += 1;
                done.insert(schedule.id.as_str(), State::default());
                continue;
            };
            let mut own = state_of(EntityKey::Schedule(id));
            let reading = readings::Schedule::of(&own);
            let of_task = state_of(EntityKey::Task(task));
            let Some(user) = schedule.user.or(readings::Task::of(&of_task).user_id) else {
                // Its task may be created any minute: it is looked at again in the next run.
                report.without_user += 1;
                // Not remembered, hence not counted by `SyncMemory::recreated`.
                report.recreated += u64::from(reading.deleted);
                continue;
            };
            // What was sent may still be on the queue, but not for long.
            let seen = memory.schedules.get(&schedule.id).filter(|seen| seen.at.plus(LOOK_AGAIN) > now);
            if let Some(seen) = seen {
                own.merge(seen.state.clone());
            }
            let new = schedule.events(&own, (task, user), time);
            let own = after(own, &new);
            events.extend(new);
            // Where what is known may be later than what Temporal said, it is looked at again in the next run.
            if !schedule.differs_from(&own) {
                done.insert(schedule.id.as_str(), own);
            }
        }
        self.send(events, report).await?;
        let nexts: HashMap<&str, Option<Timestamp>> = observed
            .iter()
            .map(|schedule| (schedule.id.as_str(), schedule.next.filter(|_| schedule.spec.is_next_time)))
            .collect();
        let seen = entries.iter().filter_map(|(id, entry)| {
            let (next, state) = (nexts.get(id.as_str()).copied().flatten(), done.get(id.as_str())?.clone());
            Some(((*id).clone(), SeenSchedule { entry: essence(entry), next, at: now, state }))
        });
        let seen: Vec<_> = seen.collect();
        memory.schedules.extend(seen);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// What Temporal says of schedules; those that are gone by now are left out, and those that it can't describe.
    async fn describe(
        &self,
        ids: &[&str],
        report: &mut SyncReport,
    ) -> (Vec<ObservedSchedule>, Option<TemporalError>) {
        let (answers, failed) = self.ask_all(ids, &AtomicUsize::new(0)).await;
        report.undescribed += count(answers.iter().filter(|(_, answer)| answer.is_err()).count());
        let described = answers.into_iter().filter_map(|(id, answer)| Some((id, answer.ok()??)));
        let observed = described.filter_map(|(id, of)| ObservedSchedule::read(id, &of, &self.tasks));
        (observed.collect(), failed)
    }

    /// Asks about schedules, several at once: the answers by id, and the error that ended them. What was answered
    /// beside it holds: so a rate limit that no run can keep to the end delays schedules, and stops none for ever. If
    /// several take too long, so would the others, and that is such an error.
    async fn ask_all<'a>(
        &self,
        ids: &[&'a str],
        late: &AtomicUsize,
    ) -> (Vec<(&'a str, Described)>, Option<TemporalError>) {
        let (mut all, mut failed) = (Vec::new(), None);
        for some in ids.chunks(PARALLEL) {
            let answers = join_all(some.iter().map(|id| self.ask(id, late))).await;
            for (id, answer) in some.iter().zip(answers) {
                match answer {
                    Ok(answer) => all.push((*id, answer)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if failed.is_some() {
                break;
            }
        }
        (all, failed)
    }

    /// What Temporal says of one schedule, `None` if there is none by this id. That it can't describe this one says
    /// nothing about others, unless too many were `late`.
    async fn ask(&self, id: &str, late: &AtomicUsize) -> Result<Described, TemporalError> {
        let is_too_late = |error: &TemporalError| {
            matches!(error, TemporalError::TimedOut) && late.fetch_add(1, Ordering::Relaxed) >= LATE
        };
        match self.temporal.schedule(id).await {
            Err(error) if is_of_one(&error) && !is_too_late(&error) => {
                tracing::warn!(schedule = id, %error, "Temporal can't describe a schedule");
                Ok(Err(Undescribed))
            }
            described => described.map(Ok),
        }
    }

    /// Schedules that are known and that the list does not have. The list may be behind, so that Temporal is asked for
    /// each, and only where it has none by this id, the schedule is gone.
    async fn remove_gone(
        &self,
        reader: &TableReader<'_>,
        memory: &mut SyncMemory,
        listed: &HashMap<String, ScheduleListEntry>,
        deadline: Instant,
        report: &mut SyncReport,
    ) -> Result<(), SyncError> {
        let now = (self.clock)();
        let is_whole = memory.compared.is_none_or(|at| at.plus(LOOK_AGAIN) <= now);
        let here = keys_of(listed.keys());
        let missing: BTreeSet<Key> = if is_whole {
            known_schedules(reader).await?.into_iter().filter(|key| !here.contains(key)).collect()
        } else {
            let remembered = memory.schedules.keys().chain(&memory.undescribed);
            keys_of(remembered).into_iter().filter(|key| !here.contains(key)).collect()
        };
        let missing = read_keys(reader, missing).await?.into_values();
        let missing: BTreeMap<String, State> =
            missing.filter_map(|known| Some((known_id(&known)?, known))).collect();
        let (mut is_complete, mut undescribed, late) = (true, HashSet::new(), AtomicUsize::new(0));
        let ids: Vec<&str> = missing.keys().map(String::as_str).collect();
        for chunk in ids.chunks(CHUNK) {
            if Instant::now() >= deadline {
                report.pending += count(chunk.len());
                is_complete = false;
                continue;
            }
            let (answers, failed) = self.ask_all(chunk, &late).await;
            let mut events = Vec::new();
            for (id, answer) in answers {
                match answer {
                    Ok(None) => events.extend(missing.get(id).and_then(|known| deleted_event(known, now))),
                    Ok(Some(_)) => {}
                    Err(Undescribed) => {
                        report.undescribed += 1;
                        undescribed.insert(id.to_owned());
                    }
                }
            }
            self.send(events, report).await?;
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        if is_complete {
            memory.schedules.retain(|id, _| listed.contains_key(id));
            memory.undescribed = undescribed;
            memory.compared = if is_whole { Some(now) } else { memory.compared };
        }
        Ok(())
    }
}

/// Whether what Temporal answers about a schedule says nothing about others.
const fn is_of_one(error: &TemporalError) -> bool {
    use Code::{DataLoss, FailedPrecondition, Internal, InvalidArgument, OutOfRange, Unknown};
    match error {
        TemporalError::TimedOut => true,
        TemporalError::Answered(code, _) => {
            matches!(code, DataLoss | FailedPrecondition | Internal | InvalidArgument | OutOfRange | Unknown)
        }
        TemporalError::Misconfigured | TemporalError::Unreachable(_) => false,
    }
}

/// Whether the namespace has a schedule that the projections know, or they know none yet. Else it may be the wrong one:
/// nothing of it is sent, above all no deletion of what it does not have, which is for ever.
async fn is_known(
    reader: &TableReader<'_>,
    listed: &HashMap<String, ScheduleListEntry>,
    state: &mut TemporalSyncState,
    report: &mut SyncReport,
) -> Result<bool, SyncError> {
    let (known, here) = (known_schedules(reader).await?, keys_of(listed.keys()));
    state.seen = known.is_empty() || known.iter().any(|key| here.contains(key));
    if !state.seen {
        report.unproven += count(known.len());
    }
    Ok(state.seen)
}

/// The id of a schedule that is known.
fn known_id(known: &State) -> Option<String> {
    let (created, _) = readings::Schedule::of(known).created?;
    Some(created.schedule_id.as_str().to_owned())
}

/// The keys of the entities of some schedules.
fn keys_of<'a>(ids: impl Iterator<Item = &'a String>) -> HashSet<Key> {
    let key = |id: &String| ScheduleId::parse(id).map(|id| keys::entity(&EntityKey::Schedule(id)));
    ids.filter_map(key).collect()
}

/// Whether a schedule is new, another one than it was, or was looked at long ago.
fn is_due(seen: Option<&SeenSchedule>, entry: &ScheduleListEntry, now: Timestamp) -> bool {
    let Some(seen) = seen else { return true };
    let moved = seen.next.is_some() && next(entry) != seen.next;
    moved || seen.entry != essence(entry) || seen.at.plus(LOOK_AGAIN) <= now
}

/// What the list says of a schedule, without its times.
fn essence(entry: &ScheduleListEntry) -> Vec<u8> {
    let Some(info) = &entry.info else { return Vec::new() };
    let mut essence = info.spec.as_ref().map(Message::encode_to_vec).unwrap_or_default();
    essence.push(u8::from(info.paused));
    essence
}

fn next(entry: &ScheduleListEntry) -> Option<Timestamp> {
    let at = entry.info.as_ref()?.future_action_times.first()?;
    Some(timestamp(at.seconds, at.nanos))
}

/// The entities that decide about a schedule: its own, and its task's.
fn entities(schedule: &ObservedSchedule) -> impl Iterator<Item = EntityKey> {
    let own = ScheduleId::parse(&schedule.id).map(EntityKey::Schedule);
    own.into_iter().chain(schedule.task.map(EntityKey::Task))
}

async fn read_known(
    reader: &TableReader<'_>,
    entities: impl Iterator<Item = EntityKey>,
) -> Result<Known, StoreError> {
    read_keys(reader, entities.map(|entity| keys::entity(&entity)).collect()).await
}

async fn read_keys(reader: &TableReader<'_>, keys: BTreeSet<Key>) -> Result<Known, StoreError> {
    if keys.is_empty() {
        return Ok(Known::new());
    }
    let found = reader.read(ReadPlan::gets(keys)).await?;
    let state = |(key, item)| Ok((key, Entity::load(Some(&item))?.state));
    found.items.into_iter().map(state).collect()
}

/// The keys of all schedules that are known and not deleted.
async fn known_schedules(reader: &TableReader<'_>) -> Result<Vec<Key>, StoreError> {
    let partitions = [StatusPartition::Active, StatusPartition::Inactive];
    let lists = partitions
        .into_iter()
        .flat_map(|status| reader.lanes().all().map(move |lane| keys::rows(Index::Schedules, status, lane)));
    let ranges = lists.map(|pk| Range { pk, attributes: Some(&["of"]), ..Range::default() });
    let found = reader.read(ReadPlan::ranges(ranges.collect())).await?;
    Ok(found.ranges.iter().flatten().filter_map(|row| row.text("of")).map(keys::row_entity).collect())
}
