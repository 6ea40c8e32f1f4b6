//! The structure of the code: no circle of imports between files, and no public type name with two meanings.
//!
//! A small scanner reads the tokens of each file: `mod`, `use` and paths. It follows `use` through to the file that defines an
//! item, so a re-export (`pub use`) is no import of its own. Modules under `#[cfg(test)]` may import what they test and are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Public type names that each function may define for itself, with the reason.
const NAMES_OF_EACH_FUNCTION: [(&str, &str); 5] = [
    ("Answer", "each function's own answer"),
    ("InvalidRequest", "why each function's own request is refused"),
    ("Request", "each function's own request"),
    ("Settings", "each function's own settings"),
    ("State", "each function's own state"),
];

type ModulePath = Vec<String>;

/// One file, or one inline module in it.
#[derive(Debug, Default)]
struct Module {
    file: String,
    /// Names of child modules.
    children: BTreeSet<String>,
    /// What `use` brings in: the path, its name here, and whether it is a re-export.
    uses: Vec<Import>,
    /// Paths in the code, such as `crate::limits::rules::Rule`.
    paths: BTreeSet<Vec<String>>,
    /// Names of public types that are defined here.
    types: BTreeSet<String>,
}

#[derive(Debug)]
struct Import {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

/// Where a path leads to: a module, or an item that this module defines.
#[derive(Debug)]
enum Target {
    Module(ModulePath),
    Item(ModulePath),
}

/// The modules of a crate by their paths; the root is the empty path.
#[derive(Debug, Default)]
struct Modules(BTreeMap<ModulePath, Module>);

impl Modules {
    /// Reads a crate from its root file on; `source` reads a file by its path under `src/`.
    fn read(root: &str, source: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut modules = Self::default();
        let mut due = vec![(ModulePath::new(), root.to_owned())];
        while let Some((path, file)) = due.pop() {
            let code = without_text(&source(&file).unwrap());
            let files = modules.scan(&tokens(&code), &path, &file);
            // The children of `lib.rs` and `a/mod.rs` lie next to it, those of `a.rs` in `a/`.
            let folder = match file.rsplit_once('/').unwrap_or(("", &file)) {
                (folder, "mod.rs" | "lib.rs" | "main.rs") => folder.to_owned(),
                _ => file.trim_end_matches(".rs").to_owned(),
            };
            for child in files {
                let name = child.last().unwrap();
                let place = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let file = [format!("{place}.rs"), format!("{place}/mod.rs")].into_iter();
                let file = file.into_iter().find(|file| source(file).is_some());
                due.push((child, file.unwrap_or_else(|| panic!("{place} has no file"))));
            }
        }
        modules
    }

    /// Reads the tokens of a module; returns the paths of those children that have a file of their own.
    fn scan(&mut self, tokens: &[&str], path: &ModulePath, file: &str) -> Vec<ModulePath> {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        let (mut files, mut at, mut is_test) = (Vec::new(), 0, false);
        while let Some(token) = tokens.get(at) {
            let next = |n: usize| tokens.get(at + n).copied().unwrap_or_default();
            match *token {
                "#" if ["[", "!"].contains(&next(1)) => {
                    let open = at + 1 + usize::from(next(1) == "!");
                    let end = closing(tokens, open);
                    is_test |= tokens[open + 1..end] == ["cfg", "(", "test", ")"];
                    at = end + 1;
                    continue;
                }
                _ if is_test => {
                    at = end_of_item(tokens, at);
                    is_test = false;
                    continue;
                }
                "mod" if is_name(next(1)) && [";", "{"].contains(&next(2)) => {
                    let child = [path.as_slice(), &[next(1).to_owned()]].concat();
                    module.children.insert(next(1).to_owned());
                    if next(2) == ";" {
                        files.push(child);
                        at += 3;
                    } else {
                        let end = closing(tokens, at + 2);
                        files.extend(self.scan(&tokens[at + 3..end], &child, file));
                        at = end + 1;
                    }
                    continue;
                }
                "use" => {
                    let end = tokens[at..].iter().position(|token| *token == ";").map_or(tokens.len(), |n| at + n);
                    let is_public = is_public(tokens, at);
                    let tree = &mut tokens[at + 1..end].iter().copied();
                    let mut leaves = Vec::new();
                    use_tree(tree, &[], &mut leaves);
                    module.uses.extend(leaves.into_iter().map(|(path, name)| Import { path, name, is_public }));
                    at = end;
                }
                "struct" | "enum" | "union" | "type" | "trait" if at > 0 && tokens[at - 1] == "pub" => {
                    module.types.insert(next(1).to_owned());
                }
                name if is_name(name) && next(1) == "::" && (at == 0 || tokens[at - 1] != "::") => {
                    let mut segments = vec![name.to_owned()];
                    while next(2 * segments.len() - 1) == "::" && is_name(next(2 * segments.len())) {
                        segments.push(next(2 * segments.len()).to_owned());
                    }
                    module.paths.insert(segments);
                }
                _ => {}
            }
            at += 1;
        }
        self.0.insert(path.clone(), module);
        files
    }

