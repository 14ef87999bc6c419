//! The code that every message of a link bears, DE 64 or 128.

use codecs::frame::FrameFormat;
use hsm::{Covered, Padding};
use toml::Spanned;

use super::Check;
use crate::config::checked::{Mac, MacAlgorithm};
use crate::config::raw::{self, Raw};

const ALGORITHMS: [(&str, bool); 2] = [("algorithm-3", true), ("aes-cmac", false)];

impl Check<'_, '_> {
    /// `dialect` and `framing` are those of the link.
    pub(super) fn mac(
        &mut self,
        raw: &Option<Spanned<raw::Mac>>,
        dialect: Option<usize>,
        framing: Option<FrameFormat>,
    ) -> Option<Option<Mac>> {
        let Some(raw) = raw else { return Some(None) };
        let at = raw.span();
        let raw = raw.get_ref();
        self.mac_fits(&at, dialect, framing);
        let key = self.report.required(&raw.key, &at, "key");
        let check_value = self.check_value(&raw.check_value, &at);
        let is_algorithm_3 = match &raw.algorithm {
            Some(algorithm) => self.report.one_of(algorithm, "algorithm", &ALGORITHMS),
            None => self.report.required(&raw.algorithm, &at, "algorithm").and(None),
        }?;
        let algorithm = if is_algorithm_3 {
            let left_check_value = self.check_value_of(&raw.left_check_value, &at, "left_check_value");
            let padding = match self.report.count(&raw.padding, 1_u8, 1..=2)? {
                1 => Padding::Zeros,
                _ => Padding::OneBit,
            };
            MacAlgorithm::Algorithm3 { left_check_value: left_check_value?, padding }
        } else {
            let padding = raw.padding.as_ref().map(|given| &given.at);
            if let Some(at) = padding.or(raw.left_check_value.as_ref().map(|given| &given.at)) {
                self.report.fault(at, "a setting of algorithm-3", "algorithm = \"algorithm-3\" beside it");
            }
            MacAlgorithm::AesCmac
        };
        Some(Some(Mac { key: key?, check_value: check_value?, algorithm }))
    }

    /// What the token is asked about is a whole message, and the code is at its end.
    fn mac_fits(
        &mut self,
        at: &std::ops::Range<usize>,
        dialect: Option<usize>,
        framing: Option<FrameFormat>,
    ) {
        let dialect = dialect.and_then(|index| self.dialects.get(index));
        if let Some((name, Some(dialect))) = dialect
            && dialect.mac_place().is_none()
        {
            let found = format!("a mac in dialect {name:?}, whose elements 64 and 128 differ or are none");
            self.report.fault(at, found, "both as b8");
        }
        if let Some(framing) = framing.filter(|framing| framing.max_bytes as usize > Covered::MAX_BYTES) {
            let found = format!("a mac for frames of up to {} bytes", framing.max_bytes);
            self.report.fault(
                at,
                found,
                format!("framing.max = \"{}KiB\" or less", Covered::MAX_BYTES >> 10),
            );
        }
    }

    /// Its key is on the token.
    pub(super) fn macs_need_token(&mut self, raw: &Raw) {
        let of_acquirers = raw.acquirer.iter().map(|peer| &peer.get_ref().mac);
        let of_issuers = raw.issuer.iter().map(|peer| &peer.get_ref().mac);
        if let (Some(first), None) = (of_acquirers.chain(of_issuers).flatten().next(), &raw.hsm) {
            self.report.fault(&first.span(), "a mac and no [hsm]", "a token that has its key");
        }
    }
}
