//! Listeners on loopback, for the servers of this process.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on a port of 127.0.0.1; 0 is any free one. Accepted connections send at once what is written (they take
/// `TCP_NODELAY` over from the listener), so no answer waits for an acknowledgement of the one before.
///
/// # Errors
/// If another program listens on the port.
pub fn listen(port: u16) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn accepted_connections_send_at_once() {
        let listener = listen(0).unwrap();
        let address = listener.local_addr().unwrap();

        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());

        assert!(accepted.unwrap().0.nodelay().unwrap());
    }

    #[tokio::test]
    async fn port_of_another_listener_is_taken() {
        let listener = listen(0).unwrap();
        let taken = listen(listener.local_addr().unwrap().port());
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }
}
