//! Compression of what is stored. To make what zstd works with costs more than to pack most items: a thread keeps it.

use std::cell::RefCell;
use std::io::{self, Read};
use zstd::bulk::Compressor;
use zstd::zstd_safe::DCtx;

thread_local! {
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::new(Compressor::default());
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Compresses some bytes.
///
/// # Errors
/// If there is no memory for it.
pub fn compress(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.set_compression_level(level)?;
        compressor.compress(bytes)
    })
}

/// The bytes that were compressed, of which there may be so many at most.
///
/// # Errors
/// If there are more, or these are no compressed bytes.
pub fn decompress(packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
    CONTEXT.with_borrow_mut(|context| {
        let mut bytes = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        // The packed bytes are there: another buffer of 128 KiB would cost more than to unpack most items.
        zstd::Decoder::with_context(packed, context).take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > most {
            let fault = format!("unpacks to more than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
        Ok(bytes)
    })
}
