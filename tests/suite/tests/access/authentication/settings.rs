//! How an instance can be configured, and which configurations are invalid.

use super::roles::roles_of_clerk;
use super::{GOOD, INVALID, World, claiming, claims, is, signed_by, without};
use serde_json::json;
use torale_platform::authentication::{
    Authenticator, IdentityProviderMisconfigured, IdentityProviderSettings,
};
use torale_testkit::clerk::{self, FakeClerk, TestKey};
use torale_testkit::logs::LogBuffer;
use torale_testkit::stack::ADMIN_KEY;

#[tokio::test]
async fn session_needs_no_party_where_none_or_any_is_configured() {
    for parties in [None, Some(vec!["*".to_owned()])] {
        let settings = |clerk: &FakeClerk| IdentityProviderSettings {
            authorized_parties: parties.clone(),
            ..clerk.settings()
        };
        let world = World::with(settings).await;
        let nobody = without(claims(), "azp").to_string();

        assert_eq!(world.admits(&TestKey::A.sign(&clerk::header("a").to_string(), &nobody)).await, is(GOOD));
        assert_eq!(world.admits(&claiming("azp", json!("https://any.example"))).await, is(GOOD));
    }
}

/// Anybody who runs another application of the same Clerk instance can make such tokens.
#[tokio::test]
async fn session_of_any_party_is_warned_of_at_the_start_and_one_of_a_list_is_not() {
    let clerk = FakeClerk::start().await;
    let party = |party: &str| Some(vec![party.to_owned()]);

    for (parties, warnings) in [(None, 1), (party("*"), 1), (party(clerk::PARTY), 0)] {
        let log = LogBuffer::new();
        let settings = IdentityProviderSettings { authorized_parties: parties, ..clerk.settings() };
        let start = || Authenticator::new(&settings).map(drop);
        tracing::subscriber::with_default(log.subscriber(), start).unwrap();

        let lines = log.lines_with("setting", "CLERK_AUTHORIZED_PARTIES");
        assert_eq!(lines.len(), warnings, "{lines:?}");
        assert!(lines.iter().all(|line| line["level"] == "WARN"), "{lines:?}");
    }
}

#[tokio::test]
async fn session_is_refused_where_no_issuer_is_configured() {
    let world = World::with(|clerk| IdentityProviderSettings { issuer: None, ..clerk.settings() }).await;

    assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(INVALID));
    assert_eq!(world.admits(ADMIN_KEY).await, is(GOOD));
    assert_eq!(world.clerk.count(), 0);
}

#[tokio::test]
async fn session_is_checked_with_a_configured_key_without_fetching_any() {
    let escaped = TestKey::A.public().replace('\n', "\\n");

    for pem in [TestKey::A.public().to_owned(), escaped] {
        let world =
            World::with(|clerk| IdentityProviderSettings { jwt_key: Some(pem.clone()), ..clerk.settings() })
                .await;
        assert_eq!(world.admits(&clerk::token(clerk::ADMIN)).await, is(GOOD));
        assert_eq!(world.admits(&signed_by(TestKey::B, &clerk::header("a"))).await, is(INVALID));
        assert_eq!(world.clerk.count(), 0);
    }
}

#[tokio::test]
async fn identity_settings_that_are_invalid_are_refused_at_the_start() {
    let clerk = FakeClerk::start().await;
    let settings = || clerk.settings();
    let text = |text: &str| Some(text.to_owned());
    let clerks = || "clerk".to_owned();
    let weak = include_str!("../../../../kit/keys/weak.public.pem");
    let private = include_str!("../../../../kit/keys/a.test-key.pem");

    for (settings, fault) in [
        (IdentityProviderSettings { jwks_url: None, ..settings() }, IdentityProviderMisconfigured::NoKeys),
        (
            IdentityProviderSettings { jwt_key: text("no PEM"), ..settings() },
            IdentityProviderMisconfigured::Key,
        ),
        (IdentityProviderSettings { jwt_key: text(weak), ..settings() }, IdentityProviderMisconfigured::Key),
        (
            IdentityProviderSettings { jwt_key: text(private), ..settings() },
            IdentityProviderMisconfigured::Key,
        ),
        (
            IdentityProviderSettings { jwks_url: text("http://evil.example/"), ..settings() },
            IdentityProviderMisconfigured::Address("CLERK_JWKS_URL"),
        ),
        (
            IdentityProviderSettings { authorized_parties: Some(vec![]), ..settings() },
            IdentityProviderMisconfigured::NoParties,
        ),
        (
            IdentityProviderSettings {
                authorized_parties: Some(vec!["*".to_owned(), clerk::PARTY.to_owned()]),
                ..settings()
            },
            IdentityProviderMisconfigured::AnyPartyAndOthers,
        ),
        (
            IdentityProviderSettings { role_source: "Clerk".to_owned(), ..settings() },
            IdentityProviderMisconfigured::RoleSource,
        ),
        (
            IdentityProviderSettings { role_source: clerks(), secret_key: None, ..settings() },
            IdentityProviderMisconfigured::SecretKey,
        ),
        (
            IdentityProviderSettings { role_source: clerks(), secret_key: text("a\nb"), ..settings() },
            IdentityProviderMisconfigured::SecretKey,
        ),
        (
            IdentityProviderSettings {
                role_source: clerks(),
                api_url: "http://api.clerk.com".to_owned(),
                ..settings()
            },
            IdentityProviderMisconfigured::Address("CLERK_API_URL"),
        ),
    ] {
        assert_eq!(Authenticator::new(&settings).err(), Some(fault));
    }
}

#[tokio::test]
async fn authenticator_debug_output_has_no_secret() {
    let clerk = FakeClerk::start().await;
    let authenticator = Authenticator::new(&roles_of_clerk(&clerk)).unwrap();

    assert!(!format!("{authenticator:?}").contains(clerk::SECRET));
}
