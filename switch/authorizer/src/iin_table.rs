//! Card-number prefixes to issuers, the longest prefix first.
//!
//! Prefixes of 1 to 11 digits become ranges of the first eleven digits, cut where a longer prefix lies
//! inside a shorter one, sorted: a look-up is one binary search over a flat list, and never more than one
//! range fits.

use alloc::vec::Vec;

use codecs::value::{Iin, Pan};

use crate::event::IssuerId;

/// Digits of a card number that may decide its route (ISO/IEC 7812-1: 8 digits of IIN; some networks
/// route account ranges by up to 11).
const DIGITS: usize = 11;

/// Who answers for a card range: the first that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The issuer, then its alternates.
    pub issuers: Vec<IssuerId>,
}

/// What belongs to card ranges: of the routing table, a [`Route`] each.
#[derive(Clone, Debug)]
pub struct IinTable<T = Route> {
    /// First value of each range, ascending.
    starts: Vec<u64>,
    /// Last value of each range and the index of its route.
    ends: Vec<(u64, u32)>,
    routes: Vec<T>,
}

impl<T> Default for IinTable<T> {
    fn default() -> Self {
        Self { starts: Vec::new(), ends: Vec::new(), routes: Vec::new() }
    }
}

impl<T> IinTable<T> {
    /// Builds the table. Of two equal prefixes the later one wins.
    #[must_use]
    pub fn new(rows: Vec<(Iin, T)>) -> Self {
        let mut table = Self::default();
        let mut spans: Vec<(u64, u64, u32)> = Vec::with_capacity(rows.len());
        for (iin, route) in rows {
            let (low, high) = span(iin.digits());
            spans.push((low, high, u32::try_from(table.routes.len()).unwrap_or(u32::MAX)));
            table.routes.push(route);
        }
        // Wider ranges first at one start; a stable sort keeps the later of two equal ones behind.
        spans.sort_by_key(|(low, high, _)| (*low, u64::MAX.saturating_sub(*high)));
        let mut open: Vec<(u64, u32)> = Vec::new();
        let mut from = 0_u64;
        for (low, high, route) in spans {
            table.close_before(&mut open, &mut from, low);
            if let Some((_, outer)) = open.last() {
                table.push(from, low.checked_sub(1), *outer);
            }
            from = low;
            open.push((high, route));
        }
        table.close_before(&mut open, &mut from, u64::MAX);
        table
    }

    /// The route of a card, by the longest prefix that fits.
    #[must_use]
    pub fn route(&self, pan: &Pan) -> Option<&T> {
        let (value, _) = span(pan.iin_digits());
        let after = self.starts.partition_point(|start| *start <= value);
        let (end, route) = self.ends.get(after.checked_sub(1)?)?;
        if value > *end {
            return None;
        }
        self.routes.get(usize::try_from(*route).ok()?)
    }

    /// How many ranges the prefixes made.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether no card has a route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Ends every open range that lies before `low`, innermost first.
    fn close_before(&mut self, open: &mut Vec<(u64, u32)>, from: &mut u64, low: u64) {
        while let Some((high, route)) = open.last().copied() {
            if high >= low {
                break;
            }
            self.push(*from, Some(high), route);
            *from = (*from).max(high.saturating_add(1));
            open.pop();
        }
    }

    fn push(&mut self, from: u64, to: Option<u64>, route: u32) {
        if let Some(to) = to.filter(|to| from <= *to) {
            self.starts.push(from);
            self.ends.push((to, route));
        }
    }
}

/// The first and the last eleven-digit number that begin with these digits.
fn span(digits: &[u8]) -> (u64, u64) {
    let mut low = 0_u64;
    let mut high = 0_u64;
    for place in 0..DIGITS {
        let digit = digits.get(place).map(|digit| u64::from(digit.wrapping_sub(b'0')));
        low = low.wrapping_mul(10).wrapping_add(digit.unwrap_or(0));
        high = high.wrapping_mul(10).wrapping_add(digit.unwrap_or(9));
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, u16)]) -> IinTable<Route> {
        IinTable::new(
            rows.iter()
                .map(|(iin, issuer)| {
                    (Iin::parse(iin.as_bytes()).unwrap(), Route { issuers: alloc::vec![IssuerId(*issuer)] })
                })
                .collect(),
        )
    }

    fn issuer(table: &IinTable, pan: &str) -> Option<u16> {
        table.route(&Pan::parse(pan.as_bytes()).unwrap()).map(|route| route.issuers[0].0)
    }

    #[test]
    fn longest_prefix_wins_and_its_neighbours_keep_the_shorter_one() {
        let table = table(&[("9", 1), ("9999", 2), ("99996", 3), ("99996000000", 4), ("5", 5)]);
        assert_eq!(issuer(&table, "9000000000000000"), Some(1));
        assert_eq!(issuer(&table, "9998999999999999"), Some(1));
        assert_eq!(issuer(&table, "9999000000000000"), Some(2));
        assert_eq!(issuer(&table, "9999600000000019"), Some(4));
        assert_eq!(issuer(&table, "9999600000100019"), Some(3));
        assert_eq!(issuer(&table, "9999700000000019"), Some(2));
        assert_eq!(issuer(&table, "5000000000000000"), Some(5));
        assert_eq!(issuer(&table, "4000000000000000"), None);
        assert_eq!(issuer(&table, "6000000000000000"), None);
    }

    #[test]
    fn an_empty_table_routes_nothing() {
        assert_eq!(issuer(&IinTable::<Route>::default(), "9999600000000019"), None);
    }

    #[test]
    fn agrees_with_a_plain_search_on_random_prefixes() {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut draw = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..200 {
            let mut rows: Vec<(alloc::string::String, u16)> = Vec::new();
            for issuer in 0..30_u16 {
                let digits = 1 + draw(5) as usize;
                let iin = alloc::format!("{:0digits$}", draw(3_u64.pow(digits as u32)));
                if rows.iter().all(|(known, _)| *known != iin) {
                    rows.push((iin, issuer));
                }
            }
            let borrowed: Vec<(&str, u16)> =
                rows.iter().map(|(iin, issuer)| (iin.as_str(), *issuer)).collect();
            let table = table(&borrowed);
            for _ in 0..200 {
                let pan = alloc::format!("{:016}", draw(30_000_000_000_000_000) % 10_000_000_000_000_000);
                let plain = rows
                    .iter()
                    .filter(|(iin, _)| pan.starts_with(iin.as_str()))
                    .max_by_key(|(iin, _)| iin.len())
                    .map(|(_, issuer)| *issuer);
                assert_eq!(issuer(&table, &pan), plain, "pan {pan} rows {rows:?}");
            }
        }
    }
}
