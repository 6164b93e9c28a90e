//! The budget of keys: of every key the segments that are not fixed, and the most bytes that they take.

use super::{MAX_PK_BYTES, MAX_SK_BYTES};

/// The most bytes that the keys of one kind of item take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBudget {
    /// The item.
    pub item: &'static str,
    /// The segments of the partition key, each with its most bytes.
    pub pk: &'static [(&'static str, usize)],
    /// The segments of the sort key.
    pub sk: &'static [(&'static str, usize)],
}

impl KeyBudget {
    /// The most bytes of the partition key.
    pub const fn pk_bytes(&self) -> usize {
        sum(self.pk)
    }

    /// The most bytes of the sort key.
    pub const fn sk_bytes(&self) -> usize {
        sum(self.sk)
    }
}

const fn sum(segments: &[(&str, usize)]) -> usize {
    match segments {
        [(_, bytes), rest @ ..] => *bytes + sum(rest),
        [] => 0,
    }
}

const fn of(
    item: &'static str,
    pk: &'static [(&'static str, usize)],
    sk: &'static [(&'static str, usize)],
) -> KeyBudget {
    KeyBudget { item, pk, sk }
}

/// Every key that holds something of variable length, with its greatest segments. A text id has at most
/// 256 characters of at most 4 bytes; where that is too much, the key holds its beginning and a hash
/// (`bounded`). A time has 13 digits until the year 2286.
pub const BUDGET: &[KeyBudget] = &[
    of("user, task, execution", &[("u#", 2), ("UUID", 36)], &[("e", 1)]),
    of("API key, notification, schedule", &[("k#", 2), ("id", 1024)], &[("e", 1)]),
    of("run", &[("w#", 2), ("hash", 64)], &[("e", 1)]),
    of("user's day", &[("u#", 2), ("UUID", 36)], &[("d#", 2), ("day", 8)]),
    of("active task", &[("o#", 2), ("UUID", 36)], &[("t#", 2), ("UUID", 36)]),
    of("live key", &[("o#", 2), ("UUID", 36)], &[("k#", 2), ("bounded id", 1022)]),
    of("key of a user", &[("u#", 2), ("UUID", 36)], &[("a#", 2), ("bounded id", 1022)]),
    of("execution of a task", &[("t#", 2), ("UUID", 36)], &[("c#", 2), ("time", 13), ("UUID", 36)]),
    of("unpaused schedule of a task", &[("t#", 2), ("UUID", 36)], &[("d#", 2), ("bounded id", 1022)]),
    of("query totals", &[("q#", 2), ("hash", 32)], &[("e", 1)]),
    of("executions of a query", &[("q#", 2), ("hash", 32)], &[("x#", 2), ("lane", 2)]),
    of("key look-up", &[("h#", 2), ("hash", 64)], &[("0#", 2), ("bounded id", 1022)]),
    of("unpaused schedule", &[("o#", 2), ("UUID", 36)], &[("s#", 2), ("bounded id", 1022)]),
    of("schedule of a task", &[("v#", 2), ("UUID", 36)], &[("id", 1024)]),
    of("deleted schedules of a task", &[("v#", 2), ("UUID", 36)], &[("separator", 1)]),
    of("identity and its links", &[("i#", 2), ("Clerk id", 1024)], &[("u#", 2), ("UUID", 36)]),
    of(
        "identity's login",
        &[("i#", 2), ("Clerk id", 1024)],
        &[
            ("a#", 2),
            ("time", 13),
            ("event id", 512),
            ("separator", 1),
            ("bounded source", 400),
            ("separator", 1),
            ("UUID", 36),
        ],
    ),
    of("user's link, claim", &[("y#", 2), ("UUID", 36)], &[("Clerk id", 1024)]),
    of("row of two ids", LIST, &[("time", 13), ("bounded id", 480), ("separator", 1), ("bounded id", 480)]),
    of(
        "user by email",
        &[("r#emails#", 9), ("status", 9), ("#", 1), ("character", 4)],
        &[("beginning", 972), ("separator", 1), ("id", 32)],
    ),
    of("row of the ranking", &[("r#queries", 9)], &[("count", 10), ("hash", 32)]),
    of(
        "node of errors",
        &[("c#errors#", 9), ("lane", 2)],
        &[("h#", 2), ("hour", 10), ("#", 1), ("type", 64)],
    ),
    of(
        "node of an index with a filter",
        &[("c#", 2), ("index", 13), ("/", 1), ("filter", 64), ("#", 1), ("lane", 2)],
        &[("h#", 2), ("hour", 10)],
    ),
    of("node of a day", &[("c#", 2), ("index", 13), ("#", 1), ("lane", 2)], &[("d#", 2), ("day", 8)]),
    of("node of a minute", &[("c#", 2), ("index", 13), ("#", 1), ("lane", 2)], &[("n#", 2), ("minute", 12)]),
    of(
        "log",
        &[("hour", 10), ("#", 1), ("lane", 2)],
        &[("time", 13), ("#", 1), ("writer", 64), ("#", 1), ("part", 5)],
    ),
    of("quarantine", &[("digit", 1)], &[("hash", 64), ("#", 1), ("part", 2)]),
    of("outbox entry", &[("outbox", 6)], &[("event id", 512), ("#", 1), ("bounded target", 480)]),
    of("key use", &[("key#", 4), ("id", 1024)], &[("used", 4)]),
    of("limit, deactivation", &[("deactivation#", 13), ("UUID", 36)], &[("requests", 8)]),
    of("work unit", &[("rebuild#", 8), ("bounded name", 256)], &[("unit#", 5), ("bounded unit", 256)]),
    of(
        "subtotals",
        &[("runs#", 5), ("bounded name", 256), ("#", 1), ("bounded unit", 256)],
        &[("number", 10)],
    ),
    of("import", &[("import#", 7), ("hash", 64)], &[("begun", 5)]),
    of("Temporal sync", &[("temporal#", 9), ("hash", 64)], &[("sync", 4)]),
    of("progress of links", &[("links#", 6), ("hash", 64)], &[("commands", 8)]),
    of(
        "audit record",
        &[("r#", 2), ("hour", 10), ("#", 1), ("lane", 1)],
        &[("time", 13), ("chain", 75), ("#", 1), ("number", 20)],
    ),
    of("audit seal", &[("seals", 5)], &[("number", 20)]),
    of(
        "row of the audit index",
        &[("bounded facet", 1024), ("/", 1), ("partition", 64)],
        &[("time", 13), ("chain", 75), ("#", 1), ("number", 20)],
    ),
];

