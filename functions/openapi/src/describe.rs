//! From an endpoint's types to its operation in the document.

use crate::responses::{self, LimitHeaders};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::requests::changes::{ChangeRequest, InvalidChangeRequest};
use torale_domain::requests::parameters::{Parameter, QueryParameters};
use torale_platform::error::{AdminError, HttpError};
use torale_platform::serve::{Change, Endpoint, Handler};

/// The names of the security schemes, either of which will do.
pub(crate) const SCHEMES: [&str; 2] = ["apiKey", "session"];

/// The paths so far, and the schemas that they refer to.
pub(crate) struct Describer {
    pub(crate) generator: SchemaGenerator,
    paths: Map<String, Value>,
    /// What any authenticated endpoint may answer, by status.
    shared: Map<String, Value>,
}

/// Numbers of an answer are counts and durations: never below 0, and of no width that JSON knows. Names to choose from
/// are a plain `enum`, which more readers know than a choice of constants.
fn plain(schema: &mut Schema) {
    let constants = schema.get("oneOf").and_then(Value::as_array).map(|choices| {
        choices.iter().map(|choice| choice.get("const").cloned()).collect::<Option<Vec<Value>>>()
    });
    if let Some(names) = constants.flatten() {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), json!(names));
    }
    if schema.get("type").is_some_and(|kind| kind == "integer" || *kind == json!(["integer", "null"])) {
        schema.remove("format");
        if schema.get("minimum").is_none() {
            schema.insert("minimum".to_owned(), json!(0));
        }
    }
    if schema.get("format").is_some_and(|format| format == "double") {
        schema.remove("format");
    }
}

impl Describer {
    pub(crate) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let transform: Box<dyn schemars::generate::GenTransform> = Box::new(RecursiveTransform(plain));
        let settings = settings.with(|settings| settings.transforms.push(transform));
        let mut generator = settings.into_generator();
        let admission = admission();
        let errors: Vec<HttpError> = admission.iter().map(HttpError::from).collect();
        let shared = responses::refusals(&mut generator, &errors, responses::limits);
        Self { generator, paths: Map::new(), shared }
    }

    /// An endpoint that reads.
    pub(crate) fn read<H: Handler>(&mut self, summary: &str, example: Value)
    where
        H::Answer: JsonSchema,
    {
        let parameters = H::Parameters::parameters();
        let malformed: Vec<String> =
            parameters.iter().map(|parameter| format!("{}=", parameter.name)).collect();
        let mut errors = Vec::new();
        errors.extend(H::Parameters::parse(&malformed.join("&")).err().map(AdminError::Invalid));
        let parameters: Vec<Value> = parameters.iter().map(query_parameter).collect();
        let own = json!({ "parameters": parameters });
        self.authenticated::<H::Answer>(&H::ENDPOINT, summary, own, &errors, example);
    }

    /// An endpoint that changes something, and how it may refuse an id.
    pub(crate) fn change<C: Change>(&mut self, summary: &str, refusals: Vec<AdminError>, example: Value)
    where
        C::Answer: JsonSchema,
    {
        let mut errors = vec![AdminError::TooLarge];
        if let Err(InvalidChangeRequest::Faults(faults)) = C::Request::parse("", b"{}") {
            errors.push(AdminError::Invalid(faults));
        }
        errors.extend(refusals);
        let id = C::Request::path().map(|schema| {
            json!({ "name": "id", "in": "path", "required": true, "description": "The user.", "schema": schema })
        });
        let size = format!("At most {} bytes.", C::Request::MAX_BODY);
        let own = match C::Request::body() {
            Some(schema) => json!({ "requestBody": request_body(&size, schema) }),
            None => {
                json!({ "description": format!("No body is needed; one that is sent is ignored. {size}") })
            }
        };
        let own = merged(own, json!({ "parameters": id.as_slice() }));
        self.authenticated::<C::Answer>(&C::ENDPOINT, summary, own, &errors, example);
    }

    fn authenticated<A: JsonSchema>(
        &mut self,
        endpoint: &Endpoint,
        summary: &str,
        own: Value,
        errors: &[AdminError],
        example: Value,
    ) {
        let errors: Vec<HttpError> = errors.iter().map(HttpError::from).collect();
        let refusals = responses::refusals(&mut self.generator, &errors, responses::limits);
        let schema = responses::body_of::<A>(&mut self.generator);
        let good = responses::good(schema, json!({ "example": { "value": example } }), LimitHeaders::Always);
        let security = SCHEMES.map(|scheme| json!({ scheme: [] }));
        let anywhere = self
            .shared
            .keys()
            .map(|status| (status.clone(), json!({ "$ref": format!("#/components/responses/{status}") })));
        let anywhere = merged(json!({ "200": good }), anywhere.collect());
        let shared = json!({
            "operationId": endpoint.action, "summary": summary, "tags": ["admin"], "security": security,
            "responses": merged(anywhere, Value::Object(refusals)),
        });
        self.add((endpoint.method.as_str(), endpoint.path), merged(shared, own));
    }

    /// An operation as it will stand in the document.
    pub(crate) fn add(&mut self, (method, path): (&str, &str), operation: Value) {
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        let one = json!({ method.to_ascii_lowercase(): operation });
        *operations = merged(operations.take(), one);
    }

    /// All paths, and what they refer to.
    pub(crate) fn finish(mut self) -> (Map<String, Value>, Value) {
        let schemas = self.generator.take_definitions(true);
        (
            self.paths,
            json!({ "responses": self.shared, "schemas": schemas, "headers": responses::all_headers() }),
        )
    }
}

/// One object with the members of two.
pub(crate) fn merged(one: Value, other: Value) -> Value {
    let members = [one, other].into_iter().filter_map(|value| match value {
        Value::Object(members) => Some(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    });
    Value::Object(members.flatten().collect())
}

/// A body that is needed.
pub(crate) fn request_body(about: &str, schema: Value) -> Value {
    json!({ "description": about, "required": true, "content": { "application/json": { "schema": schema } } })
}

fn query_parameter(Parameter { name, about, kind }: &Parameter) -> Value {
    json!({ "name": name, "in": "query", "description": about, "schema": kind.schema() })
}

/// What any authenticated endpoint may answer.
fn admission() -> Vec<AdminError> {
    vec![
        AdminError::Refused(AccessRefusal::Missing),
        AdminError::Refused(AccessRefusal::InvalidKey),
        AdminError::Refused(AccessRefusal::Expired),
        AdminError::Refused(AccessRefusal::InvalidToken),
        AdminError::Refused(AccessRefusal::NotAdmin),
        AdminError::RateLimited { retry_after: 17 },
        AdminError::Internal(String::new()),
        AdminError::TimedOut,
    ]
}
