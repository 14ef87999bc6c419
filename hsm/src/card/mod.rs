//! Codes of cards, in the order of their history: printed and fixed, then new with every purchase.

pub(crate) mod cvc3;
pub(crate) mod cvv;
pub(crate) mod dynamic_cvv;

#[cfg(test)]
mod given_keys;

/// One block with another added to it, bit by bit.
fn xor(block: &[u8; 8], other: &[u8; 8]) -> [u8; 8] {
    (u64::from_ne_bytes(*block) ^ u64::from_ne_bytes(*other)).to_ne_bytes()
}
