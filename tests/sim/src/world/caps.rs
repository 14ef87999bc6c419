//! The law of standing in, from the facts: never more than the floor for one purchase, nor than the caps in a day.

use std::collections::{BTreeMap, HashMap};

use authorizer::fact::Fact;
use authorizer::request::Identity;
use authorizer::tables::Tables;
use codecs::value::Pan;

const DAY_US: u64 = 86_400_000_000;

/// Whose money, on which day.
type Account = (usize, u16, u64);

/// What was stood in for and not reversed.
#[derive(Debug, Default)]
pub(super) struct Caps {
    by_card: BTreeMap<(Account, Pan), u64>,
    in_all: BTreeMap<Account, u64>,
    approved: HashMap<Identity, (Account, Pan, u64)>,
}

impl Caps {
    /// Takes a fact of a shard, and says which bound it breaks.
    pub(super) fn take(&mut self, shard: usize, fact: &Fact, at_us: u64, tables: &Tables) -> Option<String> {
        match fact {
            Fact::Advised(advice) if advice.is_stand_in() => {
                let (sent, issuer) = (&advice.sent, advice.sent.to.issuer);
                let (minor, pan) = (sent.asked.amount.minor(), sent.pan?);
                let account = (shard, issuer.0, at_us / DAY_US);
                self.approved.insert(sent.asked.identity, (account, pan, minor));
                let card = self.by_card.entry((account, pan)).or_default();
                *card += minor;
                let all = self.in_all.entry(account).or_default();
                *all += minor;
                let Some(agreed) = &tables.issuers[issuer.index()].stand_in else {
                    return Some("H8: stood in where nothing was agreed".to_owned());
                };
                let broken = [
                    (minor > agreed.floor_minor, "floor"),
                    (*card > agreed.card_daily_minor, "cap of the card"),
                    (*all > agreed.daily_minor, "cap of all"),
                ];
                let (_, bound) = broken.into_iter().find(|(is_broken, _)| *is_broken)?;
                Some(format!("H8: more than the {bound}"))
            }
            Fact::Reversed { identity, left_minor, .. } => {
                let (account, pan, before) = self.approved.get_mut(identity)?;
                let undone = before.saturating_sub(*left_minor);
                *before = *left_minor;
                *self.by_card.entry((*account, *pan)).or_default() -= undone;
                *self.in_all.entry(*account).or_default() -= undone;
                None
            }
            _ => None,
        }
    }
}
