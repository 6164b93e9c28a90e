//! Real answers, good ones and refusals, are what the document describes.

use super::judge::Document;
use audit::Audit;
use clerk_webhook::{MAX_BODY, ROUTE, Webhook};
use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use http::Method;
use reactivate_user::ReactivateUser;
use serde_json::{Value, json};
use stats::Stats;
use std::collections::BTreeSet;
use torale_platform::serve::App;
use torale_testkit::events::{ADMIN, user};
use torale_testkit::faults::Faults;
use torale_testkit::generator::Generator;
use torale_testkit::request::{ApiAnswer, ApiRequest, get, patch, payload, post, read};
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::NOW;
use torale_testkit::svix;
use torale_tests::endpoints::{self, good_request};
use torale_tests::model;

const OTHER: &str = "00000000-0000-0000-0000-0000000000b0";

async fn scenario() -> Scenario {
    given((endpoints::subject(OTHER), Generator::new(11).messages(400))).start().await
}

/// The status of an answer, which the document must describe.
async fn judged(document: &Document, app: &App, request: ApiRequest) -> u16 {
    let answer = request.send(app).await;
    let endpoint = &request.endpoint.endpoint;
    document.judge(endpoint.method.as_str(), endpoint.path, &answer);
    answer.status
}

#[tokio::test]
async fn answers_to_reads_are_as_described() {
    let (document, scenario) = (Document::new(), scenario().await);
    let app = scenario.app();
    let mut seen = BTreeSet::new();
    let mut generator = Generator::new(3);
    let random: Vec<_> = (0..150).map(|_| model::request(&mut generator)).collect();
    let plain = model::PLAIN.iter().map(|(path, query)| (*path, (*query).to_owned()));

    // Every list refuses this, but for the statistics, which have no parameters.
    let malformed = model::PLAIN.iter().map(|(path, _)| (*path, "limit=0&hours=0".to_owned()));

    for (path, query) in plain.chain(random).chain(malformed) {
        seen.insert((path, judged(&document, &app, endpoints::get(path, &query)).await));
    }

    scenario.seal().await;

    for query in ["", "limit=1", "hours=0"] {
        seen.insert(("/admin/audit", judged(&document, &app, get::<Audit>(query)).await));
    }

    let statuses = |wanted| seen.iter().filter(move |(_, status)| *status == wanted).count();

    assert_eq!((statuses(200), statuses(422), seen.len()), (10, 9, 19), "{seen:?}");
}

#[tokio::test]
async fn answers_about_one_thing_are_as_described() {
    let (document, scenario) = (Document::new(), scenario().await);
    let app = scenario.app();
    let details = endpoints::all()
        .into_iter()
        .filter(|of| of.endpoint.method == Method::GET && of.endpoint.path.ends_with("{id}"));
    let unknown = "00000000-0000-0000-0000-00000000dead";
    let mut judged_details = 0;

    for of in details {
        for (id, status) in [(OTHER, 200), (unknown, 404), ("x", 422)] {
            assert_eq!(
                judged(&document, &app, of.request("").about(id)).await,
                status,
                "{}",
                of.endpoint.path
            );
        }
        judged_details += 1;
    }

    for path in model::details() {
        judged(&document, &app, endpoints::get(&path, "")).await;
    }

    assert_eq!(judged_details, 3);
}

#[tokio::test]
async fn refusals_are_as_described() {
    let (document, scenario) = (Document::new(), scenario().await);
    let full = scenario.instance().limits(0, 100_000).start();
    let down = scenario.faulty_app(&Faults::always());

    assert_eq!(judged(&document, &scenario.app(), get::<Stats>("")).await, 200);

    for of in endpoints::all() {
        let good = good_request(&of, OTHER);
        for credentials in [None, Some("Bearer sk_unknown_0123456789abcdefghij"), Some("Bearer x")] {
            let stranger = of.request("").about(OTHER).authorized(credentials);
            assert_eq!(judged(&document, &scenario.app(), stranger).await, 401);
        }
        assert_eq!(judged(&document, &full, good.clone()).await, 429);
        assert_eq!(judged(&document, &down, good.clone()).await, 503);
        if of.endpoint.method != Method::GET {
            assert_eq!(judged(&document, &scenario.app(), good.body(" ".repeat(20_000))).await, 413);
        }
    }
}

#[tokio::test]
async fn refusals_of_a_user_who_is_no_admin_are_as_described() {
    let (document, scenario) = (Document::new(), scenario().await);
    let app = scenario.app();

    assert_eq!(judged(&document, &app, get::<Stats>("")).await, 200);

    scenario.receives(user(ADMIN).updated().with("role", "user")).await;

    for of in endpoints::all() {
        assert_eq!(judged(&document, &app, good_request(&of, OTHER)).await, 403);
    }
}

#[tokio::test]
async fn answers_to_changes_are_as_described() {
    let (document, scenario) = (Document::new(), scenario().await);
    let app = scenario.app();
    let unknown = "00000000-0000-0000-0000-00000000dead";
    let many = |ids: Value| post::<DeactivateUsers>(&json!({ "user_ids": ids }));

    for (request, status) in [
        (patch::<DeactivateUser>(ADMIN), 409),
        (patch::<DeactivateUser>(unknown), 404),
        (patch::<ReactivateUser>(unknown), 404),
        (patch::<DeactivateUser>("x"), 422),
        (patch::<ReactivateUser>("x"), 422),
        (patch::<DeactivateUser>(OTHER), 200),
        (patch::<DeactivateUser>(OTHER), 200),
        (many(json!([OTHER, ADMIN, unknown, "x", 5])), 200),
        (many(json!([])), 422),
        (post::<DeactivateUsers>(&json!({})), 422),
    ] {
        assert_eq!(judged(&document, &app, request.clone()).await, status, "{request:?}");
    }
}

/// Those that are accepted are tried by `tests/api/schemathesis`, which signs them.
#[tokio::test]
async fn refusals_of_webhooks_are_as_described() {
    let document = Document::new();

    for (secret, size, status) in [(svix::SECRET, 2, 400), (svix::SECRET, MAX_BODY + 1, 413), ("", 2, 503)] {
        let webhook = Webhook::new(secret, FakeSqs::default().queue(None), || NOW);
        let mut request = payload(ROUTE.0, ROUTE.1, "");
        request["body"] = json!(" ".repeat(size));

        let refused = ApiAnswer::of(webhook.handle(&read(&request)).await);

        assert_eq!(refused.status, status);
        document.judge(ROUTE.0, ROUTE.1, &refused);
    }
}
