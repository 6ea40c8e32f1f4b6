//! The result as a table in Markdown. A cross marks the figures that miss their targets.

use crate::simulation::play::{Group, Outcome};
use crate::simulation::script::{Addresses, Shape};
use std::fmt::Write as _;

/// At most so many of the new users may be refused, in percent.
pub(super) const MOST_NEW_REFUSED_PERCENT: f64 = 1.0;
/// At most so many pumped SMS may be sent in the day.
pub(super) const MOST_PUMPED: u32 = 700;
/// What an SMS to the US costs: Twilio's price without the carriers' fees.
const DOLLARS_PER_SMS: f64 = 0.0083;

/// What is varied from row to row.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub shape: Shape,
    pub addresses: Addresses,
    /// Whether two weeks of honest users come before.
    pub has_history: bool,
    /// In place of the defaults.
    pub settings: &'static [(&'static str, &'static str)],
}

impl Row {
    /// What is varied, in words.
    pub(super) fn name(&self) -> String {
        let history = if self.has_history { "two weeks" } else { "none" };
        format!("{} | {} | {history}", self.attack(), if self.is_attack() { self.addresses.name() } else { "" })
    }

    /// Whether anything is pumped.
    pub(super) const fn is_attack(&self) -> bool {
        self.shape.range_count() > 0
    }

    fn attack(&self) -> String {
        let settings = self.settings.iter().map(|(variable, value)| format!(", `{variable}={value}`"));
        settings.fold(self.shape.name.to_owned(), |name, setting| name + &setting)
    }
}

/// A row and what came out.
pub(super) struct Played {
    pub row: Row,
    pub outcome: Outcome,
}

impl Played {
    /// How many of the new users were refused, in percent.
    pub(super) fn new_refused_percent(&self) -> f64 {
        percent(&self.outcome.new)
    }
}

fn percent(group: &Group) -> f64 {
    100.0 * f64::from(group.refused()) / f64::from(group.users.max(1))
}

/// Those who were refused and had no other way in, in percent.
fn shut_out_percent(group: &Group) -> f64 {
    100.0 * f64::from(group.refused().saturating_sub(group.texted)) / f64::from(group.users.max(1))
}

/// All rows.
pub(super) fn table(rows: &[Played]) -> String {
    let mut text = "| Attack | From | History | Pumped SMS: asked for | sent | cost | New users refused | Returning users refused \
                    | Texted us | Gave up |\n|---|---|---|--:|--:|--:|---|---|--:|--:|\n"
        .to_owned();
    for Played { row, outcome } in rows {
        let sent = outcome.pumped_sent;
        let _ = writeln!(
            text,
            "| {} | {} | {sent}{} | ${:.2} | {}{} | {}{} | {} | {} |",
            row.name(),
            outcome.pumped_asked,
            cross(sent > MOST_PUMPED),
            f64::from(sent) * DOLLARS_PER_SMS,
            refused(&outcome.new),
            cross(shut_out_percent(&outcome.new) > MOST_NEW_REFUSED_PERCENT),
            refused(&outcome.returning),
            cross(outcome.returning.refused() > 0),
            outcome.new.texted + outcome.returning.texted,
            outcome.new.gave_up + outcome.returning.gave_up,
        );
    }
    text
}

const fn cross(is_missed: bool) -> &'static str {
    if is_missed { " ✗" } else { "" }
}

/// `12 of 1200 (1.0 %: 12 ip_limit)`.
fn refused(group: &Group) -> String {
    let by: Vec<_> = group.refused.iter().map(|(reason, users)| format!("{users} `{reason}`")).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({:.1} %: {})", percent(group), by.join(", ")) };
    format!("{} of {}{by}", group.refused(), group.users)
}
