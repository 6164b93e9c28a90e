use crate::time::{parse, show, start_of_day, window, window_per_user};

#[test]
fn rfc_3339_is_read() {
    let base = 1_705_314_000_000; // 2024-01-15T10:20:00Z
    assert_eq!(parse("2024-01-15T10:20:00Z"), Some(base));
    assert_eq!(parse("2024-01-15t10:20:00z"), Some(base));
    assert_eq!(parse("2024-01-15T12:20:00+02:00"), Some(base));
    assert_eq!(parse("2024-01-15T04:50:00-05:30"), Some(base));
    assert_eq!(parse("2024-01-15T10:20:00-00:00"), Some(base));
    assert_eq!(parse("2024-01-16T10:19:00+23:59"), Some(base));
    assert_eq!(parse("2024-01-15T10:20:00.1Z"), Some(base + 100));
    assert_eq!(parse("2024-01-15T10:20:00.0019999999999Z"), Some(base + 1));
    assert_eq!(parse("2024-01-15T10:20:00.999999+00:00"), Some(base + 999));
}

#[test]
fn anything_else_is_refused() {
    let wrong = [
        "",
        "2024-01-15",
        "2024-01-15 10:20:00Z",
        "2024-01-15T10:20:00",
        "2024-01-15T10:20Z",
        "2024-01-15T10:20:61Z",
        "2024-01-15T10:60:60Z",
        "2024-01-15T24:00:60Z",
        "2024-01-15T10:20:60.Z",
        "2024-01-15T24:00:00Z",
        "2024-02-30T10:20:00Z",
        "2023-02-29T10:20:00Z",
        "2024-01-15T10:20:00.Z",
        "2024-01-15T10:20:00,5Z",
        "2024-01-15T10:20:00+24:00",
        "2024-01-15T10:20:00+01:60",
        "2024-01-15T10:20:00+0100",
        "2024-01-15T10:20:00+01",
        "2024-01-15T10:20:00Z ",
        " 2024-01-15T10:20:00Z",
        "2024-1-15T10:20:00Z",
        "+024-01-15T10:20:00Z",
        "2024-01-15T10:20:00\u{2212}01:00",
        "2024-01-15T10:20:00ZZ",
    ];
    for text in wrong {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn a_leap_second_is_the_start_of_the_next_minute() {
    let shown = |text: &str| parse(text).map(show);
    let expected = |text: &str| Some(text.to_owned());
    assert_eq!(shown("2016-12-31T23:59:60Z"), expected("2017-01-01T00:00:00Z"));
    assert_eq!(
        shown("2016-12-31T23:59:60.999Z"),
        expected("2017-01-01T00:00:00Z"),
        "its fraction is dropped"
    );
    assert_eq!(shown("2016-12-31T18:59:60.5-05:00"), expected("2017-01-01T00:00:00Z"));
    assert_eq!(shown("2024-02-29T10:20:60Z"), expected("2024-02-29T10:21:00Z"), "in any minute");
    assert_eq!(shown("2024-01-15T23:59:59.999Z"), expected("2024-01-15T23:59:59.999Z"));
}

#[test]
fn times_are_shown_in_utc() {
    assert_eq!(show(1_705_314_000_000), "2024-01-15T10:20:00Z");
    assert_eq!(show(1_705_314_000_120), "2024-01-15T10:20:00.120Z");
    assert_eq!(show(1_705_314_000_007), "2024-01-15T10:20:00.007Z");
}

#[test]
fn windows_are_cut() {
    let now = parse("2024-01-15T10:30:42.500Z").unwrap();
    assert_eq!(show(window(now, 3_600_000)), "2024-01-15T09:30:00Z");
    assert_eq!(show(window_per_user(now, 24 * 3_600_000)), "2024-01-14T10:00:00Z");
    assert_eq!(show(start_of_day(now)), "2024-01-15T00:00:00Z");
}
