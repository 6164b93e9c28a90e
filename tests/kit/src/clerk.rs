//! A fake of Clerk: its key set, its Backend API, and tokens as it signs them.

use crate::present::NOW;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use torale_platform::authentication::IdentityProviderSettings;

/// The instance's issuer.
pub const ISSUER: &str = "https://clerk.example.com";
/// The one origin that tokens are made for.
pub const PARTY: &str = "https://app.example.com";
/// The admin of [`crate::events::admin`], as the instance knows it.
pub const ADMIN: &str = "user_admin";
/// The secret key of the Backend API.
pub const SECRET: &str = "sk_test_backend";
/// Where the key set is.
pub const JWKS: &str = "/.well-known/jwks.json";

/// The test keys under `keys/`.
#[derive(Clone, Copy)]
pub enum TestKey {
    /// The instance's.
    A,
    /// Its next one, or a stranger's.
    B,
}

impl TestKey {
    /// The public half as PEM.
    pub const fn public(self) -> &'static str {
        match self {
            Self::A => include_str!("../keys/a.public.pem"),
            Self::B => include_str!("../keys/b.public.pem"),
        }
    }

    /// In a key set, under a name.
    pub fn jwk(self, kid: &str) -> Value {
        jwk(
            kid,
            match self {
                Self::A => include_str!("../keys/a.modulus"),
                Self::B => include_str!("../keys/b.modulus"),
            },
        )
    }

    fn private(self) -> &'static [u8] {
        match self {
            Self::A => include_bytes!("../keys/a.test-key.pem"),
            Self::B => include_bytes!("../keys/b.test-key.pem"),
        }
    }

    /// A token with any header and claims, signed well.
    pub fn sign(self, header: &str, claims: &str) -> String {
        let message = encoded(header, claims);
        let key = EncodingKey::from_rsa_pem(self.private()).unwrap();
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap();
        format!("{message}.{signature}")
    }
}

/// A key with this modulus, as the instance shows it.
pub fn jwk(kid: &str, modulus: &str) -> Value {
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": modulus, "e": "AQAB" })
}

/// The part of a token that is signed.
pub fn encoded(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// The header that the instance gives its session tokens.
pub fn header(kid: &str) -> Value {
    json!({ "alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": kid, "typ": "JWT" })
}

/// The claims of a user's session token of now.
pub fn claims(user: &str) -> Value {
    let now = NOW.millis() / 1000;
    json!({ "azp": PARTY, "exp": now + 60, "fva": [5, -1], "iat": now, "iss": ISSUER, "nbf": now - 10,
            "sid": "sess_1", "sts": "active", "sub": user, "v": 2 })
}

/// A user's session token, signed with key A.
pub fn token(user: &str) -> String {
    TestKey::A.sign(&header("a").to_string(), &claims(user).to_string())
}

/// How the fake answers.
#[derive(Clone)]
pub enum ClerkBehaviour {
    /// As Clerk does.
    Normal,
    /// With a status.
    Status(u16),
    /// With a text.
    Text(String),
    /// With a redirection to the right answer, which is also its body.
    Redirect,
    /// Never.
    Silent,
}

struct ClerkState {
    behaviour: Mutex<ClerkBehaviour>,
    keys: Mutex<Vec<Value>>,
    users: Mutex<Vec<Value>>,
    requests: Mutex<Vec<(String, Option<String>)>>,
}

/// A fake of Clerk, served for as long as this lives.
pub struct FakeClerk {
    stub: Arc<ClerkState>,
    address: String,
    _stop: DropGuard,
}

impl FakeClerk {
    /// Starts with key A in its set and no users.
    pub async fn start() -> Self {
        let stub = Arc::new(ClerkState {
            behaviour: Mutex::new(ClerkBehaviour::Normal),
            keys: Mutex::new(vec![TestKey::A.jwk("a")]),
            users: Mutex::default(),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&stub));
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! { served = axum::serve(listener, router) => served.unwrap(), () = stopped => () }
        });
        Self { stub, address, _stop: stop.drop_guard() }
    }

    /// Settings of a system that trusts this instance.
    pub fn settings(&self) -> IdentityProviderSettings {
        IdentityProviderSettings {
            issuer: Some(ISSUER.to_owned()),
            jwks_url: Some(format!("{}{JWKS}", self.address)),
            authorized_parties: Some(vec![PARTY.to_owned()]),
            api_url: self.address.clone(),
            secret_key: Some(SECRET.to_owned()),
            ..IdentityProviderSettings::default()
        }
    }

    /// With so little time for an answer that a silent instance is given up soon.
    pub fn impatient_settings(&self) -> IdentityProviderSettings {
        IdentityProviderSettings { timeout: Duration::from_millis(300), ..self.settings() }
    }

    /// Changes how it answers.
    pub fn behaves(&self, behaviour: ClerkBehaviour) {
        *self.stub.behaviour.lock().unwrap() = behaviour;
    }

    /// Changes its key set.
    pub fn has_keys(&self, keys: impl IntoIterator<Item = Value>) {
        *self.stub.keys.lock().unwrap() = keys.into_iter().collect();
    }

    /// Changes its users.
    pub fn has_users(&self, users: impl IntoIterator<Item = Value>) {
        *self.stub.users.lock().unwrap() = users.into_iter().collect();
    }

    /// The paths that were requested, with the credentials shown.
    pub fn requests(&self) -> Vec<(String, Option<String>)> {
        self.stub.requests.lock().unwrap().clone()
    }

    /// How many requests there were.
    pub fn count(&self) -> usize {
        self.stub.requests.lock().unwrap().len()
    }
}

async fn answer(State(stub): State<Arc<ClerkState>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let credentials = request.headers().get(header::AUTHORIZATION);
    let credentials = credentials.map(|value| value.to_str().unwrap().to_owned());
    stub.requests.lock().unwrap().push((path.clone(), credentials));
    let behaviour = stub.behaviour.lock().unwrap().clone();
    match behaviour {
        ClerkBehaviour::Normal => normal(&stub, &path),
        ClerkBehaviour::Redirect if path.starts_with("/moved") => {
            normal(&stub, path.trim_start_matches("/moved"))
        }
        ClerkBehaviour::Redirect => {
            let location = [(header::LOCATION, format!("/moved{path}"))];
            (StatusCode::FOUND, location, normal(&stub, &path)).into_response()
        }
        ClerkBehaviour::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        ClerkBehaviour::Text(text) => text.into_response(),
        ClerkBehaviour::Silent => std::future::pending().await,
    }
}

fn normal(stub: &ClerkState, path: &str) -> Response {
    let user = path.strip_prefix("/v1/users/");
    let user = user.and_then(|id| stub.users.lock().unwrap().iter().find(|user| user["id"] == id).cloned());
    match user {
        Some(user) => axum::Json(user).into_response(),
        None if path == JWKS => axum::Json(json!({ "keys": *stub.keys.lock().unwrap() })).into_response(),
        None if path.starts_with("/v1/users/") => {
            let unknown = json!({ "message": "not found", "long_message": "No user was found with this id",
                                  "code": "resource_not_found" });
            (StatusCode::NOT_FOUND, axum::Json(json!({ "errors": [unknown] }))).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
