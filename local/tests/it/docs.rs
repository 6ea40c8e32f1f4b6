//! The documentation keeps its promises: links lead somewhere, commands name what exists, and the local API is as described.

use crate::support::start;
use axum::http::StatusCode;
use reqwest::Method;
use shared::runtime::http::{Connections, Timeouts, Tls};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long is a README that is read in ten minutes.
const MAX_README_LINES: usize = 150;
/// Routes of the fake Twilio and of the page, which docs/local.md mentions as a whole.
const NOT_LISTED: [&str; 3] = ["/2010-04-01", "/v1/", "/page.css"];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder whose name has this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A page of the documentation.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    /// The pages at the top of the repository and in docs/.
    fn all() -> Vec<Self> {
        let at_the_top = std::fs::read_dir(top()).unwrap().map(|entry| entry.unwrap().path());
        let at_the_top = at_the_top.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
        let pages: Vec<_> = at_the_top.chain(files(&top().join("docs"), ".md")).map(Self::read).collect();
        assert!(pages.len() > 10, "the documentation was not found");
        pages
    }

    fn name(&self) -> String {
        self.path.strip_prefix(top()).unwrap().display().to_string()
    }

    /// The lines outside code blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut in_code = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !fence && !in_code
        })
    }

    /// The lines of code blocks in `sh`.
    fn shell(&self) -> Vec<&str> {
        let (mut block, mut lines) = (None, vec![]);
        for line in self.text.lines().map(str::trim) {
            match (line.strip_prefix("```"), block) {
                (Some(language), None) => block = Some(language),
                (Some(_), Some(_)) => block = None,
                (None, Some("sh")) => lines.push(line),
                (None, _) => {}
            }
        }
        lines
    }

    /// Code in the text, between single backticks.
    fn code_spans(&self) -> Vec<&str> {
        self.prose().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
    }

    /// Where the links lead.
    fn links(&self) -> Vec<String> {
        let without_code = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join("");
        let targets = |line: String| {
            let targets = line.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default().to_owned());
            targets.collect::<Vec<_>>()
        };
        self.prose().map(without_code).flat_map(targets).collect()
    }

    /// The anchors that GitHub makes of the headings.
    fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = vec![];
        let headings =
            self.prose().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        for heading in headings {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let earlier = anchors.iter().filter(|other| **other == anchor).count();
            anchors.push(anchor.clone());
            if earlier > 0 {
                anchors.push(format!("{anchor}-{earlier}"));
            }
        }
        anchors
    }
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines, and may have {MAX_README_LINES}");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = vec![];
    for page in Page::all() {
        let links = page.links();
        for link in links.iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(path) };
            let is_there = path.exists()
                && (anchor.is_empty() || Page::read(path).anchors().iter().any(|heading| heading == anchor));
            if !is_there {
                broken.push(format!("{}: {link}", page.name()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn the_module_map_of_the_architecture_names_what_exists() {
    let architecture = read("docs/architecture.md");
    let map = architecture.split("## Where each module lives").nth(1).unwrap().split("\n## ").next().unwrap();
    let words: BTreeSet<_> = map.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').collect();
    let sources = |folder: &str| files(&top().join(folder), ".rs");
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();

    // The checks of the checklist, one module each, are named as a whole.
    let modules = ["shared/src", "functions"].map(sources).concat();
    let modules = modules.iter().filter(|path| !path.parent().unwrap().ends_with("checks")).map(stem);
    let missing: BTreeSet<_> = modules
        .filter(|module| !["main", "mod"].contains(&&**module))
        .filter(|module| !words.contains(&**module) && !words.contains(&*format!("{module}.rs")))
        .collect();
    assert!(missing.is_empty(), "the map lacks {missing:?}");

    let existing: BTreeSet<_> =
        ["shared/src", "functions", "local", "fake-twilio"].map(sources).concat().iter().map(stem).collect();
    let gone: Vec<_> =
        words.iter().filter_map(|word| word.strip_suffix(".rs")).filter(|module| !existing.contains(*module)).collect();
    assert!(gone.is_empty(), "the map names {gone:?}, which don't exist");
}

#[test]
fn the_contents_list_of_the_readme_has_every_page() {
    let readme = Page::read(top().join("README.md"));
    let linked: BTreeSet<_> = readme.links().into_iter().collect();
    for page in Page::all() {
        let is_listed =
            linked.contains(&page.name()) || page.name().starts_with("docs/adr/") || page.name() == "README.md";
        assert!(is_listed, "README.md has no link to {}", page.name());
    }
}

/// The words of a command, without a comment at its end and the variables before it. Single quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (vec![], String::new(), false);
    for character in line.chars().chain([' ']) {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            _ => word.push(character),
        }
    }
    let command = words.iter().position(|word| !word.contains('=')).unwrap_or(words.len());
    words.drain(..command);
    let end = words.iter().position(|word| word == "#").unwrap_or(words.len());
    words.truncate(end);
    words
}

/// The value of an option such as `-p`.
fn option<'a>(words: &'a [String], names: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| names.contains(&word.as_str()))?;
    words.get(at + 1).map(String::as_str)
}

