//! Does the table exist, does it expire its items, and can it be restored?

use crate::report::{Check, Finding};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TableStatus, TimeToLiveDescription, TimeToLiveStatus};
use shared::runtime::aws::reason;

/// The attribute with the expiry time of an item.
const TTL_ATTRIBUTE: &str = "expires_at";

/// The table as DynamoDB describes it, or why it could not be described. A status is `None` if the description has none.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFacts {
    /// The status of the table.
    pub status: Result<Option<TableStatus>, DescribeError>,
    /// Its time to live.
    pub ttl: Result<Option<TimeToLiveDescription>, DescribeError>,
    /// The status of its point-in-time recovery.
    pub recovery: Result<Option<PointInTimeRecoveryStatus>, DescribeError>,
}

/// Why DynamoDB did not describe the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DescribeError(String);

/// A problem of the table.
struct TableProblem {
    found: String,
    advice: &'static str,
}

impl TableFacts {
    /// Reads them from DynamoDB.
    pub async fn read(client: &Client, table: &str) -> Self {
        let (table, ttl, backups) = tokio::join!(
            client.describe_table().table_name(table).send(),
            client.describe_time_to_live().table_name(table).send(),
            client.describe_continuous_backups().table_name(table).send(),
        );
        Self {
            status: described(table).map(|output| output.table?.table_status),
            ttl: described(ttl).map(|output| output.time_to_live_description),
            recovery: described(backups).map(|output| {
                let backups = output.continuous_backups_description?;
                backups.point_in_time_recovery_description?.point_in_time_recovery_status
            }),
        }
    }

    fn problems(&self) -> Vec<TableProblem> {
        let problems = [self.status_problem(), self.ttl_problem(), self.recovery_problem()];
        problems.into_iter().flatten().collect()
    }

    fn status_problem(&self) -> Option<TableProblem> {
        let status = self.status.as_ref().ok()?.as_ref();
        (status != Some(&TableStatus::Active)).then(|| TableProblem {
            found: format!("its status is {}", status.map_or("unknown", TableStatus::as_str)),
            advice: "wait until it is ACTIVE; if it stays as it is, see the table in the AWS console",
        })
    }

    fn ttl_problem(&self) -> Option<TableProblem> {
        let ttl = self.ttl.as_ref().ok()?.as_ref();
        let status = ttl.and_then(|ttl| ttl.time_to_live_status.as_ref());
        let attribute = ttl.and_then(|ttl| ttl.attribute_name.as_deref()).unwrap_or_default();
        let is_right = status == Some(&TimeToLiveStatus::Enabled) && attribute == TTL_ATTRIBUTE;
        (!is_right).then(|| TableProblem {
            found: format!("time to live is {} on {attribute:?}", status.map_or("unknown", TimeToLiveStatus::as_str)),
            advice: "deploy the template again; without time to live on expires_at, items are never deleted",
        })
    }

    fn recovery_problem(&self) -> Option<TableProblem> {
        let status = self.recovery.as_ref().ok()?.as_ref();
        (status != Some(&PointInTimeRecoveryStatus::Enabled)).then(|| TableProblem {
            found: format!("point-in-time recovery is {}", status.map_or("unknown", PointInTimeRecoveryStatus::as_str)),
            advice: "deploy the template again; without recovery, opt-outs and messages can't be restored",
        })
    }

    /// The calls that failed, with the reason.
    fn unread(&self) -> Vec<String> {
        let calls = [
            ("DescribeTable", self.status.as_ref().err()),
            ("DescribeTimeToLive", self.ttl.as_ref().err()),
            ("DescribeContinuousBackups", self.recovery.as_ref().err()),
        ];
        calls.iter().filter_map(|(call, error)| Some(format!("{call}: {}", error.as_ref()?))).collect()
    }
}

fn described<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E>>) -> Result<T, DescribeError> {
    answer.map_err(|error| DescribeError(reason(&error)))
}

/// Evaluates the table. A known problem fails the check even if another description could not be read.
#[must_use]
pub fn evaluate(facts: &TableFacts) -> Finding {
    let (problems, unread) = (facts.problems(), facts.unread());
    if !problems.is_empty() {
        let found: Vec<_> = problems.iter().map(|problem| problem.found.as_str()).collect();
        let advice: Vec<_> = problems.iter().map(|problem| problem.advice).collect();
        return Finding::fail(Check::Table, found.join("; "), advice.join("; "));
    }
    if unread.is_empty() {
        return Finding::pass(Check::Table, "active, with time to live and point-in-time recovery");
    }
    let advice = "check TABLE_NAME, the permissions of the function's role, and the status of DynamoDB";
    Finding::unknown(Check::Table, unread.join("; "), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};

    #[expect(clippy::unnecessary_wraps, reason = "it is one of several answers, some of them errors")]
    fn ttl(status: &str, attribute: Option<&str>) -> Result<Option<TimeToLiveDescription>, DescribeError> {
        let description = TimeToLiveDescription::builder().time_to_live_status(status.into());
        Ok(Some(description.set_attribute_name(attribute.map(str::to_owned)).build()))
    }

    #[test]
    fn a_table_is_right_wrong_or_unreadable() {
        let right = TableFacts {
            status: Ok(Some(TableStatus::Active)),
            ttl: ttl("ENABLED", Some("expires_at")),
            recovery: Ok(Some(PointInTimeRecoveryStatus::Enabled)),
        };
        let denied = || DescribeError("it answered AccessDeniedException (HTTP 400)".to_owned());
        for (facts, expected, found) in [
            (right.clone(), Pass, "time to live"),
            (TableFacts { status: Ok(Some(TableStatus::Updating)), ..right.clone() }, Fail, "UPDATING"),
            (TableFacts { status: Ok(None), ..right.clone() }, Fail, "its status is unknown"),
            (TableFacts { ttl: Ok(None), ..right.clone() }, Fail, "time to live is unknown"),
            (TableFacts { ttl: ttl("DISABLED", None), ..right.clone() }, Fail, "DISABLED"),
            (TableFacts { ttl: ttl("ENABLED", Some("expiry")), ..right.clone() }, Fail, "expiry"),
            (
                TableFacts { recovery: Ok(Some(PointInTimeRecoveryStatus::Disabled)), ..right.clone() },
                Fail,
                "point-in-time",
            ),
            (TableFacts { recovery: Err(denied()), ..right.clone() }, Unknown, "DescribeContinuousBackups"),
            (TableFacts { status: Err(denied()), ttl: ttl("DISABLED", None), ..right }, Fail, "DISABLED"),
        ] {
            let row = evaluate(&facts);
            assert_eq!(row.result, expected, "{facts:?}");
            assert!(row.found.contains(found), "{}", row.found);
        }
    }
}
