//! Network management messages: sign-on, sign-off and echo, ours and theirs.

use codecs::EncodeError;
use codecs::iso8583::{De, DeSet, Dialect, Encoder, Version};
use codecs::value::{NetworkFunction, Stan};

use crate::wall::Wall;

/// Writes a network management request of our own.
pub(crate) fn request(
    dialect: &Dialect,
    function: NetworkFunction,
    stan: Stan,
    wall: Wall,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    match dialect.version {
        Version::V1987 => {
            let present = DeSet::of(&[De::TRANSMISSION_TIME, De::STAN, De::NETWORK_CODE]);
            let mut encoder = Encoder::new_with_digits(dialect, *b"0800", present, out)?;
            encoder.put(De::TRANSMISSION_TIME, &wall.month_to_second())?;
            encoder.put(De::STAN, &stan.digits())?;
            encoder.put_number(De::NETWORK_CODE, u64::from(function.network_code()))?;
            encoder.finish()
        }
        Version::V1993 | Version::V2003 => {
            let present = DeSet::of(&[De::TRANSMISSION_TIME, De::STAN, De::LOCAL_TIME, De::FUNCTION_CODE]);
            let mut encoder = Encoder::new_with_digits(dialect, *b"1804", present, out)?;
            encoder.put(De::TRANSMISSION_TIME, &wall.month_to_second())?;
            encoder.put(De::STAN, &stan.digits())?;
            encoder.put(De::LOCAL_TIME, &wall.year_to_second())?;
            encoder.put_number(De::FUNCTION_CODE, u64::from(function.function_code()))?;
            encoder.finish()
        }
    }
}

/// DE 39 of a network management message that was accepted.
pub(crate) fn accepted(version: Version) -> &'static [u8] {
    match version {
        Version::V1987 => b"00",
        Version::V1993 | Version::V2003 => b"800",
    }
}
