//! `/admin/users` with `q`.

use serde_json::{Value, json};

use super::{U1, U2, column, encoded, event, get};
use crate::Message;

const PATH: &str = "/admin/users";
const T: &str = "2024-01-15T10:00:00Z";

fn id(n: usize) -> String {
    format!("670e8400-e29b-41d4-a716-44665544{n:04}")
}

fn with_email(n: usize, email: &str) -> Message {
    let data = json!({"user_id": id(n), "clerk_user_id": format!("c{n}"), "email": email});
    event("user.created", T, data)
}

fn deactivated(n: usize) -> Message {
    event("user.deactivated", "2024-01-15T10:05:00Z", json!({"user_id": id(n)}))
}

fn searched(events: &[Message], q: &str) -> Value {
    get(events, PATH, &format!("limit=100&q={}", encoded(q)))
}

/// The emails of these that a search finds, in its order.
fn found(emails: &[&str], q: &str) -> Vec<Value> {
    let events: Vec<Message> = emails.iter().enumerate().map(|(n, email)| with_email(n, email)).collect();
    let body = searched(&events, q);
    let found: Vec<Value> = column(&body["users"], "email").into_iter().cloned().collect();
    assert_eq!((&body["total"], &body["total_capped"]), (&json!(found.len()), &json!(false)), "{q:?}");
    found
}

const NOBODY: [&str; 0] = [];

#[test]
fn a_search_has_the_rows_of_the_list_and_says_whether_there_are_more() {
    let events = [with_email(1, "User@Example.com"), with_email(2, "other@example.com")];
    let list = get(&events, PATH, "");
    assert!(list.get("total_capped").is_none(), "without `q` there is none");
    let body = get(&events, PATH, "q=uSER@e");
    let expected =
        json!({"users": [list["users"][1]], "total": 1, "page": 1, "limit": 50, "total_capped": false});
    assert_eq!(body, expected);
    let nobody = json!({"users": [], "total": 0, "page": 2, "limit": 7, "total_capped": false});
    assert_eq!(get(&events, PATH, "q=x&page=2&limit=7"), nobody);
}

#[test]
fn emails_begin_with_the_text_of_a_search() {
    let emails = ["ann@x.y", "joann@x.y", "an", "a", "ANNA@x.y", "xann@x.y", "annA@a.b"];
    assert_eq!(found(&emails, "ann"), ["ann@x.y", "annA@a.b", "ANNA@x.y"]);
    assert_eq!(found(&emails, "ANN@X.Y"), ["ann@x.y"]);
    assert_eq!(found(&emails, "ann@x.y "), NOBODY, "blanks count");
    assert_eq!(found(&emails, " ann"), NOBODY);
}

#[test]
fn nothing_in_the_text_of_a_search_is_a_wildcard() {
    let emails = ["%@x", "*@x", "a\0b", "a", "ab", "\0", "_@x", "a+b@x", "a#b", "", "\u{fffd}"];
    assert_eq!(found(&emails, "%"), ["%@x"]);
    assert_eq!(found(&emails, "*"), ["*@x"]);
    assert_eq!(found(&emails, "_"), ["_@x"]);
    assert_eq!(found(&emails, "\0"), ["\0"]);
    assert_eq!(found(&emails, "a\0"), ["a\0b"]);
    assert_eq!(found(&emails, "a#"), ["a#b"]);
    assert_eq!(found(&emails, "a+b"), ["a+b@x"]);
    for none in ["a%", "a*", ".*", "^a", "\u{ffff}", "\u{10ffff}"] {
        assert_eq!(found(&emails, none), NOBODY, "{none:?}");
    }
    // By code points: NUL, `#`, `+`, `b`.
    assert_eq!(found(&emails, "A"), ["a", "a\0b", "a#b", "a+b@x", "ab"]);
}

