//! Random ids and secrets.

/// 32 hexadecimal digits.
///
/// # Errors
/// If the operating system has no random numbers.
pub fn hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// An id in the shape of a UUID, as AWS writes them. Without random numbers it is always the same: then every send counts as a
/// repeat of the first, which sends too few SMS, never too many.
pub fn uuid() -> String {
    let hex = hex().unwrap_or_else(|_| "0".repeat(32));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_uuids_in_form_and_never_the_same() {
        let ids: BTreeSet<String> = (0..1000).map(|_| uuid()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.split('-').map(str::len).eq([8, 4, 4, 4, 12])));
    }
}
