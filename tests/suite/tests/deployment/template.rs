//! The template against what it deploys: tables, routes, environment, queues, schedules each have one source.

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use torale_domain::deactivation::commands::Command;
use torale_domain::storage::keys;
use torale_local::event_sources::{EVENT_SOURCES, EventSource, POSTGRES_RELAY, SCHEDULES, TEMPORAL_SYNC};
use torale_platform::config;
use torale_platform::routes;
use yaml_rust2::{Yaml, YamlLoader};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The template; CloudFormation's short functions (`!Ref X`) are read as what they are applied to.
fn template() -> Yaml {
    YamlLoader::load_from_str(&read("infra/template.yaml")).unwrap().remove(0)
}

/// Name and properties of every resource of a type.
fn resources(template: &Yaml, kind: &str) -> Vec<(String, Yaml)> {
    let all = template["Resources"].as_hash().unwrap().iter();
    let of_kind = all.filter(|(_, resource)| resource["Type"].as_str() == Some(kind));
    of_kind
        .map(|(name, resource)| (name.as_str().unwrap().to_owned(), resource["Properties"].clone()))
        .collect()
}

/// Binary and definition of every function.
fn functions(template: &Yaml) -> BTreeMap<String, Yaml> {
    let all = template["Resources"].as_hash().unwrap().values();
    let functions = all.filter(|resource| resource["Type"].as_str() == Some("AWS::Serverless::Function"));
    let binary =
        |function: &Yaml| function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap().to_owned();
    functions.map(|function| (binary(function), function["Properties"].clone())).collect()
}

/// A function's events of one kind.
fn events<'a>(function: &'a Yaml, kind: &'a str) -> impl Iterator<Item = &'a Yaml> {
    let events = function["Events"].as_hash().into_iter().flat_map(|events| events.values());
    events.filter(move |event| event["Type"].as_str() == Some(kind)).map(|event| &event["Properties"])
}

#[test]
fn template_tables_are_those_of_the_keys() {
    let template = template();
    let mut found = BTreeMap::new();

    for (resource, table) in resources(&template, "AWS::DynamoDB::Table") {
        let key = |n: usize, kind: &str| {
            let element = &table["KeySchema"][n];
            assert_eq!(element["KeyType"].as_str(), Some(kind), "{resource}");
            element["AttributeName"].as_str().unwrap().to_owned()
        };
        let kinds = table["AttributeDefinitions"].as_vec().unwrap();
        assert!(kinds.len() == 2 && kinds.iter().all(|kind| kind["AttributeType"].as_str() == Some("S")));
        assert_eq!(table["BillingMode"].as_str(), Some("PAY_PER_REQUEST"), "{resource}");
        assert_eq!(
            table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"].as_bool(),
            Some(true)
        );
        let ttl = &table["TimeToLiveSpecification"];
        assert!(ttl.is_badvalue() || ttl["Enabled"].as_bool() == Some(true), "{resource}");
        let name = table["TableName"].as_str().unwrap().to_owned();
        let insert_only = [keys::EVENTS_TABLE, keys::AUDIT_TABLE].contains(&name.as_str());
        assert_eq!(table["DeletionProtectionEnabled"].as_bool() == Some(true), insert_only, "{name}");
        let ttl = ttl["AttributeName"].as_str().map(str::to_owned);
        found.insert(name, (key(0, "HASH"), Some(key(1, "RANGE")), ttl));
    }

    let text = |text: &str| text.to_owned();
    let tables = keys::tables().into_iter();
    let known = tables.map(|t| (t.name, (text(t.hash_key), t.range_key.map(text), t.ttl.map(text))));

    assert_eq!(found, known.collect());
}

#[test]
fn template_routes_are_those_that_are_declared_each_at_its_function() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let route = |path: &str, method: &str, function: &str| [path, method, function].map(str::to_owned);
    let local: BTreeSet<_> = router
        .iter()
        .flat_map(|(path, targets)| targets.as_array().unwrap().iter().map(move |target| (path, target)))
        .map(|(path, to)| route(path, to["method"].as_str().unwrap(), to["function"].as_str().unwrap()))
        .collect();
    let (template, mut deployed, mut rest) = (template(), BTreeSet::new(), Vec::new());

    for (function, properties) in functions(&template) {
        for event in events(&properties, "HttpApi") {
            match (event["Path"].as_str(), event["Method"].as_str()) {
                (Some(path), Some(method)) => drop(deployed.insert(route(path, method, &function))),
                _ => rest.push(function.clone()),
            }
        }
    }

    assert_eq!(deployed, local);
    assert_eq!(rest, ["fallback"], "what answers to everything that has no route");

    let known: BTreeSet<_> = routes::all().map(|(method, path)| (path, method)).collect();
    assert_eq!(
        deployed.iter().map(|[path, method, _]| (path.as_str(), method.as_str())).collect::<BTreeSet<_>>(),
        known
    );
}

