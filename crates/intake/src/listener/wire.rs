//! The octets of one connection, in clear or under TLS.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What is still read after the last reply, so that the peer gets to see it (see [`Wire::close`]).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS_MAX: usize = 64;

pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Does the server's half of the TLS handshake. TLS within TLS is never asked for and comes back as it was.
    pub(crate) async fn secured(self, acceptor: &TlsAcceptor, limit: Duration) -> io::Result<Wire> {
        match self {
            Wire::Plain(stream) => {
                let accepted = timeout(limit, acceptor.accept(stream)).await;
                let stream = accepted.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                Ok(Wire::Tls(Box::new(stream)))
            }
            secured @ Wire::Tls(_) => Ok(secured),
        }
    }

    /// Reads some octets; 0 is the end. Dropping the future loses nothing.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer).await,
            Wire::Tls(stream) => stream.read(buffer).await,
        }
    }

    pub(crate) async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(octets).await,
            Wire::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    /// Ends the connection in order: says that nothing more comes, then reads on for a moment. Closed at once, a
    /// socket with unread input answers the peer with a reset, which may destroy the reply on its way.
    pub(crate) async fn close(&mut self) {
        let ended = match self {
            Wire::Plain(stream) => stream.shutdown().await,
            Wire::Tls(stream) => stream.shutdown().await,
        };
        if ended.is_err() {
            return;
        }
        let drain = async {
            let mut rest = [0; 4_096];
            for _ in 0..LINGER_READS_MAX {
                if !matches!(self.read(&mut rest).await, Ok(1..)) {
                    break;
                }
            }
        };
        // Whether the peer closed or time ran out, the connection is over.
        let _ = timeout(LINGER, drain).await;
    }
}
