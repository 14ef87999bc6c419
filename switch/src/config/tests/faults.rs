//! A table of bad configurations. Each case changes lines of a sound one and names every fault that follows,
//! with its line and column.

use super::read;

pub(super) const SOUND: &str = r#"[switch]
shards = 1
[timers]
frame = "5s"
[[acquirer]]
name = "north"
listen = "127.0.0.1:7001"
plain_tcp = true
patience = "15s"
[[issuer]]
name = "maple"
connect = ["127.0.0.1:7101"]
plain_tcp = true
timeout = "10s"
[[issuer]]
name = "oak"
listen = "127.0.0.1:7200"
plain_tcp = true
[[route]]
iin = "99996"
issuer = "maple"
alternates = ["oak"]
"#;

/// Replaces lines of the sound configuration, counted from 1, and compares the faults.
fn check(changes: &[(usize, &str)], faults: &[&str]) {
    let mut lines: Vec<&str> = SOUND.lines().collect();
    for (line, text) in changes {
        lines[line - 1] = text;
    }
    let found = read(&lines.join("\n")).map(|_| ()).unwrap_err();
    let expected: Vec<String> = faults.iter().map(|fault| format!("f.toml:{fault}")).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{changes:?}");
}

#[test]
fn the_sound_one_is_sound() {
    assert!(read(SOUND).unwrap().warnings.is_empty());
}

