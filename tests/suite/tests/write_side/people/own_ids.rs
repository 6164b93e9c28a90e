//! An administrator cannot deactivate themselves, whatever other user ids they have.

use super::{ANN, ANNS_KEY, CLERK, at_clerk, created, key, listed, stand_in};
use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use serde_json::json;
use torale_domain::deactivation::own_ids::MAX_LINKS;
use torale_domain::entities::linkage;
use torale_domain::storage::keys;
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_domain::values::time::DAY;
use torale_testkit::events::{EventBuilder, identity, user};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::{patch, post};
use torale_testkit::scenario::{Scenario, given, given_only};
use torale_testkit::stack::{NOW, text};

const OTHER: &str = "660e8400-e29b-41d4-a716-4466554400ff";

fn derived(clerk: &str) -> String {
    linkage::derived(&ClerkUserId::parse(clerk).unwrap()).to_string()
}

fn row(id: &str, clerk: &str) -> EventBuilder {
    user(id).created().with("clerk_user_id", clerk).at(NOW.plus(-20 * DAY))
}

/// Ann deactivates a user: the status, and how many users are deactivated then.
async fn ann_deactivates(scenario: &Scenario, id: &str) -> (u16, usize) {
    let status = scenario.when(patch::<DeactivateUser>(id).by(ANNS_KEY)).await.status;
    let (users, _) = listed(scenario).await;
    (status, users.iter().filter(|user| user["state"] == "deactivated").count())
}

#[tokio::test]
async fn admin_cannot_deactivate_themselves_by_the_id_derived_from_their_identity() {
    let admin = at_clerk().with("role", "admin");
    let scenario = given(vec![row(&stand_in(), CLERK), created(), key(), admin]).start().await;

    assert_eq!(ann_deactivates(&scenario, &stand_in()).await, (409, 0));
    let answer =
        scenario.when(post::<DeactivateUsers>(&json!({ "user_ids": [stand_in()] })).by(ANNS_KEY)).await;
    let result = &answer.with_status(200).json()["results"][0];
    assert_eq!(
        (&result["result"], &result["detail"]),
        (&json!("refused"), &json!("Administrators cannot deactivate themselves"),)
    );
}

/// The identity says by its external id that it is Ann's; a user of its derived id names another.
#[tokio::test]
async fn admin_cannot_deactivate_themselves_by_an_identity_that_is_theirs_by_its_external_id() {
    let phone = identity("user_phone").created().with("external_id", ANN).at(NOW.plus(-9 * DAY));
    let admin = created().with("role", "admin");
    let events = vec![admin, key(), phone, row(&derived("user_phone"), "user_x")];
    let scenario = given(events).start().await;

    assert_eq!(ann_deactivates(&scenario, &derived("user_phone")).await, (409, 0));
}

/// The other user's login is Ann's own: it would be blocked.
#[tokio::test]
async fn admin_cannot_deactivate_another_user_whose_login_is_their_own() {
    let admin = created().with("role", "admin");
    let scenario = given(vec![admin, key(), row(OTHER, CLERK), at_clerk()]).start().await;

    assert_eq!(ann_deactivates(&scenario, OTHER).await, (409, 0));
}

/// The links of the other user are read before an identity becomes theirs, and the user afterwards.
#[tokio::test]
async fn admin_cannot_deactivate_a_user_to_whom_their_login_comes_to_belong_meanwhile() {
    let mine = at_clerk().with("external_id", OTHER);
    let admin = created().with("role", "admin");
    let scenario = given_only(vec![admin, key(), mine, row(OTHER, "user_x")]).start().await;
    let links = keys::user_links(UserId::parse(OTHER).unwrap());
    let app = scenario.app_over(scenario.store_with(Interceptor::finding_nothing_at_first(links)));

    assert_eq!(patch::<DeactivateUser>(OTHER).by(ANNS_KEY).send(&app).await.status, 409);
}

/// The only administrator there is, by an id of somebody with more identities than are read at once: theirs is the
/// last.
#[tokio::test]
async fn last_admin_cannot_be_deactivated_by_a_user_with_hundreds_of_identities() {
    let admin = created().with("role", "admin");
    for (shared, expected) in [(true, 409), (false, 200)] {
        let mine = at_clerk().with("external_id", if shared { OTHER } else { "nobody's" });
        let scenario = given_only(vec![admin.clone(), key(), mine, row(OTHER, "user_x")]).start().await;
        for n in 0..MAX_LINKS {
            let clerk = format!("user_a{n:03}");
            let link = keys::user_link(UserId::parse(OTHER).unwrap(), &ClerkUserId::parse(&clerk).unwrap());
            scenario.put(&keys::projections_table("g1"), &link, [("of", text(&clerk))]).await;
        }

        assert_eq!(scenario.when(patch::<DeactivateUser>(OTHER).by(ANNS_KEY)).await.status, expected);
    }
}
