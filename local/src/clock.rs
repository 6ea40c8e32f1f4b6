//! The clock of the local system. It can be moved ahead, so that no test waits an hour for a limit to drain.

use shared::runtime::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that is ahead of another one. Clones share it.
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

    /// The clock for the other parts of the system.
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

    /// Moves the clock ahead, and returns how far ahead it is now, in milliseconds.
    #[must_use = "the journal must record it, so that it survives a restart"]
    pub fn advance(&self, by_ms: u64) -> u64 {
        self.ahead_ms.fetch_add(by_ms, Ordering::SeqCst) + by_ms
    }
}
