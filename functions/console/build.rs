//! Lists the files of `assets/`, which `clients/console` builds, so that they become part of the binary.

use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[expect(clippy::disallowed_methods, reason = "a build script learns its folders from cargo's environment")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("assets");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut list = "&[\n".to_owned();
    for path in paths.iter().filter(|path| !["br", "gz"].contains(&extension(path))) {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name that is no text")?;
        let path = path.to_str().ok_or("a path that is no text")?;
        let hash = hex::encode(Sha256::digest(fs::read(path)?));
        writeln!(
            list,
            "Asset {{ name: {name:?}, hash: {hash:?}, plain: include_bytes!({path:?}), \
             gzip: include_bytes!({:?}), brotli: include_bytes!({:?}) }},",
            format!("{path}.gz"),
            format!("{path}.br"),
        )?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("assets.rs"), list)?;
    Ok(())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}