    /// Where a path leads to from `module`; `None` outside the crate.
    fn resolve(&self, module: &ModulePath, path: &[String], depth: usize) -> Option<Target> {
        // A `use` may seem to name itself, as in `use jiff; use jiff::Timestamp;`.
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let first = match first.as_str() {
            "crate" => Target::Module(ModulePath::new()),
            "self" => Target::Module(module.clone()),
            "super" => Target::Module(module.split_last()?.1.to_vec()),
            name => self.member(module, name, depth)?,
        };
        let Target::Module(mut current) = first else { return Some(first) };
        for segment in rest {
            match segment.as_str() {
                "super" => _ = current.pop(),
                "*" => {}
                name => match self.member(&current, name, depth) {
                    Some(Target::Module(next)) => current = next,
                    // What follows an item is a variant or a function of it.
                    Some(item) => return Some(item),
                    None => return Some(Target::Item(current)),
                },
            }
        }
        Some(Target::Module(current))
    }

    /// The child module of this name, or where the `use` of this name leads.
    fn member(&self, module: &ModulePath, name: &str, depth: usize) -> Option<Target> {
        let Module { children, uses, .. } = &self.0[module];
        if children.contains(name) {
            return Some(Target::Module([module.as_slice(), &[name.to_owned()]].concat()));
        }
        uses.iter().filter(|import| import.name == name).find_map(|import| self.resolve(module, &import.path, depth))
    }

    /// The files that each file imports from.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut imports = BTreeMap::<_, BTreeSet<_>>::new();
        for (path, module) in &self.0 {
            let imported = module.uses.iter().filter(|import| !import.is_public).map(|import| &import.path);
            for to in imported.chain(&module.paths) {
                let Some(Target::Module(to) | Target::Item(to)) = self.resolve(path, to, 16) else { continue };
                let to = self.0[&to].file.as_str();
                if to != module.file {
                    imports.entry(module.file.as_str()).or_default().insert(to);
                }
            }
        }
        imports
    }

    /// For each group of files that import each other in circles, the shortest circle of its first file, and the whole group:
    /// `a.rs → b.rs → a.rs; all of them: a.rs, b.rs`.
    fn circles(&self) -> Vec<String> {
        let imports = self.imports();
        let (mut circles, mut seen) = (Vec::new(), BTreeSet::new());
        for start in imports.keys() {
            if seen.contains(start) {
                continue;
            }
            if let Some(circle) = circle(&imports, start) {
                // All files that are in a circle with this one belong to the same group.
                let forward = reachable(&imports, start);
                let group: Vec<_> =
                    forward.into_iter().filter(|file| reachable(&imports, file).contains(start)).collect();
                circles.push(format!("{}; all of them: {}", circle.join(" → "), group.join(", ")));
                seen.extend(group);
            }
        }
        circles
    }
}

fn reachable<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut due: Vec<&str> = vec![start];
    while let Some(file) = due.pop() {
        let new = imports.get(file).into_iter().flatten().filter(|to| found.insert(**to));
        due.extend(new);
    }
    found
}