/// Every function is deployed, under the role that bears its name, with its log and its traces.
#[test]
fn template_functions_are_those_of_the_workspace_with_logs_and_traces() {
    let template = template();
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    let folders: BTreeSet<String> =
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();

    assert_eq!(functions(&template).into_keys().collect::<BTreeSet<_>>(), folders);

    let globals = &template["Globals"]["Function"];
    assert_eq!(globals["Runtime"].as_str(), Some("provided.al2023"));
    assert_eq!(globals["Tracing"].as_str(), Some("Active"));
    assert!(globals["LoggingConfig"]["LogGroup"].as_str().is_some());
    assert_eq!(template["Parameters"]["Architecture"]["Default"].as_str(), Some("arm64"));

    for (group, log) in resources(&template, "AWS::Logs::LogGroup") {
        assert!(!log["RetentionInDays"].is_badvalue(), "{group} keeps everything");
    }
}

/// A rebuild assumes that nothing is being written any more after a time: no writer may live longer than half of it.
#[test]
fn template_timeouts_of_writers_end_well_before_a_rebuild_assumes_it() {
    let template = template();
    let functions = functions(&template);
    let longest = functions["consumer"]["Timeout"].as_i64().unwrap();
    let request = template["Globals"]["Function"]["Timeout"].as_i64().unwrap();
    let writing = i64::try_from(config::WRITING_TIME.as_secs()).unwrap();
    let settled = i64::try_from(config::SETTLED.as_secs()).unwrap();

    assert!(longest <= writing && request <= writing && 2 * writing <= settled);
}

