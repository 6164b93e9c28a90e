//! Servers that cannot outlive the process that started them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A shell script that starts a server, says `ready`, and ends the server when its standard input does: which is when
/// this is dropped, or this process has ended in any way. In a process group of its own, so that Ctrl-C does not reach
/// it and it can take everything down in order.
#[derive(Debug)]
pub(crate) struct LeashedServer(Child);

impl LeashedServer {
    /// Starts a script and waits until it has said `ready`.
    ///
    /// # Errors
    /// If it can't be started, or ends without.
    pub(crate) fn start(script: &str, arguments: &[&OsStr]) -> std::io::Result<Self> {
        let mut process = Command::new("sh")
            .args(["-c", script, "sh"])
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take();
        let server = Self(process);
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line == "ready\n" { Ok(server) } else { Err(std::io::Error::other("it did not start")) }
    }
}

impl Drop for LeashedServer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The script has ended when this fails.
        drop(self.0.wait());
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
