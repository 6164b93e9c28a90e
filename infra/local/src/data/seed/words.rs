//! Names, questions, schedules and errors to choose from.

pub(super) const FIRST_NAMES: &[&str] = &[
    "ada", "ben", "chloe", "dmitri", "elena", "farid", "grace", "hiro", "ines", "jonas", "kemi", "liam",
    "mei", "nadia", "omar", "priya", "quentin", "rosa", "sven", "tara", "umar", "vera", "wei", "xenia",
    "yusuf", "zoe",
];
pub(super) const LAST_NAMES: &[&str] = &[
    "adler", "brown", "costa", "dubois", "evans", "fischer", "garcia", "haddad", "ito", "jansen", "kim",
    "lopez", "mbeki", "novak", "okafor", "patel", "rossi", "silva", "tanaka", "weber",
];
pub(super) const DOMAINS: &[&str] = &["example.com", "example.org", "example.net"];
/// Questions of many users, the most frequent first.
pub(super) const QUESTIONS: &[&str] = &[
    "When is the next iPhone being released?",
    "Is the PlayStation 5 Pro in stock near me?",
    "When do tickets for the next Taylor Swift tour go on sale?",
    "Has the Federal Reserve changed its interest rate?",
    "When is the next SpaceX Starship launch?",
    "Is GTA 6 available for pre-order?",
    "Has OpenAI announced a new model?",
    "When does the swimming pool open for the summer?",
    "Are there new listings for two-room flats in Lisbon?",
    "Has the price of the Framework 16 laptop dropped?",
    "When does early registration for RustConf open?",
    "Is a new season of Severance announced?",
    "Has my local council published the new bin calendar?",
    "Did the EU AI Act get new guidelines?",
    "When is the next total solar eclipse visible from Spain?",
    "Are cherry blossoms in bloom in Kyoto?",
];
/// What the questions of a single user are about.
pub(super) const THINGS: &[&str] = &[
    "Leica Q3",
    "Nintendo Switch 2",
    "Rivian R2",
    "reMarkable",
    "Steam Deck",
    "Brompton Electric",
    "Fairphone 6",
    "Pixel 10",
    "Kindle Scribe",
    "Herman Miller Aeron",
];
pub(super) const WISHES: &[&str] = &[
    "Is the {} back in stock?",
    "Has the price of the {} dropped below 500?",
    "When does the {} ship to Norway?",
];
pub(super) const SCHEDULES: &[&str] =
    &["0 9 * * *", "0 */6 * * *", "*/30 * * * *", "0 8 * * 1-5", "15 * * * *", "0 18 * * 5", "30 7 1 * *"];
pub(super) const ZONES: &[&str] = &["Europe/Berlin", "America/New_York", "Asia/Tokyo"];
/// Kind, message, weight.
pub(super) const ERRORS: &[(&str, &str, u32)] = &[
    ("RateLimitError", "Rate limit exceeded for Google Search API", 60),
    ("TimeoutError", "The search did not finish within 30 seconds", 25),
    ("ValidationError", "The model's answer does not match the schema", 9),
    ("UpstreamError", "502 Bad Gateway from the search provider", 6),
];
