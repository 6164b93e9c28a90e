//! Records: what is recorded of a request, and the chains that records form.

use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys;
use crate::values::ids::{ApiKeyId, ChainId, ClerkUserId, Digest, UserId};
use crate::values::json;
use crate::values::time::{MINUTE, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The attribute with the text of a record.
const RECORD: &str = "record";
/// The most characters of a text that is recorded as the client sent it.
const MAX_CHARS: usize = 256;

/// The caller, as far as they are known when the request is refused or answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Principal {
    /// The user.
    pub user_id: Option<UserId>,
    /// The user at the identity provider.
    pub clerk_user_id: Option<ClerkUserId>,
    /// The API key.
    pub key_id: Option<ApiKeyId>,
    /// The id at the identity provider of a person who acts in the name of the user.
    pub impersonator: Option<String>,
}

/// The kind of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AuthMethod {
    /// An API key.
    ApiKey,
    /// A session token.
    Session,
}

/// What is recorded of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditedRequest {
    /// When the record was made.
    pub at: Timestamp,
    /// The caller.
    pub principal: Principal,
    /// The kind of the caller's credentials.
    pub method: AuthMethod,
    /// The action of the endpoint, such as `stats.read`.
    pub action: String,
    /// The id of the user, task or execution that the request is about, if it is about a single one.
    pub target: Option<String>,
    /// The parameters as the server understood them; the names of malformed ones as `invalid`.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    #[serde(deserialize_with = "json::value")]
    pub parameters: serde_json::Value,
    /// The status of the answer.
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// The request's id.
    pub request_id: String,
    /// The client's address.
    pub source: Option<String>,
    /// The client's `User-Agent`, without words that look like a credential or an email address.
    pub user_agent: Option<String>,
    /// How long the request took, in milliseconds.
    pub duration_ms: u64,
}

