//! The text that ends the start: what the user needs to know once everything runs.

use std::path::Path;

use torale_platform::config::{AUDIT_KEY_FILE, EVENTS_QUEUE_URL, POSTGRES_URL};
use torale_platform::routes::PAGES;

use crate::args::{Ports, RunOptions};
use crate::event_sources::EVENTS;
use crate::project::Route;
use crate::queue::client;

/// Addresses, the key, and a line to try each endpoint.
pub(super) fn text(
    arguments: &RunOptions,
    ports: &Ports,
    routes: &[Route],
    key: &str,
    audit_key: &Path,
) -> String {
    let stage = arguments.stage.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    let base = format!("http://127.0.0.1:{}{stage}", ports.http_port);
    let mut text = format!(
        "\nThe console is at {base}{}\nThe admin API runs at {base}\n  admin API key  {key}\n  SQS            http://127.0.0.1:{} (queue {})\n  \
         DynamoDB       http://127.0.0.1:{} (region us-east-1, any credentials)\n\nTry it:\n",
        PAGES[0], ports.sqs_port, EVENTS.queue, ports.dynamodb_port
    );
    // Webhooks need a signature; the console is for a browser.
    let is_tried = |route: &&Route| route.path.starts_with("/admin") && !PAGES.contains(&route.path.as_str());
    for route in routes.iter().filter(is_tried) {
        let method = if route.method == "GET" { String::new() } else { format!(" -X {}", route.method) };
        let (path, body) = tried(&route.path);
        text.push_str(&format!("  curl -s{method} -H 'Authorization: Bearer {key}' {base}{path}{body}\n"));
    }
    let data = match arguments.data {
        Some(_) => "the store is kept, the queue is not",
        None => "store and queue are in memory",
    };
    let changes = match arguments.built {
        true => "The functions run as they were last built; changes are not picked up.",
        false => "Changes under shared/, functions/ and sources/ are picked up.",
    };
    text.push_str(&format!(
        "\nSend events:  cargo dev send{} FILE.ndjson\nCheck the audit trail:  cargo audit-verify \
         --endpoint http://127.0.0.1:{} --key {}\n{changes}\n\
         Stop:         Ctrl-C ({data})\n",
        port_flags(ports),
        ports.dynamodb_port,
        audit_key.display(),
    ));
    text
}

/// The path in a line to try, with the name of the id that it needs, and what follows it in the shell: parameters and
/// a body without which the request would be refused.
fn tried(path: &str) -> (String, &'static str) {
    let id = match path {
        _ if path.starts_with("/admin/executions/") => "EXECUTION_ID",
        _ if path.starts_with("/admin/tasks/") => "TASK_ID",
        _user => "USER_ID",
    };
    let rest = match path {
        "/admin/stats/series" => "'?metric=executions&bucket=hour'",
        "/admin/users/deactivate" => r#" -d '{"user_ids": ["USER_ID"]}'"#,
        _needs_nothing => "",
    };
    (path.replace("{id}", id), rest)
}

/// How to look at the simulated platform; nothing where there is none.
pub(super) fn platform(variables: &[(String, String)]) -> String {
    let value = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    value(POSTGRES_URL).map_or_else(String::new, |url| {
        format!(
            "The platform's rows: psql {url} -c 'SELECT status, count(*) FROM task_executions GROUP BY 1'\n"
        )
    })
}