/// The folder of each package of the workspace, by the package's name.
fn packages() -> Vec<(String, PathBuf)> {
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let folders = members.split('"').skip(1).step_by(2).map(|member| top().join(member));
    let name = |folder: &Path| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().trim_matches('"').to_owned()
    };
    folders.map(|folder| (name(&folder), folder)).collect()
}

/// What is wrong with a command of cargo, if anything can be seen to be.
fn cargo(words: &[String]) -> Result<(), String> {
    let subcommand = words.get(1).map(String::as_str).unwrap_or_default();
    if !["add", "bench", "build", "check", "clippy", "deny", "doc", "fmt", "lambda", "run", "test", "update"]
        .contains(&subcommand)
    {
        return Err(format!("cargo {subcommand}?"));
    }
    let own = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (options, arguments) = words.split_at(own);
    let Some(package) = option(options, &["-p", "--package"]) else { return Ok(()) };
    let packages = packages();
    let (_, folder) = packages.iter().find(|(name, _)| name == package).ok_or(format!("no package {package}"))?;
    for (target, place) in [("--bench", "benches"), ("--example", "examples"), ("--test", "tests")] {
        let Some(name) = option(options, &[target]) else { continue };
        let file = folder.join(place);
        if !file.join(format!("{name}.rs")).exists() && !file.join(name).join("main.rs").exists() {
            return Err(format!("{package} has no {target} {name}"));
        }
    }
    let played = arguments.get(1).filter(|_| package == "local" && subcommand == "run");
    let program = read("local/src/main.rs");
    match played {
        Some(argument) if !program.contains(&format!("\"{argument}\"")) => Err(format!("local has no {argument}")),
        _ => Ok(()),
    }
}

/// What is wrong with a command of sam, if anything can be seen to be.
fn sam(words: &[String]) -> Result<(), String> {
    let template = read("template.yaml");
    let has = |name: &str, after: &str| template.contains(&format!("\n  {name}:\n    {after}"));
    let subcommand = words.get(1).map(String::as_str).unwrap_or_default();
    if !["build", "delete", "deploy", "list", "logs", "remote", "validate"].contains(&subcommand) {
        return Err(format!("sam {subcommand}?"));
    }
    if subcommand == "remote" && words.get(3).is_some_and(|name| !has(name, "Type: AWS::Serverless::Function")) {
        return Err("the template has no such function".to_owned());
    }
    if let Some(file) = option(words, &["--event-file"]).filter(|file| !top().join(file).exists()) {
        return Err(format!("there is no {file}"));
    }
    let overrides = words.iter().skip_while(|word| *word != "--parameter-overrides").skip(1);
    let names = overrides.take_while(|word| !word.starts_with("--")).filter_map(|word| word.split_once('='));
    match names.map(|(name, _)| name).find(|name| !has(name, "Type: String") && !has(name, "Type: Number")) {
        Some(name) => Err(format!("the template has no parameter {name}")),
        None => Ok(()),
    }
}

