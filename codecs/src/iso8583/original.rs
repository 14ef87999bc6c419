//! What a reversal undoes, and what it leaves: the original data elements and the replacement amounts.

use super::Mti;
use crate::value::{LocalDateTime, PartyId, Stan, TransmissionTime};

/// The original message that a reversal, a completion or an advice refers to. Parts that a sender leaves at
/// zero are nothing here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Original {
    /// Its message type.
    pub mti: Option<Mti>,
    /// Its DE 11.
    pub stan: Stan,
    /// Its DE 7; only 1987 carries it.
    pub transmission_time: Option<TransmissionTime>,
    /// Its DE 12; only 1993 carries it.
    pub local_time: Option<LocalDateTime>,
    /// Its DE 32.
    pub acquirer: Option<PartyId>,
    /// Its DE 33; only 1987 carries it.
    pub forwarder: Option<PartyId>,
}

impl Original {
    /// From 42 digits of DE 90 (ISO 8583:1987 4.4.90): type 4, STAN 6, transmission time 10, acquirer 11,
    /// forwarder 11.
    pub fn parse_1987(digits: &[u8]) -> Option<Original> {
        let (mti, rest) = digits.split_first_chunk::<4>()?;
        let (stan, rest) = rest.split_first_chunk::<6>()?;
        let (time, rest) = rest.split_first_chunk::<10>()?;
        let (acquirer, forwarder) = rest.split_first_chunk::<11>()?;
        if forwarder.len() != 11 {
            return None;
        }
        Some(Original {
            mti: unless_zero(mti, |digits| Mti::from_digits(*digits))?,
            stan: Stan::parse(stan)?,
            transmission_time: unless_zero(time, |digits| TransmissionTime::parse(digits))?,
            local_time: None,
            acquirer: unless_zero(acquirer, |digits| PartyId::parse(digits))?,
            forwarder: unless_zero(forwarder, PartyId::parse)?,
        })
    }

    /// From the digits of DE 56 (ISO 8583:1993 4.4.56): type 4, STAN 6, local date and time 12, and the
    /// acquirer with its length in two digits, which may be left out.
    pub fn parse_1993(digits: &[u8]) -> Option<Original> {
        let (mti, rest) = digits.split_first_chunk::<4>()?;
        let (stan, rest) = rest.split_first_chunk::<6>()?;
        let (time, rest) = rest.split_first_chunk::<12>()?;
        let acquirer = match rest {
            [] | [b'0', b'0'] => None,
            [tens @ b'0'..=b'1', ones @ b'0'..=b'9', acquirer @ ..] => {
                let announced = (tens & 0x0F).wrapping_mul(10).wrapping_add(ones & 0x0F);
                if usize::from(announced) != acquirer.len() {
                    return None;
                }
                unless_zero(acquirer, PartyId::parse)?
            }
            _ => return None,
        };
        Some(Original {
            mti: unless_zero(mti, |digits| Mti::from_digits(*digits))?,
            stan: Stan::parse(stan)?,
            transmission_time: None,
            local_time: unless_zero(time, |digits| LocalDateTime::parse(digits))?,
            acquirer,
            forwarder: None,
        })
    }

    /// The 42 digits of DE 90.
    pub fn digits_1987(&self) -> [u8; 42] {
        let mut out = [b'0'; 42];
        let mut rest = &mut out[..];
        let mti = self.mti.map_or(*b"0000", Mti::digits);
        let time = self.transmission_time.map_or([b'0'; 10], TransmissionTime::digits);
        let party = |party: Option<PartyId>| party.map_or([b'0'; 11], PartyId::digits);
        for part in [&mti[..], &self.stan.digits(), &time, &party(self.acquirer), &party(self.forwarder)] {
            rest = append(rest, part);
        }
        out
    }

    /// The 35 digits of DE 56.
    pub fn digits_1993(&self) -> [u8; 35] {
        let mut out = [b'0'; 35];
        let mut rest = &mut out[..];
        let mti = self.mti.map_or(*b"0000", Mti::digits);
        let time = self.local_time.map_or([b'0'; 12], LocalDateTime::digits);
        let acquirer = self.acquirer.map_or([b'0'; 11], PartyId::digits);
        for part in [&mti[..], &self.stan.digits(), &time, b"11", &acquirer] {
            rest = append(rest, part);
        }
        out
    }
}

