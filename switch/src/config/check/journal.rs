//! `[journal]`: where facts are kept, how far they must have got, and what protects the card numbers in them.

use std::time::Duration;

use toml::Spanned;

use super::Check;
use super::settings::TIMER;
use crate::config::checked::Journal;
use crate::config::raw;
use crate::journal::{Level, SEGMENT_BYTES_MIN};

const LEVELS: [(&str, Level); 2] = [("sync", Level::Sync), ("written", Level::Written)];

impl Check<'_, '_> {
    pub(super) fn journal(&mut self, raw: &Option<Spanned<raw::Journal>>) -> Option<Option<Journal>> {
        let Some(raw) = raw else { return Some(None) };
        let at = raw.span();
        let raw = raw.get_ref();
        // The directory is made where there is none, so it need not be there.
        let dir = self.report.required(&raw.dir, &at, "dir").map(|dir| self.folder.join(dir));
        let key_file = self.private_file(&raw.key_file, &at, "key_file");
        let level = match &raw.level {
            Some(level) => self.report.one_of(level, "level", &LEVELS),
            None => Some(Level::Sync),
        };
        let flush = self.report.period(&raw.flush, Duration::from_millis(50), TIMER);
        let segment_bytes = self.report.bytes(&raw.segment, 16 << 20, SEGMENT_BYTES_MIN..=1 << 30);
        Some(Some(Journal {
            dir: dir?,
            key_file: key_file?,
            level: level?,
            flush: flush?,
            segment_bytes: segment_bytes?,
        }))
    }
}