#[test]
fn every_command_names_what_exists() {
    let (mut wrong, mut checked) = (vec![], 0);
    for page in Page::all() {
        // An example in prose may be cut short; then there is nothing to check.
        let spans = page.code_spans().into_iter().filter(|span| span.contains(' ') && !span.contains('…'));
        for line in page.shell().into_iter().chain(spans) {
            let words = words(line);
            let result = match words.first().map(String::as_str) {
                Some("cargo") => cargo(&words),
                Some("sam") => sam(&words),
                Some("bash") if words.len() == 2 && !top().join(&words[1]).exists() => Err("no such script".to_owned()),
                _ => continue,
            };
            checked += 1;
            wrong.extend(result.err().map(|error| format!("{}: {line}: {error}", page.name())));
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
    assert!(wrong.is_empty(), "wrong commands:\n{}", wrong.join("\n"));
}

/// The first cells of the rows of a table, below a heading of docs/local.md, without their backticks.
fn first_cells(heading: &str) -> Vec<String> {
    let text = read("docs/local.md");
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

/// The requests in docs/local.md: method, and path without a query.
fn documented_requests() -> BTreeSet<(String, String)> {
    let requests = first_cells("API").into_iter().map(|request| {
        let (method, path) = request.split_once(' ').unwrap();
        (method.to_owned(), path.split('?').next().unwrap().to_owned())
    });
    requests.collect()
}

/// The requests that the local system has routes for, those that fake-twilio handles for it included.
fn routed_requests() -> BTreeSet<(String, String)> {
    let mut routed = BTreeSet::new();
    let local = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), ".rs");
    let test_api = top().join("fake-twilio/src/test_api");
    for file in local.into_iter().chain(["faults.rs", "phones.rs"].map(|file| test_api.join(file))) {
        let source = std::fs::read_to_string(file).unwrap();
        for route in source.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').unwrap();
            if NOT_LISTED.iter().any(|start| path.starts_with(start)) {
                continue;
            }
            let mut depth = 1;
            let ends = |c: char| {
                depth += match c {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                depth == 0
            };
            let handlers = rest.split(ends).next().unwrap();
            for method in ["get", "post", "put", "patch", "delete"] {
                let call = format!("{method}(");
                let mut calls = handlers.match_indices(&call).map(|(at, _)| &handlers[..at]);
                if calls.any(|before| before.ends_with([' ', '.'])) {
                    routed.insert((method.to_uppercase(), path.to_owned()));
                }
            }
        }
    }
    routed
}

#[test]
fn the_local_api_is_documented_request_by_request() {
    assert_eq!(documented_requests(), routed_requests());
}

fn client() -> reqwest::Client {
    let timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) };
    Tls::new().unwrap().client(timeouts, Connections::Fresh).unwrap()
}

#[tokio::test]
async fn every_documented_request_is_answered() {
    let local = start([]).await;
    let client = client();
    let nowhere = ("GET".to_owned(), "/nowhere".to_owned());
    for (method, path) in documented_requests().into_iter().chain([nowhere]) {
        let url = path.replace("{number}", "+14155550123").replace("{id}", "1").replace("{name}", "send-code");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = client.request(method.clone(), format!("{}{url}", local.system.base_url)).send().await.unwrap();
        // Only the fake Twilio, which answers what has no route, says it with Twilio's code. The answer of some routes never ends.
        let is_missing = match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => true,
            StatusCode::NOT_FOUND => answer.text().await.unwrap().contains("20404"),
            _ => false,
        };
        assert_eq!(is_missing, path == "/nowhere", "{method} {path}");
    }
}

#[tokio::test]
async fn every_fault_is_documented() {
    let local = start([]).await;
    let documented = first_cells("Faults");
    for kind in &documented {
        let code = if kind == "twilio_error" { r#","code":21610"# } else { "" };
        let (status, answer) = post(&local.system.base_url, &format!(r#"{{"kind":"{kind}"{code}}}"#)).await;
        assert_eq!(status, StatusCode::CREATED, "{kind}: {answer}");
    }
    // The error names them all.
    let (_, answer) = post(&local.system.base_url, r#"{"kind":"nonsense"}"#).await;
    let words = answer.split([' ', ',', '.', ';', '"']).filter(|word| word.contains('_') || *word == "timeout");
    let kinds: BTreeSet<_> = words.map(str::to_owned).collect();
    assert_eq!(kinds, documented.into_iter().collect(), "{answer}");
}

async fn post(base_url: &str, fault: &str) -> (StatusCode, String) {
    let request = client().post(format!("{base_url}/faults")).header("content-type", "application/json");
    let answer = request.body(fault.to_owned()).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}
