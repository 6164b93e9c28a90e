//! Reports: tables on the screen, in Markdown and in JSON.

use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Its head.
    pub columns: Vec<&'static str>,
    /// Its body.
    pub rows: Vec<Vec<String>>,
}

/// A target and what was found.
#[derive(Debug, Clone)]
pub struct BenchTarget {
    /// The target.
    pub what: String,
    /// Whether every number is within it.
    pub met: bool,
    /// The number that decides.
    pub found: String,
}

/// Everything a benchmark found.
#[derive(Debug)]
pub struct BenchReport {
    name: &'static str,
    about: String,
    command: String,
    /// Whether it is a trial, which is saved under `target` and leaves the published one alone.
    pub is_trial: bool,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its targets.
    pub targets: Vec<BenchTarget>,
}

impl Table {
    /// An empty one.
    pub fn new(title: impl Into<String>, note: impl Into<String>, columns: &[&'static str]) -> Self {
        Self { title: title.into(), note: note.into(), columns: columns.to_vec(), rows: Vec::new() }
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.note);
        text += &line(self.columns.clone());
        text += &line(self.columns.iter().map(|_| "---").collect());
        self.rows.iter().for_each(|row| text += &line(row.iter().map(String::as_str).collect()));
        text
    }

    fn json(&self) -> Value {
        let number = |cell: &str| cell.parse::<f64>().map_or_else(|_| json!(cell), |number| json!(number));
        let object = |row: &Vec<String>| -> Map<String, Value> {
            self.columns.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), number(cell))).collect()
        };
        json!({ "title": self.title, "note": self.note, "rows": self.rows.iter().map(object).collect::<Vec<_>>() })
    }
}

impl BenchReport {
    /// An empty one.
    pub fn new(name: &'static str, about: impl Into<String>) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let command = format!("cargo bench-{name} {}", arguments.join(" ")).trim().to_owned();
        Self { name, about: about.into(), command, is_trial: false, tables: Vec::new(), targets: Vec::new() }
    }

    /// Adds a table, prints it, and saves what is known so far.
    pub fn add(&mut self, table: Table) {
        println!("{}", table.markdown());
        self.tables.push(table);
        self.save();
    }

    /// Prints the targets and saves everything.
    pub fn finish(&self) {
        println!("{}", self.targets_markdown());
        self.save();
    }

    fn targets_markdown(&self) -> String {
        self.targets.iter().fold("## Targets\n\n".to_owned(), |mut text, target| {
            let verdict = if target.met { "met" } else { "**NOT met**" };
            writeln!(text, "- {verdict}: {}: {}", target.what, target.found).unwrap();
            text
        })
    }

    fn save(&self) {
        let facts = facts(&self.command);
        let mut text = format!("# cargo bench-{}\n\n{}\n\n", self.name, self.about);
        facts.iter().for_each(|(name, value)| writeln!(text, "- {name}: {value}").unwrap());
        for table in &self.tables {
            write!(text, "\n{}", table.markdown()).unwrap();
        }
        write!(text, "\n{}", self.targets_markdown()).unwrap();
        let targets: Vec<Value> = self
            .targets
            .iter()
            .map(|t| json!({ "target": t.what, "met": t.met, "found": t.found }))
            .collect();
        let facts: Map<String, Value> =
            facts.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        let all = json!({ "about": self.about, "run": facts, "tables": tables, "targets": targets });
        let folder = root().join(if self.is_trial { "target/benchmarks" } else { "docs/benchmarks" });
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{}.md", self.name)), text).unwrap();
        std::fs::write(folder.join(format!("{}.json", self.name)), format!("{all:#}\n")).unwrap();
    }
}

/// On what, when and how it ran.
fn facts(command: &str) -> Vec<(&'static str, String)> {
    let line = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    vec![
        ("command", format!("`{command}`")),
        ("date", torale_platform::clock::system().to_string()),
        ("commit", commit().unwrap_or_else(|| "unknown".to_owned())),
        ("cores", std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string())),
        ("CPU", line("/proc/cpuinfo", "model name")),
        ("memory", line("/proc/meminfo", "MemTotal")),
    ]
}

/// The commit that is checked out; the work tree may differ from it.
fn commit() -> Option<String> {
    let git = root().join(".git");
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    let loose = std::fs::read_to_string(git.join(reference)).ok();
    let packed = || {
        let all = std::fs::read_to_string(git.join("packed-refs")).ok()?;
        all.lines().find_map(|line| line.strip_suffix(reference).map(str::to_owned))
    };
    Some(loose.or_else(packed)?.trim().to_owned())
}
