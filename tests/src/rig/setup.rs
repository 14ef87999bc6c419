//! The configuration a rig writes, changed by paths: `.set("issuer.maple.timeout", "300ms")`.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::canary::Canaries;
use super::issuer::Issuer;
use super::places::{free_address, raise_own_file_limit, refusing_address, scratch_folder};
use super::process;
use super::tls::{Authority, Identity};
use super::token::{Shim, TestToken};
use super::{Door, Rig, SERVE, Start, Way};
use crate::wire::Wire;

/// One acquirer, one issuer, both in ASCII over loopback; the cards of `maple` are routed, nothing else.
const BASE: &str = r#"
[switch]
drain_grace = "5s"
recent_entries = 65536

[limits]
accepts_per_second = 100000

[timers]
frame = "2s"
sign_on = "2s"
reconnect_min = "20ms"
reconnect_max = "200ms"

[journal]
dir = "journal"
key_file = "journal.key"
level = "written"
segment = "1MiB"

[[acquirer]]
name = "north"
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true
partial_approvals = true

[[issuer]]
name = "maple"
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true
echo = false
timeout = "5s"

[[route]]
iin = "99996"
issuer = "maple"
"#;

/// What callers of `/v1` show.
pub(super) const ACCESS_TOKEN: &str = "an-access-token-of-the-tests";

/// A switch to be started.
#[derive(Debug)]
pub struct Setup {
    config: Table,
    environment: Vec<(String, String)>,
    files: Vec<(String, String)>,
    secret_files: Vec<(String, String)>,
    roles: BTreeMap<String, Role>,
    ignores_size_limit: bool,
}

/// How a peer meets the switch, where it is not the usual way: an acquirer that connects, an issuer that
/// listens on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The issuer listens on so many addresses.
    Addresses(usize),
    /// The acquirer listens, the issuer connects.
    TheOtherWay,
    /// Nobody plays it.
    Absent,
    /// The test plays it, at this address.
    PlayedAt(SocketAddr),
}

impl Setup {
    /// One acquirer `north`, one issuer `maple`, both in 1987 ASCII.
    #[must_use]
    pub fn new() -> Setup {
        let config = BASE.parse().expect("the base configuration is TOML");
        Setup {
            config,
            environment: Vec::new(),
            files: Vec::new(),
            secret_files: vec![("journal.key".to_owned(), "5a".repeat(32))],
            roles: BTreeMap::new(),
            ignores_size_limit: false,
        }
    }

    /// The same two, and all that are added, in another dialect.
    #[must_use]
    pub fn in_dialect(dialect: &str) -> Setup {
        Setup::new().set("acquirer.north.dialect", dialect).set("issuer.maple.dialect", dialect)
    }

