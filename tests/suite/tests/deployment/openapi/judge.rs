//! The API's document as a judge of answers.

use jsonschema::{Resource, Validator};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use torale_testkit::request::ApiAnswer;

/// What the document is called while its parts are looked up.
const NAME: &str = "urn:torale:openapi";

/// The document, with every object closed: what it does not describe must not be there.
pub struct Document {
    /// As it is answered.
    pub open: Value,
    closed: Value,
    /// Checkers that were made, by pointer.
    made: RefCell<HashMap<String, Rc<Validator>>>,
}

impl Document {
    /// As the function makes it.
    pub fn new() -> Self {
        let open = openapi::document();
        let mut closed = open.clone();
        close(&mut closed["components"]["schemas"]);
        Self { open, closed, made: RefCell::default() }
    }

    /// One operation.
    pub fn operation(&self, method: &str, route: &str) -> &Value {
        let operation = &self.open["paths"][route][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {route} is not described");
        operation
    }

    /// A checker of what the schema at a pointer describes.
    fn checker(&self, pointer: &str) -> Rc<Validator> {
        let make = || {
            let document = Resource::from_contents(self.closed.clone()).unwrap();
            let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
            let schema = json!({ "$ref": format!("{NAME}#{pointer}") });
            Rc::new(jsonschema::options().with_resource(NAME, document).build(&schema).unwrap())
        };
        self.made.borrow_mut().entry(pointer.to_owned()).or_insert_with(make).clone()
    }

    /// The pointer to the description of an answer.
    fn answer(&self, method: &str, route: &str, status: u16) -> String {
        let operation = format!("/paths/{}/{}", escaped(route), method.to_lowercase());
        let pointer = format!("{operation}/responses/{status}");
        let found = self.open.pointer(&pointer);
        let found = found.unwrap_or_else(|| panic!("{method} {route} does not describe a {status}"));
        found["$ref"].as_str().map_or(pointer, |reference| reference[1..].to_owned())
    }

    /// An answer must be described: its status, each of its headers, each field of its body.
    pub fn judge(&self, method: &str, route: &str, answer: &ApiAnswer) {
        let description = self.answer(method, route, answer.status);
        self.judge_headers(&description, answer);
        self.judge_body(&description, &answer.json(), &format!("{method} {route} {}", answer.status));
    }

    fn judge_headers(&self, answer: &str, response: &ApiAnswer) {
        let described = self.open.pointer(answer).unwrap()["headers"].as_object().unwrap();
        for (name, header) in described {
            let pointer = header["$ref"].as_str().map(|reference| &reference[1..]);
            let header = pointer.map_or(header, |pointer| self.open.pointer(pointer).unwrap());
            let value = response.header(name);
            assert!(value.is_some() || header["required"] == false, "{answer}: {name} is missing");
            let value = value.map(|value| value.parse::<u64>().map_or_else(|_| json!(value), |n| json!(n)));
            let fits = |value: &Value| jsonschema::is_valid(&header["schema"], value);
            assert!(value.as_ref().is_none_or(fits), "{answer}: {name} is {value:?}");
        }
        let unknown = response
            .headers
            .keys()
            .map(|name| name.as_str())
            .find(|name| *name != "content-type" && !described.contains_key(*name));
        assert_eq!(unknown, None, "{answer}");
        assert_eq!(response.headers["content-type"], "application/json");
    }

    fn judge_body(&self, answer: &str, body: &Value, what: &str) {
        let schema = self.checker(&format!("{answer}/content/application~1json/schema"));
        let faults: Vec<_> =
            schema.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
        assert_eq!(faults, Vec::<String>::new(), "{what}: {body}");
    }

    /// Every example must be what its schema describes.
    pub fn judge_examples(&self, method: &str, route: &str) -> usize {
        let mut seen = 0;
        for (status, _) in self.operation(method, route)["responses"].as_object().unwrap() {
            let answer = self.answer(method, route, status.parse().unwrap());
            let content = &self.open.pointer(&answer).unwrap()["content"]["application/json"];
            for (name, example) in content["examples"].as_object().unwrap() {
                self.judge_body(&answer, &example["value"], name);
                seen += 1;
            }
        }
        seen
    }
}

/// A name as part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Closes every object that lists its fields.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("type").is_some_and(|kind| kind == "object") && members.contains_key("properties")
            {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