#[test]
fn numbers_and_units() {
    check(&[(2, "shards = 0")], &["2:10: found shards = 0, expected a whole number, from 1 to 64"]);
    check(&[(2, "shards = 65")], &["2:10: found shards = 65, expected a whole number, from 1 to 64"]);
    check(
        &[(2, r#"shards = "two""#)],
        &[r#"2:10: found shards = "two", expected a whole number, from 1 to 64"#],
    );
    check(&[(2, "shards = -1")], &["2:10: found shards = -1, expected a whole number, from 1 to 64"]);
    check(&[(2, "shards = 1.5")], &["2:10: found shards = 1.5, expected a whole number, from 1 to 64"]);
    check(
        &[(2, "shards = 99999999999999999999")],
        &["2:10: found shards = 99999999999999999999, expected a smaller number"],
    );
    check(
        &[(2, "pending_max = 0")],
        &["2:15: found pending_max = 0, expected a whole number, from 1 to 16777216"],
    );
    check(
        &[(2, "recent_entries = 67108865")],
        &["2:18: found recent_entries = 67108865, expected a whole number, from 1 to 67108864"],
    );
    check(
        &[(2, r#"recent_window = "73h""#)],
        &[
            r#"2:17: found recent_window = "73h", expected a duration such as "250ms" or "15m", from "1ms" to "72h""#,
        ],
    );
    check(
        &[(2, "drain_grace = 15")],
        &[
            r#"2:15: found drain_grace = 15, expected a duration such as "250ms" or "15m", from "0ms" to "1h""#,
        ],
    );
    check(
        &[(4, r#"frame = "0ms""#)],
        &[r#"4:9: found frame = "0ms", expected a duration such as "250ms" or "15m", from "1ms" to "1h""#],
    );
    check(
        &[(4, r#"frame = "5 s""#)],
        &[r#"4:9: found frame = "5 s", expected a duration such as "250ms" or "15m", from "1ms" to "1h""#],
    );
    check(
        &[(4, r#"frame = ["5s"]"#)],
        &[r#"4:9: found a list for frame, expected a duration such as "250ms" or "15m", from "1ms" to "1h""#],
    );
    check(
        &[(4, "frame = { seconds = 5 }")],
        &[r#"4:9: found a table, expected a duration such as "250ms" or "15m", from "1ms" to "1h""#],
    );
    check(
        &[(1, "[limits]"), (2, r#"output_bytes_max = "1MB""#)],
        &[
            r#"2:20: found output_bytes_max = "1MB", expected a size such as "512B" or "4KiB", from "4KiB" to "64MiB""#,
        ],
    );
    check(
        &[(1, "[limits]"), (2, r#"output_bytes_max = "1KiB""#)],
        &[
            r#"2:20: found output_bytes_max = "1KiB", expected a size such as "512B" or "4KiB", from "4KiB" to "64MiB""#,
        ],
    );
    check(
        &[(1, "[limits]"), (2, "connections_max = 0")],
        &["2:19: found connections_max = 0, expected a whole number, from 1 to 65535"],
    );
    check(
        &[(9, "window = 65537")],
        &["9:10: found window = 65537, expected a whole number, from 1 to 65536"],
    );
    check(
        &[(9, "requests_per_second = -5")],
        &["9:23: found requests_per_second = -5, expected a whole number, from 0 to 10000000"],
    );
    check(
        &[(14, "links_per_address = 0")],
        &["14:21: found links_per_address = 0, expected a whole number, from 1 to 64"],
    );
    check(&[(14, r#"echo = "no""#)], &[r#"14:8: found echo = "no", expected true or false"#]);
}

#[test]
fn words() {
    check(
        &[(1, "[journal]"), (2, r#"level = "group""#)],
        &[
            r#"1:1: found no "dir", expected dir = "...""#,
            r#"1:1: found no "key_file", expected key_file = "...""#,
            r#"2:9: found unknown level "group", expected one of sync, written"#,
        ],
    );
    check(
        &[(2, "approval_codes = []")],
        &["2:18: found approval_codes = [], expected at least one code, or nothing would ever be approved"],
    );
    check(
        &[(2, r#"approval_codes = ["00", "0", 10]"#)],
        &[
            r#"2:25: found "0" in approval_codes, expected a response code of two or three letters or digits"#,
            "2:30: found 10 in approval_codes, expected a text in quotes",
        ],
    );
    check(
        &[(6, r#"name = "North""#)],
        &[r#"6:8: found name = "North", expected 1 to 32 of a-z, 0-9, "-" and "_""#],
    );
    check(&[(6, r#"name = """#)], &[r#"6:8: found name = "", expected 1 to 32 of a-z, 0-9, "-" and "_""#]);
    check(
        &[(6, r#"name = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn""#)],
        &[
            r#"6:8: found name = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", expected 1 to 32 of a-z, 0-9, "-" and "_""#,
        ],
    );
    check(&[(6, "")], &[r#"5:1: found no "name", expected name = "...""#]);
    check(
        &[(11, r#"name = "north""#)],
        &[
            r#"11:8: found "north" again, expected a name that no other acquirer or issuer has"#,
            r#"21:10: found unknown issuer "maple", expected one of north, oak"#,
        ],
    );
    check(
        &[(16, r#"name = "maple""#)],
        &[
            r#"16:8: found "maple" again, expected a name that no other acquirer or issuer has"#,
            r#"22:15: found unknown issuer "oak", expected one of maple, maple"#,
        ],
    );
    check(
        &[(9, r#"mtis = ["0100", "0110", "0101", "1100", "01"]"#)],
        &[
            r#"9:17: found "0110" in mtis, expected a request or advice of the dialect's edition without repeat mark, such as "0100""#,
            r#"9:25: found "0101" in mtis, expected a request or advice of the dialect's edition without repeat mark, such as "0100""#,
            r#"9:33: found "1100" in mtis, expected a request or advice of the dialect's edition without repeat mark, such as "0100""#,
            r#"9:41: found "01" in mtis, expected a request or advice of the dialect's edition without repeat mark, such as "0100""#,
        ],
    );
    check(
        &[(9, r#"acquirer_ids = ["100001", "123456789012", "x", 7]"#)],
        &[
            r#"9:27: found "123456789012" in acquirer_ids, expected 1 to 11 digits"#,
            r#"9:43: found "x" in acquirer_ids, expected 1 to 11 digits"#,
            "9:48: found 7 in acquirer_ids, expected a text in quotes",
        ],
    );
    check(
        &[(9, r#"forwarder_ids = [""]"#)],
        &[r#"9:18: found "" in forwarder_ids, expected 1 to 11 digits"#],
    );
    check(&[(9, r#"iins = ["99996", "9x"]"#)], &[r#"9:18: found "9x" in iins, expected 1 to 11 digits"#]);
    check(
        &[(9, r#"terminals = ["", "TERMINAL1", "ä"]"#)],
        &[
            r#"9:14: found "" in terminals, expected 1 to 8 printable characters"#,
            r#"9:18: found "TERMINAL1" in terminals, expected 1 to 8 printable characters"#,
            r#"9:31: found "ä" in terminals, expected 1 to 8 printable characters"#,
        ],
    );
    check(
        &[(9, r#"response_codes = { issuer_time_out = "68" }"#)],
        &[
            r#"9:20: found unknown reason "issuer_time_out", expected one of format_error, not_supported, not_allowed, luhn_failed, duplicate_other_content, tombstoned, reversal_mismatch, over_reversal, draining, overloaded, expired_card, invalid_amount, security_violation, unknown_card, card_blocked, track_mismatch, atc_unknown, atc_used, atc_dead, atc_expired, code_mismatch, challenge_required, challenge_unknown, challenge_expired, challenge_consumed, response_mismatch, challenge_locked, token_unavailable, no_route, issuer_down, issuer_window_full, issuer_timed_out, invalid_answer, store_unavailable, issuer_declined; did you mean "issuer_timed_out"?"#,
        ],
    );
    check(
        &[(9, r#"response_codes = { no_route = "00" }"#)],
        &[r#"9:31: found "00", which approves, expected a code that declines"#],
    );
    check(
        &[(9, r#"response_codes = { no_route = "912", luhn_failed = 14 }"#)],
        &[
            r#"9:31: found no_route = "912", expected a response code of two letters or digits"#,
            "9:52: found luhn_failed = 14, expected a text in quotes",
        ],
    );
}

#[test]
fn unknown_keys() {
    check(
        &[(1, "[swich]")],
        &[
            r#"1:2: found unknown key "swich", expected one of switch, admin, console, log, limits, timers, journal, acquirer, issuer, route, hsm, program; did you mean "switch"?"#,
        ],
    );
    check(
        &[(2, "shard = 1")],
        &[
            r#"2:1: found unknown key "shard", expected one of profile, shards, pending_max, recent_entries, recent_window, drain_grace, approval_codes; did you mean "shards"?"#,
        ],
    );
    check(
        &[(2, "colour = 1")],
        &[
            r#"2:1: found unknown key "colour", expected one of profile, shards, pending_max, recent_entries, recent_window, drain_grace, approval_codes"#,
        ],
    );
    check(
        &[(9, r#"patence = "15s""#)],
        &[
            r#"9:1: found unknown key "patence", expected one of name, listen, connect, dialect, framing, plain_tcp, plain_tcp_beyond_loopback, tls, sign_on, connections_max, window, requests_per_second, partial_approvals, acquirer_ids, forwarder_ids, mtis, iins, terminals, patience, mac, response_codes; did you mean "patience"?"#,
        ],
    );
    check(
        &[(9, r#"framing = { lenght = "bcd2" }"#)],
        &[
            r#"9:13: found unknown key "lenght", expected one of length, inclusive, header_bytes, max, keep_alive; did you mean "length"?"#,
        ],
    );
    check(
        &[(2, "a = 1\nb = 2\nc.d = 3")],
        &[
            r#"2:1: found unknown key "a", expected one of profile, shards, pending_max, recent_entries, recent_window, drain_grace, approval_codes"#,
            r#"3:1: found unknown key "b", expected one of profile, shards, pending_max, recent_entries, recent_window, drain_grace, approval_codes"#,
            r#"4:1: found unknown key "c", expected one of profile, shards, pending_max, recent_entries, recent_window, drain_grace, approval_codes"#,
        ],
    );
    check(
        &[(19, "[[rout]]")],
        &[
            r#"19:3: found unknown key "rout", expected one of switch, admin, console, log, limits, timers, journal, acquirer, issuer, route, hsm, program; did you mean "route"?"#,
        ],
    );
}

#[test]
fn forms() {
    check(&[(1, "switch = 1"), (2, "")], &["1:10: found switch = 1, expected a table"]);
    check(
        &[(5, "[acquirer]")],
        &[
            "1:1: found no acquirer, expected at least one [[acquirer]]",
            "5:1: found a table, expected a list: [[...]] for each table of it",
        ],
    );
    check(&[(9, r#"framing = "bcd2""#)], &[r#"9:11: found framing = "bcd2", expected a table"#]);
    check(&[(9, r#"iins = "99996""#)], &[r#"9:8: found iins = "99996", expected a list"#]);
    check(&[(9, "tls = []")], &["9:7: found a list for tls, expected a table"]);
    check(&[(2, "shards = ")], &["2:10: found string values must be quoted, expected literal string"]);
    check(
        &[(2, "shards = 1\nshards = 2")],
        &["3:1: found a key for the second time, expected each key once"],
    );
}

#[test]
fn framing() {
    check(
        &[(9, r#"framing = { length = "binary3" }"#)],
        &[
            r#"9:22: found unknown length form "binary3", expected one of binary2, binary4, bcd2, ascii4; did you mean "binary2"?"#,
        ],
    );
    check(
        &[(9, r#"framing = { max = "63B" }"#)],
        &[r#"9:19: found max = "63B", expected a size such as "512B" or "4KiB", from "64B" to "64KiB""#],
    );
    check(
        &[(9, r#"framing = { max = "65KiB" }"#)],
        &[r#"9:19: found max = "65KiB", expected a size such as "512B" or "4KiB", from "64B" to "64KiB""#],
    );
    check(
        &[(9, "framing = { header_bytes = 256 }")],
        &["9:28: found header_bytes = 256, expected a whole number, from 0 to 255"],
    );
    check(
        &[(9, r#"framing = { header_bytes = 64, max = "64B" }"#)],
        &["9:28: found a header of 64 bytes in frames of at most 64, expected room for a message behind it"],
    );
    check(&[(9, "framing = { inclusive = 1 }")], &["9:25: found inclusive = 1, expected true or false"]);
}

#[test]
fn doors() {
    check(&[(7, "")], &["5:1: found neither listen nor connect, expected either listen or connect"]);
    check(
        &[(7, "listen = \"127.0.0.1:7001\"\nconnect = [\"127.0.0.1:7002\"]")],
        &["8:11: found both listen and connect, expected either listen or connect"],
    );
    check(
        &[(7, r#"listen = "localhost:7001""#)],
        &[
            r#"7:10: found listen = "localhost:7001", expected an IP address and a port such as "127.0.0.1:7001""#,
        ],
    );
    check(
        &[(7, r#"listen = "127.0.0.1""#)],
        &[r#"7:10: found listen = "127.0.0.1", expected an IP address and a port such as "127.0.0.1:7001""#],
    );
    check(
        &[(17, r#"listen = "127.0.0.1:7001""#)],
        &[
            r#"17:10: found 127.0.0.1:7001, but acquirer "north" listens on 127.0.0.1:7001, expected an address of its own for each listener"#,
        ],
    );
    check(
        &[(1, "[admin]"), (2, r#"listen = "127.0.0.1:7001""#)],
        &[
            "7:10: found 127.0.0.1:7001, but admin listens on 127.0.0.1:7001, expected an address of its own for each listener",
        ],
    );
    check(
        &[(17, "plain_tcp_beyond_loopback = true\nlisten = \"0.0.0.0:7001\"")],
        &[
            r#"18:10: found 0.0.0.0:7001, but acquirer "north" listens on 127.0.0.1:7001, expected an address of its own for each listener"#,
        ],
    );
    check(
        &[(12, "connect = []")],
        &[r#"12:11: found connect = [], expected a host and a port such as "10.0.0.7:7001""#],
    );
    check(
        &[(12, r#"connect = ["127.0.0.1:7101", "127.0.0.1:7101"]"#)],
        &[r#"12:30: found "127.0.0.1:7101" twice, expected each address once"#],
    );
    check(
        &[(12, r#"connect = ["127.0.0.1", "a b:1", ":1", "[::1:1", "a:65536", 7, "a:0", "a:+1"]"#)],
        &[
            r#"12:12: found "127.0.0.1" in connect, expected a host and a port such as "10.0.0.7:7001""#,
            r#"12:25: found "a b:1" in connect, expected a host and a port such as "10.0.0.7:7001""#,
            r#"12:34: found ":1" in connect, expected a host and a port such as "10.0.0.7:7001""#,
            r#"12:40: found "[::1:1" in connect, expected a host and a port such as "10.0.0.7:7001""#,
            r#"12:50: found "a:65536" in connect, expected a host and a port such as "10.0.0.7:7001""#,
            "12:61: found 7 in connect, expected a text in quotes",
            r#"12:64: found "a:0" in connect, expected a host and a port such as "10.0.0.7:7001""#,
            r#"12:64: found plain TCP with "a:0", which is not on loopback, expected tls, or plain_tcp_beyond_loopback = true as well"#,
            r#"12:71: found "a:+1" in connect, expected a host and a port such as "10.0.0.7:7001""#,
        ],
    );
    check(
        &[(1, "[admin]"), (2, r#"listen = "0.0.0.0:9464""#)],
        &[
            r#"2:10: found listen = "0.0.0.0:9464", expected a loopback address: this door asks nobody who they are"#,
        ],
    );
}

#[test]
fn plain_tcp() {
    check(&[(8, "")], &["5:1: found neither tls nor plain_tcp = true, expected one of them"]);
    check(
        &[(8, "plain_tcp = false")],
        &["5:1: found neither tls nor plain_tcp = true, expected one of them"],
    );
    check(
        &[(8, "plain_tcp = true\ntls = {}")],
        &[
            "9:7: found both tls and plain_tcp = true, expected one of them",
            r#"9:7: found no "certificate", expected certificate = "...""#,
            r#"9:7: found no "key", expected key = "...""#,
            r#"9:7: found no "ca", expected ca = "...""#,
            r#"9:7: found no "peer_name", expected peer_name = "...""#,
        ],
    );
    check(
        &[(7, r#"listen = "0.0.0.0:7001""#)],
        &[
            r#"7:10: found plain TCP with "0.0.0.0:7001", which is not on loopback, expected tls, or plain_tcp_beyond_loopback = true as well"#,
        ],
    );
    check(
        &[(7, r#"listen = "10.0.0.1:7001""#)],
        &[
            r#"7:10: found plain TCP with "10.0.0.1:7001", which is not on loopback, expected tls, or plain_tcp_beyond_loopback = true as well"#,
        ],
    );
    check(
        &[(7, r#"listen = "[::]:7001""#)],
        &[
            r#"7:10: found plain TCP with "[::]:7001", which is not on loopback, expected tls, or plain_tcp_beyond_loopback = true as well"#,
        ],
    );
    check(
        &[(12, r#"connect = ["127.0.0.1:1", "10.0.0.1:2", "maple.example:3"]"#)],
        &[
            r#"12:27: found plain TCP with "10.0.0.1:2", which is not on loopback, expected tls, or plain_tcp_beyond_loopback = true as well"#,
            r#"12:41: found plain TCP with "maple.example:3", which is not on loopback, expected tls, or plain_tcp_beyond_loopback = true as well"#,
        ],
    );
    check(
        &[(8, "plain_tcp_beyond_loopback = true")],
        &["5:1: found neither tls nor plain_tcp = true, expected one of them"],
    );
}

#[test]
fn relations() {
    check(
        &[(9, r#"patience = "10s""#)],
        &[
            r#"9:12: found patience "10s" of acquirer "north" and timeout "10s" of issuer "maple", expected a patience longer than the timeout of every issuer"#,
            r#"9:12: found patience "10s" of acquirer "north" and timeout "10s" of issuer "oak", expected a patience longer than the timeout of every issuer"#,
        ],
    );
    check(
        &[(14, r#"timeout = "15s""#)],
        &[
            r#"9:12: found patience "15s" of acquirer "north" and timeout "15s" of issuer "maple", expected a patience longer than the timeout of every issuer"#,
        ],
    );
    check(
        &[(9, ""), (14, r#"timeout = "20s""#)],
        &[
            r#"14:11: found patience "15s" of acquirer "north" and timeout "20s" of issuer "maple", expected a patience longer than the timeout of every issuer"#,
        ],
    );
    check(
        &[(4, r#"reconnect_min = "11s""#)],
        &[
            r#"4:17: found reconnect_min "11s" above reconnect_max "10s", expected reconnect_min no longer than reconnect_max"#,
        ],
    );
    check(
        &[(4, r#"reconnect_max = "99ms""#)],
        &[
            r#"4:17: found reconnect_min "100ms" above reconnect_max "99ms", expected reconnect_min no longer than reconnect_max"#,
        ],
    );
    check(
        &[(4, "reconnect_min = \"2s\"\nreconnect_max = \"1s\"")],
        &[
            r#"5:17: found reconnect_min "2s" above reconnect_max "1s", expected reconnect_min no longer than reconnect_max"#,
        ],
    );
    check(
        &[(9, r#"dialect = "iso93-ascii""#)],
        &[
            r#"10:1: found dialect "iso87-ascii" of 1987 beside others of 1993, expected one edition for all: they are not converted into each other yet"#,
            r#"15:1: found dialect "iso87-ascii" of 1987 beside others of 1993, expected one edition for all: they are not converted into each other yet"#,
        ],
    );
    check(
        &[(14, r#"dialect = "iso93-binary""#), (18, "plain_tcp = true\ndialect = \"iso87-binary\"")],
        &[
            r#"14:11: found dialect "iso93-binary" of 1993 beside others of 1987, expected one edition for all: they are not converted into each other yet"#,
        ],
    );
    check(
        &[(9, r#"dialect = "iso87-asci""#)],
        &[
            r#"9:11: found unknown dialect "iso87-asci", expected one of iso87-ascii, iso87-binary, iso87-ebcdic, iso93-ascii, iso93-binary, the path of a .toml file; did you mean "iso87-ascii"?"#,
        ],
    );
    check(
        &[(9, r#"dialect = "missing.toml""#)],
        &[
            "9:11: found missing.toml: No such file or directory (os error 2), expected a TOML file that can be read",
        ],
    );
}

#[test]
fn routes() {
    check(
        &[(21, r#"issuer = "mapel""#)],
        &[r#"21:10: found unknown issuer "mapel", expected one of maple, oak; did you mean "maple"?"#],
    );
    check(
        &[(21, r#"issuer = "elm""#)],
        &[r#"21:10: found unknown issuer "elm", expected one of maple, oak"#],
    );
    check(&[(21, "")], &[r#"19:1: found no "issuer", expected issuer = "...""#]);
    check(&[(21, "issuer = 7")], &["21:10: found issuer = 7, expected a text in quotes"]);
    check(&[(20, "")], &[r#"19:1: found no "iin", expected iin = "...""#]);
    check(&[(20, r#"iin = """#)], &[r#"20:7: found iin = "", expected 1 to 11 digits"#]);
    check(
        &[(20, r#"iin = "123456789012""#)],
        &[r#"20:7: found iin = "123456789012", expected 1 to 11 digits"#],
    );
    check(&[(20, "iin = 99996")], &["20:7: found iin = 99996, expected a text in quotes"]);
    check(
        &[(22, "[[route]]\niin = \"99996\"\nissuer = \"oak\"")],
        &["23:7: found a second route for 99996, expected one route for each prefix"],
    );
    check(
        &[(22, r#"alternates = ["maple"]"#)],
        &[r#"22:15: found issuer "maple" twice, expected each issuer of a route once"#],
    );
    check(
        &[(22, r#"alternates = ["oak", "oak"]"#)],
        &[r#"22:22: found issuer "oak" twice, expected each issuer of a route once"#],
    );
    check(
        &[(22, r#"alternates = ["elm", 3]"#)],
        &[
            r#"22:15: found unknown issuer "elm", expected one of maple, oak"#,
            "22:22: found 3 in alternates, expected a text in quotes",
        ],
    );
}

#[test]
fn a_window_holds_one_request_for_each_shard() {
    let with = |window: u32| {
        let text = SOUND.replace("[[issuer]]", &format!("[[issuer]]\nwindow = {window}"));
        read(&text.replace("shards = 1", "shards = 4")).map(|_| ())
    };
    assert_eq!(with(4), Ok(()));
    assert!(with(3).unwrap_err().contains("a window smaller than the number of shards, 4"));
}
