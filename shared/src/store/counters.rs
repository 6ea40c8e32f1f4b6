//! Budgets: what a country, or everybody together, may have. See [`crate::limits::bucket_counter`].

use super::table::{StoreError, Table, number, text};
use crate::limits::bucket_counter::{self, CounterUpdate};
use crate::limits::rules::{CounterRules, Exceeded, Mode, Rule};
use crate::phone::number::Region;
use crate::runtime::aws::reason;
use aws_sdk_dynamodb::config::{Config, retry::RetryConfig};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::collections::HashMap;

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterScope {
    /// A country's.
    Country(Region),
    /// Everybody's: the cap on the bill.
    Total,
}

/// Places taken in budgets, which can be given back.
#[derive(Clone, Debug, Default)]
pub struct CounterEntries(Vec<(CounterScope, Rule)>);

/// What one rule said.
enum Answer {
    /// It counted one. An observed rule that is exceeded says so.
    Counted(Option<Exceeded>),
    /// It refuses, and counted nothing.
    Refused(Exceeded),
}

impl CounterScope {
    pub(super) fn pk(self, rule: Rule) -> String {
        match self {
            Self::Country(region) => format!("country#{region}#{rule}"),
            Self::Total => format!("total#{rule}"),
        }
    }
}

impl CounterEntries {
    /// Only the country's places: the total counts every send, also a verified one. `counted` are the rules that counted the
    /// send when it was made; one that is no longer a rule has no counter to give back to, and a new one did not count it.
    #[must_use]
    pub fn of_country(region: Option<Region>, limit: &Mode<CounterRules>, counted: &str) -> Self {
        let rules = limit.counted().map_or(&[][..], CounterRules::rules);
        let both = rules.iter().filter(|rule| counted.split(',').any(|name| name == rule.to_string()));
        Self(
            region
                .into_iter()
                .flat_map(|region| both.clone().map(move |rule| (CounterScope::Country(region), *rule)))
                .collect(),
        )
    }
}

/// The names of a budget's rules, for [`CounterEntries::of_country`].
pub(super) fn rule_names(limit: &Mode<CounterRules>) -> String {
    let rules = limit.counted().map_or(&[][..], CounterRules::rules);
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
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
        account: CounterScope,
        limit: &Mode<CounterRules>,
        now_ms: u64,
        spent: &mut CounterEntries,
        observed: &mut Vec<Rule>,
    ) -> Result<Option<Exceeded>, StoreError> {
        let enforced = limit.enforced().is_some();
        for &rule in limit.counted().map_or(&[][..], CounterRules::rules) {
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
    pub async fn give_back(&self, spent: CounterEntries, at_ms: u64, now_ms: u64) -> Result<(), StoreError> {
        let mut result = Ok(());
        for (account, rule) in spent.0 {
            let update = bucket_counter::release(rule, at_ms, now_ms);
            // Never twice: what a lost reply leaves in doubt stays counted.
            match self.count(&account.pk(rule), &update, true, RetryConfig::disabled()).await {
                Ok(_) => {}
                Err(Failed::Condition(_)) => {
                    result = Err(StoreError::Corrupt("a counter has counted less than it gives back"));
                }
                Err(Failed::Store(error)) => result = Err(error),
            }
        }
        result
    }

    async fn ask(&self, account: CounterScope, rule: Rule, enforced: bool, now_ms: u64) -> Result<Answer, StoreError> {
        let update = bucket_counter::admit(rule, now_ms);
        let exceeded = |counter: &HashMap<String, AttributeValue>| {
            let until_ms = bucket_counter::until_ms(rule, &numbers(counter), now_ms)?;
            Some(Exceeded { rule, until_ms })
        };
        let retry = self.client.config().retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        match self.count(&account.pk(rule), &update, enforced, retry).await {
            Ok(before) => {
                let before = before.attributes().cloned().unwrap_or_default();
                self.clear(account, rule, &before, now_ms).await;
                Ok(Answer::Counted(exceeded(&before).filter(|_| !enforced)))
            }
            Err(Failed::Condition(counter)) => exceeded(&counter)
                .map(Answer::Refused)
                .ok_or(StoreError::Corrupt("a counter refused, but its attributes allow the send")),
            Err(Failed::Store(error)) => Err(error),
        }
    }

    /// Clears away what a counter no longer needs. It is done again next time if it fails now.
    async fn clear(&self, account: CounterScope, rule: Rule, counter: &HashMap<String, AttributeValue>, now_ms: u64) {
        let Some(expression) = bucket_counter::clear(rule, &numbers(counter), now_ms) else { return };
        let key = text(&account.pk(rule));
        let update = self.client.update_item().table_name(&self.name).key("pk", key).update_expression(expression);
        if let Err(error) = update.send().await {
            tracing::warn!(error = reason(&error), "old buckets of a counter could not be cleared away");
        }
    }

    /// Updates a counter. Not in a transaction, where so many writes of one item would collide. If `retry` lets the SDK try again
    /// after a lost reply, it may be updated twice: that is strict for an admission, and never to be done for a release.
    async fn count(
        &self,
        pk: &str,
        update: &CounterUpdate,
        conditional: bool,
        retry: RetryConfig,
    ) -> Result<UpdateItemOutput, Failed> {
        let config = Config::builder().retry_config(retry);
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
            let error = match write.customize().config_override(config.clone()).send().await {
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

pub(super) fn numbers(item: &HashMap<String, AttributeValue>) -> HashMap<String, u64> {
    item.iter().filter_map(|(name, value)| Some((name.clone(), value.as_n().ok()?.parse().ok()?))).collect()
}
