//! Captures of a network (`tcpdump -w`), as far as a recording needs them: the bytes that each end of each TCP connection
//! sent, in order, and when.
//!
//! What is absent: pcapng (`tcpdump` does not write it, and `editcap -F pcap` makes a pcap of it), fragments of IP packets, IPv6
//! extension headers, and connections with a gap. Their bytes are not guessed: the error names them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

/// What one end of a connection sent.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    /// Up to which byte it had come at which time, ascending, in microseconds.
    arrivals: Vec<(usize, u64)>,
    /// Whether it opened the connection.
    pub(crate) opened: bool,
    /// The number of the next byte.
    next: Option<u32>,
    /// Segments that came before their turn.
    early: BTreeMap<u32, Vec<u8>>,
}

/// A connection: its two ends, each with what it sent.
pub(crate) struct Connection {
    pub(crate) ends: [SocketAddr; 2],
    pub(crate) streams: [Stream; 2],
}

/// Whether a file begins as a capture does.
pub(crate) fn is_capture(file: &[u8]) -> bool {
    Order::of(file).is_some()
}

/// How numbers stand in the file, and how fine its times are.
#[derive(Clone, Copy)]
struct Order {
    little: bool,
    /// Of a microsecond.
    parts: u64,
}

impl Order {
    fn of(file: &[u8]) -> Option<Order> {
        let (little, parts) = match file.first_chunk::<4>()? {
            [0xA1, 0xB2, 0xC3, 0xD4] => (false, 1),
            [0xD4, 0xC3, 0xB2, 0xA1] => (true, 1),
            [0xA1, 0xB2, 0x3C, 0x4D] => (false, 1_000),
            [0x4D, 0x3C, 0xB2, 0xA1] => (true, 1_000),
            _ => return None,
        };
        Some(Order { little, parts })
    }

    fn number(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }
}

/// Bytes of the head of a file, and of a packet in it.
const FILE_HEAD: usize = 24;
const PACKET_HEAD: usize = 16;

/// The connections of a capture, in the order in which they were first seen.
pub(crate) fn read(file: &[u8]) -> Result<Vec<Connection>, String> {
    let order = Order::of(file).ok_or("no capture")?;
    let link_type = order.number(file, 20).ok_or("the capture has no head")? & 0xFFFF;
    let mut connections: Vec<Connection> = Vec::new();
    let mut known: HashMap<[SocketAddr; 2], usize> = HashMap::new();
    let mut at = FILE_HEAD;
    while let Some(length) = order.number(file, at + 8) {
        let (Some(seconds), Some(parts)) = (order.number(file, at), order.number(file, at + 4)) else {
            break;
        };
        let start = at + PACKET_HEAD;
        // A capture that was cut off ends in the middle of a packet.
        let Some(packet) = file.get(start..start + length as usize) else { break };
        at = start + length as usize;
        let Some(segment) = ip_packet(link_type, packet)?.and_then(segment) else { continue };
        let (ends, side) = if segment.from <= segment.to {
            ([segment.from, segment.to], 0)
        } else {
            ([segment.to, segment.from], 1)
        };
        // The same two ports once more are another connection.
        if segment.opens {
            known.remove(&ends);
        }
        let number = *known.entry(ends).or_insert_with(|| {
            connections.push(Connection { ends, streams: Default::default() });
            connections.len() - 1
        });
        let at_us = u64::from(seconds) * 1_000_000 + u64::from(parts) / order.parts;
        connections[number].streams[side].take(&segment, at_us);
    }
    match connections
        .iter()
        .find(|connection| connection.streams.iter().any(|stream| !stream.early.is_empty()))
    {
        Some(gap) => {
            Err(format!("between {} and {} a part of what was sent is missing", gap.ends[0], gap.ends[1]))
        }
        None => Ok(connections),
    }
}

/// What stands behind the head of the link layer, where that is IP.
fn ip_packet(link_type: u32, packet: &[u8]) -> Result<Option<&[u8]>, String> {
    let behind = |at: usize, kind_at: usize| {
        let kind = packet.get(kind_at..)?.first_chunk::<2>()?;
        // A tag of a virtual network stands in between.
        let tagged = *kind == [0x81, 0x00];
        let kind = if tagged { packet.get(kind_at + 4..)?.first_chunk::<2>()? } else { kind };
        let is_ip = matches!(kind, [0x08, 0x00] | [0x86, 0xDD]);
        packet.get(at + if tagged { 4 } else { 0 }..).filter(|_| is_ip)
    };
    match link_type {
        1 => Ok(behind(14, 12)),
        // Linux' "any": two forms.
        113 => Ok(behind(16, 14)),
        276 => Ok(behind(20, 0)),
        // BSD's loopback.
        0 => Ok(packet.get(4..)),
        12 | 101 | 228 | 229 => Ok(Some(packet)),
        other => {
            Err(format!("link type {other} is not known: Ethernet, Linux' any, loopback and bare IP are"))
        }
    }
}

/// A piece of a TCP connection.
struct Segment<'a> {
    from: SocketAddr,
    to: SocketAddr,
    number: u32,
    opens: bool,
    /// Opens, or agrees to.
    is_first: bool,
    bytes: &'a [u8],
}

fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let (from, to, tcp): (IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let head = usize::from(packet[0] & 0x0F) * 4;
            let length = usize::from(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?));
            let whole = packet.get(6..8).is_some_and(|place| place[0] & 0x3F == 0 && place[1] == 0);
            let address =
                |at: usize| packet.get(at..)?.first_chunk::<4>().map(|address| IpAddr::from(*address));
            // A length of zero is left to the network card.
            let end = if length == 0 { packet.len() } else { length };
            (whole && packet.get(9) == Some(&6)).then_some((
                address(12)?,
                address(16)?,
                packet.get(head..end)?,
            ))?
        }
        6 => {
            let length = usize::from(u16::from_be_bytes(*packet.get(4..)?.first_chunk()?));
            let address =
                |at: usize| packet.get(at..)?.first_chunk::<16>().map(|address| IpAddr::from(*address));
            let end = if length == 0 { packet.len() } else { 40 + length };
            (packet.get(6) == Some(&6)).then_some((address(8)?, address(24)?, packet.get(40..end)?))?
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(*tcp.get(at..)?.first_chunk()?));
    let flags = *tcp.get(13)?;
    let head = usize::from(tcp.get(12)? >> 4) * 4;
    Some(Segment {
        from: SocketAddr::new(from, port(0)?),
        to: SocketAddr::new(to, port(2)?),
        number: u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?),
        opens: flags & 0x12 == 0x02,
        is_first: flags & 0x02 != 0,
        bytes: tcp.get(head..)?,
    })
}

impl Stream {
    fn take(&mut self, segment: &Segment<'_>, at_us: u64) {
        self.opened |= segment.opens;
        if segment.is_first {
            self.next = Some(segment.number.wrapping_add(1));
            return;
        }
        if segment.bytes.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(segment.number);
        if is_before(next, segment.number) {
            self.early.insert(segment.number, segment.bytes.to_vec());
            return;
        }
        self.append(segment.number, segment.bytes, at_us);
        // What came early may be next now.
        while let Some(next) = self.next
            && let Some(number) = self.early.keys().copied().find(|number| !is_before(next, *number))
            && let Some(bytes) = self.early.remove(&number)
        {
            self.append(number, &bytes, at_us);
        }
    }

    /// Appends what is new of a segment that begins at the next byte or before it.
    fn append(&mut self, number: u32, bytes: &[u8], at_us: u64) {
        let Some(next) = self.next else { return };
        let known = next.wrapping_sub(number) as usize;
        if let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) {
            self.bytes.extend_from_slice(new);
            self.next = Some(next.wrapping_add(new.len() as u32));
            self.arrivals.push((self.bytes.len(), at_us));
        }
    }

    /// When everything up to a byte had come.
    pub(crate) fn arrived_us(&self, bytes: usize) -> u64 {
        let at = self.arrivals.partition_point(|(end, _)| *end < bytes);
        self.arrivals.get(at).map_or(0, |(_, at_us)| *at_us)
    }
}

/// Whether one number comes before another; numbers wrap.
fn is_before(one: u32, other: u32) -> bool {
    (other.wrapping_sub(one) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture of bare IP: port from, port to, number, flags, bytes.
    fn capture(segments: &[(u16, u16, u32, u8, &[u8])]) -> Vec<u8> {
        let mut file = [0xD4, 0xC3, 0xB2, 0xA1].to_vec();
        file.extend([0; 16]);
        file.extend(101_u32.to_le_bytes());
        for (at, (from, to, number, flags, bytes)) in segments.iter().enumerate() {
            let mut packet = vec![
                0x45,
                0,
                0,
                40 + bytes.len() as u8,
                0,
                0,
                0x40,
                0,
                64,
                6,
                0,
                0,
                10,
                0,
                0,
                1,
                10,
                0,
                0,
                1,
            ];
            packet.extend(from.to_be_bytes().into_iter().chain(to.to_be_bytes()).chain(number.to_be_bytes()));
            packet.extend([0, 0, 0, 0, 0x50, *flags, 0, 0, 0, 0, 0, 0]);
            packet.extend(*bytes);
            for number in [1, at as u32, packet.len() as u32, packet.len() as u32] {
                file.extend(number.to_le_bytes());
            }
            file.extend(packet);
        }
        file
    }

    #[test]
    fn bytes_come_in_order_whatever_the_network_did() {
        let file = capture(&[
            (4000, 7001, u32::MAX, 0x02, b""),
            (7001, 4000, 99, 0x12, b""),
            (4000, 7001, 0, 0x10, b"abc"),
            // Overtaken, and sent again with more.
            (4000, 7001, 5, 0x10, b"fg"),
            (4000, 7001, 2, 0x10, b"cde"),
            (4000, 7001, 0, 0x10, b"abc"),
            (7001, 4000, 100, 0x10, b"xyz"),
        ]);
        let connections = read(&file).unwrap();
        let [one] = &connections[..] else { panic!("{}", connections.len()) };
        let [client, host] = &one.streams;
        assert_eq!((&client.bytes[..], &host.bytes[..]), (&b"abcdefg"[..], &b"xyz"[..]));
        assert!(client.opened && !host.opened);
        assert_eq!([1, 3, 4, 7].map(|bytes| client.arrived_us(bytes) - 1_000_000), [2, 2, 4, 4]);
    }

    #[test]
    fn a_gap_is_named_and_other_packets_are_passed_over() {
        let file =
            capture(&[(4000, 7001, 0, 0x02, b""), (4000, 7001, 1, 0x10, b"a"), (4000, 7001, 3, 0x10, b"c")]);
        let said = read(&file).err().unwrap();
        assert!(said.contains("10.0.0.1:4000 and 10.0.0.1:7001"), "{said}");
        let mut other = capture(&[(4000, 7001, 0, 0x10, b"a")]);
        // UDP.
        other[FILE_HEAD + PACKET_HEAD + 9] = 17;
        assert!(read(&other).unwrap().is_empty());
        // Any beginning of a capture is one that was cut off.
        (4..file.len()).for_each(|end| drop(read(&file[..end])));
        assert!(!is_capture(b"{\"at_us\""));
    }
}
