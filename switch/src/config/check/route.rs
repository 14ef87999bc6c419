//! Card prefixes to issuers.

use std::collections::HashSet;
use std::ops::Range;

use codecs::value::Iin;
use toml::Spanned;

use super::Check;
use super::peer::name_of;
use crate::config::checked::Route;
use crate::config::given::Given;
use crate::config::raw::{self, Raw};

impl Check<'_, '_> {
    pub(super) fn routes(&mut self, raw: &Raw) -> Vec<Option<Route>> {
        // The names as written: routes are checked even when their issuers have faults.
        let names: Vec<&str> = raw.issuer.iter().map(|issuer| name_of(&issuer.get_ref().name)).collect();
        let mut known = HashSet::new();
        raw.route.iter().map(|route| self.route(route, &names, &mut known)).collect()
    }

    fn route(
        &mut self,
        raw: &Spanned<raw::Route>,
        names: &[&str],
        known: &mut HashSet<Iin>,
    ) -> Option<Route> {
        let at = raw.span();
        let raw = raw.get_ref();
        let iin = self.iin(raw, &at, known);
        let primary = self.report.required(&raw.issuer, &at, "issuer");
        let primary = primary.and_then(|name| self.served_by(&name, raw.issuer.as_ref()?, names));
        let mut issuers = Vec::from_iter(primary);
        for given in raw.alternates.iter().flat_map(|list| list.get_ref()) {
            let Some(name) = self.report.sound(given) else { continue };
            match self.served_by(&name, given, names) {
                Some(index) if issuers.contains(&index) => {
                    self.report.fault(
                        &given.at,
                        format!("issuer {name:?} twice"),
                        "each issuer of a route once",
                    );
                }
                alternate => issuers.extend(alternate),
            }
        }
        Some(Route { iin: iin?, issuers })
    }

    fn iin(&mut self, raw: &raw::Route, at: &Range<usize>, known: &mut HashSet<Iin>) -> Option<Iin> {
        let digits = self.report.required(&raw.iin, at, "iin")?;
        let at = raw.iin.as_ref().map_or(at, |given| &given.at);
        let Some(iin) = Iin::parse(digits.as_bytes()) else {
            self.report.wrong(at, &format!("{digits:?}"), "1 to 11 digits");
            return None;
        };
        if !known.insert(iin) {
            self.report.fault(at, format!("a second route for {digits}"), "one route for each prefix");
            return None;
        }
        Some(iin)
    }

    /// The index of the issuer named.
    fn served_by(&mut self, name: &str, given: &Given<String>, names: &[&str]) -> Option<usize> {
        let index = names.iter().position(|known| *known == name);
        if index.is_none() {
            self.report.unknown(&given.at, "unknown issuer", name, names);
        }
        index
    }
}