const LIST: &[(&str, usize)] =
    &[("r#", 2), ("index", 13), ("/", 1), ("filter", 64), ("#", 1), ("status", 9), ("#", 1), ("lane", 2)];

/// The table holds: no key is over DynamoDB's limits.
const _: () = {
    let mut rows = BUDGET;
    while let [row, rest @ ..] = rows {
        assert!(row.pk_bytes() <= MAX_PK_BYTES && row.sk_bytes() <= MAX_SK_BYTES);
        rows = rest;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::item::{Attributes, Item, Key, Value};
    use crate::storage::keys::{
        self, FilteredIndex, Index, IndexFilter, Lanes, StatusPartition, StoppableRow,
    };
    use crate::values::ids::{
        ApiKeyHash, ApiKeyId, ChainId, ClerkUserId, EntityKey, ExecutionId, NotificationId, RunId,
        ScheduleId, TaskId, UserId, WorkflowId,
    };
    use crate::values::time::Timestamp;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    /// The last millisecond that 13 digits hold: 2286-11-20.
    const LAST: Timestamp = Timestamp::from_millis(9_999_999_999_999);
    /// Of one to four bytes, and the ones that escaping makes longer.
    const WIDTHS: [char; 7] = ['a', 'é', '漢', '🙂', '\u{0}', '\u{2}', '\u{10ffff}'];

    fn user() -> UserId {
        UserId(Uuid::max())
    }

    fn hash() -> ApiKeyHash {
        ApiKeyHash::parse(&"f".repeat(64)).unwrap()
    }

    fn lane() -> keys::Lane {
        Lanes::new(64).unwrap().all().last().unwrap()
    }

    /// The longest id of one character, with a shorter one after it, and with different ones before it.
    fn longest(character: char) -> [String; 3] {
        let mixed: String = WIDTHS.into_iter().chain(std::iter::repeat_n(character, 249)).collect();
        [character.to_string().repeat(256), character.to_string().repeat(255) + "é", mixed]
    }

    /// Of each row of the table the keys at their extremes.
    fn extreme_keys(id: &str) -> Vec<(&'static str, Vec<Key>)> {
        [extreme_keys_of_entities(id), extreme_keys_of_people(id)].concat()
    }

    fn extreme_keys_of_people(id: &str) -> Vec<(&'static str, Vec<Key>)> {
        let (user, task) = (user(), TaskId(Uuid::max()));
        let (clerk, schedule) = (ClerkUserId::parse(id).unwrap(), ScheduleId::parse(id).unwrap());
        let identity = keys::entity(&EntityKey::Identity(clerk.clone()));
        let event: String = id.chars().take(128).collect();
        vec![
            ("unpaused schedule", vec![keys::unpaused_schedule(user, &schedule)]),
            ("schedule of a task", vec![keys::task_schedule(task, &schedule)]),
            ("identity and its links", vec![identity, keys::identity_link(&clerk, user)]),
            ("identity's login", vec![keys::identity_login(&clerk, Some((LAST, &event, id)), user)]),
            ("user's link, claim", vec![keys::user_link(user, &clerk), keys::identity_claim(user, &clerk)]),
            (
                "progress of links",
                [true, false].map(|commands| keys::link_progress(id, &clerk, commands)).into(),
            ),
        ]
    }

    fn extreme_keys_of_entities(id: &str) -> Vec<(&'static str, Vec<Key>)> {
        let (user, task) = (user(), TaskId(Uuid::max()));
        let key = ApiKeyId::parse(id).unwrap();
        let entities = [
            EntityKey::ApiKey(key.clone()),
            EntityKey::Notification(NotificationId::parse(id).unwrap()),
            EntityKey::Schedule(ScheduleId::parse(id).unwrap()),
        ];
        let run = EntityKey::Run(WorkflowId::parse(id).unwrap(), RunId::parse(id).unwrap());
        let chain = ChainId::new(LAST.hour(), &"z".repeat(64));
        let record = keys::audit_record(&chain, u64::MAX, LAST);
        let rows = keys::rows(Index::Audit, StatusPartition::All, lane());
        let target = format!("{} api_key.revoke {id}", LAST.millis());
        let event: String = id.chars().take(128).collect();
        vec![
            ("user, task, execution", vec![keys::user(user), keys::entity(&EntityKey::Task(task))]),
            ("API key, notification, schedule", entities.iter().map(keys::entity).collect()),
            ("run", vec![keys::entity(&run)]),
            ("user's day", vec![keys::user_day(user, LAST.day()), keys::user_totals(user)]),
            ("active task", vec![keys::active_task(user, task)]),
            ("live key", vec![keys::live_key(user, &key)]),
            ("query totals", vec![keys::query(&keys::query_hash(id))]),
            ("key look-up", [true, false].map(|revoked| keys::key_lookup(&hash(), &key, revoked)).into()),
            (
                "row of two ids",
                [Index::Workflows, Index::Notifications]
                    .map(|index| keys::row(index, StatusPartition::Inactive, lane(), LAST, &[id, id]))
                    .into(),
            ),
            ("row of the ranking", vec![keys::ranking_row(0, &keys::query_hash(id))]),
            (
                "node of errors",
                vec![
                    keys::hour_node(Index::Errors, lane(), LAST.hour(), Some(&"e".repeat(64))),
                    keys::month_node(Index::Errors, lane(), LAST.day().month(), Some(&"e".repeat(64))),
                ],
            ),
            ("log", vec![keys::log(LAST, 4, &"w".repeat(64), 10_000)]),
            ("quarantine", vec![keys::quarantine(id.as_bytes(), 99)]),
            ("outbox entry", vec![keys::outbox(&event, &target)]),
            ("key use", vec![keys::key_used(&key)]),
            (
                "limit, deactivation",
                vec![
                    keys::limit(user),
                    keys::deactivation(user),
                    keys::requested_commands(user),
                    keys::requested_for_others(user),
                ],
            ),
            ("work unit", vec![keys::rebuild_unit(id, id)]),
            ("subtotals", vec![keys::subtotals_piece(id, id, u32::MAX)]),
            ("import", vec![keys::import(&"f".repeat(64))]),
            ("Temporal sync", vec![keys::temporal_sync(id)]),
            ("audit record", vec![record.clone()]),
            ("audit seal", vec![keys::audit_seal(u64::MAX)]),
            (
                "row of the audit index",
                vec![keys::audit_row(&format!("user#{user}#{id}{id}"), &rows, &record)],
            ),
        ]
    }

    /// The same of what belongs to one task or one user, and of the nodes of days and minutes.
    fn extreme_keys_of_details(id: &str) -> Vec<(&'static str, Vec<Key>)> {
        let (task, run) = (TaskId(Uuid::max()), ExecutionId(Uuid::max()));
        let of_user = keys::user_key(user(), &ApiKeyId::parse(id).unwrap());
        vec![
            ("executions of a query", vec![keys::query_executions(&keys::query_hash(id), lane())]),
            ("key of a user", vec![of_user]),
            ("execution of a task", vec![keys::task_execution(task, LAST, run)]),
            ("unpaused schedule of a task", vec![keys::task_unpaused(task, &ScheduleId::parse(id).unwrap())]),
            ("user by email", vec![keys::user_by_email(StatusPartition::Active, id, user())]),
            ("deleted schedules of a task", vec![keys::deleted_schedules(task)]),
            (
                "node of an index with a filter",
                vec![keys::hour_node(
                    FilteredIndex { index: Index::Tasks, filter: IndexFilter::User(user()) },
                    lane(),
                    LAST.hour(),
                    None,
                )],
            ),
            ("node of a day", vec![keys::day_node(Index::Notifications, lane(), LAST.day())]),
            ("node of a minute", vec![keys::minute_node(Index::Executions, lane(), LAST.minute())]),
        ]
    }

    /// Issue 16, "a budget of sizes": no key that is really made is over its row of the table, and
    /// those of the longest ids are just as long.
    #[test]
    fn keys_at_their_extremes_fit_into_their_budgets() {
        let mut longest_sk = 0;
        for id in WIDTHS.into_iter().flat_map(longest) {
            let made = [extreme_keys(&id), extreme_keys_of_details(&id)].concat();
            let named: BTreeSet<&str> = made.iter().map(|(item, _)| *item).collect();
            assert_eq!(named, BUDGET.iter().map(|row| row.item).collect(), "the same items");
            for (item, made) in made {
                let row = BUDGET.iter().find(|row| row.item == item).unwrap();
                for Key { pk, sk } in made {
                    assert!(pk.len() <= row.pk_bytes(), "{item}: {} of {}", pk.len(), row.pk_bytes());
                    assert!(sk.len() <= row.sk_bytes(), "{item}: {} of {}", sk.len(), row.sk_bytes());
                    longest_sk = longest_sk.max(sk.len());
                }
            }
        }
        assert_eq!(longest_sk, 1024, "the extremes were reached");
    }

    /// A store that was written before bounded forms came must verify without a difference.
    #[test]
    fn keys_of_ids_that_fit_are_written_as_ever() {
        let plain = ApiKeyId::parse("key_1").unwrap();
        let odd = ApiKeyId::parse("a\u{0}b\u{1}c\u{2}d#é").unwrap();
        assert_eq!(
            keys::entity(&EntityKey::ApiKey(odd.clone())).pk,
            "k#a\u{2}\u{1}b\u{2}\u{2}c\u{2}\u{3}d#é"
        );
        assert_eq!(keys::live_key(user(), &plain).sk, "k#key_1");
        assert_eq!(keys::key_lookup(&hash(), &odd, true).sk, "1#a\u{2}\u{1}b\u{2}\u{2}c\u{2}\u{3}d#é");
        assert_eq!(keys::key_used(&plain).pk, "key#key_1");
        // The longest that fits: 255 characters of four bytes and one of two.
        let fits = ApiKeyId::parse(&("🙂".repeat(255) + "é")).unwrap();
        assert_eq!(keys::live_key(user(), &fits).sk, format!("k#{}", fits.as_str()));
        assert_eq!(keys::whole_id(&fits), None);
    }

    /// Whoever can find two ids with the same short hash can let one's row replace the other's.
    #[test]
    fn the_hash_of_a_bounded_id_has_128_bits() {
        // A row's id over 480 bytes: as many characters as fit, a separator, and 32 digits of the SHA-256 of "é" 256
        // times, as another program computes it.
        let sk = keys::row(Index::Schedules, StatusPartition::Active, lane(), LAST, &[&"é".repeat(256)]).sk;
        assert_eq!(
            sk,
            format!("9999999999999{}\u{1}{}", "é".repeat(223), "57ed0ef12199207a92e3484cdf02cc0d")
        );
    }

    /// Issue 16, number 1: such a key was accepted and could not be projected.
    #[test]
    fn an_id_that_does_not_fit_is_bounded_and_still_found() {
        let id = ApiKeyId::parse(&"🙂".repeat(256)).unwrap();
        let other = ApiKeyId::parse(&("🙂".repeat(255) + "🙃")).unwrap();
        let sk = keys::live_key(user(), &id).sk;
        assert!(sk.len() <= 1024 && sk.starts_with("k#🙂🙂") && !sk.contains(&"🙂".repeat(252)));
        assert_ne!(sk, keys::live_key(user(), &other).sk);
        let whole = keys::whole_id(&id).unwrap().to_owned();
        let attributes = Attributes::from([(keys::WHOLE_ID.to_owned(), Value::Text(whole))]);
        let item = |key: Key| Item { key, attributes: attributes.clone() };
        let live = item(keys::live_key(user(), &id));
        assert_eq!(keys::parse_stoppable_row(&live), Some(StoppableRow::Key(id.clone())));
        let revoked = item(keys::key_lookup(&hash(), &id, true));
        assert_eq!(keys::parse_key_lookup(&revoked), Some((id, true)));
    }

    /// Torn, the first half of an escape and the separator would read as another id's escape.
    #[test]
    fn ids_are_not_cut_within_an_escape() {
        let sk = |end: char| {
            let id = format!("{}{end}{}", "a".repeat(446), "🙂".repeat(20));
            let sk = keys::row(Index::Workflows, StatusPartition::All, lane(), LAST, &[&id, "r"]).sk;
            sk.strip_prefix("9999999999999").unwrap().trim_start_matches('a').to_owned()
        };
        for escaped in ['\u{0}', '\u{1}', '\u{2}'] {
            assert!(sk(escaped).starts_with('\u{1}'), "{:?}", sk(escaped));
        }
        assert!(sk('b').starts_with("b\u{1}"));
    }

    #[test]
    fn the_next_sort_key_is_one_that_the_store_takes() {
        assert_eq!(keys::next("k#a"), "k#a\0");
        let longest = format!("k#{}a", "b".repeat(1021));
        assert_eq!(keys::next(&longest), format!("k#{}b", "b".repeat(1021)));
        let last = format!("k#{}\u{10ffff}", "b".repeat(1018));
        assert_eq!(keys::next(&last), format!("k#{}c", "b".repeat(1017)));
        let before_surrogates = format!("{}\u{d7ff}", "b".repeat(1021));
        assert_eq!(keys::next(&before_surrogates), format!("{}\u{e000}", "b".repeat(1021)));
        for (last, wider) in [('\u{7f}', 1), ('\u{7ff}', 2), ('\u{ffff}', 3)] {
            assert_eq!(last.len_utf8(), wider);
            let before_wider = format!("{}{last}", "b".repeat(1024 - wider));
            assert_eq!(keys::next(&before_wider), format!("{}c", "b".repeat(1023 - wider)), "{last:?}");
        }
    }

    #[test]
    fn every_live_key_lies_before_the_end_of_live_keys() {
        for character in WIDTHS {
            let key = keys::live_key(user(), &ApiKeyId::parse(&character.to_string()).unwrap());
            assert!(key.sk.as_str() > keys::LIVE_KEYS && key.sk < keys::after_live_keys(), "{character:?}");
        }
        assert!(keys::active_task(user(), TaskId(Uuid::nil())).sk > keys::after_live_keys());
    }
}
