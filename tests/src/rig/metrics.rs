//! The admin listener, read with fifteen lines of HTTP, and the Prometheus text it gives.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One GET: the status and the body.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(address, "GET", path, "", "")
}

/// One GET with an access token.
pub fn get_as(address: SocketAddr, path: &str, token: &str) -> io::Result<(u16, String)> {
    ask(address, "GET", path, &format!("Authorization: Bearer {token}\r\n"), "")
}

/// One POST of JSON, with an access token.
pub fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> io::Result<(u16, String)> {
    ask(
        address,
        "POST",
        path,
        &format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"),
        body,
    )
}

fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { joined(body).ok_or(io::ErrorKind::InvalidData)? } else { body.to_owned() };
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, body))
}

/// A body that came in pieces, each after a line with its length.
fn joined(mut pieces: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = pieces.split_once("\r\n")?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body += rest.get(..length)?;
        pieces = rest.get(length..)?.strip_prefix("\r\n")?;
    }
}

/// A metrics page.
#[derive(Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads the Prometheus text form.
    #[must_use]
    pub fn parse(page: &str) -> Metrics {
        Metrics(page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// Adds up the samples that fit a query such as `declined_total{acquirer=north,reason=luhn_failed}`.
    /// The product's prefix is left out of the name.
    #[must_use]
    pub fn sum(&self, query: &str) -> f64 {
        self.fitting(query).map(|sample| sample.value).sum()
    }

    /// Whether any sample fits such a query.
    #[must_use]
    pub fn has(&self, query: &str) -> bool {
        self.fitting(query).next().is_some()
    }

    fn fitting(&self, query: &str) -> impl Iterator<Item = &Sample> {
        let (name, labels) = query.split_once('{').unwrap_or((query, ""));
        let wanted: Vec<(String, String)> = labels
            .trim_end_matches('}')
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let name = format!("signalbox_{name}");
        let fits = move |sample: &&Sample| {
            sample.name == name && wanted.iter().all(|pair| sample.labels.contains(pair))
        };
        self.0.iter().filter(fits)
    }

    /// Every name on the page, without the product's prefix and a histogram's endings.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(|sample| base_name(&sample.name)).collect();
        names.sort();
        names.dedup();
        names
    }
}

fn base_name(name: &str) -> String {
    let name = name.strip_prefix("signalbox_").unwrap_or(name);
    let endings = ["_bucket", "_sum", "_count"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name).to_owned()
}

fn sample(line: &str) -> Option<Sample> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    let labels = labels.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect();
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE signalbox_declined_total counter\n\
        signalbox_declined_total{acquirer=\"north\",reason=\"luhn_failed\"} 2\n\
        signalbox_declined_total{acquirer=\"south\",reason=\"luhn_failed\"} 3\n\
        signalbox_in_flight 7\n\
        signalbox_switch_seconds_bucket{le=\"0.1\"} 5\n";

    #[test]
    fn sums_what_fits() {
        let page = Metrics::parse(PAGE);
        let sums = [
            "declined_total",
            "declined_total{acquirer=south}",
            "in_flight",
            "declined_total{acquirer=west}",
        ];
        assert_eq!(sums.map(|query| page.sum(query)), [5.0, 3.0, 7.0, 0.0]);
    }

    #[test]
    fn names_are_told_without_prefix_and_endings() {
        assert_eq!(Metrics::parse(PAGE).names(), ["declined_total", "in_flight", "switch_seconds"]);
    }
}
