//! SMS pumping, simulated against the whole system: how many SMS are sent, what they cost, and which honest users are refused.
//!
//! One script of requests, made from fixed seeds, runs on a virtual clock through the real handlers, once for each scenario. So two
//! rows of the table differ by their scenario alone.
//!
//! The script takes two days. On the first, only the honest users appear who never verify, since the others leave no entry: that fills
//! the country's window as in practice. On the second, everybody appears, and the pumping runs. Only the second is reported.

use crate::system::{Options, System, SystemError};
use check_code::CheckCodeError;
use send_code::SendCodeError;
use send_code::answer::Answer;
use serde_json::json;
use shared::limits::rules::{CounterRules, Rule};
use shared::phone::code::Guess;
use shared::phone::number::{InvalidPhoneNumber, PhoneNumber};
use shared::runtime::clock::Clock;
use shared::runtime::settings::{Environment, SettingError};
use shared::store::checks::CheckResult;
use shared::store::items::StoreError;
use shared::store::send_limits::SendLimits;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2100-01-01T00:00:00Z: so far ahead that nothing expires by the machine's own clock.
const FIRST_DAY_MS: u64 = 4_102_444_800_000;
const ATTACK_MS: u64 = FIRST_DAY_MS + DAY_MS;

/// Adjacent blocks of 1,000 numbers, the pumped numbers in each, and how often each is asked for.
const BLOCKS: u32 = 20;
const PUMPED_IN_BLOCK: u64 = 250;
const ATTEMPTS: u64 = 3;
/// Honest users a day, and how many of them sit behind one IP address.
const HONEST: u64 = 2_000;
const OFFICE: u64 = 300;
/// When an honest user who was refused asks once more, before giving up.
const AGAIN_AFTER_MS: u64 = 2 * MINUTE_MS;
/// What an SMS to the US costs: Twilio's price without the carriers' fees.
const DOLLARS_PER_SMS: f64 = 0.0083;
/// What may be refused of the honest users.
const TARGET_PERCENT: f64 = 0.5;

