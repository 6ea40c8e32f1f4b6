//! Time as a parameter: code that needs the present time takes a [`Clock`], which tests move by hand.

use jiff::Timestamp;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of the present time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// A clock that calls `now_ms`, which returns milliseconds since the epoch.
    pub fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The present, in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

/// A time in answers: RFC 3339 in UTC, rounded up to whole seconds so that it is never too early.
///
/// ```
/// assert_eq!(shared::runtime::clock::rfc3339(1_800_000_000_001), "2027-01-15T08:00:01Z");
/// ```
#[must_use]
pub fn rfc3339(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms.div_ceil(1000)).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// Seconds from `now_ms` until a time as [`rfc3339`] gives it, rounded up; 0 if it has passed or is not a time.
///
/// ```
/// use shared::runtime::clock::{rfc3339, seconds_until};
///
/// assert_eq!(seconds_until(&rfc3339(1_800_000_030_000), 1_800_000_000_500), 30);
/// assert_eq!(seconds_until("yesterday", 0), 0);
/// ```
#[must_use]
pub fn seconds_until(time: &str, now_ms: u64) -> u64 {
    let at_ms = time.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    at_ms.unwrap_or_default().saturating_sub(now_ms).div_ceil(1000)
}
