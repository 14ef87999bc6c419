//! The issuer's side: who answers for the card.

pub(crate) mod advice;
pub(crate) mod link;
pub(crate) mod reversal;
pub mod translate;