/// A text of the client in the form in which it is recorded: cut to 256 characters, and each word
/// replaced by `[redacted]` that looks like an API key, a token or an email address.
pub fn redacted(text: &str) -> String {
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let is_secret = |word: &str| word.contains('@') || word.contains("sk_") || word.contains("eyJ");
    let words = cut.split(' ').map(|word| if is_secret(word) { "[redacted]" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A recorded request with its position in a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The chain.
    pub chain: ChainId,
    /// Its number in the chain, from 0.
    pub seq: u64,
    /// The digest of the record before it; zeros for the first.
    pub previous: Digest,
    /// What is recorded.
    #[serde(flatten)]
    pub entry: AuditedRequest,
}

/// The id of a record in the list of requests: `<chain>-<number>`.
pub fn record_id(chain: &ChainId, seq: u64) -> String {
    format!("{chain}-{seq}")
}

impl AuditRecord {
    /// Its id in the list of requests.
    pub fn id(&self) -> String {
        record_id(&self.chain, self.seq)
    }

    /// The key of its item.
    pub fn key(&self) -> Key {
        keys::audit_record(&self.chain, self.seq, self.entry.at)
    }
}

/// A record of a chain with its text. The stored text is what is hashed, so no canonical form has to be agreed
/// on.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainedRecord {
    /// The record.
    pub record: AuditRecord,
    /// Its JSON text, as stored and hashed.
    pub text: String,
}

impl ChainedRecord {
    fn new(record: AuditRecord) -> Result<Self, serde_json::Error> {
        Ok(Self { text: serde_json::to_string(&record)?, record })
    }

    /// Reads a stored item. `None` if it is no record, does not lie under the key of its record,
    /// or lies outside of the hour of its chain.
    pub fn load(item: &Item) -> Option<Self> {
        let text = item.text(RECORD)?;
        let record: AuditRecord = serde_json::from_str(text).ok()?;
        let in_hour_of_chain = record.entry.at.hour() == record.chain.hour();
        (in_hour_of_chain && record.key() == item.key).then(|| Self { record, text: text.to_owned() })
    }

    /// Whether a stored item is exactly the record's: nothing was added to it.
    pub fn is_stored_as(&self, item: &Item) -> bool {
        self.item() == *item
    }

    /// The item to store.
    pub fn item(&self) -> Item {
        let attributes = Attributes::from([(RECORD.to_owned(), Value::Text(self.text.clone()))]);
        Item { key: self.record.key(), attributes }
    }

    /// The digest that the next record names as `previous`.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// Makes the records of a chain. Holds the chain's end; kept by the one instance that writes the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainWriter {
    id: ChainId,
    next: u64,
    previous: Digest,
    last: Timestamp,
}

impl ChainWriter {
    /// Begins a chain in the hour of `at`. `unique` must differ from that of every other
    /// chain of the hour.
    pub fn start(at: Timestamp, unique: &str) -> Self {
        let id = ChainId::new(at.hour(), unique);
        Self { id, next: 0, previous: Digest::none(), last: at }
    }

    /// Whether a record of this time may be added; otherwise a new chain must be begun. That is so
    /// from the next hour on, and if the clock was set back by more than a minute.
    pub fn accepts(&self, at: Timestamp) -> bool {
        at.hour() <= self.id.hour() && at.plus(MINUTE) >= self.last
    }

    /// The next record of the chain. Its time is at least that of the record before it.
    ///
    /// # Errors
    /// If the entry cannot be written as JSON.
    pub fn next_record(&self, entry: AuditedRequest) -> Result<ChainedRecord, serde_json::Error> {
        let entry = AuditedRequest { at: entry.at.max(self.last), ..entry };
        ChainedRecord::new(AuditRecord {
            chain: self.id.clone(),
            seq: self.next,
            previous: self.previous.clone(),
            entry,
        })
    }

    /// Makes a record the end of the chain; to be called once it is stored.
    pub fn advance(&mut self, link: &ChainedRecord) {
        self.next = link.record.seq + 1;
        self.previous = link.digest();
        self.last = link.record.entry.at;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) const AT: Timestamp = Timestamp::from_millis(1_774_953_030_500);

    pub(crate) fn entry(at: Timestamp, action: &str) -> AuditedRequest {
        AuditedRequest {
            at,
            principal: Principal {
                user_id: UserId::parse("00000000-0000-0000-0000-0000000000ad"),
                ..Principal::default()
            },
            method: AuthMethod::ApiKey,
            action: action.to_owned(),
            target: None,
            parameters: json!({ "hours": 24 }),
            status: 200,
            request_id: "r".to_owned(),
            source: None,
            user_agent: None,
            duration_ms: 12,
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_stored_and_only_under_its_own_key() {
        let mut chain = ChainWriter::start(AT, "abc");
        let first = chain.next_record(entry(AT, "stats.read")).unwrap();
        chain.advance(&first);
        let second = chain.next_record(entry(AT.plus(-5_000), "users.list")).unwrap();
        assert_eq!(second.record.previous, first.digest());
        assert_eq!(second.record.entry.at, AT, "times do not run backwards");
        assert_eq!(second.record.id(), "2026033110-abc-1");
        assert_eq!(ChainedRecord::load(&second.item()), Some(second.clone()));
        let misplaced = Item { key: first.item().key, ..second.item() };
        assert_eq!(ChainedRecord::load(&misplaced), None);
    }

    #[test]
    fn a_records_parameters_are_read_as_they_stand() {
        let parameters = serde_json::json!({ "$serde_json::private::RawValue": "[[]]" });
        let entry = AuditedRequest { parameters, ..entry(AT, "stats.read") };
        let link = ChainWriter::start(AT, "abc").next_record(entry).unwrap();
        assert_eq!(ChainedRecord::load(&link.item()), Some(link));
    }

    #[test]
    fn a_chain_ends_with_its_hour_and_when_the_clock_is_set_back() {
        let chain = ChainWriter::start(AT, "abc");

        assert!(chain.accepts(AT.plus(60_000)) && chain.accepts(AT.plus(-60_000)));
        assert!(!chain.accepts(AT.plus(3_600_000)) && !chain.accepts(AT.plus(-60_001)));
    }

    #[test]
    fn words_that_look_like_credentials_or_emails_are_redacted() {
        let agent = "curl/8 key=sk_live_0123 eyJhbGciOi.x me@example.com ok";
        assert_eq!(redacted(agent), "curl/8 [redacted] [redacted] [redacted] ok");
        assert_eq!(redacted(&"é".repeat(300)).chars().count(), 256);
    }

    #[test]
    fn only_the_printed_form_of_a_chain_id_is_read() {
        assert_eq!(ChainId::parse("2026033110-abc").unwrap().to_string(), "2026033110-abc");
        for wrong in
            ["2026033124-abc", "2026033110-", "2026033110-a#b", "202603311-abc", "2026033110", "+026033110-a"]
        {
            assert_eq!(ChainId::parse(wrong), None, "{wrong}");
        }
    }
}