/// Area codes of honest users. None has a number in a pumped block: the limit of ranges would refuse it.
const AREA_CODES: [u64; 16] = [206, 212, 213, 303, 305, 312, 404, 503, 512, 602, 612, 617, 702, 713, 818, 917];

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The system does not start.
    #[error(transparent)]
    Start(#[from] SystemError),
    /// A default can't be read.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// send-code fails.
    #[error("send-code failed: {0}")]
    SendCode(#[from] SendCodeError),
    /// check-code fails.
    #[error("check-code failed: {0}")]
    CheckCode(#[from] CheckCodeError),
    /// The table fails.
    #[error("a check failed: {0}")]
    Table(#[from] StoreError),
    /// A number of the script is none.
    #[error("a phone number of the script {0}")]
    Number(#[from] InvalidPhoneNumber),
    /// An answer is not one that the script can bring about: then the product is broken.
    #[error("this should not have come out: {0}")]
    Unexpected(String),
    /// A scenario was cut off.
    #[error("a scenario was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
    /// The chart can't be kept.
    #[error("the chart can't be written to {path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
}

/// What is varied.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    give_back: bool,
    whole_office_verifies: bool,
    settings: &'static [(&'static str, &'static str)],
}

const DEFAULTS: Scenario = Scenario { name: "defaults", give_back: true, whole_office_verifies: false, settings: &[] };

const SCENARIOS: [Scenario; 4] = [
    DEFAULTS,
    Scenario { name: "without give-back", give_back: false, ..DEFAULTS },
    Scenario { name: "defaults, and the whole office verifies", whole_office_verifies: true, ..DEFAULTS },
    Scenario { name: "IpLimit `40/1h`, CountryLimit `1500/1d`", settings: &HIGHER, ..DEFAULTS },
];
/// Room for an office whose every seventh never verifies, and for pumping beside the honest users who don't.
const HIGHER: [(&str, &str); 2] = [("IP_LIMIT", "40/1h"), ("COUNTRY_LIMIT", "1500/1d")];

/// Plays all scenarios, prints a table in Markdown and the bounds, and writes a chart in SVG. The same each time.
///
/// # Errors
/// [`SimulationError`], also if more gets out than the rules allow.
pub async fn run(out: &Path) -> Result<(), SimulationError> {
    let limits = SendLimits::from_environment(&Environment::default())?;
    let per_day = |rules: Option<&[Rule]>| {
        let rules = rules.into_iter().flatten().filter(|rule| rule.window().as_ms() == DAY_MS);
        rules.map(|rule| rule.count()).min().unwrap_or(u32::MAX)
    };
    let block = limits.range.enforced().map_or(u32::MAX, |range| range.most_within(range.longest_window()));
    let country = per_day(limits.country.enforced().map(CounterRules::rules));
    let total = per_day(limits.total.enforced().map(CounterRules::rules));
    let bound = BLOCKS.saturating_mul(block).min(country);

    eprintln!("{} scenarios; this takes one or two minutes.", SCENARIOS.len());
    let playing = SCENARIOS.map(|scenario| tokio::spawn(play(scenario)));
    let mut outcomes = vec![];
    for (scenario, played) in SCENARIOS.into_iter().zip(playing) {
        let outcome = played.await??;
        eprintln!("played: {}", scenario.name);
        if count(&outcome.pumped_out) > bound {
            return Err(SimulationError::Unexpected(format!("{} pumped SMS", outcome.pumped_out.len())));
        }
        outcomes.push(outcome);
    }
    println!("{}", table(&outcomes));
    println!("What the default rules allow in any 24 hours, whatever is asked for, from however many IPs:\n");
    println!("- RangeLimit: {BLOCKS} blocks × {block} = {} pumped SMS, {}.", BLOCKS * block, dollars(BLOCKS * block));
    println!(
        "- CountryLimit: pumped + honest unverified ≤ {country} a country, {}, from however many blocks. {} full blocks fill it, \
         fewer with the honest users who do not verify; then everybody in the country waits.",
        dollars(country),
        country.div_ceil(block)
    );
    println!("- TotalLimit: all SMS ≤ {total}, {}.", dollars(total));
    std::fs::write(out, chart(&outcomes)).map_err(|error| SimulationError::Write { path: out.to_owned(), error })
}

/// Numbers that look random and are the same in each run: a xorshift generator.
struct Dice(u64);

impl Dice {
    /// From `from` to `to`, without `to`.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from + self.0 % (to - from)
    }

    /// Most often near `middle`, and always within `width` of it: a bell, from three throws.
    fn near(&mut self, middle: u64, width: u64) -> u64 {
        let thrown: u64 = (0..3).map(|_| self.between(0, 2 * width)).sum();
        middle - width + thrown / 3
    }

    fn code(&mut self) -> String {
        format!("{:06}", self.between(0, 1_000_000))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Pump,
    Office,
    Other,
}

/// A request for a code, by an honest user or by the pumping.
struct Asker {
    who: Who,
    at_ms: u64,
    phone: String,
    ip: String,
    code: String,
    /// How long after the SMS the code is typed; none if it never is.
    verifies_after_ms: Option<u64>,
    mistypes: bool,
}

/// The honest users of a day: 85 % verify, and 4 % mistype once.
fn honest(day_ms: u64, whole_office_verifies: bool, dice: &mut Dice, askers: &mut Vec<Asker>) {
    for n in 0..HONEST {
        let who = if n < OFFICE { Who::Office } else { Who::Other };
        let at_ms = match (who, n % 20) {
            // Behind the office's IP: six of ten sign in around nine, two after lunch, two at any time of work.
            (Who::Office, 0..12) => dice.near(9 * HOUR_MS, 75 * MINUTE_MS),
            (Who::Office, 12..16) => dice.near(13 * HOUR_MS, 75 * MINUTE_MS),
            (Who::Office, _) => dice.between(8 * HOUR_MS, 18 * HOUR_MS),
            // The others: nine of ten by day.
            (_, 0..18) => dice.between(7 * HOUR_MS, 23 * HOUR_MS),
            _ => dice.between(0, DAY_MS),
        };
        let area = AREA_CODES[usize::try_from(n % 16).unwrap_or_default()];
        let phone = format!("+1{area}{:03}{:04}", dice.between(220, 1_000), dice.between(0, 10_000));
        let own_ip = Ipv4Addr::from_bits(0x4900_0000 + u32::try_from(dice.between(0, 1 << 24)).unwrap_or_default());
        let ip = if who == Who::Office { "198.51.100.7".to_owned() } else { own_ip.to_string() };
        let code = dice.code();
        // From 10 seconds to two minutes, half of them within 38 seconds.
        let slowness = dice.between(0, 1_000);
        let after_ms = 10 * SECOND_MS + 110 * slowness * slowness / SECOND_MS;
        let verifies = dice.between(0, 20) < 17 || (whole_office_verifies && who == Who::Office);
        let mistypes = dice.between(0, 25) == 0;
        let verifies_after_ms = verifies.then_some(after_ms);
        askers.push(Asker { who, at_ms: day_ms + at_ms, phone, ip, code, verifies_after_ms, mistypes });
    }
}

/// A day of pumping: numbers of adjacent blocks, each asked for several times within minutes, each time from a fresh IP.
fn pumping(dice: &mut Dice, askers: &mut Vec<Asker>) {
    let mut ip = 0x1800_0000;
    for n in 0..u64::from(BLOCKS) * PUMPED_IN_BLOCK {
        let phone = format!("+1415{}{:03}", 5570 + n / PUMPED_IN_BLOCK, n % PUMPED_IN_BLOCK);
        let mut at_ms = ATTACK_MS + dice.between(0, DAY_MS - ATTEMPTS * 5 * MINUTE_MS);
        for _ in 0..ATTEMPTS {
            ip += 1;
            askers.push(Asker {
                who: Who::Pump,
                at_ms,
                phone: phone.clone(),
                ip: Ipv4Addr::from_bits(ip).to_string(),
                code: dice.code(),
                verifies_after_ms: None,
                mistypes: false,
            });
            at_ms += dice.between(35 * SECOND_MS, 5 * MINUTE_MS);
        }
    }
}

/// What happens next to an asker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask { again: bool },
    Mistype,
    Verify,
}

/// What came out for the honest users of a kind.
#[derive(Default)]
struct Group {
    users: u32,
    /// Those who were ever refused, by the limit that was the first.
    refused: BTreeMap<&'static str, u32>,
    /// Those who gave up without a code.
    gave_up: u32,
}

impl Group {
    fn refused(&self) -> u32 {
        self.refused.values().sum()
    }
}

/// What came out on the day of the pumping. Times are in order.
#[derive(Default)]
struct Outcome {
    pumped_asked: Vec<u64>,
    pumped_out: Vec<u64>,
    honest_refused: Vec<u64>,
    office: Group,
    others: Group,
    /// All SMS of both days that were never released.
    counted: Vec<u64>,
}

impl Outcome {
    fn group(&mut self, who: Who) -> &mut Group {
        if who == Who::Office { &mut self.office } else { &mut self.others }
    }

    /// The most that the country's counter held: all since the quarter of a day in which its window began.
    fn country_peak(&self) -> usize {
        let within =
            |end_ms: u64| self.counted.iter().filter(move |&&at_ms| at_ms + 30 * HOUR_MS >= end_ms && at_ms < end_ms);
        (1..=4).map(|quarter| within(ATTACK_MS + quarter * 6 * HOUR_MS).count()).max().unwrap_or_default()
    }
}

/// Plays one scenario, one event after the other.
#[expect(clippy::too_many_lines, reason = "one event loop, whose steps share its state")]
async fn play(scenario: Scenario) -> Result<Outcome, SimulationError> {
    let now_ms = Arc::new(AtomicU64::new(FIRST_DAY_MS));
    let now = now_ms.clone();
    let clock = Clock::new(move || now.load(Ordering::SeqCst));
    let settings =
        scenario.settings.iter().map(|(variable, value)| ((*variable).to_owned(), (*value).to_owned())).collect();
    let system = System::start(Options { settings, clock, ..Options::default() }).await?;

    let mut askers = vec![];
    let mut dice = Dice(0x7011_6a7e);
    honest(FIRST_DAY_MS, false, &mut dice, &mut askers);
    askers.retain(|asker| asker.verifies_after_ms.is_none());
    honest(ATTACK_MS, scenario.whole_office_verifies, &mut dice, &mut askers);
    pumping(&mut Dice(0x0bad_5eed), &mut askers);
    let events = askers.iter().enumerate().map(|(n, asker)| Reverse((asker.at_ms, n, Step::Ask { again: false })));
    let mut queue: BinaryHeap<_> = events.collect();

    let mut outcome = Outcome::default();
    let mut requests = 0_u64;
    while let Some(Reverse((at_ms, n, step))) = queue.pop() {
        now_ms.store(at_ms, Ordering::SeqCst);
        let asker = &askers[n];
        let again = match step {
            Step::Ask { again } => again,
            Step::Mistype => {
                verify(&system, asker, &not(&asker.code), "incorrect", scenario.give_back).await?;
                queue.push(Reverse((at_ms + 10 * SECOND_MS, n, Step::Verify)));
                continue;
            }
            Step::Verify => {
                verify(&system, asker, &asker.code, "approved", scenario.give_back).await?;
                continue;
            }
        };
        requests += 1;
        let event = json!({"phone_number": asker.phone, "ip": asker.ip, "code": asker.code});
        let answer = send_code::handle(&system.send_code, &format!("request-{requests}"), &event).await?;
        let reported = asker.at_ms >= ATTACK_MS;
        let sent = match &answer {
            Answer::Sent { .. } => true,
            Answer::Refused(refused) if refused.reason().ends_with("_limit") => false,
            other => return Err(SimulationError::Unexpected(format!("{other:?}"))),
        };
        if sent && !(scenario.give_back && asker.verifies_after_ms.is_some()) {
            outcome.counted.push(at_ms);
        }
        if asker.who == Who::Pump {
            outcome.pumped_asked.push(at_ms);
            outcome.pumped_out.extend(sent.then_some(at_ms));
            continue;
        }
        if reported && !again {
            outcome.group(asker.who).users += 1;
            if let Some(refused) = answer.refused() {
                *outcome.group(asker.who).refused.entry(refused.reason()).or_default() += 1;
                outcome.honest_refused.push(at_ms);
            }
        }
        let next = if sent {
            let first = if asker.mistypes { Step::Mistype } else { Step::Verify };
            asker.verifies_after_ms.map(|after_ms| (after_ms, first))
        } else {
            (!again).then_some((AGAIN_AFTER_MS, Step::Ask { again: true }))
        };
        match next {
            Some((after_ms, step)) => queue.push(Reverse((at_ms + after_ms, n, step))),
            None if !sent && reported => outcome.group(asker.who).gave_up += 1,
            None => {}
        }
    }
    Ok(outcome)
}

/// Another code.
fn not(code: &str) -> String {
    code.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect()
}

/// Types a code. Without give-back it is check-code's way up to the approval, whose send then stays counted.
async fn verify(
    system: &System,
    asker: &Asker,
    typed: &str,
    expected: &str,
    give_back: bool,
) -> Result<(), SimulationError> {
    let state = &system.check_code;
    let status = if give_back {
        let event = json!({"phone_number": asker.phone, "code": typed});
        check_code::handle(state, "request-check", &event).await?.status()
    } else {
        let phone = PhoneNumber::parse(&asker.phone)?;
        let guess: Guess = typed.parse().map_err(|_| SimulationError::Unexpected(typed.to_owned()))?;
        match state.table.check(&phone, &guess, None, &state.limits, state.clock.now_ms()).await? {
            CheckResult::Approved(_) => "approved",
            CheckResult::Incorrect { .. } => "incorrect",
            CheckResult::Expired { .. } => "expired",
            CheckResult::TooMany { .. } => "too_many_attempts",
        }
    };
    if status == expected { Ok(()) } else { Err(SimulationError::Unexpected(format!("a check was {status}"))) }
}

fn dollars(sms: u32) -> String {
    format!("${:.2}", f64::from(sms) * DOLLARS_PER_SMS)
}

fn count(times: &[u64]) -> u32 {
    u32::try_from(times.len()).unwrap_or(u32::MAX)
}

/// The result in Markdown.
fn table(results: &[Outcome]) -> String {
    let mut text = "| Scenario | Pumped SMS: asked for | sent | cost | Honest users refused: office | others | of all \
                    | gave up | CountryLimit at most |\n|---|--:|--:|--:|---|---|--:|--:|--:|\n"
        .to_owned();
    let asked = count(&results[0].pumped_asked);
    let _ = writeln!(text, "| no limits | {asked} | {asked} | {} | 0 | 0 | 0.00 % | 0 | |", dollars(asked));
    for (scenario, result) in SCENARIOS.iter().zip(results) {
        let sent = count(&result.pumped_out);
        let users = result.office.users + result.others.users;
        let percent = 100.0 * f64::from(count(&result.honest_refused)) / f64::from(users.max(1));
        let missed = if percent < TARGET_PERCENT { "" } else { " ✗" };
        let _ = writeln!(
            text,
            "| {} | {} | {sent} | {} | {} | {} | {percent:.2} %{missed} | {} | {} |",
            scenario.name,
            result.pumped_asked.len(),
            dollars(sent),
            refused(&result.office),
            refused(&result.others),
            result.office.gave_up + result.others.gave_up,
            result.country_peak(),
        );
    }
    text
}

fn refused(group: &Group) -> String {
    let by: Vec<_> = group.refused.iter().map(|(reason, users)| format!("{users} by {reason}")).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    format!("{} of {}{by}", group.refused(), group.users)
}

/// Colours that can be read on white and on black.
const GREY: &str = "#7d8590";
const BLUE: &str = "#3b82f6";
const ORANGE: &str = "#e07b39";
const GREEN: &str = "#2da44e";

struct Line<'a> {
    colour: &'static str,
    label: &'a str,
    times: &'a [u64],
}

/// Two panels over the day of the pumping, both of them sums since midnight.
fn chart(outcomes: &[Outcome]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 360\" width=\"800\" height=\"360\" role=\"img\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{GREY}\">\n\
         <title>A day of SMS pumping: attempts, SMS sent, and honest users refused, with and without give-back</title>\n"
    );
    let [with, without, higher, ..] = outcomes else { return svg };
    let line = |colour, label, times| Line { colour, label, times };
    let lines = [
        line(GREY, "asked for: what goes out without limits", &with.pumped_asked),
        line(ORANGE, "sent, without give-back", &without.pumped_out),
        line(BLUE, "sent, verified ones given back", &with.pumped_out),
    ];
    panel(&mut svg, 54.0, "Pumped SMS", &lines);
    let lines = [
        line(ORANGE, "without give-back", &without.honest_refused),
        line(BLUE, "verified ones given back", &with.honest_refused),
        line(GREEN, "the same, higher IpLimit and CountryLimit", &higher.honest_refused),
    ];
    panel(&mut svg, 454.0, "Honest users refused, of 2000", &lines);
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, left: f64, title: &str, lines: &[Line<'_>]) {
    const TOP: f64 = 104.0;
    const BOTTOM: f64 = 328.0;
    let right = left + 320.0;
    let most = lines.iter().map(|line| count(line.times)).max().unwrap_or_default();
    let step = [1, 5, 10, 50, 100, 200, 500, 1_000, 5_000].into_iter().find(|step| step * 4 >= most).unwrap_or(most);
    let top = most.div_ceil(step) * step;
    let y = |value: u32| BOTTOM - (BOTTOM - TOP) * f64::from(value) / f64::from(top);
    let x = |quarters: u32| left + (right - left) * f64::from(quarters) / 96.0;

    let _ = writeln!(svg, "<text x=\"{left:.0}\" y=\"20\" font-size=\"13\" font-weight=\"600\">{title}</text>");
    for tick in (0..=top / step).map(|n| n * step) {
        let (y, label) = (y(tick), tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{left:.0} {y:.1}H{right:.0}\" stroke=\"{GREY}\" stroke-opacity=\".25\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    for hour in [0, 6, 12, 18, 24] {
        let x = x(4 * hour);
        let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"346\" text-anchor=\"middle\">{hour}:00</text>");
    }
    for (row, line) in (0..).zip(lines) {
        let y_key = 40.0 + 17.0 * f64::from(row);
        let colour = line.colour;
        let _ = writeln!(
            svg,
            "<path d=\"M{left:.0} {y_key:.0}h16\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{}: {}</text>",
            left + 22.0,
            y_key + 4.0,
            line.label,
            line.times.len()
        );
        let mut points = String::new();
        for quarters in 0..=96 {
            let end_ms = ATTACK_MS + u64::from(quarters) * 15 * MINUTE_MS;
            let so_far = line.times.partition_point(|at_ms| *at_ms <= end_ms);
            let _ = write!(points, "{:.1},{:.1} ", x(quarters), y(u32::try_from(so_far).unwrap_or(u32::MAX)));
        }
        let points = points.trim_end();
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>"
        );
    }
}
