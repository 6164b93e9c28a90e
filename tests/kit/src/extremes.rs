//! Events at every bound at once: whatever the intake accepts must be carried through (`docs/promises.md`, P9).

use crate::present::NOW;
use serde_json::{Value, json};
use torale_domain::events::intake::MAX_MESSAGE_BYTES;
use torale_domain::values::digest::sha256_hex;
use torale_domain::values::time::{HOUR, MINUTE, Timestamp};
use uuid::Uuid;

/// Characters of one to four bytes; those that JSON or a key escapes; the last one there is.
const CHARACTERS: [char; 8] = ['x', 'é', '漢', '🙂', '\u{1}', '"', '\\', '\u{10ffff}'];

/// Ids of users, tasks and executions, by kind and number.
pub fn uuid(kind: u128, n: usize) -> Uuid {
    Uuid::from_u128(0xE000_0000_0000_0000_0000_0000_0000_0000 | kind << 64 | u128::try_from(n).unwrap())
}

/// A text id at its bound: 256 characters, the last of which tells it from others.
fn id(character: char, n: usize) -> String {
    let last = char::from(b'a' + u8::try_from(n % 26).unwrap());
    character.to_string().repeat(255) + &last.to_string()
}

fn api_key(n: usize) -> String {
    format!("sk_{n:0197}")
}

/// Every fact of one user and what belongs to it, all of them at their bounds.
struct Extreme {
    character: char,
    n: usize,
    /// Bytes that each message has at least, by a field that is not listed.
    padded: usize,
}

impl Extreme {
    fn text(&self, characters: usize) -> String {
        self.character.to_string().repeat(characters)
    }

    fn message(&self, minutes: i64, kind: &str, mut data: Value) -> String {
        let wrap = |data: &Value| {
            json!({
                "specversion": "1.0", "id": self.text(128), "source": self.text(256),
                "type": format!("ai.torale.{kind}"), "time": NOW.plus(-minutes * MINUTE), "data": data,
            })
            .to_string()
        };
        let missing = self.padded.saturating_sub(wrap(&data).len() + 20);
        if missing > 0 {
            // Digits that nothing compresses to much less than half.
            let mut filler = String::new();
            while filler.len() < missing {
                filler += &sha256_hex(&[filler.as_bytes(), kind.as_bytes()]);
            }
            data["a_padding"] = json!(filler.get(..missing).unwrap());
        }
        let message = wrap(&data);
        assert!(message.len() <= MAX_MESSAGE_BYTES, "{}", message.len());
        message
    }

    fn messages(&self) -> Vec<String> {
        let (user, task) = (uuid(1, self.n), uuid(2, self.n));
        let (text, id) = (self.text(2_000), id(self.character, self.n));
        let most = (1_u64 << 53) - 1;
        let key = json!({
            "key_id": id, "user_id": user, "key_hash": sha256_hex(&[api_key(self.n).as_bytes()]),
            "key_prefix": text, "name": text,
        });
        let failed = json!({
            "execution_id": uuid(3, self.n), "task_id": task, "user_id": user, "started_at": NOW,
            "completed_at": NOW.plus(23 * HOUR), "duration_ms": most, "error_type": "E".repeat(64),
            "error_message": text, "retry_count": most, "will_retry": true,
        });
        let succeeded = json!({
            "execution_id": uuid(4, self.n), "task_id": task, "user_id": user,
            "started_at": Timestamp::EARLIEST, "completed_at": NOW, "condition_met": true, "duration_ms": most,
        });
        let run = json!({ "workflow_id": id, "run_id": id, "workflow_type": text, "status": "S".repeat(64),
            "start_time": NOW });
        let schedule = json!({ "schedule_id": id, "task_id": task, "user_id": user, "cron": self.text(256),
            "timezone": self.text(64) });
        let identity = json!({ "user_id": user, "clerk_user_id": id, "email": text, "role": text,
            "created_at": Timestamp::EARLIEST });
        let created = json!({ "task_id": task, "user_id": user, "search_query": self.text(500),
            "schedule": self.text(256), "name": text, "state": "paused" });
        let sent = json!({ "notification_id": id, "user_id": user, "channel": text });
        [
            ("user.created", identity),
            ("user.updated", json!({ "user_id": user, "email": text })),
            ("user.logged_in", json!({ "user_id": user })),
            ("user.deactivated", json!({ "user_id": user, "by": text, "reason": text })),
            ("user.reactivated", json!({ "user_id": user, "by": text })),
            ("api_key.created", key),
            ("task.created", created),
            ("task.updated", json!({ "task_id": task, "search_query": self.text(500), "name": text })),
            ("task.resumed", json!({ "task_id": task })),
            ("execution.failed", failed),
            ("execution.succeeded", succeeded),
            ("notification.sent", sent),
            ("temporal.workflow.closed", run),
            ("temporal.schedule.created", schedule),
            ("temporal.schedule.updated", json!({ "schedule_id": id, "cron": self.text(256) })),
            ("temporal.schedule.unpaused", json!({ "schedule_id": id })),
        ]
        .into_iter()
        .zip((0..).map(|minutes| 40 - minutes))
        .map(|((kind, data), minutes)| self.message(minutes, kind, data))
        .collect()
    }
}

/// Extremes of every character; of two of them as large as a message may be.
pub fn messages() -> Vec<String> {
    let of = |(n, character): (usize, &char)| {
        let padded = if matches!(character, 'x' | '🙂') { MAX_MESSAGE_BYTES } else { 0 };
        Extreme { character: *character, n, padded }.messages()
    };
    CHARACTERS.iter().enumerate().flat_map(of).collect()
}