#[test]
fn folding_in_a_search_is_simple() {
    // The final sigma folds to the sigma, as the capital does.
    assert_eq!(found(&["ΣΑΣ@x", "σας@y", "σασ@z"], "σας"), ["ΣΑΣ@x", "σας@y", "σασ@z"]);
    // 'İ' folds only in full or the Turkic way: it stays, and is no 'i', nor is 'ı'.
    assert_eq!(found(&["İ@x", "i@x", "I@y", "ı@x", "i\u{307}@x"], "i"), ["i@x", "I@y", "i\u{307}@x"]);
    assert_eq!(found(&["İ@x", "i@x", "I@y", "ı@x", "i\u{307}@x"], "İ"), ["İ@x"]);
    assert_eq!(found(&["İ@x", "i@x", "I@y", "ı@x"], "ı"), ["ı@x"]);
    // 'ß' stays, and U+1E9E folds to it; "ss" is something else.
    assert_eq!(found(&["ß@y", "\u{1e9e}@x", "ss@x", "SS@x"], "ß"), ["\u{1e9e}@x", "ß@y"]);
    assert_eq!(found(&["ß@y", "\u{1e9e}@x", "ss@x", "SS@y"], "ss"), ["ss@x", "SS@y"]);
    assert_eq!(found(&["ß@y", "\u{1e9e}@x", "ss@x"], "s"), ["ss@x"]);
}

#[test]
fn letters_that_fold_in_ways_of_their_own() {
    // Each pair folds to one letter: the Kelvin sign, the long s, the micro sign, a title case, a
    // ligature, Cherokee (to its capitals), Deseret (beyond the first plane), a Greek letter whose
    // full folding is two, and two letters of Unicode 17.0.
    for (one, other) in [
        ("\u{212a}", "k"),
        ("\u{17f}", "S"),
        ("\u{b5}", "\u{3bc}"),
        ("\u{1c5}", "\u{1c6}"),
        ("\u{fb05}", "\u{fb06}"),
        ("\u{ab70}", "\u{13a0}"),
        ("\u{10400}", "\u{10428}"),
        ("\u{1f88}", "\u{1f80}"),
        ("\u{a7d4}", "\u{a7d5}"),
        ("\u{16eb8}", "\u{16ed3}"),
    ] {
        // Of two folded alike, the greater id comes first.
        assert_eq!(found(&[one, other], one), [other, one]);
        assert_eq!(found(&[other, one], other), [one, other]);
    }
    // Full folding would find these.
    for (one, other) in [("\u{fb01}", "fi"), ("\u{1f0}", "j\u{30c}"), ("\u{1f80}", "\u{1f00}\u{3b9}")] {
        assert_eq!(found(&[other], one), NOBODY);
        assert_eq!(found(&[one], other), NOBODY);
    }
}

#[test]
fn a_search_does_not_normalise() {
    let emails = ["\u{e9}@x", "e\u{301}@x"];
    assert_eq!(found(&emails, "\u{c9}"), ["\u{e9}@x"]);
    assert_eq!(found(&emails, "E\u{301}"), ["e\u{301}@x"]);
    assert_eq!(found(&emails, "e"), ["e\u{301}@x"]);
    assert_eq!(found(&["\u{ff21}@x", "a@x"], "a"), ["a@x"], "a wide letter is another");
    assert_eq!(found(&["\u{ff21}@x", "a@x"], "\u{ff41}"), ["\u{ff21}@x"]);
}

#[test]
fn matches_are_in_the_order_of_code_points() {
    // 'a' and U+10000 and U+FFFD: as UTF-16 units U+10000 (D800 DC00) would come before U+FFFD.
    let emails = ["a\u{10000}", "a\u{fffd}", "aZ", "a_", "ay", "a\u{e9}", "a"];
    assert_eq!(found(&emails, "a"), ["a", "a_", "ay", "aZ", "a\u{e9}", "a\u{fffd}", "a\u{10000}"]);
    // Cherokee folds to capitals: it is those that are put in order.
    assert_eq!(found(&["a\u{13a1}", "a\u{ab70}", "a\u{ab6f}"], "a"), ["a\u{ab70}", "a\u{13a1}", "a\u{ab6f}"]);
}

#[test]
fn matches_with_one_folded_email_are_by_id_descending() {
    let older = event(
        "user.created",
        T,
        json!({"user_id": id(3), "clerk_user_id": "c3", "email": "A@x", "created_at": "2020-01-01T00:00:00Z"}),
    );
    let events =
        [with_email(1, "a@X"), older, with_email(2, "a@x"), with_email(4, "A@w"), with_email(5, "a")];
    let body = searched(&events, "a");
    assert_eq!(column(&body["users"], "id"), [&id(5), &id(4), &id(3), &id(2), &id(1)]);
}

