//! A client for the demo and for load: one connection that is kept, answers read as they come.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub(crate) struct Client {
    address: SocketAddr,
    token: Option<String>,
    connection: Option<BufReader<TcpStream>>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: Option<String>) -> Client {
        Client { address, token, connection: None }
    }

    /// Sends a request and reads the answer. After an error the next one makes a new connection.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.set_write_timeout(Some(Duration::from_secs(10)))?;
                BufReader::new(stream)
            }
        };
        let token = self.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}content-length: {}\r\n\r\n{body}",
            self.address,
            token.unwrap_or_default(),
            body.len()
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let (answer, keep) = read(&mut connection)?;
        self.connection = keep.then_some(connection);
        Ok(answer)
    }
}

fn read(connection: &mut BufReader<TcpStream>) -> io::Result<(Answer, bool)> {
    let odd = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    connection.read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| odd("that is no status line"))?;
    let (mut len, mut keep) = (0, true);
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| odd("that is no header"))?;
        match (name, value.trim()) {
            ("content-length", n) => len = n.parse().map_err(|_| odd("that is no length"))?,
            ("connection", "close") => keep = false,
            _ => {}
        }
    }
    let mut body = vec![0; len];
    connection.read_exact(&mut body)?;
    Ok((Answer { status, body }, keep))
}
