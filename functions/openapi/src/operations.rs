//! Every operation of the API, and the document.

use crate::describe::{Describer, SCHEMES, merged, request_body};
use crate::responses::{self, LimitHeaders};
use crate::{ROUTE, examples};
use clerk_webhook::{BadSignature, MAX_BODY, WebhookTaken};
use serde_json::{Map, Value, json};
use torale_domain::events::clerk::{Payload, WebhookFault};
use torale_platform::error::{AdminError, Conflict, HttpError};

/// The document.
pub fn document() -> Value {
    let mut all = Describer::new();
    reads(&mut all);
    changes(&mut all);
    all.add(ROUTE, own());
    let webhook = webhook(&mut all);
    all.add(clerk_webhook::ROUTE, webhook);
    let (paths, components) = all.finish();
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{ "url": "/", "description": "The server of this document." }],
        "tags": [
            { "name": "admin", "description": "For administrators." },
            { "name": "public", "description": "For anyone." },
            { "name": "webhooks", "description": "For the identity provider." },
        ],
        "paths": paths,
        "components": merged(components, json!({ "securitySchemes": schemes() })),
    })
}

fn reads(all: &mut Describer) {
    all.read::<stats::Stats>("Statistics of the platform.", examples::stats());
    all.read::<stats_series::StatsSeries>(
        "What happened in each minute, hour or day of the last hours.",
        examples::series(),
    );
    all.read::<queries::Queries>(
        "Distinct search queries, those with the most tasks first.",
        examples::queries(),
    );
    all.read::<executions::Executions>(
        "Executions that started in the last hours, newest first.",
        examples::executions(),
    );
    all.read_with_id::<execution::ReadExecution>(
        "One execution, and which event says so.",
        Some(AdminError::ExecutionNotFound),
        examples::execution(),
    );
    all.read::<errors::Errors>("Executions that failed in the last hours, newest first.", examples::errors());
    all.read::<users::Users>("Users with their activity, newest first.", examples::users());
    all.read_with_id::<user::ReadUser>(
        "One user with their API keys and their deactivation, and which events say so.",
        Some(AdminError::UserNotFound),
        examples::user(),
    );
    all.read::<tasks::Tasks>("Tasks that are not deleted, newest first.", examples::tasks());
    all.read_with_id::<task::ReadTask>(
        "One task with its schedules, and which events say so.",
        Some(AdminError::TaskNotFound),
        examples::task(),
    );
    all.read::<temporal_workflows::Workflows>(
        "Workflow runs of the last 24 hours, newest first.",
        examples::workflows(),
    );
    all.read::<temporal_schedules::Schedules>("Active schedules, newest first.", examples::schedules());
    all.read::<health::Health>(
        "The generations in use, and what waits in the queue, in the outbox and in the quarantine.",
        examples::health(),
    );
    all.read::<audit::Audit>("Audit records of requests in the last hours, newest first.", examples::audit());
}

fn changes(all: &mut Describer) {
    all.change::<deactivate_user::DeactivateUser>(
        "Deactivates a user, pauses their tasks, revokes their API keys and blocks their login.",
        vec![AdminError::UserNotFound, AdminError::Conflict(Conflict::OwnId)],
        examples::deactivated(),
    );
    all.change::<reactivate_user::ReactivateUser>(
        "Reactivates a user. Their tasks stay paused and their API keys revoked.",
        vec![AdminError::UserNotFound, AdminError::Conflict(Conflict::StillCarriedOut)],
        examples::reactivated(),
    );
    all.change::<deactivate_users::DeactivateUsers>(
        "Deactivates several users, each independently of the others.",
        vec![],
        examples::all_deactivated(),
    );
}

/// The operation that returns this document.
fn own() -> Value {
    let fields = json!({ "openapi": { "type": "string", "description": "The version of OpenAPI." } });
    let schema = json!({ "type": "object", "description": "An OpenAPI document.", "required": ["openapi"], "properties": fields });
    let examples = json!({ "example": { "summary": "The beginning of the document.", "value": { "openapi": "3.1.0" } } });
    json!({
        "operationId": "openapi.read", "summary": "This document.", "tags": ["public"], "security": [],
        "responses": { "200": responses::ok(schema, examples, LimitHeaders::Never) },
    })
}

fn webhook(all: &mut Describer) -> Value {
    use clerk_webhook::WebhookRefusal;
    let refusals = [
        WebhookRefusal::Signature(BadSignature::Missing),
        WebhookRefusal::Signature(BadSignature::Timestamp),
        WebhookRefusal::Signature(BadSignature::Wrong),
        WebhookRefusal::Payload(WebhookFault::NotJson),
        WebhookRefusal::TooLarge,
        WebhookRefusal::Admin(AdminError::Internal(String::new())),
        WebhookRefusal::Admin(AdminError::TimedOut),
    ];
    let errors: Vec<HttpError> = refusals.iter().map(WebhookRefusal::http).collect();
    let refusals = responses::errors(&mut all.generator, &errors, |_| LimitHeaders::Never);
    let taken = responses::body_of::<WebhookTaken>(&mut all.generator);
    let examples = json!({ "example": { "value": { "detail": "Accepted" } } });
    let ok = json!({ "200": responses::ok(taken, examples, LimitHeaders::Never) });
    let header = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "header", "required": true, "description": about, "schema": schema });
    let [id, timestamp, signature] = clerk_webhook::HEADERS;
    json!({
        "operationId": "webhooks.clerk", "summary": "Receives Clerk's webhooks and turns them into events.",
        "description": "For Clerk only: each request is signed with a shared secret.", "tags": ["webhooks"], "security": [],
        "parameters": [
            header(id, "The id of the message.", json!({ "type": "string", "minLength": 1 })),
            header(timestamp, "When the message was signed, in seconds since 1970. It must be within five minutes of now.", json!({ "type": "integer" })),
            header(signature, "`v1,` and base64 of the HMAC-SHA256 over id, timestamp and body, joined by dots. Several signatures are separated by blanks.", json!({ "type": "string", "minLength": 1 })),
        ],
        "requestBody": request_body(&format!("At most {MAX_BODY} bytes."), Payload::schema()),
        "responses": merged(ok, Value::Object(refusals)),
    })
}

fn schemes() -> Map<String, Value> {
    let [key, session] = SCHEMES;
    let bearer = |format: &str, about: &str| json!({ "type": "http", "scheme": "bearer", "bearerFormat": format, "description": about });
    let schemes = [
        (key, bearer("sk_...", "An API key of an administrator.")),
        (session, bearer("JWT", "A session token of an administrator at Clerk.")),
    ];
    schemes.into_iter().map(|(name, scheme)| (name.to_owned(), scheme)).collect()
}

/// What applies to all operations, and to unknown paths and wrong methods.
fn info() -> Value {
    let [unknown, wrong] = [AdminError::NotFound, AdminError::MethodNotAllowed { allowed: "GET".to_owned() }]
        .map(|error| HttpError::from(&error));
    let about = format!(
        "Statistics, lists and changes for Torale's administrators. Times are RFC 3339 in UTC. \
         Unknown query parameters are ignored, and known ones must not be repeated. \
         An unknown path is answered with {} and `{}`, a wrong method with {}, `{}` and an `Allow` header.",
        unknown.status.as_u16(),
        unknown.body,
        wrong.status.as_u16(),
        wrong.body,
    );
    json!({ "title": "Torale admin", "version": env!("CARGO_PKG_VERSION"), "description": about,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" } })
}
