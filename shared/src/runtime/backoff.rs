//! When to retry: exponential backoff with full jitter and a limit.

use std::time::Duration;

/// How many attempts to make, and how long to wait between them.
///
/// The wait after attempt *n* is drawn evenly from zero to `base · 2ⁿ⁻¹`, at most `cap`. This "full jitter" keeps writers that
/// collided once from colliding again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The maximum number of attempts, the first included.
    pub tries: u32,
    /// The longest wait before the second attempt.
    pub base: Duration,
    /// The longest wait before any attempt.
    pub cap: Duration,
}

impl Backoff {
    /// For writes that collide in the table, which takes milliseconds.
    pub const FOR_WRITES: Self = Self { tries: 5, base: Duration::from_millis(25), cap: Duration::from_millis(200) };

    /// Waits before the next attempt, or returns `false` if there is none after `tried` attempts.
    pub async fn wait(&self, tried: u32) -> bool {
        if tried >= self.tries {
            return false;
        }
        let most = self.base.saturating_mul(1 << (tried.saturating_sub(1)).min(16)).min(self.cap);
        tokio::time::sleep(most.mul_f64(random_fraction())).await;
        true
    }
}

/// Evenly from 0 to 1; 1 if the machine has no random numbers, which waits longest.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / f64::from(u32::MAX))
}
