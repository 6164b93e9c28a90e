//! The files of the console, each plain and compressed.

use crate::encoding::Encoding;

/// The page.
pub(crate) const PAGE: &str = "index.html";
/// Licences of what the files include. Its name is always the same, as the page's is.
const NOTICES: &str = "notices.txt";

/// A file.
pub(crate) struct Asset {
    /// Its name, the last segment of its path.
    pub(crate) name: &'static str,
    /// The SHA-256 of its content in hexadecimal.
    pub(crate) hash: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// All files, listed by `build.rs`.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file of this name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

impl Asset {
    /// Whether its name changes with its content, so that it may be cached for ever.
    pub(crate) fn has_hashed_name(&self) -> bool {
        ![PAGE, NOTICES].contains(&self.name)
    }

    /// The value of its `Content-Type`.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("txt") => "text/plain; charset=utf-8",
            Some(_) | None => "application/octet-stream",
        }
    }

    /// Its content in an encoding.
    pub(crate) fn bytes(&self, encoding: Encoding) -> &'static [u8] {
        match encoding {
            Encoding::Brotli => self.brotli,
            Encoding::Gzip => self.gzip,
            Encoding::Plain => self.plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn every_file_has_a_known_type_and_is_what_its_compressed_copy_becomes() {
        assert!(find(PAGE).is_some() && find(NOTICES).is_some() && ASSETS.len() >= 5);
        for asset in ASSETS {
            let mut unpacked = Vec::new();
            GzDecoder::new(asset.gzip).read_to_end(&mut unpacked).unwrap();

            assert_eq!(unpacked, asset.plain, "{}", asset.name);
            assert_ne!(asset.content_type(), "application/octet-stream", "{}", asset.name);
            assert!(!asset.brotli.is_empty() && asset.hash.len() == 64, "{}", asset.name);
        }
    }

    /// The page names all files that it loads; a name without its file would be a blank page.
    #[test]
    fn files_that_the_page_names_exist_and_have_hashed_names() {
        let page = std::str::from_utf8(find(PAGE).unwrap().plain).unwrap();
        let names: Vec<&str> =
            page.split("\"./admin/console/").skip(1).filter_map(|rest| rest.split('"').next()).collect();

        assert_eq!(names.len(), 4, "two scripts, style and icon: {page}");
        for name in names {
            assert!(find(name).is_some_and(Asset::has_hashed_name), "{name}");
        }
        assert!(!page.contains("<script>") && !page.contains("style="), "nothing is inline: {page}");
    }
}
