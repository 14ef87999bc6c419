//! The acquirer's side: who sends requests.

pub(crate) mod link;
pub mod translate;
