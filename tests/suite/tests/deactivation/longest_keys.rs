//! API keys with the longest ids: their look-ups and rows hold only the beginning of the id in the sort key, and
//! still lead to the whole id (issue 16, number 1).

use deactivate_user::DeactivateUser;
use stats::Stats;
use torale_domain::values::time::DAY;
use torale_testkit::events::{EventBuilder, api_key, user};
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::given;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::NOW;

const USER: &str = "00000000-0000-0000-0000-0000000000c1";
const USER_KEY: &str = "sk_user_0123456789abcdefghij";

/// Under an id of its own: one that is made of the entity's would be too long.
fn at(event: EventBuilder) -> EventBuilder {
    event.at(NOW.plus(-10 * DAY)).id("e")
}

/// The ids of the keys that commands revoke, sorted.
fn revoked(commands: &FakeSqs) -> Vec<String> {
    let commands = commands.taken();
    let commands = commands.iter().map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap());
    let revoked = commands.filter(|command| command["type"] == "ai.torale.command.api_key.revoke");
    let mut ids: Vec<String> =
        revoked.map(|command| command["data"]["key_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_key_with_the_longest_id_opens_the_api_is_recorded_and_is_revoked_with_its_user() {
    let id = "🙂".repeat(256);
    let admin = user(USER).created().with("clerk_user_id", id.as_str()).with("role", "admin");
    let key = api_key(&id).created(USER, USER_KEY);
    let scenario = given([admin, key].map(at).to_vec()).start().await;

    let answer = scenario.when(get::<Stats>("").by(USER_KEY)).await;

    assert_eq!(answer.status, 200);
    let records = scenario.records().await;
    let recorded = records.iter().filter_map(|link| link.record.entry.principal.key_id.as_ref());
    assert_eq!(recorded.map(|id| id.as_str()).collect::<Vec<_>>(), [id.as_str()]);

    let commands = FakeSqs::default();
    let deactivation = patch::<DeactivateUser>(USER);
    let answer = deactivation.send_with(&scenario.app(), &commands.client()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(revoked(&commands), [id]);
}

/// More than two pages of commands: the next page begins after a sort key of the greatest length.
#[tokio::test]
async fn every_key_of_a_user_with_hundreds_of_longest_ids_is_revoked() {
    // 1,022 bytes, so that the sort keys take exactly 1,024; and 1,024 bytes, so that they are bounded.
    let ids = (0..120_u32).flat_map(|n| {
        let last = char::from_u32(0x1_F300 + n).unwrap();
        [format!("é{}{last}", "🙂".repeat(254)), format!("{}{last}", "🙂".repeat(255))]
    });
    let mut ids: Vec<String> = ids.collect();
    let keys = ids.iter().enumerate().map(|(n, id)| api_key(id).created(USER, &format!("{USER_KEY}{n}")));
    let created = user(USER).created().with("clerk_user_id", "user_c");
    let events: Vec<EventBuilder> = std::iter::once(created).chain(keys).map(at).collect();
    let scenario = given(events).start().await;
    let commands = FakeSqs::default();

    let answer = patch::<DeactivateUser>(USER).send_with(&scenario.app(), &commands.client()).await;

    assert_eq!(answer.status, 200);
    ids.sort();
    assert_eq!(revoked(&commands), ids);
}