/// The shortest way along imports from a file back to itself.
fn circle<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut due = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = due.pop_front() {
        for to in imports.get(way.last()?).into_iter().flatten() {
            let longer = [way.as_slice(), &[*to]].concat();
            if *to == start {
                return Some(longer);
            }
            if seen.insert(*to) {
                due.push_back(longer);
            }
        }
    }
    None
}

/// The leaves of a `use` with their names, such as `a::{b, c as d}`: `a::b` as `b`, and `a::c` as `d`.
fn use_tree<'a>(
    tokens: &mut impl Iterator<Item = &'a str>,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, String)>,
) -> bool {
    let mut path = prefix.to_vec();
    let mut name = None;
    let mut is_list = false;
    let mut more = false;
    while let Some(token) = tokens.next() {
        match token {
            "::" => {}
            "as" => name = tokens.next().map(str::to_owned),
            "{" => {
                while use_tree(tokens, &path, leaves) {}
                is_list = true;
            }
            "," => {
                more = true;
                break;
            }
            "}" => break,
            segment => path.push(segment.to_owned()),
        }
    }
    if !is_list && path.len() > prefix.len() {
        // `a::{self}` is `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        leaves.push((path, name));
    }
    more
}

/// Whether the item at `at` is `pub`, also `pub(crate)`.
fn is_public(tokens: &[&str], at: usize) -> bool {
    let before = &tokens[..at];
    match before.last() {
        Some(&"pub") => true,
        Some(&")") => {
            let open = before.iter().rposition(|token| *token == "(");
            open.is_some_and(|open| open > 0 && before[open - 1] == "pub")
        }
        _ => false,
    }
}

/// The index of the bracket that closes the one at `open`.
fn closing(tokens: &[&str], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("a bracket is not closed")
}