/// Set by the shell or by `cargo dev` alone, or by Lambda itself.
const NOT_OURS: [&str; 2] = ["AUDIT_KEY_FILE", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"];

#[test]
fn template_environment_is_what_the_configuration_reads() {
    let read_ones: BTreeSet<String> = read("shared/platform/src/config.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = \""))
        .map(|(_, value)| value.trim_end_matches("\";").to_owned())
        .filter(|value| value.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();

    assert!(read_ones.len() > 15, "{read_ones:?}");

    let template = template();
    let of = |function: &Yaml| -> BTreeSet<String> {
        let variables = function["Environment"]["Variables"].as_hash();
        variables.into_iter().flatten().map(|(name, _)| name.as_str().unwrap().to_owned()).collect()
    };
    let global = of(&template["Globals"]["Function"]);
    let all = functions(&template).values().map(of).fold(global, |all, some| &all | &some);

    assert_eq!(&all | &NOT_OURS.map(str::to_owned).into(), read_ones);
}

/// A number, or what a parameter says of it: its `Default`, `MinValue` or `MaxValue`.
fn number(template: &Yaml, value: &Yaml, which: &str) -> i64 {
    let parameter = || template["Parameters"][value.as_str().unwrap()][which].as_i64();
    value.as_i64().or_else(parameter).unwrap()
}

#[test]
fn template_queues_are_those_of_the_local_stack_and_give_their_functions_time() {
    let template = template();
    let queues: BTreeMap<String, Yaml> = resources(&template, "AWS::SQS::Queue").into_iter().collect();
    let functions = functions(&template);
    let mut left: BTreeSet<String> =
        queues.values().map(|q| q["QueueName"].as_str().unwrap().to_owned()).collect();

    for EventSource { queue, dead_letters, function, timeout, .. } in EVENT_SOURCES {
        let (name, deployed) =
            queues.iter().find(|(_, properties)| properties["QueueName"].as_str() == Some(queue)).unwrap();
        let function = &functions[*function];
        let [source] = events(function, "SQS").collect::<Vec<_>>()[..] else { panic!("{queue}") };
        assert_eq!(source["Queue"].as_str(), Some(format!("{name}.Arn").as_str()));
        assert_eq!(source["FunctionResponseTypes"][0].as_str(), Some("ReportBatchItemFailures"));
        assert!(!source["ScalingConfig"].is_badvalue());
        assert!(number(&template, &source["BatchSize"], "MinValue") >= 10);
        let window = &source["MaximumBatchingWindowInSeconds"];
        let window = if window.is_badvalue() { 0 } else { number(&template, window, "MaxValue") };
        let takes = function["Timeout"].as_i64().unwrap();
        assert_eq!(u64::try_from(takes).unwrap(), timeout.as_secs());
        assert!(deployed["VisibilityTimeout"].as_i64().unwrap() >= 6 * takes + window, "{queue}");
        assert!(deployed["RedrivePolicy"]["maxReceiveCount"].as_i64().unwrap() >= 5);
        let target = deployed["RedrivePolicy"]["deadLetterTargetArn"].as_str().unwrap();
        let target = &queues[target.strip_suffix(".Arn").unwrap()];
        assert_eq!(target["QueueName"].as_str(), Some(*dead_letters));
        assert!(left.remove(*queue) && left.remove(*dead_letters));
    }

    assert_eq!(left, BTreeSet::new());
}

#[test]
fn template_schedules_are_those_of_the_local_stack() {
    let template = template();
    let mut deployed: BTreeSet<String> = functions(&template)
        .into_iter()
        .filter(|(_, properties)| events(properties, "Schedule").count() > 0)
        .map(|(name, _)| name)
        .collect();

    // There is no CloudWatch locally, and only a simulated platform.
    assert!(deployed.remove("metrics"));
    for schedule in [POSTGRES_RELAY, TEMPORAL_SYNC] {
        assert!(deployed.remove(schedule.function), "{}", schedule.function);
        let timeout = functions(&template)[schedule.function]["Timeout"].as_i64().unwrap();
        assert_eq!(u64::try_from(timeout).unwrap(), schedule.timeout.as_secs(), "{}", schedule.function);
    }
    assert_eq!(deployed, SCHEDULES.iter().map(|schedule| schedule.function.to_owned()).collect());
}

/// Issue 16, number 17: by default, session tokens of any application of the Clerk instance were accepted.
#[test]
fn template_requires_the_authorized_parties_of_session_tokens() {
    let template = template();
    let parameter = &template["Parameters"]["ClerkAuthorizedParties"];

    assert!(parameter["Default"].is_badvalue(), "nobody chooses what has a default");
    for none in ["", " ", " https://a.example", ","] {
        assert!(!accepts(&template, "ClerkAuthorizedParties", none), "{none:?}");
    }
    let environment = &template["Globals"]["Function"]["Environment"]["Variables"];
    let variable = &environment[config::CLERK_AUTHORIZED_PARTIES];
    assert_eq!(variable.as_str(), Some("ClerkAuthorizedParties"), "!Ref");
}

/// Whether CloudFormation takes a value for a parameter: the pattern must match all of it.
fn accepts(template: &Yaml, parameter: &str, value: &str) -> bool {
    let properties = &template["Parameters"][parameter];
    let pattern = properties["AllowedPattern"].as_str().unwrap_or(r"[\s\S]*");
    let longest = properties["MaxLength"].as_i64().unwrap_or(4096);
    let schema = json!({"pattern": format!("^(?:{pattern})$"), "maxLength": longest});
    jsonschema::is_valid(&schema, &json!(value))
}

/// SAM cuts a value off at its first blank if it is not in quotes, and deploys the rest.
#[test]
fn template_refuses_values_that_were_cut_off_at_a_blank() {
    let template = template();
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";

    for parameter in ["ClerkJwtKey", "PostgresCertificates"] {
        // OpenSSL writes what a certificate says, or its attributes, before it.
        let explained = format!("Bag Attributes\n    friendlyName: db\n{pem}");
        for whole in ["", pem, &pem.replace('\n', r"\n"), &pem.repeat(2), &explained] {
            assert!(accepts(&template, parameter, whole), "{parameter}: {whole}");
        }
        for part in ["-----BEGIN", "-----BEGIN PUBLIC KEY-----\nMIIB", "clerk.pem", "Bag"] {
            assert!(!accepts(&template, parameter, part), "{parameter}: {part}");
        }
    }
    // All variables of a function take 4 KB together: RDS's bundle of a region is longer.
    assert!(accepts(&template, "PostgresCertificates", &format!("{pem:A<3000}")));
    assert!(!accepts(&template, "PostgresCertificates", &format!("{pem:A<3001}")));
    for whole in ["*", "https://a", "https://a,https://b", "https://a, https://b", "https://a , https://b"] {
        assert!(accepts(&template, "ClerkAuthorizedParties", whole), "{whole}");
    }
    for part in ["https://a,", "https://a, ", "https://a https://b", "*,https://a", "https://a,*"] {
        assert!(!accepts(&template, "ClerkAuthorizedParties", part), "{part}");
    }
}

/// A function of a rule, with the values of some parameters and the defaults of all others.
fn evaluate(template: &Yaml, given: &[(&str, &str)], function: &Yaml) -> bool {
    let (name, arguments) = function.as_hash().unwrap().front().unwrap();
    let arguments = arguments.as_vec().unwrap();
    let value = || {
        let parameter = arguments[0]["Ref"].as_str().unwrap();
        let default = template["Parameters"][parameter]["Default"].as_str().unwrap().to_owned();
        given.iter().find(|(name, _)| *name == parameter).map_or(default, |(_, value)| (*value).to_owned())
    };
    match name.as_str().unwrap() {
        "Fn::Not" => !evaluate(template, given, &arguments[0]),
        "Fn::Equals" => value() == arguments[1].as_str().unwrap(),
        "Fn::EachMemberEquals" => value().split(',').all(|member| member == arguments[1].as_str().unwrap()),
        other => panic!("{other}"),
    }
}

#[test]
fn template_refuses_parameters_that_are_given_by_halves() {
    let template = template();
    let refusals = |given: &[(&str, &str)]| {
        let rules = template["Rules"].as_hash().unwrap().values();
        let rules = rules.filter(|rule| evaluate(&template, given, &rule["RuleCondition"]));
        let assertions = rules.flat_map(|rule| rule["Assertions"].as_vec().unwrap());
        let failed = assertions.filter(|assertion| !evaluate(&template, given, &assertion["Assert"]));
        failed.map(|failed| failed["AssertDescription"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (url, subnets, groups) =
        (("PostgresUrl", "postgresql://h/p"), ("PostgresSubnets", "a,b"), ("PostgresSecurityGroups", "g"));
    let (sync, address) = (("TemporalSync", "true"), ("TemporalAddress", "h:7233"));

    assert_eq!(refusals(&[]), [""; 0]);
    assert_eq!(refusals(&[url, sync, address]), [""; 0]);
    assert_eq!(refusals(&[url, subnets, groups]), [""; 0]);
    assert_eq!(refusals(&[subnets, groups]), [""; 0], "the relay is taken away");
    assert_eq!(refusals(&[sync]), ["TemporalSync needs TemporalAddress"]);
    assert_eq!(
        refusals(&[sync, address, ("TemporalNamespace", "")]),
        ["TemporalSync needs TemporalNamespace"]
    );
    assert_eq!(refusals(&[url, subnets]), ["PostgresSubnets need PostgresSecurityGroups"]);
    assert_eq!(refusals(&[url, groups]), ["PostgresSecurityGroups need PostgresSubnets"]);

    let (roles, secret) = (("RoleSource", "clerk"), ("ClerkSecretKey", "sk_live_x"));
    let (domain, certificate) = (("DomainName", "a.example.com"), ("CertificateArn", "arn:aws:acm:x"));

    assert_eq!(refusals(&[roles, secret, domain, certificate]), [""; 0]);
    assert_eq!(refusals(&[roles]), ["RoleSource=clerk needs ClerkSecretKey"]);
    assert_eq!(refusals(&[domain]), ["DomainName needs CertificateArn"]);
}

/// Values with which the functions would deploy, but not start, or refuse every caller.
#[test]
fn template_refuses_values_that_the_functions_cannot_use() {
    let template = template();
    let kinds = Command::KINDS.join("|").replace('.', r"\.");
    let rows: [(&str, &[&str], &[&str]); 4] = [
        (
            "ClerkIssuer",
            &["", "https://clerk.example.com", "https://example.com/__clerk"],
            &["clerk.example.com", "http://clerk.example.com", "https://clerk.example.com/", "https://"],
        ),
        ("RateLimitPerMinute", &["1", "1000", "999999999"], &["", "0", "-1", "1.5", "1e3", "4294967296"]),
        ("RateLimitPerHour", &["1", "10000", "999999999"], &["", "0", "-1", "1.5", "1e3", "4294967296"]),
        (
            "CommandsHandled",
            // The last two as in the test of `config.rs`. What ends in a comma and has no blank, SAM may have cut off.
            &["user.ban", "api_key.revoke,user.ban , task.pause", ",", "task.pause, user.ban,", " , "],
            &["", "none", "task.paused", "task_pause", "user.ban,", "user.ban;task.pause"],
        ),
    ];

    let pattern = template["Parameters"]["CommandsHandled"]["AllowedPattern"].as_str();
    let expected = format!("(?![^ ]+,$)( *, *|({kinds})( *, *({kinds}))*( *,)?)");
    assert_eq!(pattern, Some(expected.as_str()));
    for (parameter, usable, unusable) in rows {
        let default = template["Parameters"][parameter]["Default"].as_str().unwrap();
        for value in usable.iter().chain([&default]) {
            assert!(accepts(&template, parameter, value), "{parameter}: {value:?}");
        }
        for value in unusable {
            assert!(!accepts(&template, parameter, value), "{parameter}: {value:?}");
        }
    }
}
