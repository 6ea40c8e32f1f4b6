//! SMS pumping, simulated against the whole system: how many SMS are sent, what they cost, and which honest users are refused.
//!
//! ```text
//! script (fixed seeds) ─▶ 14 days of honest users ─▶ the table, kept ─┬▶ a row: a copy, and the day of its attack ─┬▶ table, chart
//!                                                                     └▶ a row: an empty table, and the same day ──┘
//! ```
//!
//! The days before are played once. Every row then plays the same honest users on the day of the attack, so two rows differ by what
//! their first columns say alone.

mod chart;
pub mod error;
mod play;
mod report;
mod script;

use crate::aws::dynamodb::Database;
use error::SimulationError;
use play::Outcome;
use report::{Played, Row};
use script::{Addresses, People, Shape, Visit};
use shared::limits::rules::CounterRules;
use shared::runtime::settings::Environment;
use shared::store::send_limits::SendLimits;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const SHAPES: [Shape; 5] = [Shape::ADJACENT, Shape::THREE, Shape::TWENTY, Shape::HUNDRED, Shape::ELSEWHERE];

/// A country that anybody can fill, and another way in.
const TEXT_TO_VERIFY: &[(&str, &str)] = &[("BLOCK_RECORD", "off"), ("TEXT_TO_VERIFY", "direct")];

/// Every shape from both kinds of addresses, and no attack, each with and without a history; and two with text-to-verify.
fn rows() -> Vec<Row> {
    let kinds = SHAPES.iter().flat_map(|shape| [(*shape, Addresses::Botnet), (*shape, Addresses::Ipv6Network)]);
    let kinds: Vec<_> = kinds.chain([(Shape::NO_ATTACK, Addresses::Botnet)]).collect();
    let row = |has_history| {
        move |&(shape, addresses): &(Shape, Addresses)| Row { shape, addresses, has_history, settings: &[] }
    };
    let text_to_verify = [Shape::HUNDRED, Shape::ELSEWHERE]
        .map(|shape| Row { settings: TEXT_TO_VERIFY, ..row(true)(&(shape, Addresses::Botnet)) });
    let unassigned = [true, false].map(|has_history| row(has_history)(&(Shape::UNASSIGNED, Addresses::Botnet)));
    let known = kinds.iter().map(row(true)).chain(kinds.iter().map(row(false)));
    known.chain(unassigned).chain(text_to_verify).collect()
}

/// Plays all rows, prints a table in Markdown, and writes a chart in SVG. The same each time.
///
/// # Errors
/// [`SimulationError`], also if more is sent than the rules allow.
pub async fn run(out: &Path) -> Result<(), SimulationError> {
    // Each row has a runtime of its own, which can't start on a thread of this one.
    let played = tokio::task::spawn_blocking(play_all).await.map_err(|_| SimulationError::CutOff)??;
    println!("{}", report::table(&played));
    std::fs::write(out, chart::chart(&played)).map_err(SimulationError::write(out))
}

/// What all rows start from.
struct Start {
    /// The table after the history.
    history: PathBuf,
    /// The honest users of the day of the attack, and what the returning ones did the day before if there is no history.
    day: Vec<Visit>,
    before: Vec<Visit>,
}

fn play_all() -> Result<Vec<Played>, SimulationError> {
    let folder = Folder::new()?;
    let start = Start::after_history(&folder)?;
    let rows = rows();
    eprintln!("Playing {} rows, one on each core.", rows.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut played = vec![];
        loop {
            let n = next.fetch_add(1, Ordering::SeqCst);
            let Some(&row) = rows.get(n) else { return Ok(played) };
            played.push((n, Played { row, outcome: start.play(&row)? }));
            eprintln!("played: {}", row.name());
        }
    };
    let played: Result<Vec<_>, SimulationError> = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Err(SimulationError::CutOff))).collect()
    });
    let mut played: Vec<_> = played?.into_iter().flatten().collect();
    played.sort_by_key(|(n, _)| *n);
    Ok(played.into_iter().map(|(_, played)| played).collect())
}

impl Start {
    fn after_history(folder: &Folder) -> Result<Self, SimulationError> {
        eprintln!("Playing two weeks of honest users.");
        let mut people = People::new();
        let database = Database::open(None).map_err(SimulationError::Copy)?;
        let visits = people.history();
        let played = in_runtime(play::play(&visits.iter().collect::<Vec<_>>(), database.clone(), &[]))?;
        let history = folder.0.join("history.db");
        database.copy_to(&history).map_err(SimulationError::Copy)?;
        // Who was approved at the last visit returns on the day of the attack, or may.
        let approved = played.approved.into_iter().filter_map(|(phone, is_known)| is_known.then_some(phone));
        let day = people.day(script::ATTACK_MS, &approved.collect::<Vec<_>>());
        let before = people.before(&day);
        Ok(Self { history, day, before })
    }

    /// Plays the day of a row's attack.
    fn play(&self, row: &Row) -> Result<Outcome, SimulationError> {
        let database = if row.has_history { Database::of_copy(&self.history) } else { Database::open(None) };
        let database = database.map_err(SimulationError::Copy)?;
        let pumping = script::pumping(&row.shape, row.addresses);
        let before = self.before.iter().filter(|_| !row.has_history);
        let visits: Vec<_> = before.chain(&self.day).chain(&pumping).collect();
        let outcome = in_runtime(play::play(&visits, database, row.settings))?;
        let bound = bound(row)?;
        if u64::from(outcome.pumped_sent) > bound {
            return Err(SimulationError::Unexpected(format!("{} pumped SMS, of at most {bound}", outcome.pumped_sent)));
        }
        Ok(outcome)
    }
}

/// The most pumped SMS in a day that the rules for ranges and the country allow.
fn bound(row: &Row) -> Result<u64, SimulationError> {
    let limits = SendLimits::from_environment(&Environment::of(row.settings.iter().copied()))?;
    let range = limits.range.enforced().map_or(u32::MAX, |range| range.most_within(range.longest_window()));
    let country = limits.country.enforced().into_iter().flat_map(CounterRules::rules);
    let country = country.filter(|rule| rule.window().as_ms() == script::DAY_MS).map(|rule| rule.count()).min();
    Ok(row.shape.range_count().saturating_mul(range.into()).min(country.unwrap_or(u32::MAX).into()))
}

/// Plays on this thread alone.
fn in_runtime<T>(playing: impl Future<Output = Result<T, SimulationError>>) -> Result<T, SimulationError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(SimulationError::Runtime)?.block_on(playing)
}

/// A temporary folder, deleted in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, SimulationError> {
        let path = std::env::temp_dir().join(format!("tollgate-simulation-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(SimulationError::write(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
