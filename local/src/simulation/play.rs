//! Plays visits through the real handlers, one event after the other, on a virtual clock.
//!
//! The handlers talk to the database through the real AWS SDK, but not over the network, which saves time. Deliveries and their
//! reports are left out, since nothing here depends on them.

use crate::aws::dynamodb::Database;
use crate::fixtures::{ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, signed_event};
use crate::functions::LONG;
use crate::simulation::error::SimulationError;
use crate::simulation::script::{ATTACK_MS, MINUTE_MS, Visit, Who};
use crate::system::{Options, System};
use fake_twilio::DeliveryTiming;
use send_code::alternatives::Alternative;
use send_code::answer::Answer;
use serde_json::json;
use shared::runtime::clock::Clock;
use shared::runtime::dependencies::Deadlines;
use shared::twilio::form::Form;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When an honest user who was refused asks once more, before giving up.
const AGAIN_AFTER_MS: u64 = 2 * MINUTE_MS;
/// Between a wrong code and the right one.
const CORRECTED_AFTER_MS: u64 = 10_000;
/// Later than anything that is played.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// What came out for the honest users of a kind.
#[derive(Default)]
pub(super) struct Group {
    pub users: u32,
    /// Those whose first request was refused, by the reason.
    pub refused: BTreeMap<&'static str, u32>,
    /// Those whose request was refused, and who texted us instead.
    pub texted: u32,
    /// Those who gave up without a code.
    pub gave_up: u32,
}

impl Group {
    /// Those whose first request was refused.
    pub(super) fn refused(&self) -> u32 {
        self.refused.values().sum()
    }
}

/// What came out on the day of the attack.
#[derive(Default)]
pub(super) struct Outcome {
    pub pumped_asked: u32,
    pub pumped_sent: u32,
    pub new: Group,
    pub returning: Group,
    /// The honest numbers, and whether the last visit of each was approved. Of all days.
    pub approved: BTreeMap<String, bool>,
}

/// What happens next in a visit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask,
    AskOnceMore,
    SendAgain,
    Mistype,
    Verify,
}

/// A refusal.
struct Refusal {
    reason: &'static str,
    /// What the user can text instead.
    offer: Option<Alternative>,
}

/// The newest SMS of a visit.
struct Newest<'a> {
    code: &'a str,
    verification: String,
}

/// A system that plays visits.
struct Player<'a> {
    system: System,
    now_ms: Arc<AtomicU64>,
    visits: &'a [&'a Visit],
    newest: Vec<Option<Newest<'a>>>,
    queue: BinaryHeap<Reverse<(u64, usize, Step)>>,
    outcome: Outcome,
}

/// Plays visits on top of what is in the database, under these settings.
pub(super) async fn play(
    visits: &[&Visit],
    database: Database,
    settings: &[(&str, &str)],
) -> Result<Outcome, SimulationError> {
    let now_ms = Arc::new(AtomicU64::new(visits.iter().map(|visit| visit.at_ms).min().unwrap_or(ATTACK_MS)));
    let clock = now_ms.clone();
    let without_reports = [("STATUS_CALLBACK", "")];
    let settings = settings.iter().chain(&without_reports);
    let direct = database.clone();
    let options = Options {
        database: Some(database),
        settings: settings.map(|(variable, value)| ((*variable).to_owned(), (*value).to_owned())).collect(),
        clock: Clock::new(move || clock.load(Ordering::SeqCst)),
        delivery_timing: DeliveryTiming { sent_after: NEVER, delivered_after: NEVER },
        // A busy machine must not change the result.
        deadlines: Deadlines { twilio: LONG, twilio_total: LONG.total, ..Options::default().deadlines },
        aws_http: Some(Box::new(move |network| direct.before(network))),
        ..Options::default()
    };
    let queue = visits.iter().enumerate().map(|(n, visit)| Reverse((visit.at_ms, n, Step::Ask))).collect();
    let newest = visits.iter().map(|_| None).collect();
    let outcome = Outcome::default();
    let mut player = Player { system: System::start(options).await?, now_ms, visits, newest, queue, outcome };
    while let Some(Reverse((at_ms, n, step))) = player.queue.pop() {
        player.now_ms.store(at_ms, Ordering::SeqCst);
        match step {
            Step::Ask | Step::AskOnceMore => player.ask(n, at_ms, step == Step::AskOnceMore).await?,
            Step::SendAgain => player.send_again(n, at_ms).await?,
            Step::Mistype => player.mistype(n, at_ms).await?,
            Step::Verify => player.verify(n).await?,
        }
    }
    Ok(player.outcome)
}

