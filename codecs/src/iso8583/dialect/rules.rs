//! What a message of a given type must and must not have.

use super::{Dialect, MtiRule};
use crate::error::{Flaw, ParseError};
use crate::iso8583::{De, DeSet, Index};

impl Dialect {
    /// Checks the elements of a parsed message against the rule of its type. A message whose type has no
    /// rule passes.
    ///
    /// # Errors
    /// The first element that is missing (with the end of the message as its offset) or forbidden.
    pub fn check_rules(&self, index: &Index) -> Result<(), ParseError> {
        let Some(mti) = index.mti() else {
            return Err(ParseError { de: De::MTI, offset: 0, flaw: Flaw::BadMti });
        };
        let key = mti.class_and_function();
        match self.rules.iter().flatten().find(|rule| rule.mti == key) {
            Some(rule) => rule.check(index),
            None => Ok(()),
        }
    }
}

impl MtiRule {
    fn check(&self, index: &Index) -> Result<(), ParseError> {
        let present = index.present();
        if let Some(de) = self.missing(present) {
            return Err(ParseError { de, offset: index.end, flaw: Flaw::Missing });
        }
        match present.intersection(self.forbidden).first() {
            Some(de) => {
                let offset = index.span(de).map_or(index.end, |span| span.start());
                Err(ParseError { de, offset, flaw: Flaw::Forbidden })
            }
            None => Ok(()),
        }
    }

    /// The first element that is missing; of a choice of which none is present, the lowest.
    fn missing(&self, present: DeSet) -> Option<De> {
        let choice = |set: &DeSet| {
            let lacks = present.intersection(*set).is_empty();
            if lacks { set.first() } else { None }
        };
        let consequence =
            |&(de, set): &(De, DeSet)| if present.contains(de) { set.minus(present).first() } else { None };
        self.mandatory
            .minus(present)
            .first()
            .or_else(|| self.one_of.iter().find_map(choice))
            .or_else(|| self.when.iter().find_map(consequence))
    }
}
