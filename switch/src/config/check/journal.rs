//! `[journal]`: where facts are kept, how far they must have got, and what protects the card numbers in them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::Check;
use super::settings::TIMER;
use crate::config::checked::{Journal, JournalKey};
use crate::config::given::Given;
use crate::config::raw;
use crate::journal::{Level, SEGMENT_BYTES_MIN};

const HOUR: Duration = Duration::from_secs(3_600);
/// A month: what is asked about payments is asked within it.
const RETENTION: Duration = HOUR.saturating_mul(24 * 30);
const RETENTION_MIN: Duration = Duration::from_millis(1);
const RETENTION_MAX: Duration = HOUR.saturating_mul(24 * 3_660);

const LEVELS: [(&str, Level); 2] = [("sync", Level::Sync), ("written", Level::Written)];

impl Check<'_, '_> {
    pub(super) fn journal(&mut self, raw: &Option<Spanned<raw::Journal>>) -> Option<Option<Journal>> {
        let Some(raw) = raw else { return Some(None) };
        let at = raw.span();
        let raw = raw.get_ref();
        // The directory is made where there is none, so it need not be there.
        let dir = self.report.required(&raw.dir, &at, "dir").map(|dir| self.folder.join(dir));
        let key = self.journal_key(raw, &at);
        let level = match &raw.level {
            Some(level) => self.report.one_of(level, "level", &LEVELS),
            None => Some(Level::Sync),
        };
        let flush = self.report.period(&raw.flush, Duration::from_millis(50), TIMER);
        let segment_bytes = self.report.bytes(&raw.segment, 16 << 20, SEGMENT_BYTES_MIN..=1 << 30);
        let snapshot_bytes = self.report.bytes(&raw.snapshot, 32 << 20, SEGMENT_BYTES_MIN..=1 << 40);
        let retention = self.report.period(&raw.retention, RETENTION, RETENTION_MIN..=RETENTION_MAX);
        let dir = dir?;
        let mark_file = self.mark_file(&raw.mark_file, &dir);
        Some(Some(Journal {
            dir,
            key: key?,
            level: level?,
            flush: flush?,
            segment_bytes: segment_bytes?,
            snapshot_bytes: snapshot_bytes?,
            retention: retention?,
            mark_file: mark_file?,
        }))
    }

    /// On the token, or in a file; not both.
    fn journal_key(&mut self, raw: &raw::Journal, at: &Range<usize>) -> Option<JournalKey> {
        if let (Some(key), Some(_)) = (&raw.key, &raw.key_file) {
            self.report.fault(
                &key.at,
                "key and key_file",
                "one of them: a key on the token, or a key in a file",
            );
            return None;
        }
        if raw.key.is_none() && raw.check_value.is_none() {
            return self.private_file(&raw.key_file, at, "key_file").map(JournalKey::File);
        }
        let label = self.report.required(&raw.key, at, "key");
        let check_value = self.check_value(&raw.check_value, at);
        Some(JournalKey::Token { label: label?, check_value: check_value? })
    }

    /// Beside the data directory, unless it is said otherwise; inside it would be put back with it.
    fn mark_file(&mut self, given: &Option<Given<String>>, dir: &Path) -> Option<PathBuf> {
        let Some(given) = given else {
            let mut name = dir.file_name().unwrap_or_default().to_owned();
            name.push(".mark");
            return Some(dir.with_file_name(name));
        };
        let path = self.folder.join(self.report.sound(given)?);
        if path.starts_with(dir) {
            let found = format!("{:?}", path.display());
            self.report.wrong(
                &given.at,
                &found,
                "a file outside of the data directory, which a restore replaces",
            );
            return None;
        }
        Some(path)
    }
}