/// DE 95 of 1987: the amounts that stay valid when a payment is undone in part. Its two fees are neither read
/// nor written; networks leave them at zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplacementAmounts {
    /// In minor units of the currency of DE 49.
    pub transaction: u64,
    /// In minor units of the currency of DE 50.
    pub settlement: u64,
}

impl ReplacementAmounts {
    /// From 42 characters: two amounts of 12 digits, two fees of a sign and 8 digits.
    pub fn parse(characters: &[u8]) -> Option<ReplacementAmounts> {
        let (transaction, rest) = characters.split_first_chunk::<12>()?;
        let (settlement, fees) = rest.split_first_chunk::<12>()?;
        if fees.len() != 18 {
            return None;
        }
        Some(ReplacementAmounts { transaction: amount(transaction)?, settlement: amount(settlement)? })
    }

    /// The 42 characters; nothing when an amount exceeds 12 digits.
    pub fn characters(&self) -> Option<[u8; 42]> {
        let mut out = *b"000000000000000000000000C00000000C00000000";
        let (transaction, rest) = out.split_first_chunk_mut::<12>()?;
        let (settlement, _) = rest.split_first_chunk_mut::<12>()?;
        write_amount(self.transaction, transaction)?;
        write_amount(self.settlement, settlement)?;
        Some(out)
    }
}

/// Nothing inside for zeros; nothing at all when `parse` refuses.
fn unless_zero<D: AsRef<[u8]> + ?Sized, T>(
    digits: &D,
    parse: impl FnOnce(&D) -> Option<T>,
) -> Option<Option<T>> {
    if digits.as_ref().iter().all(|&digit| digit == b'0') { Some(None) } else { parse(digits).map(Some) }
}

/// `out` has room for all parts by construction.
fn append<'a>(out: &'a mut [u8], part: &[u8]) -> &'a mut [u8] {
    let (head, rest) = out.split_at_mut_checked(part.len()).unwrap_or_default();
    for (to, from) in head.iter_mut().zip(part) {
        *to = *from;
    }
    rest
}

fn amount(digits: &[u8; 12]) -> Option<u64> {
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| crate::text::number(digits))
}

fn write_amount(amount: u64, out: &mut [u8; 12]) -> Option<()> {
    let mut rest = amount;
    for digit in out.iter_mut().rev() {
        let [.., low] = (rest % 10).to_be_bytes();
        *digit = low | b'0';
        rest /= 10;
    }
    (rest == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn de_90_comes_back() {
        let digits = b"010000000612311423590000000123400000000000";
        let original = Original::parse_1987(digits).unwrap();
        assert_eq!(original.mti, Mti::from_digits(*b"0100"));
        assert_eq!(original.stan.number(), 6);
        assert_eq!(original.acquirer.unwrap().number(), 1_234);
        assert_eq!(original.forwarder, None);
        assert_eq!(&original.digits_1987(), digits);
    }

    #[test]
    fn de_56_comes_back() {
        let digits = b"11000000062412311423591100000001234";
        let original = Original::parse_1993(digits).unwrap();
        assert_eq!(original.local_time.unwrap().digits(), *b"241231142359");
        assert_eq!(original.acquirer.unwrap().number(), 1_234);
        assert_eq!(&original.digits_1993(), digits);
        let short = Original::parse_1993(b"1100000006241231142359").unwrap();
        assert_eq!((short.acquirer, short.stan), (None, original.stan));
    }

    #[test]
    fn originals_that_are_none() {
        let refused: [&[u8]; 4] = [
            b"",
            b"0900000006123114235900000001234000000000000",
            b"010000000613311423590000000123400000000000",
            b"01000000061231142359000000012340000000000",
        ];
        for digits in refused {
            assert_eq!(Original::parse_1987(digits), None);
        }
        assert_eq!(Original::parse_1993(b"110000000624123114235903123456"), None);
    }

    #[test]
    fn replacement_amounts_come_back() {
        let amounts = ReplacementAmounts { transaction: 1_250, settlement: 0 };
        let characters = amounts.characters().unwrap();
        assert_eq!(&characters, b"000000001250000000000000C00000000C00000000");
        assert_eq!(ReplacementAmounts::parse(&characters), Some(amounts));
        assert_eq!(ReplacementAmounts::parse(&characters[1..]), None);
        let too_much = ReplacementAmounts { transaction: 1_000_000_000_000, settlement: 0 };
        assert_eq!(too_much.characters(), None);
    }
}