    /// Sets one value: `timers.echo_every`, `acquirer.north.window`, `issuer.maple.framing.inclusive`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Setup {
        let (parents, key) = path.rsplit_once('.').expect("a section and a key");
        let mut table = &mut self.config;
        let mut words = parents.split('.');
        while let Some(word) = words.next() {
            let entry = table.entry(word).or_insert_with(|| Value::Table(Table::new()));
            table = match entry {
                Value::Array(peers) => peer(peers, words.next().expect("a peer's name")),
                Value::Table(table) => table,
                _ => panic!("{word} in {path} is no section"),
            };
        }
        table.insert(key.to_owned(), value.into());
        self
    }

    /// A switch that keeps nothing.
    #[must_use]
    pub fn without_journal(mut self) -> Setup {
        self.config.remove("journal");
        self
    }

    /// Takes one value away.
    #[must_use]
    pub fn unset(self, path: &str) -> Setup {
        let (section, key) = path.rsplit_once('.').expect("a section and a key");
        let mut without = self.set(path, "");
        let (kind, name) = section.split_once('.').expect("a peer");
        let peers = without.config[kind].as_array_mut().expect("peers");
        peer(peers, name).remove(key);
        without
    }

    /// Takes one value of a section away.
    #[must_use]
    pub fn without(mut self, path: &str) -> Setup {
        let (section, key) = path.split_once('.').expect("a section and a key");
        self.config[section].as_table_mut().expect("a section").remove(key);
        self
    }

    /// Another acquirer, as `north` but for its name.
    #[must_use]
    pub fn acquirer(self, name: &str) -> Setup {
        self.another("acquirer", name)
    }

    /// A peer, such as `acquirer.north`, meets the switch by TLS: with this certificate of the switch's, and one of its own for
    /// `north.example` that the authority signs.
    #[must_use]
    pub fn secured(self, peer: &str, authority: &Authority, switch: &Identity) -> Setup {
        let (_, name) = peer.split_once('.').expect("a peer");
        self.unset(&format!("{peer}.plain_tcp"))
            .set(&format!("{peer}.tls.certificate"), "switch.pem")
            .set(&format!("{peer}.tls.key"), "switch.key")
            .set(&format!("{peer}.tls.ca"), "ca.pem")
            .set(&format!("{peer}.tls.peer_name"), format!("{name}.example"))
            .file("switch.pem", &switch.certificate_pem())
            .secret_file("switch.key", &switch.key_pem())
            .file("ca.pem", &authority.pem())
    }

    /// Another issuer, as `maple` but for its name, with a route for these cards.
    #[must_use]
    pub fn issuer(self, name: &str, iin: &str) -> Setup {
        let mut setup = self.another("issuer", name);
        let route = format!("iin = \"{iin}\"\nissuer = \"{name}\"");
        let routes = setup.config["route"].as_array_mut().expect("routes");
        routes.push(Value::Table(route.parse().expect("TOML")));
        setup
    }

    /// The issuers that the first route falls back on.
    #[must_use]
    pub fn alternates(mut self, issuers: &[&str]) -> Setup {
        let route = self.config["route"][0].as_table_mut().expect("a route");
        route.insert("alternates".into(), Value::Array(issuers.iter().map(|&name| name.into()).collect()));
        self
    }

    /// How many addresses an issuer listens on.
    #[must_use]
    pub fn addresses(self, issuer: &str, count: usize) -> Setup {
        self.role(issuer, Role::Addresses(count))
    }

    /// Nobody listens at this issuer's address.
    #[must_use]
    pub fn absent(self, issuer: &str) -> Setup {
        self.role(issuer, Role::Absent)
    }

    /// This issuer is played by the test itself, at this address; the rig does not wait for it.
    #[must_use]
    pub fn played_at(self, issuer: &str, address: SocketAddr) -> Setup {
        self.role(issuer, Role::PlayedAt(address))
    }

    /// The other way of connecting: the switch calls this acquirer, or this issuer calls the switch.
    #[must_use]
    pub fn the_other_way(self, peer: &str) -> Setup {
        self.role(peer, Role::TheOtherWay)
    }

    /// A variable in the environment of the switch.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file that may not grow is an error to the switch, as on a full disk, not its end.
    #[must_use]
    pub fn ignoring_size_limit(self) -> Setup {
        Setup { ignores_size_limit: true, ..self }
    }

    /// A file beside the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Setup {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// A file beside the configuration that only its owner may read, as keys must be.
    #[must_use]
    pub fn secret_file(mut self, name: &str, content: &str) -> Setup {
        self.secret_files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Adds a table to a list of tables, such as a `program`.
    #[must_use]
    pub fn table(mut self, list: &str, table: &str) -> Setup {
        let table: Table = table.parse().expect("a table in TOML");
        let tables = self.config.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        tables.as_array_mut().expect("a list of tables").push(Value::Table(table));
        self
    }

    /// Gives callers of `/v1` an access token.
    #[must_use]
    pub fn admin_token(self) -> Setup {
        self.secret_file("access.token", ACCESS_TOKEN).set("admin.token_file", "access.token")
    }

    /// Gives the switch a token, and its callers of `/v1` an access token.
    #[must_use]
    pub fn token(mut self, token: &TestToken) -> Setup {
        let hsm = [
            ("module", token.module().display().to_string()),
            ("token", TestToken::LABEL.to_owned()),
            ("pin_file", token.pin_file().display().to_string()),
            ("deadline", "2s".to_owned()),
        ];
        let hsm = hsm.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value)));
        self.config.insert("hsm".into(), Value::Table(hsm.collect()));
        let (variable, place) = token.environment();
        self.environment(variable, &place).admin_token()
    }

    /// Puts another module in front of the token's.
    #[must_use]
    pub fn shim(self, shim: &Shim) -> Setup {
        let setup = self.set("hsm.module", shim.module().display().to_string());
        shim.environment().into_iter().fold(setup, |setup, (name, value)| setup.environment(name, &value))
    }

    /// `maple` may be stood in for, within these bounds in minor units of currency 840.
    #[must_use]
    pub fn stand_in(self, [floor, card_per_day, per_day]: [i64; 3]) -> Setup {
        self.set("issuer.maple.stand_in", Table::new())
            .set("issuer.maple.stand_in.iins", vec!["999960"])
            .set("issuer.maple.stand_in.currency", "840")
            .set("issuer.maple.stand_in.floor", floor)
            .set("issuer.maple.stand_in.card_per_day", card_per_day)
            .set("issuer.maple.stand_in.per_day", per_day)
    }

    /// Starts hosts and switch and waits until every link is in use; `None` when there is no binary.
    #[must_use]
    pub fn start(mut self) -> Option<Rig> {
        let binary = process::binary()?;
        raise_own_file_limit();
        let canaries = Canaries::default();
        let admin = free_address();
        self = self.set("admin.listen", admin.to_string());
        let acquirers = self.open_doors();
        let (mut issuers, links) = self.start_issuers(&canaries);
        let folder = scratch_folder();
        let own_files = self.write_files(&folder);
        let start = Start {
            binary,
            environment: self.environment.clone(),
            ignores_size_limit: self.ignores_size_limit,
        };
        let process = start.process(&SERVE, &folder);
        for (name, address) in self.listening_issuers() {
            issuers.get_mut(&name).expect("a model issuer").connect(address);
        }
        let rig = Rig {
            process,
            folder,
            own_files,
            admin,
            acquirers,
            issuers,
            canaries,
            proxies: Canaries::default(),
            expected_exit: 0,
            start,
            links,
            is_forgotten: false,
        };
        rig.await_ready(&rig.links);
        Some(rig)
    }

    fn role(mut self, peer: &str, role: Role) -> Setup {
        self.roles.insert(peer.to_owned(), role);
        self
    }

    fn another(mut self, kind: &str, name: &str) -> Setup {
        let peers = self.config[kind].as_array_mut().expect("peers");
        let mut copy = peers[0].as_table().expect("a peer").clone();
        copy.insert("name".into(), name.into());
        peers.push(Value::Table(copy));
        self
    }

    fn open_doors(&mut self) -> BTreeMap<String, Door> {
        let mut doors = BTreeMap::new();
        for acquirer in self.config["acquirer"].as_array_mut().expect("peers") {
            let acquirer = acquirer.as_table_mut().expect("a peer");
            let name = acquirer["name"].as_str().expect("a name").to_owned();
            let way = if self.roles.get(&name) == Some(&Role::TheOtherWay) {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let address = listener.local_addr().expect("bound").to_string();
                acquirer.insert("connect".into(), Value::Array(vec![address.into()]));
                Way::SwitchConnects(listener)
            } else {
                let address = free_address();
                acquirer.insert("listen".into(), address.to_string().into());
                Way::SwitchListens(address)
            };
            doors.insert(name, Door { wire: Wire::of_peer(acquirer), way });
        }
        doors
    }

    /// Model issuers, and the links to wait for.
    fn start_issuers(&mut self, canaries: &Canaries) -> (BTreeMap<String, Issuer>, BTreeMap<String, u32>) {
        let (mut issuers, mut links) = (BTreeMap::new(), BTreeMap::new());
        for table in self.config["issuer"].as_array_mut().expect("peers") {
            let table = table.as_table_mut().expect("a peer");
            let name = table["name"].as_str().expect("a name").to_owned();
            let wire = Wire::of_peer(table);
            let role = self.roles.get(&name).copied().unwrap_or(Role::Addresses(1));
            let issuer = match role {
                Role::Addresses(count) => Issuer::listen(wire, count, canaries.clone()),
                _ => Issuer::silent(wire, canaries.clone()),
            };
            let connect = match role {
                Role::Addresses(_) => issuer.addresses().to_vec(),
                Role::Absent => vec![refusing_address()],
                Role::PlayedAt(address) => vec![address],
                Role::TheOtherWay => Vec::new(),
            };
            if role == Role::TheOtherWay {
                table.insert("listen".into(), free_address().to_string().into());
                links.insert(name.clone(), 1);
            } else {
                let addresses = connect.iter().map(|address| address.to_string().into());
                table.insert("connect".into(), Value::Array(addresses.collect()));
            }
            if let Role::Addresses(count) = role {
                let per_address = table.get("links_per_address").and_then(Value::as_integer).unwrap_or(1);
                let count = count * usize::try_from(per_address).expect("a count");
                links.insert(name.clone(), u32::try_from(count).expect("few"));
            }
            issuers.insert(name, issuer);
        }
        (issuers, links)
    }

    fn listening_issuers(&self) -> Vec<(String, SocketAddr)> {
        let tables = self.config["issuer"].as_array().expect("peers").iter().filter_map(Value::as_table);
        let listening =
            tables.filter_map(|table| Some((table["name"].as_str()?, table.get("listen")?.as_str()?)));
        listening.map(|(name, address)| (name.to_owned(), address.parse().expect("an address"))).collect()
    }

    fn write_files(&self, folder: &Path) -> Vec<PathBuf> {
        let config = [("signalbox.toml".to_owned(), self.config.to_string())];
        let open = self.files.iter().chain(&config).map(|file| (file, 0o644));
        let secret = self.secret_files.iter().map(|file| (file, 0o600));
        let write = |((name, content), mode): (&(String, String), u32)| {
            let path = folder.join(name);
            fs::write(&path, content).expect("a file in our own folder");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
            path
        };
        open.chain(secret).map(write).collect()
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::new()
    }
}

fn peer<'a>(peers: &'a mut [Value], name: &str) -> &'a mut Table {
    let named = |table: &&mut Table| table.get("name").and_then(Value::as_str) == Some(name);
    peers.iter_mut().filter_map(Value::as_table_mut).find(named).unwrap_or_else(|| panic!("no peer {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_sections_peers_and_framings() {
        let setup = Setup::new()
            .acquirer("south")
            .issuer("oak", "99997")
            .set("timers.echo_every", "200ms")
            .set("acquirer.south.window", 2)
            .set("issuer.oak.framing.inclusive", true);
        let text = setup.config.to_string();
        assert!(text.contains("echo_every = \"200ms\""));
        assert_eq!(setup.config["acquirer"][1]["window"].as_integer(), Some(2));
        assert!(!setup.config["acquirer"][0].as_table().expect("a peer").contains_key("window"));
        assert_eq!(setup.config["issuer"][1]["framing"]["inclusive"].as_bool(), Some(true));
        assert_eq!(setup.config["route"][1]["issuer"].as_str(), Some("oak"));
        assert!(text.parse::<Table>().is_ok());
    }
}