/// How to serve the functions with `cargo lambda watch` over this stack's store and queue.
pub(super) fn lambda_watch(ports: &Ports, audit_key: &Path, standins: &[(&'static str, String)]) -> String {
    let standins: Vec<String> = standins.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "\nStore and queue are up. Waiting for the functions on port {http}; in another terminal:\n  \
         export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n  \
         export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:{dynamodb} AWS_ENDPOINT_URL_SQS=http://127.0.0.1:{sqs}\n  \
         export {EVENTS_QUEUE_URL}={events} {AUDIT_KEY_FILE}={key}\n  \
         export {standins}\n  \
         cargo lambda watch -A 127.0.0.1 -P {http} --disable-cors\n",
        events = client::url(ports.sqs_port, EVENTS.queue),
        key = audit_key.display(),
        standins = standins.join(" "),
        http = ports.http_port,
        dynamodb = ports.dynamodb_port,
        sqs = ports.sqs_port,
    )
}

/// The flags with which another command finds this stack.
fn port_flags(ports: &Ports) -> String {
    let mut flags = String::new();
    if ports.sqs_port != 4566 {
        flags.push_str(&format!(" --sqs-port {}", ports.sqs_port));
    }
    if ports.dynamodb_port != 8000 {
        flags.push_str(&format!(" --dynamodb-port {}", ports.dynamodb_port));
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::LocalArguments;
    use clap::Parser;

    fn options(flags: &[&str]) -> RunOptions {
        LocalArguments::parse_from(["cargo dev"].iter().chain(flags)).run
    }

    #[test]
    fn summary_promises_to_pick_up_changes_only_if_the_source_is_watched() {
        let ports = Ports { http_port: 9000, sqs_port: 4566, dynamodb_port: 8000 };
        let text = |flags: &[&str]| text(&options(flags), &ports, &[], "sk_test", Path::new("key.pem"));

        assert!(text(&[]).contains("\nChanges under shared/, functions/ and sources/ are picked up.\n"));
        let built = text(&["--built"]);
        assert!(built.contains("\nThe functions run as they were last built; changes are not picked up.\n"));
        assert!(!built.contains("are picked up"), "{built}");
    }

    #[test]
    fn summary_begins_with_the_address_of_the_console() {
        let ports = Ports { http_port: 9001, sqs_port: 4566, dynamodb_port: 8000 };
        let routes =
            [Route::new("GET", "/admin", "console"), Route::new("HEAD", "/admin/console/{file}", "console")];
        let text = text(&options(&["--stage", "prod"]), &ports, &routes, "sk_test", Path::new("key.pem"));

        assert!(text.starts_with("\nThe console is at http://127.0.0.1:9001/prod/admin\n"), "{text}");
        assert!(!text.contains("curl"), "{text}");
    }

    #[test]
    fn summary_has_the_key_and_a_line_for_each_route() {
        let ports = Ports { http_port: 9001, sqs_port: 4567, dynamodb_port: 8000 };
        let routes = [
            Route::new("GET", "/admin/stats", "stats"),
            Route::new("PATCH", "/admin/users/{id}/deactivate", "deactivate-user"),
        ];
        let text = text(&options(&[]), &ports, &routes, "sk_test", Path::new("key.pem"));
        let get = "curl -s -H 'Authorization: Bearer sk_test' http://127.0.0.1:9001/admin/stats\n";
        let patch = "curl -s -X PATCH -H 'Authorization: Bearer sk_test' http://127.0.0.1:9001/admin/users/USER_ID/deactivate\n";
        assert!(text.contains(get) && text.contains(patch), "{text}");
        assert!(text.contains("cargo dev send --sqs-port 4567 FILE.ndjson"), "{text}");
    }

    #[test]
    fn lines_to_try_name_the_id_and_bring_what_a_request_needs() {
        let line = |path| {
            let (path, rest) = tried(path);
            path + rest
        };
        assert_eq!(line("/admin/executions/{id}"), "/admin/executions/EXECUTION_ID");
        assert_eq!(line("/admin/tasks/{id}"), "/admin/tasks/TASK_ID");
        assert_eq!(line("/admin/stats/series"), "/admin/stats/series'?metric=executions&bucket=hour'");
        assert_eq!(
            line("/admin/users/deactivate"),
            r#"/admin/users/deactivate -d '{"user_ids": ["USER_ID"]}'"#
        );
        assert_eq!(line("/admin/errors"), "/admin/errors");
    }

    #[test]
    fn summary_says_how_to_look_at_the_platforms_rows_if_there_are_any() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let postgres = variable("POSTGRES_URL", "postgresql://h/p");

        assert_eq!(platform(&[]), "");
        let text = platform(&[postgres]);
        assert!(text.contains("psql postgresql://h/p -c"), "{text}");
    }

    #[test]
    fn lambda_watch_lists_the_variables_of_store_queue_and_stand_ins() {
        let ports = Ports { http_port: 9001, sqs_port: 4567, dynamodb_port: 8001 };
        let standins =
            [("TEMPORAL_ADDRESS", "127.0.0.1:5".to_owned()), ("CLERK_SECRET_KEY", "sk".to_owned())];
        let text = lambda_watch(&ports, Path::new("key.pem"), &standins);
        assert!(text.contains("\n  export TEMPORAL_ADDRESS=127.0.0.1:5 CLERK_SECRET_KEY=sk\n"), "{text}");
        assert!(text.contains("AWS_ENDPOINT_URL_SQS=http://127.0.0.1:4567\n"), "{text}");
    }
}
