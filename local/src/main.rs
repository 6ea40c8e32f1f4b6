//! `cargo run -p local` runs all of Tollgate on this machine. See `--help`.

use local::overview::overview;
use local::system::{Options, System};
use local::{demo, simulation};
use shared::runtime::settings::Environment;
use shared::runtime::telemetry;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

const HELP: &str = "\
All of Tollgate on this machine: the functions, an embedded DynamoDB and a fake Twilio.

  cargo run -p local                 start it on http://127.0.0.1:7878; open that in a browser
  cargo run -p local -- demo         run a demonstration and exit
  cargo run --release -p local -- simulate
                                     simulate SMS pumping, print a table, write a chart

  --port N      listen on another port; 0 takes a free one
  --data DIR    keep the table and the messages in this folder; without it, they are lost at the end

Change a setting by its variable:  PHONE_LIMIT='1/10s, 5/1h' cargo run -p local
docs/local.md describes the system, its API and the faults. docs/settings.md lists the settings.
";

/// The simulation's chart, which the documentation shows.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/pumping.svg");

/// What the command line asks for.
enum Command {
    Help,
    Demo,
    Simulate,
    Serve { port: u16, data: Option<PathBuf> },
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match command(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Command::Demo) => demo::play().await.map_err(|error| error.to_string()),
        Ok(Command::Simulate) => simulation::run(Path::new(CHART)).await.map_err(|error| error.to_string()),
        Ok(Command::Serve { port, data }) => serve(port, data).await,
        Err(reason) => Err(format!("{reason}\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut port, mut data) = (7878, None);
    // Wherever it is, also after `demo` or `simulate`.
    let arguments: Vec<_> = arguments.collect();
    if arguments.iter().any(|argument| ["--help", "-h"].contains(&argument.as_str())) {
        return Ok(Command::Help);
    }
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "demo" => return Ok(Command::Demo),
            "simulate" => return Ok(Command::Simulate),
            "--port" => {
                let number = arguments.next().unwrap_or_default();
                port = number.parse().map_err(|_| format!("--port needs a number from 0 to 65535, not {number:?}"))?;
            }
            "--data" => data = Some(arguments.next().ok_or("--data needs a folder")?.into()),
            other => return Err(format!("unknown option {other:?}")),
        }
    }
    Ok(Command::Serve { port, data })
}

async fn serve(port: u16, data: Option<PathBuf>) -> Result<(), String> {
    // The first line of standard output is the address, for scripts. Logs go to standard error.
    tracing::subscriber::set_global_default(telemetry::subscriber(LevelFilter::INFO, std::io::stderr))
        .map_err(|error| error.to_string())?;
    let settings = Environment::defaults()
        .map(|(variable, _)| variable)
        .filter(|variable| !["PUBLIC_URL", "TWILIO_BASE_URL"].contains(variable))
        .filter_map(|variable| {
            // Off in a new stack, but here there is nothing to lose, and a page to see it on.
            let shown = || (variable == "TEXT_TO_VERIFY").then(|| "direct".to_owned());
            Some((variable.to_owned(), std::env::var(variable).ok().or_else(shown)?))
        })
        .collect();
    let system = System::start(Options { port, data, settings, ..Options::default() });
    let system = system.await.map_err(|error| error.to_string())?;
    // A reader of only the first line may have closed the pipe.
    let _ =
        writeln!(std::io::stdout(), "{}\n\n{}", system.base_url, overview(&system.base_url, &system.twilio.account()));
    system.serve().await;
    Ok(())
}
