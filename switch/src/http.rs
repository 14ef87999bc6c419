//! One question over HTTP to a switch beside this process, and its answer: for the commands that ask one.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer to a command may take.
pub(crate) const WAIT: Duration = Duration::from_secs(10);
/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A page.
pub(crate) fn get(at: SocketAddr, path: &str) -> Result<(u16, String)> {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"), "", WAIT)
}

/// The answer to a body of JSON, sent with an access token where one is asked for.
pub(crate) fn post(
    at: SocketAddr,
    path: &str,
    access_token: Option<&str>,
    body: &str,
    wait: Duration,
) -> Result<(u16, String)> {
    let shown = access_token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {at}\r\n{shown}\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    ask(at, &head, body, wait)
}

fn ask(at: SocketAddr, head: &str, body: &str, wait: Duration) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, wait)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (Some(status), Some((_, body))) = (status, answer.split_once("\r\n\r\n")) else {
        return Err(Error::from(ErrorKind::InvalidData));
    };
    Ok((status, body.to_owned()))
}
