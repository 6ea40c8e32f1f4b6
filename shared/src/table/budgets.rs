//! Budgets: what a country, or everybody together, may have. See [`crate::budget`].

use super::{StoreError, Table, number, text};
use crate::aws::reason;
use crate::budget::{self, CounterUpdate};
use crate::limits::{Budget, Exceeded, Limit, Rule};
use crate::phone_number::Region;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::collections::HashMap;

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// A country's.
    Country(Region),
    /// Everybody's: the cap on the bill.
    Total,
}

/// Places taken in budgets, which can be given back.
#[derive(Clone, Debug, Default)]
pub struct Spent(Vec<(Account, Rule)>);

/// What one rule said.
enum Answer {
    /// It counted one. An observed rule that is exceeded says so.
    Counted(Option<Exceeded>),
    /// It refuses, and counted nothing.
    Refused(Exceeded),
}

impl Account {
    fn pk(self, rule: Rule) -> String {
        match self {
            Self::Country(region) => format!("country#{region}#{rule}"),
            Self::Total => format!("total#{rule}"),
        }
    }
}

impl Spent {
    /// Only the countries' places: the total counts every send, also a verified one.
    #[must_use]
    pub fn of_country(region: Option<Region>, limit: &Limit<Budget>) -> Self {
        let rules = limit.counted().map_or(&[][..], Budget::rules);
        Self(
            region
                .into_iter()
                .flat_map(|region| rules.iter().map(move |rule| (Account::Country(region), *rule)))
                .collect(),
        )
    }
}

impl Table {
    /// Takes a place in a budget. The rules are asked one after another; `spent` grows by those that counted, also when a later
    /// one refuses: give them back then.
    ///
    /// Returns the rule that refuses, if one does; `observed` grows by those that would.
    ///
    /// # Errors
    /// [`StoreError`] if a rule could not be asked. It may have counted.
    pub async fn spend(
        &self,
        account: Account,
        limit: &Limit<Budget>,
        now_ms: u64,
        spent: &mut Spent,
        observed: &mut Vec<Rule>,
    ) -> Result<Option<Exceeded>, StoreError> {
        let enforced = limit.enforced().is_some();
        for &rule in limit.counted().map_or(&[][..], Budget::rules) {
            match self.ask(account, rule, enforced, now_ms).await? {
                Answer::Counted(exceeded) => {
                    spent.0.push((account, rule));
                    observed.extend(exceeded.map(|exceeded| exceeded.rule));
                }
                Answer::Refused(exceeded) => return Ok(Some(exceeded)),
            }
        }
        Ok(None)
    }

    /// Gives places back that were taken at `at_ms`. What can't be given back stays counted.
    ///
    /// # Errors
    /// The last [`StoreError`]; the others have been tried all the same.
    pub async fn give_back(&self, spent: Spent, at_ms: u64, now_ms: u64) -> Result<(), StoreError> {
        let mut result = Ok(());
        for (account, rule) in spent.0 {
            let update = budget::release(rule, at_ms, now_ms);
            match self.count(&account.pk(rule), &update, true).await {
                Ok(_) => {}
                Err(Failed::Condition(_)) => {
                    result = Err(StoreError::Corrupt("a counter has counted less than it gives back"));
                }
                Err(Failed::Store(error)) => result = Err(error),
            }
        }
        result
    }

    async fn ask(&self, account: Account, rule: Rule, enforced: bool, now_ms: u64) -> Result<Answer, StoreError> {
        let update = budget::admit(rule, now_ms);
        let exceeded = |counter: &HashMap<String, AttributeValue>| {
            let until_ms = budget::until_ms(rule, &numbers(counter), now_ms)?;
            Some(Exceeded { rule, until_ms })
        };
        match self.count(&account.pk(rule), &update, enforced).await {
            Ok(before) => Ok(Answer::Counted(before.attributes().and_then(exceeded).filter(|_| !enforced))),
            Err(Failed::Condition(counter)) => exceeded(&counter)
                .map(Answer::Refused)
                .ok_or(StoreError::Corrupt("a counter refused, but its attributes allow the send")),
            Err(Failed::Store(error)) => Err(error),
        }
    }

    /// Updates a counter. Not in a transaction, where so many writes of one item would collide. The SDK's retry after a lost
    /// reply may count one twice, never too few.
    async fn count(&self, pk: &str, update: &CounterUpdate, conditional: bool) -> Result<UpdateItemOutput, Failed> {
        let mut tried = 0;
        loop {
            let mut write = self
                .client
                .update_item()
                .table_name(&self.name)
                .key("pk", text(pk))
                .update_expression(&update.expression)
                .set_condition_expression(conditional.then(|| update.condition.clone()))
                .return_values(ReturnValue::AllOld)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            for (name, value) in &update.values {
                // DynamoDB refuses a value that no expression mentions.
                if update.expression.contains(name.as_str()) || conditional && update.condition.contains(name.as_str())
                {
                    write = write.expression_attribute_values(name, number(*value));
                }
            }
            let error = match write.send().await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            tried += 1;
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    return Err(Failed::Condition(failed.item().cloned().unwrap_or_default()));
                }
                Some(UpdateItemError::TransactionConflictException(_)) if self.backoff.wait(tried).await => {}
                Some(UpdateItemError::TransactionConflictException(_)) => {
                    return Err(Failed::Store(StoreError::Busy(tried)));
                }
                _ => return Err(Failed::Store(StoreError::Unavailable(reason(&error)))),
            }
        }
    }
}

/// Why a counter was not updated.
enum Failed {
    /// Its condition does not hold; the item as it stands.
    Condition(HashMap<String, AttributeValue>),
    Store(StoreError),
}

fn numbers(item: &HashMap<String, AttributeValue>) -> HashMap<String, u64> {
    item.iter().filter_map(|(name, value)| Some((name.clone(), value.as_n().ok()?.parse().ok()?))).collect()
}
