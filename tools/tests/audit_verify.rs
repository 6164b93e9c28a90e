//! cargo audit-verify as an operator runs it, over exports: what it says, and its exit status.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

use aws_sdk_dynamodb::types::AttributeValue;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use torale_domain::audit::seal::{Seal, SealStatement, SealedHeads, sealable};
use torale_domain::audit::{AuditedRequest, AuthMethod, ChainWriter, Principal};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{AUDIT_TABLE, PK, SK};
use torale_domain::values::time::{MINUTE, Timestamp};
use torale_testkit::stack::Stack;

const AT: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// An export of three records and their seal.
fn export() -> Vec<Json> {
    let mut chain = ChainWriter::start(AT, "one");
    let chained = (0..3).map(|_| {
        let entry = AuditedRequest {
            at: AT,
            principal: Principal::default(),
            method: AuthMethod::ApiKey,
            action: "stats.read".to_owned(),
            target: None,
            parameters: json!({}),
            status: 200,
            request_id: "r".to_owned(),
            source: None,
            user_agent: None,
            duration_ms: 1,
        };
        let link = chain.next_record(entry).unwrap();
        chain.advance(&link);
        link
    });
    let chained: Vec<_> = chained.collect();
    let heads = sealable(&SealedHeads::new(), chained.clone()).heads;
    let statement = SealStatement::after(None, &heads, 3, AT.plus(MINUTE), &key().verifying_key()).unwrap();
    let text = serde_json::to_string(&statement).unwrap();
    let signature = key().sign(text.as_bytes()).to_vec();
    let seal = Seal::new(text, heads, signature).unwrap().item().unwrap();
    chained.iter().map(|link| line(&link.item())).chain([line(&seal)]).collect()
}

fn line(item: &Item) -> Json {
    let mut line = json!({ "pk": item.key.pk, "sk": item.key.sk });
    for name in item.attributes.keys() {
        line[name] = json!(item.text(name));
    }
    line
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key.pem"), key().to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
        let public = key().verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        std::fs::write(folder.join("key.pub"), public).unwrap();
        Self(folder)
    }

    fn write(&self, lines: &[Json]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(self.0.join("export"), text).unwrap();
    }

    /// Exit status, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
        let output = command.current_dir(&self.0).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

const EXPORT: [&str; 4] = ["--export", "export", "--key", "key.pub"];

#[test]
fn an_intact_trail_is_said_to_be_so_with_either_half_of_the_key() {
    let folder = Folder::new("intact");
    folder.write(&export());
    for key in ["key.pub", "key.pem"] {
        let (status, out, _) = folder.run(&["--export", "export", "--key", key]);
        assert_eq!((status, out.lines().last()), (0, Some("intact")), "{out}");
        assert!(out.starts_with("3 records, 0 of them not sealed yet; 1 seals"), "{out}");
    }
    let noted = folder.run(&EXPORT).1;
    let noted = noted.lines().find_map(|line| line.strip_prefix("last seal: ")).unwrap();
    let noted = noted.split(' ').next().unwrap();
    assert_eq!(folder.run(&[&EXPORT[..], &["--expect", noted]].concat()).0, 0);
    let (status, out, _) = folder.run(&[&EXPORT[..], &["--expect", &noted.replacen('0', "1", 1)]].concat());
    assert_eq!(status, 1);
    assert!(out.contains("seal 1 is not the one that was expected"), "{out}");
}

#[test]
fn tampering_is_named_and_tells_by_the_exit_status() {
    let folder = Folder::new("tampered");
    let mut lines = export();
    lines.remove(1);
    folder.write(&lines);
    let (status, out, _) = folder.run(&EXPORT);
    assert_eq!(status, 1);
    assert!(out.contains("NOT INTACT. The first fault: "), "{out}");
    assert!(out.contains("record 2026033110-one-1 is missing"), "{out}");
}

#[test]
fn hours_can_be_chosen() {
    let folder = Folder::new("hours");
    let mut lines = export();
    lines.remove(1);
    folder.write(&lines);
    let hours = |from: &str, to: &str| folder.run(&[&EXPORT[..], &["--from", from, "--to", to]].concat()).0;
    assert_eq!(hours("2026-03-31T09:00:00Z", "2026-03-31T10:00:00Z"), 0);
    assert_eq!(hours("2026-03-31T10:00:00Z", "2026-03-31T11:00:00Z"), 1);
    assert_eq!(hours("2026-03-31T10:30:00Z", "2026-03-31T11:00:00Z"), 2, "not a full hour");
}

/// No hour is checked between them, and that is no verdict.
#[test]
fn hours_in_the_wrong_order_are_refused() {
    let folder = Folder::new("swapped");
    folder.write(&export());
    let (nine, ten) = ("2026-03-31T09:00:00Z", "2026-03-31T10:00:00Z");
    for to in [nine, ten] {
        let (status, out, error) = folder.run(&[&EXPORT[..], &["--from", ten, "--to", to]].concat());
        assert_eq!((status, out.as_str()), (2, ""), "{error}");
        assert!(error.contains("--from must be before --to"), "{error}");
    }
}

/// As of `cargo audit-verify ... | head -1`. It is no success either: nobody has seen the verdict.
#[test]
fn a_reader_of_the_output_that_is_gone_is_no_panic() {
    let folder = Folder::new("closed");
    folder.write(&export());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
    let output = command.current_dir(&folder.0).args(EXPORT).stdout(writer).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.as_str()), (Some(141), ""));
}

/// As of `cargo audit-verify export | head -1`, which must not read the rest of a large table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_ends_when_nobody_reads_it() {
    let stack = Stack::start().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = stack.client.put_item().table_name(AUDIT_TABLE).item(PK, text("audit")).item(SK, text("one"));
    put.send().await.unwrap();
    let export = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
        let endpoint = format!("http://127.0.0.1:{}", stack.port);
        command.args(["--endpoint", &endpoint, "export"]).stdout(stdout).stderr(Stdio::piped());
        let output = command.spawn().unwrap();
        async { tokio::task::spawn_blocking(|| output.wait_with_output().unwrap()).await.unwrap() }
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);

    let whole = export(Stdio::piped()).await;
    let unread = export(writer.into()).await;

    assert_eq!(serde_json::from_slice::<Json>(&whole.stdout).unwrap(), json!({ "pk": "audit", "sk": "one" }));
    assert_eq!((unread.status.code(), String::from_utf8(unread.stderr).unwrap().as_str()), (Some(141), ""));
}

#[test]
fn what_cannot_be_checked_is_no_verdict() {
    let folder = Folder::new("unreadable");
    assert_eq!(folder.run(&["--export", "export"]).0, 2, "no key");
    assert_eq!(folder.run(&["--export", "missing", "--key", "key.pub"]).0, 2);
    folder.write(&[json!(1)]);
    let (status, _, error) = folder.run(&EXPORT);
    assert_eq!(status, 2);
    assert!(error.contains("export, line 1: not an item"), "{error}");
    assert_eq!(folder.run(&["--export", "export", "--key", "export"]).0, 2, "no key in the file");
}
