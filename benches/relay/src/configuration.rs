//! What a subject is configured with.

use std::net::SocketAddr;

use crate::requests::ROUTED;

/// How large a switch is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub shards: usize,
    /// From two on the first two have the load.
    pub issuers: usize,
    /// Of the table of card ranges: a power of ten. The load is spread over all of them.
    pub rows: usize,
}

impl Shape {
    /// What is compared with the floor: one issuer with one row.
    pub fn with_shards(shards: usize) -> Self {
        Shape { shards, issuers: 1, rows: 1 }
    }
}

/// The switch, without journal or codes.
pub fn switch(listen: SocketAddr, issuer: SocketAddr, admin: SocketAddr, shape: Shape) -> String {
    let Shape { shards, issuers, rows } = shape;
    let mut text = format!(
        r#"
[switch]
shards = {shards}
[admin]
listen = "{admin}"
token_file = "access.token"
[limits]
connections_max = 20000
connections_per_address_max = 20000
accepts_per_second = 1000000
[[acquirer]]
name = "north"
listen = "{listen}"
dialect = "iso87-ascii"
framing = {{ length = "binary2" }}
plain_tcp = true
connections_max = 20000
"#
    );
    for number in 0..issuers {
        text += &format!(
            r#"[[issuer]]
name = "maple-{number}"
connect = ["{issuer}"]
links_per_address = {shards}
dialect = "iso87-ascii"
framing = {{ length = "binary2" }}
plain_tcp = true
window = 65536
"#
        );
        if number > 1 {
            // A card range of its own, without load.
            text += &format!("[[route]]\niin = \"5{number:05}\"\nissuer = \"maple-{number}\"\n");
        }
    }
    let digits = rows.ilog10() as usize;
    for row in 0..rows {
        let leading = String::from_utf8_lossy(ROUTED);
        let behind = if digits > 0 { format!("{row:0digits$}") } else { String::new() };
        let issuer = row % issuers.min(2);
        text += &format!("[[route]]\niin = \"{leading}{behind}\"\nissuer = \"maple-{issuer}\"\n");
    }
    text
}

/// Its journal. One segment is enough for a run.
pub fn journal(level: &str, segment: &str) -> String {
    format!(
        "[journal]\ndir = \"journal\"\nkey_file = \"journal.key\"\nlevel = \"{level}\"\nsegment = \"{segment}\"\n"
    )
}

/// HAProxy.
pub fn haproxy(listen: SocketAddr, issuer: SocketAddr) -> String {
    format!(
        "global\n  maxconn 4000\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  \
         timeout server 60s\nfrontend f\n  bind {listen}\n  default_backend b\nbackend b\n  server s {issuer}\n"
    )
}