impl<'a> Player<'a> {
    async fn ask(&mut self, n: usize, at_ms: u64, once_more: bool) -> Result<(), SimulationError> {
        let visit = self.visits[n];
        let (refused, offer) = match self.send(n, &visit.codes[0]).await? {
            Some(Refusal { reason, offer }) => (Some(reason), offer),
            None => (None, None),
        };
        if visit.who == Who::Pumper {
            self.outcome.pumped_asked += 1;
            self.outcome.pumped_sent += u32::from(refused.is_none());
            return Ok(());
        }
        if visit.who == Who::Before && refused.is_some() {
            return Err(SimulationError::Unexpected(format!("the day before was refused by {refused:?}")));
        }
        self.outcome.approved.insert(visit.phone.clone(), false);
        if let Some(group) = self.group(visit).filter(|_| !once_more) {
            group.users += 1;
            if let Some(reason) = refused {
                *group.refused.entry(reason).or_default() += 1;
            }
        }
        if let Some(offer) = offer {
            self.text(n, &offer).await?;
            self.group(visit).into_iter().for_each(|group| group.texted += 1);
            return Ok(());
        }
        let is_slower = |tap_ms: &u64| visit.verifies_after_ms.is_none_or(|after_ms| after_ms > *tap_ms);
        match (refused, visit.sends_again_after_ms.filter(is_slower)) {
            (None, Some(tap_ms)) => self.queue.push(Reverse((at_ms + tap_ms, n, Step::SendAgain))),
            (None, None) => self.type_code(n, at_ms),
            (Some(_), _) if !once_more => self.queue.push(Reverse((at_ms + AGAIN_AFTER_MS, n, Step::AskOnceMore))),
            (Some(_), _) => self.group(visit).into_iter().for_each(|group| group.gave_up += 1),
        }
        Ok(())
    }

    /// Without another SMS, the code of the first one is typed.
    async fn send_again(&mut self, n: usize, at_ms: u64) -> Result<(), SimulationError> {
        self.send(n, &self.visits[n].codes[1]).await?;
        self.type_code(n, at_ms);
        Ok(())
    }

    /// Plans when the user types the code of the SMS that just came, if ever.
    fn type_code(&mut self, n: usize, at_ms: u64) {
        let visit = self.visits[n];
        let step = if visit.mistypes { Step::Mistype } else { Step::Verify };
        self.queue.extend(visit.verifies_after_ms.map(|after_ms| Reverse((at_ms + after_ms, n, step))));
    }

    async fn mistype(&mut self, n: usize, at_ms: u64) -> Result<(), SimulationError> {
        self.check(n, |code| code.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect(), "incorrect")
            .await?;
        self.queue.push(Reverse((at_ms + CORRECTED_AFTER_MS, n, Step::Verify)));
        Ok(())
    }

    async fn verify(&mut self, n: usize) -> Result<(), SimulationError> {
        self.check(n, str::to_owned, "approved").await?;
        self.outcome.approved.insert(self.visits[n].phone.clone(), true);
        Ok(())
    }

    /// Texts for a visit's verification from its phone, and asks whether it is approved.
    async fn text(&self, n: usize, offer: &Alternative) -> Result<(), SimulationError> {
        let Alternative::TextToVerify { body, verification, .. } = offer;
        let phone = self.visits[n].phone.as_str();
        let sid = format!("SM{n:032x}");
        let form = Form::from_pairs([
            ("AccountSid", ACCOUNT_SID),
            ("Body", body),
            ("From", phone),
            ("MessageSid", &sid),
            ("SmsStatus", "received"),
            ("To", OUR_NUMBER),
        ]);
        let event = signed_event(&self.system.base_url, "/sms", AUTH_TOKEN, &form);
        let event = event.map_err(|error| SimulationError::Unexpected(error.to_string()))?;
        inbound_sms::handle(&self.system.inbound_sms, event).await;
        let event = json!({"phone_number": phone, "verification": verification});
        let status = check_code::handle(&self.system.check_code, "request-check", &event).await?.status();
        if status == "approved" { Ok(()) } else { Err(SimulationError::Unexpected(format!("a text was {status}"))) }
    }

    /// What is reported of a visit; nothing of those before the attack.
    fn group(&mut self, visit: &Visit) -> Option<&mut Group> {
        match visit.who {
            _ if visit.at_ms < ATTACK_MS => None,
            Who::New => Some(&mut self.outcome.new),
            Who::Returning => Some(&mut self.outcome.returning),
            Who::Pumper | Who::Before => None,
        }
    }