#[test]
fn the_longest_text_of_a_search_and_longer_emails() {
    let longest = "\u{10400}".repeat(320);
    let small = "\u{10428}".repeat(320);
    let longer = format!("{small}@x");
    assert_eq!(found(&[&longer, &small, "\u{10428}"], &longest), [small.as_str(), longer.as_str()]);
}

#[test]
fn a_search_knows_todays_emails_of_listed_users() {
    let email = |user_id: &str, time: &str, email: &str| {
        event("user.updated", time, json!({"user_id": user_id, "email": email}))
    };
    let identity = |clerk_user_id: &str, data: Value| {
        let mut data = data;
        data["clerk_user_id"] = json!(clerk_user_id);
        event("identity.created", T, data)
    };
    let events = [
        with_email(1, "old@x"),
        email(&id(1), "2024-01-15T10:01:00Z", "new@x"),
        // A stand-in with an email, one without, and a stub.
        identity("i1", json!({"email": "new@stand-in", "external_id": U1})),
        identity("i2", json!({"external_id": U2})),
        email(&id(9), T, "new@stub"),
    ];
    let body = searched(&events, "NEW");
    assert_eq!(column(&body["users"], "id"), [U1, &id(1)]);
    assert_eq!(searched(&events, "old")["total"], 0);
    assert_eq!(get(&events, PATH, "")["total"], 3);
    // Nobody without an email matches, whatever is shown in its place.
    for none in ["null", "None", "\0"] {
        assert_eq!(searched(&events, none)["total"], 0, "{none:?}");
    }
}

#[test]
fn a_search_filters_by_state_before_it_counts() {
    let events = [with_email(1, "a1"), with_email(2, "a2"), with_email(3, "a3"), deactivated(2)];
    let body = get(&events, PATH, "q=a&active_only=true&limit=1&page=2");
    assert_eq!((column(&body["users"], "email"), &body["total"]), (vec![&json!("a3")], &json!(2)));
    assert_eq!(get(&events, PATH, "q=a&active_only=0")["total"], 3);
}

/// `count` users whose emails are `a0000@x`, `a0001@x` and so on, and one of another email.
fn crowd(count: usize) -> Vec<Message> {
    let crowd = (0..count).map(|n| with_email(n, &format!("a{n:04}@x")));
    crowd.chain([with_email(9999, "b@x")]).collect()
}

#[test]
fn a_search_with_1000_matches_counts_them_all() {
    let body = get(&crowd(1000), PATH, "q=A&limit=100&page=10");
    assert_eq!((&body["total"], &body["total_capped"]), (&json!(1000), &json!(false)));
    let rows = column(&body["users"], "email");
    assert_eq!((rows.len(), rows[0], rows[99]), (100, &json!("a0900@x"), &json!("a0999@x")));
}

#[test]
fn a_search_with_1001_matches_ends_after_1000() {
    let events = crowd(1001);
    let body = get(&events, PATH, "q=a&limit=30&page=34");
    assert_eq!((&body["total"], &body["total_capped"]), (&json!(1000), &json!(true)));
    let rows = column(&body["users"], "email");
    assert_eq!((rows.len(), rows[0], rows[9]), (10, &json!("a0990@x"), &json!("a0999@x")));
    let past = get(&events, PATH, "q=a&limit=100&page=11");
    let expected = json!({"users": [], "total": 1000, "page": 11, "limit": 100, "total_capped": true});
    assert_eq!(past, expected);
    // Without `q` the list goes to its end.
    assert_eq!(get(&events, PATH, "limit=100&page=11")["users"].as_array().unwrap().len(), 2);
    // A longer text has fewer matches.
    let fewer = get(&events, PATH, "q=a1");
    assert_eq!((&fewer["total"], &fewer["total_capped"]), (&json!(1), &json!(false)));
}

#[test]
fn a_search_for_active_users_counts_1000_of_those() {
    let mut events = crowd(1001);
    events.push(deactivated(0));
    let body = get(&events, PATH, "q=a&active_only=1&limit=100&page=10");
    assert_eq!((&body["total"], &body["total_capped"]), (&json!(1000), &json!(false)));
    assert_eq!(column(&body["users"], "email")[99], "a1000@x");
    assert_eq!(get(&events, PATH, "q=a")["total_capped"], true);
}
