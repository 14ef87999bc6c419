//! How connections with a peer come about, and what protects them.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use toml::Spanned;

use super::Check;
use crate::config::checked::{Door, TlsFiles, Way};
use crate::config::given::{Given, List};
use crate::config::raw;

/// The settings that acquirers and issuers have in common here.
pub(super) struct RawDoor<'r> {
    /// Where the table of the peer stands.
    pub(super) at: Range<usize>,
    /// For other faults to speak of, such as "acquirer north".
    pub(super) owner: String,
    pub(super) listen: &'r Option<Given<String>>,
    pub(super) connect: &'r Option<List<String>>,
    pub(super) plain_tcp: &'r Option<Given<bool>>,
    pub(super) beyond_loopback: &'r Option<Given<bool>>,
    pub(super) tls: &'r Option<Spanned<raw::Tls>>,
}

impl Check<'_, '_> {
    pub(super) fn door(&mut self, raw: &RawDoor<'_>) -> Option<Door> {
        let way = self.way(raw);
        self.plain_tcp(raw);
        let tls = match raw.tls {
            Some(files) => Some(self.tls_files(files)?),
            None => None,
        };
        Some(Door { way: way?, tls })
    }

    fn way(&mut self, raw: &RawDoor<'_>) -> Option<Way> {
        const ONE: &str = "either listen or connect";
        match (raw.listen, raw.connect) {
            (Some(listen), None) => {
                let address = self.report.address(listen)?;
                self.claim(address, &listen.at, &raw.owner);
                Some(Way::Listen(address))
            }
            (None, Some(list)) => Some(Way::Connect(self.addresses(list))),
            (Some(_), Some(list)) => {
                self.report.fault(&list.span(), "both listen and connect", ONE);
                None
            }
            (None, None) => {
                self.report.fault(&raw.at, "neither listen nor connect", ONE);
                None
            }
        }
    }

    /// Notes that an address is listened on, unless somebody else has it. Port 0 is whichever is free.
    pub(super) fn claim(&mut self, address: SocketAddr, at: &Range<usize>, owner: &str) {
        match self.listeners.iter().find(|(other, _)| overlap(*other, address)) {
            Some((other, first)) => {
                let found = format!("{address}, but {first} listens on {other}");
                self.report.fault(at, found, "an address of its own for each listener");
            }
            None => self.listeners.push((address, owner.to_owned())),
        }
    }

    fn addresses(&mut self, list: &List<String>) -> Vec<String> {
        const ADDRESS: &str = "a host and a port such as \"10.0.0.7:7001\"";
        if list.get_ref().is_empty() {
            self.report.wrong(&list.span(), "[]", ADDRESS);
        }
        let mut addresses: Vec<String> = Vec::new();
        for given in list.get_ref() {
            let Some(address) = self.report.sound(given) else { continue };
            if host_and_port(&address).is_none_or(|(_, port)| port == 0) {
                self.report.wrong(&given.at, &format!("{address:?}"), ADDRESS);
            } else if addresses.contains(&address) {
                self.report.fault(&given.at, format!("{address:?} twice"), "each address once");
            }
            addresses.push(address);
        }
        addresses
    }

    /// Plain TCP needs one flag, and a second one where strangers could listen.
    fn plain_tcp(&mut self, raw: &RawDoor<'_>) {
        let plain = self.report.or(raw.plain_tcp, false);
        let beyond = self.report.or(raw.beyond_loopback, false);
        let (Some(plain), Some(beyond)) = (plain, beyond) else { return };
        match (plain, raw.tls) {
            (true, Some(tls)) => {
                self.report.fault(&tls.span(), "both tls and plain_tcp = true", "one of them")
            }
            (false, None) => self.report.fault(&raw.at, "neither tls nor plain_tcp = true", "one of them"),
            (true, None) if !beyond => self.stays_on_loopback(raw),
            (true, None) => {}
            (false, Some(_)) => {
                if let (true, Some(flag)) = (beyond, raw.beyond_loopback) {
                    let found = "plain_tcp_beyond_loopback = true beside tls";
                    self.report.fault(&flag.at, found, "it only beside plain_tcp = true");
                }
            }
        }
    }

    fn stays_on_loopback(&mut self, raw: &RawDoor<'_>) {
        let connect = raw.connect.iter().flat_map(|list| list.get_ref());
        for given in raw.listen.iter().chain(connect) {
            let Ok(address) = &given.value else { continue };
            if host_and_port(address).is_some_and(|(host, _)| !is_loopback(host)) {
                let found = format!("plain TCP with {address:?}, which is not on loopback");
                self.report.fault(&given.at, found, "tls, or plain_tcp_beyond_loopback = true as well");
            }
        }
    }

    fn tls_files(&mut self, raw: &Spanned<raw::Tls>) -> Option<TlsFiles> {
        let at = raw.span();
        let raw = raw.get_ref();
        let certificate = self.file(&raw.certificate, &at, "certificate");
        let key = self.file(&raw.key, &at, "key");
        let ca = self.file(&raw.ca, &at, "ca");
        let crl = match &raw.crl {
            Some(_) => self.file(&raw.crl, &at, "crl").map(Some),
            None => Some(None),
        };
        self.is_private(&raw.key, key.as_ref());
        let peer_name = self.report.required(&raw.peer_name, &at, "peer_name");
        self.is_peer_name(&raw.peer_name);
        Some(TlsFiles { certificate: certificate?, key: key?, ca: ca?, crl: crl?, peer_name: peer_name? })
    }

    pub(super) fn file(
        &mut self,
        given: &Option<Given<String>>,
        tls: &Range<usize>,
        key: &str,
    ) -> Option<PathBuf> {
        let name = self.report.required(given, tls, key)?;
        let path = self.folder.join(name);
        let error = match fs::metadata(&path).and_then(|what| File::open(&path).map(|_| what.is_file())) {
            Ok(true) => return Some(path),
            Ok(false) => String::from("not a file"),
            Err(error) => error.to_string(),
        };
        let at = given.as_ref().map_or(tls, |given| &given.at);
        self.report.wrong(at, &format!("{}: {error}", path.display()), "a file that can be read");
        None
    }

    /// A private key that others can read is not private.
    pub(super) fn is_private(&mut self, given: &Option<Given<String>>, key: Option<&PathBuf>) {
        let (Some(given), Some(key)) = (given, key) else { return };
        let mode = fs::metadata(key).map_or(0, |file| file.permissions().mode() & 0o777);
        if mode & 0o077 != 0 {
            let found = format!("{}, which others may use (mode {mode:03o})", key.display());
            self.report.fault(&given.at, found, "a file for its owner alone (mode 600 or 400)");
        }
    }

    fn is_peer_name(&mut self, given: &Option<Given<String>>) {
        if let Some(Given { value: Ok(name), at }) = given
            && !is_host(name)
            && name.parse::<IpAddr>().is_err()
        {
            let expected = "a DNS name or an IP address as in the peer's certificate";
            self.report.wrong(at, &format!("{name:?}"), expected);
        }
    }
}

/// Whether two listeners would want the same port of the same interface.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && same_address
}

/// Takes `host:port` apart; an IPv6 address stands in brackets.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok().filter(|_| !port.starts_with('+'))?;
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok().then_some((inner, port)),
        None => is_host(host).then_some((host, port)),
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}
