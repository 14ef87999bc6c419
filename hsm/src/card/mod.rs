//! Codes of cards, in the order of their history: printed and fixed, then new with every purchase, then over all of
//! it: [`cvv`], [`dynamic_cvv`] and [`cvc3`], [`cryptogram`].

pub(crate) mod cryptogram;
pub(crate) mod cvc3;
pub(crate) mod cvv;
pub(crate) mod dynamic_cvv;

#[cfg(test)]
mod given_keys;