    /// Asks for an SMS with this code, in the visit's verification if there is one. Returns why it is refused.
    async fn send(&mut self, n: usize, code: &'a str) -> Result<Option<Refusal>, SimulationError> {
        let visit = self.visits[n];
        // Also the idempotency key, so it is another one in each visit and at each time.
        let request_id = format!("request-{n}-{}", self.now_ms.load(Ordering::SeqCst));
        let mut event = json!({"phone_number": visit.phone, "ip": visit.ip, "code": code});
        if let Some(newest) = &self.newest[n] {
            event["verification"] = newest.verification.as_str().into();
        }
        match send_code::handle(&self.system.send_code, &request_id, &event).await? {
            Answer::Sent { verification, .. } => {
                self.newest[n] = Some(Newest { code, verification });
                Ok(None)
            }
            Answer::Refused(refused) if refused.reason().ends_with("_limit") || refused.reason() == "block_record" => {
                Ok(Some(Refusal { reason: refused.reason(), offer: refused.alternatives.into_iter().next() }))
            }
            other => Err(SimulationError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Types what `typed` makes of the newest code.
    async fn check(&self, n: usize, typed: fn(&str) -> String, expected: &str) -> Result<(), SimulationError> {
        let Some(Newest { code, verification }) = &self.newest[n] else {
            return Err(SimulationError::Unexpected("a code that was never sent".to_owned()));
        };
        let event = json!({"phone_number": self.visits[n].phone, "verification": verification, "code": typed(code)});
        let status = check_code::handle(&self.system.check_code, "request-check", &event).await?.status();
        if status == expected { Ok(()) } else { Err(SimulationError::Unexpected(format!("a check was {status}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(who: Who, at_s: u64, phone: u64) -> Visit {
        Visit {
            who,
            at_ms: ATTACK_MS + at_s * 1_000,
            phone: format!("+1415557{phone:04}"),
            ip: format!("24.1.{phone}.1"),
            codes: ["111111".to_owned(), "222222".to_owned()],
            verifies_after_ms: None,
            mistypes: false,
            sends_again_after_ms: None,
        }
    }

    #[tokio::test]
    async fn a_pumped_range_refuses_new_users_and_no_returning_one() {
        let verifies = |visit| Visit { verifies_after_ms: Some(40_000), mistypes: true, ..visit };
        let mut visits = vec![
            verifies(visit(Who::Before, 0, 1)),
            // The code of "send again" is the one that counts.
            Visit { sends_again_after_ms: Some(31_000), ..verifies(visit(Who::New, 1, 2)) },
        ];
        visits[0].at_ms -= 86_400_000;
        visits.extend((100..120).map(|n| visit(Who::Pumper, n, n)));
        visits.extend([visit(Who::New, 200, 3), verifies(visit(Who::Returning, 200, 1))]);
        let database = Database::open(None).unwrap();
        let outcome = play(&visits.iter().collect::<Vec<_>>(), database, &[]).await.unwrap();
        assert_eq!((outcome.pumped_asked, outcome.pumped_sent), (20, 10));
        assert_eq!((outcome.new.users, outcome.new.gave_up), (2, 1));
        assert_eq!(outcome.new.refused, BTreeMap::from([("range_limit", 1)]));
        assert_eq!((outcome.returning.users, outcome.returning.refused()), (1, 0));
        let approved: Vec<_> = outcome.approved.into_values().collect();
        assert_eq!(approved, [true, true, false]);
    }

    #[tokio::test]
    async fn with_the_country_full_a_hundred_of_a_hundred_new_users_get_in_by_text_and_the_pumper_gains_nothing() {
        let settings =
            [("TEXT_TO_VERIFY", "direct"), ("COUNTRY_LIMIT", "20/1d"), ("RANGE_LIMIT", "off"), ("BLOCK_RECORD", "off")];
        let pumped = (0..30).map(|n| visit(Who::Pumper, n, n));
        let visits: Vec<_> = pumped.chain((100..200).map(|n| visit(Who::New, n, n))).collect();
        let outcome = play(&visits.iter().collect::<Vec<_>>(), Database::open(None).unwrap(), &settings).await.unwrap();
        assert_eq!(
            (outcome.pumped_sent, outcome.new.refused(), outcome.new.texted, outcome.new.gave_up),
            (20, 100, 100, 0)
        );
    }

    #[tokio::test]
    async fn what_was_played_goes_on_in_a_copy() {
        let file = std::env::temp_dir().join(format!("tollgate-copy-{}", std::process::id()));
        let database = Database::open(None).unwrap();
        let pumped: Vec<_> = (0..30).map(|n| visit(Who::Pumper, n, n)).collect();
        let (first, second) = pumped.split_at(6);
        play(&first.iter().collect::<Vec<_>>(), database.clone(), &[]).await.unwrap();
        database.copy_to(&file).unwrap();
        let copy = Database::of_copy(&file);
        std::fs::remove_file(&file).unwrap();
        let outcome = play(&second.iter().collect::<Vec<_>>(), copy.unwrap(), &[]).await.unwrap();
        assert_eq!(outcome.pumped_sent, 4);
    }
}