/// The index after the item, field or statement at `at`.
fn end_of_item(tokens: &[&str], at: usize) -> usize {
    let is_item = tokens[at..].iter().take(6).any(|token| {
        ["fn", "mod", "use", "impl", "struct", "enum", "trait", "type", "static", "const"].contains(token)
    });
    let mut at = at;
    while let Some(token) = tokens.get(at) {
        match *token {
            ";" => return at + 1,
            "{" => return closing(tokens, at) + 1,
            "," if !is_item => return at + 1,
            "}" => return at,
            "(" | "[" => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, numbers, `::`, and every other character by itself.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while !rest.is_empty() {
        let word = rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => rest.chars().next().map_or(1, char::len_utf8),
            word => word,
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Code without comments, and with empty strings and characters.
fn without_text(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let is_raw = rest.strip_prefix('r').is_some_and(|raw| raw.trim_start_matches('#').starts_with('"'));
        let after_name = code.ends_with(|last: char| last.is_alphanumeric() && last != 'b' || last == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if is_raw && !after_name {
            let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
            let open = 2 + hashes;
            let close = format!("\"{}", "#".repeat(hashes));
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if character == '"' {
            end_of_literal(rest, '"')
        } else if character == '\'' && (rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')) {
            end_of_literal(rest, '\'')
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// The length of a string or character literal, quotes included.
fn end_of_literal(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            character if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The crates of the workspace by their folders.
fn crates() -> BTreeMap<String, Modules> {
    let manifest = std::fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let members = members.split('"').skip(1).step_by(2);
    members
        .map(|folder| {
            let src = top().join(folder).join("src");
            let source = |file: &str| std::fs::read_to_string(src.join(file)).ok();
            let root = if src.join("lib.rs").exists() { "lib.rs" } else { "main.rs" };
            (folder.to_owned(), Modules::read(root, &source))
        })
        .collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles: Vec<_> = crates()
        .iter()
        .flat_map(|(folder, modules)| {
            modules.circles().into_iter().map(|circle| format!("{folder}/src: {circle}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_public_type_name_has_one_meaning() {
    let crates = crates();
    // Where each name is defined: the crate and the file.
    let mut places = BTreeMap::<&str, Vec<(&str, &str)>>::new();
    for (folder, modules) in &crates {
        for module in modules.0.values() {
            for name in &module.types {
                places.entry(name).or_default().push((folder, &module.file));
            }
        }
    }
    for (name, reason) in NAMES_OF_EACH_FUNCTION {
        let places = places.entry(name).or_default();
        let all = places.len();
        let mut seen = BTreeSet::new();
        places.retain(|(folder, _)| !folder.starts_with("functions/") || !seen.insert(*folder));
        assert!(all - places.len() > 1, "only one function defines {name} ({reason}): remove it from the list");
    }
    let may_be_several = |name: &str| NAMES_OF_EACH_FUNCTION.iter().any(|(shared, _)| *shared == name);
    places.retain(|name, places| places.len() > usize::from(!may_be_several(name)));
    assert!(places.is_empty(), "{places:#?}");
}

fn of<const N: usize>(files: [(&str, &str); N]) -> Modules {
    let files = BTreeMap::from(files);
    Modules::read("lib.rs", &|file| files.get(file).map(|source| (*source).to_owned()))
}

#[test]
fn a_planted_circle_is_found_in_every_spelling() {
    for import in [
        "use crate::b::B;",
        "use super::b::B;",
        "use crate::{b::B, c};",
        "use crate::b;",
        "use crate::b::{self as other, B};",
        "use crate::B;",
        "use super::*; fn f() -> super::b::B { todo!() }",
        "fn f() { crate::b::f(); }",
        "fn f() -> super::B { todo!() }",
        "mod inner { use super::super::b::B; }",
        "#[derive(Debug)] pub(crate) struct A(crate::b::B);",
        "use crate::c; fn f() -> c::B { todo!() }",
        "#[cfg(test)] use std::fmt; use crate::b::B;",
        "const QUOTE: char = '\"'; use crate::b::B;",
        "const RAW: &str = r#\"a \" b\"#; fn f<'a>(b: &'a crate::b::B) {}",
    ] {
        let modules = of([
            ("lib.rs", "mod a; mod b; mod c; pub use b::B;"),
            ("a.rs", import),
            ("b.rs", "use crate::a; pub struct B;"),
            ("c.rs", "pub use crate::b::B;"),
        ]);
        assert_eq!(modules.circles(), ["a.rs → b.rs → a.rs; all of them: a.rs, b.rs"], "{import}: {modules:#?}");
    }
    let modules = of([
        ("lib.rs", "pub mod a; fn f() { a::f() }"),
        ("a/mod.rs", "mod b; pub fn f() { b::f() }"),
        ("a/b.rs", "pub fn f() { crate::f() }"),
    ]);
    assert_eq!(modules.circles(), ["a/b.rs → lib.rs → a/mod.rs → a/b.rs; all of them: a/b.rs, a/mod.rs, lib.rs"]);
}

#[test]
fn what_is_no_circle_is_not_reported() {
    for source in [
        "// use crate::b::B;",
        "/// [`crate::b::B`]",
        "/* use crate::b::B; */",
        "const TEXT: &str = \"use crate::b::B;\";",
        "const TEXT: &str = r#\"\" use crate::b::B;\"#;",
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(test)] fn f<A, B>() { crate::b::f() } fn g() {}",
        "struct A { #[cfg(test)] b: crate::b::B, c: u8 }",
        "use other::b::B;",
        "use crate::Shared;",
    ] {
        let modules = of([
            ("lib.rs", "pub mod a; pub mod b; pub mod c; pub use b::B; pub use c::Shared;"),
            ("a.rs", source),
            ("b.rs", "use crate::a; pub struct B;"),
            ("c.rs", "pub struct Shared;"),
        ]);
        assert_eq!(modules.circles(), [""; 0], "{source}");
    }
}

#[test]
fn public_types_are_found_and_private_ones_are_not() {
    let modules = of([(
        "lib.rs",
        "pub struct A; pub enum B {} pub type C = u8; pub trait D {} struct E; pub(crate) struct F; pub fn g() {} \
         mod inner { pub struct H; } #[cfg(test)] mod tests { pub struct I; } // pub struct J;",
    )]);
    let types: BTreeSet<_> = modules.0.values().flat_map(|module| &module.types).map(String::as_str).collect();
    assert_eq!(types, BTreeSet::from(["A", "B", "C", "D", "H"]));
}
