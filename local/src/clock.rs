//! The clock of the local system, which can be moved ahead: nobody waits an hour to see a limit drain.

use shared::runtime::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that goes like another one, as far ahead as it was moved. Clones are the same clock.
#[derive(Clone)]
pub struct MovableClock {
    base: Clock,
    ahead_ms: Arc<AtomicU64>,
}

impl MovableClock {
    /// A clock that is ahead of `base` by `ahead_ms`.
    #[must_use]
    pub fn new(base: Clock, ahead_ms: u64) -> Self {
        Self { base, ahead_ms: Arc::new(AtomicU64::new(ahead_ms)) }
    }

    /// What the others go by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let this = self.clone();
        Clock::new(move || this.now_ms())
    }

    /// The present, in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.base.now_ms().saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// Moves it on; how far it is ahead now, in milliseconds.
    #[must_use = "a clock that is kept over a restart is written down"]
    pub fn advance(&self, by_ms: u64) -> u64 {
        self.ahead_ms.fetch_add(by_ms, Ordering::SeqCst) + by_ms
    }
}
