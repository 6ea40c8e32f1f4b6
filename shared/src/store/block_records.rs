//! Records of blocks and areas of numbers: codes sent to strangers there, and codes verified. See [`crate::limits::block_record`].

use super::items::{Item, StoreError, read_number};
use super::table::Table;
use crate::limits::block_record::{Record, week};
use crate::phone::number::PhoneNumber;

/// How long an item is kept after its last code: the two weeks of a record, and one more.
const LIFETIME_S: u64 = 3 * 7 * 24 * 60 * 60;

/// How long a block of an unknown range stays closed.
const CLOSED_MS: u64 = 24 * 60 * 60 * 1000;

/// The keys of the records that a code to a number counts in.
#[derive(Clone, Debug)]
pub(super) struct RecordKeys {
    pub(super) block: String,
    pub(super) area: String,
}

/// What a record counts.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    /// A code that was sent.
    Sent,
    /// A code that was verified, or that went to a phone which was.
    Verified,
}

impl Counted {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Sent => "n",
            Self::Verified => "v",
        }
    }
}

impl Table {
    /// The keys of the records that a code to this number counts in.
    pub(super) fn record_keys(&self, phone: &PhoneNumber) -> RecordKeys {
        RecordKeys { block: self.pk("block", &phone.block()), area: self.pk("area", &phone.area()) }
    }

    /// Closes a block of an unknown range for a day, since Twilio says that a number of it doesn't exist. The item has its end from the code
    /// that is counted in it.
    ///
    /// # Errors
    /// [`StoreError`] if it may be open still.
    pub(super) async fn close_block(&self, keys: &RecordKeys, now_ms: u64) -> Result<(), StoreError> {
        let write = self.items.write(&keys.block).number(":until", now_ms.saturating_add(CLOSED_MS));
        self.items.update(write.plain_update("SET closed_until = :until")).await.map(|_| ())
    }

    /// Counts a code of `at_ms` in its records, unless it is older than they are. They estimate, so neither a failure nor a second count by
    /// a retry matters.
    pub(super) async fn count_in_records(&self, keys: &RecordKeys, counted: Counted, at_ms: u64, now_ms: u64) {
        let (of_week, this_week) = (week(at_ms), week(now_ms));
        if of_week + 1 < this_week {
            return;
        }
        let count = async |pk: &str| {
            let name = counted.attribute();
            let (old, older) = (this_week.saturating_sub(2), this_week.saturating_sub(3));
            let update =
                format!("ADD {name}{of_week} :one SET expires_at = :exp REMOVE n{old}, v{old}, n{older}, v{older}");
            let write = self.items.write(pk).number(":one", 1).number(":exp", now_ms / 1000 + LIFETIME_S);
            if let Err(error) = self.items.update(write.plain_update(update)).await {
                tracing::warn!(%error, "a code could not be counted in the record of its block");
            }
        };
        tokio::join!(count(&keys.block), count(&keys.area));
    }
}

/// Whether Twilio said lately that a number of this block doesn't exist.
pub(super) fn is_closed(block: &Item, now_ms: u64) -> bool {
    read_number(block, "closed_until").is_some_and(|until_ms| now_ms < until_ms)
}

/// The record in an item: this week and the one before.
pub(super) fn read_record(item: &Item, now_ms: u64) -> Record {
    let sum = |counted: Counted| {
        let of_week = |ago| read_number(item, &format!("{}{}", counted.attribute(), week(now_ms).saturating_sub(ago)));
        let sum: u64 = (0..2).filter_map(of_week).sum();
        u32::try_from(sum).unwrap_or(u32::MAX)
    };
    Record { sent: sum(Counted::Sent), verified: sum(Counted::Verified) }
}
