//! Prints the document: `cargo openapi >events/openapi.json`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(openapi::text().as_bytes())
}
