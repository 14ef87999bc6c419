//! What happened, in a form a person can read.

use authorizer::fact::Fact;

use super::{STORY_LINES, World};

impl World {
    /// What happened to a payment, a line each; everything of the last moments where none is named.
    #[must_use]
    pub fn story_of(&self, payment: Option<u64>) -> Vec<String> {
        let story = self.story.as_deref().unwrap_or_default();
        let of: Vec<String> = story
            .iter()
            .filter(|(_, whose, _)| payment.is_none() || whose.is_none() || *whose == payment)
            .map(|(at_us, _, what)| format!("{:>12.6} s  {what}", *at_us as f64 / 1e6 - 1e6))
            .collect();
        of[of.len().saturating_sub(STORY_LINES)..].to_vec()
    }

    pub(super) fn tell(&mut self, payment: Option<u64>, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push((self.now_us, payment, what()));
        }
    }

    /// For a person: what a turn has written down.
    pub(super) fn tell_facts(&mut self, shard: usize, before: usize) {
        if self.story.is_none() {
            return;
        }
        let facts: Vec<Fact> =
            self.disks[shard].facts()[before..].iter().map(|(fact, _)| fact.clone()).collect();
        for fact in facts {
            let (identity, what) = match &fact {
                Fact::Intent(sent) => (Some(sent.asked.identity), "INTENT".to_owned()),
                Fact::Result { identity, outcome } => {
                    (Some(*identity), format!("RESULT {:?}", outcome.verdict))
                }
                Fact::Timeout { identity, undo, .. } => {
                    (Some(*identity), format!("TIMEOUT, undone by {:?}", undo.as_ref().map(|undo| undo.stan)))
                }
                Fact::Reversed { identity, left_minor, undo } => (
                    Some(*identity),
                    format!("REVERSED but {left_minor}, by {:?}", undo.as_ref().map(|undo| undo.stan)),
                ),
                Fact::Advised(advice) => {
                    let what =
                        format!("ADVISED {:?} as {}", advice.outcome.verdict, advice.sent.stan.number());
                    (Some(advice.sent.asked.identity), what)
                }
                Fact::Tombstone { identity, .. } => (Some(*identity), "TOMBSTONE".to_owned()),
                Fact::Declined { asked, outcome } => {
                    (Some(asked.identity), format!("DECLINED {:?}", outcome.verdict))
                }
                _ => continue,
            };
            let payment = self.payments.iter().find(|payment| Some(payment.identity()) == identity);
            let number = payment.map(|payment| payment.number);
            if number.is_some() {
                self.tell(number, || format!("shard {shard} writes {what}"));
            }
        }
    }
}
