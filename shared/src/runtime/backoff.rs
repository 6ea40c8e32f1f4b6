//! When to try again: exponential backoff with full jitter and an end.

use std::time::Duration;

/// How often something is tried, and how long to wait in between.
///
/// The wait before try *n* + 1 is drawn evenly from zero to `base · 2ⁿ`, at most `cap`: "full jitter", so that those who
/// collided once don't collide again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The most tries, the first one included.
    pub tries: u32,
    /// The longest wait before the second try.
    pub base: Duration,
    /// The longest wait of all.
    pub cap: Duration,
}

impl Backoff {
    /// For writes of the table that collide: they are over in milliseconds.
    pub const FOR_WRITES: Self = Self { tries: 5, base: Duration::from_millis(25), cap: Duration::from_millis(200) };

    /// Waits before another try; `false` if `tried` were enough.
    pub async fn wait(&self, tried: u32) -> bool {
        if tried >= self.tries {
            return false;
        }
        let most = self.base.saturating_mul(1 << (tried.saturating_sub(1)).min(16)).min(self.cap);
        tokio::time::sleep(most.mul_f64(random_fraction())).await;
        true
    }
}

/// Evenly from 0 to 1. A machine that can't draw waits as long as it may.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / f64::from(u32::MAX))
}
