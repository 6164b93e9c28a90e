//! The relay: takes events from the outbox that the triggers fill, and sends them to the queue.
//!
//! A row is locked while its event is sent and deleted once SQS has it, so that several relays at once send different
//! rows. One that dies in between has sent some events that another sends again, which changes no answer.

use crate::SourceError;
use crate::connect::{ANSWER_TIME, SourceConnection, SourceDatabase, StatementParameter, in_time};
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use torale_platform::queue::{MessageQueue, QueueError};

/// Rows that are locked and sent together.
const ROWS: i64 = 500;
/// Rows up to which an outbox is counted: one that nobody empties grows without end, and counting it takes as long.
const COUNTED: i64 = 100_000;

/// What a relay did, and what it left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceRelayReport {
    /// Events that SQS took.
    pub sent: u64,
    /// Events that SQS never takes: their rows stay, with the reason.
    pub refused: u64,
    /// Events that are in the outbox at the end, those of other relays included and refused ones not; counted up to
    /// 100,000.
    pub waiting: u64,
    /// The age of the oldest of these in milliseconds; 0 if there are none.
    pub lag_ms: u64,
    /// The rows that were refused, of the first 100,000; changes of which no event could be made, counted likewise; and
    /// tables that lack a trigger, or have one that is switched off: somebody has to look at them.
    pub troubles: u64,
}

/// Relays until the outbox is empty or the deadline has passed. What is then being sent may take until `end`, when the
/// run fails and what it has not finished is rolled back. Its connection is closed in any case.
///
/// # Errors
/// If the database or the queue fails. What SQS took before is deleted from the outbox, or sent again later.
pub async fn run(
    database: &SourceDatabase,
    queue: &MessageQueue,
    deadline: Instant,
    end: Instant,
) -> Result<SourceRelayReport, SourceError> {
    let mut connection = in_time_for(end, database.connect()).await?;
    let report = in_time_for(end, relay_until(&mut connection, queue, deadline)).await;
    connection.close().await;
    report
}

async fn in_time_for<T>(
    end: Instant,
    work: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let late = "the run is out of time: PostgreSQL or the queue is too slow for a part of the outbox";
    timeout_at(end, work).await.unwrap_or_else(|_elapsed| Err(SourceError::Unavailable(late.to_owned())))
}

async fn relay_until(
    connection: &mut SourceConnection,
    queue: &MessageQueue,
    deadline: Instant,
) -> Result<SourceRelayReport, SourceError> {
    let mut report = SourceRelayReport::default();
    while Instant::now() < deadline {
        let (sent, refused) = relay_some(connection, queue).await?;
        report.sent += sent;
        report.refused += refused;
        if sent + refused == 0 {
            break;
        }
    }
    look(connection, &mut report).await?;
    Ok(report)
}

/// Reports what is in the outbox, and which tables are not watched (any more): a migration that replaces a table drops
/// its triggers with it.
async fn look(connection: &mut SourceConnection, report: &mut SourceRelayReport) -> Result<(), SourceError> {
    let text = "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)) * 1000, 0)::bigint, \
        (SELECT count(refused) FROM (SELECT refused FROM outbox ORDER BY id LIMIT $1) rows) \
            + (SELECT count(*) FROM (SELECT FROM failures LIMIT $1) rows) \
            + (SELECT count(*) FROM sources s WHERE s.platform_table IS NOT NULL AND 4 > (SELECT count(*) \
                FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                WHERE (n.nspname, c.relname) = (s.platform_schema, s.platform_table) \
                    AND t.tgfoid = to_regprocedure('capture()') AND t.tgenabled IN ('O', 'A'))) \
        FROM (SELECT created_at FROM outbox WHERE refused IS NULL ORDER BY id LIMIT $1) first";
    let transaction = connection.transaction().await?;
    let answer = async { Ok(transaction.query_typed_one(text, &[(&COUNTED, Type::INT8)]).await?) };
    let row = in_time(ANSWER_TIME, answer).await?;
    let number = |column| Ok::<_, SourceError>(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0));
    (report.waiting, report.lag_ms, report.troubles) = (number(0)?, number(1)?, number(2)?);
    Ok(())
}

/// Sends some rows; returns how many were sent, and how many refused.
async fn relay_some(
    connection: &mut SourceConnection,
    queue: &MessageQueue,
) -> Result<(u64, u64), SourceError> {
    let transaction = connection.transaction().await?;
    let text =
        "SELECT id, event FROM outbox WHERE refused IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED";
    let rows =
        in_time(ANSWER_TIME, async { Ok(transaction.query_typed(text, &[(&ROWS, Type::INT8)]).await?) })
            .await?;
    let mut ids: Vec<i64> = Vec::with_capacity(rows.len());
    let mut bodies: Vec<String> = Vec::with_capacity(rows.len());
    for row in &rows {
        ids.push(row.try_get(0)?);
        bodies.push(row.try_get(1)?);
    }
    let mut refused = 0;
    match queue.send_all(&bodies).await {
        Ok(()) => {}
        Err(QueueError::Refused(_)) => {
            // Either the queue is not there, which this finds out, or it does not take one of these.
            queue.waiting().await?;
            refused = mark_refused(&transaction, queue, &mut ids, &bodies).await?;
        }
        Err(unavailable @ QueueError::Unavailable(_)) => return Err(unavailable.into()),
    }
    let finishing = async {
        let delete = "DELETE FROM outbox WHERE id = ANY ($1)";
        transaction.execute_typed(delete, &[(&ids, Type::INT8_ARRAY)]).await?;
        Ok(transaction.commit().await?)
    };
    in_time(ANSWER_TIME, finishing).await?;
    Ok((u64::try_from(ids.len()).unwrap_or(u64::MAX), refused))
}

/// Sends each message by itself and marks those that are refused; removes their ids.
async fn mark_refused(
    transaction: &Transaction<'_>,
    queue: &MessageQueue,
    ids: &mut Vec<i64>,
    bodies: &[String],
) -> Result<u64, SourceError> {
    let mut sent = Vec::with_capacity(ids.len());
    let mut refused = 0;
    for (id, body) in ids.iter().zip(bodies) {
        match queue.send(std::slice::from_ref(body)).await {
            Ok(()) => sent.push(*id),
            Err(QueueError::Refused(reason)) => {
                let mark = "UPDATE outbox SET refused = $2 WHERE id = $1";
                let parameters: [StatementParameter<'_>; 2] = [(id, Type::INT8), (&reason, Type::TEXT)];
                let marking = async { Ok(transaction.execute_typed(mark, &parameters).await?) };
                in_time(ANSWER_TIME, marking).await?;
                refused += 1;
            }
            Err(unavailable @ QueueError::Unavailable(_)) => return Err(unavailable.into()),
        }
    }
    *ids = sent;
    Ok(refused)
}

/// Relays again and again, with a pause when the outbox is empty, and again after a failure. `each` is given every
/// result and says whether to go on.
pub async fn follow(
    database: &SourceDatabase,
    queue: &MessageQueue,
    pause: Duration,
    mut each: impl FnMut(Result<SourceRelayReport, SourceError>) -> bool,
) {
    loop {
        let deadline = Instant::now() + pause.max(ANSWER_TIME);
        if !each(run(database, queue, deadline, deadline + ANSWER_TIME).await) {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}
