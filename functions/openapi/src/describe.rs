//! Describes an endpoint: from its types to its operation in the document.

use crate::responses::{self, LimitHeaders};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use torale_domain::access::credentials::AccessRefusal;
use torale_domain::requests::changes::{ChangeRequest, InvalidChangeRequest};
use torale_domain::requests::parameters::{Parameter, ParameterPlace, QueryParameters};
use torale_platform::error::{AdminError, HttpError};
use torale_platform::serve::{Change, Endpoint, Handler};

/// The names of the security schemes. An operation accepts either.
pub(crate) const SCHEMES: [&str; 2] = ["apiKey", "session"];

/// The operations that have been described so far, and the schemas that they refer to.
pub(crate) struct Describer {
    pub(crate) generator: SchemaGenerator,
    paths: Map<String, Value>,
    /// The errors that every authenticated endpoint may answer, by status.
    shared: Map<String, Value>,
}

/// Simplifies a generated schema. Integers are counts and durations, so they are at least 0 and have no width. A choice
/// of constants becomes an `enum`, which more tools understand.
fn simplify(schema: &mut Schema) {
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
        let transform: Box<dyn schemars::generate::GenTransform> = Box::new(RecursiveTransform(simplify));
        let settings = settings.with(|settings| settings.transforms.push(transform));
        let mut generator = settings.into_generator();
        let errors = admission_errors();
        let errors: Vec<HttpError> = errors.iter().map(HttpError::from).collect();
        let shared = responses::errors(&mut generator, &errors, responses::limit_headers_of);
        Self { generator, paths: Map::new(), shared }
    }

    /// Adds an endpoint that reads.
    pub(crate) fn read<H: Handler>(&mut self, summary: &str, example: Value)
    where
        H::Answer: JsonSchema,
    {
        self.read_with_id::<H>(summary, None, example);
    }

    /// Adds an endpoint that reads, with the error that it may answer for the id of its path.
    pub(crate) fn read_with_id<H: Handler>(
        &mut self,
        summary: &str,
        not_found: Option<AdminError>,
        example: Value,
    ) where
        H::Answer: JsonSchema,
    {
        let parameters = H::Parameters::parameters();
        let malformed: Vec<String> =
            parameters.iter().map(|parameter| format!("{}=", parameter.name)).collect();
        let mut errors = Vec::from_iter(not_found);
        errors.extend(H::Parameters::parse(&malformed.join("&")).err().map(AdminError::Invalid));
        let parameters: Vec<Value> = parameters.iter().map(parameter).collect();
        let own = json!({ "parameters": parameters });
        self.authenticated::<H::Answer>(&H::ENDPOINT, summary, own, &errors, example);
    }

    /// Adds an endpoint that changes something, with the errors that it may answer for an id.
    pub(crate) fn change<C: Change>(&mut self, summary: &str, id_errors: Vec<AdminError>, example: Value)
    where
        C::Answer: JsonSchema,
    {
        let mut errors = vec![AdminError::TooLarge];
        if let Err(InvalidChangeRequest::Faults(faults)) = C::Request::parse("", b"{}") {
            errors.push(AdminError::Invalid(faults));
        }
        errors.extend(id_errors);
        let id = C::Request::path().map(|schema| {
            json!({ "name": "id", "in": "path", "required": true, "description": "The user.", "schema": schema })
        });
        let size = format!("At most {} bytes.", C::Request::MAX_BODY);
        let own = match C::Request::body() {
            Some(schema) => json!({ "requestBody": request_body(&size, schema) }),
            None => {
                json!({ "description": format!("A body is ignored. {size}") })
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
        let own_errors = responses::errors(&mut self.generator, &errors, responses::limit_headers_of);
        let schema = responses::body_of::<A>(&mut self.generator);
        let ok = responses::ok(schema, json!({ "example": { "value": example } }), LimitHeaders::Always);
        let security = SCHEMES.map(|scheme| json!({ scheme: [] }));
        let shared_errors = self
            .shared
            .keys()
            .map(|status| (status.clone(), json!({ "$ref": format!("#/components/responses/{status}") })));
        let responses = merged(json!({ "200": ok }), shared_errors.collect());
        let operation = json!({
            "operationId": endpoint.action, "summary": summary, "tags": ["admin"], "security": security,
            "responses": merged(responses, Value::Object(own_errors)),
        });
        self.add((endpoint.method.as_str(), endpoint.path), merged(operation, own));
    }

    /// Adds an operation as it is in the document.
    pub(crate) fn add(&mut self, (method, path): (&str, &str), operation: Value) {
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        let one = json!({ method.to_ascii_lowercase(): operation });
        *operations = merged(operations.take(), one);
    }

    /// All paths, and the components that they refer to.
    pub(crate) fn finish(mut self) -> (Map<String, Value>, Value) {
        let schemas = self.generator.take_definitions(true);
        (
            self.paths,
            json!({ "responses": self.shared, "schemas": schemas, "headers": responses::all_headers() }),
        )
    }
}

/// An object with the members of two objects. Those of the second one win.
pub(crate) fn merged(one: Value, other: Value) -> Value {
    let members = [one, other].into_iter().filter_map(|value| match value {
        Value::Object(members) => Some(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    });
    Value::Object(members.flatten().collect())
}

/// A required request body.
pub(crate) fn request_body(about: &str, schema: Value) -> Value {
    json!({ "description": about, "required": true, "content": { "application/json": { "schema": schema } } })
}

fn parameter(Parameter { name, about, kind, place }: &Parameter) -> Value {
    let own = match place {
        ParameterPlace::Query => json!({ "in": "query" }),
        ParameterPlace::RequiredQuery => json!({ "in": "query", "required": true }),
        ParameterPlace::Path => json!({ "in": "path", "required": true }),
    };
    merged(json!({ "name": name, "description": about, "schema": kind.schema() }), own)
}

/// The errors that every authenticated endpoint may answer.
fn admission_errors() -> Vec<AdminError> {
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
