//! Is the table there, does it forget what has expired, and can it be restored?

use crate::report::{Check, Row};
use aws_sdk_dynamodb::Client;
use shared::runtime::aws::reason;

/// The attribute by which items expire.
const TTL_ATTRIBUTE: &str = "expires_at";

/// The table as DynamoDB describes it; or what it said instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    /// `ACTIVE`, if all is well.
    pub status: Result<String, String>,
    /// `ENABLED`, and the attribute.
    pub ttl: Result<(String, String), String>,
    /// `ENABLED`.
    pub recovery: Result<String, String>,
}

impl TableFacts {
    /// Asks DynamoDB.
    pub async fn read(client: &Client, table: &str) -> Self {
        let (table, ttl, backups) = tokio::join!(
            client.describe_table().table_name(table).send(),
            client.describe_time_to_live().table_name(table).send(),
            client.describe_continuous_backups().table_name(table).send(),
        );
        Self {
            status: table.map_err(|error| reason(&error)).map(|output| {
                let status = output.table.and_then(|table| table.table_status);
                status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned())
            }),
            ttl: ttl.map_err(|error| reason(&error)).map(|output| {
                let ttl = output.time_to_live_description;
                let status = ttl.as_ref().and_then(|ttl| ttl.time_to_live_status.as_ref());
                let attribute = ttl.as_ref().and_then(|ttl| ttl.attribute_name.clone()).unwrap_or_default();
                (status.map_or("unknown", |status| status.as_str()).to_owned(), attribute)
            }),
            recovery: backups.map_err(|error| reason(&error)).map(|output| {
                let recovery = output.continuous_backups_description.and_then(|b| b.point_in_time_recovery_description);
                let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
                status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned())
            }),
        }
    }
}

/// Judges the table: what is known to be wrong counts for more than what is not known.
#[must_use]
pub fn judge(facts: &TableFacts) -> Row {
    let mut wrong = Vec::new();
    let mut advice = Vec::new();
    match facts.status.as_deref() {
        Ok("ACTIVE") | Err(_) => {}
        Ok(status) => {
            wrong.push(format!("its status is {status}"));
            advice.push("wait until it is ACTIVE, and look at it in the AWS console if it stays so");
        }
    }
    match &facts.ttl {
        Ok((status, attribute)) if status != "ENABLED" || attribute != TTL_ATTRIBUTE => {
            wrong.push(format!("time to live is {status} on {attribute:?}"));
            advice.push(
                "deploy the template again: without time to live on expires_at, what was counted is kept for ever",
            );
        }
        _ => {}
    }
    match facts.recovery.as_deref() {
        Ok("ENABLED") | Err(_) => {}
        Ok(status) => {
            wrong.push(format!("point-in-time recovery is {status}"));
            advice.push("deploy the template again: opt-outs and messages can't be restored");
        }
    }
    if !wrong.is_empty() {
        return Row::fail(Check::Table, wrong.join("; "), advice.join("; "));
    }
    let unread = [
        ("DescribeTable", facts.status.as_ref().err()),
        ("DescribeTimeToLive", facts.ttl.as_ref().err()),
        ("DescribeContinuousBackups", facts.recovery.as_ref().err()),
    ];
    let unread: Vec<_> =
        unread.iter().filter_map(|(call, error)| Some(format!("{call}: {}", error.as_ref()?))).collect();
    if unread.is_empty() {
        return Row::pass(Check::Table, "active, with time to live and point-in-time recovery");
    }
    let advice = "check TABLE_NAME, the permissions in the function's role, and DynamoDB's status";
    Row::unknown(Check::Table, unread.join("; "), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome::{Fail, Pass, Unknown};

    #[test]
    fn a_table_is_right_wrong_or_cant_be_read() {
        let right = TableFacts {
            status: Ok("ACTIVE".to_owned()),
            ttl: Ok(("ENABLED".to_owned(), "expires_at".to_owned())),
            recovery: Ok("ENABLED".to_owned()),
        };
        let denied = || "it answered AccessDeniedException (HTTP 400)".to_owned();
        let ttl = |status: &str, attribute: &str| Ok((status.to_owned(), attribute.to_owned()));
        for (facts, expected, found) in [
            (right.clone(), Pass, "time to live"),
            (TableFacts { status: Ok("UPDATING".to_owned()), ..right.clone() }, Fail, "UPDATING"),
            (TableFacts { ttl: ttl("DISABLED", ""), ..right.clone() }, Fail, "DISABLED"),
            (TableFacts { ttl: ttl("ENABLED", "expiry"), ..right.clone() }, Fail, "expiry"),
            (TableFacts { recovery: Ok("DISABLED".to_owned()), ..right.clone() }, Fail, "point-in-time"),
            (TableFacts { recovery: Err(denied()), ..right.clone() }, Unknown, "DescribeContinuousBackups"),
            (TableFacts { status: Err(denied()), ttl: ttl("DISABLED", ""), ..right }, Fail, "DISABLED"),
        ] {
            let row = judge(&facts);
            assert_eq!(row.result, expected, "{facts:?}");
            assert!(row.found.contains(found), "{}", row.found);
        }
    }
}
