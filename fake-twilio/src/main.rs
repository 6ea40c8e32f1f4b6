//! `cargo run -p fake-twilio`: a fake Twilio on this machine. See `--help`.

use fake_twilio::exchanges::Exchanges;
use fake_twilio::faults::Faults;
use fake_twilio::resettable::{ConnectionHandle, ResettableListener};
use fake_twilio::{
    DeliveryTiming, FakeTwilio, Journal, TwilioAccount, TwilioConfig, is_e164, loopback, rest, test_api,
};
use shared::runtime::clock::Clock;
use shared::runtime::http::{Connections, Timeouts, Tls};
use shared::runtime::telemetry;
use shared::twilio::sid::is_sid;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tracing::level_filters::LevelFilter;

const HELP: &str = "\
A fake Twilio on this machine. It sends no SMS and calls no other machine.

  cargo run -p fake-twilio -- [OPTIONS]

  --port N           the port on 127.0.0.1; 0 takes a free one (default 8080)
  --data DIR         keep messages and settings in this folder; without it they are gone at the end
  --account-sid SID  the account (default AC00000000000000000000000000000001)
  --auth-token TEXT  its auth token (default 0123456789abcdef0123456789abcdef)
  --number NUMBER    a number of the account in E.164; may be given several times (default +15005550006)
  --sms-url URL      where texts to these numbers go, on this machine (default: nowhere)
";

/// How long a webhook may take to connect and to answer. Twilio's own limit of 15 seconds comes first.
const WEBHOOK_TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_mins(1) };

/// What the command line asks for.
enum Command {
    Help,
    Serve(Options),
}

struct Options {
    port: u16,
    data: Option<PathBuf>,
    account: TwilioAccount,
    sms_url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match command(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Command::Serve(options)) => serve(options).await,
        Err(wrong) => Err(format!("{wrong}\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn default_account() -> TwilioAccount {
    TwilioAccount {
        account_sid: "AC00000000000000000000000000000001".to_owned(),
        auth_token: "0123456789abcdef0123456789abcdef".to_owned(),
        api_key_sid: "SK00000000000000000000000000000001".to_owned(),
        api_key_secret: "local-api-key-secret".to_owned(),
        numbers: Vec::new(),
        messaging_services: vec!["MG00000000000000000000000000000001".to_owned()],
    }
}

fn command(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options { port: 8080, data: None, account: default_account(), sms_url: String::new() };
    while let Some(argument) = arguments.next() {
        if matches!(argument.as_str(), "--help" | "-h") {
            return Ok(Command::Help);
        }
        let mut value =
            || arguments.next().filter(|value| !value.is_empty()).ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--port" => {
                options.port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?;
            }
            "--data" => options.data = Some(value()?.into()),
            "--account-sid" => {
                let sid = Some(value()?).filter(|sid| is_sid(sid, "AC"));
                options.account.account_sid = sid.ok_or("--account-sid needs AC and 32 hexadecimal digits")?;
            }
            "--auth-token" => options.account.auth_token = value()?,
            "--number" => {
                let number = Some(value()?).filter(|number| is_e164(number));
                options.account.numbers.push(number.ok_or("--number needs a number in E.164, such as +14155550100")?);
            }
            "--sms-url" => {
                let url = Some(value()?).filter(|url| loopback::is_loopback(url));
                options.sms_url =
                    url.ok_or("--sms-url needs a URL on this machine, such as http://127.0.0.1:3000/sms")?;
            }
            _ => return Err(format!("unknown option {argument:?}")),
        }
    }
    if options.account.numbers.is_empty() {
        options.account.numbers.push("+15005550006".to_owned());
    }
    Ok(Command::Serve(options))
}

async fn serve(options: Options) -> Result<(), String> {
    let Options { port, data, account, sms_url } = options;
    // The first line of standard output is the URL, for scripts, so logs go to standard error.
    tracing::subscriber::set_global_default(telemetry::subscriber(LevelFilter::INFO, std::io::stderr))
        .map_err(|error| error.to_string())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener =
        listener.map_err(|error| format!("can't listen on port {port} ({error}); choose another with --port"))?;
    let base_url = format!("http://{}", listener.local_addr().map_err(|error| error.to_string())?);

    let (journal, past) = match data {
        Some(folder) => open(&folder).map(|(journal, past)| (Some(journal), past))?,
        None => (None, Vec::new()),
    };
    let tls = Tls::new().map_err(|error| error.to_string())?;
    let http = tls.client(WEBHOOK_TIMEOUTS, Connections::Fresh).map_err(|error| error.to_string())?;
    let exchanges = Exchanges::new(Clock::system());
    let config = TwilioConfig {
        clock: Clock::system(),
        http,
        faults: Faults::new(exchanges.clone()),
        exchanges,
        timing: DeliveryTiming::default(),
        journal,
        past,
        api_url: base_url.clone(),
        sms_url,
    };
    let twilio = FakeTwilio::new(account, config);
    twilio.resume_deliveries();
    twilio.resume_inbound();
    // A script that reads only the first line may have closed the pipe.
    let _ = writeln!(std::io::stdout(), "{base_url}\n\n{}", overview(&base_url, &twilio.account()));
    let app = test_api::router(&twilio).merge(rest::router(&twilio)).layer(axum::middleware::from_fn(loopback::guard));
    let app = app.into_make_service_with_connect_info::<ConnectionHandle>();
    axum::serve(ResettableListener(listener), app).await.map_err(|error| error.to_string())
}

fn open(folder: &Path) -> Result<(Journal, Vec<fake_twilio::Entry>), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("can't create {}: {error}", folder.display()))?;
    Journal::open(&folder.join("messages.jsonl")).map_err(|error| error.to_string())
}

fn overview(base_url: &str, account: &TwilioAccount) -> String {
    let TwilioAccount { account_sid, auth_token, api_key_sid, api_key_secret, numbers, messaging_services } = account;
    let number = numbers.first().map_or("", String::as_str);
    format!(
        r#"A fake Twilio. No SMS is sent, and nothing leaves this machine.

Account SID        {account_sid}
Auth token         {auth_token}
API key            {api_key_sid}, secret {api_key_secret}
Numbers            {numbers}
Messaging Service  {services}

Send a message, as your app would:
  curl -s -u {account_sid}:{auth_token} {base_url}/2010-04-01/Accounts/{account_sid}/Messages.json \
    --data-urlencode To=+14155550123 --data-urlencode From={number} --data-urlencode Body='Your code is 493027'

Read it on the phone:
  curl -s '{base_url}/phones/+14155550123/messages?wait=10s'

Text your app from the phone:
  curl -s {base_url}/phones/+14155550123/messages -H 'Content-Type: application/json' -d '{{"body":"Hello"}}'
"#,
        numbers = numbers.join(", "),
        services = messaging_services.join(", "),
    )
}
