//! The functions as Lambda holds them: found by name, started once, then invoked.

use serde_json::{Value, json};
use shared::runtime::dependencies::{Dependencies, StartError};
use shared::runtime::http::Timeouts;
use shared::runtime::settings::Environment;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a call of AWS may take, and a webhook. Far more than it takes: a busy machine must not fail a test.
pub const LONG: Timeouts = Timeouts { connect: Duration::from_mins(1), total: Duration::from_mins(1) };

/// A function of Tollgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Sends a code.
    SendCode,
    /// Checks a code.
    CheckCode,
    /// Takes inbound messages.
    InboundSms,
    /// Takes the status of outbound messages.
    DeliveryStatus,
    /// Audits the Twilio account and the stack.
    Checklist,
}

/// A name that no function has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Function not found: {0}. The functions are send-code, check-code, inbound-sms, delivery-status and checklist."
)]
pub struct UnknownFunction(String);

impl Function {
    const ALL: [Self; 5] = [Self::SendCode, Self::CheckCode, Self::InboundSms, Self::DeliveryStatus, Self::Checklist];

    /// The name of its crate, by which the local system invokes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendCode => "send-code",
            Self::CheckCode => "check-code",
            Self::InboundSms => "inbound-sms",
            Self::DeliveryStatus => "delivery-status",
            Self::Checklist => "checklist",
        }
    }

    /// Its name in `template.yaml`.
    const fn logical_id(self) -> &'static str {
        match self {
            Self::SendCode => "SendCode",
            Self::CheckCode => "CheckCode",
            Self::InboundSms => "InboundSms",
            Self::DeliveryStatus => "DeliveryStatus",
            Self::Checklist => "Checklist",
        }
    }
}

/// Reads what Lambda's Invoke takes as `FunctionName`: a name or an ARN, either with a qualifier, which is ignored. The name is the
/// local one or the one that CloudFormation gives, so that an app keeps its configuration from production.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
///
/// ```
/// use local::functions::Function;
///
/// for name in [
///     "send-code",
///     "send-code:live",
///     "arn:aws:lambda:us-east-1:123456789012:function:send-code",
///     "arn:aws:lambda:us-east-1:123456789012:function:tollgate-SendCode-mP0Z8xkWq2Yc:live",
/// ] {
///     assert_eq!(name.parse(), Ok(Function::SendCode), "{name}");
/// }
/// assert!("resend-code".parse::<Function>().is_err());
/// ```
impl FromStr for Function {
    type Err = UnknownFunction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.rsplit_once("function:").map_or(text, |(_, name)| name);
        let name = name.split_once(':').map_or(name, |(name, _qualifier)| name);
        // CloudFormation's names are STACK-LOGICALID-RANDOM.
        let logical_id = name.rsplit('-').nth(1);
        let is_meant =
            |function: &Self| function.name() == name || logical_id.is_some_and(|id| function.logical_id() == id);
        Self::ALL.into_iter().find(is_meant).ok_or_else(|| UnknownFunction(text.to_owned()))
    }
}

/// The functions, which start after the services that they need. Clones share them.
#[derive(Clone, Default)]
pub struct Functions(Arc<OnceLock<States>>);

impl Functions {
    /// Lets the functions answer from now on.
    pub fn set(&self, states: States) {
        let _ = self.0.set(states);
    }

    /// The functions; `None` while they are starting.
    #[must_use]
    pub fn get(&self) -> Option<&States> {
        self.0.get()
    }
}

/// What each function keeps while it is warm.
#[derive(Clone)]
pub struct States {
    /// send-code's state.
    pub send_code: Arc<send_code::state::State>,
    /// check-code's state.
    pub check_code: Arc<check_code::state::State>,
    /// inbound-sms's state.
    pub inbound_sms: Arc<inbound_sms::state::State>,
    /// delivery-status's state.
    pub delivery_status: Arc<delivery_status::state::State>,
    /// checklist's state.
    pub checklist: Arc<checklist::state::State>,
}

impl States {
    /// Starts each function as Lambda would.
    ///
    /// # Errors
    /// [`StartError`] of the first function that can't start.
    pub async fn start(environment: &Environment, dependencies: &Dependencies) -> Result<Self, StartError> {
        Ok(Self {
            checklist: Arc::new(checklist::state::State::start(environment, dependencies.clone())?),
            check_code: Arc::new(check_code::state::State::start(environment, dependencies.clone()).await?),
            inbound_sms: Arc::new(inbound_sms::state::State::start(environment, dependencies.clone()).await?),
            delivery_status: Arc::new(delivery_status::state::State::start(environment, dependencies.clone()).await?),
            send_code: Arc::new(send_code::state::State::start(environment, dependencies.clone()).await?),
        })
    }

    /// Invokes a function: its answer as JSON, or its error in the form in which Lambda gives it to the caller.
    ///
    /// # Errors
    /// The function's error, or that its answer is not JSON.
    pub async fn invoke(&self, function: Function, request_id: &str, event: &Value) -> Result<String, Value> {
        let error = |kind: &str, message: String| json!({"errorType": kind, "errorMessage": message});
        let answer = match function {
            Function::InboundSms => serde_json::to_string(&inbound_sms::handle(&self.inbound_sms, event.clone()).await),
            Function::DeliveryStatus => {
                serde_json::to_string(&delivery_status::handle(&self.delivery_status, event.clone()).await)
            }
            Function::Checklist => {
                let answer = checklist::handle(&self.checklist, request_id, event).await;
                serde_json::to_string(&answer.map_err(|failed| error(failed.kind(), failed.to_string()))?)
            }
            Function::CheckCode => {
                let answer = check_code::handle(&self.check_code, request_id, event).await;
                serde_json::to_string(&answer.map_err(|failed| error(failed.kind(), failed.to_string()))?)
            }
            Function::SendCode => {
                let answer = send_code::handle(&self.send_code, request_id, event).await;
                serde_json::to_string(&answer.map_err(|failed| error(failed.kind(), failed.to_string()))?)
            }
        };
        answer.map_err(|failed| error("Runtime.MarshalError", failed.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_every_name_that_lambda_takes() {
        for function in Function::ALL {
            let (name, id) = (function.name(), function.logical_id());
            for text in [
                name.to_owned(),
                format!("{name}:live"),
                format!("{name}:$LATEST"),
                format!("123456789012:function:{name}"),
                format!("arn:aws:lambda:us-east-1:123456789012:function:{name}"),
                format!("arn:aws:lambda:us-east-1:123456789012:function:{name}:7"),
                format!("my-stack-{id}-mP0Z8xkWq2Yc"),
                format!("arn:aws:lambda:us-east-1:123456789012:function:tollgate-{id}-mP0Z8xkWq2Yc:live"),
            ] {
                assert_eq!(text.parse(), Ok(function), "{text}");
            }
        }
    }

    #[test]
    fn a_name_that_no_function_has_is_an_error_that_lists_the_functions() {
        for text in ["", "send", "send_code", "resend-code", "live", "tollgate-sendcode-x", "SendCode-tollgate-other"] {
            let error = text.parse::<Function>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("Function not found: {text}. ")), "{error}");
            assert!(Function::ALL.into_iter().all(|function| error.contains(function.name())), "{error}");
        }
    }
}
